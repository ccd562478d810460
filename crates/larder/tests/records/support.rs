//! A small ecosystem, and larder run on its data.

use std::io::Write;
use std::process::Command;

use larder_runs::name::{HashName, PackageName};
use larder_runs::result::{BuildRef, Origin, RunKind, Stage, StageResult};
use larder_runs::run_log::{Ending, LogName, Plan, Run, Scope};
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir};
use larder_testkit::run::{larder_in, run};
use serde_json::Value;

/// The runs that every ecosystem begins with.
pub const R1: &str = "2026-03-01-120000";
pub const R2: &str = "2026-03-02-120000";

/// Two full runs: `fmt` breaks, `zlib` recovers, `new` appears; `odoc` always fails, and blocks `blocked`.
pub struct Ecosystem {
    pub directory: tempfile::TempDir,
    pub data: DataDir,
}

/// A result at noon of the day of a run; all builds of a package have one hash.
pub fn result(run: &str, package: &str, category: &str, blessed: bool) -> StageResult {
    let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
    let mut result = StageResult::success(package.parse().unwrap(), Stage::Build, time, time);
    result.build_hash = Some(hash_of(package));
    result.compiler = Some("ocaml-base-compiler.5.2.0".parse().unwrap());
    result.blessed = blessed;
    match Category::from(category) {
        Category::Success => result,
        Category::DependencyFailure => {
            let odoc: PackageName = "odoc.2.4.0".parse().unwrap();
            let build_hash = Some(hash_of(odoc.as_str()));
            result.failed_dependencies = vec![BuildRef { package: odoc, build_hash }];
            result.origin = Origin::Skipped;
            result.failed(Category::DependencyFailure, None)
        }
        category => {
            let error = "Error: \u{1b}[31mUnbound\u{202e} module Foo".to_owned();
            result.failed(category, Some(error))
        }
    }
}

/// The hash of the build of a package.
pub fn hash_of(package: &str) -> HashName {
    format!("{}-hash", package.replace('.', "_")).parse().unwrap()
}

impl Ecosystem {
    /// An ecosystem with those two runs.
    pub fn new() -> Ecosystem {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("data"));
        let ecosystem = Ecosystem { directory, data };
        ecosystem.full(
            R1,
            &[
                ("fmt.0.9.0", "success", true),
                ("zlib.1.3.1", "network", true),
                ("odoc.2.4.0", "timeout", false),
            ],
        );
        ecosystem.full(
            R2,
            &[
                ("fmt.0.9.0", "build_failure", true),
                ("zlib.1.3.1", "success", true),
                ("odoc.2.4.0", "timeout", false),
                ("blocked.1", "dependency_failure", true),
                ("new.1", "success", true),
            ],
        );
        ecosystem
    }

    /// Starts a run at noon of the day that its id says.
    pub fn start(&self, run: &str, kind: RunKind, scope: Scope) -> Run {
        let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
        let plan = Plan::new(kind, scope, vec!["fmt.0.9.0".parse().unwrap()]);
        Run::start(&self.data, plan, Clock::new(move || time)).unwrap()
    }

    /// A full run with these results: package, category, and whether it is blessed.
    pub fn full(&self, run: &str, results: &[(&str, &str, bool)]) {
        let started = self.start(run, RunKind::Full, Scope::All);
        for (package, category, blessed) in results {
            started.record(result(run, package, category, *blessed)).unwrap();
        }
        started.finish(Ending::Complete).unwrap();
    }

    /// larder beside the data, not run yet.
    pub fn larder(&self, arguments: &[&str]) -> Command {
        let mut command = larder_in(self.directory.path());
        command.args(arguments).env("LARDER_DATA_DIR", self.data.root());
        command
    }

    /// Standard output of a command that succeeds.
    #[track_caller]
    pub fn shown(&self, arguments: &[&str]) -> String {
        run(self.larder(arguments)).ok().stdout
    }

    /// The events of a command that succeeds.
    #[track_caller]
    pub fn events(&self, arguments: &[&str]) -> Vec<Value> {
        run(self.larder(&[arguments, &["--json"]].concat())).ok().events()
    }

    /// Standard error of a command that ends with this exit code.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str], code: i32) -> String {
        run(self.larder(arguments)).ends_with(code).stderr
    }
}

/// A log of a package in a run, with its result.
pub fn logged(run: &Run, package: &str, attempt: u32, text: &str) {
    let (name, hash) = (package.parse().unwrap(), hash_of(package));
    let name = LogName::new(name, Stage::Build, hash, attempt);
    run.log_writer(&name).unwrap().write_all(text.as_bytes()).unwrap();
    let failed = result(&format!("{}-120000", &run.id().as_str()[..10]), package, "timeout", true);
    run.record(StageResult { attempt, ..failed }).unwrap();
}

/// Words with one space between: ages, and with them the widths of columns, depend on today.
pub fn without_ages(text: &str) -> String {
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if let Some(unit) = words.iter().position(|word| *word == "d") {
            words[unit - 1] = "N";
        }
        words.join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
