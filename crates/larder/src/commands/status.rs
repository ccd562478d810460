//! `status`, `changes`, `failures`, `history`.

use std::process::ExitCode;

use clap::Args;
use larder_runs::classify::SUCCESS;
use larder_runs::name::{PackageName, RunId};
use larder_runs::status_index::{self, StatusIndex, Totals};
use larder_runs::{DataDir, history};
use serde_json::{Value, json};

use super::runs::{Data, ago, event, report};
use super::{App, FAILED};
use crate::table::{Cell, Table, Tone, sparkline};

/// Show where every package stands
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    data: Data,
    /// Only packages with a build that fails
    #[arg(long)]
    failing: bool,
}

/// Runs `larder status`.
pub fn status(app: &App, arguments: &Status) -> ExitCode {
    report(app, &arguments.data, |data| {
        let index = status_index::current(data)?;
        app.ui.event_json(&overview(&index));
        for line in describe(&index) {
            app.ui.result(&line);
        }
        let mut table = Table::new(["PACKAGE", "BLESSED", "OTHERS", "RECENT", "FAILING FOR", ""]);
        for (name, package) in &index.packages {
            let failure = package.failures.first();
            if arguments.failing && failure.is_none() {
                continue;
            }
            if app.ui.json() {
                let mut object = event("package", package);
                object["package"] = name.as_str().into();
                // By what a changed history is known: nobody else's business.
                object.as_object_mut().map(|object| object.remove("file"));
                app.ui.event_json(&object);
                continue;
            }
            let blessed = match &package.blessed {
                Some(ending) => Cell::outcome(&ending.0, ending.0 == SUCCESS),
                None => Cell::new("-", Tone::Faint),
            };
            let failing = package.failures.iter().filter(|failure| !failure.blessed).count() as u64;
            let others: u64 = package.others.iter().map(|count| count.2).sum();
            let flaky = if package.flaky.is_empty() { "" } else { "flaky " };
            table.row([
                name.as_str().into(),
                blessed,
                match others {
                    0 => Cell::new("-", Tone::Faint),
                    _ => Cell::outcome(format!("{}/{others}", others - failing), failing == 0),
                },
                Cell::outcome(sparkline(&package.recent), package.recent.ends_with('+')),
                failure.map_or(String::new(), |failure| ago(&failure.since)).into(),
                format!("{flaky}{}", failure.map_or("", |failure| &failure.category)).into(),
            ]);
        }
        table.print(&app.ui);
        Ok(ExitCode::SUCCESS)
    })
}

/// The index without its packages.
fn overview(index: &StatusIndex) -> Value {
    let flaky: Vec<_> = index.flaky().map(|(name, _)| name).collect();
    json!({
        "event": "status",
        "runId": index.run_id,
        "since": index.since,
        "blessed": index.blessed,
        "other": index.other,
        "packages": index.packages.len(),
        "changes": index.changes.len(),
        "newPackages": index.new_packages,
        "vanishedPackages": index.vanished_packages,
        "flakyPackages": flaky,
        "brokenLines": index.broken_lines,
    })
}

fn describe(index: &StatusIndex) -> Vec<String> {
    let run = index.run_id.as_deref().unwrap_or("none yet");
    let mut lines = vec![
        format!("run      {run}"),
        format!("blessed  {}", totals(&index.blessed)),
        format!("other    {}", totals(&index.other)),
    ];
    if let Some(since) = &index.since {
        let recovered = index.changes.iter().filter(|change| change.is_recovery()).count();
        let broken = index.changes.len() - recovered;
        let (new, gone) = (index.new_packages.len(), index.vanished_packages.len());
        lines.push(format!(
            "changes  {broken} broken, {recovered} working again, {new} new, {gone} gone since {since}"
        ));
    }
    if index.broken_lines > 0 {
        lines.push(format!("skipped  {} history lines that cannot be read", index.broken_lines));
    }
    lines.push(String::new());
    lines
}

fn totals(totals: &Totals) -> String {
    let mut text = format!("{} of {} work", totals.status(SUCCESS), totals.total);
    let failing = totals.by_category.iter().filter(|(category, _)| *category != SUCCESS);
    let failing: Vec<String> =
        failing.map(|(category, count)| format!("{count} {category}")).collect();
    if !failing.is_empty() {
        text += &format!(" ({})", failing.join(", "));
    }
    text
}

/// Show what broke, recovered, appeared and vanished
#[derive(Args)]
pub struct Changes {
    #[command(flatten)]
    data: Data,
    /// Since the end of this run; else since the run before the newest
    #[arg(long, value_name = "RUN")]
    since: Option<RunId>,
}

