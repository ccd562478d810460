//! What was installed, as the content of a layer.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use larder_store::check_path;
use larder_trace::{ContentHash, atomic};

use super::{
    Damage, FILES, RECORD,
    listing::{Entry, Listing, leads_out},
    spots::{Spots, find, replaced},
};

/// The content of a layer to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// What is in it.
    pub listing: Listing,
    /// Whether a file other than a text has the path of a layer in it, or any file that of the directory that it
    /// was built in: such a layer is of no use elsewhere.
    pub fixed: bool,
}

impl Collected {
    /// Whether nothing in it names a path of a layer.
    pub fn names_nothing(&self) -> bool {
        let named = |entry: &Entry| matches!(entry, Entry::File { named: true, .. });
        !self.fixed && !self.listing.entries.values().any(named)
    }
}

/// Where something was built and installed, and where it will be.
#[derive(Debug, Clone)]
pub struct Moving<'a> {
    /// The directory that it was built in.
    pub work: &'a Path,
    /// The directory that it was installed in: below that.
    pub from: &'a Path,
    /// The directory that it will be in. Both paths are equally long, so that one can take the other's place in
    /// any file.
    pub to: &'a Path,
}

/// Makes what was installed fit for the place where it will be, and returns what it is. `spots` are as seen from
/// there. Modes become those of layers: readable, and executable or not.
///
/// # Errors
/// What no layer may have in it.
pub fn collect(moving: &Moving<'_>, spots: &Spots) -> Result<Collected, Damage> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (work, from, to) = (text(moving.work), text(moving.from), text(moving.to));
    if from.len() != to.len() {
        return Err(Damage::new(moving.from, format!("is not as long as {to}")));
    }
    let mut fixed = false;
    let listing = walk(
        moving.from,
        &mut |path, mut content, mode| {
            let executable = mode & 0o111 != 0;
            let usual = if executable { 0o755 } else { 0o644 };
            if mode & 0o7777 != usual {
                fs::set_permissions(path, fs::Permissions::from_mode(usual))?;
            }
            let named: Vec<usize> = find(&content, &from).collect();
            if !named.is_empty() {
                content = replaced(&content, named, &from, &to);
                rewrite(path, &content, usual)?;
            }
            fixed |= find(&content, &work).next().is_some();
            let entry = entry(&content, executable, spots);
            fixed |= matches!(entry, Entry::File { named: false, .. }) && spots.stand_in(&content);
            Ok(entry)
        },
        &mut |path, target| {
            // A link by its whole path comes along with the rest.
            let Ok(inside) = Path::new(target).strip_prefix(moving.from) else { return Ok(None) };
            let up = path.strip_prefix(moving.from).map_or(0, |path| path.components().count() - 1);
            let to: PathBuf = std::iter::repeat_n("..", up).collect::<PathBuf>().join(inside);
            fs::remove_file(path)?;
            std::os::unix::fs::symlink(&to, path)?;
            Ok(Some(text(&to)))
        },
    )?;
    Ok(Collected { listing, fixed })
}

/// Returns what is in a layer, and changes nothing.
pub fn look(directory: &Path, spots: &Spots) -> Result<Listing, Damage> {
    walk(
        directory,
        &mut |_, content, mode| Ok(entry(&content, mode & 0o111 != 0, spots)),
        &mut |_, _| Ok(None),
    )
}

/// Checks that a directory has nothing in it that leads out of it, and returns how many files and links it has.
///
/// # Errors
/// What no layer may have in it.
pub fn check_tree(directory: &Path) -> Result<usize, Damage> {
    let none = Spots::new(directory, &[]);
    let found = look(directory, &none)?;
    let is_there = |entry: &&Entry| !matches!(entry, Entry::Directory);
    Ok(found.entries.values().filter(is_there).count())
}

