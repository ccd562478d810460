//! What a service holds of a revision.

use std::collections::BTreeSet;

use larder_store::{Mappings, Revision, Scope, Store};
use larder_trace::ContentHash;

use crate::{RemoteError, Service, recent, revision::Revisions};

/// What a service holds of a revision.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Its mappings.
    pub mappings: Mappings,
    /// The artifacts in its packs.
    pub artifacts: BTreeSet<ContentHash>,
}

/// Returns what `service` holds of a revision; `None` where it does not have it. `store` keeps the
/// snapshot that is read.
///
/// # Errors
/// When the service does not answer, or the revision cannot be used.
pub fn held(
    service: &Service,
    scope: &Scope,
    revision: &Revision,
    store: &Store,
) -> Result<Option<Held>, RemoteError> {
    let revisions = Revisions { service, scope, store: Some(store), trust: service.trust() };
    let published = service.block_on(revisions.read(revision))?;
    Ok(published.map(|published| {
        let packs = published.content.packs.values();
        let artifacts = packs.flat_map(|pack| pack.index.artifacts()).map(|held| held.hash);
        Held { artifacts: artifacts.collect(), mappings: published.content.mappings }
    }))
}

/// Returns the revision of `scope` to compare with: the first of `commits` that is among the newest, or else
/// the newest of all.
///
/// # Errors
/// When the service does not answer.
pub fn nearest(
    service: &Service,
    scope: &Scope,
    commits: &[Revision],
) -> Result<Option<Revision>, RemoteError> {
    let recent = service.block_on(recent::read(service, scope))?;
    let nearest = commits.iter().find(|commit| recent.contains(commit));
    Ok(nearest.or(recent.first()).cloned())
}

/// Returns the first of `revisions` that is among the newest of `scope`.
///
/// # Errors
/// When the service does not answer.
pub fn newest_of<'r>(
    service: &Service,
    scope: &Scope,
    revisions: &'r [Revision],
) -> Result<Option<&'r Revision>, RemoteError> {
    let recent = service.block_on(recent::read(service, scope))?;
    Ok(revisions.iter().find(|revision| recent.contains(revision)))
}
