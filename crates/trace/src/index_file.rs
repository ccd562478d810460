//! The stat index on disk: fixed-size entries, hash tables over them, and one string of paths. It is
//! read in one piece and looked into as it is, so that loading it costs no more than reading it.
//!
//! ```text
//! "larderix"  version u32  files u32  targets u32  slots u32  notes u32  paths u32 (bytes)
//! files    × { path u32 u32, size u64, mtime i64, inode u64, hash [32], flags u32 }
//! targets  × { path u32 u32, size u64, mtime i64, inode u64, dep hash [32], digest [32],
//!              first slot u32, outputs u32, discovered u32, read trace u32 }
//! slots    × u32       the files of targets: outputs, then discovered inputs
//! notes    × { key u32 u32, value u32 u32 }
//! tables   × u32       open addressing by path hash: files, then targets; 0 is free, else entry + 1
//! paths    bytes
//! checksum [32]        BLAKE3 of everything before
//! ```
//! A path is an offset and a length in `paths`. A target's path is that of its trace file. A table has
//! the next power of two of twice as many places as there are entries. Integers are little-endian.
//! Anything unexpected makes the file count as absent.

use std::hash::Hasher;

use crate::{Content, ContentHash, FileStat, MTime};

const MAGIC: &[u8; 8] = b"larderix";
const VERSION: u32 = 2;
const HEADER: usize = 8 + 6 * 4;
const FILE: usize = 68;
const TARGET: usize = 112;
const NOTE: usize = 16;

/// A span of the string of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

/// A file and its hash when it had this status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileEntry {
    pub path: Span,
    pub content: Content,
    pub stat: FileStat,
    /// Whether `stat` suffices to trust `hash`; else it was taken too soon after a change.
    pub settled: bool,
    /// The file is an output that was left in the store: expected not to be there.
    pub elided: bool,
    pub hash: ContentHash,
}

/// A finished build: its trace file and what it was made from and of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TargetEntry {
    pub path: Span,
    /// Status of the trace file.
    pub stat: FileStat,
    pub dep_hash: ContentHash,
    /// BLAKE3 of the hashes of all outputs and discovered inputs, in order.
    pub digest: ContentHash,
    pub first_slot: u32,
    pub outputs: u32,
    pub discovered: u32,
    /// Whether there is a log to replay, or anything else that only the trace file tells.
    pub read_trace: bool,
}

/// An index as loaded.
#[derive(Default)]
pub(crate) struct IndexFile {
    bytes: Vec<u8>,
    pub files: u32,
    pub targets: u32,
    pub notes: u32,
    at: Offsets,
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
    end: usize,
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
        let end = at_paths + paths;
        (end + 32 == length).then_some(Self {
            targets: at_targets,
            slots: at_slots,
            notes: at_notes,
            file_table,
            target_table,
            paths: at_paths,
            end,
        })
    }
}

fn places(entries: usize) -> usize {
    if entries == 0 { 0 } else { (2 * entries).next_power_of_two() }
}

fn hash_of(path: &str) -> usize {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(path.as_bytes());
    // The last step of this hash rotates the well-mixed bits to the low end.
    hasher.finish() as usize
}

