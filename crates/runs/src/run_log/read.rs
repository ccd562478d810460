//! Runs as another process sees them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{INFO, LOCK, RESULTS, RunInfo, SUMMARY, Scope, Summary};
use crate::error::{Context, Result};
use crate::file;
use crate::history;
use crate::lock;
use crate::name::RunId;
use crate::parallel::in_shares;
use crate::progress::{self, Progress};
use crate::result::{Entry, RunKind};

/// The state of a run, by what its directory shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its process holds its lock.
    Running,
    /// It did what it set out to do.
    Finished,
    /// It was told to stop before.
    Interrupted,
    /// Its process ended without a word.
    Died,
}

impl RunState {
    /// The state of a run that is locked or not, and whose summary, if there is one, says whether it was
    /// interrupted.
    fn of(interrupted: Option<bool>, locked: bool) -> RunState {
        match (interrupted, locked) {
            (Some(true), _) => RunState::Interrupted,
            (Some(false), _) => RunState::Finished,
            (None, true) => RunState::Running,
            (None, false) => RunState::Died,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Finished => "finished",
            RunState::Interrupted => "interrupted",
            RunState::Died => "died",
        }
    }
}

/// A run as another process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Its id.
    pub run_id: RunId,
    /// Its state.
    pub state: RunState,
    /// Who started it, when and what for; `None` when `run.json` is missing or malformed.
    pub info: Option<RunInfo>,
    /// Its summary, once it has ended in order.
    pub summary: Option<Summary>,
    /// How far it has come, or had when it died.
    pub progress: Option<Progress>,
}

impl RunRecord {
    /// Its kind; a full run where it does not say.
    pub fn kind(&self) -> RunKind {
        self.info.as_ref().map_or(RunKind::Full, |info| info.plan.kind)
    }

    /// Whether it is known to be about the whole set. Runs of the first version do not say.
    pub fn covers_the_set(&self) -> bool {
        self.info
            .as_ref()
            .is_some_and(|info| info.schema_version > 1 && info.plan.scope == Scope::All)
    }
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
    let state = RunState::of(summary.as_ref().map(|summary| summary.interrupted), locked);
    let progress = if summary.is_some() { None } else { progress::read(&dir) };
    let info = file::read_json(&dir.join(INFO));
    Ok(Some(RunRecord { run_id: id.clone(), state, info, summary, progress }))
}

/// The part of a run that the status and collections need: thousands of targets and failures are in none of it.
pub(crate) struct RunHead {
    pub run_id: RunId,
    pub state: RunState,
    /// A full run where it does not say.
    pub kind: RunKind,
    /// Whether its scope is all of the set, or was never said.
    pub of_set: bool,
    /// As [`RunRecord::covers_the_set`].
    pub covers_the_set: bool,
}

/// All runs, oldest first, as [`list_runs`] finds them.
pub(crate) fn list_heads(runs_dir: &Path) -> Result<Vec<RunHead>> {
    // What the whole forms require is required here as well, so that both readers find the same malformed.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        #[serde(rename = "start")]
        _start: IgnoredAny,
        #[serde(rename = "pid")]
        _pid: IgnoredAny,
        #[serde(rename = "host")]
        _host: IgnoredAny,
        #[serde(default = "super::first_version")]
        schema_version: u32,
        #[serde(default = "full")]
        kind: RunKind,
        #[serde(default)]
        scope: Scope,
    }
    #[derive(Deserialize)]
    struct Ended {
        #[serde(rename = "runId")]
        _run_id: RunId,
        #[serde(rename = "start")]
        _start: IgnoredAny,
        #[serde(rename = "end")]
        _end: IgnoredAny,
        #[serde(default)]
        interrupted: bool,
    }
    let mut heads = Vec::new();
    for run_id in run_ids(runs_dir)? {
        let dir = runs_dir.join(run_id.as_str());
        if !dir.is_dir() {
            continue;
        }
        let locked = lock::is_held(&dir.join(LOCK))?;
        let ended: Option<Ended> = file::read_json(&dir.join(SUMMARY));
        let state = RunState::of(ended.map(|ended| ended.interrupted), locked);
        let info: Option<Info> = file::read_json(&dir.join(INFO));
        let kind = info.as_ref().map_or(RunKind::Full, |info| info.kind);
        let of_set = info.as_ref().is_some_and(|info| info.scope == Scope::All);
        let covers_the_set = of_set && info.is_some_and(|info| info.schema_version > 1);
        heads.push(RunHead { run_id, state, kind, of_set, covers_the_set });
    }
    Ok(heads)
}

/// The full runs that did not come to their end.
pub(crate) fn unfinished(heads: &[RunHead]) -> BTreeSet<String> {
    let unfinished =
        heads.iter().filter(|run| run.kind == RunKind::Full && run.state != RunState::Finished);
    unfinished.map(|run| run.run_id.to_string()).collect()
}

fn full() -> RunKind {
    RunKind::Full
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

/// The last results of a run, in the order in which they were recorded: those in the last so many bytes of their file.
///
/// # Errors
/// [`crate::Error::Io`] when the file is there but cannot be read.
pub fn last_results(run_dir: &Path, bytes: u64) -> Result<Vec<Entry>> {
    let path = run_dir.join(RESULTS);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context("read", &path)?,
    };
    let size = file.metadata().context("read", &path)?.len();
    // One byte more tells whether a line begins there.
    let from = size.saturating_sub(bytes.saturating_add(1));
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(from)).context("read", &path)?;
    file.take(size - from).read_to_end(&mut content).context("read", &path)?;
    let begun = match from {
        0 => 0,
        _ => content.iter().position(|byte| *byte == b'\n').map_or(content.len(), |end| end + 1),
    };
    let lines = history::lines(content.get(begun..).unwrap_or_default());
    Ok(lines.filter_map(|line| Entry::parse(line, None)).collect())
}

/// The results of a run, in the order in which they were recorded; none for a run that has none. A
/// line that cannot be read is skipped, and said at info.
///
/// # Errors
/// [`crate::Error::Io`] when the file is there but cannot be read.
pub fn read_results(run_dir: &Path) -> Result<Vec<Entry>> {
    let path = run_dir.join(RESULTS);
    let content = file::read_optional(&path)?.unwrap_or_default();
    let lines: Vec<&[u8]> = history::lines(&content).collect();
    let entries = in_shares(&lines, |share| {
        let entry = |line: &&[u8]| {
            let entry = Entry::parse(line, None);
            if entry.is_none() {
                tracing::info!("{} has a line that cannot be read", path.display());
            }
            entry
        };
        share.iter().filter_map(entry).collect()
    });
    Ok(entries)
}
