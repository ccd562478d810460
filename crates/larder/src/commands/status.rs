//! `status`.

use clap::Args;
use larder_runs::result::Outcome;
use larder_runs::status_index::{self, PackageStatus, StageStatus, StatusIndex, Totals};
use larder_runs::{Category, sanitise};
use serde_json::{Value, json};

use super::App;
use super::records::{Data, ago, event, failure_kind, plural};
use crate::describe::counted;
use crate::exit::{Exit, Failure};
use crate::table::{Cell, Table, Tone, sparkline};

/// Show where every package stands
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    data: Data,
    /// Only packages with a build, a test or documentation that fails
    #[arg(long)]
    failing: bool,
}

/// Runs `larder status`.
pub fn status(app: &App, arguments: &Status) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let index = status_index::current(&data)?;
    app.ui.event_json(&overview(&index));
    for line in describe(&index) {
        app.ui.result(&sanitise::line(line));
    }
    let mut table = Table::new(["PACKAGE", "STATE", "OTHERS", "RECENT", "FAILING FOR", ""])
        .spare(&["RECENT", "OTHERS", "FAILING FOR"]);
    for (name, package) in &index.packages {
        if arguments.failing && (package.failures.is_empty() || package.dropped_by.is_some()) {
            continue;
        }
        if app.ui.json() {
            let mut object = event("package", package);
            object["package"] = name.as_str().into();
            // By what a changed history is known: nobody else's business.
            object.as_object_mut().map(|object| object.remove("file"));
            app.ui.event_json(&object);
        } else if package.dropped_by.is_none() {
            table.row(row(name, package));
        }
    }
    table.print(&app.ui);
    Ok(Exit::Done)
}

fn row(name: &str, package: &PackageStatus) -> [Cell; 6] {
    let failure = package.failures.first();
    let state = match package.state {
        Some(state) => Cell::outcome(state.name(), state == Outcome::Worked),
        None => Cell::new("-", Tone::Faint),
    };
    let all: u64 = package.others.iter().map(|count| count.2).sum();
    let others = StageStatus { blessed: None, others: package.others.clone() };
    let working = working(&others);
    let flaky = package
        .flaky
        .first()
        .map_or(String::new(), |flaky| format!("flaky {:.0}% ", flaky.rate() * 100.0));
    [
        name.into(),
        state,
        match all {
            0 => Cell::new("-", Tone::Faint),
            _ => Cell::outcome(format!("{working}/{all}"), working == all),
        },
        Cell::outcome(sparkline(&package.recent), package.recent.ends_with('+')),
        failure.map_or(String::new(), |failure| ago(&failure.since)).into(),
        format!("{flaky}{}", failure.map_or(String::new(), failure_kind)).into(),
    ]
}

/// How many of the results worked that do not count first.
fn working(status: &StageStatus) -> u64 {
    let worked = status.others.iter().filter(|count| count.1 == Category::Success);
    worked.map(|count| count.2).sum()
}

/// The index without its packages.
fn overview(index: &StatusIndex) -> Value {
    let flaky: Vec<_> = index.flaky().map(|(name, _)| name).collect();
    json!({
        "event": "status",
        "runId": index.run_id,
        "fullRun": index.full_run,
        "since": index.since,
        "unfinished": index.unfinished,
        "numbers": index.numbers,
        "blessed": index.blessed,
        "other": index.other,
        "tests": index.tests,
        "docs": index.docs,
        "packages": index.numbers.packages,
        "changes": index.changes.len(),
        "newPackages": index.new_packages,
        "vanishedPackages": index.vanished_packages,
        "flakyPackages": flaky,
        "brokenLines": index.broken_lines,
    })
}

fn describe(index: &StatusIndex) -> Vec<String> {
    let run = index.run_id.as_deref().unwrap_or("none yet");
    let mut lines = vec![format!("run       {run}"), format!("packages  {}", packages(index))];
    for (what, totals) in [
        ("blessed", &index.blessed),
        ("other", &index.other),
        ("tests", &index.tests),
        ("docs", &index.docs),
    ] {
        if totals.total > 0 {
            lines.push(format!("{what:<9} {}", describe_totals(totals)));
        }
    }
    if let Some(since) = &index.since {
        let recovered = index.changes.iter().filter(|change| change.is_recovery()).count();
        let broken = index.changes.len() - recovered;
        let (new, gone) = (index.new_packages.len(), index.vanished_packages.len());
        lines.push(format!(
            "changes   {broken} broken, {recovered} working again, {new} new, {gone} gone since {since}"
        ));
    }
    if let Some(unfinished) = &index.unfinished {
        let reached = unfinished.in_words();
        let (run, state) = (&unfinished.run_id, &unfinished.state);
        let state = if state == "running" { "is running" } else { state.as_str() };
        let was = if state == "interrupted" { "was " } else { "" };
        lines.push(format!("note      run {run} {was}{state}: {reached}"));
    }
    if index.broken_lines > 0 {
        let broken = plural(index.broken_lines, "history line");
        lines.push(format!("skipped   {broken} that cannot be read"));
    }
    lines.push(String::new());
    lines
}

fn packages(index: &StatusIndex) -> String {
    let numbers = &index.numbers;
    let mut text = format!("{} of {} work", numbers.worked_packages, numbers.packages);
    let parts = counted(&[
        (numbers.failed_packages, "fail"),
        (numbers.blocked_packages, "blocked"),
        (numbers.unsolved_packages, "without a solution"),
        (numbers.unknown_packages, "never built"),
    ]);
    if !parts.is_empty() {
        text += &format!(" ({})", parts.join(", "));
    }
    if numbers.dropped_packages > 0 {
        text += &format!("; {} dropped from the set", numbers.dropped_packages);
    }
    text
}

fn describe_totals(totals: &Totals) -> String {
    let mut text = format!("{} of {} work", totals.worked(), totals.total);
    let failing = totals.by_category.iter().filter(|(category, _)| **category != Category::Success);
    let failing: Vec<String> =
        failing.map(|(category, count)| format!("{count} {category}")).collect();
    if !failing.is_empty() {
        text += &format!(" ({})", failing.join(", "));
    }
    text
}
