//! One step of a build: are its outputs up to date, can they be restored, else make them.
//!
//! A step goes through the states of [`State`], each in a file of its own: [`examine`] looks at what is
//! there, [`restore`] asks the cache, [`execute`] has an action run, [`record`] takes over what it made
//! and writes down what it was made from.
//!
//! Actions write into a staging directory. Only when they have succeeded are their outputs renamed into
//! place, and a step that lacks one of them keeps none. A trace file and its outputs belong together by
//! content: an output that is not what its trace file says is not up to date, so a larder killed at any
//! instant leaves nothing that a later one would take for finished, and commands that outlive it write
//! where nobody looks.

mod answer;
mod believe;
mod compare;
mod deferred;
mod elided;
mod elsewhere;
mod examine;
mod execute;
mod in_place;
mod inputs;
mod record;
mod restore;
mod search;
mod taken;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_project::{
    path::{BuildPath, PathError, RootPath},
    place::Place,
};
use larder_trace::{BuildTrace, ContentHash};

use crate::{
    action::{Action, Output},
    artifact::{Artifact, Made},
    builds::{Archive, Check, CommandBuild, Compile, Link, Precompile},
    context::{Context, Mode},
    diagnostics::{Naming, Speaker},
    event::{Status, StepName},
    job::{Built, Failed, Flow, Job},
    ninja::Shell,
    pool::Lane,
    reason::Reason,
    timeline::{self, Kind, StepRun},
};

pub(crate) use self::in_place::unique;
pub(crate) use self::record::files_below;
pub use self::{elided::Elided, inputs::Inputs};
use self::{elided::Ending, examine::Fresh, execute::Unmade, restore::Restored};

/// How some outputs are made from some inputs.
pub struct Step {
    /// The package it belongs to.
    pub place: Arc<Place>,
    /// The target it belongs to, for people.
    pub target: Arc<str>,
    /// The outputs; never empty.
    pub(crate) outputs: Vec<Output>,
    /// The trace of all that the outputs depend on besides the inputs.
    pub prefix: Arc<BuildTrace>,
    /// Artifacts that must be on disk besides the inputs before the work begins. Their traces are in the
    /// prefix.
    pub prerequisites: Vec<Artifact>,
    /// Whether the outputs are wanted on disk even when nothing here needs them there.
    pub keep: bool,
    /// Whether the work is done in every build, whatever the trace says.
    pub always: bool,
    /// The work that makes the outputs.
    pub work: Work,
}

/// The work that makes a step's outputs.
pub enum Work {
    /// A compiler.
    Compile(Arc<Compile>),
    /// A compiler, of a header.
    Precompile(Box<Precompile>),
    /// An archiver.
    Archive(Arc<Archive>),
    /// A linker.
    Link(Arc<Link>),
    /// Any other command.
    Command(Box<CommandBuild>),
    /// A command for a shell, which writes its outputs in place.
    Shell(Box<Shell>),
    /// A question to a compiler.
    Check(Box<Check>),
    /// A text that larder itself makes from the inputs.
    Text(Box<MakeText>),
    /// An action that a program of one's own makes from the inputs.
    Action(Box<MakeAction>),
    /// Work that a program of one's own does by itself, without any other process.
    Function(Box<Function>),
}

