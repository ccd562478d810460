//! The files of a package's sources, and their hash.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{Content, ContentHash, StatIndex, Walk, compute_file_hash, describe_io};

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
        let tree = hash_tree(directory, |_, whole| {
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
    let mut found = Vec::new();
    list(directory, Path::new(""), &mut found)?;
    Ok(found)
}

fn list(root: &Path, below: &Path, found: &mut Vec<SourceFile>) -> Result<(), SourceError> {
    let directory = root.join(below);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(unreadable(&directory))? {
        let entry = entry.map_err(unreadable(&directory))?;
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
    names.sort_unstable();
    for (name, kind) in names {
        let path = below.join(name);
        found.push(SourceFile { path: path.clone(), kind });
        if kind == Kind::Directory {
            list(root, &path, found)?;
        }
    }
    Ok(())
}

/// Returns the hash of all that is in the package's directory `below` the set's at `root`: names, content, what can be
/// executed, where links lead. A file is read only where its status is not the one that the index has.
///
/// # Errors
/// When something cannot be read.
pub(super) fn tree_hash(
    root: &Path,
    below: &str,
    index: &StatIndex,
) -> Result<ContentHash, SourceError> {
    let mut walk = index.walk();
    hash_tree(&root.join(below), |path, whole| file(&mut walk, below, path, whole))
}

/// The same of a directory whose files have the hashes that `file` gives, each with whether it can be executed. It is
/// asked with the path from the directory, and with the whole one.
fn hash_tree(
    directory: &Path,
    mut file: impl FnMut(&Path, &Path) -> io::Result<(ContentHash, bool)>,
) -> Result<ContentHash, SourceError> {
    use std::os::unix::ffi::OsStrExt;
    let mut fields = Fields::of(FILES);
    for SourceFile { path, kind } in files(directory)? {
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

fn file(
    walk: &mut Walk<'_>,
    below: &str,
    path: &Path,
    whole: &Path,
) -> io::Result<(ContentHash, bool)> {
    match path.to_str() {
        Some(path) => {
            let path = if below.is_empty() { path.to_owned() } else { format!("{below}/{path}") };
            let hashed = walk.file(&path, Content::Binary)?;
            Ok((hashed.hash, hashed.stat.executable))
        }
        // The index has names in UTF-8 only.
        None => Ok((compute_file_hash(whole, Content::Binary)?, is_executable(whole)?)),
    }
}

fn is_executable(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(path.metadata()?.permissions().mode() & 0o111 != 0)
}
