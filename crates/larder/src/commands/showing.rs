//! What a build has to tell besides how it goes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use larder_engine::{
    build::BuildReport,
    diagnostics::{DiagnosticCounts, Finding, annotations, one_line, sarif, unmade},
    timeline::{Timeline, trace_events},
};
use larder_trace::{atomic, describe_io};
use serde_json::json;

use super::{App, here};
use crate::{
    exit::{Exit, Failure},
    ui::seconds,
};

/// The options of every command that builds about what it tells besides how it goes.
#[derive(Args, Default)]
pub struct Showing {
    /// Write the errors and warnings of compilers and linkers to FILE, as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Print errors and warnings as a CI service takes them; auto: github where GITHUB_ACTIONS is true
    #[arg(long, value_name = "SERVICE", value_enum, default_value_t)]
    annotations: Annotations,
    /// Write where the time went to FILE, in Chrome's trace event format
    #[arg(long, value_name = "FILE")]
    trace_events: Option<PathBuf>,
    /// Say at the end where the time went, and what replaying and restoring saved
    #[arg(long)]
    summary: bool,
}

/// Who reads annotations.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Annotations {
    #[default]
    Auto,
    Github,
    None,
}

impl Showing {
    /// Tells what a build had to tell besides how it went, and where its time went.
    pub fn tell(
        &self,
        app: &App,
        report: &BuildReport,
        exit: Exit,
        timeline: Option<&Timeline>,
    ) -> Result<(), Failure> {
        self.tell_diagnostics(app, report, exit)?;
        timeline.map_or(Ok(()), |timeline| self.tell_time(app, report, timeline))
    }

    /// Tells what compilers and linkers had to say in a build: how often it was repeated, and to other programs
    /// in the forms that were asked for.
    fn tell_diagnostics(&self, app: &App, report: &BuildReport, exit: Exit) -> Result<(), Failure> {
        let findings = app.ui.tally.findings();
        tell_repeated(app, &findings);
        unmade(&report.plan, &findings).iter().for_each(|one| app.ui.status(&one.to_string()));
        let Ok(here) = std::path::absolute(here()) else { return Ok(()) };
        let root = &report.plan.workspace.root;
        if self.annotates(app) {
            let repository = app.environment.get("GITHUB_WORKSPACE").map(Path::new);
            let repository = repository.unwrap_or(root);
            for finding in &findings {
                app.ui.annotation(&annotations::github(finding, &here, repository));
            }
        }
        let Some(file) = &self.sarif else { return Ok(()) };
        // Where a service reads it, paths start where the repository does.
        let repository = app.environment.get("GITHUB_WORKSPACE").map(Path::new);
        let base = repository.filter(|repository| root.starts_with(repository)).unwrap_or(root);
        let declared = |label: &str| {
            let (file, line) = report.plan.declared_at(label)?;
            Some((file.to_owned(), line))
        };
        let places = sarif::Places { here: &here, base, declared: &declared };
        let log = sarif::log(&findings, &places, exit.code());
        write_file(file, &format!("{log:#}\n"))
    }

    /// Returns what takes note of where the time goes, where that is to be told.
    pub fn timeline(&self, app: &App) -> Option<Arc<Timeline>> {
        let wanted = self.trace_events.is_some() || self.summary || app.global.verbose > 0;
        wanted.then(Arc::default)
    }

    /// Tells where the time of a build went.
    fn tell_time(
        &self,
        app: &App,
        report: &BuildReport,
        timeline: &Timeline,
    ) -> Result<(), Failure> {
        if self.summary || app.global.verbose > 0 {
            summarize_time(app, report, timeline);
        }
        let Some(file) = &self.trace_events else { return Ok(()) };
        let events = trace_events(&timeline.spans());
        write_file(file, &format!("{events}\n"))
    }

    fn annotates(&self, app: &App) -> bool {
        match self.annotations {
            Annotations::Github => true,
            Annotations::None => false,
            Annotations::Auto => {
                app.environment.get("GITHUB_ACTIONS").is_some_and(|value| value == "true")
            }
        }
    }
}

/// Says where the time of a build went: the chain of steps that decided it, and what was saved.
fn summarize_time(app: &App, report: &BuildReport, timeline: &Timeline) {
    let path = timeline.critical_path();
    let saved = timeline.what_was_saved();
    let cpu = timeline.commands_cpu();
    app.ui.event_json(&json!({
        "event": "summary",
        "milliseconds": report.took.as_millis() as u64,
        "commandsCpuMilliseconds": cpu.as_millis() as u64,
        "criticalPath": path.iter().map(|step| json!({
            "step": step.name,
            "status": step.status,
            "milliseconds": step.took.as_millis() as u64,
        })).collect::<Vec<_>>(),
        "saved": saved,
    }));
    let (took, cpu) = (seconds(report.took), seconds(cpu));
    app.ui.status(&format!("took {took}; commands had {cpu} of processors"));
    if !path.is_empty() {
        let length = seconds(path.iter().map(|step| step.took).sum());
        app.ui.status(&format!("critical path: {length} in {}", count(path.len(), "step")));
        for step in &path {
            app.ui.status(&format!("  {:>8}  {}", seconds(step.took), step.name));
        }
    }
    if saved.steps > 0 {
        let time = seconds(Duration::from_millis(saved.milliseconds));
        let steps = count(saved.steps, "step");
        let known = match saved.known_steps == saved.steps {
            true => String::new(),
            false => format!("; how long is known of {}", saved.known_steps),
        };
        app.ui.status(&format!("saved {time}: {steps} replayed or restored{known}"));
    }
}

/// A number of things.
pub fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

/// Writes a file, whole or not at all; into what is no file, such as a pipe, just so.
fn write_file(file: &Path, text: &str) -> Result<(), Failure> {
    let written = match file.metadata() {
        Ok(found) if !found.is_file() => fs::write(file, text),
        _ => atomic::write_if_changed(file, text.as_bytes()).map(|_| ()),
    };
    written.map_err(|error| {
        Failure::failed(format!("cannot write {}: {}", file.display(), describe_io(&error)))
    })
}

/// Says how many further steps said what was shown once.
fn tell_repeated(app: &App, findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.steps > 1) {
        let line = one_line(&finding.diagnostic);
        app.ui.status(&format!("{line}: and in {} more", finding.steps - 1));
    }
}

/// How many errors and warnings there were, as the end of a line.
pub fn describe_diagnostics(counts: DiagnosticCounts) -> String {
    let DiagnosticCounts { errors, warnings } = counts;
    let parts = [(errors, "error"), (warnings, "warning")];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, word)| format!(", {}", count(number, word))).collect()
}
