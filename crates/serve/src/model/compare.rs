//! Two runs beside each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_runs::{
    name::RunId,
    result::{Entry, Stage, StageResult},
    run_log,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{NoPage, Result, run::Seen};
use crate::site::{RunFacts, View};

/// Two runs beside each other.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compare {
    /// What was.
    pub base: Arc<RunFacts>,
    /// What is.
    pub candidate: Arc<RunFacts>,
    /// How many rows there are of each change; `total` is their sum.
    pub counts: Counts,
    /// Every stage of a package with a compiler, in which the runs differ or that still fails: what is new and fails
    /// first, then what still fails, then what works again.
    pub rows: Vec<Row>,
    /// The command that tries what fails now once more.
    pub reproduce: Option<String>,
}

/// How many stages of packages, with each compiler, have changed how.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All that either run has.
    pub total: usize,
    /// Those that fail now and did not.
    pub new_failures: usize,
    /// Those that still fail.
    pub still_failing: usize,
    /// Those that work and did not.
    pub fixed: usize,
    /// Those that only the candidate has, and that work.
    pub added: usize,
    /// Those that only the base has.
    pub removed: usize,
    /// Those that work in both.
    pub same: usize,
}

/// The change of a stage of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It fails now and did not, or was not there.
    NewFailure,
    /// It still fails.
    StillFailing,
    /// It works and did not.
    Fixed,
    /// It is new and works.
    Added,
    /// It is gone.
    Removed,
    /// It works in both.
    Same,
}

impl Change {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Change::NewFailure => "new failure",
            Change::StillFailing => "still failing",
            Change::Fixed => "fixed",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Same => "same",
        }
    }

    fn of(base: Option<&StageResult>, candidate: Option<&StageResult>) -> Self {
        match (base.map(StageResult::is_success), candidate.map(StageResult::is_success)) {
            (Some(false), Some(false)) => Change::StillFailing,
            (_, Some(false)) => Change::NewFailure,
            (Some(false), Some(true)) => Change::Fixed,
            (Some(true), Some(true)) => Change::Same,
            (None, _) => Change::Added,
            (Some(_), None) => Change::Removed,
        }
    }
}

/// A stage of a package with a compiler, in both runs.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `<name>.<version>`.
    pub package: String,
    /// The stage.
    pub stage: Stage,
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// What has changed.
    pub change: Change,
    /// The result that was.
    pub base: Option<Entry>,
    /// The result that is.
    pub candidate: Option<Entry>,
    /// The log that shows how it fails now, which an earlier run may have.
    pub seen: Option<Seen>,
    /// How many packages it alone blocks now.
    pub unblocks_packages: u64,
    /// Those who maintain the package, by the names that stand in addresses.
    pub maintainers: Vec<String>,
}

impl Compare {
    /// Two runs that are kept.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where one of them is not.
    pub fn of(view: &View<'_>, base: &RunId, candidate: &RunId) -> Result<Self> {
        let run = |id: &RunId| {
            let facts = view.snapshot.run(id).cloned();
            facts.ok_or_else(|| NoPage::Missing(format!("there is no run {id}")))
        };
        let (base, candidate) = (run(base)?, run(candidate)?);
        let mut pairs: BTreeMap<(String, Stage, String), [Option<Entry>; 2]> = BTreeMap::new();
        for (side, facts) in [&base, &candidate].into_iter().enumerate() {
            let directory = view.ecosystem.data.runs().join(facts.run_id.as_str());
            for entry in run_log::last_attempts(&run_log::read_results(&directory)?) {
                let result = &entry.result;
                let compiler = result.compiler.as_ref().map_or("", |it| it.as_str()).to_owned();
                let key = (result.package.to_string(), result.stage, compiler);
                let place = &mut pairs.entry(key).or_default()[side];
                // Of several builds of a package, the one that counts first.
                if place.as_ref().is_none_or(|other| !other.result.blessed) {
                    *place = Some(entry.clone());
                }
            }
        }
        let mut counts = Counts { total: pairs.len(), ..Counts::default() };
        let mut rows = Vec::new();
        for ((package, stage, compiler), [before, after]) in pairs {
            let result = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.result.clone());
            let change = Change::of(result(&before).as_ref(), result(&after).as_ref());
            *counts.of(change) += 1;
            if change != Change::Same {
                let unblocks_packages = view.snapshot.unblocks(&package);
                let fails = after.as_ref().filter(|entry| !entry.result.is_success());
                let seen = fails.and_then(|entry| Seen::of(view, entry));
                let (base, candidate) = (before, after);
                let people = view.ecosystem.people.of(&package).into_iter();
                let maintainers = people.map(|person| person.slug).collect();
                rows.push(Row {
                    package,
                    stage,
                    compiler,
                    change,
                    base,
                    candidate,
                    seen,
                    unblocks_packages,
                    maintainers,
                });
            }
        }
        rows.sort_by_key(|row| (row.change, std::cmp::Reverse(row.unblocks_packages)));
        let mut failing: Vec<&str> = rows
            .iter()
            .filter(|row| row.change == Change::NewFailure)
            .filter(|row| {
                row.candidate.as_ref().is_some_and(|it| it.result.root_failures.is_empty())
            })
            .map(|row| row.package.as_str())
            .collect();
        failing.dedup();
        let reproduce =
            (!failing.is_empty()).then(|| format!("larder rerun {}", failing.join(" ")));
        Ok(Self { base, candidate, counts, rows, reproduce })
    }
}

impl Counts {
    fn of(&mut self, change: Change) -> &mut usize {
        match change {
            Change::NewFailure => &mut self.new_failures,
            Change::StillFailing => &mut self.still_failing,
            Change::Fixed => &mut self.fixed,
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
            Change::Same => &mut self.same,
        }
    }
}
