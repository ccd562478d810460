//! Runs: all of them, and one.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_runs::{
    comparison, history,
    name::RunId,
    result::{BuildRef, Entry, LogFile, RunKind},
    run_log::{self, RunState},
    status_index::normalised,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    NoPage, Result,
    live::{self, Live},
    verdicts::Comparison,
};
use crate::site::{Filter, RunFacts, View};

/// All runs that are kept.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// The runs, newest first.
    pub runs: Vec<Arc<RunFacts>>,
}

impl Runs {
    /// The runs, newest first.
    pub fn of(view: &View<'_>) -> Self {
        Self { runs: view.snapshot.runs.clone() }
    }
}

/// A run.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What is known of it.
    #[serde(flatten)]
    pub facts: Arc<RunFacts>,
    /// What it works on, while it goes on.
    pub live: Option<Live>,
    /// Its own failures, those that are alike together: most packages blocked first.
    pub failures: Vec<Alike>,
    /// How many results were blocked.
    pub blocked_results: usize,
    /// How many results it has recorded.
    pub results: usize,
    /// The full run before it, to compare with.
    pub before: Option<RunId>,
    /// What it found out, where it was a comparison, as far as it passes a filter.
    pub comparison: Option<Comparison>,
}

/// Failures that are alike.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alike {
    /// The kind.
    pub category: String,
    /// The error without names and numbers.
    pub error: String,
    /// How many packages they, perhaps with others, block.
    pub blocked_packages: usize,
    /// The results.
    pub results: Vec<Failed>,
}

/// A result that failed by itself.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The result.
    #[serde(flatten)]
    pub entry: Entry,
    /// The packages that it, perhaps with others, blocks.
    pub blocks: Vec<String>,
    /// The log that shows it, which an earlier run may have.
    pub seen: Option<Seen>,
}

/// A log in which a failure was seen. A run that believes an earlier failure has none of its own.
#[derive(Debug, Clone, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The run.
    pub run: RunId,
    /// The log.
    #[serde(flatten)]
    pub log: LogFile,
}

impl Seen {
    /// The log of a result: its own, or that of the last result of the same stage of the same build which has one.
    pub fn of(view: &View<'_>, entry: &Entry) -> Option<Self> {
        let seen = |entry: &Entry| {
            let log = entry.result.log.clone()?;
            Some(Self { run: entry.run.clone(), log })
        };
        let same = |other: &Entry| {
            let (a, b) = (&entry.result, &other.result);
            a.stage == b.stage && a.build_hash == b.build_hash && b.log.is_some()
        };
        seen(entry).or_else(|| {
            let packages = view.ecosystem.data.packages();
            let last = history::read_latest_that(&packages, &entry.result.package, same).ok()?;
            seen(last.last()?)
        })
    }
}

impl Run {
    /// A run that is kept. The filter is for the verdicts of a comparison.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where there is none.
    pub fn of(view: &View<'_>, id: &RunId, filter: &Filter) -> Result<Self> {
        let facts = view.snapshot.run(id).cloned();
        let facts = facts.ok_or_else(|| NoPage::Missing(format!("there is no run {id}")))?;
        let directory = view.ecosystem.data.runs().join(id.as_str());
        let recorded = run_log::read_results(&directory)?;
        let entries = run_log::last_attempts(&recorded);
        let results = entries.len();
        let mut blocks: BTreeMap<BuildRef, Vec<String>> = BTreeMap::new();
        let mut blocked_results = 0;
        for entry in &entries {
            if !entry.result.root_failures.is_empty() {
                blocked_results += 1;
            }
            for root in &entry.result.root_failures {
                let blocked = blocks.entry(root.clone()).or_default();
                blocked.push(entry.result.package.to_string());
            }
        }
        for blocked in blocks.values_mut() {
            blocked.sort_unstable();
            blocked.dedup();
        }
        let own =
            |entry: &Entry| !entry.result.is_success() && entry.result.root_failures.is_empty();
        let mut groups: BTreeMap<(String, String), Alike> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| own(entry)) {
            let category = entry.result.category.to_string();
            let error = normalised(entry.result.error.as_deref().unwrap_or_default());
            let group =
                groups.entry((category, error)).or_insert_with_key(|(category, error)| Alike {
                    category: category.clone(),
                    error: error.clone(),
                    blocked_packages: 0,
                    results: Vec::new(),
                });
            let blocks = blocks.get(&entry.result.build()).cloned().unwrap_or_default();
            let seen = Seen::of(view, entry);
            group.results.push(Failed { entry: entry.clone(), blocks, seen });
        }
        let mut failures: Vec<Alike> = groups.into_values().collect();
        for group in &mut failures {
            let mut blocked: Vec<&String> =
                group.results.iter().flat_map(|it| &it.blocks).collect();
            blocked.sort_unstable();
            blocked.dedup();
            group.blocked_packages = blocked.len();
        }
        failures.sort_by_key(|it| std::cmp::Reverse((it.blocked_packages, it.results.len())));
        let is_full = facts.kind == RunKind::Full;
        let older = view.snapshot.runs.iter().filter(|run| is_full && run.run_id < *id);
        let before = older.into_iter().find(|run| run.is_whole()).map(|run| run.run_id.clone());
        let live = (facts.state == RunState::Running).then(|| live::of(view, &facts));
        let found = comparison::read(&directory);
        let comparison = found.map(|found| Comparison::of(view, found, &facts, filter));
        Ok(Self { facts, live, failures, blocked_results, results, before, comparison })
    }
}
