//! Which change broke a package: over revisions of the set, versions of what the package needs, and compilers.
//!
//! ```text
//! row       the points: revisions of the set, oldest first, with a compiler each      row
//! state     what a point makes of the package: versions, sources, compiler            ground, state
//! hunt      which point, then which single change, is the first that fails            hunt, search
//! bench     tries a state, and records what came of it                                bench
//! outcome   what was found, as plain data                                             outcome
//! ```
//!
//! All that is tried is recorded in one run, whose results do not count for where the package stands. What any run has
//! recorded of a state is not tried again, so a bisection that was killed goes on when it is started again.

mod bench;
pub mod ground;
pub mod hunt;
pub mod outcome;
pub mod row;
pub mod search;
pub mod state;

use std::sync::Arc;

use larder_engine::session::Session;
use larder_project::diagnostic::{Diagnostic, Diagnostics, suggest};
use larder_runs::{
    name::{Named, PackageName},
    progress::Phase,
    result::RunKind,
    run_log::Summary,
};

use self::{
    bench::Bench,
    ground::{Compilers, Ground},
    hunt::Hunt,
    outcome::{Found, Outcome, Point},
    row::Ends,
};
use crate::{
    catalogue::{Catalogue, VersionId},
    event::Reporter,
    revision::Repository,
    run::{self, BatchError, Memory, Request},
};

/// What is to be found out.
#[derive(Debug, Clone)]
pub struct Question {
    /// The package: one version of it, or the newest that each revision has.
    pub package: Named,
    /// The revisions.
    pub ends: Ends,
    /// The compiler, or those of both ends: one with which it fails, when absent.
    pub compilers: Option<Compilers>,
}

/// What came of a bisection.
#[derive(Debug)]
pub struct Report {
    /// Its run, counted.
    pub summary: Summary,
    /// What was found; none where it was told to stop.
    pub outcome: Option<Outcome>,
}

/// Why there was no bisection, or it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BisectError {
    /// As for any run.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It was told to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<larder_runs::Error> for BisectError {
    fn from(error: larder_runs::Error) -> Self {
        Self::Batch(error.into())
    }
}

impl From<Diagnostics> for BisectError {
    fn from(wrong: Diagnostics) -> Self {
        Self::Batch(wrong.into())
    }
}

/// Finds out what `question` asks of the set of `request`. Asked to end, it finishes what is running.
///
/// # Errors
/// Why nothing could be found out.
pub fn bisect(
    session: &Arc<Session>,
    request: &Request,
    question: &Question,
    reporter: &Arc<dyn Reporter>,
) -> Result<Report, BisectError> {
    let _finishing = session.processes.finish_parts();
    let Question { package, ends, compilers } = question;
    let packages = vec![package.clone()];
    let request = Request { kind: RunKind::Compare, packages, ..request.clone() };
    let repository = Repository::of(&request.directory).ok().flatten();
    let bad = match &ends.bad {
        None => None,
        Some(bad) => {
            let repository = Repository::required(&request.directory)?;
            Some(repository.check_out(&request.data, bad)?)
        }
    };
    let at_bad = bad.as_ref().map_or_else(|| request.clone(), |bad| bad.request(&request));
    let catalogue = run::read(&at_bad, Memory::Lost)?;
    let targets = run::targets(&catalogue, std::slice::from_ref(package))?;
    let entries = row::results(&request.data, package)?;
    let compilers = match compilers {
        Some(compilers) => known(&catalogue, compilers)?,
        None => {
            let failed = row::last_failure(&entries).and_then(|it| it.result.compiler.clone());
            let compiler = compiler(&catalogue, targets[0], failed)?;
            Compilers { good: compiler.clone(), bad: compiler }
        }
    };
    let until = bad.as_ref().map(|bad| &bad.commit);
    let points = if compilers.good != compilers.bad && ends.good.is_none() {
        // The same set with two compilers.
        let last = match (until, &repository) {
            (Some(until), Some(repository)) => row::at(repository, until, &compilers.bad)?,
            _ => row::now(&compilers.bad),
        };
        vec![Point { compiler: compilers.good.clone(), ..last.clone() }, last]
    } else {
        let repository = Repository::required(&request.directory)?;
        let good = match &ends.good {
            Some(good) => repository.commit(good)?,
            None => row::last_good(&request.data, &entries, package, &compilers.bad)?,
        };
        let mut points = row::points(&repository, &request.data, &good, until, &compilers.bad)?;
        if compilers.good != compilers.bad {
            let first = Point { compiler: compilers.good.clone(), ..points[0].clone() };
            points.insert(0, first);
        }
        points
    };
    let target = catalogue.get(targets[0]).id.clone();
    let named = vec![compilers.good.clone(), compilers.bad.clone()];
    let plan = run::plan(&request, vec![target], named);
    let run = run::begin(&request, plan, 0, &**reporter)?;
    for phase in [Phase::Blessings, Phase::Building] {
        run::enter(&run, phase, &**reporter)?;
    }
    let platform = larder_trace::host_platform().to_string();
    let bench = Bench::new(session, &request, reporter, &platform, run);
    let mut ground = Ground {
        session,
        request: &request,
        reporter,
        repository,
        package,
        points,
        entries,
        bench,
    };
    let count = ground.points.len();
    let hunted = match Hunt::new(&mut ground, count, &platform).run() {
        Err(BisectError::Interrupted) => None,
        hunted => Some(hunted?),
    };
    let Ground { points, bench, .. } = ground;
    let run = bench.into_run();
    run::enter(&run, Phase::Gc, &**reporter)?;
    let outcome = hunted.map(|hunted| {
        let new = hunted.attempts.iter().filter(|attempt| attempt.is_new()).count() as u64;
        let recorded = hunted.attempts.iter().filter(|attempt| attempt.recorded).count() as u64;
        let mut outcome = Outcome {
            schema_version: outcome::SCHEMA_VERSION,
            run_id: run.id().clone(),
            package: package.to_string(),
            points,
            failure: hunted.failure,
            found: hunted.found,
            attempts: hunted.attempts,
            recorded_attempts: recorded,
            new_attempts: new,
            commands: Vec::new(),
        };
        outcome.commands = commands(&outcome);
        outcome
    });
    if let Some(outcome) = &outcome {
        run::write_outcome(&run, outcome::FILE, outcome)?;
    }
    let run::Report { summary, .. } = run::end(run, outcome.is_none(), &**reporter)?;
    Ok(Report { summary, outcome })
}

