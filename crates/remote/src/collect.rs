//! Collections on a service: old revisions are removed, and then what nothing refers to any more.
//!
//! They are safe beside readers and uploads, for this order of things:
//!
//! 1. Revisions are removed, except those that a [note](crate::uploads) says an upload builds on.
//! 2. Packs and snapshots are listed, then notes, then revisions. An upload that sent what was listed is
//!    still noted, or has written its revision.
//! 3. An upload that was noted after the first step and may have read a revision before it went makes
//!    the collection end here. While any upload is noted, what is young is spared.
//! 4. What no revision refers to is removed.
//!
//! A reader of a revision that goes meanwhile misses artifacts, and looks further back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use larder_store::{
    Revision, Scope, Store,
    published::paths::{self, OLD_CATALOGUE, PACK, REVISION, SNAPSHOT},
};
use larder_trace::ContentHash;

use crate::{RemoteError, Service, Trust, recent, revision::Revisions, service::Listed, uploads};

/// An upload that was noted so long ago is over, whatever became of it. While another is under way,
/// nothing younger is removed.
const LONGEST_UPLOAD: Duration = Duration::from_secs(24 * 60 * 60);

/// The revisions that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest are kept, however old they are.
    pub newest: usize,
    /// Others are kept while they are younger; none, when absent.
    pub max_age: Option<Duration>,
}

/// The result of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionReport {
    /// Revisions removed.
    pub revisions: usize,
    /// Packs removed.
    pub packs: usize,
    /// Snapshots removed.
    pub snapshots: usize,
    /// Bytes removed.
    pub freed: u64,
    /// Revisions left.
    pub left: usize,
    /// Whether an upload kept it from removing everything that it might have.
    pub held_up: bool,
}

/// Collects a scope on a service. `store` keeps the snapshots that are read.
///
/// # Errors
/// When the service cannot be listed or does not delete, or a revision cannot be read: what it refers
/// to is not known then, and nothing but revisions was removed.
pub fn collect(
    service: &Service,
    scope: &Scope,
    store: &Store,
    retention: Retention,
) -> Result<CollectionReport, RemoteError> {
    let report = CollectionReport::default();
    let mut collection = Collection { service, scope, store, report };
    service.block_on(collection.run(retention))?;
    Ok(collection.report)
}

struct Collection<'a> {
    service: &'a Service,
    scope: &'a Scope,
    store: &'a Store,
    report: CollectionReport,
}

/// A revision on the service.
#[derive(Debug, Default)]
struct Stored {
    /// Its objects, with their lengths.
    objects: Vec<(String, u64)>,
    /// When the newest of them was written.
    newest: Option<Listed>,
}

