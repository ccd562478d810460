//! `status`, `changes`, `failures`, `history`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use larder_runs::history::{self, Entry};
use larder_runs::name::{PackageName, RunId};
use larder_runs::result::{Outcome, Stage};
use larder_runs::run_log::{self, RunState};
use larder_runs::status_index::{
    self, Failing, PackageStatus, Root, Roots, StageStatus, StatusIndex, Totals,
};
use larder_runs::{Category, DataDir, sanitise};
use serde_json::{Value, json};

use super::records::{Named, Which, ago, event, known_packages, nearest, plural, short};
use super::runs::{Data, report};
use super::{App, FAILED, WRONG};
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
pub fn status(app: &App, arguments: &Status) -> ExitCode {
    report(app, &arguments.data, |data| {
        let index = status_index::current(data)?;
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
        Ok(ExitCode::SUCCESS)
    })
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
        format!("{flaky}{}", failure.map_or(String::new(), kind)).into(),
    ]
}

/// The category of a failure, with its stage where that does not go without saying.
fn kind(failing: &Failing) -> String {
    match failing.stage {
        Stage::Solve | Stage::Build => failing.category.to_string(),
        stage => format!("{stage}: {}", failing.category),
    }
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
        let reached = match unfinished.packages_not_reached {
            0 => "it has reached every package".to_owned(),
            count => format!("{} it did not reach stand as before", plural(count, "package")),
        };
        let (run, state) = (&unfinished.run_id, &unfinished.state);
        let state = if state == "running" { "is running" } else { state.as_str() };
        let was = if state == "interrupted" { "was " } else { "" };
        lines.push(format!("note      run {run} {was}{state}: {reached}"));
    }
    if index.broken_lines > 0 {
        lines.push(format!("skipped   {} history lines that cannot be read", index.broken_lines));
    }
    lines.push(String::new());
    lines
}

