//! `log`.

mod show;

use std::io;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use clap::Args;
use larder_runs::DataDir;
use larder_runs::name::{Named, PackageName, RunId};
use larder_runs::result::Stage;
use larder_runs::run_log::{self, Log as Found, RunState};
use serde_json::json;

use super::App;
use super::records::{Data, Which, known_packages, nearest};
use crate::exit::{Exit, Failure};

/// Show the log of a package: its newest, or that of a run
#[derive(Args)]
pub struct Log {
    #[command(flatten)]
    data: Data,
    /// The run's id, or `latest`; the newest with such a log where there is only the package
    #[arg(value_name = "RUN")]
    first: String,
    /// The package, <name>.<version> or <name>
    #[arg(value_name = "PKG")]
    second: Option<Named>,
    /// Of this stage: solve, build, test, doc
    #[arg(long, value_name = "STAGE")]
    stage: Option<Stage>,
    /// Of its documentation: --stage doc
    #[arg(long, conflicts_with = "stage")]
    docs: bool,
    /// Of the build whose hash, or compiler, begins like this
    #[arg(long, value_name = "HASH")]
    build: Option<String>,
    /// Of this attempt, from 1
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Only the last so many lines
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Only these lines, from 1: 20-40, 20-, -40 or 20
    #[arg(long, value_name = "FROM-TO", conflicts_with_all = ["tail", "follow"])]
    lines: Option<Lines>,
    /// Go on as it grows, until it is complete
    #[arg(short, long)]
    follow: bool,
}

/// A range of lines, both ends included.
#[derive(Clone, Copy)]
struct Lines {
    from: u64,
    to: u64,
}

impl FromStr for Lines {
    type Err = String;
    fn from_str(text: &str) -> Result<Lines, String> {
        let wrong = || format!("{text:?} is no range of lines, such as 20-40");
        let number = |text: &str, default| match text {
            "" => Ok(default),
            _ => text.parse().map_err(|_| wrong()),
        };
        let lines = match text.split_once('-') {
            Some(("", "")) => return Err(wrong()),
            Some((from, to)) => Lines { from: number(from, 1)?, to: number(to, u64::MAX)? },
            None => Lines { from: number(text, 0)?, to: number(text, 0)? },
        };
        match lines {
            Lines { from: 0, .. } => Err(format!("{text:?} has no lines: they count from 1")),
            Lines { from, to } if from > to => Err(format!("{text:?} ends before it begins")),
            lines => Ok(lines),
        }
    }
}

/// Runs `larder log`.
pub fn log(app: &App, arguments: &Log) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let log = find(&data, arguments)?;
    match show::show(app, &data, arguments, &log) {
        Err(larder_runs::Error::Io { source, .. })
            if source.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    say_what_it_lacks(app, &data, &log)?;
    Ok(Exit::Done)
}

/// The log that is asked for, which there has to be.
fn find(data: &DataDir, arguments: &Log) -> Result<Found, Failure> {
    let Some(package) = &arguments.second else {
        let first = &arguments.first;
        if first == "latest" || first.parse::<RunId>().is_ok() {
            let message = format!("the log of which package? `larder log {first} PKG`");
            return Err(Failure::wrong(message));
        }
        let package: Named =
            arguments.first.parse().map_err(|error: larder_runs::Error| Failure::wrong(error))?;
        return newest(data, arguments, &package);
    };
    let which: Which = arguments.first.parse().map_err(|error: String| Failure::wrong(error))?;
    let run = which.find(data)?;
    let mut waits = arguments.follow && run.state == RunState::Running;
    loop {
        if let Some(log) = in_run(data, arguments, &run.run_id, package)? {
            return Ok(log);
        }
        if !waits {
            return Err(nothing(data, &run.run_id, package)?);
        }
        thread::sleep(Duration::from_millis(200));
        let state = run_log::read_run(&data.runs(), &run.run_id)?.map(|run| run.state);
        waits = state == Some(RunState::Running);
    }
}

/// The newest log of a package in any run.
fn newest(data: &DataDir, arguments: &Log, package: &Named) -> Result<Found, Failure> {
    for run in run_log::run_ids(&data.runs())?.iter().rev() {
        if let Some(log) = in_run(data, arguments, run, package)? {
            return Ok(log);
        }
    }
    known_packages(data, package)?;
    Err(Failure::failed("no run has such a log of this package"))
}

/// The newest log of a package in a run.
fn in_run(
    data: &DataDir,
    arguments: &Log,
    run: &RunId,
    package: &Named,
) -> larder_runs::Result<Option<Found>> {
    let stage = if arguments.docs { Some(Stage::Doc) } else { arguments.stage };
    let runs = data.runs();
    let mut logs = match package {
        Named::Version(package) => run_log::find_logs(&runs, run, package)?,
        Named::Name(name) => run_log::logs_of_name(&runs, run, name)?,
    };
    logs.retain(|log| {
        let hash = log.name.build_hash.as_ref().map(|hash| hash.as_str());
        let build = hash.or(log.name.compiler.as_ref().map(PackageName::as_str));
        stage.is_none_or(|stage| log.name.stage == stage)
            && arguments.attempt.is_none_or(|attempt| log.name.attempt == attempt)
            && arguments
                .build
                .as_ref()
                .is_none_or(|wanted| build.is_some_and(|build| build.starts_with(wanted.as_str())))
    });
    Ok(logs.pop())
}

/// The failure to find a log in a run, with the logs that it has of the package.
fn nothing(data: &DataDir, run: &RunId, package: &Named) -> larder_runs::Result<Failure> {
    let text = match package {
        Named::Version(package) => package.as_str(),
        Named::Name(name) => name,
    };
    let logs = run_log::all_logs(&data.runs(), run)?;
    let matches =
        |log: &&Found| log.name.package.as_str() == text || log.name.package.name() == text;
    let there: Vec<&str> = logs.iter().filter(matches).map(|log| log.path.as_str()).collect();
    let failure = Failure::failed(format!("run {run} has no such log of {text}"));
    Ok(if !there.is_empty() {
        failure.hint(format!("it has {}", there.join(", ")))
    } else if let Some(near) = nearest(text, logs.iter().map(|log| log.name.package.as_str())) {
        failure.hint(format!("did you mean {near}?"))
    } else {
        failure.hint(format!("`larder runs show {run} --json` lists those that it has"))
    })
}

/// Tells when a log has no result: it grows still, or its run ended before there was one.
fn say_what_it_lacks(app: &App, data: &DataDir, log: &Found) -> larder_runs::Result<()> {
    // The first version kept no results beside its logs.
    if !log.path.starts_with("logs/") || run_log::recorded_result(&data.runs(), log)?.is_some() {
        return Ok(());
    }
    let run = run_log::read_run(&data.runs(), &log.run)?;
    let running = run.is_some_and(|run| run.state == RunState::Running);
    let message = match running {
        true => "this log has no result yet: --follow goes on as it grows",
        false => "this log has no result: its run ended before there was one",
    };
    app.ui
        .event_json(&json!({ "event": "logWithoutResult", "path": log.path, "running": running }));
    app.ui.status(message);
    Ok(())
}
