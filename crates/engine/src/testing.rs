//! `larder test`: runs what a package calls its tests, as soon as each is built.

use std::{sync::Arc, time::Instant};

use larder_trace::{BuildTrace, describe_io};

use crate::{
    artifact::Artifact,
    builds::{CommandBuild, Owner},
    event::Event,
    executor::{ExecuteError, Execution},
    job::{Built, Failed, Flow, Job},
    step::Elided,
};
use larder_project::{
    diagnostic::Diagnostic,
    plan::{PackageId, Plan, TargetId},
};

/// Whether a target is a test: an executable or a command with `test = true`.
pub fn is_test(plan: &Plan, id: TargetId) -> bool {
    plan.target(id).is_test()
}

/// The tests among `asked`, or all of the root package when nothing is asked for.
///
/// # Errors
/// Something asked for is not a test.
pub fn select(plan: &Plan, asked: &[TargetId], all: bool) -> Result<Vec<TargetId>, Diagnostic> {
    if all {
        return Ok(plan
            .ids()
            .filter(|&id| plan.target(id).package == PackageId::ROOT && is_test(plan, id))
            .collect());
    }
    let tests: Vec<TargetId> = asked.iter().copied().filter(|&id| is_test(plan, id)).collect();
    match asked.iter().find(|&&id| {
        // `lua` may name a library besides the executable that is the test.
        !tests.iter().any(|test| plan.target(*test).name == plan.target(id).name)
    }) {
        None => Ok(tests),
        Some(&id) => {
            let message = format!("`{}` is not a test", plan.target(id).label);
            Err(Diagnostic::new(message)
                .help("tests are executables and commands with `test = true`"))
        }
    }
}

/// A job that runs a test when its inputs are there. It fails when the test does.
pub(crate) fn run_test(
    owner: Owner,
    inputs: &Job<Vec<Artifact>>,
    command: CommandBuild,
) -> Job<Vec<Artifact>> {
    inputs.flow(move |inputs| {
        let cx = owner.cx.clone();
        let elided: Vec<Arc<Elided>> =
            inputs.value.iter().filter_map(|input| input.elided.clone()).collect();
        let inputs = inputs.value.clone();
        let ready = Elided::fetch_all(&cx, &elided);
        Flow::Continued(ready.flow(move |_| {
            let go_ahead = cx.go_ahead.clone();
            Flow::Continued(go_ahead.map(move |_| run(&owner, &inputs, &command)))
        }))
    })
}

fn run(
    owner: &Owner,
    inputs: &[Artifact],
    command: &CommandBuild,
) -> Result<Built<Vec<Artifact>>, Failed> {
    let cx = &owner.cx;
    if cx.stopped() {
        return Err(Failed);
    }
    let started = Instant::now();
    let (failure, output) = match execute(owner, inputs, command) {
        Ok(Execution { exit, refusals, printed, .. }) => {
            let mut failure = exit.to_string();
            refusals.iter().for_each(|refusal| failure += &format!("\n{refusal}"));
            ((!exit.success()).then_some(failure), printed)
        }
        Err(ExecuteError::Interrupted) => return Err(Failed),
        Err(ExecuteError::Failed(message)) => (Some(message), String::new()),
    };
    cx.report(&Event::Tested {
        target: &owner.target,
        failure: failure.as_deref(),
        output: output.trim_end(),
        took: started.elapsed(),
    });
    match failure {
        None => Ok(Built { value: Vec::new(), trace: BuildTrace::nil("test") }),
        Some(_) => Err(Failed),
    }
}

fn execute(
    owner: &Owner,
    inputs: &[Artifact],
    command: &CommandBuild,
) -> Result<Execution, ExecuteError> {
    let cx = &owner.cx;
    let staging = cx.staging(false).map_err(|error| {
        ExecuteError::Failed(format!("cannot make a directory to run in: {}", describe_io(&error)))
    })?;
    let action = command.action_of(cx, &owner.place, &[], inputs)?;
    cx.executor.execute(&action, &owner.bench(staging.path()))
}