fn packages(index: &StatusIndex) -> String {
    let numbers = &index.numbers;
    let mut text = format!("{} of {} work", numbers.worked_packages, numbers.packages);
    let parts: Vec<String> = [
        (numbers.failed_packages, "fail"),
        (numbers.blocked_packages, "blocked"),
        (numbers.unsolved_packages, "without a solution"),
        (numbers.unknown_packages, "never built"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
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

/// Show what broke, recovered, appeared and vanished
#[derive(Args)]
pub struct Changes {
    #[command(flatten)]
    data: Data,
    /// Since the end of this run, or of the `latest` that has ended; else since the full run before the
    /// last one
    #[arg(long, value_name = "RUN")]
    since: Option<Which>,
}

/// Runs `larder changes`.
pub fn changes(app: &App, arguments: &Changes) -> ExitCode {
    report(app, &arguments.data, |data| {
        let mut index = status_index::current(data)?;
        if let Some(since) = &arguments.since {
            let Some(since) = baseline(app, data, &index, since)? else {
                return Ok(ExitCode::from(WRONG));
            };
            status_index::compare(data, &mut index, since)?;
        }
        let mut table = Table::new(["PACKAGE", "", "STAGE", "FROM", "TO", "CATEGORY", "BUILD"])
            .spare(&["BUILD", "STAGE", "FROM", ""]);
        for change in &index.changes {
            app.ui.event_json(&event("change", change));
            let good = change.is_recovery();
            table.row([
                change.package.as_str().into(),
                if change.blessed { "blessed" } else { "" }.into(),
                change.stage.name().into(),
                Cell::outcome(change.from_status.name(), !good),
                Cell::outcome(change.to_status.name(), good),
                change.category.name().into(),
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
            None => app.ui.status("there is no full run before to compare with"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The run that changes are asked for since. `None` when nobody knows of it, which has been said.
fn baseline(
    app: &App,
    data: &DataDir,
    index: &StatusIndex,
    since: &Which,
) -> larder_runs::Result<Option<String>> {
    let mut known: BTreeSet<RunId> = run_log::run_ids(&data.runs())?.into_iter().collect();
    let id = match since {
        Which::Latest => {
            let ended = |id: &&RunId| {
                let run = run_log::read_run(&data.runs(), id).ok().flatten();
                run.is_some_and(|run| run.state != RunState::Running)
            };
            let latest = known.iter().rfind(ended).map(ToString::to_string);
            let latest = latest.or_else(|| index.run_id.clone());
            if latest.is_none() {
                app.ui.error("there is no run yet");
            }
            return Ok(latest);
        }
        Which::Id(id) => id,
    };
    let of_histories = index.packages.values().flat_map(|package| {
        [
            Some(&package.first_run),
            Some(&package.last_run),
            package.full_run.as_ref(),
            package.previous_run.as_ref(),
        ]
    });
    known.extend(of_histories.flatten().filter_map(|run| run.parse().ok()));
    if known.contains(id) {
        return Ok(Some(id.to_string()));
    }
    let before = known.range(..id).next_back().or_else(|| known.first());
    let hint = before.map_or(String::new(), |before| format!(": did you mean {before}?"));
    app.ui.error(&format!("there is no run {id}{hint}"));
    app.ui.status("`larder runs` lists them");
    Ok(None)
}

/// List what fails; what it blocks is only counted
#[derive(Args)]
pub struct Failures {
    #[command(flatten)]
    data: Data,
    /// Only of this category, such as build_failure
    #[arg(long, value_name = "C")]
    category: Option<String>,
    /// Only of this stage: solve, build, test, doc
    #[arg(long, value_name = "STAGE")]
    stage: Option<Stage>,
    /// Only blessed builds
    #[arg(long)]
    blessed: bool,
    /// What to mend first: packages that fail themselves, by how many others each one alone blocks
    #[arg(long)]
    roots: bool,
    /// Also list what is blocked, one by one
    #[arg(long, conflicts_with = "roots")]
    cascades: bool,
}

/// Runs `larder failures`.
pub fn failures(app: &App, arguments: &Failures) -> ExitCode {
    report(app, &arguments.data, |data| {
        let index = status_index::current(data)?;
        let category = match &arguments.category {
            Some(wanted) => match known_category(app, data, &index, wanted) {
                Some(category) => Some(category),
                None => return Ok(ExitCode::from(WRONG)),
            },
            None => None,
        };
        let wanted = |failing: &Failing| {
            category.as_ref().is_none_or(|category| *category == failing.category)
                && arguments.stage.is_none_or(|stage| stage == failing.stage)
                && (failing.blessed || !arguments.blessed)
        };
        let roots = index.roots();
        if arguments.roots {
            show_roots(app, &roots, wanted);
            return Ok(ExitCode::SUCCESS);
        }
        let cascades =
            arguments.cascades || category.as_ref() == Some(&Category::DependencyFailure);
        list_failures(app, &index, &roots, wanted, cascades);
        Ok(ExitCode::SUCCESS)
    })
}

fn list_failures(
    app: &App,
    index: &StatusIndex,
    roots: &Roots,
    wanted: impl Fn(&Failing) -> bool,
    cascades: bool,
) {
    let blocks: BTreeMap<&str, u64> =
        roots.roots.iter().map(|root| (root.package.as_str(), root.blocks_packages)).collect();
    let heading = ["PACKAGE", "", "CATEGORY", "FOR", "BLOCKS", "SINCE RUN", "TIMES", "ERROR"];
    let mut table = Table::new(heading).spare(&["SINCE RUN", "TIMES", "", "BLOCKS", "FOR"]);
    let mut folded = 0;
    for (package, failing) in index.failures() {
        if !wanted(failing) {
            continue;
        }
        let mut object = event("failure", failing);
        object["package"] = package.into();
        app.ui.event_json(&object);
        if failing.is_blocked() && !cascades {
            folded += 1;
            continue;
        }
        let blocks = match blocks.get(package) {
            Some(blocks) if *blocks > 0 && !failing.is_blocked() => blocks.to_string(),
            _ => String::new(),
        };
        let dependency = failing.failed_dep.as_ref().map(|dep| format!("{dep} failed"));
        table.row([
            package.into(),
            if failing.blessed { "blessed" } else { "" }.into(),
            kind(failing).into(),
            ago(&failing.since).into(),
            blocks.into(),
            failing.since_run.as_str().into(),
            failing.times.to_string().into(),
            failing.error.clone().or(dependency).unwrap_or_default().into(),
        ]);
    }
    table.print(&app.ui);
    if folded > 0 {
        let blocked = plural(folded, "blocked build");
        app.ui.result(&format!(
            "and {blocked} because of these: --roots says which blocks how many, --cascades lists them"
        ));
    }
}

/// Shows what to mend first, failures that are alike together.
fn show_roots(app: &App, roots: &Roots, wanted: impl Fn(&Failing) -> bool) {
    let shown = |root: &&&Root| root.failure().is_none_or(&wanted);
    let mut table = Table::new(["ROOT", "UNBLOCKS", "BLOCKS", "CATEGORY", "FOR", "ERROR"])
        .spare(&["FOR", "BLOCKS", "CATEGORY"]);
    for group in roots.groups() {
        let alike = group.roots.iter().filter(shown).count();
        for root in group.roots.iter().filter(shown) {
            let mut object = event("root", root);
            object["group"] = json!({
                "category": group.category,
                "error": group.error,
                "roots": group.roots.len(),
                "unblocksPackages": group.unblocks_packages,
            });
            app.ui.event_json(&object);
            let failure = root.failure();
            let error = match failure {
                Some(failing) => failing.error.clone().unwrap_or_default(),
                None => "works again: build what it blocks".to_owned(),
            };
            let alike = if alike > 1 { format!("[{alike} alike] ") } else { String::new() };
            table.row([
                root.package.as_str().into(),
                root.unblocks_packages.to_string().into(),
                root.blocks_packages.to_string().into(),
                failure.map_or("mended".to_owned(), kind).into(),
                failure.map_or(String::new(), |failing| ago(&failing.since)).into(),
                format!("{alike}{error}").into(),
            ]);
        }
    }
    table.print(&app.ui);
    app.ui.event_json(&json!({
        "event": "roots",
        "failingBuilds": roots.failing_builds,
        "ownBuilds": roots.own_builds,
        "blockedBuilds": roots.blocked_builds,
        "blockedPackages": roots.blocked_packages,
        "sharedPackages": roots.shared_packages,
    }));
    if let Some(first) = roots.roots.iter().find(|root| root.unblocks_packages > 0) {
        let count = plural(first.unblocks_packages, "package");
        app.ui.result(&format!("fixing {} unblocks {count}", first.package));
    }
    if roots.shared_packages > 0 {
        let shared = plural(roots.shared_packages, "package");
        app.ui.result(&format!("{shared} blocked by more than one of these"));
    }
}

/// The category that is asked for. `None` when there is none of this name, which has been said.
fn known_category(
    app: &App,
    data: &DataDir,
    index: &StatusIndex,
    wanted: &str,
) -> Option<Category> {
    let wanted = wanted.replace('-', "_");
    let mut known: BTreeSet<String> =
        Category::KNOWN.iter().map(|category| category.name().to_owned()).collect();
    known.extend(index.failures().iter().map(|(_, failing)| failing.category.to_string()));
    known.extend(Category::named_in(&data.rules()).iter().map(ToString::to_string));
    known.remove(Category::Success.name());
    let found = known.iter().find(|name| name.replace('-', "_") == wanted);
    if let Some(name) = found {
        return Some(Category::from(name.as_str()));
    }
    let hint = nearest(&wanted, known.iter().map(String::as_str))
        .map_or(String::new(), |near| format!(": did you mean {near}?"));
    app.ui.error(&format!("there is no category {wanted:?}{hint}"));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    app.ui.status(&format!("the categories are {}", known.join(", ")));
    None
}

/// Show every result of a package, oldest first
#[derive(Args)]
pub struct History {
    #[command(flatten)]
    data: Data,
    /// The package, <name>.<version>, or all versions of a <name>
    #[arg(value_name = "PKG")]
    package: Named,
    /// Only the last of each stage of each build
    #[arg(long)]
    latest: bool,
    /// Only the last so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

/// Runs `larder history`.
pub fn history(app: &App, arguments: &History) -> ExitCode {
    report(app, &arguments.data, |data| {
        let packages = known_packages(app, data, &arguments.package)?;
        if packages.is_empty() {
            return Ok(ExitCode::from(FAILED));
        }
        let (entries, broken) = entries(data, &packages, arguments.latest)?;
        let heading =
            ["WHEN", "PACKAGE", "STAGE", "CATEGORY", "", "BUILD", "RUN", "COMPILER", "ERROR"];
        let spare = ["COMPILER", "RUN", "BUILD", "", "STAGE"];
        let mut table = match packages.len() {
            1 => Table::new(heading).spare(&[&["PACKAGE"], &spare[..]].concat()),
            _ => Table::new(heading).spare(&spare),
        };
        let first = entries.len().saturating_sub(arguments.limit.unwrap_or(usize::MAX));
        for entry in entries.iter().skip(first) {
            app.ui.event_json(&event("entry", entry));
            let result = &entry.result;
            table.row([
                format!("{:.0}", result.end).into(),
                result.package.as_str().into(),
                result.stage.name().into(),
                Cell::outcome(result.category.name(), result.is_success()),
                if result.blessed { "blessed" } else { "" }.into(),
                result
                    .build_hash
                    .as_ref()
                    .map_or(String::new(), |hash| short(hash.as_str()))
                    .into(),
                entry.run.as_str().into(),
                result.compiler.as_ref().map_or("", PackageName::as_str).into(),
                result.error.as_deref().unwrap_or_default().into(),
            ]);
        }
        table.print(&app.ui);
        if broken > 0 {
            app.ui.status(&format!("{broken} lines that cannot be read were skipped"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The entries of several histories by time, and how many lines could not be read.
fn entries(
    data: &DataDir,
    packages: &[PackageName],
    latest: bool,
) -> larder_runs::Result<(Vec<Entry>, usize)> {
    let (mut entries, mut broken) = (Vec::new(), 0);
    for package in packages {
        if latest {
            entries.extend(history::read_latest(&data.packages(), package)?);
        } else {
            let history = history::read(&data.packages(), package)?;
            entries.extend(history.entries);
            broken += history.broken;
        }
    }
    if packages.len() > 1 {
        entries.sort_by_key(|entry| entry.result.end);
    }
    Ok((entries, broken))
}
