//! The stat index: hashes remembered by file status, so that nothing is read twice.
//!
//! Two kinds of facts are kept: *this file, while its status is this, has that hash*, and *this
//! target, while its trace file's status is this, was finished from that dep hash, with these outputs
//! and these discovered inputs*. What is loaded is never changed while a build runs; what the build
//! learns lies over it and both are written out together at the end. The file can be deleted at any
//! time: that costs reading, parsing and hashing, never correctness.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use hashbrown::HashMap;
use rustix::fs::{Mode, OFlags};

use crate::{
    Content, ContentHash, FileStat, MTime, OutputFile, atomic, hash_reader,
    index_file::{FileEntry, IndexFile, Span, Tables, TargetEntry},
};

/// A file's hash and the status it was found with.
#[derive(Debug, Clone, Copy)]
pub struct Hashed {
    /// The hash of its content.
    pub hash: ContentHash,
    /// Its status now.
    pub stat: FileStat,
}

/// A target that the index knows to be up to date.
#[derive(Debug)]
pub struct Vouched<'a> {
    /// Each output with its path from the root, in the order they were recorded.
    pub outputs: Vec<(&'a str, Hashed)>,
    /// Whether every output is on disk; else they were left in the store.
    pub on_disk: bool,
    /// Whether the trace file holds more that is needed, such as a log to replay.
    pub read_trace: bool,
}

/// The stat index of one workspace. Paths are relative to its root, or absolute.
pub struct StatIndex {
    root: OwnedFd,
    file: PathBuf,
    rehash: bool,
    base: IndexFile,
    /// For each file of `base`: what this run has found about it.
    checked: Vec<AtomicU8>,
    learned: Mutex<Learned>,
    dirty: AtomicBool,
}

const UNCHECKED: u8 = 0;
const SAME: u8 = 1;
const CHANGED: u8 = 2;

/// What this run found out, over what was loaded.
#[derive(Default)]
struct Learned {
    /// By [`Content`], as text and byte for byte.
    files: [HashMap<Box<str>, Fact>; 2],
    targets: HashMap<Box<str>, NewTarget>,
    notes: HashMap<String, String>,
}

#[derive(Clone, Copy)]
struct Fact {
    hashed: Hashed,
    settled: bool,
    elided: bool,
}

struct NewTarget {
    stat: FileStat,
    dep_hash: ContentHash,
    outputs: Vec<Box<str>>,
    discovered: Vec<Box<str>>,
    read_trace: bool,
}

