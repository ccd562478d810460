//! Paths that mean different things, as different types.
//!
//! [`PackagePath`] starts in a package's directory, [`BuildPath`] in its build directory, [`RootPath`]
//! in the root package's; [`PortablePath`] means the same on every machine. Absolute paths are
//! `PathBuf`s. [`Place`](crate::place::Place) and [`Places`](crate::place::Places) turn one into
//! another. Copies are cheap: all are shared strings.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::glob::is_inside;

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
    };
}

path_type! {
    /// A file or directory of a package, relative to its directory, without `..`.
    PackagePath
}
path_type! {
    /// A file or directory in a package's build directory, relative to that, without `..`.
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
    /// Checks a path of a manifest; a leading `./` and a final `/` are dropped.
    ///
    /// # Errors
    /// It is empty, absolute, or has `..` in it.
    pub fn new(path: &str) -> Result<Self, PathError> {
        inside(path).map(Self)
    }
}

impl BuildPath {
    /// Checks the path of an output; a leading `./` and a final `/` are dropped.
    ///
    /// # Errors
    /// It is empty, absolute, or has `..` in it.
    pub fn new(path: &str) -> Result<Self, PathError> {
        inside(path).map(Self)
    }
}

impl PortablePath {
    /// Takes a path out of a record. Whether it names anything here is for
    /// [`Places::find`](crate::place::Places::find) to say.
    pub fn recorded(path: &str) -> Self {
        Self(path.into())
    }
}

fn inside(path: &str) -> Result<Arc<str>, PathError> {
    if !is_inside(path) {
        return Err(PathError::Outside(path.to_owned()));
    }
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if path.is_empty() { Err(PathError::Empty) } else { Ok(path.into()) }
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
        assert_eq!(PackagePath::new("./src/a.c").unwrap().as_str(), "src/a.c");
        assert_eq!(BuildPath::new("gen/").unwrap().as_str(), "gen");
        assert_eq!(BuildPath::new(""), Err(PathError::Empty));
        for outside in ["/etc/passwd", "../x", "a/../../x", "a\0b"] {
            assert_eq!(PackagePath::new(outside), Err(PathError::Outside(outside.to_owned())));
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
