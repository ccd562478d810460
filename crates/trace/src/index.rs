//! The stat index: hashes remembered by file status, so that nothing is read twice.
//!
//! Two kinds of facts are kept: *this file, while its status is this, has that hash*, and *this
//! target, while its trace file's status is this, was finished from that dep hash, with these outputs
//! and these inputs*. What is loaded is never changed while a build runs; what the build learns lies
//! over it and both are written out together at the end. The file can be deleted at any time: that
//! costs reading, parsing and hashing, never correctness.

mod file;
mod learn;
mod listing;
mod merge;
mod tables;
mod walk;

use std::{
    fs,
    hash::BuildHasher,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use rustix::fs::{Mode, OFlags};

use crate::{
    Content, ContentHash, FileStat, Hashed, MTime, Moment, OutputFile, atomic, look::look,
    open_regular,
};
use file::{Fact, IndexFile, TargetEntry, digest, target_name};
pub use walk::Walk;

/// A target that the index knows to be up to date.
pub struct Vouched<'a> {
    index: &'a StatIndex,
    target: TargetEntry,
    /// Whether every output is on disk; else they were left in the store.
    pub on_disk: bool,
    /// Whether the trace file holds more that is needed, such as a log to replay.
    pub read_trace: bool,
}

/// The stat index of one workspace. Paths are relative to its root, or absolute.
pub struct StatIndex {
    root: OwnedFd,
    file: PathBuf,
    boot: ContentHash,
    rehash: bool,
    base: IndexFile,
    /// For each file of `base`: what this run has found about it.
    checked: Vec<AtomicU8>,
    learned: Mutex<Learned>,
    dirty: AtomicBool,
    /// The notes of `base` by their keys, once one was looked for.
    notes: OnceLock<NoteTable>,
}

#[derive(Default)]
struct NoteTable {
    hasher: DefaultHashBuilder,
    slots: HashTable<u32>,
}

const UNCHECKED: u8 = 0;
/// It is as it was loaded.
const SAME: u8 = 1;
/// It is not to be trusted as it was loaded: only what was learned counts.
const CHANGED: u8 = 2;

/// Facts that this run found out; they count before those that were loaded.
#[derive(Default)]
struct Learned {
    /// By [`Content`].
    files: [HashMap<Box<str>, Fact>; 3],
    /// By [`target_name`].
    targets: HashMap<Box<str>, NewTarget>,
    notes: HashMap<String, String>,
}

struct NewTarget {
    stat: FileStat,
    dep_hash: ContentHash,
    digest: ContentHash,
    outputs: Vec<Box<str>>,
    inputs: Vec<(Box<str>, Content)>,
    read_trace: bool,
}

impl StatIndex {
    /// Loads the index `file` of the workspace at `root`; a missing or broken file is an empty index.
    /// With `rehash`, nothing loaded is trusted. Written before the machine was last started, it is
    /// not trusted about what was changed shortly before.
    ///
    /// # Errors
    /// When `root` cannot be opened.
    pub fn open(root: &Path, file: &Path, rehash: bool) -> io::Result<Self> {
        Self::open_under(root, file, rehash, boot())
    }

