//! Probes: commands that are run to see what they say.

use std::time::Instant;

use larder_trace::BuildTrace;

use super::{Owner, ToolUse};
use crate::{
    action::{Action, Discovery, text},
    artifact::Artifact,
    event::StepName,
    executor::{ExecuteError, Execution},
    job::{Built, Failed, Job},
};

/// Runs `tool`, which is known by `identity`, with `arguments` in every build. Its output and how it ended
/// are traced; it makes nothing.
pub(crate) fn probe(
    owner: &Owner,
    tool: ToolUse,
    identity: BuildTrace,
    arguments: Vec<String>,
) -> Job<Vec<Artifact>> {
    let owner = owner.clone();
    let name = format!("probe {} {}", tool.name, arguments.join(" "));
    owner.cx.go_ahead.clone().map(move |_| {
        let cx = &owner.cx;
        if cx.stopped() {
            return Err(Failed);
        }
        let started = Instant::now();
        let said = run(&owner, &tool, &arguments).map_err(|error| {
            if let ExecuteError::Failed(message) = error {
                let step = StepName { target: &owner.target, output: &name };
                cx.failed_before(step, &format!("{name}: {message}"), started.elapsed());
            }
            Failed
        })?;
        let answer = format!("{} ({})", said.printed.trim_end(), said.exit);
        let part =
            BuildTrace::nil(name.clone()).mix(identity).mix(BuildTrace::text("answer", answer));
        Ok(Built { value: Vec::new(), trace: BuildTrace::nil("probe").mix(part) })
    })
}

fn run(owner: &Owner, tool: &ToolUse, arguments: &[String]) -> Result<Execution, ExecuteError> {
    let cx = &owner.cx;
    let staging = cx.staging(false).map_err(|error| {
        ExecuteError::Failed(format!("cannot make a directory to run in: {error}"))
    })?;
    let action = Action {
        package: owner.place.name.clone(),
        runs_in: Default::default(),
        program: tool.program(cx),
        tools: Vec::new(),
        arguments: arguments.iter().map(text).collect(),
        environment: Default::default(),
        inputs: Default::default(),
        searched: Vec::new(),
        may_read: Default::default(),
        outputs: Vec::new(),
        discovery: Discovery::None,
        response_file: None,
        limits: Default::default(),
        in_place: None,
    };
    cx.executor.execute(&action, &owner.bench(staging.path()))
}
