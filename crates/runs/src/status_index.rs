//! Where every package stands, and what changed since the last full run before that came to its end: `status.json`.
//!
//! Everything is derived from the histories and from which runs came to their end. The index that was
//! written last saves work: each package carries the size, time and inode of the history it was derived
//! from, and while those are unchanged the history is not read again. So an index generated with an old
//! one equals one generated without, except for what only an old one can tell: which histories vanished.
//!
//! A package stands where the last full run that covered it has put it, and what reruns made of that since:
//! see `standing`. It has at most one **blessed** build, which counts first.

mod derive;
mod record;
mod refresh;
mod roots;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::DataDir;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::name::{PackageName, run_order};
use crate::result::RunKind;
use crate::run_log::{self, Pending, RunHead, RunState};
use crate::time::{format_time, now};

pub use record::{
    Change, Count, Ending, Failing, Flaky, Numbers, PackageStatus, StageStatus, StatusIndex,
    Totals, Unfinished,
};
pub use roots::{Root, RootGroup, RootState, Roots, normalised};

/// The version of the file's form; a file of another version is as good as none.
const SCHEMA_VERSION: u32 = 3;

/// The name of the file in `DATA`.
pub const FILE: &str = "status.json";

/// The runs, as far as the index needs them.
struct Runs {
    records: Vec<RunHead>,
    /// The full runs that did not come to their end.
    unfinished: BTreeSet<String>,
    /// The packages that the newest full run of the whole set was asked for, where it is one of these.
    asked: Vec<PackageName>,
}

impl Runs {
    fn read(data: &DataDir) -> Result<Runs> {
        let records = run_log::list_heads(&data.runs())?;
        let unfinished = run_log::unfinished(&records);
        let mut runs = Runs { records, unfinished, asked: Vec::new() };
        let newest = runs.newest_of_the_set().filter(|run| run.state != RunState::Finished);
        if let Some(newest) = newest {
            let run = run_log::read_run(&data.runs(), &newest.run_id)?;
            runs.asked = run.and_then(|run| run.info).map_or(Vec::new(), |info| info.plan.targets);
        }
        Ok(runs)
    }

    /// The newest full run of the whole set, whatever became of it.
    fn newest_of_the_set(&self) -> Option<&RunHead> {
        self.records.iter().rfind(|run| run.kind == RunKind::Full && run.covers_the_set)
    }

    /// The newest run that says which packages the set has, where that came to its end.
    fn newest_whole(&self) -> Option<&RunHead> {
        self.whole().next_back()
    }

    /// The runs that say which packages the set has, oldest first.
    fn whole(&self) -> impl DoubleEndedIterator<Item = &RunHead> {
        self.records.iter().filter(|run| {
            run.kind == RunKind::Full && run.state == RunState::Finished && run.covers_the_set
        })
    }
}

/// Derives the index from all histories. With a `previous` one only the histories that have changed are read.
///
/// # Errors
/// [`crate::Error::Io`] when packages or runs cannot be listed. A history that cannot be read is said at
/// warning and left out: it is one package's failure.
pub fn generate(data: &DataDir, previous: Option<StatusIndex>) -> Result<StatusIndex> {
    generate_since(data, previous, None)
}

/// As [`generate`]; the packages whose histories are read also get their changes since a run.
fn generate_since(
    data: &DataDir,
    previous: Option<StatusIndex>,
    since: Option<&str>,
) -> Result<StatusIndex> {
    let packages_dir = data.packages();
    let runs = Runs::read(data)?;
    let pending = run_log::pending(data)?;
    let (mut packages, mut vanished) = match previous {
        Some(previous) => {
            let mut packages = previous.packages;
            let ended: Vec<&String> =
                previous.unfinished_runs.symmetric_difference(&runs.unfinished).collect();
            for package in packages.values_mut() {
                if ended.iter().any(|run| package.may_have_been_in(run)) {
                    package.file = None;
                }
            }
            (packages, previous.vanished_packages)
        }
        None => (BTreeMap::new(), Vec::new()),
    };
    let new = refresh::unknown_names(&packages_dir, &packages, &pending)?;
    packages.extend(new.iter().map(|name| (name.clone(), PackageStatus::default())));
    refresh::refresh(&packages_dir, &mut packages, &pending, &runs.unfinished, since)?;
    packages.retain(|name, status| {
        if status.is_empty() && new.binary_search(name).is_err() {
            vanished.push(name.clone());
        }
        !status.is_empty()
    });
    Ok(assemble(packages, vanished, runs))
}

