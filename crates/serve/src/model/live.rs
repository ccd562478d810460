//! A run that goes on.

use std::{collections::BTreeMap, time::SystemTime};

use larder_runs::{
    history,
    name::{PackageName, RunId},
    progress::Progress,
    result::{Entry, RunKind, Stage},
    run_log::{self, Log},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::site::{RunFacts, View};

/// A run that goes on.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// The run.
    pub run_id: RunId,
    /// Its kind.
    pub kind: RunKind,
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// How far it has come.
    pub progress: Option<Progress>,
    /// The packages that are worked on.
    pub packages: Vec<Working>,
    /// The last results that failed by themselves, newest first: at most ten.
    pub failures: Vec<Entry>,
}

/// A package that is worked on.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Working {
    /// The package.
    pub package: String,
    /// The compiler, where run data tell with which it is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<PackageName>,
    /// The stage, where its log says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// For how long, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// How long it took the last time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<u64>,
    /// Its log, from the run's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A run that goes on, with what it works on.
pub fn of(view: &View<'_>, run: &RunFacts) -> Live {
    let names = run.progress.iter().flat_map(|progress| &progress.running);
    // A package that is built several times at once is there as often, each with a log of its own.
    let mut growing: BTreeMap<&str, Vec<Log>> = BTreeMap::new();
    let packages = names.map(|name| {
        let logs = growing.entry(name).or_insert_with(|| growing_logs(view, run, name));
        working(view, run, name, logs.pop())
    });
    let packages = packages.collect();
    Live {
        run_id: run.run_id.clone(),
        kind: run.kind,
        start: run.start.clone(),
        progress: run.progress.clone(),
        packages,
        failures: last_failures(view, &run.run_id),
    }
}

/// How many failures are told, and in how much of the end of the results they are looked for, in bytes.
const FAILURES: usize = 10;
const END: u64 = 256 << 10;

/// The last results of a run that failed by themselves, newest first.
fn last_failures(view: &View<'_>, run: &RunId) -> Vec<Entry> {
    let results = run_log::last_results(&view.ecosystem.data.runs().join(run.as_str()), END);
    let own = |entry: &Entry| !entry.result.is_success() && entry.result.root_failures.is_empty();
    let results = results.unwrap_or_default().into_iter().rev();
    results.filter(own).take(FAILURES).collect()
}

/// The logs of a package that grow, the newest last.
fn growing_logs(view: &View<'_>, run: &RunFacts, name: &str) -> Vec<Log> {
    let Ok(package) = name.parse::<PackageName>() else { return Vec::new() };
    let runs = view.ecosystem.data.runs();
    let grows =
        |log: &Log| run_log::open_log(&runs, log).is_ok_and(|file| run_log::is_growing(&file));
    let mut logs = run_log::find_logs(&runs, &run.run_id, &package).unwrap_or_default();
    logs.retain(grows);
    logs
}

/// The compiler that a build of a run is made with.
fn compiler_of(view: &View<'_>, run: &RunFacts, log: &Log) -> Option<PackageName> {
    let hash = log.name.build_hash.as_ref()?;
    let graph = view.snapshot.graph(&view.ecosystem.data, &run.run_id)?;
    graph.builds.iter().find(|node| node.build_hash == *hash).map(|node| node.compiler.clone())
}

fn working(view: &View<'_>, run: &RunFacts, name: &str, log: Option<Log>) -> Working {
    let mut found = Working {
        package: name.to_owned(),
        compiler: None,
        stage: None,
        age_seconds: None,
        expected_seconds: None,
        log: None,
    };
    let Some(log) = log else { return found };
    let package = &log.name.package;
    found.compiler = compiler_of(view, run, &log);
    let begun = run_log::open_log(&view.ecosystem.data.runs(), &log).map(|file| {
        let created = file.metadata().and_then(|meta| meta.created());
        created.ok()
    });
    found.stage = Some(log.name.stage);
    found.log = Some(log.path.clone());
    found.age_seconds = begun
        .ok()
        .flatten()
        .and_then(|begun| SystemTime::now().duration_since(begun).ok().map(|age| age.as_secs()));
    let packages = view.ecosystem.data.packages();
    let of_stage = |entry: &Entry| entry.result.stage == log.name.stage;
    let was_done = |entry: &Entry| of_stage(entry) && entry.result.wall_ms.is_some();
    let done = history::read_latest_that(&packages, package, was_done).unwrap_or_default();
    let took = done.last().and_then(|entry| entry.result.wall_ms);
    found.expected_seconds = took.map(|milliseconds| milliseconds.div_ceil(1_000));
    found
}
