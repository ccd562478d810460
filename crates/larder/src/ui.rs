//! Everything that people and programs get to see: progress and messages on standard error, with
//! `--json` one event a line on standard output.

mod json;
mod tested;

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use larder_engine::{
    environment::Environment,
    event::{Ended, Event, Reporter, Status, StepCounts, StepName},
};
use larder_project::diagnostic::Diagnostics;
use larder_trace::{Level, describe_io};
use serde_json::{Value, json};

use self::json::{escape, event_json};
use crate::cli::{ColorChoice, Global};

/// Prints for one command.
pub struct Ui {
    json: bool,
    color_choice: ColorChoice,
    color: bool,
    /// Whether `NO_COLOR` is set.
    no_color: bool,
    /// How wide the terminal is, as `COLUMNS` has it.
    pub columns: Option<usize>,
    quiet: bool,
    /// Say what was up to date and which commands were run.
    verbose: bool,
    /// How much of a build is shown, once there is one.
    shown: OnceLock<Shown>,
    bar: Option<ProgressBar>,
    out: Mutex<()>,
    /// Why standard output could not be written, once it could not.
    unwritten: Mutex<Option<Unwritten>>,
    /// The highest level of build output seen so far, as a number.
    worst: AtomicU8,
}

/// How much of a build is shown.
pub struct Shown {
    /// Why things are not up to date.
    pub explain: bool,
    /// The least level of build output.
    pub log_level: Level,
}

/// Output that is lost.
struct Unwritten {
    reason: String,
    /// Whether people know.
    said: bool,
}

/// Colours, as terminals take them.
mod style {
    pub const RED: &str = "\x1b[1;31m";
    pub const YELLOW: &str = "\x1b[1;33m";
    pub const GREEN: &str = "\x1b[32m";
    pub const BOLD: &str = "\x1b[1m";
    pub const DIM: &str = "\x1b[2m";
    pub const RESET: &str = "\x1b[0m";
}

impl Ui {
    /// Prints as the options that every command takes say, and `NO_COLOR`.
    pub fn new(global: &Global, environment: &Environment) -> Self {
        let no_color = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = environment.get("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok());
        let terminal = io::stderr().is_terminal();
        let bar = (terminal && !global.json && !global.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(15));
            let style = ProgressStyle::with_template("{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self {
            json: global.json,
            color_choice: global.color,
            color: wants_color(global.color, terminal, no_color),
            no_color,
            columns,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            shown: OnceLock::new(),
            bar,
            out: Mutex::new(()),
            unwritten: Mutex::new(None),
            worst: AtomicU8::new(0),
        }
    }

    /// Shows this much of the build that comes; without that, what most people want.
    pub fn show(&self, shown: Shown) {
        // A command has one build.
        _ = self.shown.set(shown);
    }

    /// Whether colours are wanted.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether colours are wanted in what goes to standard output, given whether that is a terminal.
    pub fn color_of(&self, terminal: bool) -> bool {
        wants_color(self.color_choice, terminal, self.no_color)
    }

    /// Whether events go to standard output.
    pub fn json(&self) -> bool {
        self.json
    }

    /// The highest level of build output so far, replayed output included.
    pub fn worst_level(&self) -> Option<Level> {
        [None, Some(Level::Trace), Some(Level::Info), Some(Level::Warning), Some(Level::Error)]
            [usize::from(self.worst.load(Ordering::Relaxed)).min(4)]
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("{style}{text}{}", style::RESET) } else { text.to_owned() }
    }

