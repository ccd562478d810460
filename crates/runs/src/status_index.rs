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
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::history;
use crate::name::{PackageName, run_order};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// Its blessed build's last entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blessed: Option<BuildStatus>,
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

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One build's last result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStatus {
    /// Which build.
    pub build_hash: String,
    /// How it ended.
    pub status: String,
    /// The kind of result.
    pub category: String,
    /// The compiler's package.
    pub compiler: String,
    /// When: RFC 3339, UTC.
    pub ts: String,
}

/// A number of builds with one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How they ended.
    pub status: String,
    /// The kind of result.
    pub category: String,
    /// How many.
    pub count: u64,
}

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
    let names = package_names(packages_dir)?;
    let (packages, before) = match previous {
        Some(mut previous) => (std::mem::take(&mut previous.packages), Some(previous)),
        None => (BTreeMap::new(), None),
    };
    let (mut records, vanished) = match_up(names, packages);
    if !records.is_empty() {
        refresh(packages_dir, &mut records)?;
    }
    let packages = records
        .into_iter()
        .filter_map(|(name, status)| Some((name, status?)))
        .collect();
    Ok(assemble(packages_dir, packages, vanished, run_id, before))
}

/// Pairs each package there is with what was known of it; the rest has vanished. Both sides are sorted.
fn match_up(
    names: Vec<String>,
    known: BTreeMap<String, PackageStatus>,
) -> (Vec<(String, Option<PackageStatus>)>, Vec<String>) {
    let mut records = Vec::with_capacity(names.len());
    let mut vanished = Vec::new();
    let mut known = known.into_iter().peekable();
    for name in names {
        while let Some((gone, _)) = known.next_if(|(old, _)| *old < name) {
            vanished.push(gone);
        }
        let status = known
            .next_if(|(old, _)| *old == name)
            .map(|(_, status)| status);
        records.push((name, status));
    }
    vanished.extend(known.map(|(gone, _)| gone));
    (records, vanished)
}

fn package_names(packages_dir: &Path) -> Result<Vec<String>> {
    let mut names = file::names(packages_dir)?;
    names.retain(|name| name.parse::<PackageName>().is_ok());
    Ok(names)
}

/// Brings every record up to date, on all processors. Records of packages without a history become `None`.
fn refresh(packages_dir: &Path, records: &mut [(String, Option<PackageStatus>)]) -> Result<()> {
    let directory = File::open(packages_dir).context("open", packages_dir)?;
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = records.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        for share in records.chunks_mut(share) {
            let directory = &directory;
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for (name, status) in share {
                    refresh_one(directory, packages_dir, name, status, &mut buffer);
                }
            });
        }
    });
    Ok(())
}

fn refresh_one(
    directory: &File,
    packages_dir: &Path,
    name: &str,
    status: &mut Option<PackageStatus>,
    buffer: &mut Vec<u8>,
) {
    let path = format!("{name}/{}", history::FILE);
    // A path relative to an open directory, and no open of the file: this is all an unchanged package costs.
    if let Some(key) = status.as_ref().and_then(|status| status.file)
        && rustix::fs::statat(directory, &path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let mtime = stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64;
            key == FileKey(stat.st_size as u64, mtime, stat.st_ino)
        })
    {
        return;
    }
    *status = match read_history(directory, &path, buffer) {
        Ok(key) => standing::derive(name, buffer).map(|status| PackageStatus {
            file: key,
            ..status
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(
                "{} is left out of the status: {error}",
                packages_dir.join(path).display()
            );
            None
        }
    };
}

/// Reads a history into `buffer`. Its key is taken before, so that an append meanwhile shows later.
fn read_history(directory: &File, path: &str, buffer: &mut Vec<u8>) -> io::Result<Option<FileKey>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(
        directory,
        path,
        flags,
        rustix::fs::Mode::empty(),
    )?);
    let meta = file.metadata()?;
    buffer.clear();
    file.read_to_end(buffer)?;
    let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
    Ok(is_settled(mtime).then_some(FileKey(meta.len(), mtime, meta.ino())))
}

/// Whether a later change of a file is sure to have another time than this one. Kernels stamp files with
/// the time of their last tick, at most 10 ms ago; some file systems keep whole seconds only.
fn is_settled(mtime: i64) -> bool {
    let granularity = if mtime % 1_000_000_000 == 0 {
        2_000_000_000
    } else {
        20_000_000
    };
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
    let run_id = run_id
        .map(str::to_owned)
        .or_else(|| newest_run(&packages, None));
    let since = match &previous {
        Some(previous) if previous.run_id != run_id => previous.run_id.clone(),
        Some(previous) => previous.since.clone(),
        None => run_id
            .as_deref()
            .and_then(|run| newest_run(&packages, Some(run))),
    };
    if let Some(previous) = previous
        .as_ref()
        .filter(|previous| previous.run_id == run_id)
    {
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
        if let Some(blessed) = &package.blessed {
            index.blessed.add(&blessed.status, &blessed.category, 1);
        }
        for others in &package.others {
            index
                .other
                .add(&others.status, &others.category, others.count);
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
    let runs = packages
        .values()
        .flat_map(|p| [Some(&p.last_run), p.previous_run.as_ref()])
        .flatten();
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
        } else if package
            .previous_run
            .as_ref()
            .is_none_or(|run| run_order(run, &since).is_le())
        {
            index.changes.extend(package.changes.iter().cloned());
        } else if let Ok(content) = std::fs::read(packages_dir.join(name).join(history::FILE)) {
            index
                .changes
                .extend(standing::changes_since(name, &content, &since));
        }
    }
    index.changes.sort_by_cached_key(|change| {
        (
            !change.blessed,
            change.package.clone(),
            change.build_hash.clone(),
        )
    });
    index.since = Some(since);
}

/// Writes `status.json` in `dir`, unless it says the same already but for the time. Says whether it wrote.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be written; the old one is then still there.
pub fn write(dir: &Path, index: &StatusIndex) -> Result<bool> {
    let path = dir.join(FILE);
    let json = serde_json::to_vec(index)
        .map_err(io::Error::from)
        .context("write", &path)?;
    let same = file::read_optional(&path)
        .ok()
        .flatten()
        .is_some_and(|old| same_but_for_time(&old, &json));
    if !same {
        file::write_atomic(&path, &json, Durability::Power)?;
    }
    Ok(!same)
}

/// Compares two serialised indexes without their `generated`, which stands near the start of both.
fn same_but_for_time(old: &[u8], new: &[u8]) -> bool {
    let time = |json: &[u8]| {
        json.windows(13)
            .take(64)
            .position(|w| w == br#""generated":""#)
            .map(|at| at + 13)
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
