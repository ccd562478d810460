//! Where every package stands, and what changed since the run before: `status.json`.
//!
//! Everything is derived from the histories. The index that was written last saves work: each package
//! carries the size, time and inode of the history it was derived from, and while those are unchanged
//! the history is not read again. So an index generated with an old one equals one generated without,
//! except for what only an old one can tell: which packages vanished.
//!
//! A package has at most one **blessed** standing, its last blessed entry; every other build hash
//! counts with its last entry, unless that was blessed once and another build is now.

mod record;
mod standing;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags};

use crate::DataDir;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::history;
use crate::name::{self, run_order};
use crate::time::{format_time, now};

use record::FileKey;
pub use record::{Change, Count, Ending, Failing, Flaky, PackageStatus, StatusIndex, Totals};

/// The version of the file's form; a file of another version is as good as none.
const SCHEMA_VERSION: u32 = 1;

/// The name of the file in `DATA`.
pub const FILE: &str = "status.json";

/// Derives the index from all histories under `packages_dir`.
///
/// `run_id` is the newest run; where it is `None`, the newest that occurs in a history. Changes are
/// relative to the previous index's run, or, where that is of the same run, to what it was relative to;
/// without a previous index, to the newest run before `run_id`. A missing `packages_dir` has no packages.
///
/// # Errors
/// [`crate::Error::Io`] when `packages_dir` cannot be listed. A history that cannot be read is said at
/// warning and left out: it is one package's failure.
pub fn generate(
    packages_dir: &Path,
    run_id: Option<&str>,
    previous: Option<StatusIndex>,
) -> Result<StatusIndex> {
    let (mut packages, before) = match previous {
        Some(mut previous) => (std::mem::take(&mut previous.packages), Some(previous)),
        None => (BTreeMap::new(), None),
    };
    let mut vanished = Vec::new();
    let new = unknown_names(packages_dir, &packages)?;
    packages.extend(new.iter().map(|name| (name.clone(), PackageStatus::default())));
    refresh(packages_dir, &mut packages)?;
    packages.retain(|name, status| {
        if status.is_empty() && new.binary_search(name).is_err() {
            vanished.push(name.clone());
        }
        !status.is_empty()
    });
    Ok(assemble(packages_dir, packages, vanished, run_id, before))
}

/// The index as of now: the one that was written last, brought up to date. Writes nothing.
///
/// # Errors
/// As [`generate`].
pub fn current(data: &DataDir) -> Result<StatusIndex> {
    generate(&data.packages(), None, read(data.root()))
}

/// The packages that have a directory and are not yet known, sorted.
fn unknown_names(
    packages_dir: &Path,
    known: &BTreeMap<String, PackageStatus>,
) -> Result<Vec<String>> {
    let mut names = file::names(packages_dir)?;
    // Both are sorted: one walk along both tells which are known.
    let mut known = known.keys().peekable();
    names.retain(|name| {
        while known.next_if(|known| *known < name).is_some() {}
        known.next_if(|known| *known == name).is_none() && name::is_package(name)
    });
    Ok(names)
}

/// Brings every package up to date, on all processors. Those without a history become empty.
fn refresh(packages_dir: &Path, packages: &mut BTreeMap<String, PackageStatus>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let directory = match File::open(packages_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            packages.values_mut().for_each(|status| *status = PackageStatus::default());
            return Ok(());
        }
        other => other.context("open", packages_dir)?,
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut packages: Vec<_> = packages.iter_mut().collect();
    let share = packages.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        for share in packages.chunks_mut(share) {
            scope.spawn(|| {
                let (mut path, mut buffer) = (String::new(), Vec::new());
                for (name, status) in share {
                    path.clear();
                    path.extend([name.as_str(), "/", history::FILE]);
                    refresh_one(&directory, &path, name, status, &mut buffer);
                }
            });
        }
    });
    Ok(())
}

fn refresh_one(
    directory: &File,
    path: &str,
    name: &str,
    status: &mut PackageStatus,
    buffer: &mut Vec<u8>,
) {
    // A path relative to an open directory, and no open of the file: this is all an unchanged package costs.
    if let Some(known) = status.file
        && rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let mtime = stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64;
            known == FileKey(stat.st_size as u64, mtime, stat.st_ino)
        })
    {
        return;
    }
    *status = match read_history(directory, path, buffer) {
        Ok(file) => PackageStatus { file, ..standing::derive(name, buffer) },
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("{path} is left out of the status: {error}");
            }
            PackageStatus::default()
        }
    };
}

/// Reads a history into `buffer`. Its key is taken before, so that an append meanwhile shows later.
fn read_history(directory: &File, path: &str, buffer: &mut Vec<u8>) -> io::Result<Option<FileKey>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file =
        File::from(rustix::fs::openat(directory, path, flags, rustix::fs::Mode::empty())?);
    let meta = file.metadata()?;
    buffer.clear();
    file.read_to_end(buffer)?;
    let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
    Ok(is_settled(mtime).then_some(FileKey(meta.len(), mtime, meta.ino())))
}

