//! `clean`: the end of a package's build directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

use crate::{leftovers::build_directories, lock::lock_build, workspace::LARDER_DIR};

/// Why a package was not set up or cleaned.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// There is a manifest already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// No name can be made from the directory's.
    #[error("`{0}` cannot name a package; give one with --name")]
    Name(String),
    /// A file could not be written or removed.
    #[error("{}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Removes everything built in the package at `root`: the build directories, the stat index and what is
/// left of interrupted builds. Fetched packages stay. Waits for a build that is running.
pub fn clean(root: &Path, waiting: impl FnOnce(Option<u32>)) -> Result<(), ScaffoldError> {
    let larder = root.join(LARDER_DIR);
    if !larder.exists() {
        return Ok(());
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io { path, source }
    };
    let _lock = lock_build(&larder, &|| false, waiting).map_err(failed(&larder))?;
    let others = ["index", "tmp", "tests", "failed", "debugger"].map(|name| larder.join(name));
    for path in build_directories(&larder).into_iter().chain(others) {
        let removed = match path.ends_with("index") {
            true => fs::remove_file(&path),
            false => fs::remove_dir_all(&path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
