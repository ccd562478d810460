//! The files of a package's sources, and their hash.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{Content, ContentHash, StatIndex, compute_file_hash, describe_io};

use crate::hashes::Fields;

/// Names that are no part of any sources, wherever they are: what Git and larder keep.
const LEFT_OUT: [&str; 2] = [".git", ".larder"];

/// The kind of hash that the content of a directory has.
const FILES: &str = "files";

/// Something in a package's sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// Its path from the package's directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What something in a package's sources is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory; what is in it is listed after it.
    Directory,
    /// A file.
    File,
    /// A symbolic link, which is not followed.
    Link,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Directory, Kind::File, Kind::Link];

    /// The letter for it in a listing that is remembered.
    fn letter(self) -> char {
        match self {
            Self::Directory => 'd',
            Self::File => 'f',
            Self::Link => 'l',
        }
    }
}

/// What a package is made from: all that a build of it may see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Its directory, absolute. It is only read.
    pub directory: PathBuf,
    /// The manifest that stands in for its own, absolute.
    pub overlay: Option<PathBuf>,
    /// The hash of both.
    pub hash: ContentHash,
}

impl Sources {
    /// The sources in a directory whose tree has this hash, with a manifest from elsewhere and its hash.
    pub(super) fn new(
        directory: PathBuf,
        tree: ContentHash,
        overlay: Option<(PathBuf, ContentHash)>,
    ) -> Self {
        let mut fields = Fields::of("sources");
        fields.hash(&tree);
        overlay.iter().for_each(|(_, hash)| _ = fields.hash(hash));
        Self { directory, overlay: overlay.map(|(path, _)| path), hash: fields.finish() }
    }

    /// The same of a directory that cannot be read: nothing is built of it.
    pub(super) fn unreadable(directory: PathBuf) -> Self {
        Self { directory, overlay: None, hash: Fields::of("no sources").finish() }
    }

    /// The sources in an empty directory.
    pub(crate) fn none(directory: PathBuf) -> Self {
        Self::new(directory, Fields::of(FILES).finish(), None)
    }

    /// The sources as they are now: every file is read.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn read(directory: &Path, overlay: Option<&Path>) -> Result<Self, SourceError> {
        let tree = hash_files(directory, files(directory)?, |_, whole| {
            Ok((compute_file_hash(whole, Content::Binary)?, is_executable(whole)?))
        })?;
        let hash = |path: &Path| {
            let hash = compute_file_hash(path, Content::Binary).map_err(unreadable(path))?;
            Ok((path.to_owned(), hash))
        };
        Ok(Self::new(directory.to_owned(), tree, overlay.map(hash).transpose()?))
    }

    /// Whether they are not any more what they were: somebody may edit them while they are built.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn changed(&self) -> Result<bool, SourceError> {
        let now = Self::read(&self.directory, self.overlay.as_deref())?;
        Ok(now.hash != self.hash)
    }
}

/// Why sources cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {}", path.display(), describe_io(source))]
pub struct SourceError {
    /// The file or directory.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError { path, source }
}

/// Returns all that is in a package's directory, sorted, but what Git and larder keep. This is what its digest
/// covers, and so all that a build of it may see.
///
/// # Errors
/// When a directory cannot be listed, or something is neither a file, a directory nor a link.
pub fn files(directory: &Path) -> Result<Vec<SourceFile>, SourceError> {
    files_by(&mut |below| list(&directory.join(below)))
}

/// What is in a directory.
type Listing = Vec<(OsString, Kind)>;

/// The same, where each directory has what `list` says of its path from the package's.
fn files_by(
    list: &mut dyn FnMut(&Path) -> Result<Listing, SourceError>,
) -> Result<Vec<SourceFile>, SourceError> {
    let mut found = Vec::new();
    add(Path::new(""), list, &mut found)?;
    Ok(found)
}

fn add(
    below: &Path,
    list: &mut dyn FnMut(&Path) -> Result<Listing, SourceError>,
    found: &mut Vec<SourceFile>,
) -> Result<(), SourceError> {
    let mut names = list(below)?;
    names.sort_unstable();
    for (name, kind) in names {
        let path = below.join(name);
        found.push(SourceFile { path: path.clone(), kind });
        if kind == Kind::Directory {
            add(&path, list, found)?;
        }
    }
    Ok(())
}

fn list(directory: &Path) -> Result<Listing, SourceError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let entry = entry.map_err(unreadable(directory))?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable(&entry.path()))?;
        let kind = match (kind.is_dir(), kind.is_file(), kind.is_symlink()) {
            (true, ..) => Kind::Directory,
            (_, true, _) => Kind::File,
            (_, _, true) => Kind::Link,
            _ => {
                let odd = io::Error::other("it is neither a file nor a directory nor a link");
                return Err(unreadable(&entry.path())(odd));
            }
        };
        names.push((name, kind));
    }
    Ok(names)
}

