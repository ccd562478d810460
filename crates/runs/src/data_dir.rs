//! Where everything is.

use std::path::{Path, PathBuf};

/// The directory of an ecosystem's data, `DATA`, and the places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The data in this directory, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> DataDir {
        DataDir { root: root.into() }
    }

    /// The directory itself, which holds `status.json`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `runs`: one directory a run.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// `packages`: one directory a package, with its history.
    pub fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// `layers`: one directory a build hash.
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// `html`: published documentation.
    pub fn html(&self) -> PathBuf {
        self.root.join("html")
    }

    /// `locks`.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }
}
