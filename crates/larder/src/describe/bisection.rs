//! Bisections, as people read of them.

use larder_batch::bisect::{
    outcome::{Attempt, Evidence, Found, Outcome, Point},
    state::Change,
};
use larder_runs::name::PackageName;

use crate::commands::records::{plural, short};

/// An outcome in lines.
pub fn in_lines(outcome: &Outcome) -> Vec<String> {
    let package = &outcome.package;
    let mut lines = Vec::new();
    match &outcome.found {
        Found::Works => lines.push(format!("{package} does not fail at the bad end")),
        Found::BrokenBefore => lines.push(format!("{package} fails at the good end already")),
        Found::Flaky { at } => {
            lines.push(format!(
                "{package} is flaky: it works and fails, though nothing has changed"
            ));
            lines.push(format!("  at {at}"));
        }
        Found::Unknown { reason } => {
            lines.push(format!("nothing can be said of {package}"));
            lines.push(format!("  {reason}"));
        }
        Found::Change { after, until, changes, together_with, good, bad } => {
            lines.push(blame(package, changes));
            lines.extend(together_with.iter().map(|other| format!("  together with {other}")));
            lines.extend(commits(&outcome.points, *after, *until));
            if bad.attempts() > 0 {
                lines.push(format!("  {}", evidence(*good, *bad)));
            }
        }
    }
    if let Some(failing) = &outcome.failure {
        let roots: Vec<&str> = failing.roots.iter().map(PackageName::as_str).collect();
        let by = if roots.is_empty() { String::new() } else { format!(" by {}", roots.join(", ")) };
        lines.push(format!("failure: {}{by}", failing.category));
        lines.extend(failing.error.iter().map(|error| format!("  {error}")));
    }
    let unknown: Vec<String> = outcome.attempts.iter().filter_map(unknown).collect();
    if !unknown.is_empty() {
        lines.push("nothing is known of".to_owned());
        lines.extend(unknown.iter().map(|line| format!("  {line}")));
    }
    let tried = plural(outcome.new_attempts, "attempt");
    lines.push(format!(
        "{tried}, and {} recorded before; run {}",
        outcome.recorded_attempts, outcome.run_id
    ));
    lines.push("see it again:".to_owned());
    lines.extend(outcome.commands.iter().map(|command| format!("  {command}")));
    lines
}

fn blame(package: &str, changes: &[Change]) -> String {
    match changes {
        [] => format!("{package} has no solution any more"),
        [change] => format!("{package} was broken by {change}"),
        several => {
            let named: Vec<String> = several.iter().map(Change::to_string).collect();
            format!(
                "{package} was broken by one of {}: nothing between them can be tried",
                named.join(", ")
            )
        }
    }
}

/// Where the change came in.
fn commits(points: &[Point], after: usize, until: usize) -> Vec<String> {
    let between = &points[after + 1..=until];
    if points[after].commit == points[until].commit {
        return Vec::new();
    }
    between
        .iter()
        .map(|point| match &point.commit {
            None => "  in what is changed and not committed".to_owned(),
            Some(commit) => {
                let day = commit.date.get(..10).unwrap_or_default();
                format!(
                    "  in {} {:?}, {}, {day}",
                    short(&commit.commit),
                    commit.subject,
                    commit.author
                )
            }
        })
        .collect()
}

fn evidence(good: Evidence, bad: Evidence) -> String {
    format!(
        "works in {} of {} before it, fails in {} of {} with it",
        good.worked,
        good.attempts(),
        bad.failed,
        bad.attempts()
    )
}

/// Why nothing is known of a state that was looked at.
fn unknown(attempt: &Attempt) -> Option<String> {
    let otherwise = || {
        let failing = attempt.failing.as_ref().filter(|_| attempt.fails_otherwise())?;
        Some(format!("it fails in another way: {}", failing.category))
    };
    let why = attempt.reason.clone().or_else(otherwise)?;
    Some(format!("{}: {why}", attempt.label))
}