/// Runs `larder changes`.
pub fn changes(app: &App, arguments: &Changes) -> ExitCode {
    report(app, &arguments.data, |data| {
        let mut index = status_index::current(data)?;
        if let Some(since) = &arguments.since {
            status_index::compare(&data.packages(), &mut index, since.to_string());
        }
        let mut table = Table::new(["PACKAGE", "", "FROM", "TO", "CATEGORY", "BUILD"]);
        for change in &index.changes {
            app.ui.event_json(&event("change", change));
            let good = change.is_recovery();
            table.row([
                change.package.as_str().into(),
                if change.blessed { "blessed" } else { "" }.into(),
                Cell::outcome(&change.from_status, !good),
                Cell::outcome(&change.to_status, good),
                change.category.as_str().into(),
                short(&change.build_hash).into(),
            ]);
        }
        table.print(&app.ui);
        for (kind, word, names) in [
            ("newPackage", "new", &index.new_packages),
            ("vanishedPackage", "gone", &index.vanished_packages),
        ] {
            for name in names {
                app.ui.event_json(&json!({ "event": kind, "package": name }));
                app.ui.result(&format!("{word} {name}"));
            }
        }
        let nothing = index.changes.is_empty()
            && index.new_packages.is_empty()
            && index.vanished_packages.is_empty();
        match &index.since {
            Some(since) if nothing => app.ui.status(&format!("nothing changed since {since}")),
            Some(_) => {}
            None => app.ui.status("there is no run before to compare with"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The first characters of a hash: enough for people.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// List the builds that fail, blessed ones first
#[derive(Args)]
pub struct Failures {
    #[command(flatten)]
    data: Data,
    /// Only of this category, such as build_failure
    #[arg(long, value_name = "C")]
    category: Option<String>,
    /// Only blessed builds
    #[arg(long)]
    blessed: bool,
}

/// Runs `larder failures`.
pub fn failures(app: &App, arguments: &Failures) -> ExitCode {
    report(app, &arguments.data, |data| {
        let index = status_index::current(data)?;
        let category = arguments.category.as_ref().map(|category| category.replace('-', "_"));
        let mut table =
            Table::new(["PACKAGE", "", "CATEGORY", "FOR", "SINCE RUN", "TIMES", "ERROR"]);
        for (package, failing) in index.failures() {
            if category.as_ref().is_some_and(|wanted| *wanted != failing.category.replace('-', "_"))
                || (arguments.blessed && !failing.blessed)
            {
                continue;
            }
            let mut object = event("failure", failing);
            object["package"] = package.into();
            app.ui.event_json(&object);
            let dependency = failing.failed_dep.as_ref().map(|dep| format!("{dep} failed"));
            table.row([
                package.into(),
                if failing.blessed { "blessed" } else { "" }.into(),
                failing.category.as_str().into(),
                ago(&failing.since).into(),
                failing.since_run.as_str().into(),
                failing.times.to_string().into(),
                failing.error.clone().or(dependency).unwrap_or_default().into(),
            ]);
        }
        table.print(&app.ui);
        Ok(ExitCode::SUCCESS)
    })
}

/// Show every build of a package, oldest first
#[derive(Args)]
pub struct History {
    #[command(flatten)]
    data: Data,
    /// The package, <name>.<version>
    #[arg(value_name = "PKG")]
    package: PackageName,
    /// Only the last of each build
    #[arg(long)]
    latest: bool,
    /// Only the last so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

/// Runs `larder history`.
pub fn history(app: &App, arguments: &History) -> ExitCode {
    report(app, &arguments.data, |data| {
        let packages = data.packages();
        if !history::exists(&packages, &arguments.package)? {
            app.ui.error(&format!("there is no history of {}", arguments.package));
            suggest(app, data, &arguments.package)?;
            return Ok(ExitCode::from(FAILED));
        }
        let (entries, broken) = match arguments.latest {
            true => (history::read_latest(&packages, &arguments.package)?, 0),
            false => {
                let history = history::read(&packages, &arguments.package)?;
                (history.entries, history.broken)
            }
        };
        let mut table = Table::new(["WHEN", "RUN", "BUILD", "", "CATEGORY", "COMPILER", "ERROR"]);
        let first = entries.len().saturating_sub(arguments.limit.unwrap_or(usize::MAX));
        for entry in entries.iter().skip(first) {
            app.ui.event_json(&event("entry", entry));
            table.row([
                entry.ts.as_str().into(),
                entry.run.as_str().into(),
                short(&entry.build_hash).into(),
                if entry.blessed { "blessed" } else { "" }.into(),
                Cell::outcome(&entry.category, entry.is_success()),
                entry.compiler.as_str().into(),
                entry.error.as_deref().unwrap_or_default().into(),
            ]);
        }
        table.print(&app.ui);
        if broken > 0 {
            app.ui.status(&format!("{broken} lines that cannot be read were skipped"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Says which versions of a package there are.
fn suggest(app: &App, data: &DataDir, wanted: &PackageName) -> larder_runs::Result<()> {
    let mut known = history::packages(&data.packages())?;
    known.retain(|package| package.name() == wanted.name());
    if !known.is_empty() {
        let known: Vec<&str> = known.iter().map(PackageName::as_str).collect();
        app.ui.status(&format!("there are {}", known.join(", ")));
    }
    Ok(())
}
