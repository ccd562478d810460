//! The diagnostics of one build, each counted once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_trace::{Diagnostic, Level, LogEntry};
use serde::Serialize;

use super::{ansi, one_line};
use crate::{
    event::{Ended, Status, StepName},
    testing::Tested,
};

/// How many different diagnostics there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticCounts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

/// A diagnostic, and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// The diagnostic.
    pub diagnostic: Diagnostic,
    /// The target that said it first.
    pub target: String,
    /// The first output of the step that said it first.
    pub output: String,
    /// How many steps said it.
    pub steps: usize,
    /// What failed, where no tool said a reason that could be told apart.
    pub failure: Option<Failure>,
}

/// A step that failed without a word that is a diagnostic, or a test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which of them.
    pub kind: FailureKind,
    /// The command line, where one was run.
    pub command: Option<String>,
    /// The end of what it printed, without colours.
    pub printed: String,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A step of the build.
    Step,
    /// A test.
    Test,
}

/// Other output of a step.
struct Text {
    level: Level,
    target: String,
    output: String,
    first_line: String,
}

#[derive(Default)]
struct Noted {
    findings: BTreeMap<(Diagnostic, Level), Finding>,
    texts: Vec<Text>,
}

/// Counts the diagnostics of a build as its steps end.
#[derive(Default)]
pub struct Tally(Mutex<Noted>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how a step ended and of what it printed. Returns for each entry whether it says something new;
    /// text that is no diagnostic always does. A step that failed and gave no error as a reason is an error itself.
    pub fn note(&self, step: StepName<'_>, ended: &Ended<'_>) -> Vec<bool> {
        let new = self.note_log(step, ended.log);
        let said_why = |entry: &LogEntry| entry.level == Level::Error && entry.diagnostic.is_some();
        if ended.status == Status::Failed && !ended.log.iter().any(said_why) {
            let printed: Vec<&str> = ended.log.iter().map(|entry| &*entry.message).collect();
            let failure = Failure {
                kind: FailureKind::Step,
                command: ended.command.map(str::to_owned),
                printed: last_lines(&printed.join("\n")),
            };
            let why = ended.error.unwrap_or("it failed");
            self.fail(step.target, step.output, &format!("{step}: {why}"), failure);
        }
        new
    }

    /// Takes note of the result of a test.
    pub fn note_test(&self, target: &str, tested: &Tested) {
        if let Some(why) = &tested.last().failure {
            let printed = last_lines(&tested.last().output);
            let failure = Failure { kind: FailureKind::Test, command: None, printed };
            self.fail(target, "", &format!("test {target}: {why}"), failure);
        }
    }

    fn fail(&self, target: &str, output: &str, message: &str, failure: Failure) {
        let message = message.lines().next().unwrap_or_default().to_owned();
        let diagnostic = Diagnostic { message, ..Diagnostic::default() };
        let finding = Finding {
            level: Level::Error,
            diagnostic: diagnostic.clone(),
            target: target.to_owned(),
            output: output.to_owned(),
            steps: 1,
            failure: Some(failure),
        };
        self.lock().findings.insert((diagnostic, Level::Error), finding);
    }

    fn note_log(&self, step: StepName<'_>, log: &[LogEntry]) -> Vec<bool> {
        if log.is_empty() {
            return Vec::new();
        }
        let mut noted = self.lock();
        let (target, output) = (step.target, step.output);
        let mut own = Vec::new();
        let mut new = Vec::with_capacity(log.len());
        for entry in log {
            let Some(diagnostic) = &entry.diagnostic else {
                let first_line = entry.message.lines().next().unwrap_or_default().to_owned();
                let (target, output) = (target.to_owned(), output.to_owned());
                noted.texts.push(Text { level: entry.level, target, output, first_line });
                new.push(true);
                continue;
            };
            let key = ((**diagnostic).clone(), entry.level);
            // A step that says the same twice, as of two instances of a template, says it once.
            let again = own.contains(&key);
            if let Some(known) = noted.findings.get_mut(&key) {
                known.steps += usize::from(!again);
                new.push(false);
            } else {
                let finding = Finding {
                    level: entry.level,
                    diagnostic: key.0.clone(),
                    target: target.to_owned(),
                    output: output.to_owned(),
                    steps: 1,
                    failure: None,
                };
                noted.findings.insert(key.clone(), finding);
                new.push(true);
            }
            if !again {
                own.push(key);
            }
        }
        new
    }

    /// Returns the errors and warnings, by file and line.
    pub fn findings(&self) -> Vec<Finding> {
        let noted = self.lock();
        let counted = noted.findings.values().filter(|finding| finding.level >= Level::Warning);
        counted.cloned().collect()
    }

    /// Returns how many errors and warnings there are.
    pub fn counts(&self) -> DiagnosticCounts {
        let noted = self.lock();
        let of = |level| noted.findings.values().filter(|finding| finding.level == level).count();
        DiagnosticCounts { errors: of(Level::Error), warnings: of(Level::Warning) }
    }

    /// Returns in a line each what was printed of `level` or above, with the targets that did.
    pub fn at_least(&self, level: Level) -> Vec<String> {
        let noted = self.lock();
        let findings = noted.findings.values().filter(|finding| finding.level >= level);
        let texts = noted.texts.iter().filter(|text| text.level >= level);
        let findings = findings.map(|Finding { target, output, diagnostic, .. }| {
            format!("{target} {output}: {}", one_line(diagnostic))
        });
        let texts = texts.map(|Text { target, output, first_line, .. }| {
            format!("{target} {output}: {first_line}")
        });
        findings.chain(texts).collect()
    }
}

/// Returns the last lines of what a command printed, without colours: enough to see why it failed.
fn last_lines(printed: &str) -> String {
    const LINES: usize = 20;
    const LENGTH: usize = 200;
    let lines: Vec<&str> = printed.trim_end().lines().collect();
    let shown = lines[lines.len().saturating_sub(LINES)..].iter().map(|line| {
        let line: String = ansi::plain(line).chars().filter(|c| !c.is_control()).collect();
        match line.char_indices().nth(LENGTH) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}
