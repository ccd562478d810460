//! The record of each execution of a batch: `runs/<run id>/`.
//!
//! ```text
//! run.json                what was started, by whom, to do what
//! run.lock                locked by the run for as long as it lives
//! progress.json           how far it has come (see `progress`)
//! references.json         the layers and universes that its solutions refer to (see `gc`)
//! results.jsonl           every result, as in the histories
//! logs/<pkg>/<build hash>.<stage>.<attempt>.log
//! summary.json            what came of it: present once it has ended in order
//! ```
//!
//! [`Run::record`] is the one way in for results, and [`Run::finish`] derives every count from them.

mod logs;
mod read;
mod reconcile;
mod record;
mod summary;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::name::{PackageName, RunId};
use crate::progress::{self, Progress};
use crate::result::RunKind;
use crate::status_index;
use crate::time::{Clock, format_time};

pub use logs::{
    Log, LogName, LogWriter, all_logs, find_logs, follow_log, is_growing, logs_of_name, open_log,
    open_path, recorded_result,
};
pub(crate) use read::{RunHead, list_heads, unfinished};
pub use read::{RunRecord, RunState, last_results, list_runs, read_results, read_run, run_ids};
pub use reconcile::{Pending, pending, reconcile};
pub use summary::{Builds, Failure, Packages, Stages, Summary, last_attempts};

use record::Recorded;

const INFO: &str = "run.json";
const LOCK: &str = "run.lock";
const SUMMARY: &str = "summary.json";
const RESULTS: &str = "results.jsonl";

/// The version of `run.json` and `summary.json`; files without one are of the first.
pub const SCHEMA_VERSION: u32 = 2;

/// A run of this process. While it exists, others see the run as running; dropped without
/// [`Run::finish`], or with its process, it has died.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    dir: PathBuf,
    data: DataDir,
    start: Timestamp,
    plan: Plan,
    clock: Clock,
    recorded: Mutex<Recorded>,
    logs: Arc<Mutex<logs::Logs>>,
    host: String,
    /// Held by its being open.
    _lock: File,
}

/// The packages that a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All of the set: a package that such a run of kind full leaves out has left the set.
    #[default]
    All,
    /// Some, as they were asked for.
    Packages(Vec<String>),
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Its kind.
    pub kind: RunKind,
    /// Its scope.
    pub scope: Scope,
    /// The packages that it is to build; their dependencies come by themselves.
    pub targets: Vec<PackageName>,
    /// The command as it was given.
    pub command_line: Vec<String>,
    /// The revision of the package set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_revision: Option<String>,
    /// The compilers' packages.
    pub compilers: Vec<PackageName>,
    /// The run that it starts from or compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<RunId>,
    /// The version of larder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larder_version: Option<String>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new(RunKind::Full, Scope::All, Vec::new())
    }
}

impl Plan {
    /// A plan of which no more is known.
    pub fn new(kind: RunKind, scope: Scope, targets: Vec<PackageName>) -> Plan {
        Plan {
            kind,
            scope,
            targets,
            command_line: Vec::new(),
            set_revision: None,
            compilers: Vec::new(),
            baseline: None,
            larder_version: None,
        }
    }
}

/// The facts of a run from its first moment: the content of `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// The version of this form; 1 where nothing is said of the plan.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// Its process.
    pub pid: u32,
    /// The machine of that process.
    pub host: String,
    /// Its plan.
    #[serde(flatten)]
    pub plan: Plan,
}

pub(crate) fn first_version() -> u32 {
    1
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It did what it set out to do.
    Complete,
    /// It was told to stop before.
    Interrupted,
}

impl Run {
    /// Starts a run: makes its directory, complete and locked before anyone can see it.
    ///
    /// Ids are unique among all processes that share `data`, and a later run never gets an id that
    /// sorts before an earlier one's: where the clock was set back, it counts on from the newest run.
    /// What a killed run had recorded in part is completed first: see [`reconcile`].
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the directory cannot be made.
    pub fn start(data: &DataDir, plan: Plan, clock: Clock) -> Result<Run> {
        let runs = data.runs();
        file::create_dirs(&runs)?;
        reconcile(data)?;
        let staging = staging_dir(&runs)?;
        start_in(data, &staging, plan, clock).inspect_err(|_| {
            let _ = file::remove_tree(&staging);
        })
    }

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

    /// The plan of the run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The clock that its times are told by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends a run: derives its summary from what it recorded, removes its progress, brings the status index
    /// up to date and lets go of its lock. An index that cannot be written is said at info: whoever asks for
    /// the status then reads the histories.
    ///
    /// # Errors
    /// [`crate::Error::Sums`] when its results contradict each other; [`crate::Error::Io`] when they
    /// cannot be read or the summary cannot be written. The run then counts as died.
    pub fn finish(self, ending: Ending) -> Result<Summary> {
        let results = self.dir.join(RESULTS);
        self.recorded().check(&results)?;
        match File::open(&results) {
            Ok(file) => file.sync_data().context("write", &results)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("read", &results),
        }
        let entries = read_results(&self.dir)?;
        let summary = Summary::derive(&self, ending, &entries);
        summary.check()?;
        write_json(&self.dir.join(SUMMARY), &summary)?;
        progress::delete(&self.dir)?;
        if let Err(error) = status_index::update(&self.data) {
            tracing::info!("the status index is not up to date: {error}");
        }
        Ok(summary)
    }
}

fn start_in(data: &DataDir, staging: &Path, plan: Plan, clock: Clock) -> Result<Run> {
    let start = clock.now();
    let info = RunInfo {
        schema_version: SCHEMA_VERSION,
        start: format_time(start),
        pid: process::id(),
        host: host(),
        plan: plan.clone(),
    };
    write_json(&staging.join(INFO), &info)?;
    let lock_path = staging.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&lock_path)
        .context("create", &lock_path)?;
    lock.lock().context("lock", &lock_path)?;

    let runs = data.runs();
    let mut candidate = first_candidate(&runs, start)?;
    loop {
        let id: RunId = candidate.to_string().parse()?;
        let dir = runs.join(id.as_str());
        // Renaming onto a directory fails unless that one is empty, and a run's never is.
        match fs::rename(staging, &dir) {
            Ok(()) => {
                let requested = plan.targets.len() as u64;
                let progress = Progress::create(id.clone(), info.start, requested);
                progress::write(&dir, &progress)?;
                return Ok(Run {
                    id,
                    dir,
                    data: data.clone(),
                    start,
                    plan,
                    clock,
                    recorded: Mutex::new(Recorded::new(progress)),
                    logs: Arc::default(),
                    host: info.host,
                    _lock: lock,
                });
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

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json =
        serde_json::to_vec_pretty(value).map_err(io::Error::from).context("write", path)?;
    json.push(b'\n');
    file::write_atomic(path, &json, Durability::Power)
}
