//! The stat index on disk: fixed-size entries, one string of paths, a checksum. Read in one piece
//! and looked into as it is.
//!
//! ```text
//! "larderix"  version u32  files u32  targets u32  slots u32  notes u32  paths u32 (bytes)
//! files   × { path u32 u32, size u64, mtime i64, inode u64, hash [32], flags u32 }
//! targets × { path u32 u32, size u64, mtime i64, inode u64, dep hash [32], digest [32],
//!             first slot u32, outputs u32, discovered u32, read trace u32 }
//! slots   × u32        the files of targets: outputs, then discovered inputs
//! notes   × { key u32 u32, value u32 u32 }
//! paths   bytes
//! checksum [32]        BLAKE3 of everything before
//! ```
//! Integers are little-endian. Anything unexpected makes the file count as absent.

use hashbrown::HashTable;

use crate::{Content, ContentHash, FileStat, MTime};

const MAGIC: &[u8; 8] = b"larderix";
const VERSION: u32 = 1;

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

/// The tables of an index, as loaded or as collected for saving.
#[derive(Default)]
pub(crate) struct Tables {
    pub files: Vec<FileEntry>,
    pub targets: Vec<TargetEntry>,
    pub slots: Vec<u32>,
    pub notes: Vec<(Span, Span)>,
    paths: String,
    file_table: HashTable<u32>,
    target_table: HashTable<u32>,
}

fn hash_of(path: &str) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
    let mut hasher = BuildHasherDefault::<rustc_hash::FxHasher>::default().build_hasher();
    hasher.write(path.as_bytes());
    hasher.finish()
}

impl Tables {
    pub fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.paths.get(start..start + span.length as usize).unwrap_or("")
    }

    pub fn intern(&mut self, text: &str) -> Span {
        let start = self.paths.len() as u32;
        self.paths.push_str(text);
        Span { start, length: text.len() as u32 }
    }

    pub fn find_file(&self, path: &str, content: Content) -> Option<u32> {
        self.file_table
            .find(hash_of(path), |&slot| {
                let entry = &self.files[slot as usize];
                entry.content == content && self.text(entry.path) == path
            })
            .copied()
    }

    pub fn find_target(&self, path: &str) -> Option<&TargetEntry> {
        let slot = self
            .target_table
            .find(hash_of(path), |&slot| self.text(self.targets[slot as usize].path) == path)?;
        Some(&self.targets[*slot as usize])
    }

    pub fn add_file(&mut self, path: &str, mut entry: FileEntry) -> u32 {
        let slot = self.files.len() as u32;
        entry.path = self.intern(path);
        self.files.push(entry);
        let Self { files, paths, file_table, .. } = self;
        file_table
            .insert_unique(hash_of(path), slot, |&slot| rehash(paths, files[slot as usize].path));
        slot
    }

    pub fn add_target(&mut self, path: &str, mut entry: TargetEntry) {
        let slot = self.targets.len() as u32;
        entry.path = self.intern(path);
        self.targets.push(entry);
        let Self { targets, paths, target_table, .. } = self;
        target_table
            .insert_unique(hash_of(path), slot, |&slot| rehash(paths, targets[slot as usize].path));
    }

    /// The slots of a target's outputs and of its discovered inputs.
    pub fn slots_of(&self, target: &TargetEntry) -> Option<(&[u32], &[u32])> {
        let first = target.first_slot as usize;
        let middle = first.checked_add(target.outputs as usize)?;
        let end = middle.checked_add(target.discovered as usize)?;
        Some((self.slots.get(first..middle)?, self.slots.get(middle..end)?))
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            64 + self.files.len() * 76
                + self.targets.len() * 120
                + self.slots.len() * 4
                + self.paths.len(),
        );
        out.extend_from_slice(MAGIC);
        for count in [
            VERSION as usize,
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
        out.extend_from_slice(self.paths.as_bytes());
        let checksum = ContentHash::of_bytes(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// `None` for anything that [`Self::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        if ContentHash::of_bytes(body).as_bytes() != checksum {
            return None;
        }
        let mut from = Reader(body.strip_prefix(MAGIC)?);
        if from.u32()? != VERSION {
            return None;
        }
        let counts = [from.u32()?, from.u32()?, from.u32()?, from.u32()?, from.u32()?];
        let [files, targets, slots, notes, paths] = counts.map(|count| count as usize);
        let mut tables = Self {
            files: (0..files).map(|_| from.file()).collect::<Option<_>>()?,
            targets: (0..targets).map(|_| from.target()).collect::<Option<_>>()?,
            slots: (0..slots).map(|_| from.u32()).collect::<Option<_>>()?,
            notes: (0..notes).map(|_| Some((from.span()?, from.span()?))).collect::<Option<_>>()?,
            paths: std::str::from_utf8(from.0).ok()?.to_owned(),
            ..Self::default()
        };
        if tables.paths.len() != paths || tables.slots.iter().any(|&slot| slot as usize >= files) {
            return None;
        }
        let Self { files, targets, paths, file_table, target_table, .. } = &mut tables;
        let hash = |&slot: &u32| rehash(paths, files[slot as usize].path);
        file_table.reserve(files.len(), hash);
        for slot in 0..files.len() as u32 {
            file_table.insert_unique(hash(&slot), slot, hash);
        }
        let hash = |&slot: &u32| rehash(paths, targets[slot as usize].path);
        target_table.reserve(targets.len(), hash);
        for slot in 0..targets.len() as u32 {
            target_table.insert_unique(hash(&slot), slot, hash);
        }
        Some(tables)
    }
}

fn rehash(paths: &str, span: Span) -> u64 {
    let start = span.start as usize;
    hash_of(paths.get(start..start + span.length as usize).unwrap_or(""))
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
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn span(&mut self) -> Option<Span> {
        Some(Span { start: self.u32()?, length: self.u32()? })
    }

    fn hash(&mut self) -> Option<ContentHash> {
        self.array().map(ContentHash::from_bytes)
    }

    fn stat(&mut self) -> Option<FileStat> {
        Some(FileStat {
            size: self.array().map(u64::from_le_bytes)?,
            mtime: MTime(self.array().map(i64::from_le_bytes)?),
            inode: self.array().map(u64::from_le_bytes)?,
            executable: false,
        })
    }

    fn file(&mut self) -> Option<FileEntry> {
        let (path, mut stat, hash, flags) = (self.span()?, self.stat()?, self.hash()?, self.u32()?);
        stat.executable = flags & 8 != 0;
        let content = if flags & 1 != 0 { Content::Text } else { Content::Binary };
        Some(FileEntry {
            path,
            content,
            stat,
            settled: flags & 2 != 0,
            elided: flags & 4 != 0,
            hash,
        })
    }

    fn target(&mut self) -> Option<TargetEntry> {
        Some(TargetEntry {
            path: self.span()?,
            stat: self.stat()?,
            dep_hash: self.hash()?,
            digest: self.hash()?,
            first_slot: self.u32()?,
            outputs: self.u32()?,
            discovered: self.u32()?,
            read_trace: self.u32()? != 0,
        })
    }
}
