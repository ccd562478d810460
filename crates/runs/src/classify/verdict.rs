//! Deciding: how the process ended, weighed with what its log said.

use super::Classification;
use super::rules::{Rule, Rules, Weight};
use super::scan::{Evidence, Finding};
use crate::Category;
use crate::result::{Exit, Stage};

/// A build that printed this many lines after weather had survived it.
const SURVIVED: u64 = 1000;

/// The signals by which a process ends itself, with their names.
const CRASHES: [(i32, &str); 7] = [
    (4, "illegal instruction"),
    (5, "trap"),
    (6, "aborted"),
    (7, "bus error"),
    (8, "arithmetic error"),
    (11, "segmentation fault"),
    (31, "bad system call"),
];
/// The signals by which others end it: interrupt, quit, kill, terminate, processor time, file size.
const KILLS: [i32; 6] = [2, 3, 9, 15, 24, 25];

/// The error of a process that was stopped for its log.
pub(crate) const LOG_LIMIT: &str = "stopped because its log had grown to its limit";

/// Decides what happened to a process that ended like this; where that is not known, by its log alone.
pub(super) fn decide(
    rules: &Rules,
    stage: Stage,
    exit: Option<&Exit>,
    evidence: &Evidence,
) -> Classification {
    let log = Log { rules, evidence };
    let Some(exit) = exit else {
        let as_it_is = |(rule, finding): (&Rule, _)| of(rule.category.clone(), rule, finding);
        return log.best().map_or_else(success, as_it_is);
    };
    if exit.code == Some(0) && exit.signal.is_none() && !exit.timed_out && !exit.out_of_memory {
        return success();
    }
    if exit.out_of_memory {
        return log.explained(Category::OutOfMemory, "stopped because memory ran out");
    }
    if exit.timed_out {
        return log.explained(Category::Timeout, "stopped because it took too long");
    }
    if exit.log_limit || log.is_cut() {
        return match log.deciding() {
            Some((rule, finding)) => found(rule, stage, finding),
            None => log.explained(Category::LogLimit, LOG_LIMIT),
        };
    }
    if let Some((rule, finding)) = log.first(|rule| rule.weight == Weight::Decisive) {
        return found(rule, stage, finding);
    }
    if let Some(signal) = exit.signal.or_else(|| exit.code.and_then(reported_by_a_shell)) {
        return signalled(&log, signal);
    }
    match log.best() {
        Some((rule, finding)) => found(rule, stage, finding),
        None => Classification {
            category: unexplained(stage),
            rule: "exit".to_owned(),
            error: Some(match (&evidence.last, exit.code) {
                (Some(last), _) => last.text.clone(),
                (None, Some(code)) => format!("exit code {code}"),
                (None, None) => "it failed".to_owned(),
            }),
            line: evidence.last.as_ref().map(|last| last.line),
            offset: evidence.last.as_ref().map(|last| last.offset),
        },
    }
}

/// The signal that ended a command, where a shell reports it as an exit code.
fn reported_by_a_shell(code: i32) -> Option<i32> {
    let signal = code.checked_sub(128)?;
    let known = KILLS.contains(&signal) || CRASHES.iter().any(|(crash, _)| *crash == signal);
    known.then_some(signal)
}

/// Decides about a process that a signal ended: by what it lacked, if it said so, else by the signal.
fn signalled(log: &Log<'_>, signal: i32) -> Classification {
    let lacked = |rule: &Rule| matches!(rule.category, Category::OutOfMemory | Category::DiskFull);
    if let Some((rule, finding)) = log.first(lacked) {
        return found(rule, Stage::Build, finding);
    }
    match CRASHES.iter().find(|(crash, _)| *crash == signal) {
        Some((_, name)) => {
            log.explained(Category::Crash, &format!("ended by signal {signal} ({name})"))
        }
        None => log.explained(Category::Killed, &format!("killed by signal {signal}")),
    }
}

/// The category of a failure of which nothing more is known.
fn unexplained(stage: Stage) -> Category {
    match stage {
        Stage::Solve => Category::NoSolution,
        Stage::Build => Category::BuildFailure,
        Stage::Test => Category::TestFailure,
        Stage::Doc => Category::DocCompileFailure,
    }
}

fn success() -> Classification {
    Classification {
        category: Category::Success,
        rule: "exit".to_owned(),
        error: None,
        line: None,
        offset: None,
    }
}

/// Puts what a rule found in terms of the stage.
fn found(rule: &Rule, stage: Stage, finding: &Finding) -> Classification {
    let category = match rule.category {
        Category::BuildFailure if rule.weight == Weight::Summary => unexplained(stage),
        // A compiler's error is one in tests as well; in documentation it is the documentation's.
        Category::BuildFailure if stage == Stage::Doc => Category::DocCompileFailure,
        // What was built had a solution, and its dependencies: that a tool of its own misses some is its failure.
        Category::NoSolution if stage != Stage::Solve => Category::BuildFailure,
        Category::DependencyFailure => Category::BuildFailure,
        _ => rule.category.clone(),
    };
    of(category, rule, finding)
}

fn of(category: Category, rule: &Rule, finding: &Finding) -> Classification {
    Classification {
        category,
        rule: rule.name.clone(),
        error: Some(finding.text.clone()),
        line: Some(finding.line),
        offset: Some(finding.offset),
    }
}

/// A log with the rules that say what it means.
struct Log<'a> {
    rules: &'a Rules,
    evidence: &'a Evidence,
}

impl<'a> Log<'a> {
    /// The first rule of these that found something.
    fn first(&self, of: impl Fn(&Rule) -> bool) -> Option<(&'a Rule, &'a Finding)> {
        let traces = self.rules.rules.iter().zip(&self.evidence.traces);
        traces.filter(|(rule, _)| of(rule)).find_map(|(rule, trace)| {
            let survived = rule.weight != Weight::Decisive
                && rule.category.is_weather()
                && self.evidence.lines.saturating_sub(trace.latest) > SURVIVED;
            Some((rule, trace.found.as_ref().filter(|_| !survived)?))
        })
    }

    /// The rule that decides by the log alone.
    fn best(&self) -> Option<(&'a Rule, &'a Finding)> {
        self.deciding()
            .or_else(|| self.first(|rule| rule.category == Category::LogLimit))
            .or_else(|| self.first(|rule| rule.weight == Weight::Summary))
    }

    /// The rule that found an error which says what is wrong. That a log was cut says it of the log only.
    fn deciding(&self) -> Option<(&'a Rule, &'a Finding)> {
        let of = |rule: &Rule, weight| rule.weight == weight && rule.category != Category::LogLimit;
        let specific = |rule: &Rule| of(rule, Weight::Specific);
        self.first(|rule| of(rule, Weight::Decisive))
            .or_else(|| self.first(|rule| specific(rule) && rule.category.is_weather()))
            .or_else(|| self.first(specific))
    }

    /// Whether the log says that it was cut.
    fn is_cut(&self) -> bool {
        self.first(|rule| rule.category == Category::LogLimit).is_some()
    }

    /// A category that the exit has settled, with the line that says so as well, if there is one.
    fn explained(&self, category: Category, otherwise: &str) -> Classification {
        let line = self.first(|rule| rule.category == category);
        Classification {
            category,
            rule: line.map_or("exit", |(rule, _)| rule.name.as_str()).to_owned(),
            error: Some(line.map_or(otherwise, |(_, finding)| finding.text.as_str()).to_owned()),
            line: line.map(|(_, finding)| finding.line),
            offset: line.map(|(_, finding)| finding.offset),
        }
    }
}
