//! The mappings in a store that services gave.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use larder_store::{Layout, Scope};

use crate::{
    Provenance, kept,
    on_demand::{ORIGIN, Origin},
};

/// A mappings file in a store that a service gave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    /// The service's name in the configuration.
    pub service: String,
    /// The scope under which builds look its mappings up.
    pub local_scope: Scope,
    /// The mappings file.
    pub path: PathBuf,
}

impl Given {
    /// Everything that a store was given, sorted: revisions that were got, and mappings whose artifacts
    /// are fetched on demand.
    pub fn all(layout: &Layout) -> BTreeSet<Self> {
        let got = Provenance::all(layout).into_iter().map(|(path, provenance)| Self {
            service: provenance.service,
            local_scope: provenance.local_scope,
            path,
        });
        got.chain(kept::ending_in(layout, ORIGIN).iter().filter_map(|path| added(path))).collect()
    }
}

/// The mappings that belong to the origin at `path`, where that says for which builds.
fn added(path: &Path) -> Option<Given> {
    let origin: Origin = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let path = kept::beside(path, kept::MAPPINGS);
    Some(Given { service: origin.service, local_scope: origin.local_scope?, path })
}
