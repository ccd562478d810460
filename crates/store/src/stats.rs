//! Counters that outlive the process, and the sizes of a store.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_trace::{atomic, lock::FileLock};
use serde::{Deserialize, Serialize};

use crate::{Layout, MissReason, Store, StoreError, Tier, files};

/// How lookups and restores went, since the store was made or cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Lookups answered, by where the answer was found.
    pub hits: BTreeMap<Tier, u64>,
    /// Lookups and restores not answered, by why.
    pub misses: BTreeMap<MissReason, u64>,
    /// Artifacts restored into build directories.
    pub restored: u64,
    /// Their bytes.
    pub restored_bytes: u64,
}

impl Counters {
    /// The part of lookups that hit, from 0 to 1; `None` before the first one.
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.hits.values().sum::<u64>();
        let all = hits + self.misses.values().sum::<u64>();
        (all > 0).then(|| hits as f64 / all as f64)
    }

    fn add(&mut self, other: &Self) {
        for (tier, n) in &other.hits {
            *self.hits.entry(*tier).or_default() += n;
        }
        for (reason, n) in &other.misses {
            *self.misses.entry(*reason).or_default() += n;
        }
        self.restored += other.restored;
        self.restored_bytes += other.restored_bytes;
    }
}

/// Counters of this process, not yet added to those on disk.
#[derive(Debug, Default)]
pub(crate) struct Live {
    hits: [AtomicU64; Tier::ALL.len()],
    misses: [AtomicU64; MissReason::ALL.len()],
    restored: AtomicU64,
    restored_bytes: AtomicU64,
}

impl Live {
    pub fn hit(&self, tier: Tier) {
        self.hits[tier as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn miss(&self, reason: MissReason) {
        self.misses[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn restored(&self, bytes: u64) {
        self.restored.fetch_add(1, Ordering::Relaxed);
        self.restored_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes the counts, leaving zeros.
    fn take(&self) -> Counters {
        fn taken<K: Copy + Ord>(keys: &[K], counts: &[AtomicU64]) -> BTreeMap<K, u64> {
            let counts = counts.iter().map(|count| count.swap(0, Ordering::Relaxed));
            keys.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
        }
        Counters {
            hits: taken(&Tier::ALL, &self.hits),
            misses: taken(&MissReason::ALL, &self.misses),
            restored: self.restored.swap(0, Ordering::Relaxed),
            restored_bytes: self.restored_bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// Adds the counts to those on disk. Counters are not worth an error: what cannot be written
    /// is lost.
    pub fn flush(&self, layout: &Layout) {
        let counts = self.take();
        if counts == Counters::default() {
            return;
        }
        let add = || -> io::Result<()> {
            // The directory itself is the lock: the file is replaced at each write.
            let _lock = FileLock::take_directory(layout.root(), &|| false, || ())?;
            let mut total = read(layout);
            total.add(&counts);
            atomic::write(&layout.stats(), &serde_json::to_vec(&total)?)
        };
        if let Err(error) = add() {
            tracing::debug!(%error, "counters lost");
        }
    }
}

/// The counters on disk; zeros where there are none or they are damaged.
fn read(layout: &Layout) -> Counters {
    match files::read_regular(&layout.stats()) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::info!(%error, "corrupt counters: starting from zero");
            Counters::default()
        }),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(%error, "counters not readable");
            }
            Counters::default()
        }
    }
}

/// Sizes and counters of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Number of artifacts.
    pub artifacts: u64,
    /// Their bytes.
    pub artifact_bytes: u64,
    /// Number of dep hashes with candidates.
    pub mappings: u64,
    /// Bytes of those.
    pub mapping_bytes: u64,
    /// Number of fetched mappings files.
    pub revisions: u64,
    /// Number of quarantined files.
    pub quarantined: u64,
    /// Hits and misses.
    pub counters: Counters,
}

impl Store {
    /// Sizes and counters, those of this process included.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let layout = self.layout();
        self.live().flush(layout);
        let count = |directory: PathBuf| {
            let (mut files, mut bytes) = (0, 0);
            files::walk(&directory, &mut |path, metadata| {
                if !files::is_temporary(path) {
                    files += 1;
                    bytes += metadata.len();
                }
                Ok(())
            })?;
            Ok::<(u64, u64), StoreError>((files, bytes))
        };
        let (artifacts, artifact_bytes) = count(layout.artifacts())?;
        let (mappings, mapping_bytes) = count(layout.outputs())?;
        let mut revisions = 0;
        files::walk(&layout.revisions(), &mut |path, _| {
            revisions += u64::from(path.extension().is_some_and(|extension| extension == "jsonl"));
            Ok(())
        })?;
        let (quarantined, _) = count(layout.quarantine())?;
        let counters = read(layout);
        Ok(Stats {
            artifacts,
            artifact_bytes,
            mappings,
            mapping_bytes,
            revisions,
            quarantined,
            counters,
        })
    }
}
