//! What a build has to tell besides how it goes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use larder_engine::{
    build::BuildReport,
    diagnostics::{DiagnosticCounts, Finding, annotations, one_line, sarif},
};
use larder_trace::{atomic, describe_io};

use super::{App, here};
use crate::exit::{Exit, Failure};

/// The options of every command that builds about what it tells besides how it goes.
#[derive(Args, Default)]
pub struct Showing {
    /// Write the errors and warnings of compilers and linkers to FILE, as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Print errors and warnings as a CI service takes them; auto: github where GITHUB_ACTIONS is true
    #[arg(long, value_name = "SERVICE", value_enum, default_value_t)]
    annotations: Annotations,
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
    /// Tells what compilers and linkers had to say in a build: how often it was repeated, and to other programs
    /// in the forms that were asked for.
    pub fn tell_diagnostics(
        &self,
        app: &App,
        report: &BuildReport,
        exit: Exit,
    ) -> Result<(), Failure> {
        let findings = app.ui.tally.findings();
        tell_repeated(app, &findings);
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
        let log = sarif::log(&findings, &here, root, exit == Exit::Done);
        let text = format!("{log:#}\n");
        write(file, &text).map_err(|error| {
            Failure::failed(format!("cannot write {}: {}", file.display(), describe_io(&error)))
        })
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

/// Writes a file, whole or not at all; into what is no file, such as a pipe, just so.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    match file.metadata() {
        Ok(found) if !found.is_file() => fs::write(file, text),
        _ => atomic::write_if_changed(file, text.as_bytes()).map(|_| ()),
    }
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
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| {
        let plural = if *count == 1 { "" } else { "s" };
        format!(", {count} {word}{plural}")
    });
    parts.collect()
}
