//! Where everything lies inside a store directory.

use std::path::{Path, PathBuf};

use larder_trace::ContentHash;

use crate::{Revision, Scope};

/// The paths of a store:
///
/// ```text
/// artifacts/<2 hex>/<hash>           content, read-only
/// outputs/<scope>/<dep hash>.json    candidates, newest first
/// revisions/<scope>/<rev>.jsonl      mappings files fetched from a service
/// snapshots/<hash>                   what revisions of services lean on; can be fetched again
/// partial/<hash>                     large artifacts on their way in
/// quarantine/<name>                  what was found corrupt
/// running/<pid>-<n>                  one locked file for each process that uses the store
/// stats.json                         counters
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the store at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The store directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The artifact `hash`.
    pub fn artifact(&self, hash: &ContentHash) -> PathBuf {
        let name = hash.to_string();
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + 80);
        path.push(&self.root);
        path.push("artifacts");
        path.push(&name[..2]);
        path.push(&name);
        path
    }

    /// All mapping entries.
    pub fn outputs(&self) -> PathBuf {
        self.root.join("outputs")
    }

    /// The candidates recorded for `dep_hash`.
    pub fn candidates(&self, scope: &Scope, dep_hash: &ContentHash) -> PathBuf {
        let mut path = self.outputs();
        path.push(scope.as_str());
        path.push(format!("{dep_hash}.json"));
        path
    }

    /// All fetched mappings files.
    pub fn revisions(&self) -> PathBuf {
        self.root.join("revisions")
    }

    /// The mappings file of `revision`.
    pub fn revision(&self, scope: &Scope, revision: &Revision) -> PathBuf {
        self.revisions().join(scope.as_str()).join(format!("{revision}.jsonl"))
    }

    /// All snapshots that revisions of services lean on.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// A snapshot that revisions of a service lean on.
    pub fn snapshot(&self, hash: &ContentHash) -> PathBuf {
        self.snapshots().join(hash.to_string())
    }

    /// All large artifacts on their way in.
    pub fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Where a large artifact is collected until it is whole.
    pub fn partial(&self, hash: &ContentHash) -> PathBuf {
        self.partials().join(hash.to_string())
    }

    /// Where corrupt files go.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Where running processes show themselves.
    pub(crate) fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// The lock that collections hold.
    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.root.join("gc.lock")
    }

    /// The counters.
    pub(crate) fn stats(&self) -> PathBuf {
        self.root.join("stats.json")
    }
}
