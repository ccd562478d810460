//! The run data at one moment, put together so that pages are made quickly.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_runs::{
    DataDir, Result,
    gc::References,
    graph::{self, BuildGraph},
    name::{PackageName, RunId},
    progress::Progress,
    result::{Entry, RunKind},
    run_log::{self, Builds, Packages, RunRecord, RunState, Stages},
    status_index::{self, Roots, StatusIndex},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::recent::Recent;

/// How many runs are kept in mind, the newest.
const RUNS: usize = 200;

/// Of how many runs the graphs are kept, those that were asked for last.
const GRAPHS: usize = 16;

/// Of how many runs the results are kept: of both that are compared.
const RESULTS: usize = 2;

/// For how long one is taken for current at most: histories may be compacted, which changes no run.
const LASTS: Duration = Duration::from_secs(60);

/// The run data at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Where every package stands.
    pub status: StatusIndex,
    /// The failures by their roots.
    pub roots: Roots,
    /// By package: its place in `roots`.
    pub root_of: HashMap<String, usize>,
    /// The runs, newest first.
    pub runs: Vec<Arc<RunFacts>>,
    /// Who needs whom, as the newest run that says it has it.
    pub needs: Arc<Needs>,
    /// Graphs that were asked for, by their runs. None ever changes.
    graphs: Arc<Recent<RunId, BuildGraph>>,
    /// Results that were asked for, by their runs.
    results: Recent<RunId, Vec<Entry>>,
    /// The state of the files from which all this was made.
    mark: Mark,
    taken: Instant,
}

/// A run without what it lists by package.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFacts {
    /// Its id.
    pub run_id: RunId,
    /// Its state.
    pub state: RunState,
    /// Its kind.
    pub kind: RunKind,
    /// Whether it was about the whole set.
    pub covers_the_set: bool,
    /// When it started: RFC 3339, UTC; empty where it does not say.
    pub start: String,
    /// When it ended, where it has ended in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How long it took, in seconds, where it has ended in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The machine.
    pub host: String,
    /// The command as it was given.
    pub command_line: Vec<String>,
    /// The revision of the package set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_revision: Option<String>,
    /// The compilers' packages.
    pub compilers: Vec<PackageName>,
    /// The version of larder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larder_version: Option<String>,
    /// Its packages, once it has ended in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Packages>,
    /// Its builds, once it has ended in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builds: Option<Builds>,
    /// Its results by stage, once it has ended in order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<larder_runs::result::Stage, Stages>,
    /// How far it has come, or had when it died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl RunFacts {
    fn new(record: RunRecord) -> Self {
        let (kind, covers_the_set) = (record.kind(), record.covers_the_set());
        let RunRecord { run_id, state, info, summary, progress } = record;
        let info = info.as_ref();
        let plan = info.map(|info| &info.plan);
        Self {
            run_id,
            state,
            kind,
            covers_the_set,
            start: info.map(|info| info.start.clone()).unwrap_or_default(),
            host: info.map(|info| info.host.clone()).unwrap_or_default(),
            command_line: plan.map(|plan| plan.command_line.clone()).unwrap_or_default(),
            set_revision: plan.and_then(|plan| plan.set_revision.clone()),
            compilers: plan.map(|plan| plan.compilers.clone()).unwrap_or_default(),
            larder_version: plan.and_then(|plan| plan.larder_version.clone()),
            end: summary.as_ref().map(|summary| summary.end.clone()),
            seconds: summary.as_ref().map(|summary| summary.seconds()),
            packages: summary.as_ref().map(|summary| summary.packages.clone()),
            builds: summary.as_ref().map(|summary| summary.builds.clone()),
            stages: summary.map(|summary| summary.stages).unwrap_or_default(),
            progress,
        }
    }

    /// Whether it is a full run of the whole set that came to its end: those of which a chart is made.
    pub fn is_whole(&self) -> bool {
        self.kind == RunKind::Full && self.covers_the_set && self.state == RunState::Finished
    }
}

/// Who needs whom, package version by package version, in blessed builds.
#[derive(Debug, Default)]
pub struct Needs {
    name: Option<String>,
    /// By package: what it needs directly, sorted.
    pub needs: HashMap<String, Vec<String>>,
    /// By package: what needs it directly, sorted.
    pub users: HashMap<String, Vec<String>>,
}

impl Needs {
    /// What a package version needs directly.
    pub fn of(&self, package: &str) -> &[String] {
        self.needs.get(package).map_or(&[], Vec::as_slice)
    }

    /// What needs a package version directly.
    pub fn users_of(&self, package: &str) -> &[String] {
        self.users.get(package).map_or(&[], Vec::as_slice)
    }

    fn read(data: &DataDir, runs: &[Arc<RunFacts>], previous: Option<&Arc<Needs>>) -> Arc<Needs> {
        let of_set = runs.iter().filter(|run| run.kind != RunKind::Compare);
        let told =
            |run: &Arc<RunFacts>| References::read(&data.runs().join(run.run_id.as_str()))?.graph;
        let Some(name) = of_set.clone().find_map(told) else { return Arc::default() };
        if let Some(previous) = previous.filter(|it| it.name.as_deref() == Some(name.as_str())) {
            return previous.clone();
        }
        let mut found = Needs { name: Some(name.to_string()), ..Needs::default() };
        let builds = graph::read(data, &name).map(|graph| graph.builds).unwrap_or_default();
        for node in builds.iter().filter(|node| node.blessed) {
            let needed = node.needs.iter().filter_map(|&at| builds.get(at as usize));
            let mut needed: Vec<String> = needed.map(|it| it.package.to_string()).collect();
            needed.sort_unstable();
            needed.dedup();
            for need in &needed {
                let users = found.users.entry(need.clone()).or_default();
                users.push(node.package.to_string());
            }
            found.needs.insert(node.package.to_string(), needed);
        }
        for users in found.users.values_mut() {
            users.sort_unstable();
            users.dedup();
        }
        Arc::new(found)
    }
}

