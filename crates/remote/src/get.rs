//! Getting a revision: its mappings, and the artifacts that the store lacks.

use std::{collections::BTreeSet, thread};

use futures_util::{StreamExt, stream};
use larder_store::{MappedArtifact, Mappings, Revision, Scope, Store, published::PublishedPack};
use larder_trace::{ContentHash, Outputs};

use crate::{
    Missing, Provenance, RemoteError, Service, Transfer,
    fetch::Fetch,
    missing,
    on_demand::{self, Origin},
    plan::Wanted,
    recent,
    revision::{Published, Revisions},
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// What came of looking through some revisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// What was got; `None` when no revision could be used.
    pub report: Option<GetReport>,
    /// The revisions that were there and walked past, and why, in the order in which they were tried.
    pub passed: Vec<(Revision, String)>,
}

/// Gets the first of `revisions` that the service has whole. Those that cannot be used, or have lost
/// artifacts, are walked past; where none is whole, the first that could be used counts.
///
/// # Errors
/// When the service or the store fails.
pub fn get(get: &Get<'_>, revisions: &[Revision]) -> Result<Search, RemoteError> {
    let mut search = Search::default();
    let mut lost = BTreeSet::new();
    for place in [Place::First, Place::Recent, Place::Anywhere] {
        for revision in get.candidates(revisions, place)? {
            if search.passed.iter().any(|(passed, _)| passed == revision) {
                continue;
            }
            let published = match get.read(revision) {
                Ok(Some(published)) => published,
                Ok(None) => continue,
                Err(error) => {
                    let reason = error.of_one_revision().ok_or(error)?;
                    search.passed.push((revision.clone(), reason));
                    continue;
                }
            };
            let needs =
                |outputs: &Outputs| outputs.outputs.iter().any(|file| lost.contains(&file.hash));
            if published.content.mappings.iter().any(|(_, outputs)| needs(outputs)) {
                let reason = "it needs what an earlier one has lost".to_owned();
                search.passed.push((revision.clone(), reason));
                continue;
            }
            let report = get.take(revision, &published)?;
            let is_whole = report.missing.is_empty();
            if !is_whole {
                lost.extend(report.missing.keys().copied());
                let (gone, all) = (report.missing.len(), report.missing.len() + report.here());
                search
                    .passed
                    .push((revision.clone(), format!("{gone} of {all} artifacts are lost")));
            }
            if is_whole || search.report.is_none() {
                search.report = Some(report);
            }
            if is_whole || get.service.health.is_hopeless() {
                return Ok(search);
            }
        }
    }
    Ok(search)
}

impl GetReport {
    /// Artifacts that are in the store now.
    fn here(&self) -> usize {
        self.fetched + self.present
    }
}

/// Where revisions are looked for, the cheapest place first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first revision, asked for outright.
    First,
    /// Those that the service says are its newest.
    Recent,
    /// All: the service is asked which of them it has, many at once.
    Anywhere,
}