/// The compilers, where the set has that of the bad end.
fn known(catalogue: &Catalogue, compilers: &Compilers) -> Result<Compilers, Diagnostics> {
    let names = || catalogue.compilers().map(|(_, compiler)| compiler.name.as_str());
    for wanted in [&compilers.good, &compilers.bad] {
        if !names().any(|name| name == wanted.as_str()) {
            let help = match suggest(wanted.as_str(), names()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the set has {}", names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("there is no compiler {wanted} in the set");
            return Err(Diagnostic::new(message).help(help).into());
        }
    }
    Ok(compilers.clone())
}

/// A compiler with which a package is built: the one with which it failed, if the set still has that.
fn compiler(
    catalogue: &Catalogue,
    target: VersionId,
    failed: Option<PackageName>,
) -> Result<PackageName, Diagnostics> {
    let of = || catalogue.compilers().filter(|(id, _)| catalogue.is_for(target, *id));
    let failed = failed.filter(|failed| of().any(|(_, compiler)| compiler.name == *failed));
    let first = || of().next().map(|(_, compiler)| compiler.name.clone());
    failed.or_else(first).ok_or_else(|| {
        let package = &catalogue.get(target).id;
        Diagnostic::new(format!("{package} is for none of the set's compilers")).into()
    })
}

/// Commands that show an outcome again.
fn commands(outcome: &Outcome) -> Vec<String> {
    let mut commands = Vec::new();
    let revision =
        |point: &Point| point.commit.as_ref().map(|commit| format!("{:.12}", commit.commit));
    let (first, last) = (&outcome.points[0], &outcome.points[outcome.points.len() - 1]);
    let mut ends = (first, last);
    if let Found::Change { after, until, .. } = &outcome.found {
        ends = (&outcome.points[*after], &outcome.points[*until]);
        if let (Some(from), Some(to)) = (revision(ends.0), revision(ends.1))
            && from != to
        {
            commands.push(format!("git diff {from} {to}"));
        }
    }
    if let Some(failing) = &outcome.failure
        && let (Some(run), Some(hash), Some(_)) =
            (&failing.run_id, &failing.build_hash, &failing.log)
    {
        let stage = failing.stage;
        commands.push(format!(
            "larder log {run} {} --stage {stage} --build {hash:.12}",
            failing.package
        ));
    }
    let compilers = match ends.0.compiler == ends.1.compiler {
        true => ends.1.compiler.to_string(),
        false => format!("{}..{}", ends.0.compiler, ends.1.compiler),
    };
    let mut again = format!("larder bisect {} --compiler {compilers}", outcome.package);
    if ends.0.commit != ends.1.commit {
        for (option, end) in [("--good", ends.0), ("--bad", ends.1)] {
            again += &revision(end).map_or(String::new(), |at| format!(" {option} {at}"));
        }
    }
    commands.push(again);
    commands
}