impl Collection<'_> {
    async fn run(&mut self, retention: Retention) -> Result<(), RemoteError> {
        let recent = recent::read(self.service, self.scope).await?;
        let bases: BTreeSet<Revision> = self.notes().await?.into_iter().flatten().collect();
        let removed = self.remove_revisions(retention, &recent, &bases).await?;
        let kept: Vec<_> = recent.iter().filter(|it| !removed.contains(it)).cloned().collect();
        if kept.len() < recent.len() {
            recent::replace(self.service, self.scope, &kept).await?;
        }

        let packs = self.list(&paths::packs(self.scope), PACK).await?;
        let snapshots = self.list(&paths::snapshots(self.scope), SNAPSHOT).await?;
        let notes = self.notes().await?;
        if notes.iter().flatten().any(|base| removed.contains(base)) {
            self.report.held_up = true;
            return Ok(());
        }
        let (used_packs, used_snapshots) = self.referred_to().await?;
        let spares_young = !notes.is_empty();
        let packs = self.unused(packs, &used_packs, PACK, spares_young);
        let snapshots = self.unused(snapshots, &used_snapshots, SNAPSHOT, spares_young);
        self.report.packs = packs.len();
        self.report.snapshots = snapshots.len();
        let below =
            |directory: String| move |it: Listed| (format!("{directory}/{}", it.path), it.size);
        let packs = packs.into_iter().map(below(paths::packs(self.scope)));
        let snapshots = snapshots.into_iter().map(below(paths::snapshots(self.scope)));
        self.delete(packs.chain(snapshots).collect()).await
    }

    /// The revisions that uploads which are under way may build on, an upload an entry.
    async fn notes(&mut self) -> Result<Vec<Vec<Revision>>, RemoteError> {
        let directory = paths::uploads(self.scope);
        let mut notes = Vec::new();
        for note in self.list(&directory, paths::UPLOAD).await? {
            let object = format!("{directory}/{}", note.path);
            let bases = match note.is_younger_than(LONGEST_UPLOAD) {
                true => match self.service.read(&object).await? {
                    Some(bytes) => uploads::bases(&bytes),
                    None => continue,
                },
                false => None,
            };
            match bases {
                Some(bases) => notes.push(bases),
                None => self.delete(vec![(object, note.size)]).await?,
            }
        }
        Ok(notes)
    }

    async fn remove_revisions(
        &mut self,
        retention: Retention,
        recent: &[Revision],
        bases: &BTreeSet<Revision>,
    ) -> Result<BTreeSet<Revision>, RemoteError> {
        let mut stored: Vec<_> = self.revisions().await?.into_iter().collect();
        // Newest first; of those that share an instant, as they were noted.
        let noted = |name: &Revision| recent.iter().position(|it| it == name).unwrap_or(usize::MAX);
        stored.sort_by_key(|(name, stored)| {
            let written = stored.newest.as_ref().map(|newest| newest.modified);
            (std::cmp::Reverse(written), noted(name))
        });
        let mut removed = BTreeSet::new();
        let mut objects = Vec::new();
        for (at, (name, stored)) in stored.into_iter().enumerate() {
            let is_young = |age| stored.newest.as_ref().is_some_and(|it| it.is_younger_than(age));
            if at < retention.newest || retention.max_age.is_some_and(is_young) {
                self.report.left += 1;
            } else if bases.contains(&name) {
                self.report.left += 1;
                self.report.held_up = true;
            } else {
                self.report.revisions += 1;
                objects.extend(stored.objects);
                removed.insert(name);
            }
        }
        self.delete(objects).await?;
        Ok(removed)
    }

    /// All revisions, of either layout.
    async fn revisions(&self) -> Result<BTreeMap<Revision, Stored>, RemoteError> {
        let directory = paths::revisions(self.scope);
        let mut revisions = BTreeMap::<Revision, Stored>::new();
        for ending in [REVISION, OLD_CATALOGUE] {
            for object in self.list(&directory, ending).await? {
                let Some(name) = object.path.strip_suffix(ending) else { continue };
                let Ok(name) = name.parse() else { continue };
                let stored = revisions.entry(name).or_default();
                stored.objects.push((format!("{directory}/{}", object.path), object.size));
                let newest = stored.newest.as_ref().map(|newest| newest.modified);
                if newest.is_none_or(|newest| newest < object.modified) {
                    stored.newest = Some(object);
                }
            }
        }
        Ok(revisions)
    }

    /// The packs and snapshots that revisions refer to.
    async fn referred_to(
        &self,
    ) -> Result<(BTreeSet<ContentHash>, BTreeSet<ContentHash>), RemoteError> {
        let Self { service, scope, store, .. } = *self;
        // What revisions refer to is not removed, whoever wrote them.
        let trust = Trust::default();
        let revisions = Revisions { service, scope, store: Some(store), trust: &trust };
        let names: Vec<_> = self.revisions().await?.into_keys().collect();
        let read = stream::iter(&names).map(|name| revisions.read(name));
        let mut read = read.buffer_unordered(self.service.connections);
        let (mut packs, mut snapshots) = (BTreeSet::new(), BTreeSet::new());
        while let Some(revision) = read.try_next().await? {
            // One that is gone by now was removed by another collection.
            if let Some(revision) = revision {
                packs.extend(revision.content.packs.into_keys());
                snapshots.extend(revision.snapshot.map(|snapshot| snapshot.id.hash));
            }
        }
        Ok((packs, snapshots))
    }

    /// Those of `listed` whose hashes are not among `used`.
    fn unused(
        &mut self,
        listed: Vec<Listed>,
        used: &BTreeSet<ContentHash>,
        ending: &str,
        spares_young: bool,
    ) -> Vec<Listed> {
        let mut unused = Vec::new();
        for object in listed {
            let hash = object.path.strip_suffix(ending).and_then(|name| name.parse().ok());
            if hash.is_none_or(|hash: ContentHash| used.contains(&hash)) {
                continue;
            }
            if spares_young && object.is_younger_than(LONGEST_UPLOAD) {
                self.report.held_up = true;
            } else {
                unused.push(object);
            }
        }
        unused
    }

    /// The objects directly in `directory` whose names end so: those below it are of other scopes.
    async fn list(&self, directory: &str, ending: &str) -> Result<Vec<Listed>, RemoteError> {
        let mut listed = self.service.list(directory).await?;
        listed.retain(|object| !object.path.contains('/') && object.path.ends_with(ending));
        Ok(listed)
    }

    async fn delete(&mut self, objects: Vec<(String, u64)>) -> Result<(), RemoteError> {
        let service = self.service;
        let mut deleting = stream::iter(objects)
            .map(|(object, size)| async move { service.delete(&object).await.map(|()| size) })
            .buffer_unordered(service.connections);
        while let Some(size) = deleting.try_next().await? {
            self.report.freed += size;
        }
        Ok(())
    }
}
