//! The record of each execution of a batch: `runs/<run id>/`.
//!
//! ```text
//! run.json                what was started, by whom
//! run.lock                locked by the run for as long as it lives
//! progress.json           how far it has come (see `progress`)
//! references.json         the layers and universes that its solutions refer to (see `gc`)
//! build/<pkg>.log         logs, each with the hash of its layer in <pkg>.layer
//! docs/<pkg>.log
//! summary.json            what came of it: present once it has finished
//! ```

mod logs;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::lock;
use crate::name::RunId;
use crate::progress::{self, Progress};
use crate::time::{format_time, now, parse_time, seconds_between};

pub use logs::{LogKind, follow_log, log_path, logged_packages, read_layer};

const INFO: &str = "run.json";
const LOCK: &str = "run.lock";
const SUMMARY: &str = "summary.json";

/// A run of this process. While it exists, others see the run as running; dropped without
/// [`finish_run`], or with its process, it has died.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    dir: PathBuf,
    start: Timestamp,
    /// Held by its being open.
    _lock: File,
}

/// What is known of a run from its first moment: the content of `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// Its process.
    pub pid: u32,
    /// The machine of that process.
    pub host: String,
}

/// What a batch has to tell when it ends: all counts are of packages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// Targets asked for.
    pub requested: u64,
    /// Targets that have a solution.
    pub solved: u64,
    /// Built in this run.
    pub built: u64,
    /// There already.
    pub cached: u64,
    /// Failed themselves.
    pub failed: u64,
    /// Not tried because a dependency failed.
    pub cascaded: u64,
    /// Documented.
    pub documented: u64,
    /// What failed and why.
    pub failures: Vec<Failure>,
}

