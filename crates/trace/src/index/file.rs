//! The stat index on disk: fixed-size entries, hash tables over them, and one string of paths. It is
//! read in one piece and looked into as it is, so that loading it costs no more than reading it.
//!
//! ```text
//! "larderix"  version u32  files u32  targets u32  slots u32  notes u32  paths u32 (bytes)
//!             written i64  boot [32]
//! files    × { path u32 u32, status, hash [32], flags u32 }
//! targets  × { path u32 u32, status, dep hash [32], digest [32],
//!              first slot u32, outputs u32, inputs u32, flags u32 }
//! slots    × u32       the files of targets: outputs, then inputs
//! notes    × { key u32 u32, value u32 u32 }
//! tables   × u32       open addressing by path hash: files, then targets; 0 is free, else entry + 1
//! paths    bytes
//! checksum u64         of everything before; it finds damage, not malice
//! ```
//! A path is an offset and a length in `paths`. A target's path is that of its trace file without the final
//! `.trace`, mostly the same place in `paths` as that of its first output. A status is
//! `size u64, mtime i64, ctime i64, inode u64`; a file's flags are its kind of content (2 bits), 4
//! settled, 8 elided, 16 executable; a target's are 1 read trace, 2 consistent. `written` is when the
//! file was written, `boot` the BLAKE3 of the kernel's boot id. A table has the next power of two of
//! twice as many places as there are entries. Files and targets stand in the order of their paths, so that
//! a walk in that order (see `walk.rs`) finds each beside the last; nothing relies on it. Integers are little-endian. Anything unexpected makes
//! the file count as absent.

use std::{hash::Hasher, io::Read};

use crate::{Content, ContentHash, FileStat, Hashed, MTime};

pub(super) const MAGIC: &[u8; 8] = b"larderix";
pub(super) const VERSION: u32 = 5;
const HEADER: usize = 8 + 6 * 4 + 8 + 32;
const FILE: usize = 76;
const TARGET: usize = 120;
const NOTE: usize = 16;

pub(super) const SETTLED: u32 = 4;
pub(super) const ELIDED: u32 = 8;
pub(super) const EXECUTABLE: u32 = 16;

/// A file that was changed less than this long before the index was written may not have reached the
/// disk before the power failed.
const DOUBT: i64 = 60_000_000_000;

/// A span of the string of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// A file and its hash when it had this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    pub hashed: Hashed,
    /// Whether the status suffices to trust the hash; else it was taken too soon after a change.
    pub settled: bool,
    /// The file is an output that was left in the store: expected not to be there.
    pub elided: bool,
    /// When it was hashed, in this run; [`MTime::NONE`] before.
    pub read_at: MTime,
}

/// A fact about a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileEntry {
    pub path: Span,
    pub content: Content,
    pub fact: Fact,
}

/// A finished build: its trace file and what it was made from and of.
#[derive(Debug, Clone, Copy)]
pub(super) struct TargetEntry {
    pub path: Span,
    /// Status of the trace file.
    pub stat: FileStat,
    pub dep_hash: ContentHash,
    /// The [`digest`] of all outputs and inputs when it was recorded.
    pub digest: ContentHash,
    pub first_slot: u32,
    pub outputs: u32,
    pub inputs: u32,
    /// Whether there is a log to replay, or anything else that only the trace file tells.
    pub read_trace: bool,
    /// Whether `digest` is that of the files as they stand in this index. While they are so on disk,
    /// nothing needs to be computed.
    pub consistent: bool,
}

/// The digest of a target's files, outputs first: their hashes, and which outputs can be executed.
pub(super) fn digest(outputs: u32, files: impl Iterator<Item = Hashed>) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    for (number, file) in files.enumerate() {
        hasher.update(file.hash.as_bytes());
        if number < outputs as usize {
            hasher.update(&[u8::from(file.stat.executable)]);
        }
    }
    hasher.finalize().into()
}

/// An index as loaded.
#[derive(Default)]
pub(super) struct IndexFile {
    bytes: Vec<u8>,
    paths: String,
    pub files: u32,
    pub targets: u32,
    pub notes: u32,
    at: Offsets,
    /// From this time on, what was changed is in doubt.
    doubtful_from: Option<MTime>,
}

