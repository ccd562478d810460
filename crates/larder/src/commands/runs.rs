//! `runs`.

use clap::{Args, Subcommand};
use larder_runs::DataDir;
use larder_runs::progress::Progress;
use larder_runs::run_log::{self, Log, Packages, RunRecord, RunState, Scope, Summary};
use serde_json::json;

use super::App;
use super::records::{Data, Which, event, plural};
use crate::exit::{Exit, Failure};
use crate::table::{Cell, Table, Tone, age};

/// List the runs, or show one
#[derive(Args)]
pub struct Runs {
    #[command(flatten)]
    data: Data,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the runs, newest first; the default
    List {
        #[command(flatten)]
        data: Data,
        /// At most so many
        #[arg(short = 'n', long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one run: what came of it, or how far it is
    Show {
        #[command(flatten)]
        data: Data,
        /// The run's id, or `latest`
        #[arg(value_name = "ID")]
        run: Which,
    },
}

/// Runs `larder runs`.
pub fn runs(app: &App, arguments: &Runs) -> Result<Exit, Failure> {
    match &arguments.action {
        None => list(app, &arguments.data.open()?, None),
        Some(Action::List { data, limit }) => list(app, &data.or(&arguments.data).open()?, *limit),
        Some(Action::Show { data, run }) => show(app, &data.or(&arguments.data).open()?, run),
    }
}

fn list(app: &App, data: &DataDir, limit: Option<usize>) -> Result<Exit, Failure> {
    let heading = [
        "RUN", "STATE", "KIND", "TOOK", "PACKAGES", "WORK", "FAIL", "BLOCKED", "UNSOLVED", "PHASE",
    ];
    let spare = ["KIND", "TOOK", "UNSOLVED", "BLOCKED", "PACKAGES", "WORK"];
    let mut table = Table::new(heading).spare(&spare);
    let ids = run_log::run_ids(&data.runs())?;
    for id in ids.iter().rev().take(limit.unwrap_or(usize::MAX)) {
        let Some(run) = run_log::read_run(&data.runs(), id)? else { continue };
        app.ui.event_json(&event("run", &run));
        let packages = run.summary.as_ref().map(|summary| &summary.packages);
        let count = |count: fn(&Packages) -> u64| match packages {
            Some(packages) => count(packages).to_string(),
            None => String::new(),
        };
        let bad = |text: String| {
            let tone = if text.is_empty() || text == "0" { Tone::Plain } else { Tone::Bad };
            Cell::new(text, tone)
        };
        table.row([
            run.run_id.as_str().into(),
            state(run.state),
            run.kind().name().into(),
            run.summary.as_ref().map_or(String::new(), |summary| age(summary.seconds())).into(),
            count(|packages| packages.total).into(),
            count(|packages| packages.worked).into(),
            bad(count(|packages| packages.failed)),
            count(|packages| packages.blocked).into(),
            bad(count(|packages| packages.unsolved)),
            run.progress.as_ref().map_or(String::new(), phase).into(),
        ]);
    }
    table.print(&app.ui);
    if ids.is_empty() {
        app.ui.status("no runs yet");
    }
    Ok(Exit::Done)
}

fn phase(progress: &Progress) -> String {
    match progress.build_total {
        0 => progress.phase().to_string(),
        total => format!("{} {}/{total}", progress.phase(), progress.builds_completed),
    }
}

fn state(state: RunState) -> Cell {
    Cell::new(
        state.name(),
        match state {
            RunState::Running => Tone::Plain,
            RunState::Finished => Tone::Good,
            RunState::Interrupted | RunState::Died => Tone::Bad,
        },
    )
}

fn show(app: &App, data: &DataDir, run: &Which) -> Result<Exit, Failure> {
    let run = run.find(data)?;
    let runs_dir = data.runs();
    let logs = run_log::all_logs(&runs_dir, &run.run_id)?;
    let recorded = run_log::read_results(&runs_dir.join(run.run_id.as_str()))?;
    let with_result: std::collections::BTreeSet<&str> = recorded
        .iter()
        .filter_map(|entry| Some(entry.result.log.as_ref()?.path.as_str()))
        .collect();
    let without: Vec<&Log> =
        logs.iter().filter(|log| !with_result.contains(log.path.as_str())).collect();
    let mut object = event("run", &run);
    object["logs"] = json!(logs.iter().map(|log| &log.path).collect::<Vec<_>>());
    object["logsWithoutResult"] = json!(without.iter().map(|log| &log.path).collect::<Vec<_>>());
    object["results"] = recorded.len().into();
    app.ui.event_json(&object);

    let mut facts = Table::new(["", ""]);
    for (what, fact) in facts_of(&run) {
        facts.row([what.into(), fact]);
    }
    facts.row(["results".into(), recorded.len().to_string().into()]);
    let mut count = plural(logs.len() as u64, "log");
    if !without.is_empty() && run.info.as_ref().is_some_and(|info| info.schema_version > 1) {
        let why = match run.state {
            RunState::Running => "still being written",
            _ => "without a result: the run ended first",
        };
        count += &format!(", {} {why}", without.len());
    }
    facts.row(["logs".into(), count.into()]);
    facts.print(&app.ui);

    let mut table = Table::new(["FAILED", "CATEGORY", "BLOCKS", "ERROR"]).spare(&["BLOCKS"]);
    for failure in run.summary.iter().flat_map(|summary| &summary.failures) {
        table.row([
            failure.build.package.as_str().into(),
            failure.category.name().into(),
            failure.blocked_packages.to_string().into(),
            failure.error.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.print(&app.ui);
    Ok(Exit::Done)
}

/// The facts of a run, each with its name.
fn facts_of(run: &RunRecord) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![("run", run.run_id.as_str().into()), ("state", state(run.state))];
    if let Some(info) = &run.info {
        let plan = &info.plan;
        let scope = match &plan.scope {
            Scope::All => "everything".to_owned(),
            Scope::Packages(names) => names.join(" "),
        };
        facts.push(("kind", format!("{}, of {scope}", plan.kind).into()));
        facts.push(("started", info.start.as_str().into()));
        facts.push(("by", format!("process {} on {}", info.pid, info.host).into()));
        let compilers: Vec<&str> = plan.compilers.iter().map(|name| name.as_str()).collect();
        for (what, text) in [
            ("command", plan.command_line.join(" ")),
            ("set", plan.set_revision.clone().unwrap_or_default()),
            ("compilers", compilers.join(" ")),
            ("baseline", plan.baseline.as_ref().map_or(String::new(), ToString::to_string)),
            ("larder", plan.larder_version.clone().unwrap_or_default()),
        ] {
            if !text.is_empty() {
                facts.push((what, text.into()));
            }
        }
    }
    if let Some(summary) = &run.summary {
        let took = age(summary.seconds());
        facts.push(("ended", format!("{}, after {took}", summary.end).into()));
        facts.extend(numbers(summary));
    }
    if let Some(progress) = &run.progress {
        facts.push(("phase", phase(progress).into()));
        facts.push(("running", progress.running.join(" ").into()));
    }
    facts
}

/// The numbers of a run, each with its unit.
fn numbers(summary: &Summary) -> Vec<(&'static str, Cell)> {
    let list = |whole: u64, parts: &[(u64, &str)]| {
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() { whole.to_string() } else { format!("{whole}: {}", parts.join(", ")) }
    };
    let (packages, builds) = (&summary.packages, &summary.builds);
    let by_outcome = [
        (packages.worked, "work"),
        (packages.failed, "fail"),
        (packages.blocked, "blocked"),
        (packages.unsolved, "without a solution"),
        (packages.unreached, "not reached"),
    ];
    let by_origin = [
        (builds.built, "built"),
        (builds.cached, "cached"),
        (builds.restored, "restored"),
        (builds.skipped, "skipped"),
    ];
    let mut numbers = vec![
        ("packages", Cell::from(list(packages.total, &by_outcome))),
        ("builds", list(builds.total, &by_origin).into()),
    ];
    for (stage, counts) in &summary.stages {
        let parts = [(counts.worked, "work"), (counts.failed, "fail"), (counts.blocked, "blocked")];
        numbers.push((stage.name(), list(counts.total, &parts).into()));
    }
    numbers
}