fn entry(content: &[u8], executable: bool, spots: &Spots) -> Entry {
    let named = match spots.stand_in(content) {
        true => spots.named(content),
        false => None,
    };
    let bytes = named.as_deref().unwrap_or(content);
    Entry::File {
        hash: ContentHash::of_bytes(bytes),
        size: bytes.len() as u64,
        executable,
        named: named.is_some(),
    }
}

/// Puts other content in the place of a file. Another name of the same file keeps what it has.
fn rewrite(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    atomic::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Takes a file's path, content and mode.
type OfFile<'f> = dyn FnMut(&Path, Vec<u8>, u32) -> io::Result<Entry> + 'f;
/// Takes a link's path and where it leads, and returns where it leads instead.
type OfLink<'f> = dyn FnMut(&Path, &str) -> io::Result<Option<String>> + 'f;

/// Returns all that is below `directory`, but for what larder keeps there.
fn walk(
    directory: &Path,
    of_file: &mut OfFile<'_>,
    of_link: &mut OfLink<'_>,
) -> Result<Listing, Damage> {
    let mut listing = Listing::default();
    let mut stack = vec![(directory.to_owned(), String::new())];
    while let Some((directory, path)) = stack.pop() {
        let failed = |error: io::Error| Damage::io(&directory, &error);
        if directory.metadata().map_err(failed)?.mode() & 0o700 != 0o700 {
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        }
        let mut empty = true;
        for found in fs::read_dir(&directory).map_err(failed)? {
            let found = found.map_err(failed)?;
            empty = false;
            let inner = found.path();
            let failed = |error: io::Error| Damage::io(&inner, &error);
            let name = found.file_name();
            let name =
                name.to_str().ok_or_else(|| Damage::new(&inner, "has a name that is not UTF-8"))?;
            if path.is_empty() && matches!(name, RECORD | FILES) {
                continue;
            }
            let inner_path =
                if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let kind = found.file_type().map_err(failed)?;
            if kind.is_dir() {
                stack.push((inner, inner_path));
                continue;
            }
            check_path(&inner_path).map_err(|error| Damage::new(&inner, error.to_string()))?;
            let entry = if kind.is_file() {
                let mode = found.metadata().map_err(failed)?.permissions().mode();
                let content = fs::read(&inner).map_err(failed)?;
                of_file(&inner, content, mode).map_err(failed)?
            } else if kind.is_symlink() {
                let to = fs::read_link(&inner).map_err(failed)?;
                let to = to
                    .to_str()
                    .ok_or_else(|| Damage::new(&inner, "is a link to a name that is not UTF-8"))?;
                let to = of_link(&inner, to).map_err(failed)?.unwrap_or_else(|| to.to_owned());
                if leads_out(&inner_path, &to) {
                    let reason = format!("is a link to {to}, which leads out of the prefix");
                    return Err(Damage::new(&inner, reason));
                }
                Entry::Link { to }
            } else {
                return Err(Damage::new(&inner, "is neither a file, a link nor a directory"));
            };
            listing.entries.insert(inner_path, entry);
        }
        if empty && !path.is_empty() {
            check_path(&path).map_err(|error| Damage::new(&directory, error.to_string()))?;
            listing.entries.insert(path, Entry::Directory);
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A place where something was installed, and where it is to go.
    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join("work/h/p")).unwrap();
            Self { root }
        }

        fn prefix(&self) -> PathBuf {
            self.root.path().join("work/h/p")
        }

        fn layer(&self) -> PathBuf {
            self.root.path().join("layers/h")
        }

        fn file(&self, path: &str, content: &[u8]) -> &Self {
            let path = self.prefix().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            self
        }

        fn collect(&self) -> Result<Collected, Damage> {
            let (work, from, to) = (self.root.path().join("work/h"), self.prefix(), self.layer());
            let moving = Moving { work: &work, from: &from, to: &to };
            collect(&moving, &Spots::new(&to, &[]))
        }
    }

    #[test]
    fn what_names_its_prefix_in_texts_is_the_same_everywhere() {
        let installed = || {
            let place = Place::new();
            let prefix = place.prefix().display().to_string();
            place
                .file(
                    "lib/pkgconfig/z.pc",
                    format!("prefix={prefix}\nlibdir={prefix}/lib\n").as_bytes(),
                )
                .file("lib/libz.a", b"\0object");
            symlink("libz.a", place.prefix().join("lib/libzz.a")).unwrap();
            symlink(place.prefix().join("lib/libz.a"), place.prefix().join("z.a")).unwrap();
            fs::create_dir(place.prefix().join("empty")).unwrap();
            place
        };
        let (one, other) = (installed(), installed());
        let (collected, again) = (one.collect().unwrap(), other.collect().unwrap());
        assert_eq!(collected, again);
        assert!(!collected.fixed && !collected.names_nothing());
        let text = fs::read_to_string(one.prefix().join("lib/pkgconfig/z.pc")).unwrap();
        let layer = one.layer().display().to_string();
        assert_eq!(text, format!("prefix={layer}\nlibdir={layer}/lib\n"));
        assert_eq!(fs::read_link(one.prefix().join("z.a")).unwrap(), Path::new("lib/libz.a"));
        let paths: Vec<&str> = collected.listing.entries.keys().map(String::as_str).collect();
        assert_eq!(paths, ["empty", "lib/libz.a", "lib/libzz.a", "lib/pkgconfig/z.pc", "z.a"]);
    }

    #[test]
    fn what_names_its_prefix_elsewhere_is_fixed_and_names_the_right_one() {
        let place = Place::new();
        let prefix = place.prefix().display().to_string();
        place.file("bin/x", format!("\0\x01{prefix}/share\0").as_bytes());
        let collected = place.collect().unwrap();
        assert!(collected.fixed);
        let layer = place.layer().display().to_string();
        let content = fs::read(place.prefix().join("bin/x")).unwrap();
        assert_eq!(content, format!("\0\x01{layer}/share\0").as_bytes());
        for content in ["built in WORK/src\n", "\0WORK/src/a.c\0"] {
            let place = Place::new();
            let work = place.root.path().join("work/h").display().to_string();
            place.file("a", content.replace("WORK", &work).as_bytes());
            assert!(place.collect().unwrap().fixed, "{content:?}");
        }
        let plain = Place::new();
        plain.file("a", b"nothing");
        assert!(plain.collect().unwrap().names_nothing());
    }

    #[test]
    fn modes_are_those_of_layers() {
        let place = Place::new();
        place.file("bin/x", b"#!/bin/sh\n").file("etc/secret", b"");
        let mode = |path: &str, mode| {
            let path = place.prefix().join(path);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("bin/x", 0o4711);
        mode("etc/secret", 0o600);
        let collected = place.collect().unwrap();
        let mode = |path: &str| place.prefix().join(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode("bin/x"), mode("etc/secret")), (0o755, 0o644));
        let executable = |path: &str| {
            matches!(collected.listing.entries[path], Entry::File { executable: true, .. })
        };
        assert!(executable("bin/x") && !executable("etc/secret"));
    }

    #[test]
    fn what_no_layer_may_have_is_refused() {
        for (target, said) in [
            ("/etc/passwd", "is a link to /etc/passwd, which leads out of the prefix"),
            ("../../..", "leads out of the prefix"),
        ] {
            let place = Place::new();
            fs::create_dir(place.prefix().join("lib")).unwrap();
            symlink(target, place.prefix().join("lib/l")).unwrap();
            let error = place.collect().unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("p/lib/l"), "{error}");
        }
        let place = Place::new();
        let _socket = std::os::unix::net::UnixListener::bind(place.prefix().join("s")).unwrap();
        let error = place.collect().unwrap_err().to_string();
        assert!(error.ends_with("p/s: is neither a file, a link nor a directory"), "{error}");
    }
}
