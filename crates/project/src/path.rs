//! Paths that mean different things, as different types.
//!
//! [`PackagePath`] starts in a package's directory, [`BuildPath`] in its build directory, [`RootPath`]
//! in the root package's; [`PortablePath`] means the same on every machine. Absolute paths are
//! `PathBuf`s. [`Place`](crate::place::Place) and [`Places`](crate::place::Places) turn one into
//! another. All keep the spelling that they were made with: it is traced. Copies are cheap: all are
//! shared strings.

use std::{
    borrow::Borrow,
    cell::RefCell,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::glob::is_inside;

/// Begins the name, among the outputs in a directory where commands write where they like, of one that lies
/// somewhere else; its absolute path follows.
pub(crate) const ELSEWHERE: &str = "<elsewhere>/";

/// A text that is no path of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is absolute, leaves where it starts by `..`, or holds a NUL byte.
    #[error("`{0}` is outside the directory that it starts in")]
    Outside(String),
    /// It is empty.
    #[error("an empty path")]
    Empty,
    /// It names a package that the workspace does not have.
    #[error("there is no package `{0}` here")]
    NoPackage(String),
}

macro_rules! path_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) Arc<str>);

        impl $name {
            /// The path as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// For maps with such keys: a path is hashed and compared as its text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

path_type! {
    /// A file or directory of a package, relative to its directory, without `..`; empty for that
    /// directory itself.
    PackagePath
}
path_type! {
    /// A file or directory in a package's build directory, relative to that, without `..`.
    #[derive(Serialize)]
    #[serde(transparent)]
    BuildPath
}
path_type! {
    /// A file or directory, relative to the root package's directory where it is inside that, else
    /// absolute: the form that the stat index keeps.
    RootPath
}
path_type! {
    /// A file as records have it: `src/a.h` in the package that the record is of, `@zlib/zlib.h` in
    /// another, `<build>/gen.h` in the build directory, else absolute. What would be taken for one of
    /// these and is not starts with `./`.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    PortablePath
}

impl PackagePath {
    /// Checks the path of something in a package.
    ///
    /// # Errors
    /// It is absolute or has `..` in it.
    pub fn new(path: &str) -> Result<Self, PathError> {
        inside(path).map(Self)
    }

    /// Returns what records of the package itself call it.
    pub fn portable(&self) -> PortablePath {
        PortablePath(self.0.clone())
    }
}

impl BuildPath {
    /// Checks the path of something in a build directory.
    ///
    /// # Errors
    /// It is empty, absolute, or has `..` in it.
    pub fn new(path: &str) -> Result<Self, PathError> {
        if path.is_empty() { Err(PathError::Empty) } else { inside(path).map(Self) }
    }

    /// Whether it is where outputs of a step belong, rather than somewhere else (see
    /// [`Place::written`](crate::place::Place::written)).
    pub fn is_inside(&self) -> bool {
        !self.0.starts_with(ELSEWHERE)
    }

    /// Returns the path of `name`, one component, in this directory.
    pub fn join(&self, name: &str) -> Self {
        Self(concat(&[&self.0, "/", name]))
    }

    /// Returns the directories that it is in, the outermost first.
    pub fn parents(&self) -> impl Iterator<Item = Self> {
        self.0.match_indices('/').map(|(at, _)| Self(self.0[..at].into()))
    }
}

impl RootPath {
    /// Takes the path of a file of the system as it is, if it is absolute.
    pub fn absolute(path: &str) -> Option<Self> {
        path.starts_with('/').then(|| Self(path.into()))
    }

    /// Returns the path of `name` in this directory.
    pub fn join(&self, name: &str) -> Self {
        let between = if self.0.is_empty() { "" } else { "/" };
        Self(concat(&[&self.0, between, name]))
    }
}

impl PortablePath {
    /// Takes a path out of a record. Whether it names anything here is for
    /// [`Places::find`](crate::place::Places::find) to say.
    pub fn recorded(path: &str) -> Self {
        Self(path.into())
    }
}

impl From<PathError> for io::Error {
    fn from(error: PathError) -> Self {
        Self::new(io::ErrorKind::InvalidFilename, error)
    }
}

fn inside(path: &str) -> Result<Arc<str>, PathError> {
    if is_inside(path) { Ok(path.into()) } else { Err(PathError::Outside(path.to_owned())) }
}

/// Returns the text of `parts` one after the other. It allocates once, where a string that is made
/// shared afterwards is allocated twice: a build makes some paths for each of its objects.
pub(crate) fn concat(parts: &[&str]) -> Arc<str> {
    thread_local! {
        static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    }
    TEXT.with_borrow_mut(|text| {
        text.clear();
        text.extend(parts.iter().copied());
        text.as_str().into()
    })
}

/// Returns the file that a program in `directory`, which is absolute, opens as `path`, without `.`,
/// doubled slashes and `..`.
///
/// The kernel follows a symbolic link before it goes up from there. So `a/..` is taken out only where
/// `a` is no link; after a link `..` stays, and so does every `..` that follows it.
pub(crate) fn as_opened(directory: &Path, path: &str) -> PathBuf {
    let mut found = if path.starts_with('/') { PathBuf::from("/") } else { directory.to_owned() };
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part != ".." {
            found.push(part);
            continue;
        }
        match fs::symlink_metadata(&found).map(|metadata| metadata.is_symlink()) {
            // What is not there yet is no link.
            Ok(false) | Err(_) if found.file_name().is_some() => {
                found.pop();
            }
            // Where the link leads decides as well, so it stays in the path.
            Ok(true) => found.push(".."),
            // Above `/` is `/`; after a `..` that stayed, so does this one.
            _ if found.parent().is_none() => {}
            _ => found.push(".."),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_are_checked() {
        for inside in ["./src/a.c", "gen/", "a..b"] {
            assert_eq!(PackagePath::new(inside).unwrap().as_str(), inside);
            assert_eq!(BuildPath::new(inside).unwrap().as_str(), inside);
        }
        assert_eq!(BuildPath::new(""), Err(PathError::Empty));
        for outside in ["/etc/passwd", "../x", "a/../../x", "a\0b"] {
            assert_eq!(PackagePath::new(outside), Err(PathError::Outside(outside.to_owned())));
        }
    }

    #[test]
    fn directories_above_and_files_below() {
        let parents = BuildPath::new("a/b/c").unwrap();
        assert_eq!(
            parents.parents().map(|path| path.to_string()).collect::<Vec<_>>(),
            ["a", "a/b"]
        );
        for (directory, joined) in [("", "x"), ("a", "a/x"), ("/w/a", "/w/a/x")] {
            assert_eq!(RootPath(directory.into()).join("x").as_str(), joined);
        }
    }

    #[test]
    fn going_up_from_a_link_stays_in_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("p/src")).unwrap();
        fs::create_dir_all(root.join("other/deep")).unwrap();
        fs::write(root.join("other/v.h"), "").unwrap();
        symlink(root.join("other/deep"), root.join("p/link")).unwrap();
        let package = root.join("p");
        for (said, file) in [
            ("link/../v.h", "p/link/../v.h"),
            ("src/../link/.././v.h", "p/link/../v.h"),
            ("src/../a.h", "p/a.h"),
            ("gone/../a.h", "p/a.h"),
            ("../other//v.h", "other/v.h"),
            ("link/x.h", "p/link/x.h"),
        ] {
            assert_eq!(as_opened(&package, said), root.join(file), "{said}");
        }
        assert_eq!(as_opened(&package, "/../../usr/x.h"), Path::new("/usr/x.h"));
    }
}
