//! Listings of directories, remembered for as long as their status is the same.

use std::sync::atomic::Ordering;

use super::{SAME, StatIndex};
use crate::{Content, FileStat};

/// Begins the keys of the notes that listings are kept in.
const KEY: &str = "listing ";

/// Returns the directory of a listing by the key of its note, if that is one.
pub(super) fn directory_of(key: &str) -> Option<&str> {
    key.strip_prefix(KEY)
}

impl StatIndex {
    /// Returns the listing of `directory` that an earlier run has remembered, if the directory is as it was loaded.
    pub fn listing(&self, directory: &str) -> Option<String> {
        self.file(directory, Content::Names).ok()?;
        let slot = self.base.find_file(directory, Content::Names, 0)?;
        let same = self.checked[slot as usize].load(Ordering::Acquire) == SAME;
        let note = self.note(&format!("{KEY}{directory}")).filter(|_| same)?;
        let (status, listing) = note.split_once('\n')?;
        (status == line_of(&self.base.file(slot).fact.hashed.stat)).then(|| listing.to_owned())
    }

    /// Remembers the listing of `directory`, in whatever form, if that was made after [`Self::listing`] had none. It
    /// must hold nothing but what the names and kinds of the entries say.
    pub fn set_listing(&self, directory: &str, listing: &str) {
        let Some(fact) = self.found(&self.learned(), directory, Content::Names) else { return };
        // What has changed since it was looked at has another status from then on.
        if fact.settled && fact.hashed.stat != FileStat::ABSENT {
            let status = line_of(&fact.hashed.stat);
            self.set_note(&format!("{KEY}{directory}"), &format!("{status}\n{listing}"));
        }
    }
}

fn line_of(stat: &FileStat) -> String {
    let FileStat { size, mtime, ctime, inode, executable: _ } = stat;
    format!("{size} {} {} {inode}", mtime.0, ctime.0)
}
