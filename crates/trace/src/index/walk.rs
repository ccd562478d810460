//! Looking at many files one after the other.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::Ordering,
};

use rustix::fs::{Mode, OFlags};

use super::{
    CHANGED, SAME, StatIndex, Vouched,
    file::{Fact, Span, target_name},
    opened,
};
use crate::{Content, ContentHash, FileStat, Hashed};

/// A walk through a stat index: looks at files in the order of their paths, more or less, each of which
/// begins where the last one ended.
///
/// What is asked for next mostly stands next in the index, so it is found without a search; and it lies
/// in the directory of one of the last files, so the kernel need not follow a long path to it. A walk sees
/// a directory as it was when it came there: it should be short, and run no command on its way.
pub struct Walk<'i> {
    index: &'i StatIndex,
    next_file: u32,
    next_target: u32,
    /// The directories of the last files, the very last first.
    near: [Near; 2],
}

/// A directory on the way of a walk.
#[derive(Default)]
struct Near {
    path: Span,
    looks: u32,
    open: Option<OwnedFd>,
}

/// From so many looks into a directory on, opening it costs less than it saves.
const WORTH_OPENING: u32 = 4;

impl StatIndex {
    /// Begins a walk.
    pub fn walk(&self) -> Walk<'_> {
        Walk { index: self, next_file: 0, next_target: 0, near: Default::default() }
    }
}

impl<'i> Walk<'i> {
    /// [`StatIndex::file`].
    ///
    /// # Errors
    /// As there.
    pub fn file(&mut self, path: &str, content: Content) -> io::Result<Hashed> {
        let fact = match self.index.base.find_file(path, content, self.next_file) {
            Some(slot) => {
                self.next_file = slot + 1;
                self.loaded_file(slot)?
            }
            None => self.index.learned_file(path, content, None)?,
        };
        if fact.elided { Err(io::ErrorKind::NotFound.into()) } else { Ok(fact.hashed) }
    }

    /// The file at a slot of what was loaded, as it is now. An output that is still not there, as
    /// expected, is no error here.
    pub(super) fn loaded_file(&mut self, slot: u32) -> io::Result<Fact> {
        let index = self.index;
        let entry = index.base.file(slot);
        let checked = &index.checked[slot as usize];
        let path = index.base.text(entry.path);
        let fact = entry.fact;
        match checked.load(Ordering::Acquire) {
            SAME => return Ok(fact),
            CHANGED => return index.learned_file(path, entry.content, None),
            _ => {}
        }
        let same = match self.stat(entry.path, entry.content) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fact.elided,
            stat => stat? == fact.hashed.stat && fact.settled && !fact.elided && !index.rehash,
        };
        if same {
            checked.store(SAME, Ordering::Release);
            return Ok(fact);
        }
        let learned = index.learned_file(path, entry.content, Some(&fact));
        checked.store(CHANGED, Ordering::Release);
        learned
    }

    /// The status of a file of the index, by its name in the open directory where there is one.
    fn stat(&mut self, path: Span, content: Content) -> io::Result<FileStat> {
        let index = self.index;
        let whole = index.base.text(path);
        let Some((directory, name)) = whole.rsplit_once('/') else {
            return FileStat::at(index.root.as_fd(), opened(whole), content);
        };
        let is_it = |near: &Near| index.base.text(near.path) == directory;
        if !is_it(&self.near[0]) {
            self.near.swap(0, 1);
        }
        let [near, _] = &mut self.near;
        if !is_it(near) {
            *near =
                Near { path: Span { length: directory.len() as u32, ..path }, ..Near::default() };
        }
        near.looks += 1;
        if near.looks == WORTH_OPENING {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            near.open = rustix::fs::openat(&index.root, directory, flags, Mode::empty()).ok();
        }
        match &near.open {
            Some(open) => FileStat::at(open.as_fd(), name, content),
            None => FileStat::at(index.root.as_fd(), whole, content),
        }
    }

    /// [`StatIndex::vouch`].
    pub fn vouch(
        &mut self,
        trace_file: &str,
        dep_hash: ContentHash,
        check_trace: bool,
    ) -> Option<Vouched<'i>> {
        let index = self.index;
        if index.rehash {
            return None;
        }
        let slot = index.base.find_target(target_name(trace_file)?, self.next_target)?;
        self.next_target = slot + 1;
        let target = index.base.target(slot);
        let stat = || FileStat::at(index.root.as_fd(), trace_file, Content::Binary);
        if target.dep_hash != dep_hash || check_trace && stat().ok() != Some(target.stat) {
            return None;
        }
        let (mut same, mut on_disk) = (true, true);
        for slot in index.base.slots(&target) {
            // Most files are those of many targets.
            if index.checked[slot as usize].load(Ordering::Acquire) == SAME {
                on_disk &= !index.base.is_elided(slot);
                continue;
            }
            let (now, then) = (self.loaded_file(slot).ok()?, index.base.file(slot).fact);
            on_disk &= !now.elided;
            same &= now.hashed.hash == then.hashed.hash
                && now.hashed.stat.executable == then.hashed.stat.executable;
        }
        let vouched = Vouched { index, target, on_disk, read_trace: target.read_trace };
        let known = same && target.consistent || vouched.digest() == target.digest;
        known.then_some(vouched)
    }
}
