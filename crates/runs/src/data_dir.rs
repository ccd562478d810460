//! Where everything is.

use std::path::{Path, PathBuf};

/// The directory of an ecosystem's data, `DATA`, and the places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

/// The file that makes a directory that of a package set.
const SET: &str = "larder-set.toml";

/// Where the data of a package set are, beside that file.
const DATA: &str = ".larder/data";

/// The nearest directory of a package set, from `start` upwards.
fn set_above(start: &Path) -> Option<PathBuf> {
    let start = std::path::absolute(start).ok()?;
    start.ancestors().find(|directory| directory.join(SET).is_file()).map(PathBuf::from)
}

impl DataDir {
    /// The data directory that a command uses: the one `given`, else `$LARDER_DATA_DIR`, else
    /// `.larder/data` beside the `larder-set.toml` of `start` or the nearest directory above it.
    /// `None` when there is none of these.
    pub fn find(given: Option<&Path>, start: &Path) -> Option<DataDir> {
        let variable = || std::env::var_os("LARDER_DATA_DIR").filter(|value| !value.is_empty());
        if let Some(root) = given.map(PathBuf::from).or_else(|| variable().map(PathBuf::from)) {
            return Some(DataDir { root });
        }
        Some(DataDir { root: set_above(start)?.join(DATA) })
    }

    /// The `larder-set.toml` of the package set whose data these are: the one that they stand beside, else
    /// that of `start` or the nearest directory above it. `None` when there is none.
    pub fn set(&self, start: &Path) -> Option<PathBuf> {
        let root = std::path::absolute(&self.root).ok()?;
        let beside = root.ancestors().nth(2).filter(|_| root.ends_with(DATA));
        let beside = beside.filter(|directory| directory.join(SET).is_file()).map(PathBuf::from);
        Some(beside.or_else(|| set_above(start))?.join(SET))
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

    /// `graphs`: who needs whom, one file a graph.
    pub fn graphs(&self) -> PathBuf {
        self.root.join("graphs")
    }

    /// `layers`: one directory a build hash.
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// `html`: published documentation.
    pub fn html(&self) -> PathBuf {
        self.root.join("html")
    }

    /// `revisions/set`: checkouts of the set, one directory a commit.
    pub fn revisions(&self) -> PathBuf {
        self.root.join("revisions/set")
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
