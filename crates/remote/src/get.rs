//! Getting a revision: its mappings, and the artifacts that the store lacks.

use std::thread;

use futures_util::{StreamExt, future, stream};
use larder_store::{Mappings, Revision, Scope, Store};
use larder_trace::ContentHash;

use crate::{
    Catalogue, Missing, RemoteError, Service, Transfer,
    catalogue::RemotePack,
    fetch::Fetch,
    known::known_packs,
    on_demand::{self, Origin},
    paths,
    plan::Wanted,
    retry::Attempts,
};

/// Mappings and artifacts to get from a service.
pub struct Get<'a> {
    /// From where.
    pub service: &'a Service,
    /// Into which store.
    pub store: &'a Store,
    /// Under which scope the service files it.
    pub scope: &'a Scope,
    /// Under which scope builds look it up.
    pub local_scope: &'a Scope,
    /// Only the mappings; artifacts are fetched when a build wants them.
    pub mappings_only: bool,
    /// Trust nothing that is in the store: rehash it, and fetch again what fails.
    pub force: bool,
    /// Called from many threads.
    pub progress: &'a (dyn Fn(Transfer) + Sync),
}

/// The result of a [`get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetReport {
    /// The revision that the service had; `None` when the mappings were given.
    pub revision: Option<Revision>,
    /// Mapping entries recorded.
    pub mappings: usize,
    /// Artifacts fetched.
    pub fetched: usize,
    /// Artifacts that were in the store already, or in an offline store behind it.
    pub present: usize,
    /// Artifacts that did not arrive. The mappings are recorded all the same: a build that wants one of
    /// these makes it.
    pub missing: Missing,
}

/// Gets the first of `revisions` that the service has; `None` when it has none of them.
pub fn get(get: &Get<'_>, revisions: &[Revision]) -> Result<Option<GetReport>, RemoteError> {
    let service = get.service;
    let Some((revision, found)) = service.block_on(first_of(get, revisions))? else {
        return Ok(None);
    };
    let layout = get.store.layout();
    if get.mappings_only {
        get.store.record_all(get.local_scope, &found.mappings)?;
        let origin = Origin {
            service: service.name().to_owned(),
            scope: get.scope.clone(),
            revision: Some(revision.clone()),
        };
        on_demand::add(get.store, &origin, &found.mappings, Some(&found.catalogue))?;
        return Ok(Some(GetReport {
            revision: Some(revision),
            mappings: found.mappings.len(),
            fetched: 0,
            present: 0,
            missing: Missing::new(),
        }));
    }
    let wanted = wanted(get, &found.mappings);
    let mut report = fetch(get, &found.mappings, wanted, &found.catalogue.packs)?;
    found.mappings.write(&layout.revision(get.scope, &revision))?;
    report.revision = Some(revision);
    Ok(Some(report))
}

/// Gets the artifacts of `mappings`, wherever the newest revisions of the service have them.
pub fn get_mappings(get: &Get<'_>, mappings: &Mappings) -> Result<GetReport, RemoteError> {
    let wanted = wanted(get, mappings);
    let packs = match wanted.is_empty() {
        true => Vec::new(),
        false => get.service.block_on(known_packs(get.service, get.scope))?.into_values().collect(),
    };
    fetch(get, mappings, wanted, &packs)
}

/// The artifacts of `mappings` that are not here.
fn wanted(get: &Get<'_>, mappings: &Mappings) -> Wanted {
    let mut wanted: Wanted = mappings.artifacts();
    wanted.retain(|hash, artifact| {
        let here = get.store.is_intact(hash, artifact.size);
        !(here || !get.force && get.store.holds_offline(hash))
    });
    wanted
}

fn fetch(
    get: &Get<'_>,
    mappings: &Mappings,
    wanted: Wanted,
    packs: &[RemotePack],
) -> Result<GetReport, RemoteError> {
    let all = mappings.artifacts().len();
    let Get { service, store, scope, progress, .. } = *get;
    // Whoever finds a mapping before its artifacts finds a miss; so these need not wait for those.
    let (missing, recorded) = thread::scope(|threads| {
        let recording = threads.spawn(|| store.record_all(get.local_scope, mappings));
        let missing = Fetch { service, scope, store, wanted: &wanted, progress }.run(packs);
        (missing, recording.join())
    });
    if let Ok(recorded) = recorded {
        recorded?;
    }
    Ok(GetReport {
        revision: None,
        mappings: mappings.len(),
        fetched: wanted.len() - missing.len(),
        present: all - wanted.len(),
        missing,
    })
}

struct Found {
    mappings: Mappings,
    catalogue: Catalogue,
}

/// The first revision is asked for outright; for the others, the service is first asked which it
/// has, many at once.
async fn first_of(
    get: &Get<'_>,
    revisions: &[Revision],
) -> Result<Option<(Revision, Found)>, RemoteError> {
    let Some((first, others)) = revisions.split_first() else { return Ok(None) };
    if let Some(found) = read(get, first).await? {
        return Ok(Some((first.clone(), found)));
    }
    let service = get.service;
    let mut probes = stream::iter(others)
        .map(|revision| {
            let object = paths::mappings(get.scope, revision);
            async move { (revision, service.length(&object).await) }
        })
        .buffered(service.connections);
    while let Some((revision, length)) = probes.next().await {
        if length?.is_some()
            && let Some(found) = read(get, revision).await?
        {
            return Ok(Some((revision.clone(), found)));
        }
    }
    Ok(None)
}

/// Reads the mappings file and the catalogue until they fit together: either may have been damaged
/// on the way, or be being replaced.
async fn read(get: &Get<'_>, revision: &Revision) -> Result<Option<Found>, RemoteError> {
    let service = get.service;
    let object = paths::mappings(get.scope, revision);
    let catalogue_object = paths::catalogue(get.scope, revision);
    let mut attempts = Attempts::default();
    loop {
        let (text, catalogue) =
            future::join(service.read(&object), service.read(&catalogue_object)).await;
        let Some(text) = text? else { return Ok(None) };
        let error = match Catalogue::parse(&catalogue?.unwrap_or_default()) {
            Ok(catalogue) if catalogue.mappings == ContentHash::of_bytes(&text) => {
                return match Mappings::parse(&text) {
                    Ok(mappings) => Ok(Some(Found { mappings, catalogue })),
                    Err(source) => {
                        let service = service.name().to_owned();
                        Err(RemoteError::Mappings { service, object, source })
                    }
                };
            }
            Ok(_) => RemoteError::Request {
                service: service.name().to_owned(),
                action: "read",
                object: object.clone(),
                reason: "it does not match its catalogue".to_owned(),
            },
            Err(source) => RemoteError::Catalogue {
                service: service.name().to_owned(),
                object: catalogue_object.clone(),
                source,
            },
        };
        tracing::debug!(%error, "reading again");
        if !attempts.failed(&service.health).await {
            return Err(error);
        }
    }
}
