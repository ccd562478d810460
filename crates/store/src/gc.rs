//! Collection of what was least recently used.
//!
//! A collection runs beside builds and fetches without stopping them. Every process that uses a
//! store announces itself (`running/`), and marks what it uses by access time; a collection spares
//! whatever was used since the oldest such process began. What slips through in the instant between
//! looking and deleting is a miss to whoever wanted it, never an error: copies that were made stay
//! whole.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder_trace::{ContentHash, lock::FileLock};

use crate::{
    Mappings, Revision, Store, StoreError,
    candidates::{self, Found},
    files::{self, walk},
    session::Session,
    verify::stem,
};

/// Which entries a collection keeps.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// At most so many bytes, of artifacts and mappings together.
    pub max_size: Option<u64>,
    /// Nothing that has not been used for so long.
    pub max_age: Option<Duration>,
    /// Everything that the mappings files of these revisions mention, whatever the above say.
    pub keep: Vec<Revision>,
}

/// The result of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Artifacts removed.
    pub artifacts: u64,
    /// Mapping entries and mappings files removed.
    pub mappings: u64,
    /// Bytes freed, those of leftovers and of the quarantine included.
    pub freed: u64,
    /// Bytes left.
    pub left: u64,
    /// Bytes that would have been removed, had no other process been using them.
    pub spared: u64,
}

struct Entry {
    path: PathBuf,
    used: SystemTime,
    size: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Artifact(ContentHash),
    Candidates(ContentHash),
}

/// Collects. Calls `waiting` before it waits for another collection to end.
pub fn collect(
    store: &Store,
    policy: &Policy,
    waiting: impl FnOnce(),
) -> Result<GcReport, StoreError> {
    let layout = store.layout();
    let lock = layout.gc_lock();
    let _lock =
        FileLock::take(&lock, &|| false, |_| waiting()).map_err(StoreError::io("lock", &lock))?;
    let running = layout.running();
    let in_use_since = Session::oldest_other(&running, store.session())
        .map_err(StoreError::io("list", &running))?;
    let mut collection = Collection { in_use_since, report: GcReport::default() };
    collection.remove_leftovers(store)?;
    collection.remove_entries(store, policy)?;
    Ok(collection.report)
}

struct Collection {
    in_use_since: Option<SystemTime>,
    report: GcReport,
}

impl Collection {
    fn in_use(&self, used: SystemTime) -> bool {
        self.in_use_since.is_some_and(|since| used >= since)
    }

    /// Tells whether a session that runs uses the entry, or anybody did since it was listed.
    fn is_used_since_listed(&self, entry: &Entry) -> bool {
        let used =
            fs::symlink_metadata(&entry.path).map_or(entry.used, |metadata| last_use(&metadata));
        self.in_use(used) || used > entry.used
    }

    /// Removes what killed processes left half-made, and the quarantine.
    fn remove_leftovers(&mut self, store: &Store) -> Result<(), StoreError> {
        let layout = store.layout();
        for directory in
            [layout.artifacts(), layout.outputs(), layout.revisions(), layout.snapshots()]
        {
            walk(&directory, &mut |path, metadata| {
                if files::is_temporary(path) && !self.in_use(last_change(metadata)) {
                    self.remove(path, metadata.len());
                    // The directory of an unpacking that was killed; any other has entries.
                    if let Some(directory) = path.parent().filter(|it| files::is_temporary(it)) {
                        _ = fs::remove_dir(directory);
                    }
                }
                Ok(())
            })?;
        }
        walk(&layout.quarantine(), &mut |path, metadata| {
            self.remove(path, metadata.len());
            Ok(())
        })?;
        const RESUMABLE: Duration = Duration::from_secs(24 * 60 * 60);
        walk(&layout.partials(), &mut |path, metadata| {
            let changed = last_change(metadata);
            if !self.in_use(changed) && is_older(changed, RESUMABLE) {
                self.remove(path, metadata.len());
            }
            Ok(())
        })
    }

