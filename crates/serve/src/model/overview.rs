//! How the ecosystem stands.

use std::collections::BTreeMap;

use larder_runs::{
    name::RunId,
    result::Stage,
    run_log::{Packages, RunState},
    status_index::{Change, Failing, Flaky, Numbers, Totals, Unfinished},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::live::{self, Live};
use crate::site::View;

/// How many runs a chart shows.
const CHART: usize = 30;

/// How many rows a list of the overview has; the page that it leads to has all.
const ROWS: usize = 12;

/// How the ecosystem stands.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The name of the set.
    pub name: Option<String>,
    /// The newest full run that a history has.
    pub full_run: Option<String>,
    /// The newest full run of the whole set, where it has not come to its end.
    pub unfinished: Option<Unfinished>,
    /// Numbers of packages; all but the dropped ones sum to `packages`.
    pub numbers: Numbers,
    /// By stage, the results that count first: each `total` is the sum of its statuses and of its categories.
    pub stages: BTreeMap<Stage, Totals>,
    /// All other builds and missing solutions.
    pub other_builds: Totals,
    /// The last full runs, oldest first.
    pub chart: Vec<Point>,
    /// The run that changes are relative to.
    pub since: Option<String>,
    /// Results that broke since, then results that recovered.
    pub changes: Vec<Change>,
    /// Packages that are new since.
    pub new_packages: Vec<String>,
    /// Packages that have left since.
    pub vanished_packages: Vec<String>,
    /// What to mend first: failures that are alike together, by how many packages each alone blocks.
    pub mend_first: Vec<Mend>,
    /// How many such groups there are in all.
    pub mend_groups: usize,
    /// What goes on now.
    pub running: Vec<Live>,
    /// Stages that work and fail by turns.
    pub flaky: Vec<Unsteady>,
    /// The failures that are oldest, one a package.
    pub oldest: Vec<Old>,
    /// History lines that could not be read.
    pub broken_lines: u64,
}

/// A full run in a chart.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The run.
    pub run_id: RunId,
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// Its packages.
    pub packages: Packages,
}

/// Roots that fail alike.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mend {
    /// The kind of failure.
    pub category: Option<String>,
    /// The error without names and numbers.
    pub error: String,
    /// How many packages these roots unblock, each mended alone.
    pub unblocks_packages: u64,
    /// The roots, with how many packages each alone blocks.
    pub roots: Vec<(String, u64)>,
}

/// A stage of a package that works and fails by turns.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsteady {
    /// The package.
    pub package: String,
    /// What is known of it.
    #[serde(flatten)]
    pub flaky: Flaky,
}

/// A failure that has lasted.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Old {
    /// The package.
    pub package: String,
    /// What fails.
    #[serde(flatten)]
    pub failing: Failing,
}

impl Overview {
    /// Puts it together.
    pub fn of(view: &View<'_>) -> Self {
        let status = &view.snapshot.status;
        let mut stages = BTreeMap::new();
        for (stage, totals) in [
            (Stage::Build, &status.blessed),
            (Stage::Test, &status.tests),
            (Stage::Doc, &status.docs),
        ] {
            stages.insert(stage, totals.clone());
        }
        let whole = view.snapshot.runs.iter().filter(|run| run.is_whole()).take(CHART);
        let point = |run: &std::sync::Arc<crate::site::RunFacts>| {
            let packages = run.packages.clone()?;
            Some(Point { run_id: run.run_id.clone(), start: run.start.clone(), packages })
        };
        let mut chart: Vec<Point> = whole.filter_map(point).collect();
        chart.reverse();
        let mut changes = status.changes.clone();
        changes.sort_by_key(|change| (change.is_recovery(), !change.blessed));
        let groups = view.snapshot.roots.groups();
        let mend_first = groups.iter().take(ROWS).map(|group| Mend {
            category: group.category.map(ToString::to_string),
            error: group.error.clone(),
            unblocks_packages: group.unblocks_packages,
            roots: group
                .roots
                .iter()
                .map(|root| (root.package.clone(), root.unblocks_packages))
                .collect(),
        });
        let mut flaky: Vec<Unsteady> = status
            .flaky()
            .map(|(package, flaky)| Unsteady { package: package.to_owned(), flaky: flaky.clone() })
            .collect();
        flaky.sort_by_key(|it| std::cmp::Reverse(it.flaky.transitions));
        let running = view.snapshot.runs.iter().filter(|run| run.state == RunState::Running);
        Self {
            name: view.ecosystem.name.clone(),
            full_run: status.full_run.clone(),
            unfinished: status.unfinished.clone(),
            numbers: status.numbers.clone(),
            stages,
            other_builds: status.other.clone(),
            chart,
            since: status.since.clone(),
            changes,
            new_packages: status.new_packages.clone(),
            vanished_packages: status.vanished_packages.clone(),
            mend_first: mend_first.collect(),
            mend_groups: groups.len(),
            running: running.map(|run| live::of(view, run)).collect(),
            flaky,
            oldest: oldest(view),
            broken_lines: status.broken_lines,
        }
    }
}

/// The own failures that have lasted longest.
fn oldest(view: &View<'_>) -> Vec<Old> {
    let of_package = view.snapshot.status.standing().filter_map(|(package, status)| {
        let own = status.failures.iter().filter(|failing| !failing.is_blocked());
        own.min_by(|a, b| a.since.cmp(&b.since)).map(|failing| (package, failing))
    });
    let mut all: Vec<(&str, &Failing)> = of_package.collect();
    all.sort_by(|a, b| (&a.1.since, a.0).cmp(&(&b.1.since, b.0)));
    let old = |(package, failing): &(&str, &Failing)| Old {
        package: (*package).to_owned(),
        failing: (*failing).clone(),
    };
    all.iter().take(ROWS).map(old).collect()
}