/// One package that failed in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// `<name>.<version>`.
    pub package: String,
    /// Its build, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<String>,
    /// The kind of failure: see [`crate::classify`].
    pub category: String,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A finished run: the content of `summary.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The run.
    pub run_id: RunId,
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// When it ended: RFC 3339, UTC.
    pub end: String,
    /// Counts and failures.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Summary {
    /// How long the run took, in seconds; 0 when its clock was set back.
    pub fn seconds(&self) -> u64 {
        match (parse_time(&self.start), parse_time(&self.end)) {
            (Some(start), Some(end)) => seconds_between(start, end),
            _ => 0,
        }
    }
}

/// What state a run is in, by what its directory shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its process holds its lock.
    Running,
    /// It has a summary.
    Finished,
    /// Neither: its process ended before it did.
    Died,
}

/// A run as another process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Its id.
    pub run_id: RunId,
    /// Its state.
    pub state: RunState,
    /// Who started it and when; `None` when `run.json` is missing or malformed.
    pub info: Option<RunInfo>,
    /// What came of it, once finished.
    pub summary: Option<Summary>,
    /// How far it has come, or had when it died.
    pub progress: Option<Progress>,
}

/// Starts a run: makes its directory, complete and locked before anyone can see it.
///
/// Ids are unique among all processes that share `runs_dir`, and a later run never gets an id that
/// sorts before an earlier one's: where the clock was set back, it counts on from the newest run.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be made.
pub fn start_run(runs_dir: &Path) -> Result<Run> {
    file::create_dirs(runs_dir)?;
    let start = now();
    let staging = staging_dir(runs_dir)?;
    start_in(runs_dir, &staging, start).inspect_err(|_| {
        let _ = file::remove_tree(&staging);
    })
}

fn start_in(runs_dir: &Path, staging: &Path, start: Timestamp) -> Result<Run> {
    let info = RunInfo { start: format_time(start), pid: process::id(), host: host() };
    write_json(&staging.join(INFO), &info)?;
    let lock_path = staging.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&lock_path)
        .context("create", &lock_path)?;
    lock.lock().context("lock", &lock_path)?;

    let mut candidate = first_candidate(runs_dir, start)?;
    loop {
        let id: RunId = candidate.to_string().parse()?;
        let dir = runs_dir.join(id.as_str());
        // Renaming onto a directory fails unless that one is empty, and a run's never is.
        match fs::rename(staging, &dir) {
            Ok(()) => {
                return Ok(Run { id, dir, start, _lock: lock });
            }
            Err(error) if is_taken(&error) => candidate.count += 1,
            Err(error) => return Err(error).context("create the run directory", &dir),
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory
    )
}

/// A run id on its way: the second and the count within it.
struct Candidate {
    second: String,
    count: u64,
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            0 | 1 => f.write_str(&self.second),
            count => write!(f, "{}-{count}", self.second),
        }
    }
}

/// The first id to try: this second, or the newest run's where that is not earlier.
fn first_candidate(runs_dir: &Path, start: Timestamp) -> Result<Candidate> {
    let second = start.strftime("%Y-%m-%d-%H%M%S").to_string();
    let newest = run_ids(runs_dir)?.into_iter().next_back();
    Ok(match newest.as_ref().and_then(|id| id.as_str().split_at_checked(crate::name::SECOND)) {
        Some((newest_second, rest)) if newest_second >= second.as_str() => {
            let count = rest.strip_prefix('-').and_then(|count| count.parse().ok()).unwrap_or(1);
            Candidate { second: newest_second.to_owned(), count: count + 1 }
        }
        _ => Candidate { second, count: 1 },
    })
}

fn staging_dir(runs_dir: &Path) -> Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let staging = runs_dir.join(format!(".run.{}.{count}.tmp", process::id()));
    file::remove_tree(&staging)?;
    fs::create_dir(&staging).context("create the directory", &staging)?;
    Ok(staging)
}

/// The name of this machine.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Run {
    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// When the run started.
    pub fn start_time(&self) -> Timestamp {
        self.start
    }
}

/// Ends a run: writes its summary, removes its progress and lets go of its lock.
///
/// # Errors
/// [`crate::Error::Io`] when the summary cannot be written; the run then counts as died.
pub fn finish_run(run: Run, outcome: Outcome) -> Result<Summary> {
    let summary = Summary {
        run_id: run.id.clone(),
        start: format_time(run.start),
        end: format_time(now()),
        outcome,
    };
    write_json(&run.dir.join(SUMMARY), &summary)?;
    progress::delete(&run.dir)?;
    Ok(summary)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json =
        serde_json::to_vec_pretty(value).map_err(io::Error::from).context("write", path)?;
    json.push(b'\n');
    file::write_atomic(path, &json, Durability::Power)
}

/// The ids of all runs, oldest first.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be listed; a missing one has no runs.
pub fn run_ids(runs_dir: &Path) -> Result<Vec<RunId>> {
    let mut ids: Vec<RunId> =
        file::names(runs_dir)?.iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort();
    Ok(ids)
}

/// A run by its id; `None` when there is none.
///
/// # Errors
/// [`crate::Error::Io`] when its lock cannot be asked.
pub fn read_run(runs_dir: &Path, id: &RunId) -> Result<Option<RunRecord>> {
    let dir = runs_dir.join(id.as_str());
    if !dir.is_dir() {
        return Ok(None);
    }
    // The lock before the summary: a run that ends in between is finished, not dead.
    let locked = lock::is_held(&dir.join(LOCK))?;
    let summary: Option<Summary> = file::read_json(&dir.join(SUMMARY));
    let state = match (&summary, locked) {
        (Some(_), _) => RunState::Finished,
        (None, true) => RunState::Running,
        (None, false) => RunState::Died,
    };
    let progress = if summary.is_some() { None } else { progress::read(&dir) };
    Ok(Some(RunRecord {
        run_id: id.clone(),
        state,
        info: file::read_json(&dir.join(INFO)),
        summary,
        progress,
    }))
}

/// All runs, oldest first.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be listed.
pub fn list_runs(runs_dir: &Path) -> Result<Vec<RunRecord>> {
    let mut runs = Vec::new();
    for id in run_ids(runs_dir)? {
        runs.extend(read_run(runs_dir, &id)?);
    }
    Ok(runs)
}