/// The index as of now: the one that was written last, brought up to date. Writes nothing.
///
/// # Errors
/// As [`generate`].
pub fn current(data: &DataDir) -> Result<StatusIndex> {
    generate(data, read(data.root()))
}

/// The index as of now, as [`current`] gives it, that tells what changed since the end of another run, as
/// [`compare`] does: each history is read once.
///
/// # Errors
/// As [`generate`].
pub fn current_since(data: &DataDir, since: String) -> Result<StatusIndex> {
    let mut index = generate_since(data, read(data.root()), Some(&since))?;
    compare(data, &mut index, since)?;
    Ok(index)
}

/// Brings `status.json` up to date and returns the index.
///
/// # Errors
/// As [`generate`] and [`write`].
pub fn update(data: &DataDir) -> Result<StatusIndex> {
    let index = current(data)?;
    write(data.root(), &index)?;
    Ok(index)
}

fn assemble(
    packages: BTreeMap<String, PackageStatus>,
    mut vanished: Vec<String>,
    runs: Runs,
) -> StatusIndex {
    vanished.retain(|name| !packages.contains_key(name));
    let newest =
        |all: &mut dyn Iterator<Item = &String>| all.max_by(|a, b| run_order(a, b)).cloned();
    let mut index = StatusIndex {
        schema_version: SCHEMA_VERSION,
        generated: format_time(now()),
        run_id: newest(&mut packages.values().map(|package| &package.last_run)),
        full_run: newest(&mut packages.values().filter_map(|p| p.full_run.as_ref())),
        since: None,
        unfinished: None,
        unfinished_runs: runs.unfinished.clone(),
        numbers: Numbers::default(),
        blessed: Totals::default(),
        other: Totals::default(),
        tests: Totals::default(),
        docs: Totals::default(),
        changes: Vec::new(),
        new_packages: Vec::new(),
        vanished_packages: Vec::new(),
        broken_lines: 0,
        packages,
    };
    let current = index.full_run.clone();
    let covered = |package: &&PackageStatus| package.full_run == current;
    let told = told_of_the_set(&index.packages, &runs);
    let before = |run: &&String| current.as_ref().is_some_and(|now| run_order(run, now).is_lt());
    index.since = newest(
        &mut index.packages.values().filter(covered).filter_map(|p| p.previous_run.as_ref()),
    )
    .or_else(|| told.iter().rfind(before).cloned());
    drop_packages(&mut index, &runs, &mut vanished);
    count(&mut index);
    index.unfinished = unfinished(&index, &runs);
    for (name, package) in index.packages.iter().filter(|(_, p)| p.dropped_by.is_none()) {
        index.changes.extend(package.changes.iter().cloned());
        // Of a history that was compacted, a run before that came to its end may have gone.
        let first = package.full_run.as_ref().is_none_or(|run| *run == package.first_run)
            || runs.unfinished.contains(&package.first_run);
        if first && package.previous_run.is_none() && is_new(package, &told) {
            index.new_packages.push(name.clone());
        }
    }
    sort_changes(&mut index.changes);
    vanished.sort_unstable();
    vanished.dedup();
    index.vanished_packages = vanished;
    index
}

/// The full runs that told of the whole set, oldest first. Without a record of it, one in a history counts as such.
fn told_of_the_set(packages: &BTreeMap<String, PackageStatus>, runs: &Runs) -> Vec<String> {
    let told = |run: &&RunHead| run.of_set && run.state == RunState::Finished;
    let (told, not): (Vec<&RunHead>, Vec<&RunHead>) =
        runs.records.iter().filter(|run| run.kind == RunKind::Full).partition(told);
    let not: BTreeSet<&str> = not.iter().map(|run| run.run_id.as_str()).collect();
    let of_histories = packages.values().flat_map(|p| [&p.full_run, &p.previous_run]).flatten();
    let of_histories: BTreeSet<&str> = of_histories.map(String::as_str).collect();
    let told = told.iter().map(|run| run.run_id.as_str());
    let mut told: Vec<String> =
        told.chain(of_histories.difference(&not).copied()).map(str::to_owned).collect();
    told.sort_by(|a, b| run_order(a, b));
    told
}