/// Where the parts of the file begin.
#[derive(Default)]
struct Offsets {
    targets: usize,
    slots: usize,
    notes: usize,
    file_table: usize,
    target_table: usize,
    paths: usize,
}

impl Offsets {
    /// `None` when the counts are not those of a file of `length` bytes.
    fn new(counts: [u32; 5], length: usize) -> Option<Self> {
        let [files, targets, slots, notes, paths] = counts.map(|count| count as usize);
        let at_targets = HEADER + files * FILE;
        let at_slots = at_targets + targets * TARGET;
        let at_notes = at_slots + slots * 4;
        let file_table = at_notes + notes * NOTE;
        let target_table = file_table + places(files) * 4;
        let at_paths = target_table + places(targets) * 4;
        (at_paths + paths == length).then_some(Self {
            targets: at_targets,
            slots: at_slots,
            notes: at_notes,
            file_table,
            target_table,
            paths: at_paths,
        })
    }
}

pub(super) fn places(entries: usize) -> usize {
    if entries == 0 { 0 } else { (2 * entries).next_power_of_two() }
}

/// The checksum of an index: of its tables and of its paths, in turn.
pub(super) fn checksum(tables: &[u8], paths: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(tables);
    hasher.write(paths);
    hasher.finish()
}

/// The name under which a target is known: the path of its trace file without the ending that all of them
/// have. Where the trace file lies beside the first output, that is the output's path.
pub(super) fn target_name(trace_file: &str) -> Option<&str> {
    trace_file.strip_suffix(".trace")
}

/// A hash that is quick to compute, for tables.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    // The last step of this hash rotates the well-mixed bits to the low end.
    hasher.finish()
}

impl IndexFile {
    /// The index that `Tables::encode` wrote, `length` bytes long, read under the boot of the hash `boot`;
    /// `None` for anything else. Each part is read to where it stays: nothing is copied.
    pub fn read(from: &mut impl Read, length: u64, boot: ContentHash) -> Option<Self> {
        let mut header = [0; HEADER];
        from.read_exact(&mut header).ok()?;
        let mut fields = Reader(header.strip_prefix(MAGIC)?);
        if fields.u32() != VERSION {
            return None;
        }
        let counts = [fields.u32(), fields.u32(), fields.u32(), fields.u32(), fields.u32()];
        let (written, written_under) = (fields.i64(), fields.hash());
        let length = usize::try_from(length).ok()?.checked_sub(size_of::<u64>())?;
        // The length of the file bounds what is allocated, whatever the header says.
        let at = Offsets::new(counts, length)?;
        let [files, targets, _, notes, _] = counts;
        let mut bytes = vec![0; at.paths];
        bytes[..HEADER].copy_from_slice(&header);
        from.read_exact(&mut bytes[HEADER..]).ok()?;
        let mut paths = vec![0; length - at.paths];
        from.read_exact(&mut paths).ok()?;
        let mut expected = [0; size_of::<u64>()];
        from.read_exact(&mut expected).ok()?;
        if checksum(&bytes, &paths) != u64::from_le_bytes(expected) {
            return None;
        }
        // Paths are checked once, here, and are then at hand without.
        let paths = String::from_utf8(paths).ok()?;
        let doubtful_from = (written_under != boot).then_some(MTime(written.saturating_sub(DOUBT)));
        Some(Self { bytes, paths, files, targets, notes, at, doubtful_from })
    }

