//! Common builds: jobs for input files, objects, libraries, executables and commands, after Lake's
//! `Lake.Build.Common`. A build program of one's own calls these as larder itself does.

mod assemble;
mod check;
mod command;
mod compile;
mod config;
mod inputs;
mod link;
mod precompile;
mod probe;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{path::BuildPath, place::Place};
use larder_trace::{BuildTrace, ContentHash};

pub use check::{Answer, Check, Linking, Program as CheckProgram, build_answer};
pub(crate) use check::{declares, function, header, size, size_in, type_of};
pub use command::{CommandBuild, CommandProgram, Machine, Word, build_command};
pub use compile::{Compile, Dialect, ObjectSource, SearchPath, SourceOf, build_o, build_objects};
pub use config::{Answered, Config, Notation, build_config};
pub(crate) use inputs::{as_text, directory_trace, program_file, system_file, unreadable};
pub use inputs::{input_bin_file, input_dir, input_file, input_text_file};
pub use link::{
    Archive, Dynlib, Link, LinkKind, build_exe, build_shared_lib, build_shared_lib_and_import,
    build_shared_lib_of_static, build_static_lib, compute_dynlib_of_shared,
};
pub(crate) use link::{nth, single};
pub use precompile::{Included, Precompile, PrecompiledForm, build_precompiled};
pub(crate) use probe::probe;

use crate::{
    action::{self, Argument, Output, Program},
    artifact::Artifact,
    context::Context,
    executor::Bench,
    job::{Built, Failed, Flow, Job, collect},
    pool::Lane,
    step::{Inputs, Step, Work},
};

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
    /// Where an action of this target runs that keeps no outputs: a probe, a test.
    pub(crate) fn bench<'a>(&'a self, staging: &'a Path) -> Bench<'a> {
        Bench {
            places: &self.cx.places,
            place: &self.place,
            target: &self.target,
            tools: &self.cx.tools,
            staging,
            flat: false,
            lane: Lane::Local,
            patience: None,
        }
    }

    fn step(&self, output: Output, prefix: impl Into<Arc<BuildTrace>>, work: Work) -> Step {
        Step {
            place: self.place.clone(),
            target: self.target.clone(),
            outputs: vec![output],
            prefix: prefix.into(),
            prerequisites: Vec::new(),
            keep: self.keep,
            always: false,
            work,
        }
    }
}

/// A tool of this machine that actions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUse {
    /// Its file name.
    pub name: String,
    /// The hash of all that makes it what it is.
    pub identity: ContentHash,
    /// Where it is here: absolute.
    pub path: PathBuf,
    /// Its first arguments, before all that it is given for its work; part of what it is known by.
    pub arguments: Vec<Argument>,
}

impl ToolUse {
    /// The program at `path`, known by `trace`.
    pub fn new(path: PathBuf, trace: &BuildTrace) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, identity: trace.hash(), path, arguments: Vec::new() }
    }

    /// Returns the program as an action names it, and tells the build where it is.
    pub(crate) fn program(&self, cx: &Context) -> Program {
        cx.tools.insert(&self.name, self.identity, self.path.clone());
        Program::Tool { name: self.name.clone(), identity: self.identity }
    }
}

/// An argument, and what of it is traced: the same wherever packages lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedArgument {
    /// The argument.
    pub argument: Argument,
    /// What is traced.
    pub traced: String,
}

impl From<&str> for TracedArgument {
    fn from(text: &str) -> Self {
        Self { argument: action::text(text), traced: text.to_owned() }
    }
}

/// Runs a step with one output.
fn start_single(step: Step, cx: &Arc<Context>, inputs: Inputs<'_>) -> Flow<Artifact> {
    let first = |built: &Built<Vec<Artifact>>| {
        let (value, part) = built.value.first().zip(built.trace.parts().first()).ok_or(Failed)?;
        Ok(Built { value: value.clone(), trace: (**part).clone() })
    };
    match Arc::new(step).start(cx, inputs) {
        Flow::Ended(Ok(built)) => Flow::Ended(first(&built)),
        Flow::Ended(Err(failed)) => Flow::Ended(Err(failed)),
        Flow::Continued(job) => Flow::Continued(job.map(first)),
    }
}

/// Builds `file` after `dep`, when the trace of the dependency or of `extra` has changed (Lake's
/// `buildFileAfterDep`). `extra` is computed in the job, before building. With `text`, line ends in the
/// file do not count for what depends on it.
pub fn build_file_after_dep(
    owner: Owner,
    file: BuildPath,
    dep: &Job<Artifact>,
    extra: impl FnOnce() -> BuildTrace + Send + 'static,
    work: Work,
    text: bool,
) -> Job<Artifact> {
    let output = Output::file(file);
    owner.cx.expect(1);
    let built = dep.flow({
        let owner = owner.clone();
        move |dep| start_single(owner.step(output, extra(), work), &owner.cx, dep.into())
    });
    inputs::counting_text(&owner, built, text)
}

/// Builds `file` after all of `deps`, a collection of any kind, when the trace of one of them or of
/// `extra` has changed (Lake's `buildFileAfterDepList` and `buildFileAfterDepArray`). With `text`, line
/// ends in the file do not count for what depends on it.
pub fn build_file_after_deps(
    owner: Owner,
    file: BuildPath,
    deps: impl IntoIterator<Item = Job<Artifact>>,
    extra: impl FnOnce() -> BuildTrace + Send + 'static,
    work: Work,
    text: bool,
) -> Job<Artifact> {
    let output = Output::file(file);
    owner.cx.expect(1);
    let built = collect(&owner.cx.scheduler.clone(), deps).flow({
        let owner = owner.clone();
        move |deps| start_single(owner.step(output, extra(), work), &owner.cx, deps.into())
    });
    inputs::counting_text(&owner, built, text)
}
