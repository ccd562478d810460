//! `bisect`: which change broke a package.

use std::{str::FromStr, sync::Arc};

use clap::Args;
use larder_batch::{
    bisect::{self, Question, ground::Compilers, outcome::Found, row::Ends},
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
    records::{Data, event},
};
use crate::{
    describe::bisection,
    exit::{Exit, Failure},
    report::{ReportFile, of_bisection},
};

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
    /// Write a report to FILE: .md, .json, or .xml for JUnit; may be given several times
    #[arg(long, value_name = "FILE")]
    report: Vec<ReportFile>,
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
    let Bisect { package, good, bad, compiler, data, jobs, no_sandbox, report } = arguments;
    let options = BatchOptions::new(data, jobs, no_sandbox, report);
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
    for line in bisection::in_lines(&outcome) {
        app.ui.result(&sanitise::line(&line));
    }
    batch::write_report(app, &options, || Ok(of_bisection::report(&request.data, &outcome)))?;
    Ok(exit)
}