impl Get<'_> {
    fn revisions(&self) -> Revisions<'_> {
        let Get { service, store, scope, .. } = *self;
        Revisions { service, scope, store: Some(store), trust: service.trust() }
    }

    /// Those of `revisions` that may be at `place`, in order.
    fn candidates<'r>(
        &self,
        revisions: &'r [Revision],
        place: Place,
    ) -> Result<Vec<&'r Revision>, RemoteError> {
        let service = self.service;
        match place {
            Place::First => Ok(revisions.first().into_iter().collect()),
            _ if revisions.len() < 2 => Ok(Vec::new()),
            Place::Recent => {
                let recent = service.block_on(recent::read(service, self.scope))?;
                Ok(revisions.iter().filter(|revision| recent.contains(revision)).collect())
            }
            Place::Anywhere => service.block_on(async {
                let store = self.revisions();
                let mut probes = stream::iter(revisions)
                    .map(|revision| {
                        let store = &store;
                        async move { (revision, store.is_there(revision).await) }
                    })
                    .buffered(service.connections);
                let mut there = Vec::new();
                while let Some((revision, is_there)) = probes.next().await {
                    there.extend(is_there?.then_some(revision));
                }
                Ok(there)
            }),
        }
    }

    fn read(&self, revision: &Revision) -> Result<Option<Published>, RemoteError> {
        self.service.block_on(self.revisions().read(revision))
    }

    /// Takes over a revision.
    fn take(&self, name: &Revision, published: &Published) -> Result<GetReport, RemoteError> {
        let Published { content, signer, .. } = published;
        let provenance = Provenance {
            service: self.service.name().to_owned(),
            scope: self.scope.clone(),
            revision: name.clone(),
            local_scope: self.local_scope.clone(),
            signer: signer.clone(),
        };
        // Before anything of it can be found: what was taken over can be told, and forgotten.
        content.mappings.write(&self.store.layout().revision(self.scope, name))?;
        provenance.write(self.store.layout())?;
        let revision = Some(name.clone());
        if self.mappings_only {
            self.store.record_all(self.local_scope, &content.mappings)?;
            let service = self.service.name().to_owned();
            let origin = Origin {
                service,
                scope: self.scope.clone(),
                revision: revision.clone(),
                local_scope: Some(self.local_scope.clone()),
            };
            on_demand::add(self.store, &origin, &content.mappings, Some(content))?;
            let mappings = content.mappings.len();
            return Ok(GetReport { revision, mappings, ..GetReport::default() });
        }
        let wanted = self.wanted(&content.mappings);
        let packs: Vec<_> = content.packs.values().cloned().collect();
        let report = self.fetch(&content.mappings, wanted, &packs)?;
        Ok(GetReport { revision, ..report })
    }

    /// The artifacts of `mappings` that are not here.
    fn wanted(&self, mappings: &Mappings) -> Wanted {
        let mut wanted: Wanted = mappings.artifacts();
        wanted.retain(|hash, artifact: &mut MappedArtifact| {
            let here = self.store.is_intact(hash, artifact.size);
            !(here || !self.force && self.store.holds_offline(hash))
        });
        wanted
    }

    fn fetch(
        &self,
        mappings: &Mappings,
        wanted: Wanted,
        packs: &[PublishedPack],
    ) -> Result<GetReport, RemoteError> {
        let all = mappings.artifacts().len();
        let Get { service, store, scope, progress, .. } = *self;
        // Whoever finds a mapping before its artifacts finds a miss; so these need not wait for those.
        let (reasons, recorded) = thread::scope(|threads| {
            let recording = threads.spawn(|| store.record_all(self.local_scope, mappings));
            let reasons = Fetch { service, scope, store, wanted: &wanted, progress }.run(packs);
            (reasons, recording.join())
        });
        if let Ok(recorded) = recorded {
            recorded?;
        }
        Ok(GetReport {
            revision: None,
            mappings: mappings.len(),
            fetched: wanted.len() - reasons.len(),
            present: all - wanted.len(),
            missing: missing::named(reasons, &wanted),
        })
    }
}

/// Gets the artifacts of `mappings`, wherever the newest revisions of the service have them.
///
/// # Errors
/// When the service or the store fails.
pub fn get_mappings(get: &Get<'_>, mappings: &Mappings) -> Result<GetReport, RemoteError> {
    let wanted = get.wanted(mappings);
    let packs = match wanted.is_empty() {
        true => Vec::new(),
        false => get.service.block_on(packs_with(&get.revisions(), &wanted))?,
    };
    get.fetch(mappings, wanted, &packs)
}

/// Returns packs of the newest revisions, from the newest on until they hold all that is wanted.
pub async fn packs_with(
    revisions: &Revisions<'_>,
    wanted: &Wanted,
) -> Result<Vec<PublishedPack>, RemoteError> {
    let mut unseen: BTreeSet<&ContentHash> = wanted.keys().collect();
    let mut packs: Vec<PublishedPack> = Vec::new();
    for revision in recent::read(revisions.service, revisions.scope).await? {
        if unseen.is_empty() {
            break;
        }
        match revisions.read(&revision).await {
            Ok(Some(published)) => {
                for pack in published.content.packs.into_values() {
                    let held = pack.index.artifacts().iter().map(|held| held.hash);
                    let new = held.filter(|hash| unseen.remove(hash)).count();
                    packs.extend((new > 0).then_some(pack));
                }
            }
            Ok(None) => {}
            Err(error) if error.of_one_revision().is_some() => tracing::info!("{error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(packs)
}