    fn reader(&self, at: usize) -> Reader<'_> {
        Reader(self.bytes.get(at..).unwrap_or_default())
    }

    pub fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.paths.get(start..start + span.length as usize).unwrap_or_default()
    }

    /// The file at `slot`, which must be below `files`.
    pub fn file(&self, slot: u32) -> FileEntry {
        let mut entry = self.reader(HEADER + slot as usize * FILE).file();
        let in_doubt = |from| entry.fact.hashed.stat.changed() >= from;
        entry.fact.settled &= !self.doubtful_from.is_some_and(in_doubt);
        entry
    }

    /// Whether the file at `slot` is an output that was left in the store.
    pub fn is_elided(&self, slot: u32) -> bool {
        self.reader(HEADER + slot as usize * FILE + FILE - 4).u32() & ELIDED != 0
    }

    /// The target at `slot`, which must be below `targets`.
    pub fn target(&self, slot: u32) -> TargetEntry {
        self.reader(self.at.targets + slot as usize * TARGET).target()
    }

    pub fn note(&self, slot: u32) -> (&str, &str) {
        let mut from = self.reader(self.at.notes + slot as usize * NOTE);
        (self.text(from.span()), self.text(from.span()))
    }

    /// The slot of a file. It is looked for at `guess` first.
    pub fn find_file(&self, path: &str, content: Content, guess: u32) -> Option<u32> {
        self.find(self.at.file_table, self.files, path, guess, |slot| {
            let span = self.reader(HEADER + slot as usize * FILE).span();
            self.text(span) == path && self.file(slot).content == content
        })
    }

    /// The slot of the target of this name (see [`target_name`]). It is looked for at `guess` first.
    pub fn find_target(&self, name: &str, guess: u32) -> Option<u32> {
        self.find(self.at.target_table, self.targets, name, guess, |slot| {
            let span = self.reader(self.at.targets + slot as usize * TARGET).span();
            self.text(span) == name
        })
    }

    fn find(
        &self,
        table: usize,
        entries: u32,
        path: &str,
        guess: u32,
        same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        if guess < entries && same(guess) {
            return Some(guess);
        }
        let places = places(entries as usize);
        let first = hash_of(path.as_bytes()) as usize;
        for step in 0..places {
            let place = first.wrapping_add(step) & (places - 1);
            let entry = self.reader(table + 4 * place).u32();
            // The checksum vouches for the table; the bound only keeps a broken writer harmless.
            let slot = entry.checked_sub(1).filter(|slot| *slot < entries)?;
            if same(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// The slots of a target's files: outputs, then inputs.
    pub fn slots<'a>(&'a self, target: &TargetEntry) -> impl Iterator<Item = u32> + use<'a> {
        let count = if self.files == 0 { 0 } else { target.outputs.saturating_add(target.inputs) };
        let mut from = self.reader(self.at.slots + 4 * target.first_slot as usize);
        let files = self.files;
        (0..count).map(move |_| from.u32()).map(move |slot| slot.min(files - 1))
    }
}

/// Reads fields one after the other; past the end there are zeros.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    fn span(&mut self) -> Span {
        Span { start: self.u32(), length: self.u32() }
    }

    fn hash(&mut self) -> ContentHash {
        ContentHash::from_bytes(self.array())
    }

    fn stat(&mut self) -> FileStat {
        FileStat {
            size: u64::from_le_bytes(self.array()),
            mtime: MTime(self.i64()),
            ctime: MTime(self.i64()),
            inode: u64::from_le_bytes(self.array()),
            executable: false,
        }
    }

    fn file(&mut self) -> FileEntry {
        let (path, mut stat, hash, flags) = (self.span(), self.stat(), self.hash(), self.u32());
        stat.executable = flags & EXECUTABLE != 0;
        let content = Content::ALL[flags as usize % 4 % 3];
        let hashed = Hashed { hash, stat };
        let (settled, elided) = (flags & SETTLED != 0, flags & ELIDED != 0);
        let fact = Fact { hashed, settled, elided, read_at: MTime::NONE };
        FileEntry { path, content, fact }
    }

    fn target(&mut self) -> TargetEntry {
        let (path, stat, dep_hash, digest) = (self.span(), self.stat(), self.hash(), self.hash());
        let (first_slot, outputs, inputs, flags) = (self.u32(), self.u32(), self.u32(), self.u32());
        let (read_trace, consistent) = (flags & 1 != 0, flags & 2 != 0);
        TargetEntry {
            path,
            stat,
            dep_hash,
            digest,
            first_slot,
            outputs,
            inputs,
            read_trace,
            consistent,
        }
    }
}
