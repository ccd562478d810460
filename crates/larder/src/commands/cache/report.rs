//! Prints for the cache commands: a line on a terminal while it goes on, then what came of it.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, IsTerminal},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use larder_remote::{Missing, Transfer};
use larder_trace::Level;
use serde_json::{Value, json};

use super::super::App;

/// Prints what a cache command did.
pub struct Reporter<'a> {
    app: &'a App,
}

/// How many artifacts that are missing are listed by name, when not asked for more.
const LISTED: usize = 20;

impl<'a> Reporter<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }

    pub fn warning(&self, message: &str) {
        self.app.ui.note(Level::Warning, message);
    }

    /// Says what was done, for people on standard error and for programs on standard output.
    pub fn done(&self, text: impl Display, event: Value) {
        self.app.ui.event_json(&event);
        self.app.ui.status(&text.to_string());
    }

    /// Prints what was asked for, on standard output either way.
    pub fn result(&self, text: impl Display, event: Value) {
        self.app.ui.event_json(&event);
        self.app.ui.result(&text.to_string());
    }

    /// Things that failed, each with its reason: the first few, and how many more there are.
    pub fn failures(&self, what: &str, failures: &[(String, String)]) {
        if failures.is_empty() {
            return;
        }
        for (name, reason) in failures {
            self.app.ui.event_json(&json!({
                "event": "missing", "artifact": name, "reason": reason
            }));
        }
        let mut text = format!("{} {what}:", failures.len());
        for (name, reason) in failures.iter().take(LISTED) {
            text.push_str(&format!("\n  {name}: {reason}"));
        }
        if failures.len() > LISTED {
            let more = failures.len() - LISTED;
            text.push_str(&format!("\n  and {more} more; --json lists them all"));
        }
        self.app.ui.error(&text);
    }

    /// Artifacts that did not travel, by the paths of outputs, once for each reason.
    pub fn missing(&self, what: &str, missing: &Missing) {
        let mut by_reason = BTreeMap::<&str, Vec<&str>>::new();
        for (hash, lost) in missing {
            by_reason.entry(&lost.reason).or_default().push(&lost.path);
            self.app.ui.event_json(&json!({
                "event": "missing", "artifact": hash, "path": lost.path, "reason": lost.reason
            }));
        }
        for (reason, paths) in by_reason {
            let mut text = format!("{} {what}: {reason}", count(paths.len(), "artifact"));
            for path in paths.iter().take(LISTED) {
                text.push_str(&format!("\n  {path}"));
            }
            if let Some(more) = paths.len().checked_sub(LISTED).filter(|more| *more > 0) {
                text.push_str(&format!("\n  and {more} more; --json lists them all"));
            }
            self.app.ui.error(&text);
        }
    }

    /// A progress bar for a transfer: a live line on a terminal, nothing elsewhere.
    pub fn bar(&self) -> Bar {
        let bar = ProgressBar::no_length();
        let global = &self.app.global;
        if global.quiet || global.json || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // The template is a constant.
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec} {eta}",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar { bar, artifacts: AtomicU64::new(0), planned: AtomicU64::new(0) }
    }
}

/// The progress of a transfer.
pub struct Bar {
    bar: ProgressBar,
    artifacts: AtomicU64,
    planned: AtomicU64,
}

impl Bar {
    pub fn advance(&self, progress: Transfer) {
        match progress {
            Transfer::Planned { artifacts, bytes } => {
                self.planned.fetch_add(artifacts, Relaxed);
                self.bar.inc_length(bytes);
            }
            Transfer::Done { artifacts, bytes } => {
                self.artifacts.fetch_add(artifacts, Relaxed);
                self.bar.inc(bytes);
            }
        }
        let (done, planned) = (self.artifacts.load(Relaxed), self.planned.load(Relaxed));
        self.bar.set_message(format!("{done}/{planned} artifacts"));
    }

    pub fn finish(&self) {
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
