//! Merges an index with what a run has learned: loaded facts stay unless they were found to be wrong.

use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashMap;

use super::{
    Learned, SAME, UNCHECKED,
    file::{FileEntry, IndexFile, Span, TargetEntry, digest},
    listing,
    tables::Tables,
};
use crate::Content;

/// The tables to be saved.
pub(super) fn merge(base: &IndexFile, checked: &[AtomicU8], learned: &Learned) -> Tables {
    let mut tables = Tables::default();
    let moved = files(&mut tables, base, checked, learned);
    let mut targets = old_targets(&tables, base, learned, &moved);
    targets.extend(new_targets(&tables, base, learned, &moved));
    targets.sort_by_key(|target| target.path);
    for Target { path, entry, slots } in targets {
        tables.add_target(path, entry, slots);
    }
    // A listing is of no use without the directory's status.
    let is_kept = |key: &str| match listing::directory_of(key) {
        Some(directory) => moved.find(base, directory, Content::Names).is_some(),
        None => true,
    };
    let old_notes = (0..base.notes).map(|slot| base.note(slot));
    let old_notes = old_notes.filter(|(key, _)| !learned.notes.contains_key(*key));
    for (key, value) in old_notes.filter(|(key, _)| is_kept(key)) {
        tables.add_note(key, value);
    }
    for (key, value) in &learned.notes {
        tables.add_note(key, value);
    }
    tables
}

/// Where files have gone in the new tables.
struct Moved<'a> {
    /// Those that were loaded, by their slot.
    loaded: Vec<Option<u32>>,
    /// Those that were learned, by [`Content`] and path.
    learned: [HashMap<&'a str, u32>; 3],
}

impl Moved<'_> {
    fn find(&self, base: &IndexFile, path: &str, content: Content) -> Option<u32> {
        match self.learned[content as usize].get(path) {
            Some(slot) => Some(*slot),
            None => self.loaded[base.find_file(path, content, 0)? as usize],
        }
    }
}

fn files<'a>(
    tables: &mut Tables,
    base: &'a IndexFile,
    checked: &[AtomicU8],
    learned: &'a Learned,
) -> Moved<'a> {
    let used = checked.iter().filter(|state| state.load(Ordering::Relaxed) != UNCHECKED).count()
        + learned.files.iter().map(HashMap::len).sum::<usize>();
    let keep_unused = (base.files as usize) < 2 * used + 4096;
    let mut all: Vec<(&str, FileEntry, Option<u32>)> = Vec::new();
    for slot in 0..base.files {
        let entry = base.file(slot);
        let state = checked[slot as usize].load(Ordering::Relaxed);
        let path = base.text(entry.path);
        let replaced = learned.files[entry.content as usize].contains_key(path);
        if !replaced && (state == SAME || state == UNCHECKED && keep_unused) {
            all.push((path, entry, Some(slot)));
        }
    }
    for content in Content::ALL {
        let learned = learned.files[content as usize].iter();
        all.extend(learned.map(|(path, fact)| {
            (&**path, FileEntry { path: Span::default(), content, fact: *fact }, None)
        }));
    }
    all.sort_by_key(|(path, entry, _)| (*path, entry.content as u8));
    let mut moved = Moved { loaded: vec![None; base.files as usize], learned: Default::default() };
    for (path, entry, loaded) in all {
        let slot = tables.add_file(path, entry);
        let old = loaded.or_else(|| {
            moved.learned[entry.content as usize].insert(path, slot);
            base.find_file(path, entry.content, 0)
        });
        if let Some(old) = old {
            moved.loaded[old as usize] = Some(slot);
        }
    }
    moved
}

/// A target of the new tables.
struct Target<'a> {
    path: &'a str,
    entry: TargetEntry,
    slots: Vec<u32>,
}

/// Keeps the targets that were not finished anew and whose files are all still known.
fn old_targets<'a>(
    tables: &Tables,
    base: &'a IndexFile,
    learned: &Learned,
    moved: &Moved<'_>,
) -> Vec<Target<'a>> {
    let mut kept = Vec::new();
    for target in (0..base.targets).map(|slot| base.target(slot)) {
        let path = base.text(target.path);
        if learned.targets.contains_key(path) {
            continue;
        }
        let old: Vec<u32> = base.slots(&target).collect();
        let new = old.iter().map(|&slot| *moved.loaded.get(slot as usize)?);
        let Some(new) = new.collect::<Option<Vec<u32>>>() else { continue };
        let hashed = |slot: u32| tables.files[slot as usize].fact.hashed;
        let same = |(old, new): (&u32, &u32)| {
            let (old, new) = (base.file(*old).fact.hashed, hashed(*new));
            (old.hash, old.stat.executable) == (new.hash, new.stat.executable)
        };
        let consistent = match old.iter().zip(&new).all(same) {
            true => target.consistent,
            false => digest(target.outputs, new.iter().map(|&slot| hashed(slot))) == target.digest,
        };
        kept.push(Target { path, entry: TargetEntry { consistent, ..target }, slots: new });
    }
    kept
}

/// Adds the targets that were finished in this run; one with a file that nobody looked at is left out.
fn new_targets<'a>(
    tables: &Tables,
    base: &IndexFile,
    learned: &'a Learned,
    moved: &Moved<'_>,
) -> Vec<Target<'a>> {
    let mut finished = Vec::with_capacity(learned.targets.len());
    for (path, target) in &learned.targets {
        let outputs = target.outputs.iter().map(|path| moved.find(base, path, Content::Binary));
        let inputs = target.inputs.iter().map(|(path, content)| moved.find(base, path, *content));
        let Some(slots) = outputs.chain(inputs).collect::<Option<Vec<u32>>>() else { continue };
        let outputs = target.outputs.len() as u32;
        let hashed = slots.iter().map(|&slot| tables.files[slot as usize].fact.hashed);
        // A file may have been made anew after the target was finished.
        let consistent = digest(outputs, hashed) == target.digest;
        let entry = TargetEntry {
            path: Span::default(),
            stat: target.stat,
            dep_hash: target.dep_hash,
            digest: target.digest,
            first_slot: 0,
            outputs,
            inputs: target.inputs.len() as u32,
            read_trace: target.read_trace,
            consistent,
        };
        finished.push(Target { path, entry, slots });
    }
    finished
}