/// Whether a full run told of the whole set before the package was there. What a run did not reach, or was not about, is not new.
fn is_new(package: &PackageStatus, told: &[String]) -> bool {
    told.first().is_some_and(|since| run_order(&package.first_run, since).is_gt())
}

/// Marks the packages that the last full run of the whole set no longer has. Those that it was the first to
/// leave out are news.
fn drop_packages(index: &mut StatusIndex, runs: &Runs, vanished: &mut Vec<String>) {
    let newest = runs.newest_whole().map(|run| run.run_id.as_str());
    for (name, package) in &mut index.packages {
        let covered = package.full_run.as_deref();
        let after = |run: &&RunHead| {
            covered.is_some_and(|covered| run_order(run.run_id.as_str(), covered).is_gt())
        };
        package.dropped_by = runs.whole().find(after).map(|run| run.run_id.to_string());
        if package.dropped_by.is_some() && package.dropped_by.as_deref() == newest {
            vanished.push(name.clone());
        }
    }
}

fn count(index: &mut StatusIndex) {
    for package in index.packages.values() {
        index.broken_lines += package.broken_lines;
        index.numbers.add(package);
        if package.dropped_by.is_some() {
            continue;
        }
        if let Some(ending) = &package.blessed {
            index.blessed.add(ending, 1);
        }
        for Count(status, category, count) in &package.others {
            index.other.add(&Ending(*status, category.clone()), *count);
        }
        for (totals, stage) in [(&mut index.tests, &package.test), (&mut index.docs, &package.doc)]
        {
            if let Some(ending) = &stage.blessed {
                totals.add(ending, 1);
            }
            for Count(status, category, count) in &stage.others {
                totals.add(&Ending(*status, category.clone()), *count);
            }
        }
    }
}

/// The newest full run of the whole set, where it has not come to its end, and how far it came.
fn unfinished(index: &StatusIndex, runs: &Runs) -> Option<Unfinished> {
    let newest = runs.newest_of_the_set().filter(|run| run.state != RunState::Finished)?;
    let id = newest.run_id.as_str();
    let unreached = |package: &&PackageStatus| {
        package.dropped_by.is_none() && package.full_run.as_deref() != Some(id)
    };
    let standing = index.packages.values().filter(unreached).count();
    let unknown = runs.asked.iter().filter(|name| match index.packages.get(name.as_str()) {
        Some(package) => package.dropped_by.is_some(),
        None => true,
    });
    let unknown = unknown.count();
    Some(Unfinished {
        run_id: id.to_owned(),
        state: newest.state.name().to_owned(),
        packages_not_reached: (standing + unknown) as u64,
        packages_unknown: unknown as u64,
    })
}

fn sort_changes(changes: &mut [Change]) {
    changes.sort_by_cached_key(|change| {
        (!change.blessed, change.package.clone(), change.stage, change.build_hash.clone())
    });
}

/// Makes an index tell what changed since the end of another run, given by its id.
///
/// # Errors
/// [`crate::Error::Io`] when the runs cannot be read.
pub fn compare(data: &DataDir, index: &mut StatusIndex, since: String) -> Result<()> {
    let runs = Runs::read(data)?;
    let pending: Pending = run_log::pending(data)?;
    let told = told_of_the_set(&index.packages, &runs);
    index.new_packages.clear();
    index.vanished_packages.clear();
    let (mut changed, mut changes) = (Vec::new(), Vec::new());
    for (name, package) in &mut index.packages {
        let known = package.since_asked.take();
        if let Some(dropped_by) = &package.dropped_by {
            if run_order(dropped_by, &since).is_gt() {
                index.vanished_packages.push(name.clone());
            }
        } else if run_order(&package.first_run, &since).is_gt() {
            if is_new(package, &told) {
                index.new_packages.push(name.clone());
            }
        } else if run_order(&package.last_run, &since).is_gt() {
            match known {
                Some(known) => changes.extend(known),
                None => changed.push(name.as_str()),
            }
        }
    }
    changes.extend(refresh::changes_since(
        &data.packages(),
        changed,
        &since,
        &pending,
        &runs.unfinished,
    )?);
    index.changes = changes;
    sort_changes(&mut index.changes);
    index.since = Some(since);
    Ok(())
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
