//! The store: one directory of ours, read-only ones behind it, and behind those whoever fetches.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use larder_trace::{ContentHash, OutputFile, Outputs};

use crate::{
    How, Layout, Mappings, Miss, Scope, StoreError, TakenIn, Unfetched,
    artifacts::Artifacts,
    candidates::{self, Found, Recorded},
    check_outputs,
    lookup::{Hit, Lookup, MissReason, Tier},
    offline::{Bake, Offline, Shelf},
    pack::Pack,
    session::Session,
    stats::Live,
};

/// See [`Upstream::fetch`].
pub type Fetch = dyn Fn(&Store, &OutputFile) -> Result<(), Unfetched> + Send + Sync;

/// Fetches artifacts that the store lacks. Both functions are called from many threads.
pub struct Upstream {
    /// Whether the artifact can probably be fetched. Fast: asks nobody.
    pub knows: Box<dyn Fn(&ContentHash) -> bool + Send + Sync>,
    /// Fetches the artifact into the given store, or says why not.
    pub fetch: Box<Fetch>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}

/// A content-addressed store, safe to use from many threads and many processes at once.
#[derive(Debug)]
pub struct Store {
    local: Artifacts,
    offline: Vec<Offline>,
    upstream: Option<Upstream>,
    session: Option<Session>,
    live: Live,
}

impl Store {
    /// The directory of the user's store when nothing names one: `larder` in the platform's cache
    /// directory.
    ///
    /// # Errors
    /// When the platform has none, as for a user without a home.
    pub fn default_directory() -> Result<PathBuf, StoreError> {
        dirs::cache_dir().map(|cache| cache.join("larder")).ok_or(StoreError::NoDirectory)
    }

