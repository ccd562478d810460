//! Removes what nothing refers to any more: layers, documentation universes, old runs, checkouts of old revisions.
//!
//! # Safe beside a running batch
//!
//! A batch tells with [`publish_references`] which layers and universes its solutions refer to, **before**
//! it looks whether they are there. That and a collection's decision exclude each other with `flock` on
//! `locks/gc.lock`. So a collection either sees the references and keeps what they name, or is over before
//! the batch looks, which then finds nothing and builds. What a collection decides to remove it renames
//! to `.gc-<name>` at once and deletes after the lock is given back; a crash in between leaves only such
//! names, which the next collection removes.

mod published;
mod revisions;
mod size;
mod sweep;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::build_lock;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::graph::{self, BuildGraph};
use crate::lock::FileLock;
use crate::name::{HashName, RunId};
use crate::result::RunKind;
use crate::run_log::{self, Run, RunHead, RunState};

pub use published::collect_referenced_universes;
pub use revisions::gc_revisions;
use sweep::{Doomed, sweep};

/// The things that a run's solutions refer to: the content of `references.json` in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct References {
    /// The version of this form; files without one are of the first, which is the same but for that.
    pub schema_version: u32,
    /// Build hashes: the names of layers.
    pub layers: BTreeSet<HashName>,
    /// The names of documentation universes.
    pub universes: BTreeSet<HashName>,
    /// The name of the graph of all builds of the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<HashName>,
}

impl Default for References {
    fn default() -> References {
        References {
            schema_version: run_log::SCHEMA_VERSION,
            layers: BTreeSet::new(),
            universes: BTreeSet::new(),
            graph: None,
        }
    }
}

impl References {
    /// Reads those of a run, by its directory. Missing and malformed both mean that it has told none.
    pub fn read(run_dir: &Path) -> Option<References> {
        file::read_json(&run_dir.join(REFERENCES))
    }
}

/// The options of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Only tell what would be removed.
    pub dry_run: bool,
    /// How many runs to keep, the newest; running ones are kept in any case. At least 1.
    pub keep_runs: usize,
}

/// The report of one collection, or with `dry_run` of what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// The names of what was removed, sorted.
    pub removed: Vec<String>,
    /// How much space that freed, in bytes on the disk: files with other links free nothing.
    pub bytes: u64,
    /// How many were kept.
    pub kept: usize,
    /// The things that could not be removed, each with the reason. The rest was removed all the same.
    pub failed: Vec<String>,
    /// Why nothing was collected, where that was not for want of garbage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// The report of [`gc_all`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Layers.
    pub layers: Collected,
    /// Documentation universes.
    pub universes: Collected,
    /// Runs.
    pub runs: Collected,
    /// Checkouts of revisions of the set.
    pub revisions: Collected,
    /// Graphs of who needs whom.
    pub graphs: Collected,
    /// Files and directories that killed processes had not finished.
    pub leftovers: Collected,
}

impl Report {
    /// Each collection with the name of what it collects.
    pub fn parts(&self) -> [(&'static str, &Collected); 6] {
        [
            ("layers", &self.layers),
            ("universes", &self.universes),
            ("runs", &self.runs),
            ("revisions", &self.revisions),
            ("graphs", &self.graphs),
            ("leftovers", &self.leftovers),
        ]
    }

    /// All space freed, in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts().iter().map(|(_, part)| part.bytes).sum()
    }

    /// Whether everything that should have been removed was.
    pub fn is_complete(&self) -> bool {
        self.parts().iter().all(|(_, part)| part.failed.is_empty())
    }
}

/// How old an unfinished file must be before it counts as left behind.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

const REFERENCES: &str = "references.json";

/// Tells what a run's solutions refer to. To be called before the run looks whether any of it is there.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be written; the run must not reuse anything then.
pub fn publish_references(data: &DataDir, run: &Run, references: &References) -> Result<()> {
    publish(data, run, references, || Ok(()))
}

/// As [`publish_references`], and keeps the graph that they name, which is made where it is not there.
///
/// # Errors
/// As there.
pub fn publish_with_graph(
    data: &DataDir,
    run: &Run,
    references: &References,
    make: impl FnOnce() -> BuildGraph,
) -> Result<()> {
    let graph = || match &references.graph {
        Some(name) => graph::write_missing(data, name, make),
        None => Ok(()),
    };
    publish(data, run, references, graph)
}

