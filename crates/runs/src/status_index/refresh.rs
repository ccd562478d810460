//! Brings packages up to date: a history that has not changed is not read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags};

use super::derive;
use super::record::{Change, FileKey, PackageStatus};
use crate::error::{Context, Result};
use crate::file;
use crate::history;
use crate::name::{self, PackageName};
use crate::parallel::work_shares;
use crate::run_log::Pending;

/// The packages that have a directory, or are about to, and are not yet known, sorted.
pub(super) fn unknown_names(
    packages_dir: &Path,
    known: &BTreeMap<String, PackageStatus>,
    pending: &Pending,
) -> Result<Vec<String>> {
    let mut names = file::names(packages_dir)?;
    if !pending.is_empty() {
        names.extend(pending.keys().map(PackageName::to_string));
        names.sort_unstable();
        names.dedup();
    }
    // Both are sorted: one walk along both tells which are known.
    let mut known = known.keys().peekable();
    names.retain(|name| {
        while known.next_if(|known| *known < name).is_some() {}
        known.next_if(|known| *known == name).is_none() && name::is_package(name)
    });
    Ok(names)
}

/// The lines that belong at the end of a package's history.
pub(super) fn pending_of<'p>(pending: &'p Pending, name: &str) -> &'p [u8] {
    let package: Option<PackageName> = name.parse().ok().filter(|_| !pending.is_empty());
    package.and_then(|package| pending.get(&package)).map_or(&[], Vec::as_slice)
}

/// Brings every package up to date, on all processors. Those without a history become empty.
pub(super) fn refresh(
    packages_dir: &Path,
    packages: &mut BTreeMap<String, PackageStatus>,
    pending: &Pending,
    unfinished: &BTreeSet<String>,
    since: Option<&str>,
) -> Result<()> {
    let packages = packages.iter_mut().collect();
    each(packages_dir, packages, |reader, (name, status): &mut (&String, &mut PackageStatus)| {
        let pending = pending_of(pending, name);
        reader.turn_to(name);
        if pending.is_empty() && reader.is_unchanged(status) {
            return;
        }
        let file = reader.read(pending);
        **status = derive::derive(name, &reader.content, unfinished, since);
        status.file = file.filter(|_| pending.is_empty());
    })
    .map(drop)
}

/// The changes of packages after a run, on all processors.
pub(super) fn changes_since(
    packages_dir: &Path,
    names: Vec<&str>,
    since: &str,
    pending: &Pending,
    unfinished: &BTreeSet<String>,
) -> Result<Vec<Change>> {
    let changes = each(packages_dir, names, |reader, name| {
        reader.turn_to(name);
        reader.read(pending_of(pending, name));
        derive::changes_since(name, &reader.content, since, unfinished)
    })?;
    Ok(changes.into_iter().flatten().collect())
}

/// Does something with each of these, on all processors, in their order on each; gives the results in
/// their order.
fn each<T: Send, R: Send>(
    packages_dir: &Path,
    mut items: Vec<T>,
    work: impl Fn(&mut Reader<'_>, &mut T) -> R + Sync,
) -> Result<Vec<R>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let directory = match File::open(packages_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.context("open", packages_dir)?),
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(workers).max(1);
    let work = |share: &mut [T]| -> Vec<R> {
        let mut reader =
            Reader { directory: directory.as_ref(), path: String::new(), content: Vec::new() };
        share.iter_mut().map(|item| work(&mut reader, item)).collect()
    };
    Ok(work_shares(items.chunks_mut(share), workers, work))
}

/// Reads histories, one after the other, into the same memory.
struct Reader<'r> {
    directory: Option<&'r File>,
    /// Relative to the directory.
    path: String,
    content: Vec<u8>,
}

impl Reader<'_> {
    /// Turns to the history of a package.
    fn turn_to(&mut self, name: &str) {
        self.path.clear();
        self.path.extend([name, "/", history::FILE]);
    }

    /// A path relative to an open directory, and no open of the file: this is all an unchanged package costs.
    fn is_unchanged(&self, status: &PackageStatus) -> bool {
        let (Some(known), Some(directory)) = (status.file, self.directory) else {
            return false;
        };
        rustix::fs::statat(directory, &self.path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let mtime = stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64;
            known == FileKey(stat.st_size as u64, mtime, stat.st_ino)
        })
    }

    /// Reads the history, with the lines that belong at its end; one that cannot be read is said at warning
    /// and has no others. Gives its key.
    fn read(&mut self, pending: &[u8]) -> Option<FileKey> {
        self.content.clear();
        let file = self.read_file().unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let reason = crate::error::reason(&error);
                tracing::warn!("{} is left out of the status: {reason}", self.path);
            }
            None
        });
        history::end_line(&mut self.content);
        self.content.extend(pending);
        file
    }

    /// Reads a history. Its key is taken before, so that an append meanwhile shows later.
    fn read_file(&mut self) -> io::Result<Option<FileKey>> {
        let Some(directory) = self.directory else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = rustix::fs::Mode::empty();
        let file = File::from(rustix::fs::openat(directory, &self.path, flags, mode)?);
        let meta = file.metadata()?;
        // With room to spare, nobody asks the system once more how much there is, or whether that was all.
        self.content.reserve(usize::try_from(meta.len()).unwrap_or(0).saturating_add(64));
        file.take(meta.len()).read_to_end(&mut self.content)?;
        let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
        Ok(is_settled(mtime).then_some(FileKey(meta.len(), mtime, meta.ino())))
    }
}

/// Whether a later change of a file is sure to have another time than this one. Kernels stamp files with
/// the time of their last tick, at most 10 ms ago; some file systems keep whole seconds only.
fn is_settled(mtime: i64) -> bool {
    let granularity = if mtime % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
    let now = jiff::Timestamp::now().as_nanosecond();
    now - i128::from(mtime) > granularity
}
