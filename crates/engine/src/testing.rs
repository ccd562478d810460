//! `larder test`: runs what a package calls its tests, as soon as each is built.

use std::time::Instant;

use larder_trace::{BuildTrace, Level};

use crate::{
    action::{Action, ActionError},
    artifact::Artifact,
    builds::{CommandBuild, Owner, run_command},
    event::Event,
    job::{Built, Failed, Job},
    step::{Step, materialize},
};
use larder_project::{
    diagnostic::Diagnostic,
    plan::{Declared, Plan, TargetId},
};

/// Whether a target is a test: an executable or a command with `test = true`.
pub fn is_test(plan: &Plan, id: TargetId) -> bool {
    let target = plan.target(id);
    let manifest = &plan.package_of(target).manifest;
    match target.declared {
        Declared::Executable(index) => {
            manifest.executables[index].test
                && target.facet == Some(larder_project::name::Facet::Exe)
        }
        Declared::Command(index) => manifest.commands[index].test,
        Declared::Library(_) => false,
    }
}

/// The tests among `asked`, or all of the root package when nothing is asked for.
///
/// # Errors
/// Something asked for is not a test.
pub fn select(plan: &Plan, asked: &[TargetId], all: bool) -> Result<Vec<TargetId>, Diagnostic> {
    if all {
        return Ok(plan
            .ids()
            .filter(|&id| plan.target(id).package == 0 && is_test(plan, id))
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
    inputs.map(move |inputs| {
        let cx = &owner.cx;
        let inputs = materialize(cx, inputs.into())?;
        if !cx.may_change() || cx.stopped() {
            return Err(Failed);
        }
        let started = Instant::now();
        let step = Step {
            place: owner.place.clone(),
            target: owner.target.clone(),
            outputs: Vec::new(),
            prefix: BuildTrace::nil("test").into(),
            keep: false,
            work: Box::new(|_| Ok(())),
        };
        let staging = cx.staging_directory();
        let (result, log) = match &staging {
            Err(error) => (Err(ActionError::Failed(error.to_string())), Vec::new()),
            Ok(staging) => {
                let mut action = Action::new(cx, &step, &inputs.value, staging.path());
                (run_command(&mut action, &command), action.log.0)
            }
        };
        let failure = match result {
            Ok(()) => None,
            Err(ActionError::Interrupted) => return Err(Failed),
            Err(ActionError::Failed(message)) => Some(message),
        };
        let output = log.iter().filter(|entry| entry.level > Level::Trace);
        let output: Vec<&str> = output.map(|entry| entry.message.as_str()).collect();
        cx.report(&Event::Tested {
            target: &owner.target,
            failure: failure.as_deref(),
            output: &output.join("\n"),
            took: started.elapsed(),
        });
        match failure {
            None => Ok(Built { value: Vec::new(), trace: BuildTrace::nil("test") }),
            Some(_) => Err(Failed),
        }
    })
}
