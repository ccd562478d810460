//! Taking over what another index of the same workspace has found.

use std::{
    os::fd::AsFd,
    sync::atomic::{AtomicU8, Ordering},
};

use super::{CHANGED, Learned, SAME, StatIndex, opened};
use crate::{Content, FileStat};

impl StatIndex {
    /// Takes over what `other` has found: its notes, and files as far as they are still what it found there. What one
    /// run has found in an index that it must not save is not looked for again by the next.
    pub fn learn_from(&self, other: &Self) {
        let Learned { files, notes, .. } = &*other.learned();
        for (key, value) in notes {
            self.set_note_once(key, value);
        }
        for content in Content::ALL {
            for (path, fact) in files[content as usize].iter().filter(|(_, fact)| fact.settled) {
                let stat = FileStat::at(self.root.as_fd(), opened(path), content);
                if fact.elided || stat.ok() != Some(fact.hashed.stat) {
                    continue;
                }
                if let Some(slot) = self.base.find_file(path, content, 0) {
                    self.checked[slot as usize].store(CHANGED, Ordering::Release);
                }
                self.learned().files[content as usize].insert(path.clone(), *fact);
                self.dirty.store(true, Ordering::Relaxed);
            }
        }
        let same = |state: &AtomicU8| state.load(Ordering::Acquire) == SAME;
        for (slot, _) in (0..).zip(&other.checked).filter(|(_, state)| same(state)) {
            let entry = other.base.file(slot);
            // What is gone or another by now counts as that.
            _ = self.file(other.base.text(entry.path), entry.content);
        }
    }
}
