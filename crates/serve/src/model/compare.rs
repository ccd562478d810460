//! Two runs beside each other.

use std::{
    borrow::Borrow,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use larder_runs::{
    name::RunId,
    result::{Entry, Outcome, Stage},
    run_log::RunState,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    NoPage, Result, deciding,
    listed::{self, About, Aspect, Choices, Compared, Kind, Shown},
    run::Seen,
};
use crate::site::{Filter, RunFacts, View};

/// Two runs beside each other.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compare {
    /// What was.
    pub base: Arc<RunFacts>,
    /// What is.
    pub candidate: Arc<RunFacts>,
    /// How many results there are of each change; `total` is their sum.
    pub counts: Counts,
    /// The compilers that results are with: the columns.
    pub compilers: Vec<String>,
    /// How many stages of packages differ between the runs with some compiler, or still fail.
    pub total: usize,
    /// Which of them are shown.
    #[serde(flatten)]
    pub shown: Shown,
    /// Those of this page: what is new and fails first, then what still fails, then what works again.
    pub rows: Vec<Row>,
    /// By what one can filter, with the number of rows that each alone leaves.
    pub choices: Choices,
    /// The command that tries once more what is new and fails, of the rows that pass the filter.
    pub reproduce: Option<String>,
    /// The filter.
    #[serde(skip)]
    pub filter: Filter,
}

/// How many stages of packages, with each compiler, have changed how.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ComparedCounts")]
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
    /// Those of which one run says nothing: it did not come to them, or was not about them.
    pub unreached: usize,
}

/// The change of a stage of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ComparedChange")]
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
    /// One run says nothing of it: it did not come to it, or was not about it.
    Unreached,
}

impl Change {
    /// Those that are listed, what matters most first: all but what works in both, and what only one says something of.
    pub const LISTED: [Change; 5] =
        [Change::NewFailure, Change::StillFailing, Change::Fixed, Change::Added, Change::Removed];

    /// The word for it in addresses and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Change::NewFailure => "new-failure",
            Change::StillFailing => "still-failing",
            change => change.words(),
        }
    }

    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Change::NewFailure => "new failure",
            Change::StillFailing => "still failing",
            Change::Fixed => "fixed",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Same => "same",
            Change::Unreached => "unreached",
        }
    }

    /// The change from one result to the other; `whole` tells which of the runs says something of all that there was.
    fn of([base, candidate]: [Option<&Entry>; 2], whole: [bool; 2]) -> Self {
        let worked = |entry: Option<&Entry>| entry.map(|entry| entry.result.is_success());
        match (worked(base), worked(candidate)) {
            (None, _) if !whole[0] => Change::Unreached,
            (_, None) if !whole[1] => Change::Unreached,
            (Some(false), Some(false)) => Change::StillFailing,
            (_, Some(false)) => Change::NewFailure,
            (Some(false), Some(true)) => Change::Fixed,
            (Some(true), Some(true)) => Change::Same,
            (None, _) => Change::Added,
            (Some(_), None) => Change::Removed,
        }
    }
}

/// A stage of a package in both runs, with each compiler.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ComparedRow")]
pub struct Row<E = Entry> {
    /// `<name>.<version>`.
    pub package: String,
    /// The stage.
    pub stage: Stage,
    /// What has changed: what matters most of its cells.
    pub change: Change,
    /// One for each compiler with which one of the runs has a result.
    pub cells: Vec<Cell<E>>,
    /// Whether the package comes to something else with another compiler, in one of the runs.
    pub differs: bool,
    /// What else is known of it.
    #[serde(flatten)]
    pub about: About,
}

/// A stage of a package with a compiler in both runs.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ComparedCell")]
pub struct Cell<E = Entry> {
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// What has changed.
    pub change: Change,
    /// The result that was.
    pub base: Option<E>,
    /// The result that is.
    pub candidate: Option<E>,
    /// The log that shows how it fails now, which an earlier run may have.
    pub seen: Option<Seen>,
}

impl<E: Borrow<Entry>> Cell<E> {
    /// The failure that there is to be read about: what fails now, or did before.
    pub fn failure(&self) -> Option<&Entry> {
        let sides = [&self.candidate, &self.base].into_iter().flatten();
        sides.map(Borrow::borrow).find(|entry: &&Entry| !entry.result.is_success())
    }

    fn outcomes(&self) -> [Option<Outcome>; 2] {
        [&self.base, &self.candidate]
            .map(|side| side.as_ref().map(|entry| entry.borrow().result.outcome()))
    }
}

impl Compared for Row<&Entry> {
    fn package(&self) -> &str {
        &self.package
    }

    fn aspects(&self) -> impl Iterator<Item = Aspect<'_>> {
        self.cells.iter().filter(|cell| Change::LISTED.contains(&cell.change)).map(|cell| {
            let failure = cell.failure().map(|entry| &entry.result);
            Aspect {
                compiler: &cell.compiler,
                kind: Kind::Change(cell.change),
                categories: failure.iter().map(|it| it.category.to_string()).collect(),
                errors: failure.and_then(|it| it.error.as_deref()).into_iter().collect(),
            }
        })
    }

    fn differs(&self) -> bool {
        self.differs
    }

    fn about(&self) -> &About {
        &self.about
    }
}