/// Makes the action of a step from its inputs.
pub type MakeAction = dyn Fn(&Step, &Context, Inputs<'_>) -> Action + Send + Sync;

/// Makes the text of a step's only output from the files at these absolute paths; says what went wrong.
pub type MakeText = dyn Fn(&[PathBuf]) -> Result<String, String> + Send + Sync;

/// Makes the outputs of a step; says what went wrong.
pub type Function = dyn Fn(&Workplace) -> Result<(), String> + Send + Sync;

/// Where a [`Function`] finds its inputs, and where it writes its outputs: absolute paths.
pub struct Workplace {
    /// The inputs.
    pub inputs: Vec<PathBuf>,
    /// The outputs; their directories are there.
    pub outputs: Vec<PathBuf>,
}

impl Work {
    /// Whether nothing but the promised outputs and a depfile is left behind, so that the next step may
    /// have the same staging directory.
    fn is_tidy(&self) -> bool {
        self.speaker() == Speaker::Tool
    }

    /// Who prints what this work prints.
    fn speaker(&self) -> Speaker {
        match self {
            Self::Compile(_)
            | Self::Precompile(_)
            | Self::Archive(_)
            | Self::Link(_)
            | Self::Text(_) => Speaker::Tool,
            Self::Check(_)
            | Self::Command(_)
            | Self::Shell(_)
            | Self::Action(_)
            | Self::Function(_) => Speaker::Command,
        }
    }

    /// The command that writes its outputs in place, where one does.
    fn in_place(&self) -> Option<&Shell> {
        if let Self::Shell(shell) = self { Some(shell) } else { None }
    }
}

/// Where a step stands on its way to outputs that are up to date.
enum State {
    /// Nobody has looked at the outputs yet.
    Unexamined,
    /// The outputs are those of these inputs: on disk, or left in the store.
    UpToDate(Fresh),
    /// The outputs are those of other inputs, or not there. The cache has not been asked.
    OutOfDate(Reason),
    /// The cache has given the outputs, or the record of them.
    Restored(Restored, Reason),
    /// The outputs have to be made.
    Due(Reason),
}

impl Step {
    /// Returns the first output. It gives the step its name, and the trace file lies beside it.
    pub(crate) fn first(&self) -> &Output {
        &self.outputs[0]
    }

    pub(crate) fn name(&self) -> StepName<'_> {
        StepName { target: &self.target, output: self.first().path.as_str() }
    }

    /// Returns how what this step's command prints names files.
    fn naming<'n>(&'n self, cx: &'n Context) -> Naming<'n> {
        Naming { places: &cx.places, place: &self.place }
    }

    fn trace_path(&self) -> RootPath {
        self.place.trace_path(&self.first().path)
    }

    /// Returns where a file or directory is that a record has among the outputs.
    fn recorded(&self, output: &str) -> Result<RootPath, PathError> {
        Ok(self.place.build_path(&BuildPath::new(output)?))
    }

    /// Returns the trace of everything the outputs depend on.
    fn trace(&self, inputs: &BuildTrace) -> BuildTrace {
        (*self.prefix).clone().mix(inputs.clone())
    }

    /// Returns the hash of everything the outputs of these inputs depend on.
    pub(crate) fn dep_hash(&self, inputs: Inputs<'_>) -> ContentHash {
        self.prefix.hash_with(inputs.trace)
    }

    fn artifacts(&self, made: &[Made<'_>]) -> Vec<Artifact> {
        self.outputs.iter().map(|output| Artifact::of_output(output, &self.place, made)).collect()
    }

    fn built(&self, artifacts: Vec<Artifact>) -> Built<Vec<Artifact>> {
        let parts = self.outputs.iter().zip(&artifacts);
        let trace = BuildTrace::nil("outputs")
            .mix_all(parts.map(|(output, artifact)| artifact.trace(output.path.as_str())));
        Built { value: artifacts, trace }
    }

    /// Makes sure that the outputs are up to date with `inputs`, in the cheapest way there is. The trace
    /// of what comes back has one part an output.
    pub fn start(self: Arc<Self>, cx: &Arc<Context>, inputs: Inputs<'_>) -> Flow<Vec<Artifact>> {
        self.go_on(cx, inputs, State::Unexamined, Instant::now(), Lane::Local)
    }

    fn go_on(
        self: Arc<Self>,
        cx: &Arc<Context>,
        inputs: Inputs<'_>,
        mut state: State,
        started: Instant,
        lane: Lane,
    ) -> Flow<Vec<Artifact>> {
        if let Some(uploads) = cx.cache.uploads() {
            return match self.is_deferred() {
                true => self.defer(inputs, None),
                false => self.compare(cx, inputs, uploads, started),
            };
        }
        loop {
            state = match state {
                State::Unexamined => {
                    let _span = cx.span(Kind::Examine, self.name());
                    self.examine(cx, inputs)
                }
                State::OutOfDate(reason) if self.is_deferred() => {
                    return self.defer(inputs, Some(reason));
                }
                State::UpToDate(mut fresh) => {
                    if self.is_deferred() {
                        cx.expect(1);
                    }
                    let (status, took) = (Status::Replayed, started.elapsed());
                    if let Some(timeline) = cx.timeline() {
                        timeline.saved(fresh.milliseconds);
                    }
                    if fresh.on_disk {
                        self.tell(cx, status, &fresh.log, None, took);
                    } else {
                        let ending = Ending { status, log: fresh.log, reason: None, took };
                        self.leave_in_store(cx, inputs, &mut fresh.artifacts, ending);
                    }
                    return Flow::Ended(Ok(self.built(fresh.artifacts)));
                }
                State::OutOfDate(reason) => match cx.may_change() {
                    Some(true) if cx.cache.lane() == lane => {
                        let kind = if lane == Lane::Fetch { Kind::Fetch } else { Kind::Restore };
                        let _span = cx.span(kind, self.name());
                        self.ask_cache(cx, inputs, reason)
                    }
                    // The answer may have to come from a service, and others can work meanwhile.
                    Some(true) => {
                        let lane = cx.cache.lane();
                        return self.go_on_in(lane, cx, inputs, move |step, cx, inputs| {
                            step.go_on(cx, inputs, State::OutOfDate(reason), started, lane)
                        });
                    }
                    Some(false) => return Flow::Ended(Err(Failed)),
                    // Whether anything is to be changed is known when all jobs are made.
                    None => {
                        let (step, context, inputs) = (self, cx.clone(), inputs.to_owned());
                        return Flow::Continued(cx.go_ahead.flow(move |_| {
                            let state = State::OutOfDate(reason);
                            step.go_on(&context, (&inputs).into(), state, started, Lane::Local)
                        }));
                    }
                },
                State::Restored(mut restored, reason) => {
                    let (status, took) = (Status::Restored, started.elapsed());
                    self.note_run(cx, inputs, status, took);
                    if let Some(timeline) = cx.timeline() {
                        timeline.saved(restored.record.milliseconds);
                    }
                    let log = restored.record.log;
                    if restored.on_disk {
                        self.tell(cx, status, &log, Some(&reason), took);
                    } else {
                        let ending = Ending { status, log, reason: Some(reason), took };
                        self.leave_in_store(cx, inputs, &mut restored.artifacts, ending);
                    }
                    return Flow::Ended(Ok(self.built(restored.artifacts)));
                }
                State::Due(reason) if cx.options.mode != Mode::Build => {
                    self.tell(cx, Status::OutOfDate, &[], Some(&reason), started.elapsed());
                    return Flow::Ended(Err(Failed));
                }
                State::Due(reason) => return self.make(cx, inputs, Some(reason), lane),
            }
        }
    }

    /// Takes note of a step that was not up to date, where the time is noted.
    fn note_run(&self, cx: &Context, inputs: Inputs<'_>, status: Status, took: Duration) {
        let Some(timeline) = cx.timeline() else { return };
        timeline.step(StepRun {
            name: self.name().to_string(),
            status,
            took,
            outputs: self.outputs.iter().map(|it| self.place.build_path(&it.path)).collect(),
            needs: timeline::paths(inputs.artifacts.iter().chain(&self.prerequisites)),
        });
    }

    fn ask_cache(&self, cx: &Context, inputs: Inputs<'_>, reason: Reason) -> State {
        let ask = cx.options.mode != Mode::DryRun && !self.always && self.is_shared();
        match ask.then(|| self.restore(cx, inputs, self.keep)).flatten() {
            Some(restored) => State::Restored(restored, reason),
            None => State::Due(reason),
        }
    }

    /// Makes the outputs, whatever is there already, as soon as all that they are made from is on disk.
    fn make(
        self: Arc<Self>,
        cx: &Arc<Context>,
        inputs: Inputs<'_>,
        reason: Option<Reason>,
        lane: Lane,
    ) -> Flow<Vec<Artifact>> {
        let needed = inputs.artifacts.iter().chain(&self.prerequisites);
        let absent: Vec<&Arc<Elided>> = needed.filter_map(|need| need.elided.as_ref()).collect();
        if absent.is_empty() {
            return self.execute_in_lane(cx, inputs, reason, lane);
        }
        let fetched = Elided::fetch_all(cx, absent);
        let (context, inputs) = (cx.clone(), inputs.to_owned());
        Flow::Continued(
            fetched.flow(move |_| {
                self.execute_in_lane(&context, (&inputs).into(), reason, Lane::Local)
            }),
        )
    }

    /// Makes the outputs from inputs that are on disk, in a slot of the lane that the work belongs to;
    /// this task has one of `lane`.
    fn execute_in_lane(
        self: Arc<Self>,
        cx: &Arc<Context>,
        inputs: Inputs<'_>,
        reason: Option<Reason>,
        lane: Lane,
    ) -> Flow<Vec<Artifact>> {
        let own = match (&self.work, cx.session.cluster()) {
            (Work::Function(_) | Work::Text(_), _) => Lane::Local,
            (_, Some(cluster)) if self.may_run_elsewhere(cx) => cluster.lane(),
            _ => cx.executor.lane(),
        };
        if own == lane {
            return self.execute_here(cx, inputs, reason, lane);
        }
        self.go_on_in(own, cx, inputs, move |step, cx, inputs| {
            step.execute_here(cx, inputs, reason, own)
        })
    }

    /// Makes the outputs in a slot of `lane`, and in one of this machine what is declined there.
    fn execute_here(
        self: Arc<Self>,
        cx: &Arc<Context>,
        inputs: Inputs<'_>,
        reason: Option<Reason>,
        lane: Lane,
    ) -> Flow<Vec<Artifact>> {
        match self.execute(cx, inputs, reason.as_ref(), lane) {
            Ok(built) => Flow::Ended(Ok(built)),
            Err(Unmade::Declined) if lane != Lane::Local => {
                self.go_on_in(Lane::Local, cx, inputs, move |step, cx, inputs| {
                    step.execute_here(cx, inputs, reason, Lane::Local)
                })
            }
            Err(_) => Flow::Ended(Err(Failed)),
        }
    }

    /// Goes on as `work` does, in a task that has a slot of `lane`.
    fn go_on_in(
        self: Arc<Self>,
        lane: Lane,
        cx: &Arc<Context>,
        inputs: Inputs<'_>,
        work: impl FnOnce(Arc<Self>, &Arc<Context>, Inputs<'_>) -> Flow<Vec<Artifact>> + Send + 'static,
    ) -> Flow<Vec<Artifact>> {
        let (context, inputs) = (cx.clone(), inputs.to_owned());
        Flow::Continued(Job::go_on(&cx.scheduler, lane, move || {
            work(self, &context, (&inputs).into())
        }))
    }
}
