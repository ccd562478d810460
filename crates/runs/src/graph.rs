//! Who needs whom: the builds of a set's solutions.
//!
//! A graph has a name made from what is in it, and most runs have that of the run before: `references.json` of
//! a run names its graph, and `DATA/graphs/<name>.json` is written once.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::name::{HashName, PackageName};

/// The version of the file's form.
pub const SCHEMA_VERSION: u32 = 2;

/// The content of `graphs/<name>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildGraph {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The hash of each compiler's tools and of the platform, by the compiler's package.
    pub tools: BTreeMap<PackageName, HashName>,
    /// All builds; each comes after what it needs.
    pub builds: Vec<Node>,
}

/// A build in a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// The package version.
    pub package: PackageName,
    /// The compiler's package.
    pub compiler: PackageName,
    /// The digest of its own sources and of how it is built.
    pub digest: HashName,
    /// The hash of its dependency closure.
    pub universe: HashName,
    /// The hash that names it and its layer.
    pub build_hash: HashName,
    /// Whether it is the build of its package version that counts first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blessed: bool,
    /// The positions of the builds that it needs directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<u32>,
}

/// Where a graph is.
pub fn path(data: &DataDir, name: &HashName) -> PathBuf {
    data.graphs().join(format!("{name}.json"))
}

/// Reads a graph. Missing, malformed and of another version all mean that there is none, and so do needs that are no
/// builds before it.
pub fn read(data: &DataDir, name: &HashName) -> Option<BuildGraph> {
    let is_sound = |graph: &BuildGraph| {
        let mut builds = graph.builds.iter().enumerate();
        graph.schema_version == SCHEMA_VERSION
            && builds.all(|(at, node)| node.needs.iter().all(|&need| (need as usize) < at))
    };
    file::read_json(&path(data, name)).filter(is_sound)
}

/// Writes a graph that is not there.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be written.
pub(crate) fn write_missing(
    data: &DataDir,
    name: &HashName,
    graph: impl FnOnce() -> BuildGraph,
) -> Result<()> {
    let path = path(data, name);
    if path.is_file() {
        return Ok(());
    }
    file::create_dirs(&data.graphs())?;
    let json = serde_json::to_vec(&graph()).map_err(io::Error::from).context("write", &path)?;
    // It can be made again.
    file::write_atomic(&path, &json, Durability::Process)
}