impl Row<&Entry> {
    /// The same for itself, with its logs.
    fn with_logs(self, view: &View<'_>) -> Row {
        let cells = self.cells.into_iter().map(|cell| {
            let fails = cell.candidate.filter(|entry| !entry.result.is_success());
            Cell {
                seen: fails.and_then(|entry| Seen::of(view, entry)),
                compiler: cell.compiler,
                change: cell.change,
                base: cell.base.cloned(),
                candidate: cell.candidate.cloned(),
            }
        });
        let Self { package, stage, change, differs, about, .. } = self;
        Row { package, stage, change, cells: cells.collect(), differs, about }
    }
}

/// The results of both runs: by package, stage and compiler those of all builds.
type Pairs<'e> = BTreeMap<&'e str, BTreeMap<Stage, BTreeMap<&'e str, [Vec<&'e Entry>; 2]>>>;

impl Compare {
    /// Two runs that are kept.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where one of them is not.
    pub fn of(view: &View<'_>, base: &RunId, candidate: &RunId, filter: &Filter) -> Result<Self> {
        let run = |id: &RunId| {
            let facts = view.snapshot.run(id).cloned();
            facts.ok_or_else(|| NoPage::Missing(format!("there is no run {id}")))
        };
        let (base, candidate) = (run(base)?, run(candidate)?);
        let data = &view.ecosystem.data;
        let results = [
            view.snapshot.results(data, &base.run_id)?,
            view.snapshot.results(data, &candidate.run_id)?,
        ];
        let pairs = pairs(&results);
        let whole =
            [&base, &candidate].map(|run| run.covers_the_set && run.state == RunState::Finished);
        let mut counts = Counts::default();
        let mut compilers = BTreeSet::new();
        let mut rows = Vec::new();
        for (package, stages) in &pairs {
            let with: BTreeSet<&str> = stages.values().flat_map(BTreeMap::keys).copied().collect();
            compilers.extend(with.iter().map(|compiler| (*compiler).to_owned()));
            for (stage, sides) in stages {
                let cells: Vec<Cell<&Entry>> =
                    sides.iter().map(|(compiler, sides)| cell(compiler, sides, whole)).collect();
                cells.iter().for_each(|cell| counts.add(cell.change));
                let change = cells.iter().map(|cell| cell.change).min();
                let Some(change) = change.filter(|change| Change::LISTED.contains(change)) else {
                    continue;
                };
                let first = cells[0].outcomes();
                // Where there is a result with one alone, the others came to another stage, or to nothing.
                let differs =
                    cells.len() < with.len() || cells.iter().any(|cell| cell.outcomes() != first);
                let about = About::of(view, package);
                let (package, stage) = ((*package).to_owned(), *stage);
                rows.push(Row { package, stage, change, cells, differs, about });
            }
        }
        rows.sort_by_key(|row| (row.change, Reverse(row.about.unblocks_packages)));
        let total = rows.len();
        let (rows, choices) = listed::choose(rows, filter);
        let reproduce = reproduce(&rows);
        let (shown, rows) = listed::page(rows, filter, view.whole_lists);
        let rows = rows.into_iter().map(|row| row.with_logs(view)).collect();
        Ok(Self {
            base,
            candidate,
            counts,
            compilers: compilers.into_iter().collect(),
            total,
            shown,
            rows,
            choices,
            reproduce,
            filter: filter.clone(),
        })
    }
}

/// The results of two runs beside each other.
fn pairs(results: &[Arc<Vec<Entry>>; 2]) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    for (side, entries) in results.iter().enumerate() {
        for entry in &**entries {
            let result = &entry.result;
            let compiler = result.compiler.as_ref().map_or("", |it| it.as_str());
            let stages = pairs.entry(result.package.as_str()).or_default();
            let sides = stages.entry(result.stage).or_default().entry(compiler).or_default();
            sides[side].push(entry);
        }
    }
    pairs
}

fn cell<'e>(compiler: &str, sides: &[Vec<&'e Entry>; 2], whole: [bool; 2]) -> Cell<&'e Entry> {
    let sides = [&sides[0], &sides[1]].map(|results| deciding(results.iter().copied()));
    let (change, [base, candidate]) = (Change::of(sides, whole), sides);
    Cell { compiler: compiler.to_owned(), change, base, candidate, seen: None }
}

/// The command that builds again what is new and fails itself.
fn reproduce(rows: &[Row<&Entry>]) -> Option<String> {
    let fails = |cell: &Cell<&Entry>| {
        let own = cell.candidate.is_some_and(|entry| entry.result.root_failures.is_empty());
        cell.change == Change::NewFailure && own
    };
    let failing = rows.iter().filter(|row| row.cells.iter().any(fails));
    let failing: BTreeSet<&str> = failing.map(|row| row.package.as_str()).collect();
    let failing: Vec<&str> = failing.into_iter().collect();
    (!failing.is_empty()).then(|| format!("larder rerun {}", failing.join(" ")))
}

impl Counts {
    fn add(&mut self, change: Change) {
        self.total += 1;
        *match change {
            Change::NewFailure => &mut self.new_failures,
            Change::StillFailing => &mut self.still_failing,
            Change::Fixed => &mut self.fixed,
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
            Change::Same => &mut self.same,
            Change::Unreached => &mut self.unreached,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_the_name_that_json_has() {
        for change in Change::LISTED {
            assert_eq!(serde_json::to_value(change).unwrap(), change.name());
        }
    }
}
