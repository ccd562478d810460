//! `log`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use clap::Args;
use larder_runs::DataDir;
use larder_runs::name::{PackageName, RunId};
use larder_runs::result::Stage;
use larder_runs::run_log::{self, Log as Found, RunState};
use larder_runs::sanitise::{Colours, Sanitised};
use serde_json::json;

use super::records::{Named, Which, known_packages, nearest};
use super::runs::{Data, report};
use super::{App, FAILED, WRONG};

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
        match lines.from == 0 || lines.from > lines.to {
            true => Err(format!("{text:?} has no lines: they count from 1")),
            false => Ok(lines),
        }
    }
}

/// Runs `larder log`.
pub fn log(app: &App, arguments: &Log) -> ExitCode {
    report(app, &arguments.data, |data| {
        let log = match find(app, data, arguments)? {
            Ok(log) => log,
            Err(code) => return Ok(code),
        };
        let shown = show(app, data, arguments, &log);
        match shown {
            Err(larder_runs::Error::Io { source, .. })
                if source.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        say_what_it_lacks(app, data, &log)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The log that is asked for, or the exit code where there is none, which has been said.
fn find(
    app: &App,
    data: &DataDir,
    arguments: &Log,
) -> larder_runs::Result<Result<Found, ExitCode>> {
    let wrong = |error: String| {
        app.ui.error(&error);
        Ok(Err(ExitCode::from(WRONG)))
    };
    let Some(package) = &arguments.second else {
        if arguments.first == "latest" {
            return wrong("the log of which package? `larder log latest PKG`".to_owned());
        }
        return match arguments.first.parse() {
            Ok(package) => newest(app, data, arguments, &package),
            Err(error) => wrong(error.to_string()),
        };
    };
    let run = match arguments.first.parse::<Which>() {
        Ok(which) => which.find(app, data)?,
        Err(error) => return wrong(error),
    };
    let Some(run) = run else { return Ok(Err(ExitCode::from(FAILED))) };
    let mut waits = arguments.follow && run.state == RunState::Running;
    loop {
        let found = in_run(data, arguments, &run.run_id, package)?;
        if let Some(log) = found {
            return Ok(Ok(log));
        }
        if !waits {
            return Ok(Err(nothing(app, data, &run.run_id, package)?));
        }
        thread::sleep(Duration::from_millis(200));
        let state = run_log::read_run(&data.runs(), &run.run_id)?.map(|run| run.state);
        waits = state == Some(RunState::Running);
    }
}

/// The newest log of a package in any run.
fn newest(
    app: &App,
    data: &DataDir,
    arguments: &Log,
    package: &Named,
) -> larder_runs::Result<Result<Found, ExitCode>> {
    for run in run_log::run_ids(&data.runs())?.iter().rev() {
        if let Some(log) = in_run(data, arguments, run, package)? {
            return Ok(Ok(log));
        }
    }
    if !known_packages(app, data, package)?.is_empty() {
        app.ui.error("no run has such a log of it");
    }
    Ok(Err(ExitCode::from(FAILED)))
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
        Named::Name(name) => {
            let mut logs = run_log::all_logs(&runs, run)?;
            logs.retain(|log| log.name.package.name() == name);
            logs
        }
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

/// Says that a run has no such log, and which it has of the package.
fn nothing(
    app: &App,
    data: &DataDir,
    run: &RunId,
    package: &Named,
) -> larder_runs::Result<ExitCode> {
    let text = match package {
        Named::Version(package) => package.as_str(),
        Named::Name(name) => name,
    };
    let logs = run_log::all_logs(&data.runs(), run)?;
    let matches =
        |log: &&Found| log.name.package.as_str() == text || log.name.package.name() == text;
    let there: Vec<&str> = logs.iter().filter(matches).map(|log| log.path.as_str()).collect();
    app.ui.error(&format!("run {run} has no such log of {text}"));
    if !there.is_empty() {
        app.ui.status(&format!("it has {}", there.join(", ")));
    } else if let Some(near) = nearest(text, logs.iter().map(|log| log.name.package.as_str())) {
        app.ui.status(&format!("did you mean {near}?"));
    } else {
        app.ui.status(&format!("`larder runs show {run} --json` lists those that it has"));
    }
    Ok(ExitCode::from(FAILED))
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

fn show(app: &App, data: &DataDir, arguments: &Log, log: &Found) -> larder_runs::Result<()> {
    let runs = data.runs();
    let mut file = run_log::open_log(&runs, log)?;
    let io = |error: io::Error| larder_runs::Error::Io {
        action: "show",
        path: runs.join(log.run.as_str()).join(&log.path),
        source: error,
    };
    let from = match arguments.tail {
        Some(lines) => tail(&mut file, lines).map_err(io)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    let terminal = io::stdout().is_terminal();
    if app.ui.json() {
        let mut output = Events { app, log, offset: from, held: Vec::new() };
        copy(&runs, arguments, log, file, from, &mut output)?;
        output.emit();
        return Ok(());
    }
    let colours = |shown: bool| if app.ui.color_of(shown) { Colours::Keep } else { Colours::Strip };
    if terminal
        && !arguments.follow
        && let Some(mut pager) = pager()
    {
        if let Some(input) = pager.stdin.take() {
            let mut output = Sanitised::new(input, colours(true));
            // Whoever leaves the pager has seen enough.
            let _ = copy(&runs, arguments, log, file, from, &mut output);
            let _ = output.finish();
        }
        return pager.wait().map(|_| ()).map_err(io);
    }
    let mut output = Sanitised::new(io::stdout(), colours(terminal));
    copy(&runs, arguments, log, file, from, &mut output)?;
    output.finish().map(|_| ()).map_err(io)
}

/// Copies what is asked for of a log.
fn copy(
    runs: &std::path::Path,
    arguments: &Log,
    log: &Found,
    file: File,
    from: u64,
    output: &mut impl Write,
) -> larder_runs::Result<()> {
    if arguments.follow {
        return run_log::follow_log(runs, log, from, output);
    }
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let copied = match arguments.lines {
        Some(lines) => copy_lines(&mut reader, lines, output),
        None => io::copy(&mut reader, output).map(|_| ()),
    };
    copied.and_then(|()| output.flush()).map_err(|error| larder_runs::Error::Io {
        action: "show",
        path: runs.join(log.run.as_str()).join(&log.path),
        source: error,
    })
}

/// Copies a range of lines, however long they are.
fn copy_lines(reader: &mut impl BufRead, lines: Lines, output: &mut impl Write) -> io::Result<()> {
    let mut line = 1;
    while line <= lines.to {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(piece.len());
        if line >= lines.from {
            output.write_all(piece.get(..length).unwrap_or_default())?;
        }
        line += u64::from(end.is_some());
        reader.consume(length);
    }
    Ok(())
}

/// Where the last lines of a file begin.
fn tail(file: &mut File, lines: usize) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    if lines == 0 {
        return Ok(end);
    }
    let mut left = lines;
    let mut block = Vec::new();
    // The line feed at the very end ends the last line and begins none.
    let mut last = true;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.take(end - start).read_to_end(&mut block)?;
        for (index, byte) in block.iter().enumerate().rev() {
            if *byte == b'\n' && !last {
                if left <= 1 {
                    return Ok(start + index as u64 + 1);
                }
                left -= 1;
            }
            last = false;
        }
        end = start;
    }
    Ok(0)
}

/// What shows long texts: `$PAGER`, else `less`. `None` where it cannot be started.
fn pager() -> Option<Child> {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less -FRX".to_owned());
    let program = pager.split_whitespace().next()?;
    let found = Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", program])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        return None;
    }
    Command::new("sh").arg("-c").arg(&pager).stdin(Stdio::piped()).spawn().ok()
}

/// Prints a log as events, whole lines together where they fit.
struct Events<'a> {
    app: &'a App,
    log: &'a Found,
    /// Where what is held begins, in bytes.
    offset: u64,
    held: Vec<u8>,
}

/// How many bytes an event of a log has at most, about.
const EVENT: usize = 64 * 1024;

impl Events<'_> {
    fn emit(&mut self) {
        self.emit_first(self.held.len());
    }

    fn emit_first(&mut self, length: usize) {
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
        if text.is_empty() {
            return;
        }
        let name = &self.log.name;
        self.app.ui.event_json(&json!({
            "event": "log",
            "runId": self.log.run,
            "package": name.package,
            "stage": name.stage,
            "buildHash": name.build_hash,
            "attempt": name.attempt,
            "path": self.log.path,
            "offset": self.offset,
            "text": String::from_utf8_lossy(&text),
        }));
        self.offset += text.len() as u64;
    }
}

impl Write for Events<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        if self.held.len() >= EVENT {
            let whole = self.held.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            self.emit_first(whole.unwrap_or(self.held.len()));
        }
        Ok(bytes.len())
    }

    /// Called where a log that is followed has no more for now.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(end) = self.held.iter().rposition(|byte| *byte == b'\n') {
            self.emit_first(end + 1);
        }
        Ok(())
    }
}
