//! `runs`, `log`.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{Args, Subcommand};
use larder_runs::name::{PackageName, RunId};
use larder_runs::run_log::{self, LogKind, RunRecord, RunState};
use larder_runs::{DataDir, time};
use serde_json::json;

use super::{App, FAILED, WRONG, here};
use crate::table::{Cell, Table, Tone, age};

/// Where the data of the ecosystem are.
#[derive(Args)]
pub struct Data {
    /// The data directory; else $LARDER_DATA_DIR, else .larder/data beside larder-set.toml
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Data {
    /// The data directory, which is there.
    ///
    /// # Errors
    /// The exit code, when none is given, found or there; the reason has been said.
    pub fn open(&self, app: &App) -> Result<DataDir, ExitCode> {
        let Some(data) = DataDir::find(self.data_dir.as_deref(), here()) else {
            app.ui.error(
                "no data directory: give --data-dir DIR, set LARDER_DATA_DIR, or work beside \
                 larder-set.toml",
            );
            return Err(ExitCode::from(WRONG));
        };
        if !data.root().is_dir() {
            let root = data.root().display();
            app.ui.error(&format!("there is no data directory {root}: `larder batch` makes one"));
            return Err(ExitCode::from(WRONG));
        }
        Ok(data)
    }
}

/// Runs a command's work; says what kept it from its end.
pub fn report(
    app: &App,
    data: &Data,
    work: impl FnOnce(&DataDir) -> larder_runs::Result<ExitCode>,
) -> ExitCode {
    let data = match data.open(app) {
        Ok(data) => data,
        Err(code) => return code,
    };
    work(&data).unwrap_or_else(|error| {
        app.ui.error(&error.to_string());
        ExitCode::from(FAILED)
    })
}

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

/// A run as it is asked for.
#[derive(Clone)]
pub enum Which {
    /// The newest.
    Latest,
    /// This one.
    Id(RunId),
}

impl std::str::FromStr for Which {
    type Err = larder_runs::Error;
    fn from_str(text: &str) -> Result<Which, Self::Err> {
        if text == "latest" { Ok(Which::Latest) } else { text.parse().map(Which::Id) }
    }
}

impl Which {
    /// The run, or `None` when there is none, which has been said.
    fn find(&self, app: &App, data: &DataDir) -> larder_runs::Result<Option<RunRecord>> {
        let runs = data.runs();
        let id = match self {
            Which::Latest => run_log::run_ids(&runs)?.pop(),
            Which::Id(id) => Some(id.clone()),
        };
        let run = id.as_ref().map_or(Ok(None), |id| run_log::read_run(&runs, id))?;
        if run.is_none() {
            let what = id.map_or("no run at all".to_owned(), |id| format!("no run {id}"));
            app.ui.error(&format!("there is {what} in {}: see `larder runs`", runs.display()));
        }
        Ok(run)
    }
}

/// Runs `larder runs`.
pub fn runs(app: &App, arguments: &Runs) -> ExitCode {
    match &arguments.action {
        None => report(app, &arguments.data, |data| list(app, data, None)),
        Some(Action::List { data, limit }) => {
            report(app, or(data, &arguments.data), |data| list(app, data, *limit))
        }
        Some(Action::Show { data, run }) => {
            report(app, or(data, &arguments.data), |data| show(app, data, run))
        }
    }
}

/// `--data-dir` may stand before or after the action.
fn or<'a>(after: &'a Data, before: &'a Data) -> &'a Data {
    if after.data_dir.is_some() { after } else { before }
}

fn list(app: &App, data: &DataDir, limit: Option<usize>) -> larder_runs::Result<ExitCode> {
    let mut table = Table::new([
        "RUN",
        "STATE",
        "TOOK",
        "REQUESTED",
        "BUILT",
        "CACHED",
        "FAILED",
        "CASCADED",
        "PHASE",
    ]);
    let runs = run_log::list_runs(&data.runs())?;
    for run in runs.iter().rev().take(limit.unwrap_or(usize::MAX)) {
        app.ui.event_json(&event("run", run));
        let outcome = run.summary.as_ref().map(|summary| &summary.outcome);
        let count = |count: Option<u64>| Cell::from(count.map_or(String::new(), |n| n.to_string()));
        let failed = outcome.map(|outcome| outcome.failed);
        table.row([
            run.run_id.as_str().into(),
            state(run.state),
            run.summary.as_ref().map_or(String::new(), |summary| age(summary.seconds())).into(),
            count(outcome.map(|outcome| outcome.requested)),
            count(outcome.map(|outcome| outcome.built)),
            count(outcome.map(|outcome| outcome.cached)),
            match failed {
                Some(0) | None => count(failed),
                Some(failed) => Cell::new(failed.to_string(), Tone::Bad),
            },
            count(outcome.map(|outcome| outcome.cascaded)),
            run.progress.as_ref().map_or(String::new(), phase).into(),
        ]);
    }
    table.print(&app.ui);
    if runs.is_empty() {
        app.ui.status("no runs yet");
    }
    Ok(ExitCode::SUCCESS)
}

fn phase(progress: &larder_runs::progress::Progress) -> String {
    match progress.build_total {
        0 => progress.phase().to_string(),
        total => format!("{} {}/{total}", progress.phase(), progress.builds_completed),
    }
}

fn state(state: RunState) -> Cell {
    match state {
        RunState::Running => Cell::new("running", Tone::Plain),
        RunState::Finished => Cell::new("finished", Tone::Good),
        RunState::Died => Cell::new("died", Tone::Bad),
    }
}

fn show(app: &App, data: &DataDir, run: &Which) -> larder_runs::Result<ExitCode> {
    let Some(run) = run.find(app, data)? else { return Ok(ExitCode::from(FAILED)) };
    let dir = data.runs().join(run.run_id.as_str());
    let logs = run_log::logged_packages(&dir, LogKind::Build)?;
    let mut object = event("run", &run);
    object["logs"] = json!(logs);
    object["docs"] = json!(run_log::logged_packages(&dir, LogKind::Docs)?);
    app.ui.event_json(&object);

    let mut facts = Table::new(["", ""]);
    facts.row(["run".into(), run.run_id.as_str().into()]);
    facts.row(["state".into(), state(run.state)]);
    if let Some(info) = &run.info {
        facts.row(["started".into(), info.start.as_str().into()]);
        facts.row(["by".into(), format!("process {} on {}", info.pid, info.host).into()]);
    }
    if let Some(summary) = &run.summary {
        let outcome = &summary.outcome;
        let took = age(summary.seconds());
        facts.row(["ended".into(), format!("{}, after {took}", summary.end).into()]);
        for (what, count) in [
            ("requested", outcome.requested),
            ("solved", outcome.solved),
            ("built", outcome.built),
            ("cached", outcome.cached),
            ("failed", outcome.failed),
            ("cascaded", outcome.cascaded),
            ("documented", outcome.documented),
        ] {
            facts.row([what.into(), count.to_string().into()]);
        }
    }
    if let Some(progress) = &run.progress {
        facts.row(["phase".into(), phase(progress).into()]);
        facts.row(["running".into(), progress.running.join(" ").into()]);
    }
    facts.row(["logs".into(), logs.len().to_string().into()]);
    facts.print(&app.ui);

    let failures = run.summary.map_or(Vec::new(), |summary| summary.outcome.failures);
    let mut table = Table::new(["FAILED", "CATEGORY", "ERROR"]);
    for failure in &failures {
        let error = failure.error.as_deref().unwrap_or_default();
        table.row([
            failure.package.as_str().into(),
            failure.category.as_str().into(),
            error.into(),
        ]);
    }
    table.print(&app.ui);
    Ok(ExitCode::SUCCESS)
}

/// A record as an event: an object with its kind.
pub fn event(kind: &str, record: &impl serde::Serialize) -> serde_json::Value {
    let mut object = json!(record);
    object["event"] = kind.into();
    object
}

/// Show the log of a package in a run
#[derive(Args)]
pub struct Log {
    #[command(flatten)]
    data: Data,
    /// The run's id, or `latest`
    #[arg(value_name = "RUN")]
    run: Which,
    /// The package, <name>.<version>
    #[arg(value_name = "PKG")]
    package: PackageName,
    /// The log of its documentation
    #[arg(long)]
    docs: bool,
    /// Go on as it grows, until it is complete
    #[arg(short, long)]
    follow: bool,
}

/// Runs `larder log`.
pub fn log(app: &App, arguments: &Log) -> ExitCode {
    report(app, &arguments.data, |data| {
        let Some(run) = arguments.run.find(app, data)? else { return Ok(ExitCode::from(FAILED)) };
        let kind = if arguments.docs { LogKind::Docs } else { LogKind::Build };
        let dir = data.runs().join(run.run_id.as_str());
        let path = run_log::log_path(&dir, kind, &arguments.package);
        let waits = arguments.follow && run.state == RunState::Running;
        if !waits && !path.is_file() {
            let (package, run) = (&arguments.package, &run.run_id);
            app.ui.error(&format!(
                "run {run} has no such log of {package}: `larder runs show {run} --json` lists them"
            ));
            return Ok(ExitCode::from(FAILED));
        }
        if app.ui.json() {
            return Ok(print_json(app, &path, &arguments.package, &run));
        }
        if !arguments.follow && io::stdout().is_terminal() && page(app, &path) {
            return Ok(ExitCode::SUCCESS);
        }
        let (runs, package) = (data.runs(), &arguments.package);
        let result = match io::stdout().is_terminal() {
            // A build's escapes are not to move the cursor or name the window.
            true => {
                let mut output = anstream::StripStream::new(io::stdout());
                run_log::follow_log(&runs, &run.run_id, kind, package, &mut output)
            }
            false => run_log::follow_log(&runs, &run.run_id, kind, package, &mut io::stdout()),
        };
        match result {
            Err(larder_runs::Error::Io { source, .. })
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(ExitCode::SUCCESS)
            }
            other => other.map(|()| ExitCode::SUCCESS),
        }
    })
}

fn print_json(app: &App, path: &Path, package: &PackageName, run: &RunRecord) -> ExitCode {
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut content));
    if let Err(error) = read {
        app.ui.error(&format!("cannot read {}: {error}", path.display()));
        return ExitCode::from(FAILED);
    }
    app.ui.event_json(&json!({
        "event": "log",
        "runId": run.run_id,
        "package": package,
        "path": path,
        "text": String::from_utf8_lossy(&content),
    }));
    ExitCode::SUCCESS
}

/// Shows a file in `$PAGER`, else in `less`. False when neither can be started.
fn page(app: &App, path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return false };
    let pager = app.environment.get("PAGER").and_then(OsStr::to_str).unwrap_or("less -FRX");
    if pager.trim().is_empty() {
        return false;
    }
    let status = Command::new("sh").arg("-c").arg(pager).stdin(Stdio::from(file)).status();
    let _ = io::stdout().flush();
    // 126 and 127 are the shell's: the program is not there or cannot be run.
    status.is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}

/// How long ago a time of the data was, for people; empty when it cannot be read.
pub fn ago(text: &str) -> String {
    let since = time::parse_time(text).map(|since| time::seconds_between(since, time::now()));
    since.map_or(String::new(), age)
}
