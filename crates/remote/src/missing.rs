//! Artifacts that did not travel.

use std::collections::BTreeMap;

use larder_store::MappedArtifact;
use larder_trace::ContentHash;

/// Artifacts that did not travel, by hash.
pub type Missing = BTreeMap<ContentHash, Lost>;

/// An artifact that did not travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The path of an output that has this content.
    pub path: String,
    /// Why it did not travel.
    pub reason: String,
}

/// Why artifacts did not travel, by hash.
pub type Reasons = BTreeMap<ContentHash, String>;

/// `reasons` with the paths that `artifacts` give.
pub fn named(
    reasons: BTreeMap<ContentHash, impl ToString>,
    artifacts: &BTreeMap<ContentHash, MappedArtifact>,
) -> Missing {
    let lost = reasons.into_iter().map(|(hash, reason)| {
        let path = artifacts.get(&hash).map(|artifact| artifact.path.clone()).unwrap_or_default();
        (hash, Lost { path, reason: reason.to_string() })
    });
    lost.collect()
}