impl IndexFile {
    /// `None` for anything that [`Tables::encode`] did not write.
    pub fn decode(bytes: Vec<u8>) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        if ContentHash::of_bytes(body).as_bytes() != checksum {
            return None;
        }
        let mut from = Reader(body.strip_prefix(MAGIC)?);
        if from.u32() != VERSION {
            return None;
        }
        let counts = [from.u32(), from.u32(), from.u32(), from.u32(), from.u32()];
        let at = Offsets::new(counts, bytes.len())?;
        std::str::from_utf8(bytes.get(at.paths..at.end)?).ok()?;
        let [files, targets, _, notes, _] = counts;
        Some(Self { bytes, files, targets, notes, at })
    }

    fn reader(&self, at: usize) -> Reader<'_> {
        Reader(self.bytes.get(at..).unwrap_or_default())
    }

    pub fn text(&self, span: Span) -> &str {
        let start = self.at.paths + span.start as usize;
        let bytes = self.bytes.get(start..start + span.length as usize).unwrap_or_default();
        // All of it was checked when it was loaded; a span of it may still cut a character.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The file at `slot`, which must be below `files`.
    pub fn file(&self, slot: u32) -> FileEntry {
        self.reader(HEADER + slot as usize * FILE).file()
    }

    /// The target at `slot`, which must be below `targets`.
    pub fn target(&self, slot: u32) -> TargetEntry {
        self.reader(self.at.targets + slot as usize * TARGET).target()
    }

    pub fn note(&self, slot: u32) -> (&str, &str) {
        let mut from = self.reader(self.at.notes + slot as usize * NOTE);
        (self.text(from.span()), self.text(from.span()))
    }

    pub fn find_file(&self, path: &str, content: Content) -> Option<u32> {
        self.find(self.at.file_table, self.files, path, |slot| {
            let entry = self.file(slot);
            entry.content == content && self.text(entry.path) == path
        })
    }

    pub fn find_target(&self, path: &str) -> Option<TargetEntry> {
        let same = |slot| {
            let mut from = self.reader(self.at.targets + slot as usize * TARGET);
            self.text(from.span()) == path
        };
        self.find(self.at.target_table, self.targets, path, same).map(|slot| self.target(slot))
    }

    fn find(
        &self,
        table: usize,
        entries: u32,
        path: &str,
        same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let places = places(entries as usize);
        for step in 0..places {
            let place = (hash_of(path) + step) & (places - 1);
            let entry = self.reader(table + 4 * place).u32();
            // The checksum vouches for the table; the bound only keeps a broken writer harmless.
            let slot = entry.checked_sub(1).filter(|slot| *slot < entries)?;
            if same(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// The slots of a target's files: outputs, then discovered inputs.
    pub fn slots(&self, target: &TargetEntry) -> impl Iterator<Item = u32> {
        let count = target.outputs + target.discovered;
        let mut from = self.reader(self.at.slots + 4 * target.first_slot as usize);
        let files = self.files;
        (0..count).map(move |_| from.u32()).map(move |slot| slot.min(files.saturating_sub(1)))
    }
}

/// What is to be saved.
#[derive(Default)]
pub(crate) struct Tables {
    pub files: Vec<FileEntry>,
    pub targets: Vec<TargetEntry>,
    pub slots: Vec<u32>,
    notes: Vec<(Span, Span)>,
    paths: String,
}

impl Tables {
    fn intern(&mut self, text: &str) -> Span {
        let start = self.paths.len() as u32;
        self.paths.push_str(text);
        Span { start, length: text.len() as u32 }
    }

    fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.paths.get(start..start + span.length as usize).unwrap_or_default()
    }

    pub fn add_file(&mut self, path: &str, entry: FileEntry) -> u32 {
        let path = self.intern(path);
        self.files.push(FileEntry { path, ..entry });
        self.files.len() as u32 - 1
    }

    pub fn add_target(&mut self, path: &str, entry: TargetEntry) {
        let path = self.intern(path);
        self.targets.push(TargetEntry { path, ..entry });
    }

    pub fn add_note(&mut self, key: &str, value: &str) {
        let note = (self.intern(key), self.intern(value));
        self.notes.push(note);
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            HEADER
                + self.files.len() * (FILE + 16)
                + self.targets.len() * (TARGET + 16)
                + self.slots.len() * 4
                + self.paths.len()
                + 4096,
        );
        out.extend_from_slice(MAGIC);
        put(&mut out, VERSION);
        for count in [
            self.files.len(),
            self.targets.len(),
            self.slots.len(),
            self.notes.len(),
            self.paths.len(),
        ] {
            put(&mut out, count as u32);
        }
        for file in &self.files {
            put_span(&mut out, file.path);
            put_stat(&mut out, &file.stat);
            out.extend_from_slice(file.hash.as_bytes());
            let flags = u32::from(file.content == Content::Text)
                | u32::from(file.settled) << 1
                | u32::from(file.elided) << 2
                | u32::from(file.stat.executable) << 3;
            put(&mut out, flags);
        }
        for target in &self.targets {
            put_span(&mut out, target.path);
            put_stat(&mut out, &target.stat);
            out.extend_from_slice(target.dep_hash.as_bytes());
            out.extend_from_slice(target.digest.as_bytes());
            for value in
                [target.first_slot, target.outputs, target.discovered, u32::from(target.read_trace)]
            {
                put(&mut out, value);
            }
        }
        self.slots.iter().for_each(|&slot| put(&mut out, slot));
        for &(key, value) in &self.notes {
            put_span(&mut out, key);
            put_span(&mut out, value);
        }
        put_table(&mut out, self.files.iter().map(|file| self.text(file.path)));
        put_table(&mut out, self.targets.iter().map(|target| self.text(target.path)));
        out.extend_from_slice(self.paths.as_bytes());
        let checksum = ContentHash::of_bytes(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }
}

fn put_table<'a>(out: &mut Vec<u8>, paths: impl ExactSizeIterator<Item = &'a str>) {
    let mut table = vec![0u32; places(paths.len())];
    let mask = table.len().wrapping_sub(1);
    for (slot, path) in paths.enumerate() {
        let mut place = hash_of(path) & mask;
        while table[place] != 0 {
            place = (place + 1) & mask;
        }
        table[place] = slot as u32 + 1;
    }
    table.into_iter().for_each(|entry| put(out, entry));
}

fn put(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_span(out: &mut Vec<u8>, span: Span) {
    put(out, span.start);
    put(out, span.length);
}

fn put_stat(out: &mut Vec<u8>, stat: &FileStat) {
    out.extend_from_slice(&stat.size.to_le_bytes());
    out.extend_from_slice(&stat.mtime.0.to_le_bytes());
    out.extend_from_slice(&stat.inode.to_le_bytes());
    // Whether it is executable stands among a file's flags; a trace file never is.
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

    fn span(&mut self) -> Span {
        Span { start: self.u32(), length: self.u32() }
    }

    fn hash(&mut self) -> ContentHash {
        ContentHash::from_bytes(self.array())
    }

    fn stat(&mut self) -> FileStat {
        FileStat {
            size: u64::from_le_bytes(self.array()),
            mtime: MTime(i64::from_le_bytes(self.array())),
            inode: u64::from_le_bytes(self.array()),
            executable: false,
        }
    }

    fn file(&mut self) -> FileEntry {
        let (path, mut stat, hash, flags) = (self.span(), self.stat(), self.hash(), self.u32());
        stat.executable = flags & 8 != 0;
        let content = if flags & 1 != 0 { Content::Text } else { Content::Binary };
        FileEntry { path, content, stat, settled: flags & 2 != 0, elided: flags & 4 != 0, hash }
    }

    fn target(&mut self) -> TargetEntry {
        TargetEntry {
            path: self.span(),
            stat: self.stat(),
            dep_hash: self.hash(),
            digest: self.hash(),
            first_slot: self.u32(),
            outputs: self.u32(),
            discovered: self.u32(),
            read_trace: self.u32() != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(paths: &[String]) -> Vec<u8> {
        let mut tables = Tables::default();
        let stat = FileStat { size: 1, mtime: MTime(2), inode: 3, executable: true };
        for (number, path) in paths.iter().enumerate() {
            let content = if number % 2 == 0 { Content::Text } else { Content::Binary };
            let hash = ContentHash::of_bytes(path.as_bytes());
            let path_span = Span::default();
            let entry =
                FileEntry { path: path_span, content, stat, settled: true, elided: false, hash };
            let slot = tables.add_file(path, entry);
            tables.slots.push(slot);
            let entry = TargetEntry {
                path: path_span,
                stat: FileStat { executable: false, ..stat },
                dep_hash: hash,
                digest: hash,
                first_slot: slot,
                outputs: 1,
                discovered: 0,
                read_trace: number % 3 == 0,
            };
            tables.add_target(&format!("{path}.trace"), entry);
            tables.add_note(path, "value");
        }
        tables.encode()
    }

    proptest! {
        #[test]
        fn what_is_saved_is_found(paths in prop::collection::hash_set("[a-z/é]{1,12}", 0..60)) {
            let paths: Vec<String> = paths.into_iter().collect();
            let index = IndexFile::decode(encoded(&paths)).expect("our own file is read");
            for (number, path) in paths.iter().enumerate() {
                let content = if number % 2 == 0 { Content::Text } else { Content::Binary };
                let slot = index.find_file(path, content).expect("each file is found");
                prop_assert_eq!(index.text(index.file(slot).path), path);
                let target = index.find_target(&format!("{path}.trace")).expect("each target is found");
                prop_assert_eq!(index.slots(&target).collect::<Vec<_>>(), [slot]);
                prop_assert_eq!(target.dep_hash, ContentHash::of_bytes(path.as_bytes()));
                prop_assert_eq!(index.note(number as u32), (path.as_str(), "value"));
            }
            prop_assert!(index.find_file("not there", Content::Text).is_none());
        }

        #[test]
        fn a_damaged_file_is_no_index(at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
            let bytes = encoded(&["src/a.c".into(), "b.o".into()]);
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= flip;
            prop_assert!(IndexFile::decode(flipped).is_none());
            prop_assert!(IndexFile::decode(bytes[..cut.index(bytes.len())].to_vec()).is_none());
        }
    }
}
