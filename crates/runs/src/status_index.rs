//! Where every package stands, and what changed since the run before: `status.json`.
//!
//! Everything is derived from the histories. The index that was written last saves work: each package
//! carries the size, time and inode of the history it was derived from, and while those are unchanged
//! the history is not read again. So an index generated with an old one equals one generated without,
//! except for what only an old one can tell: which packages vanished.
//!
//! A package has at most one **blessed** standing, its last blessed entry; every other build hash
//! counts with its last entry, unless that was blessed once and another build is now.

mod standing;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags};
use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::history;
use crate::name::{self, run_order};
use crate::time::{format_time, now};

/// The version of the file's form; a file of another version is as good as none.
const SCHEMA_VERSION: u32 = 1;

/// The name of the file in `DATA`.
pub const FILE: &str = "status.json";

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusIndex {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// When it last changed: RFC 3339, UTC.
    pub generated: String,
    /// The newest run it takes in; `None` when there are no histories.
    pub run_id: Option<String>,
    /// The run that `changes` and `new_packages` are relative to; `None` when there was none before.
    pub since: Option<String>,
    /// Blessed builds.
    pub blessed: Totals,
    /// All other builds.
    pub other: Totals,
    /// Builds that broke or recovered, blessed ones first, then by package.
    pub changes: Vec<Change>,
    /// Packages whose first entry is newer than `since`.
    pub new_packages: Vec<String>,
    /// Packages that the previous index had and that have no history any more.
    pub vanished_packages: Vec<String>,
    /// History lines that could not be read.
    pub broken_lines: u64,
    /// Every package, by name.
    pub packages: BTreeMap<String, PackageStatus>,
}

/// How many builds ended how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All of them.
    pub total: u64,
    /// By status, such as `success`.
    pub by_status: BTreeMap<String, u64>,
    /// By category, such as `build_failure`.
    pub by_category: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, status: &str, category: &str, count: u64) {
        self.total += count;
        add(&mut self.by_status, status, count);
        add(&mut self.by_category, category, count);
    }

    /// How many ended with this status.
    pub fn status(&self, status: &str) -> u64 {
        self.by_status.get(status).copied().unwrap_or(0)
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str, count: u64) {
    match counts.get_mut(key) {
        Some(sum) => *sum += count,
        None => {
            counts.insert(key.to_owned(), count);
        }
    }
}

/// A build that broke or recovered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `<name>.<version>`.
    pub package: String,
    /// The build as it is now.
    pub build_hash: String,
    /// Whether it is the package's blessed build; those are compared whatever their hash, all others
    /// only with the same hash.
    pub blessed: bool,
    /// The status before.
    pub from_status: String,
    /// The status now.
    pub to_status: String,
    /// The category now.
    pub category: String,
}

impl Change {
    /// Whether it works now and did not before.
    pub fn is_recovery(&self) -> bool {
        self.to_status == crate::classify::SUCCESS
    }
}

/// Where one package stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// How its blessed build ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blessed: Option<Ending>,
    /// How many other builds ended how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Count>,
    /// The builds that fail now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failing>,
    /// The builds that went back and forth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<Flaky>,
    /// The last results, at most 20, oldest first: `+` worked, `-` failed. Of the blessed builds where
    /// the package has any, of all builds where not.
    pub recent: String,
    /// The run of the oldest entry.
    pub first_run: String,
    /// The newest run before `last_run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_run: Option<String>,
    /// The newest run.
    pub last_run: String,
    /// What changed from `previous_run` to `last_run`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Lines that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_lines: u64,
    /// The history this was derived from; `None` when that was too young to tell a later change by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<FileKey>,
}

impl PackageStatus {
    /// Whether there is no readable entry.
    fn is_empty(&self) -> bool {
        self.last_run.is_empty()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a build ended: the status, such as `success`, and the category. In JSON an array of the two,
/// because there are thousands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending(pub String, pub String);

/// How many builds ended in one way: status, category, count. In JSON an array of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count(pub String, pub String, pub u64);

/// A build that fails now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Which build.
    pub build_hash: String,
    /// Whether it is the package's blessed build.
    pub blessed: bool,
    /// The kind of failure.
    pub category: String,
    /// The compiler's package.
    pub compiler: String,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The dependency whose failure caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_dep: Option<String>,
    /// When it failed first without having worked since: RFC 3339, UTC. For a blessed build the
    /// package's blessed builds before it count.
    pub since: String,
    /// In which run that was.
    pub since_run: String,
    /// How many times in a row it has failed.
    pub times: u64,
}

/// A build that works and fails by turns, with one hash: so nothing it depends on changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flaky {
    /// Which build.
    pub build_hash: String,
    /// How often a result differed from the one before; at least 2. Failures of a dependency do not count.
    pub transitions: u64,
}

/// By what a changed history is known: size in bytes, modification time in nanoseconds, inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FileKey(u64, i64, u64);

impl StatusIndex {
    /// Every failing build with its package, blessed ones first.
    pub fn failures(&self) -> Vec<(&str, &Failing)> {
        let mut failures: Vec<_> = self
            .packages
            .iter()
            .flat_map(|(name, p)| p.failures.iter().map(move |f| (name.as_str(), f)))
            .collect();
        failures.sort_by_key(|(_, failing)| !failing.blessed);
        failures
    }

    /// Every flaky build with its package.
    pub fn flaky(&self) -> impl Iterator<Item = (&str, &Flaky)> {
        self.packages
            .iter()
            .flat_map(|(name, p)| p.flaky.iter().map(move |flaky| (name.as_str(), flaky)))
    }

    /// Makes the next [`generate`] read every history again.
    pub fn distrust(&mut self) {
        for package in self.packages.values_mut() {
            package.file = None;
        }
    }
}

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