/// Publishes references after what `first` writes, while nothing is collected.
fn publish(
    data: &DataDir,
    run: &Run,
    references: &References,
    first: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let path = run.dir().join(REFERENCES);
    let json = serde_json::to_vec(references).map_err(io::Error::from).context("write", &path)?;
    let locks = data.locks();
    file::create_dirs(&locks)?;
    let _lock = FileLock::shared(&locks.join("gc.lock"))?;
    first()?;
    file::write_atomic(&path, &json, Durability::Power)
}

/// The references that count, with the runs that told them, newest first.
///
/// Those are the references of each running one, of the newest finished one of each kind that was about the
/// whole set, and of all that are newer than the newest finished full one: a run of some packages
/// adds to what a full run refers to, and one that died is likely to be started again.
fn counting(data: &DataDir) -> Result<Vec<(RunHead, References)>> {
    let mut counting = Vec::new();
    let mut whole = BTreeSet::new();
    let runs_dir = data.runs();
    for run in run_log::list_heads(&runs_dir)?.into_iter().rev() {
        let newest_whole =
            run.state == RunState::Finished && run.of_set && !whole.contains(&run.kind);
        let full_is_older = !whole.contains(&RunKind::Full);
        if !(run.state == RunState::Running || full_is_older || newest_whole) {
            continue;
        }
        let path = runs_dir.join(run.run_id.as_str()).join(REFERENCES);
        let Some(json) = file::read_optional(&path)? else {
            continue;
        };
        let references: References =
            serde_json::from_slice(&json).map_err(io::Error::from).context("read", &path)?;
        if newest_whole {
            whole.insert(run.kind);
        }
        counting.push((run, references));
    }
    Ok(counting)
}

/// The references that count, together, or `None` when no run has ever told.
///
/// # Errors
/// [`crate::Error::Io`] when the runs cannot be listed or references cannot be read: rather no
/// collection than a wrong one.
pub fn current_references(data: &DataDir) -> Result<Option<References>> {
    let counting = counting(data)?;
    if counting.is_empty() {
        return Ok(None);
    }
    let mut current = References::default();
    for (_, references) in counting {
        current.universes.extend(references.universes);
        current.layers.extend(references.layers);
    }
    Ok(Some(current))
}

/// Removes the layers under `layers_dir` that are not in `referenced`. [`gc_all`] counts those that
/// somebody is building as referenced.
///
/// # Errors
/// [`crate::Error::Io`] when the layers cannot be listed.
pub fn gc_layers(
    layers_dir: &Path,
    referenced: &BTreeSet<HashName>,
    dry_run: bool,
) -> Result<Collected> {
    let referenced: BTreeSet<&str> = referenced.iter().map(HashName::as_str).collect();
    sweep(layers_dir, |name| referenced.contains(name), dry_run)
        .map(|doomed| doomed.finish(dry_run))
}

/// Removes the documentation universes under `html_dir/u` that no published page leads to and that are
/// not in `also_referenced`.
///
/// # Errors
/// [`crate::Error::Io`] when the published tree cannot be read: rather no collection than a wrong one.
pub fn gc_universes(
    html_dir: &Path,
    also_referenced: &BTreeSet<HashName>,
    dry_run: bool,
) -> Result<Collected> {
    doomed_universes(html_dir, also_referenced, dry_run).map(|doomed| doomed.finish(dry_run))
}

fn doomed_universes(
    html_dir: &Path,
    also_referenced: &BTreeSet<HashName>,
    dry_run: bool,
) -> Result<Doomed> {
    let mut kept = collect_referenced_universes(html_dir)?;
    kept.extend(also_referenced.iter().map(|name| name.as_str().to_owned()));
    sweep(&html_dir.join("u"), |name| kept.contains(name), dry_run)
}

