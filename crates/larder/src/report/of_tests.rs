//! The results of a build's tests, as cases.

use std::time::Duration;

use larder_engine::{
    build::BuildReport,
    testing::{self, Tested},
};

use super::junit::{self, Attempt, Case, Failure, Outcome, Suite};

/// Returns the results of a build's tests: a suite for each package.
pub fn suites(report: &BuildReport) -> Vec<Suite> {
    let mut tests: Vec<_> = report
        .tests
        .iter()
        .map(|(id, tested)| {
            let target = report.plan.target(*id);
            (&report.plan.package_of(target).place.name, &target.name, tested)
        })
        .collect();
    // Those of a package together, else in the order of the manifest.
    tests.sort_by_key(|(package, ..)| *package);
    junit::suites(tests.into_iter().map(|(package, name, tested)| {
        let outcome = match tested {
            Some(tested) => outcome(tested),
            None => Outcome::NotTried(not_run(report.interrupted)),
        };
        let case = Case { name: name.to_string(), class: package.clone(), outcome };
        (package.clone(), case)
    }))
}

fn not_run(interrupted: bool) -> String {
    match interrupted {
        true => "it was not run: the run was interrupted".to_owned(),
        false => "it was not run: what it needs is not built".to_owned(),
    }
}

fn outcome(tested: &Tested) -> Outcome {
    match tested.outcome {
        testing::Outcome::Cached => Outcome::Known(attempt(tested.last(), Duration::ZERO)),
        _ => Outcome::Tried(tested.attempts.iter().map(|it| attempt(it, it.took)).collect()),
    }
}

fn attempt(attempt: &testing::Attempt, took: Duration) -> Attempt {
    let kind = if attempt.timed_out { "timeout" } else { "failure" };
    let failure = attempt.failure.as_ref();
    let failure =
        failure.map(|message| Failure { kind: kind.to_owned(), message: message.clone() });
    Attempt { failure, took, output: attempt.output.clone() }
}