/// Whether a later change of a file is sure to have another time than this one. Kernels stamp files with
/// the time of their last tick, at most 10 ms ago; some file systems keep whole seconds only.
fn is_settled(mtime: i64) -> bool {
    let granularity = if mtime % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
    let now = jiff::Timestamp::now().as_nanosecond();
    now - i128::from(mtime) > granularity
}

fn assemble(
    packages_dir: &Path,
    packages: BTreeMap<String, PackageStatus>,
    mut vanished: Vec<String>,
    run_id: Option<&str>,
    previous: Option<StatusIndex>,
) -> StatusIndex {
    let run_id = run_id.map(str::to_owned).or_else(|| newest_run(&packages, None));
    let since = match &previous {
        Some(previous) if previous.run_id != run_id => previous.run_id.clone(),
        Some(previous) => previous.since.clone(),
        None => run_id.as_deref().and_then(|run| newest_run(&packages, Some(run))),
    };
    if let Some(previous) = previous.as_ref().filter(|previous| previous.run_id == run_id) {
        vanished.extend(previous.vanished_packages.iter().cloned());
        vanished.sort_unstable();
        vanished.dedup();
    }
    vanished.retain(|name| !packages.contains_key(name));

    let mut index = StatusIndex {
        schema_version: SCHEMA_VERSION,
        generated: String::new(),
        run_id,
        since: None,
        blessed: Totals::default(),
        other: Totals::default(),
        changes: Vec::new(),
        new_packages: Vec::new(),
        vanished_packages: vanished,
        broken_lines: 0,
        packages,
    };
    for package in index.packages.values() {
        if let Some(Ending(status, category)) = &package.blessed {
            index.blessed.add(status, category, 1);
        }
        for Count(status, category, count) in &package.others {
            index.other.add(status, category, *count);
        }
        index.broken_lines += package.broken_lines;
    }
    if let Some(since) = since {
        compare(packages_dir, &mut index, since);
    }
    index.generated = format_time(now());
    index
}

/// The newest run that any history mentions, or the newest before `limit`.
fn newest_run(packages: &BTreeMap<String, PackageStatus>, limit: Option<&str>) -> Option<String> {
    let runs =
        packages.values().flat_map(|p| [Some(&p.last_run), p.previous_run.as_ref()]).flatten();
    let within = runs.filter(|run| limit.is_none_or(|limit| run_order(run, limit).is_lt()));
    within.max_by(|a, b| run_order(a, b)).cloned()
}

/// Makes an index tell what changed since another run, given by its id.
///
/// Packages whose newest two runs are enough to tell are not read again.
pub fn compare(packages_dir: &Path, index: &mut StatusIndex, since: String) {
    index.changes.clear();
    index.new_packages.clear();
    for (name, package) in &index.packages {
        if run_order(&package.first_run, &since).is_gt() {
            index.new_packages.push(name.clone());
        } else if run_order(&package.last_run, &since).is_le() {
            // Nothing newer.
        } else if package.previous_run.as_ref().is_none_or(|run| run_order(run, &since).is_le()) {
            index.changes.extend(package.changes.iter().cloned());
        } else if let Ok(content) = fs::read(packages_dir.join(name).join(history::FILE)) {
            index.changes.extend(standing::changes_since(name, &content, &since));
        }
    }
    index.changes.sort_by_cached_key(|change| {
        (!change.blessed, change.package.clone(), change.build_hash.clone())
    });
    index.since = Some(since);
}

/// Writes `status.json` in `dir`, unless it says the same already but for the time. Says whether it wrote.
/// Not synced to the disk: it can be generated again.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be written; the old one is then still there.
pub fn write(dir: &Path, index: &StatusIndex) -> Result<bool> {
    let path = dir.join(FILE);
    let old_size = fs::metadata(&path).map_or(0, |meta| meta.len());
    // Megabytes for thousands of packages, and about as many as last time.
    let mut json = Vec::with_capacity(usize::try_from(old_size).unwrap_or(0) + 4096);
    serde_json::to_writer(&mut json, index).map_err(io::Error::from).context("write", &path)?;
    let same = old_size == json.len() as u64
        && fs::read(&path).is_ok_and(|old| same_but_for_time(&old, &json));
    if !same {
        file::write_atomic(&path, &json, Durability::Process)?;
    }
    Ok(!same)
}

/// Compares two serialised indexes without their `generated`, which stands near the start of both.
fn same_but_for_time(old: &[u8], new: &[u8]) -> bool {
    let time = |json: &[u8]| {
        json.windows(13).take(64).position(|w| w == br#""generated":""#).map(|at| at + 13)
    };
    let length = "2026-03-01T12:00:00Z".len();
    old.len() == new.len()
        && match (time(old), time(new)) {
            (Some(a), Some(b)) if a == b => {
                old.get(..a) == new.get(..a) && old.get(a + length..) == new.get(a + length..)
            }
            _ => false,
        }
}

/// Reads `status.json` in `dir`. Missing, malformed and of another version all mean that there is none.
pub fn read(dir: &Path) -> Option<StatusIndex> {
    file::read_json(&dir.join(FILE))
        .filter(|index: &StatusIndex| index.schema_version == SCHEMA_VERSION)
}
