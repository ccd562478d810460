//! Common builds: jobs for input files, objects, libraries, executables and commands, after Lake's
//! `Lake.Build.Common`. A build program of one's own calls these as larder's engine does.

mod command;
mod compile;
mod inputs;
mod link;

use std::sync::Arc;

use larder_trace::BuildTrace;

pub(crate) use command::run_command;
pub use command::{CommandBuild, build_command};
pub use compile::{Compile, build_o};
pub use inputs::{input_bin_file, input_dir, input_file, input_text_file};
pub use link::{
    Archive, Dynlib, Link, build_exe, build_shared_lib, build_shared_lib_of_static,
    build_static_lib, compute_dynlib_of_shared,
};

use crate::{
    action::{Action, ActionError},
    artifact::{Artifact, Output},
    context::Context,
    job::{Built, Failed, Job, collect},
    step::{Inputs, Step, Work},
};
use larder_project::place::Place;

/// The target that a build belongs to: what common builds need to know besides inputs and outputs.
#[derive(Clone)]
pub struct Owner {
    /// The build.
    pub cx: Arc<Context>,
    /// The package.
    pub place: Arc<Place>,
    /// The target's name, for people.
    pub target: Arc<str>,
    /// Whether outputs are wanted on disk even when nothing here needs them there.
    pub keep: bool,
}

impl Owner {
    fn step(
        &self,
        outputs: Vec<Output>,
        prefix: impl Into<Arc<BuildTrace>>,
        work: Box<Work>,
    ) -> Step {
        let (place, target) = (self.place.clone(), self.target.clone());
        let prefix = prefix.into();
        Step { place, target, outputs, prefix, keep: self.keep, work }
    }
}

/// Runs a step on inputs that are there.
fn run_step(step: Step, cx: &Context, inputs: Inputs<'_>) -> Result<Built<Vec<Artifact>>, Failed> {
    let step = Arc::new(step);
    let value = step.clone().run(cx, inputs)?;
    let parts = step.outputs.iter().zip(&value);
    let trace = BuildTrace::nil("outputs")
        .mix_all(parts.map(|(output, artifact)| artifact.trace(output.path.clone())));
    Ok(Built { value, trace })
}

/// [`run_step`] for a step with one output.
fn run_single(step: Step, cx: &Context, inputs: Inputs<'_>) -> Result<Built<Artifact>, Failed> {
    let step = Arc::new(step);
    let value = step.clone().run(cx, inputs)?.into_iter().next().ok_or(Failed)?;
    let trace = value.trace(step.outputs[0].path.clone());
    Ok(Built { value, trace })
}

/// Builds `file` after `dep`, when the trace of the dependency or of `extra` has changed (Lake's
/// `buildFileAfterDep`). `extra` is computed in the job, before building.
pub fn build_file_after_dep(
    owner: Owner,
    file: impl Into<String>,
    dep: &Job<Artifact>,
    extra: impl FnOnce() -> BuildTrace + Send + 'static,
    work: impl Fn(&mut Action<'_>) -> Result<(), ActionError> + Send + Sync + 'static,
) -> Job<Artifact> {
    let output = Output::file(file);
    owner.cx.expect(1);
    dep.map(move |dep| {
        let step = owner.step(vec![output], extra(), Box::new(work));
        run_single(step, &owner.cx, dep.into())
    })
}

/// Builds `file` after all of `deps`, a collection of any kind, when the trace of one of them or of
/// `extra` has changed (Lake's `buildFileAfterDepList` and `buildFileAfterDepArray`).
pub fn build_file_after_deps(
    owner: Owner,
    file: impl Into<String>,
    deps: impl IntoIterator<Item = Job<Artifact>>,
    extra: impl FnOnce() -> BuildTrace + Send + 'static,
    work: impl Fn(&mut Action<'_>) -> Result<(), ActionError> + Send + Sync + 'static,
) -> Job<Artifact> {
    let output = Output::file(file);
    owner.cx.expect(1);
    collect(&owner.cx.scheduler.clone(), deps).map(move |deps| {
        let step = owner.step(vec![output], extra(), Box::new(work));
        run_single(step, &owner.cx, deps.into())
    })
}
