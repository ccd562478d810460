//! Everything that people and programs get to see: progress and messages on standard error, with
//! `--json` one event a line on standard output.

mod json;
mod live;
mod steps;
mod tested;

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use larder_engine::{diagnostics::Tally, environment::Environment, event::Status};
use larder_project::diagnostic::Diagnostics;
use larder_trace::{Level, describe_io};
use serde_json::{Value, json};

pub use self::live::BatchView;
use self::{json::escape, live::Live};
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
    live: Option<Live>,
    out: Mutex<()>,
    /// Why standard output could not be written, once it could not.
    unwritten: Mutex<Option<Unwritten>>,
    /// The diagnostics of the build so far.
    pub tally: Tally,
}

/// How much of a build is shown.
#[derive(Default)]
pub struct Shown {
    /// Why things are not up to date.
    pub explain: bool,
    /// The least level of build output, where people said one.
    pub log_level: Option<Level>,
}

impl Shown {
    /// Returns the least level of what is shown of the output of a step that ended so. What an up-to-date
    /// step once said is news no more, but for what is to be mended.
    fn least_level(&self, status: Status, verbose: bool) -> Level {
        let usual = match status {
            _ if verbose => Level::Trace,
            Status::Replayed => Level::Warning,
            _ => Level::Info,
        };
        self.log_level.unwrap_or(usual)
    }
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
        let live = (terminal && !global.json && !global.quiet).then(|| Live::new(columns));
        Self {
            json: global.json,
            color_choice: global.color,
            color: wants_color(global.color, terminal, no_color),
            no_color,
            columns,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            shown: OnceLock::new(),
            live,
            out: Mutex::new(()),
            unwritten: Mutex::new(None),
            tally: Tally::default(),
        }
    }

    /// Shows this much of the build that comes; without that, what most people want.
    pub fn show(&self, shown: Shown) {
        // A command has one build.
        _ = self.shown.set(shown);
        if let Some(live) = &self.live {
            live.working("reading manifests");
            live.begin();
        }
    }

    /// Whether colours are wanted in what goes to standard output, given whether that is a terminal.
    pub fn color_of(&self, terminal: bool) -> bool {
        wants_color(self.color_choice, terminal, self.no_color)
    }

    /// Whether more is wanted (`-v`).
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether events go to standard output.
    pub fn json(&self) -> bool {
        self.json
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
        match &self.live {
            Some(live) => live.suspend(print),
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

    /// Prints a line that a program reads from among those for people.
    pub fn annotation(&self, line: &str) {
        self.say(line);
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

    /// Says what is being done and takes long: on the live line, or in a line of its own where there is none.
    pub fn working(&self, text: &str) {
        match &self.live {
            Some(live) => {
                live.working(text);
                live.begin();
            }
            None => self.status(text),
        }
    }

    /// Shows how far a batch is, where there is a live view.
    pub fn batch(&self, change: impl FnOnce(&mut BatchView)) {
        if let Some(live) = &self.live {
            live.batch(change);
            live.begin();
        }
    }

    /// Removes the live line.
    pub fn clear(&self) {
        if let Some(live) = &self.live {
            live.clear();
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
}

fn wants_color(choice: ColorChoice, terminal: bool, no_color: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && !no_color,
    }
}

/// A time for people.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 10.0 => format!("{seconds:.2} s"),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds => format!("{} min {:.0} s", (seconds / 60.0) as u64, seconds % 60.0),
    }
}