    fn remove_entries(&mut self, store: &Store, policy: &Policy) -> Result<(), StoreError> {
        let layout = store.layout();
        let (kept_files, kept_artifacts, kept_mappings) = kept(store, &policy.keep)?;
        let mut entries = Vec::new();
        let mut scan = |directory: &Path, kind_of: &dyn Fn(&Path) -> Option<Kind>| {
            walk(directory, &mut |path, metadata| {
                if let Some(kind) = kind_of(path) {
                    let (path, used) = (path.to_owned(), last_use(metadata));
                    entries.push(Entry { path, used, size: metadata.len(), kind });
                }
                Ok(())
            })
        };
        scan(&layout.artifacts(), &|path| stem(path, "").map(Kind::Artifact))?;
        scan(&layout.outputs(), &|path| stem(path, ".json").map(Kind::Candidates))?;
        entries.sort_by_key(|entry| entry.used);

        let mut left: u64 = entries.iter().map(|entry| entry.size).sum();
        let mut removed = BTreeSet::new();
        let mut listed = Vec::new();
        for entry in &entries {
            let too_old = policy.max_age.is_some_and(|age| is_older(entry.used, age));
            let too_much = policy.max_size.is_some_and(|size| left > size);
            let kept = match &entry.kind {
                Kind::Artifact(hash) => kept_artifacts.contains(hash),
                Kind::Candidates(dep_hash) => kept_mappings.contains(dep_hash),
            };
            if kept || !(too_old || too_much) {
                listed.push(entry);
                continue;
            }
            if self.is_used_since_listed(entry) {
                self.report.spared += entry.size;
                listed.push(entry);
                continue;
            }
            if self.remove(&entry.path, entry.size) {
                left -= entry.size;
                match entry.kind {
                    Kind::Artifact(hash) => {
                        self.report.artifacts += 1;
                        removed.insert(hash);
                    }
                    Kind::Candidates(_) => self.report.mappings += 1,
                }
            }
        }
        // A mapping none of whose candidates can be restored any more goes with its artifacts.
        // One that is removed above and written again by another process is not ours to judge.
        for entry in listed {
            if let Kind::Candidates(dep_hash) = entry.kind
                && !removed.is_empty()
                && !self.is_used_since_listed(entry)
                && let Found::Candidates(candidates) = candidates::read(&entry.path, &dep_hash)
                && candidates
                    .iter()
                    .all(|outputs| outputs.outputs.iter().any(|file| removed.contains(&file.hash)))
                && self.remove(&entry.path, entry.size)
            {
                left -= entry.size;
                self.report.mappings += 1;
            }
        }
        if let Some(age) = policy.max_age {
            for (directory, are_mappings) in [(layout.revisions(), 1), (layout.snapshots(), 0)] {
                walk(&directory, &mut |path, metadata| {
                    let used = last_use(metadata);
                    if is_older(used, age)
                        && !self.in_use(used)
                        && !kept_files.contains(path)
                        && self.remove(path, metadata.len())
                    {
                        self.report.mappings += are_mappings;
                    }
                    Ok(())
                })?;
            }
        }
        self.report.left = left;
        Ok(())
    }

    fn remove(&mut self, path: &Path, size: u64) -> bool {
        match fs::remove_file(path) {
            Ok(()) => {
                self.report.freed += size;
                true
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "not removed");
                false
            }
        }
    }
}

/// The files, artifacts and dep hashes of the revisions to keep, in whichever scope they are.
type Kept = (BTreeSet<PathBuf>, BTreeSet<ContentHash>, BTreeSet<ContentHash>);

fn kept(store: &Store, revisions: &[Revision]) -> Result<Kept, StoreError> {
    let (mut files, mut artifacts, mut mappings) = Kept::default();
    if revisions.is_empty() {
        return Ok((files, artifacts, mappings));
    }
    walk(&store.layout().revisions(), &mut |path, _| {
        let is_kept = path
            .file_stem()
            .is_some_and(|stem| revisions.iter().any(|revision| stem == revision.as_str()));
        if !is_kept {
            return Ok(());
        }
        files.insert(path.to_owned());
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            return Ok(());
        }
        match Mappings::read(path) {
            Ok(kept) => {
                artifacts.extend(kept.artifacts().into_keys());
                mappings.extend(kept.iter().map(|(dep_hash, _)| *dep_hash));
            }
            Err(error) => tracing::info!(%error, "corrupt mappings file: nothing is kept for it"),
        }
        Ok(())
    })?;
    Ok((files, artifacts, mappings))
}

fn last_use(metadata: &Metadata) -> SystemTime {
    metadata.accessed().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn last_change(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn is_older(time: SystemTime, age: Duration) -> bool {
    time.elapsed().is_ok_and(|elapsed| elapsed > age)
}
