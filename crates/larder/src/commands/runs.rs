//! `runs`.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use larder_runs::name::RunId;
use larder_runs::run_log::{self, Log, Packages, RunRecord, RunState};
use larder_runs::status_index;
use larder_runs::{DataDir, comparison};
use serde_json::json;

use super::App;
use super::records::{Data, Which, event, plural};
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::report::{Format, Report, of_comparison, of_run};
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
    /// Print the report of a run
    Report {
        #[command(flatten)]
        data: Data,
        /// The run's id, or `latest`
        #[arg(value_name = "ID", default_value = "latest")]
        run: Which,
        /// As markdown, json or junit
        #[arg(long, value_name = "FORMAT", default_value = "markdown")]
        format: Format,
    },
}

/// Runs `larder runs`.
pub fn runs(app: &App, arguments: &Runs) -> Result<Exit, Failure> {
    match &arguments.action {
        None => list(app, &arguments.data.open()?, None),
        Some(Action::List { data, limit }) => list(app, &data.or(&arguments.data).open()?, *limit),
        Some(Action::Show { data, run }) => show(app, &data.or(&arguments.data).open()?, run),
        Some(Action::Report { data, run, format }) => {
            let data = data.or(&arguments.data).open()?;
            print(&report_of(&data, &run.find(&data)?)?.render(*format))
        }
    }
}

/// The report of the run with this id.
///
/// # Errors
/// When its records cannot be read.
pub fn report(data: &DataDir, id: &RunId) -> Result<Report, Failure> {
    report_of(data, &Which::Id(id.clone()).find(data)?)
}

/// The report of a run, with what it changed where it is the newest; of a comparison, its verdicts.
fn report_of(data: &DataDir, run: &RunRecord) -> Result<Report, Failure> {
    if let Some(outcome) = comparison::read(&data.runs().join(run.run_id.as_str())) {
        return Ok(of_comparison::report(data, &outcome));
    }
    let is_newest = run_log::run_ids(&data.runs())?.last() == Some(&run.run_id);
    let changes = if is_newest { status_index::current(data)?.changes } else { Vec::new() };
    Ok(of_run::report(data, run, &changes)?)
}

/// Prints a text as it is.
fn print(text: &[u8]) -> Result<Exit, Failure> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        // A reader may have seen enough.
        _ => Ok(Exit::Done),
    }
}

fn list(app: &App, data: &DataDir, limit: Option<usize>) -> Result<Exit, Failure> {
    let heading = [
        "RUN",
        "STATE",
        "KIND",
        "TOOK",
        "PACKAGES",
        "WORK",
        "FAIL",
        "BLOCKED",
        "UNSOLVED",
        "UNREACHED",
        "PHASE",
    ];
    let spare = ["KIND", "TOOK", "UNSOLVED", "BLOCKED", "UNREACHED", "PACKAGES", "WORK"];
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
            bad(count(|packages| packages.unreached)),
            run.progress.as_ref().map_or(String::new(), describe::run::phase).into(),
        ]);
    }
    table.print(&app.ui);
    if ids.is_empty() {
        app.ui.status("no runs yet");
    }
    Ok(Exit::Done)
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
    for (what, fact) in describe::run::facts(&run) {
        let fact = if what == "state" { state(run.state) } else { fact.into() };
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