impl StatIndex {
    /// Loads the index `file` of the workspace at `root`; a missing or broken file is an empty index.
    /// With `rehash`, nothing loaded is trusted.
    ///
    /// # Errors
    /// When `root` cannot be opened.
    pub fn open(root: &Path, file: &Path, rehash: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        let base = std::fs::read(file).ok().and_then(|bytes| {
            let index = IndexFile::decode(bytes);
            if index.is_none() {
                tracing::debug!("ignoring the stat index {}: it is damaged", file.display());
            }
            index
        });
        let base = base.unwrap_or_default();
        let checked = (0..base.files).map(|_| AtomicU8::new(UNCHECKED)).collect();
        let learned = Mutex::default();
        Ok(Self {
            root,
            file: file.to_owned(),
            rehash,
            base,
            checked,
            learned,
            dirty: false.into(),
        })
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Every update is complete before the lock is released, so a panic elsewhere harms nothing.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of the file at `path`, read only when its status is not the remembered one. Within
    /// one run a file is looked at once, and again only after [`Self::record_output`].
    ///
    /// # Errors
    /// What looking at or reading the file gives: `NotFound`, `IsADirectory` and so on.
    pub fn file(&self, path: &str, content: Content) -> io::Result<Hashed> {
        match self.base.find_file(path, content) {
            Some(slot) => self.loaded_file(slot),
            None => self.learned_file(path, content, None),
        }
    }

    fn loaded_file(&self, slot: u32) -> io::Result<Hashed> {
        let entry = self.base.file(slot);
        let checked = &self.checked[slot as usize];
        let path = self.base.text(entry.path);
        match checked.load(Ordering::Acquire) {
            SAME => return Ok(Hashed { hash: entry.hash, stat: entry.stat }),
            CHANGED => return self.learned_file(path, entry.content, None),
            _ => {}
        }
        let stat = FileStat::at(self.root.as_fd(), path)?;
        if stat == entry.stat && entry.settled && !entry.elided && !self.rehash {
            checked.store(SAME, Ordering::Release);
            return Ok(Hashed { hash: entry.hash, stat });
        }
        let hashed = self.learned_file(path, entry.content, Some(&entry));
        checked.store(CHANGED, Ordering::Release);
        hashed
    }

    /// Looks the file up among what this run learned, else reads it. `old` is what was loaded for it.
    fn learned_file(
        &self,
        path: &str,
        content: Content,
        old: Option<&FileEntry>,
    ) -> io::Result<Hashed> {
        if let Some(fact) = self.learned().files[content as usize].get(path) {
            return if fact.elided { Err(io::ErrorKind::NotFound.into()) } else { Ok(fact.hashed) };
        }
        let read_at = MTime::now();
        // Without `NONBLOCK`, a named pipe would keep whoever opens it waiting.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.root, path, flags, Mode::empty())?);
        // The status is taken before the content: a change in between shows at the next look.
        let stat = FileStat::of(&file)?;
        let hashed = Hashed { hash: hash_reader(file, content)?, stat };
        let settled = stat.is_settled(read_at);
        // What cannot be trusted next time and says nothing new is not worth writing down.
        if settled || old.is_none_or(|old| old.hash != hashed.hash) {
            self.dirty.store(true, Ordering::Relaxed);
        }
        self.learned().files[content as usize]
            .insert(path.into(), Fact { hashed, settled, elided: false });
        Ok(hashed)
    }

    /// Stand-in until the index keeps ctimes.
    pub fn unchanged_since(&self, path: &str, content: Content, begun: MTime) -> bool {
        let Ok(known) = self.file(path, content) else { return false };
        FileStat::at(self.root.as_fd(), path).is_ok_and(|stat| stat == known.stat)
            && !(begun..=MTime::now()).contains(&known.stat.mtime)
    }

    /// Whether the index knows the target with this trace file to be up to date with `dep_hash`:
    /// the outputs and the discovered inputs are all as they were recorded. With `check_trace`, so is
    /// the trace file, which says nothing else and is otherwise not looked at.
    ///
    /// `None` means only that it does not know: the trace file decides.
    pub fn vouch(
        &self,
        trace_file: &str,
        dep_hash: ContentHash,
        check_trace: bool,
    ) -> Option<Vouched<'_>> {
        if self.rehash {
            return None;
        }
        let target = self.base.find_target(trace_file)?;
        let trace_is_same =
            || FileStat::at(self.root.as_fd(), trace_file).is_ok_and(|stat| stat == target.stat);
        if target.dep_hash != dep_hash || check_trace && !trace_is_same() {
            return None;
        }
        let mut slots = self.base.slots(&target);
        let mut digest = blake3::Hasher::new();
        let mut vouched = Vouched {
            outputs: Vec::with_capacity(target.outputs as usize),
            on_disk: true,
            read_trace: target.read_trace,
        };
        for slot in slots.by_ref().take(target.outputs as usize) {
            let entry = self.base.file(slot);
            let hashed = match self.loaded_file(slot) {
                Ok(hashed) => hashed,
                Err(error) if entry.elided && error.kind() == io::ErrorKind::NotFound => {
                    vouched.on_disk = false;
                    Hashed { hash: entry.hash, stat: entry.stat }
                }
                Err(_) => return None,
            };
            digest.update(hashed.hash.as_bytes());
            vouched.outputs.push((self.base.text(entry.path), hashed));
        }
        for slot in slots {
            digest.update(self.loaded_file(slot).ok()?.hash.as_bytes());
        }
        (ContentHash::from(digest.finalize()) == target.digest).then_some(vouched)
    }

