//! The report of a run.

use std::{collections::BTreeMap, time::Duration};

use larder_runs::{
    DataDir,
    name::{HashName, PackageName},
    result::{Entry, Origin, Outcome as Ended, Stage},
    run_log::{self, RunRecord},
    status_index::Change,
};
use serde_json::json;

use super::{
    Report, Section,
    junit::{self, Attempt, Case, Failure, Outcome, Suite},
    tail,
};
use crate::describe;

/// A stage of a build, as a report lists it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'e> {
    compiler: Option<&'e PackageName>,
    package: &'e PackageName,
    stage: Stage,
    build: Option<&'e HashName>,
}

/// Returns the report of a run, with what it changed.
///
/// # Errors
/// When its results cannot be read.
pub fn report(data: &DataDir, run: &RunRecord, changes: &[Change]) -> larder_runs::Result<Report> {
    let directory = data.runs();
    let entries = run_log::read_results(&directory.join(run.run_id.as_str()))?;
    let mut attempts: BTreeMap<Key<'_>, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        let result = &entry.result;
        let key = Key {
            compiler: result.compiler.as_ref(),
            package: &result.package,
            stage: result.stage,
            build: result.build_hash.as_ref(),
        };
        attempts.entry(key).or_default().push(entry);
    }
    let tail = |entry: &Entry| match &entry.result.log {
        Some(log) => tail(&directory, &run.run_id, &log.path),
        None => String::new(),
    };
    let facts = describe::run::facts(run).into_iter();
    Ok(Report {
        title: format!("larder: {} run {}", run.kind(), run.run_id),
        outcome: match &run.summary {
            Some(summary) => describe::run::in_a_line(summary),
            None => format!("it is {}", run.state.name()),
        },
        facts: facts.map(|(name, fact)| (name.to_owned(), fact)).collect(),
        sections: [changed(changes), failed(run, &attempts, &tail), flaky(&attempts)]
            .into_iter()
            .filter(|section| !section.rows.is_empty())
            .collect(),
        suites: suites(&attempts, &tail),
        data: json!({
            "schemaVersion": 1,
            "report": "run",
            "run": run,
            "changes": changes,
            "results": entries,
        }),
    })
}

/// What changed, regressions first.
fn changed(changes: &[Change]) -> Section {
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by_key(|change| change.is_recovery());
    let row = |change: &&Change| {
        vec![
            change.package.clone(),
            change.stage.to_string(),
            change.from_status.name().to_owned(),
            change.to_status.name().to_owned(),
            change.category.to_string(),
        ]
    };
    Section {
        heading: "What changed".to_owned(),
        columns: vec!["package", "stage", "before", "now", "category"],
        rows: changes.iter().map(row).collect(),
        texts: Vec::new(),
    }
}

fn last<'e>(entries: &[&'e Entry]) -> &'e Entry {
    entries[entries.len() - 1]
}

/// What failed by itself, what blocks most first, with the ends of the logs.
fn failed(
    run: &RunRecord,
    attempts: &BTreeMap<Key<'_>, Vec<&Entry>>,
    tail: &dyn Fn(&Entry) -> String,
) -> Section {
    let failures = || run.summary.iter().flat_map(|summary| &summary.failures);
    let blocks = |entry: &Entry| {
        let result = &entry.result;
        let same = |failure: &&run_log::Failure| {
            failure.stage == result.stage
                && failure.build.package == result.package
                && failure.build.build_hash == result.build_hash
        };
        failures().find(same).map_or(0, |failure| failure.blocked_packages)
    };
    let entries = attempts.values().map(|entries| last(entries));
    let failed =
        entries.filter(|entry| matches!(entry.result.outcome(), Ended::Failed | Ended::Unsolved));
    let mut failed: Vec<(u64, &Entry)> = failed.map(|entry| (blocks(entry), entry)).collect();
    failed.sort_by_key(|(blocks, _)| std::cmp::Reverse(*blocks));
    let mut section = Section {
        heading: "What fails".to_owned(),
        columns: vec!["package", "compiler", "stage", "category", "blocks", "error"],
        ..Section::default()
    };
    for (blocks, entry) in failed {
        let result = &entry.result;
        let compiler = result.compiler.as_ref().map_or(String::new(), ToString::to_string);
        let log = tail(entry);
        if !log.is_empty() {
            section.texts.push((
                format!("{} of {} with {compiler}: end of the log", result.stage, result.package),
                log,
            ));
        }
        section.rows.push(vec![
            result.package.to_string(),
            compiler,
            result.stage.to_string(),
            result.category.to_string(),
            if blocks == 0 { String::new() } else { blocks.to_string() },
            result.error.clone().unwrap_or_default(),
        ]);
    }
    section
}

/// What worked after it had failed in the same run.
fn flaky(attempts: &BTreeMap<Key<'_>, Vec<&Entry>>) -> Section {
    let tried = attempts.values().filter(|entries| entries.len() > 1);
    let flaky = tried.filter(|entries| last(entries).result.is_success());
    let row = |entries: &Vec<&Entry>| {
        let result = &last(entries).result;
        vec![
            result.package.to_string(),
            result.compiler.as_ref().map_or(String::new(), ToString::to_string),
            result.stage.to_string(),
            entries.len().to_string(),
            entries[0].result.category.to_string(),
        ]
    };
    Section {
        heading: "What worked when it was tried again".to_owned(),
        columns: vec!["package", "compiler", "stage", "attempts", "first"],
        rows: flaky.map(row).collect(),
        texts: Vec::new(),
    }
}

/// A suite for each compiler, with a case for each stage of each build.
fn suites(
    attempts: &BTreeMap<Key<'_>, Vec<&Entry>>,
    tail: &dyn Fn(&Entry) -> String,
) -> Vec<Suite> {
    junit::suites(attempts.iter().map(|(key, entries)| {
        let suite = key.compiler.map_or("no compiler".to_owned(), ToString::to_string);
        let case = Case {
            name: key.stage.to_string(),
            class: key.package.to_string(),
            outcome: outcome(entries, tail),
        };
        (suite, case)
    }))
}

fn outcome(entries: &[&Entry], tail: &dyn Fn(&Entry) -> String) -> Outcome {
    let result = &last(entries).result;
    if result.outcome() == Ended::Blocked {
        let roots: Vec<&str> = result.root_failures.iter().map(|it| it.package.as_str()).collect();
        return Outcome::Skipped(format!("blocked by {}", roots.join(", ")));
    }
    let attempt = |entry: &&Entry| {
        let result = &entry.result;
        let failure = (!result.is_success()).then(|| Failure {
            kind: result.category.to_string(),
            message: result.error.clone().unwrap_or_default(),
        });
        let output = match failure {
            Some(_) => tail(entry),
            None => String::new(),
        };
        Attempt { failure, took: Duration::from_millis(result.wall_ms.unwrap_or(0)), output }
    };
    match result.origin {
        Origin::Cached => Outcome::Known(attempt(&last(entries))),
        _ => Outcome::Tried(entries.iter().map(attempt).collect()),
    }
}