    /// Prints lines for people, above the live line.
    fn say(&self, text: &str) {
        let _guard = self.lock();
        let print = || {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn emit(&self, event: &Value) {
        self.print(&escape(&event.to_string()));
    }

    /// Prints a line on standard output. A reader that has gone has seen enough; anything else that keeps
    /// it from being written fails the command: see [`Ui::is_written`].
    fn print(&self, line: &str) {
        let _guard = self.lock();
        let mut output = io::stdout().lock();
        let written = writeln!(output, "{line}").and_then(|()| output.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            let reason = || Unwritten { reason: describe_io(&error), said: false };
            unwritten.get_or_insert_with(reason);
        }
    }

    /// Prints one line of a result on standard output, unless events go there.
    pub fn result(&self, line: &str) {
        if !self.json {
            self.print(line);
        }
    }

    /// Prints an event of a kind of its own where events are wanted.
    pub fn event_json(&self, event: &Value) {
        if self.json {
            self.emit(event);
        }
    }

    /// Says something good or merely useful.
    pub fn status(&self, text: &str) {
        if !self.quiet && !self.json {
            self.say(text);
        }
    }

    /// Says what went wrong.
    pub fn error(&self, message: &str) {
        self.error_with_hint(message, None);
    }

    /// Says what went wrong and what to do about it.
    pub fn error_with_hint(&self, message: &str, hint: Option<&str>) {
        if self.json {
            let mut event = json!({ "event": "error", "message": message });
            if let Some(hint) = hint {
                event["help"] = hint.into();
            }
            self.emit(&event);
        } else {
            let help = hint.map_or(String::new(), |hint| format!("\n  help: {hint}"));
            self.say(&format!("{} {message}{help}", self.paint(style::RED, "error:")));
        }
    }

    /// Says what is wrong with manifests or names, each with its place.
    pub fn diagnostics(&self, diagnostics: &Diagnostics) {
        for diagnostic in &diagnostics.0 {
            if !self.json {
                self.error(&diagnostic.to_string());
                continue;
            }
            let (line, column) = diagnostic.line_column().unzip();
            let file =
                diagnostic.place.as_ref().map(|(source, _)| source.path.display().to_string());
            self.emit(&json!({
                "event": "error",
                "message": diagnostic.message,
                "help": diagnostic.help,
                "file": file,
                "line": line,
                "column": column,
            }));
        }
    }

    /// Says something that concerns no single target.
    pub fn note(&self, level: Level, message: &str) {
        if self.json {
            self.emit(&json!({ "event": "note", "level": level, "message": message }));
        } else if level == Level::Error {
            self.error(message);
        } else if level == Level::Warning {
            self.say(&format!("{} {message}", self.paint(style::YELLOW, "warning:")));
        } else if !self.quiet && (level == Level::Info || self.verbose) {
            self.say(message);
        }
    }

    /// Removes the live line.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether everything so far could be written to standard output. The first time that it could not,
    /// says why: a command that has more to do than to print must not do it then.
    #[must_use]
    pub fn is_written(&self) -> bool {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Unwritten { reason, said }) = &mut *unwritten else { return true };
        if !std::mem::replace(said, true) {
            let error = self.paint(style::RED, "error:");
            self.say(&format!("{error} cannot write to standard output: {reason}"));
        }
        false
    }

    fn live(&self, progress: &StepCounts, step: StepName<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!(
                "[{}/{}] {} {}",
                progress.ended(),
                progress.total.max(progress.ended()),
                step.target,
                step.output
            ));
        }
    }

    fn ended(&self, step: StepName<'_>, ended: &Ended<'_>, progress: &StepCounts) {
        self.live(progress, step);
        let wanted = self.shown.get_or_init(|| Shown { explain: false, log_level: Level::Info });
        let shown: Vec<&str> = ended
            .log
            .iter()
            .filter(|entry| entry.level >= wanted.log_level || ended.status == Status::Failed)
            .map(|entry| entry.message.as_str())
            .collect();
        let headline = match ended.status {
            Status::Failed | Status::OutOfDate => true,
            Status::Skipped => self.verbose,
            Status::Built => {
                self.verbose || wanted.explain || self.bar.is_none() || !shown.is_empty()
            }
            // The last line counts them.
            Status::Restored => self.verbose || wanted.explain || !shown.is_empty(),
            Status::Replayed => self.verbose || !shown.is_empty(),
        };
        if self.quiet && ended.status != Status::Failed && ended.status != Status::OutOfDate {
            return;
        }
        if !headline {
            return;
        }
        let (style, word) = match ended.status {
            Status::Built => (style::GREEN, "built"),
            Status::Restored => (style::GREEN, "restored"),
            Status::Replayed if shown.is_empty() => (style::DIM, "up to date"),
            Status::Replayed => (style::DIM, "replayed"),
            Status::OutOfDate => (style::YELLOW, "out of date"),
            Status::Failed => (style::RED, "failed"),
            Status::Skipped => (style::DIM, "skipped"),
        };
        let count = match ended.status {
            Status::OutOfDate => String::new(),
            _ => format!("[{}/{}] ", progress.ended(), progress.total.max(progress.ended())),
        };
        let mut text = format!(
            "{count}{} {} {}",
            self.paint(style, word),
            self.paint(style::BOLD, step.target),
            step.output
        );
        if let Some(error) = ended.error {
            text.push_str(&format!(": {error}"));
        }
        let explain = wanted.explain || ended.status == Status::OutOfDate || self.verbose;
        if let Some(reason) = ended.reason.filter(|_| explain) {
            text.push_str(&self.paint(style::DIM, &format!(" ({reason})")));
        }
        let wants_command = ended.status == Status::Failed || self.verbose;
        if let Some(command) = ended.command.filter(|_| wants_command) {
            let command = if self.verbose { command.to_owned() } else { shorten(command) };
            text.push_str(&format!("\n  {}", self.paint(style::DIM, &command)));
        }
        for message in shown {
            text.push('\n');
            match self.color {
                true => text.push_str(message),
                false => text.push_str(&anstream::adapter::strip_str(message).to_string()),
            }
        }
        self.say(&text);
    }
}

fn wants_color(choice: ColorChoice, terminal: bool, no_color: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && !no_color,
    }
}

/// A command line without its middle where that is very long.
fn shorten(command: &str) -> String {
    const SHOWN: usize = 2000;
    let length = command.chars().count();
    if length <= SHOWN {
        return command.to_owned();
    }
    let start: String = command.chars().take(SHOWN / 2).collect();
    let end: String = command.chars().skip(length - SHOWN / 2).collect();
    format!("{start} … ({} more characters, shown with -v) … {end}", length - SHOWN)
}

/// A time for people.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 10.0 => format!("{seconds:.2} s"),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds => format!("{} min {:.0} s", (seconds / 60.0) as u64, seconds % 60.0),
    }
}

impl Reporter for Ui {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { ended, .. } = event
            && let Some(level) = ended.log.iter().map(|entry| entry.level).max()
        {
            self.worst.fetch_max(level as u8 + 1, Ordering::Relaxed);
        }
        if self.json {
            self.emit(&event_json(event));
            return;
        }
        match event {
            Event::Waiting { holder: Some(holder) } => {
                self.status(&format!(
                    "waiting for another larder in this build directory (process {holder})"
                ));
            }
            Event::Waiting { holder: None } => {
                self.status("waiting for another larder in this build directory");
            }
            Event::Started { step, counts: progress } => self.live(progress, *step),
            Event::Ended { step, ended, counts: progress } => self.ended(*step, ended, progress),
            Event::Tested { target, tested } => self.tested(target, tested),
            Event::Note { level, message } => self.note(*level, message),
        }
    }

    fn wants_everything(&self) -> bool {
        self.verbose || self.json
    }
}