/// The state of files: whatever changes what is shown of them changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Vec<(String, i64, u64)>);

impl Mark {
    /// The state of the run data now: of the list of runs, and of the files of those that may not have ended. Every result
    /// is in one of these before it is in a history.
    pub fn of(data: &DataDir) -> Result<Self> {
        let runs = data.runs();
        let mut facts = Vec::new();
        let mut put = |name: String, path: &Path| {
            let meta = fs::metadata(path).ok();
            let time = meta.as_ref().map_or(0, |it| it.mtime() * 1_000_000_000 + it.mtime_nsec());
            facts.push((name, time, meta.map_or(0, |it| it.size())));
        };
        put("packages".to_owned(), &data.packages());
        for id in run_log::run_ids(&runs)?.iter().rev().take(RUNS) {
            let directory = runs.join(id.as_str());
            put(id.to_string(), &directory);
            for file in ["results.jsonl", "progress.json", "summary.json"] {
                put(format!("{id}/{file}"), &directory.join(file));
            }
        }
        Ok(Self(facts))
    }
}

impl Snapshot {
    /// Reads the run data. What `previous` has and has not changed since is not read again.
    ///
    /// # Errors
    /// When packages or runs cannot be listed.
    pub fn take(data: &DataDir, previous: Option<&Snapshot>) -> Result<Self> {
        // Before anything is read: what changes meanwhile is seen the next time.
        let (mark, taken) = (Mark::of(data)?, Instant::now());
        let status = match previous {
            Some(previous) => status_index::generate(data, Some(previous.status.clone()))?,
            None => status_index::current(data)?,
        };
        let runs = Self::read_runs(data, previous)?;
        let needs = Needs::read(data, &runs, previous.map(|it| &it.needs));
        let roots = status.roots();
        let places = roots.roots.iter().enumerate();
        let root_of = places.map(|(place, root)| (root.package.clone(), place)).collect();
        let graphs = previous.map(|it| it.graphs.clone());
        let graphs = graphs.unwrap_or_else(|| Arc::new(Recent::new(GRAPHS)));
        let results = Recent::new(RESULTS);
        Ok(Self { status, roots, root_of, runs, needs, graphs, results, mark, taken })
    }

    /// Whether everything still is as it was when it was taken: its files, and the runs that went on.
    pub fn is_current(&self, data: &DataDir) -> bool {
        let runs = data.runs();
        // One that is killed changes no file.
        let goes_on = |run: &Arc<RunFacts>| {
            let record = run_log::read_run(&runs, &run.run_id);
            matches!(record, Ok(Some(record)) if record.state == RunState::Running)
        };
        let mut running = self.runs.iter().filter(|run| run.state == RunState::Running);
        self.taken.elapsed() < LASTS
            && Mark::of(data).is_ok_and(|mark| mark == self.mark)
            && running.all(goes_on)
    }

    fn read_runs(data: &DataDir, previous: Option<&Snapshot>) -> Result<Vec<Arc<RunFacts>>> {
        let runs = data.runs();
        let known: HashMap<&str, &Arc<RunFacts>> = previous
            .iter()
            .flat_map(|previous| &previous.runs)
            // What has ended in order does not change.
            .filter(|run| matches!(run.state, RunState::Finished | RunState::Interrupted))
            .map(|run| (run.run_id.as_str(), run))
            .collect();
        let mut found = Vec::new();
        for id in run_log::run_ids(&runs)?.into_iter().rev().take(RUNS) {
            match known.get(id.as_str()) {
                Some(run) => found.push(Arc::clone(run)),
                None => {
                    let record = run_log::read_run(&runs, &id)?;
                    found.extend(record.map(|record| Arc::new(RunFacts::new(record))));
                }
            }
        }
        Ok(found)
    }

    /// A run.
    pub fn run(&self, id: &RunId) -> Option<&Arc<RunFacts>> {
        self.runs.iter().find(|run| run.run_id == *id)
    }

    /// Who needs whom in the solutions of a run; `None` where run data do not have it, or no longer.
    pub fn graph(&self, data: &DataDir, run: &RunId) -> Option<Arc<BuildGraph>> {
        let read = || {
            let name = References::read(&data.runs().join(run.as_str())).and_then(|it| it.graph);
            Ok::<_, std::convert::Infallible>(name.and_then(|name| graph::read(data, &name)))
        };
        self.graphs.get(run, read).unwrap_or_default()
    }

    /// The results of a run: of several attempts, the last.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn results(&self, data: &DataDir, run: &RunId) -> Result<Arc<Vec<Entry>>> {
        let read = || {
            let entries = run_log::read_results(&data.runs().join(run.as_str()))?;
            let last = run_log::last_attempts(&entries).into_iter().cloned().collect();
            Ok::<_, larder_runs::Error>(Some(last))
        };
        Ok(self.results.get(run, read)?.unwrap_or_default())
    }

    /// How many packages one alone blocks.
    pub fn unblocks(&self, package: &str) -> u64 {
        self.root_of.get(package).map_or(0, |&place| self.roots.roots[place].unblocks_packages)
    }
}
