//! Where everything is.

use std::path::{Path, PathBuf};

/// The directory of an ecosystem's data, `DATA`, and the places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

/// The file that makes a directory that of a package set.
const SET: &str = "larder-set.toml";

impl DataDir {
    /// The data directory that a command uses: the one `given`, else `$LARDER_DATA_DIR`, else
    /// `.larder/data` beside the `larder-set.toml` of `start` or the nearest directory above it.
    /// `None` when there is none of these.
    pub fn find(given: Option<&Path>, start: &Path) -> Option<DataDir> {
        let variable = || std::env::var_os("LARDER_DATA_DIR").filter(|value| !value.is_empty());
        if let Some(root) = given.map(PathBuf::from).or_else(|| variable().map(PathBuf::from)) {
            return Some(DataDir { root });
        }
        let start = std::path::absolute(start).ok()?;
        let set = start.ancestors().find(|directory| directory.join(SET).is_file())?;
        Some(DataDir { root: set.join(".larder/data") })
    }

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

    /// `rules.toml`: the ecosystem's own classification rules.
    pub fn rules(&self) -> PathBuf {
        self.root.join("rules.toml")
    }

    /// `locks`.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }
}
