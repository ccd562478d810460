//! Writing the stat index; `file.rs` describes and reads it.

use super::file::{
    ELIDED, EXECUTABLE, FileEntry, MAGIC, SETTLED, Span, TargetEntry, VERSION, checksum, hash_of,
    places,
};
use crate::{ContentHash, FileStat, MTime};

/// The tables that are to be saved.
#[derive(Default)]
pub(super) struct Tables {
    pub files: Vec<FileEntry>,
    pub targets: Vec<TargetEntry>,
    slots: Vec<u32>,
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

    /// Adds a target with the slots of its files, outputs first.
    pub fn add_target(&mut self, name: &str, entry: TargetEntry, slots: Vec<u32>) {
        let output = slots.first().and_then(|slot| self.files.get(*slot as usize));
        let same = output.map(|output| output.path).filter(|path| self.text(*path) == name);
        let path = same.unwrap_or_else(|| self.intern(name));
        let first_slot = self.slots.len() as u32;
        self.slots.extend(slots);
        self.targets.push(TargetEntry { path, first_slot, ..entry });
    }

    pub fn add_note(&mut self, key: &str, value: &str) {
        let note = (self.intern(key), self.intern(value));
        self.notes.push(note);
    }

    /// The bytes of the index file, written at `written` under the boot of the hash `boot`.
    pub fn encode(&self, written: MTime, boot: ContentHash) -> Vec<u8> {
        let mut out = Vec::new();
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
        out.extend_from_slice(&written.0.to_le_bytes());
        out.extend_from_slice(boot.as_bytes());
        for FileEntry { path, content, fact } in &self.files {
            put_span(&mut out, *path);
            put_stat(&mut out, &fact.hashed.stat);
            out.extend_from_slice(fact.hashed.hash.as_bytes());
            let flag = |is_set, flag| if is_set { flag } else { 0 };
            let flags = flag(fact.settled, SETTLED)
                | flag(fact.elided, ELIDED)
                | flag(fact.hashed.stat.executable, EXECUTABLE);
            put(&mut out, *content as u32 | flags);
        }
        for target in &self.targets {
            put_span(&mut out, target.path);
            put_stat(&mut out, &target.stat);
            out.extend_from_slice(target.dep_hash.as_bytes());
            out.extend_from_slice(target.digest.as_bytes());
            let flags = u32::from(target.read_trace) | u32::from(target.consistent) << 1;
            for value in [target.first_slot, target.outputs, target.inputs, flags] {
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
        let checksum = checksum(&out, self.paths.as_bytes());
        out.extend_from_slice(self.paths.as_bytes());
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }
}

fn put_table<'a>(out: &mut Vec<u8>, paths: impl ExactSizeIterator<Item = &'a str>) {
    let mut table = vec![0u32; places(paths.len())];
    let mask = table.len().wrapping_sub(1);
    for (slot, path) in paths.enumerate() {
        let mut place = hash_of(path.as_bytes()) as usize & mask;
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
    out.extend_from_slice(&stat.ctime.0.to_le_bytes());
    out.extend_from_slice(&stat.inode.to_le_bytes());
    // Whether it is executable stands among a file's flags; a trace file never is.
}

#[cfg(test)]
mod tests {
    use super::super::file::{Fact, IndexFile};
    use super::*;
    use crate::{Content, Hashed};
    use proptest::prelude::*;

    const BOOT: ContentHash = ContentHash::from_bytes([1; 32]);
    const OTHER_BOOT: ContentHash = ContentHash::from_bytes([2; 32]);
    const SECOND: i64 = 1_000_000_000;

    fn content(number: usize) -> Content {
        Content::ALL[number % 3]
    }

    fn entry(content: Content, hash: ContentHash, mtime: i64, ctime: i64) -> FileEntry {
        let (mtime, ctime) = (MTime(mtime), MTime(ctime));
        let stat = FileStat { size: 1, mtime, ctime, inode: 3, executable: true };
        let read_at = MTime::NONE;
        let fact = Fact { hashed: Hashed { hash, stat }, settled: true, elided: false, read_at };
        FileEntry { path: Span::default(), content, fact }
    }

    fn decoded(mut bytes: &[u8], boot: ContentHash) -> Option<IndexFile> {
        let length = bytes.len() as u64;
        IndexFile::read(&mut bytes, length, boot)
    }

    fn encoded(paths: &[String]) -> Vec<u8> {
        let mut tables = Tables::default();
        for (number, path) in paths.iter().enumerate() {
            let hash = ContentHash::of_bytes(path.as_bytes());
            let slot = tables.add_file(path, entry(content(number), hash, 2, 4));
            let target = TargetEntry {
                path: Span::default(),
                stat: FileStat::ABSENT,
                dep_hash: hash,
                digest: hash,
                first_slot: 0,
                outputs: 1,
                inputs: 0,
                read_trace: number % 3 == 0,
                consistent: number % 2 == 0,
            };
            let name = if number % 2 == 0 { path.clone() } else { format!("{path}+") };
            tables.add_target(&name, target, vec![slot]);
            tables.add_note(path, "value");
        }
        tables.encode(MTime(0), BOOT)
    }

    proptest! {
        #[test]
        fn what_is_saved_is_found(paths in prop::collection::hash_set("[a-z/é]{1,12}", 0..60)) {
            let paths: Vec<String> = paths.into_iter().collect();
            let index = decoded(&encoded(&paths), BOOT).expect("our own file is read");
            for (number, path) in paths.iter().enumerate() {
                let hash = ContentHash::of_bytes(path.as_bytes());
                let slot = index.find_file(path, content(number), number as u32 / 2).expect("each file is found");
                prop_assert!(index.find_file(path, content(number + 1), number as u32).is_none());
                let found = index.file(slot);
                prop_assert_eq!(index.text(found.path), path);
                prop_assert_eq!(found.fact, entry(content(number), hash, 2, 4).fact);
                let name = if number % 2 == 0 { path.clone() } else { format!("{path}+") };
                let target = index.find_target(&name, number as u32 / 2);
                let target = index.target(target.expect("each target is found"));
                prop_assert_eq!(index.slots(&target).collect::<Vec<_>>(), [slot]);
                prop_assert_eq!(target.dep_hash, hash);
                prop_assert_eq!(
                    (target.read_trace, target.consistent),
                    (number % 3 == 0, number % 2 == 0)
                );
                prop_assert_eq!(index.note(number as u32), (path.as_str(), "value"));
            }
            prop_assert!(index.find_file("not there", Content::Text, u32::MAX).is_none());
        }

        #[test]
        fn a_damaged_file_is_no_index(at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
            let bytes = encoded(&["src/a.c".into(), "b.o".into()]);
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= flip;
            prop_assert!(decoded(&flipped, BOOT).is_none());
            prop_assert!(decoded(&bytes[..cut.index(bytes.len())], BOOT).is_none());
        }

        /// After a reboot, and only then, exactly what either time puts into the last minute before
        /// the index was written, or after, is in doubt.
        #[test]
        fn what_may_not_have_reached_the_disk_is_in_doubt(
            mtime in 0i64..200,
            ctime in 0i64..200,
            written in 0i64..200,
        ) {
            let mut tables = Tables::default();
            let file = entry(Content::Text, BOOT, mtime * SECOND, ctime * SECOND);
            tables.add_file("a", file);
            let bytes = tables.encode(MTime(written * SECOND), BOOT);
            let settled = |boot| {
                decoded(&bytes, boot).unwrap().file(0).fact.settled
            };
            prop_assert!(settled(BOOT));
            prop_assert_eq!(settled(OTHER_BOOT), mtime.max(ctime) < written - 60);
        }
    }
}