    /// Takes note of an output just written or verified: later looks in this run see this hash.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn record_output(&self, path: &str, hash: ContentHash) -> io::Result<Hashed> {
        let stat = FileStat::at(self.root.as_fd(), path)?;
        let settled = stat.is_settled(MTime::now());
        let hashed = Hashed { hash, stat };
        self.record(path, Fact { hashed, settled, elided: false });
        Ok(hashed)
    }

    /// Takes note of an output that is known by its hash and was left in the store.
    pub fn record_elided(&self, path: &str, file: &OutputFile) {
        let OutputFile { hash, size, executable, .. } = *file;
        let stat = FileStat { size, mtime: MTime::NONE, inode: 0, executable };
        self.record(path, Fact { hashed: Hashed { hash, stat }, settled: true, elided: true });
    }

    fn record(&self, path: &str, fact: Fact) {
        self.learned().files[Content::Binary as usize].insert(path.into(), fact);
        if let Some(slot) = self.base.find_file(path, Content::Binary) {
            self.checked[slot as usize].store(CHANGED, Ordering::Release);
        }
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// Remembers a finished target. Its outputs must have been given to [`Self::record_output`] or
    /// [`Self::file`] before, its discovered inputs to [`Self::file`]; a target with a file that was
    /// not is not remembered.
    ///
    /// `read_trace` says that the trace file must be read even when the target is up to date.
    pub fn record_target(
        &self,
        trace_file: &str,
        dep_hash: ContentHash,
        outputs: Vec<Box<str>>,
        discovered: Vec<Box<str>>,
        read_trace: bool,
    ) {
        let Ok(stat) = FileStat::at(self.root.as_fd(), trace_file) else { return };
        let target = NewTarget { stat, dep_hash, outputs, discovered, read_trace };
        self.learned().targets.insert(trace_file.into(), target);
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// A text remembered under a key.
    pub fn note(&self, key: &str) -> Option<String> {
        if let Some(value) = self.learned().notes.get(key) {
            return Some(value.clone());
        }
        let mut notes = (0..self.base.notes).map(|slot| self.base.note(slot));
        notes.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    }

    /// Remembers a text under a key.
    pub fn set_note(&self, key: &str, value: &str) {
        self.learned().notes.insert(key.to_owned(), value.to_owned());
        self.dirty.store(true, Ordering::Relaxed);
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
        let bytes = merge(&self.base, &self.checked, &self.learned()).encode();
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        atomic::write(&self.file, &bytes)
    }
}

/// What was loaded and is still so, with what was learned over it.
fn merge(base: &IndexFile, checked: &[AtomicU8], learned: &Learned) -> Tables {
    let mut tables = Tables::default();
    let used = checked.iter().filter(|state| state.load(Ordering::Relaxed) != UNCHECKED).count()
        + learned.files.iter().map(HashMap::len).sum::<usize>();
    let keep_unused = (base.files as usize) < 2 * used + 4096;
    // Where each file that was loaded has gone.
    let mut moved = vec![None; base.files as usize];
    for slot in 0..base.files {
        let entry = base.file(slot);
        let state = checked[slot as usize].load(Ordering::Relaxed);
        let path = base.text(entry.path);
        let replaced = learned.files[entry.content as usize].contains_key(path);
        if !replaced && (state == SAME || state == UNCHECKED && keep_unused) {
            moved[slot as usize] = Some(tables.add_file(path, entry));
        }
    }
    let mut added: [HashMap<&str, u32>; 2] = Default::default();
    let facts = [Content::Text, Content::Binary].into_iter().flat_map(|content| {
        learned.files[content as usize].iter().map(move |(path, fact)| (path, content, *fact))
    });
    for (path, content, Fact { hashed, settled, elided }) in facts {
        let entry = FileEntry {
            path: Span::default(),
            content,
            stat: hashed.stat,
            settled,
            elided,
            hash: hashed.hash,
        };
        let slot = tables.add_file(path, entry);
        added[content as usize].insert(path, slot);
        if let Some(old) = base.find_file(path, content) {
            moved[old as usize] = Some(slot);
        }
    }
    let slot_of = |path: &str, content: Content| match added[content as usize].get(path) {
        Some(slot) => Some(*slot),
        None => moved[base.find_file(path, content)? as usize],
    };
    for target in (0..base.targets).map(|slot| base.target(slot)) {
        let path = base.text(target.path);
        if learned.targets.contains_key(path) {
            continue;
        }
        let slots = base.slots(&target).map(|slot| *moved.get(slot as usize)?);
        if let Some(slots) = slots.collect::<Option<Vec<u32>>>() {
            let first_slot = tables.slots.len() as u32;
            tables.slots.extend(slots);
            tables.add_target(path, TargetEntry { first_slot, ..target });
        }
    }
    for (path, target) in &learned.targets {
        let outputs = target.outputs.iter().map(|path| slot_of(path, Content::Binary));
        let discovered =
            target.discovered.iter().map(|path| slot_of(path, Content::of_source(path)));
        let Some(slots) = outputs.chain(discovered).collect::<Option<Vec<u32>>>() else { continue };
        let mut digest = blake3::Hasher::new();
        for &slot in &slots {
            digest.update(tables.files[slot as usize].hash.as_bytes());
        }
        let entry = TargetEntry {
            path: Span::default(),
            stat: target.stat,
            dep_hash: target.dep_hash,
            digest: digest.finalize().into(),
            first_slot: tables.slots.len() as u32,
            outputs: target.outputs.len() as u32,
            discovered: target.discovered.len() as u32,
            read_trace: target.read_trace,
        };
        tables.slots.extend(slots);
        tables.add_target(path, entry);
    }
    let old_notes = (0..base.notes).map(|slot| base.note(slot));
    for (key, value) in old_notes.filter(|(key, _)| !learned.notes.contains_key(*key)) {
        tables.add_note(key, value);
    }
    for (key, value) in &learned.notes {
        tables.add_note(key, value);
    }
    tables
}
