//! Helpers of several tests: runs with results at any time, and processes that run this test binary again.

#![allow(dead_code)]

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use larder_runs::name::PackageName;
use larder_runs::result::{BuildRef, Origin, RunKind, Stage, StageResult};
use larder_runs::run_log::{Ending, Plan, Run, Scope, Summary};
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir};

pub fn package(name: &str) -> PackageName {
    name.parse().unwrap()
}

/// The second that a run id names.
pub fn time_of(run: &str) -> Timestamp {
    let time = DateTime::strptime("%Y-%m-%d-%H%M%S", &run[..17]).unwrap();
    time.to_zoned(TimeZone::UTC).unwrap().timestamp()
}

/// A clock that stands at the second that a run id names.
pub fn clock(run: &str) -> Clock {
    let time = time_of(run);
    Clock::new(move || time)
}

/// A result at the time of run `run`: of build `hash`, or of the solve where that is empty; `category`
/// `success` for one that worked.
pub fn result(run: &str, name: &str, hash: &str, category: &str, blessed: bool) -> StageResult {
    let stage = if hash.is_empty() { Stage::Solve } else { Stage::Build };
    let time = time_of(run);
    let mut result = StageResult::success(package(name), stage, time, time);
    result.build_hash = (!hash.is_empty()).then(|| hash.parse().unwrap());
    result.compiler = Some(package("ocaml-base-compiler.5.2.0"));
    result.blessed = blessed;
    match Category::from(category) {
        Category::Success => result,
        Category::DependencyFailure => {
            let dependency = BuildRef { package: package("zlib.1.3.1"), build_hash: None };
            StageResult {
                origin: Origin::Skipped,
                failed_dependencies: vec![dependency],
                ..result.failed(Category::DependencyFailure, None)
            }
        }
        category => result.failed(category, Some("Error: Unbound module Foo".to_owned())),
    }
}

/// A result in short: package, build hash, category, whether blessed.
pub type Short<'s> = (&'s str, &'s str, &'s str, bool);

/// Starts a run of a kind at the time that its id says.
pub fn start(data: &DataDir, run: &str, kind: RunKind, scope: Scope) -> Run {
    Run::start(data, Plan::new(kind, scope, Vec::new()), clock(run)).unwrap()
}

/// A whole full run of the set.
pub fn full(data: &DataDir, run: &str, results: &[Short<'_>]) -> Summary {
    whole(data, run, RunKind::Full, results)
}

/// A whole rerun of some packages.
pub fn rerun(data: &DataDir, run: &str, results: &[Short<'_>]) -> Summary {
    whole(data, run, RunKind::Rerun, results)
}

fn whole(data: &DataDir, run: &str, kind: RunKind, results: &[Short<'_>]) -> Summary {
    let scope = match kind {
        RunKind::Full => Scope::All,
        _ => Scope::Packages(results.iter().map(|result| result.0.to_owned()).collect()),
    };
    let started = start(data, run, kind, scope);
    for (name, hash, category, blessed) in results {
        started.record(result(run, name, hash, category, *blessed)).unwrap();
    }
    started.finish(Ending::Complete).unwrap()
}

const ROLE: &str = "LARDER_RUNS_TEST_ROLE";
const DIRECTORY: &str = "LARDER_RUNS_TEST_DIRECTORY";

/// Starts this test binary again, to run only the test `name`, which finds its work with [`role`].
pub fn child(name: &str, role: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(DIRECTORY, directory).stdin(Stdio::null());
    command
}

/// In a process started by [`child`]: its role and directory.
pub fn role() -> Option<(String, std::path::PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var_os(DIRECTORY)?.into()))
}

/// A child that is killed and waited for whatever becomes of the test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
