//! How far a running batch has come: `progress.json` in the run's directory, for whoever watches.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::file::{self, Durability};
use crate::name::RunId;
use crate::result::{Stage, StageResult};
use crate::run_log::{SCHEMA_VERSION, first_version};

/// The thing that a run is doing. The phases follow each other in this order and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Choosing versions for every target.
    Solving,
    /// Choosing the build of each package version that counts first.
    Blessings,
    /// Building packages and their documentation.
    Building,
    /// Removing what no solution refers to any more.
    Gc,
    /// Done.
    Completed,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 5] =
        [Phase::Solving, Phase::Blessings, Phase::Building, Phase::Gc, Phase::Completed];

    /// The phase that follows; `None` after the last.
    pub fn next(self) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| *phase > self)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Solving => "solving",
            Phase::Blessings => "blessings",
            Phase::Building => "building",
            Phase::Gc => "gc",
            Phase::Completed => "completed",
        })
    }
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The version of this form.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// When it started: RFC 3339, UTC.
    pub start_time: String,
    /// How many packages it was asked to build.
    #[serde(default)]
    pub requested_packages: u64,
    /// Its phase; changed with [`Progress::set_phase`].
    phase: Phase,
    /// Targets with a solution so far.
    pub solutions_found: u64,
    /// Targets without one so far.
    pub solutions_failed: u64,
    /// Builds that the solutions need.
    pub build_total: u64,
    /// Attempts at builds that ended, whether they worked or not.
    pub builds_completed: u64,
    /// Tests that ended.
    #[serde(default)]
    pub tests_completed: u64,
    /// Documentation that ended.
    pub docs_completed: u64,
    /// Results that were failures, blocked ones included.
    #[serde(default)]
    pub failed_results: u64,
    /// The builds that go on now.
    pub running: Vec<String>,
}

impl Progress {
    /// A run that has just started: solving, with nothing done.
    pub fn create(run_id: RunId, start_time: String, requested_packages: u64) -> Progress {
        Progress {
            schema_version: SCHEMA_VERSION,
            run_id,
            start_time,
            requested_packages,
            phase: Phase::Solving,
            solutions_found: 0,
            solutions_failed: 0,
            build_total: 0,
            builds_completed: 0,
            tests_completed: 0,
            docs_completed: 0,
            failed_results: 0,
            running: Vec::new(),
        }
    }

    /// Counts a result. Of several attempts at a stage of a build, the `first` one ends it.
    pub(crate) fn ended(&mut self, result: &StageResult, first: bool) {
        match (result.stage, result.is_success()) {
            _ if !first => {}
            (Stage::Solve, true) => self.solutions_found += 1,
            (Stage::Solve, false) => self.solutions_failed += 1,
            (Stage::Build, _) => self.builds_completed += 1,
            (Stage::Test, _) => self.tests_completed += 1,
            (Stage::Doc, _) => self.docs_completed += 1,
        }
        self.failed_results += u64::from(!result.is_success());
        self.running.retain(|name| name != result.package.as_str());
    }

    /// The phase that the run is in.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Enters the next phase.
    ///
    /// # Errors
    /// [`Error::PhaseOrder`] when `phase` is any other than the one that follows; nothing changes then.
    pub fn set_phase(&mut self, phase: Phase) -> Result<()> {
        if self.phase.next() != Some(phase) {
            return Err(Error::PhaseOrder { from: self.phase, to: phase });
        }
        self.phase = phase;
        Ok(())
    }
}

/// The name of the file in a run's directory.
pub const FILE: &str = "progress.json";

/// Writes the progress of a run, atomically. Not synced to the disk: it is worth nothing after a crash,
/// and it is written after each package.
///
/// # Errors
/// [`Error::Io`] when the run's directory cannot be written.
pub fn write(run_dir: &Path, progress: &Progress) -> Result<()> {
    let path = run_dir.join(FILE);
    let json = serde_json::to_vec(progress).map_err(io::Error::from).context("write", &path)?;
    file::write_atomic(&path, &json, Durability::Process)
}

/// Reads the progress of a run. Missing, unreadable and malformed all mean that there is none.
pub fn read(run_dir: &Path) -> Option<Progress> {
    file::read_json(&run_dir.join(FILE))
}

/// Removes the progress of a run that needs none any more; there being none is fine.
///
/// # Errors
/// [`Error::Io`] when the file is there and cannot be removed.
pub fn delete(run_dir: &Path) -> Result<()> {
    let path = run_dir.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.context("remove", &path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::create("2026-03-01-120000".parse().unwrap(), "2026-03-01T12:00:00Z".into(), 1)
    }

    #[test]
    fn phases_follow_one_order() {
        let mut progress = progress();
        assert!(progress.set_phase(Phase::Building).is_err());
        for phase in [Phase::Blessings, Phase::Building, Phase::Gc, Phase::Completed] {
            assert!(progress.set_phase(Phase::Solving).is_err());
            progress.set_phase(phase).unwrap();
            assert_eq!(progress.phase(), phase);
        }
        let error = progress.set_phase(Phase::Gc).unwrap_err();
        insta::assert_snapshot!(error, @"phase gc cannot follow completed: the order is solving, blessings, building, gc, completed");
    }

    #[test]
    fn progress_survives_a_round_trip_and_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let mut written = progress();
        written.set_phase(Phase::Blessings).unwrap();
        written.build_total = 12;
        written.running = vec!["fmt.0.9.0".into()];
        write(dir.path(), &written).unwrap();
        assert_eq!(read(dir.path()), Some(written));
        delete(dir.path()).unwrap();
        delete(dir.path()).unwrap();
        assert_eq!(read(dir.path()), None);
        assert!(file::names(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn malformed_progress_is_no_progress() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "{", "null", r#"{"phase":"dreaming"}"#, "\u{0}\u{1}", "[1,2]"] {
            fs::write(dir.path().join(FILE), content).unwrap();
            assert_eq!(read(dir.path()), None, "{content:?}");
        }
    }
}