    fn open_under(root: &Path, file: &Path, rehash: bool, boot: ContentHash) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        let base = open_regular(file).ok().and_then(|(mut opened, metadata)| {
            let index = IndexFile::read(&mut opened, metadata.len(), boot);
            if index.is_none() {
                tracing::debug!("ignoring the stat index {}: it is damaged", file.display());
            }
            index
        });
        let base = base.unwrap_or_default();
        let checked = (0..base.files).map(|_| AtomicU8::new(UNCHECKED)).collect();
        let (file, learned, dirty) = (file.to_owned(), Mutex::default(), false.into());
        let notes = OnceLock::new();
        Ok(Self { root, file, boot, rehash, base, checked, learned, dirty, notes })
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Every update is complete before the lock is released, so a panic elsewhere harms nothing.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the paths of all files and directories that earlier runs looked at.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        (0..self.base.files).map(|slot| self.base.text(self.base.file(slot).path))
    }

    /// The hash of what is at `path`, read only when its status is not the remembered one. Within one
    /// run a path is looked at once, and again only after [`Self::record_output`] or
    /// [`Self::record_elided`] of it, or of something in that directory.
    ///
    /// # Errors
    /// When the file cannot be looked at or read: `NotFound`, `IsADirectory` and so on. For
    /// [`Content::Names`], a missing directory is no error, but a fact to remember.
    pub fn file(&self, path: &str, content: Content) -> io::Result<Hashed> {
        self.walk().file(path, content)
    }

    /// Looks the file up among what this run learned, else reads it. `old` is what was loaded for it.
    fn learned_file(&self, path: &str, content: Content, old: Option<&Fact>) -> io::Result<Fact> {
        if let Some(fact) = self.learned().files[content as usize].get(path) {
            return Ok(*fact);
        }
        let fact = self.read(path, content)?;
        // What cannot be trusted next time and says nothing new is not worth writing down.
        if fact.settled || old.is_none_or(|old| old.hashed.hash != fact.hashed.hash) {
            self.dirty.store(true, Ordering::Relaxed);
        }
        self.learned().files[content as usize].insert(path.into(), fact);
        Ok(fact)
    }

    fn read(&self, path: &str, content: Content) -> io::Result<Fact> {
        let read_at = MTime::now();
        let hashed = look(self.root.as_fd(), opened(path), content)?;
        let settled = hashed.stat.is_settled(read_at);
        Ok(Fact { hashed, settled, elided: false, read_at })
    }

    /// Whether what is at `path` is still what this run hashed, so that a command that has read it
    /// meanwhile has read just that. One `stat`; where the hash was taken too soon after a change to
    /// tell by that, the file is read again.
    ///
    /// False for a path that this run has not looked at, or that it recorded as left in the store.
    pub fn unchanged(&self, path: &str, content: Content) -> bool {
        let Some(fact) = self.found(&self.learned(), path, content) else { return false };
        let stat = FileStat::at(self.root.as_fd(), opened(path), content);
        if fact.elided || stat.ok() != Some(fact.hashed.stat) {
            return false;
        }
        if fact.settled {
            return true;
        }
        let Ok(again) = self.read(path, content) else { return false };
        if again.settled && again.hashed == fact.hashed {
            // It has been the same since it was first read.
            let known = Fact { read_at: fact.read_at, ..again };
            self.learned().files[content as usize].insert(path.into(), known);
            self.dirty.store(true, Ordering::Relaxed);
        }
        again.hashed == fact.hashed
    }

    /// Returns the fact that this run has found at `path`.
    fn found(&self, learned: &Learned, path: &str, content: Content) -> Option<Fact> {
        if let Some(fact) = learned.files[content as usize].get(path) {
            return Some(*fact);
        }
        let slot = self.base.find_file(path, content, 0)?;
        let same = self.checked[slot as usize].load(Ordering::Acquire) == SAME;
        same.then(|| self.base.file(slot).fact)
    }

    /// Whether what is at `path` has been what this run hashed ever since `begun`, so that a command
    /// that began then has read just that, whenever it did. [`Self::unchanged`], and either hashed before
    /// or not changed since.
    pub fn unchanged_since(&self, path: &str, content: Content, begun: Moment) -> bool {
        let Some(fact) = self.found(&self.learned(), path, content) else { return false };
        let hashed_before = fact.read_at <= begun.clock;
        (hashed_before || fact.hashed.stat.is_older_than(begun)) && self.unchanged(path, content)
    }

    /// Whether the index knows the target with this trace file to be up to date with `dep_hash`:
    /// the outputs and the inputs are all as they were recorded. With `check_trace`, so is the trace
    /// file, which says nothing else and is otherwise not looked at.
    ///
    /// `None` means only that it does not know: the trace file decides.
    pub fn vouch(
        &self,
        trace_file: &str,
        dep_hash: ContentHash,
        check_trace: bool,
    ) -> Option<Vouched<'_>> {
        self.walk().vouch(trace_file, dep_hash, check_trace)
    }

    /// Takes note of an output just written or verified, with the hash of what is there now: later
    /// looks in this run see it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn record_output(&self, path: &str, hash: ContentHash) -> io::Result<Hashed> {
        let stat = FileStat::at(self.root.as_fd(), path, Content::Binary)?;
        let read_at = MTime::now();
        let settled = stat.is_settled(read_at);
        let hashed = Hashed { hash, stat };
        self.record(path, Fact { hashed, settled, elided: false, read_at });
        Ok(hashed)
    }

    /// Takes note of an output that is known by its hash and was left in the store.
    pub fn record_elided(&self, path: &str, file: &OutputFile) {
        let OutputFile { hash, size, executable, .. } = *file;
        let stat = FileStat { size, executable, ..FileStat::ABSENT };
        let hashed = Hashed { hash, stat };
        self.record(path, Fact { hashed, settled: true, elided: true, read_at: MTime::NONE });
    }

    fn record(&self, path: &str, fact: Fact) {
        self.forget(path, Content::Text);
        self.forget(path, Content::Binary);
        // It may have come to its directory or gone from it, and that in the one above.
        for (at, _) in path.rmatch_indices('/') {
            self.forget(&path[..at], Content::Names);
        }
        self.learned().files[Content::Binary as usize].insert(path.into(), fact);
        self.dirty.store(true, Ordering::Relaxed);
    }

    fn forget(&self, path: &str, content: Content) {
        self.learned().files[content as usize].remove(path);
        if let Some(slot) = self.base.find_file(path, content, 0) {
            self.checked[slot as usize].store(CHANGED, Ordering::Release);
        }
    }

    /// Remembers a finished target, made from `inputs`, each counting as said. Its outputs must have
    /// been given to [`Self::record_output`] or [`Self::file`] before, its inputs to [`Self::file`]; a
    /// target with a file that was not is not remembered, nor one whose trace file's name does not end in
    /// `.trace`.
    ///
    /// `read_trace` says that the trace file must be read even when the target is up to date.
    pub fn record_target(
        &self,
        trace_file: &str,
        dep_hash: ContentHash,
        outputs: Vec<Box<str>>,
        inputs: Vec<(Box<str>, Content)>,
        read_trace: bool,
    ) {
        let Some(name) = target_name(trace_file) else { return };
        let Ok(stat) = FileStat::at(self.root.as_fd(), trace_file, Content::Binary) else { return };
        let mut learned = self.learned();
        let all = outputs.iter().map(|path| (path, Content::Binary));
        let all = all.chain(inputs.iter().map(|(path, content)| (path, *content)));
        let found = all.map(|(path, content)| self.found(&learned, path, content));
        let Some(found) = found.collect::<Option<Vec<Fact>>>() else { return };
        let digest = digest(outputs.len() as u32, found.iter().map(|fact| fact.hashed));
        let target = NewTarget { stat, dep_hash, digest, outputs, inputs, read_trace };
        learned.targets.insert(name.into(), target);
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// A text remembered under a key.
    pub fn note(&self, key: &str) -> Option<String> {
        if let Some(value) = self.learned().notes.get(key) {
            return Some(value.clone());
        }
        let NoteTable { hasher, slots } = self.notes.get_or_init(|| self.note_table());
        let is_it = |slot: &u32| self.base.note(*slot).0 == key;
        let slot = slots.find(hasher.hash_one(key), is_it)?;
        Some(self.base.note(*slot).1.to_owned())
    }

    fn note_table(&self) -> NoteTable {
        let NoteTable { hasher, mut slots } = NoteTable::default();
        let hash = |slot: &u32| hasher.hash_one(self.base.note(*slot).0);
        for slot in 0..self.base.notes {
            slots.insert_unique(hash(&slot), slot, hash);
        }
        NoteTable { hasher, slots }
    }

    /// Remembers a text under a key.
    pub fn set_note(&self, key: &str, value: &str) {
        self.learned().notes.insert(key.to_owned(), value.to_owned());
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// Remembers a text under a key, unless it is what is remembered already.
    pub fn set_note_once(&self, key: &str, value: &str) {
        if self.note(key).as_deref() != Some(value) {
            self.set_note(key, value);
        }
    }

    /// Writes the index, if this run learned anything. Facts about files and targets that this run
    /// had no use for are kept, until they outnumber the others.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is then still there.
    pub fn save(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let tables = merge::merge(&self.base, &self.checked, &self.learned());
        if let Some(directory) = self.file.parent() {
            fs::create_dir_all(directory)?;
        }
        atomic::write(&self.file, &tables.encode(MTime::now(), self.boot))
    }
}

impl<'a> Vouched<'a> {
    /// Each output with its path from the root, in the order they were recorded.
    pub fn outputs(&self) -> impl Iterator<Item = (&'a str, Hashed)> + use<'a> {
        let index = self.index;
        index.base.slots(&self.target).take(self.target.outputs as usize).map(move |slot| {
            let entry = index.base.file(slot);
            (
                index.base.text(entry.path),
                index.walk().loaded_file(slot).unwrap_or(entry.fact).hashed,
            )
        })
    }

    /// The digest of its files as they are now.
    fn digest(&self) -> ContentHash {
        let now =
            |slot| self.index.walk().loaded_file(slot).unwrap_or(self.index.base.file(slot).fact);
        let slots = self.index.base.slots(&self.target);
        digest(self.target.outputs, slots.map(|slot| now(slot).hashed))
    }
}

/// The hash of what tells this start of the machine from others; of nothing where there is none.
fn boot() -> ContentHash {
    ContentHash::of_bytes(&fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default())
}

/// The path as the system is given it: the root itself has the empty one.
fn opened(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_from_before_the_last_start_is_not_trusted_about_recent_changes() {
        let place = tempfile::tempdir().unwrap();
        let (path, index) = (place.path().join("a"), place.path().join("index"));
        fs::write(&path, "a").unwrap();
        let (right, wrong) = (ContentHash::of_bytes(b"a"), ContentHash::of_bytes(b"wrong"));
        let under = |boot: &[u8]| {
            StatIndex::open_under(place.path(), &index, false, ContentHash::of_bytes(boot)).unwrap()
        };
        let settled = || {
            let stat = FileStat::at(rustix::fs::CWD, &path, Content::Binary).unwrap();
            stat.is_settled(MTime::now())
        };
        while !settled() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let first = under(b"first");
        first.record_output("a", wrong).unwrap();
        first.save().unwrap();
        let look = |index: &StatIndex| index.file("a", Content::Binary).unwrap().hash;
        assert_eq!(look(&under(b"first")), wrong, "what is remembered is not read again");
        let second = under(b"second");
        assert_eq!(look(&second), right);
        // Read again once, it is known again.
        second.save().unwrap();
        assert!(under(b"second").base.file(0).fact.settled);
    }
}