    /// Opens the store at `directory`, creating it where it is missing. Until the `Store` is
    /// dropped, collections in other processes spare what it uses.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let layout = Layout::new(directory);
        fs::create_dir_all(layout.root()).map_err(StoreError::io("create", layout.root()))?;
        // A store on a full or read-only disk still serves what it has.
        let session = Session::begin(&layout.running())
            .inspect_err(|error| tracing::debug!(%error, "store not writable"))
            .ok();
        let opened = session.as_ref().map_or_else(SystemTime::now, Session::began);
        Ok(Self {
            local: Artifacts::new(layout, true, opened),
            offline: Vec::new(),
            upstream: None,
            session,
            live: Live::default(),
        })
    }

    /// Puts a read-only store behind this one: one laid out like this one, or one that was baked
    /// (see [`offline`](crate::offline)). Nothing is written to it, and it may
    /// belong to somebody else. One that does not exist is empty.
    #[must_use]
    pub fn with_offline(mut self, directory: impl Into<PathBuf>) -> Self {
        self.offline.push(Offline::new(directory.into()));
        self
    }

    /// Lets artifacts that are nowhere here be fetched on demand.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// Where things lie in this store.
    pub fn layout(&self) -> &Layout {
        &self.local.layout
    }

    pub(crate) fn local(&self) -> &Artifacts {
        &self.local
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    fn shelves(&self) -> impl Iterator<Item = (Tier, Shelf<'_>)> {
        let offline = self.offline.iter().map(|offline| (Tier::Offline, offline.shelf()));
        std::iter::once((Tier::Local, Shelf::Files(&self.local))).chain(offline)
    }

    /// The bakes in the offline stores behind this one that can be used on this platform, each with the
    /// directory of its store and its pack.
    pub fn bakes(&self) -> impl Iterator<Item = (&Path, &Bake, &Pack)> {
        let baked = self.offline.iter().filter_map(|offline| match offline {
            Offline::Baked(baked) => Some(baked),
            Offline::Plain(_) => None,
        });
        baked.flat_map(|baked| baked.usable().map(|(bake, pack)| (baked.directory(), bake, pack)))
    }

    /// Looks for outputs recorded under `dep_hash`: the first candidate, newest first, local store
    /// before offline stores, that `is_current` says yes to (what the build found out about its inputs
    /// still holds) and whose artifacts are here or can be fetched. Restores nothing.
    pub fn lookup(
        &self,
        scope: &Scope,
        dep_hash: &ContentHash,
        mut is_current: impl FnMut(&Outputs) -> bool,
    ) -> Lookup {
        let mut reason = MissReason::NotRecorded;
        for (tier, shelf) in self.shelves() {
            let candidates = match shelf.candidates(scope, dep_hash) {
                Found::Candidates(candidates) => candidates,
                Found::Nothing => continue,
                Found::Corrupt(_) => {
                    reason = reason.max(MissReason::MappingCorrupt);
                    continue;
                }
            };
            for outputs in candidates {
                if !is_current(&outputs) {
                    reason = reason.max(MissReason::InputsDiffer);
                    continue;
                }
                let tier = match self.availability(&outputs) {
                    None => {
                        reason = reason.max(MissReason::ArtifactAbsent);
                        continue;
                    }
                    Some(Tier::Service) => Tier::Service,
                    Some(_) => tier,
                };
                shelf.touch(scope, dep_hash);
                self.live.hit(tier);
                return Lookup::Hit(Hit { outputs, tier });
            }
        }
        self.live.miss(reason);
        Lookup::Miss(reason)
    }

    /// The farthest tier from which an artifact of `outputs` has to come; `None` when one of them
    /// is nowhere.
    fn availability(&self, outputs: &Outputs) -> Option<Tier> {
        let tier_of = |file: &OutputFile| {
            if let Some((tier, _)) = self.shelves().find(|(_, shelf)| shelf.uses(&file.hash)) {
                return Some(tier);
            }
            let upstream = self.upstream.as_ref()?;
            (upstream.knows)(&file.hash).then_some(Tier::Service)
        };
        outputs.outputs.iter().try_fold(Tier::Local, |tier, file| Some(tier.max(tier_of(file)?)))
    }

    /// Whether the artifact is in the store or in an offline one. One `stat` each; not verified.
    pub fn holds(&self, hash: &ContentHash) -> bool {
        self.shelves().any(|(_, shelf)| shelf.holds(hash))
    }

    /// Whether artifacts that are nowhere here may be fetched on demand.
    pub fn fetches(&self) -> bool {
        self.upstream.is_some()
    }

    /// Whether the artifact can probably be fetched on demand. Asks nobody.
    pub fn can_fetch(&self, hash: &ContentHash) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| (upstream.knows)(hash))
    }

    /// Whether an offline store behind this one has the artifact. Not verified.
    pub fn holds_offline(&self, hash: &ContentHash) -> bool {
        self.offline.iter().any(|offline| offline.shelf().holds(hash))
    }

    /// Whether the artifact is in the local store, intact: it is read and hashed.
    pub fn is_intact(&self, hash: &ContentHash, size: u64) -> bool {
        Shelf::Files(&self.local).is_intact(hash, size)
    }

    /// Whether the artifact is in the local store or an offline one, intact, or else can probably be
    /// fetched. Reads and hashes it; a corrupt entry is moved away.
    pub fn is_available(&self, hash: &ContentHash, size: u64) -> bool {
        self.shelves().any(|(_, shelf)| shelf.is_intact(hash, size)) || self.can_fetch(hash)
    }

    /// Restores one artifact at `destination`, verified, replacing in one step what is there (a
    /// directory excepted). Its parent directories are made. The new file is the caller's own: a clone
    /// or a copy, with a fresh modification time and the mode of any new file.
    pub fn restore(&self, file: &OutputFile, destination: &Path) -> Result<How, Miss> {
        let restored = self.attempt(file, |shelf| shelf.restore(file, destination));
        match &restored {
            Ok(_) => self.live.restored(file.size),
            Err(miss) => {
                tracing::debug!(hash = %file.hash, path = file.path, %miss, "not restored");
                match miss {
                    Miss::Absent => self.live.miss(MissReason::ArtifactAbsent),
                    Miss::Corrupt | Miss::WrongSize { .. } | Miss::Unreadable { .. } => {
                        self.live.miss(MissReason::ArtifactCorrupt);
                    }
                    Miss::NotFetched(_) => self.live.miss(MissReason::NotFetched),
                    Miss::Unwritable { .. } => {}
                }
            }
        }
        restored
    }

    /// Opens one artifact, of this size, for reading. Whoever reads it verifies what was read.
    pub fn open_artifact(&self, file: &OutputFile) -> Result<File, Miss> {
        self.attempt(file, |shelf| shelf.open(file, self))
    }

    /// Tries the local store, the offline ones, then the local one again after a fetch.
    fn attempt<T>(
        &self,
        file: &OutputFile,
        mut from: impl FnMut(Shelf<'_>) -> Result<T, Miss>,
    ) -> Result<T, Miss> {
        let mut miss = Miss::Absent;
        for (_, shelf) in self.shelves() {
            match from(shelf) {
                // No other copy would fit in either.
                done @ (Ok(_) | Err(Miss::Unwritable { .. })) => return done,
                Err(Miss::Absent) => {}
                Err(other) => miss = other,
            }
        }
        match &self.upstream {
            Some(upstream) if (upstream.knows)(&file.hash) => {
                (upstream.fetch)(self, file).map_err(Miss::NotFetched)?;
                from(Shelf::Files(&self.local))
            }
            _ => Err(miss),
        }
    }

    /// Hashes the file at `source`, which nobody writes to any more, and puts a copy of it in. The file itself
    /// is left as it is.
    ///
    /// # Errors
    /// When it is no regular file or cannot be read; that the store cannot take it is in the result.
    pub fn take_in(&self, source: &Path) -> io::Result<TakenIn> {
        self.local.take_in(source)
    }

    /// Puts a clone or a copy of the file at `source` in, whose content hashed to `hash` when the caller
    /// last looked. The file itself is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when its content does not hash to that; another when it could not be
    /// read or the store not be written.
    pub fn insert(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<How, StoreError> {
        self.local.insert(source, hash, executable)
    }

    /// Puts in what `content` yields, if it has this size and hash. Otherwise nothing is left of
    /// it, and the answer is false.
    pub fn import(
        &self,
        hash: &ContentHash,
        size: u64,
        executable: bool,
        content: impl Read,
    ) -> Result<bool, StoreError> {
        self.local.import(hash, size, executable, content)
    }

    /// Takes over the file at `source`, on the store's file system, if it has this hash. Otherwise
    /// leaves it, and the answer is false.
    pub fn adopt(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<bool, StoreError> {
        self.local.adopt(source, hash, executable)
    }

    /// Records what the build of `dep_hash` left, before older candidates, and says whether something
    /// else was made of the same inputs before. To be called when the artifacts are in, so that nobody
    /// finds a mapping without them.
    pub fn record(
        &self,
        scope: &Scope,
        dep_hash: &ContentHash,
        outputs: &Outputs,
    ) -> Result<Recorded, StoreError> {
        check_outputs(outputs)?;
        candidates::record(&self.layout().candidates(scope, dep_hash), dep_hash, outputs)
    }

    /// Forgets that the build of `dep_hash` left `outputs`.
    pub fn forget(
        &self,
        scope: &Scope,
        dep_hash: &ContentHash,
        outputs: &Outputs,
    ) -> Result<(), StoreError> {
        candidates::forget(&self.layout().candidates(scope, dep_hash), dep_hash, outputs)
    }

    /// Records every entry of `mappings`. Says how many of them are of other bytes than what is known
    /// here of the same inputs.
    pub fn record_all(&self, scope: &Scope, mappings: &Mappings) -> Result<(), StoreError> {
        let mut differ = 0;
        for (dep_hash, outputs) in mappings.iter() {
            let recorded = self.record(scope, dep_hash, outputs)?;
            differ += usize::from(matches!(recorded, Recorded::Differs(_)));
        }
        if differ > 0 {
            tracing::info!(
                "{differ} of {} mappings were made of the same inputs as something in the store, with \
                 other bytes; both are kept (`larder cache audit` finds what does not come out the same)",
                mappings.len()
            );
        }
        Ok(())
    }

    /// Deletes everything in the store.
    pub fn clean(self) -> Result<(), StoreError> {
        let root = self.layout().root().to_owned();
        let layout = self.layout().clone();
        drop(self);
        for directory in [
            layout.artifacts(),
            layout.outputs(),
            layout.revisions(),
            layout.snapshots(),
            layout.quarantine(),
            layout.partials(),
        ] {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("delete", directory)(error));
                }
                _ => {}
            }
        }
        _ = fs::remove_file(layout.stats());
        _ = fs::remove_file(layout.gc_lock());
        // Not when another process is using the store, or somebody keeps other files there.
        _ = fs::remove_dir(layout.running());
        _ = fs::remove_dir(root);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.live.flush(&self.local.layout);
    }
}
