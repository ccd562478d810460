//! Directories that commands write into.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A directory that is removed with all it holds when it is dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(super) path: PathBuf,
    pub(super) tidy: bool,
}

impl Staging {
    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Mostly empty by now; a command may have left files of its own.
        if fs::remove_dir(&self.path).is_err() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