/// Returns the hash of all that is in the package's directory `below` the set's at `root`: names, content, what can be
/// executed, where links lead. A file is read, and a directory listed, only where its status is not the one that the
/// index has.
///
/// # Errors
/// When something cannot be read.
pub(super) fn tree_hash(
    root: &Path,
    below: &str,
    index: &StatIndex,
) -> Result<ContentHash, SourceError> {
    let mut walk = index.walk();
    let directory = root.join(below);
    let files = files_by(&mut |path| {
        let list = || list(&directory.join(path));
        path_of(below, path).map_or_else(list, |path| remembered(index, &path, list))
    })?;
    hash_files(&directory, files, |path, whole| match path_of(below, path) {
        Some(path) => {
            let hashed = walk.file(&path, Content::Binary)?;
            Ok((hashed.hash, hashed.stat.executable))
        }
        None => Ok((compute_file_hash(whole, Content::Binary)?, is_executable(whole)?)),
    })
}

/// Returns the path by which the index knows something in a package; none where it is not UTF-8.
fn path_of(below: &str, path: &Path) -> Option<String> {
    let path = path.to_str()?;
    Some(match (below.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => below.to_owned(),
        _ => format!("{below}/{path}"),
    })
}

/// Returns what is in the directory at `path`: what the index remembers, else what `list` says.
fn remembered(
    index: &StatIndex,
    path: &str,
    list: impl FnOnce() -> Result<Listing, SourceError>,
) -> Result<Listing, SourceError> {
    if let Some(known) = index.listing(path) {
        return Ok(known.lines().filter_map(parsed).collect());
    }
    let listing = list()?;
    // A line is the kind and the name.
    let lines = listing.iter().map(|(name, kind)| {
        let name = name.to_str().filter(|name| !name.contains(['\n', '\r']))?;
        Some(format!("{}{name}\n", kind.letter()))
    });
    if let Some(lines) = lines.collect::<Option<String>>() {
        index.set_listing(path, &lines);
    }
    Ok(listing)
}

fn parsed(line: &str) -> Option<(OsString, Kind)> {
    let mut letters = line.chars();
    let letter = letters.next()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
    Some((letters.as_str().into(), kind))
}

/// Returns the hash of `files` in a directory, which have the hashes that `file` gives, each with whether it can be
/// executed. It is asked with the path from the directory, and with the whole one.
fn hash_files(
    directory: &Path,
    files: Vec<SourceFile>,
    mut file: impl FnMut(&Path, &Path) -> io::Result<(ContentHash, bool)>,
) -> Result<ContentHash, SourceError> {
    use std::os::unix::ffi::OsStrExt;
    let mut fields = Fields::of(FILES);
    for SourceFile { path, kind } in files {
        fields.bytes(path.as_os_str().as_bytes());
        let whole = directory.join(&path);
        match kind {
            Kind::Directory => fields.text("directory"),
            Kind::Link => {
                let target = fs::read_link(&whole).map_err(unreadable(&whole))?;
                fields.text("link").bytes(target.as_os_str().as_bytes())
            }
            Kind::File => {
                let (hash, executable) = file(&path, &whole).map_err(unreadable(&whole))?;
                fields.text(if executable { "program" } else { "file" }).hash(&hash)
            }
        };
    }
    Ok(fields.finish())
}

fn is_executable(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(path.metadata()?.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use proptest::prelude::*;

    use super::*;

    /// What stands in a place of the sources.
    #[derive(Debug, Clone)]
    enum There {
        Nothing,
        Text(bool),
        Program,
        Directory,
        Link(bool),
    }

    fn there() -> impl Strategy<Value = There> {
        prop_oneof![
            Just(There::Nothing),
            any::<bool>().prop_map(There::Text),
            Just(There::Program),
            Just(There::Directory),
            any::<bool>().prop_map(There::Link),
        ]
    }

    const PLACES: [&str; 6] = ["a", "b", "b/c", "b/d", "b/d/e\nf", "b/d/g"];

    /// Puts something else in a place, where the directory of that is there.
    fn put(path: &Path, what: &There) {
        if path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
            fs::remove_dir_all(path).unwrap();
        }
        _ = fs::remove_file(path);
        // The place above may be none for others.
        _ = match what {
            There::Nothing => Ok(()),
            There::Text(one) => fs::write(path, if *one { "one" } else { "two" }),
            There::Program => fs::write(path, "one")
                .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755))),
            There::Directory => fs::create_dir(path),
            There::Link(one) => symlink(if *one { "one" } else { "two" }, path),
        };
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// After any edits, with whatever earlier runs have remembered, sources have the hash that reading them gives.
        #[test]
        fn what_is_remembered_of_sources_is_what_reading_says(
            runs in prop::collection::vec(
                (prop::collection::vec((0..PLACES.len(), there()), 0..5), any::<bool>()), 1..6
            ),
        ) {
            let root = tempfile::tempdir().unwrap();
            let directory = root.path().join("p");
            fs::create_dir(&directory).unwrap();
            for (edits, waits) in runs {
                edits.iter().for_each(|(place, what)| put(&directory.join(PLACES[*place]), what));
                if waits {
                    // Long enough that the next run may trust what it remembers.
                    std::thread::sleep(std::time::Duration::from_millis(25));
                }
                let index = StatIndex::open(root.path(), &root.path().join("index"), false).unwrap();
                let tree = tree_hash(root.path(), "p", &index).unwrap();
                let read = Sources::read(&directory, None).unwrap();
                prop_assert_eq!(Sources::new(directory.clone(), tree, None), read);
                index.save().unwrap();
            }
        }
    }
}