/// Removes all runs but the newest `keep_runs`, those that are running, those whose references count, the
/// newest finished full run, which says what the set has, and the full runs since the one before that which
/// did not come to their end: without them what they did not reach would be taken for superseded.
///
/// # Errors
/// [`crate::Error::Io`] when the runs cannot be listed.
pub fn gc_runs(data: &DataDir, keep_runs: usize, dry_run: bool) -> Result<Collected> {
    let runs = run_log::list_heads(&data.runs())?;
    let mut kept: BTreeSet<RunId> =
        counting(data)?.into_iter().map(|(run, _)| run.run_id).collect();
    let mut whole = 0;
    for run in runs.iter().rev().filter(|run| run.kind == RunKind::Full) {
        let finished = run.state == RunState::Finished;
        whole += usize::from(finished && run.covers_the_set);
        // Changes compare the last full run of a package with the one before.
        if whole < 2 && !finished || whole == 1 && finished && run.covers_the_set {
            kept.insert(run.run_id.clone());
        }
    }
    let old = runs.len().saturating_sub(keep_runs.max(1));
    let removed: BTreeSet<_> = runs
        .iter()
        .take(old)
        .filter(|run| run.state != RunState::Running && !kept.contains(&run.run_id))
        .map(|run| run.run_id.as_str().to_owned())
        .collect();
    sweep(&data.runs(), |name| !removed.contains(name), dry_run)
        .map(|doomed| doomed.finish(dry_run))
}

/// Collects layers, universes, runs, revisions and leftovers of an ecosystem. Layers are left alone, and the report
/// says so, as long as no run has told what its solutions refer to.
///
/// # Errors
/// [`crate::Error::Io`] when something cannot be listed or read; what was collected before is gone.
pub fn gc_all(data: &DataDir, options: &Options) -> Result<Report> {
    let dry_run = options.dry_run;
    if !dry_run {
        // What a killed run had recorded in part goes with its run unless it is completed.
        run_log::reconcile(data)?;
    }
    let (layers, universes) = decide(data, dry_run)?;
    Ok(Report {
        layers: layers.finish(dry_run),
        universes: universes.finish(dry_run),
        runs: gc_runs(data, options.keep_runs, dry_run)?,
        revisions: gc_revisions(data, dry_run)?,
        // Those of the runs that are gone by now.
        graphs: gc_graphs(data, dry_run)?,
        leftovers: gc_leftovers(data, dry_run)?,
    })
}

/// Removes the graphs that no run refers to.
fn gc_graphs(data: &DataDir, dry_run: bool) -> Result<Collected> {
    let _lock = FileLock::exclusive(&data.locks().join("gc.lock"))?;
    let runs = data.runs();
    let told = run_log::run_ids(&runs)?;
    let told = told.iter().filter_map(|id| References::read(&runs.join(id.as_str()))?.graph);
    let kept: BTreeSet<String> = told.map(|name| format!("{name}.json")).collect();
    Ok(sweep(&data.graphs(), |name| kept.contains(name), dry_run)?.finish(dry_run))
}

/// Decides what layers and universes go and puts them out of sight, while no run publishes references.
fn decide(data: &DataDir, dry_run: bool) -> Result<(Doomed, Doomed)> {
    let locks = data.locks();
    file::create_dirs(&locks)?;
    let _lock = FileLock::exclusive(&locks.join("gc.lock"))?;
    let references = current_references(data)?;
    let layers = match &references {
        Some(references) => {
            let mut kept: BTreeSet<String> =
                references.layers.iter().map(|name| name.to_string()).collect();
            kept.extend(build_lock::list_active(&locks)?.into_iter().map(|lock| lock.target));
            sweep(&data.layers(), |name| kept.contains(name), dry_run)?
        }
        None => Doomed::skipped("no run has recorded which layers its solutions refer to"),
    };
    let universes =
        doomed_universes(&data.html(), &references.unwrap_or_default().universes, dry_run)?;
    Ok((layers, universes))
}

/// Removes what killed processes left: unfinished files and directories older than a day, by their name.
fn gc_leftovers(data: &DataDir, dry_run: bool) -> Result<Collected> {
    let mut collected = Collected::default();
    let mut directories = vec![data.root().to_owned(), data.runs()];
    for parent in [data.runs(), data.packages()] {
        directories.extend(file::names(&parent)?.into_iter().map(|name| parent.join(name)));
    }
    for directory in directories.iter().filter(|directory| directory.is_dir()) {
        for name in file::names(directory)?.into_iter().filter(|name| file::is_temporary(name)) {
            let path = directory.join(&name);
            if is_older(&path, LEFTOVER_AGE) {
                collected.remove(&path, name, dry_run);
            }
        }
    }
    Ok(collected)
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now().duration_since(modified).is_ok_and(|passed| passed > age)
    })
}
