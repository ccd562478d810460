//! What the cache commands print: a line on a terminal while it goes on, then what came of it.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use larder_remote::Progress;
use serde_json::Value;

use crate::cli::Global;

/// Prints for people on standard error, and with --json for programs on standard output.
pub struct Reporter {
    quiet: bool,
    json: bool,
}

/// How many artifacts that are missing are listed by name, when not asked for more.
const LISTED: usize = 20;

impl Reporter {
    pub fn new(global: &Global) -> Self {
        Self { quiet: global.quiet, json: global.json }
    }

    /// What went wrong as a whole.
    pub fn error(&self, message: &str) {
        if self.json {
            self.print(&serde_json::json!({ "event": "error", "message": message }));
        }
        eprintln!("error: {message}");
    }

    pub fn warning(&self, message: &str) {
        if self.json {
            self.print(&serde_json::json!({ "event": "warning", "message": message }));
        }
        if !self.quiet {
            eprintln!("warning: {message}");
        }
    }

    /// What was done, for people on standard error and for programs on standard output.
    pub fn done(&self, text: impl Display, event: Value) {
        if self.json {
            self.print(&event);
        } else if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// What was asked for, on standard output either way.
    pub fn result(&self, text: impl Display, event: Value) {
        if self.json {
            self.print(&event);
        } else {
            // Whoever reads may have had enough.
            _ = writeln!(io::stdout(), "{text}");
        }
    }

    fn print(&self, event: &Value) {
        _ = writeln!(io::stdout(), "{event}");
    }

    /// Things that failed, each with its reason: the first few, and how many more there are.
    pub fn failures(&self, what: &str, failures: &[(String, String)]) {
        if failures.is_empty() {
            return;
        }
        if self.json {
            for (name, reason) in failures {
                self.print(&serde_json::json!({
                    "event": "missing", "artifact": name, "reason": reason
                }));
            }
        }
        eprintln!("error: {} {what}:", failures.len());
        for (name, reason) in failures.iter().take(LISTED) {
            eprintln!("  {name}: {reason}");
        }
        if failures.len() > LISTED {
            eprintln!("  and {} more; --json lists them all", failures.len() - LISTED);
        }
    }

    /// A progress bar for a transfer: a live line on a terminal, nothing elsewhere.
    pub fn bar(&self) -> Bar {
        let bar = ProgressBar::no_length();
        if self.quiet || self.json || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // The template is a constant.
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec} {eta}",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar { bar, artifacts: Default::default(), planned: Default::default() }
    }
}

/// The progress of a transfer.
pub struct Bar {
    bar: ProgressBar,
    artifacts: std::sync::atomic::AtomicU64,
    planned: std::sync::atomic::AtomicU64,
}

impl Bar {
    pub fn advance(&self, progress: Progress) {
        use std::sync::atomic::Ordering::Relaxed;
        match progress {
            Progress::Planned { artifacts, bytes } => {
                self.planned.fetch_add(artifacts, Relaxed);
                self.bar.inc_length(bytes);
            }
            Progress::Done { artifacts, bytes } => {
                self.artifacts.fetch_add(artifacts, Relaxed);
                self.bar.inc(bytes);
            }
        }
        let (done, planned) = (self.artifacts.load(Relaxed), self.planned.load(Relaxed));
        self.bar.set_message(format!("{done}/{planned} artifacts"));
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// `1 artifact`, `2 artifacts`.
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// `1.50 MiB`.
pub fn bytes(bytes: u64) -> HumanBytes {
    HumanBytes(bytes)
}
