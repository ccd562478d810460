//! `bisect`: which change broke a package.

use std::{str::FromStr, sync::Arc};

use clap::Args;
use larder_batch::{
    bisect::{
        self, Question,
        ground::Compilers,
        outcome::{Attempt, Evidence, Found, Outcome, Point},
        row::Ends,
        state::Change,
    },
    event::Reporter,
};
use larder_runs::{
    name::{Named, PackageName},
    result::RunKind,
    sanitise,
};
use serde_json::json;

use super::{
    App,
    batch::{self, BatchOptions, Show},
    records::{Data, event, plural, short},
};
use crate::exit::{Exit, Failure};

/// Find the change that broke a package: a commit, a version of what it needs, its own sources, a compiler
#[derive(Args)]
pub struct Bisect {
    /// The package: <name>.<version>, or the newest version of a <name> that each revision has
    #[arg(value_name = "PKG")]
    package: Named,
    /// A revision of the set at which it works [default: that of its last good result]
    #[arg(long, value_name = "REV")]
    good: Option<String>,
    /// A revision of the set at which it fails [default: the set as it is now]
    #[arg(long, value_name = "REV")]
    bad: Option<String>,
    /// The compiler [default: the one with which it failed last]; GOOD..BAD, where it works with the one and fails with
    /// the other
    #[arg(long, value_name = "NAME")]
    compiler: Option<CompilerRange>,
    #[command(flatten)]
    data: Data,
    /// How many commands, and how many packages, may be built at once [default: one per processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Do not confine the commands of packages: they see, and may change, all that you can
    #[arg(long)]
    no_sandbox: bool,
}

/// One compiler, or two with `..` between them.
#[derive(Clone)]
struct CompilerRange(Compilers);

impl FromStr for CompilerRange {
    type Err = larder_runs::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A name has no two dots in a row.
        let (good, bad) = text.split_once("..").unwrap_or((text, text));
        let name = |name: &str| name.parse::<PackageName>();
        Ok(Self(Compilers { good: name(good)?, bad: name(bad)? }))
    }
}

/// Runs `larder bisect`.
pub fn bisect(app: &App, arguments: Bisect) -> Result<Exit, Failure> {
    let Bisect { package, good, bad, compiler, data, jobs, no_sandbox } = arguments;
    let options = BatchOptions::new(data, jobs, no_sandbox);
    let asked = std::slice::from_ref(&package);
    let request = batch::request(app, &options, RunKind::Compare, asked)?;
    app.ends_commands()?;
    let session = app.session(jobs);
    let show = Arc::new(Show::new(app.ui.clone()));
    let reporter: Arc<dyn Reporter> = show.clone();
    let compilers = compiler.map(|CompilerRange(compilers)| compilers);
    let question = Question { package, ends: Ends { good, bad }, compilers };
    let report = bisect::bisect(&session, &request, &question, &reporter);
    show.finish();
    let report = report?;
    let Some(outcome) = report.outcome else {
        app.ui.status("interrupted: what was tried is recorded, and not tried again");
        return Ok(Exit::Interrupted);
    };
    let exit = match outcome.found {
        Found::Change { .. } => Exit::Done,
        _ => Exit::Failed,
    };
    let mut object = event("bisected", &outcome);
    object["exitCode"] = json!(exit.code());
    app.ui.event_json(&object);
    for line in describe(&outcome) {
        app.ui.result(&sanitise::line(&line));
    }
    Ok(exit)
}

/// An outcome in lines.
fn describe(outcome: &Outcome) -> Vec<String> {
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
    let other: Vec<&Attempt> =
        outcome.attempts.iter().filter(|attempt| attempt.reason.is_some()).collect();
    let others = outcome.attempts.iter().filter(|attempt| attempt.fails_otherwise());
    let others: Vec<&Attempt> = others.collect();
    if other.len() + others.len() > 0 {
        lines.push("nothing is known of".to_owned());
        for attempt in other.into_iter().chain(others) {
            let why = attempt.reason.clone().or_else(|| {
                let failing = attempt.failing.as_ref()?;
                Some(format!("it fails in another way: {}", failing.category))
            });
            lines.push(format!("  {}: {}", attempt.label, why.unwrap_or_default()));
        }
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
