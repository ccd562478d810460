//! Having a step's work done.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Instant,
};

use larder_project::path::{PortablePath, RootPath};
use larder_trace::{Level, LogEntry, Moment, begin_trace_file, describe_io};

use super::{
    Function, Inputs, MakeText, Step, Work, Workplace, deferred::Behind, record::with_parent,
};
use crate::{
    action::{Action, Argument, Discovery, MayRead},
    artifact::Artifact,
    builds::ToolUse,
    context::Context,
    diagnostics::entries,
    event::{Ended, Event, Status},
    executor::{Bench, ExecuteError, Execution, Ran},
    job::Built,
    pool::{Lane, describe_panic},
    process::Limits,
    reason::Reason,
    timeline::Kind,
};

/// The result of doing a step's work.
pub(super) struct Done {
    /// Its output.
    pub log: Vec<LogEntry>,
    /// Inputs that it told of: paths from the root.
    pub discovered: Vec<RootPath>,
    /// Whether it told of none, though it was to.
    pub silent: bool,
    /// When it began.
    pub begun: Moment,
    pub command_line: Option<String>,
    /// What it read in the form of a precompiled header.
    pub behind: Behind,
    /// Names of headers that it looked for and that may not be there.
    pub looked_for: Vec<String>,
    /// How long its command took, in milliseconds.
    pub milliseconds: Option<u64>,
    /// Where its last action ran, if it has any.
    pub ran: Option<Ran>,
}

/// Why a step's work came to no outputs.
pub(super) enum Unmade {
    /// It failed, which was told.
    Failed,
    /// Whoever runs the actions of this lane does not run this one.
    Declined,
}

impl Step {
    /// Does the work in a slot of `lane` and takes over the outputs, whatever is there already.
    pub(super) fn execute(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        reason: Option<&Reason>,
        lane: Lane,
    ) -> Result<Built<Vec<Artifact>>, Unmade> {
        if cx.stopped() {
            return Err(Unmade::Failed);
        }
        cx.started(self.name());
        let started = Instant::now();
        let tidy = self.work.is_tidy();
        let staging = match cx.staging(tidy) {
            Ok(staging) => staging,
            Err(error) => {
                let error = describe_io(&error);
                let message = format!("cannot make a directory to build in: {error}");
                self.fail(cx, &[], &message, None, started);
                return Err(Unmade::Failed);
            }
        };
        let bench = Bench {
            places: &cx.places,
            place: &self.place,
            target: &self.target,
            tools: &cx.tools,
            staging: staging.path(),
            flat: tidy,
            lane,
            patience: cx.session.patience(),
        };
        let begun = Moment::now();
        let mut done = Done {
            log: Vec::new(),
            discovered: Vec::new(),
            silent: false,
            begun,
            command_line: None,
            milliseconds: None,
            ran: None,
            looked_for: Vec::new(),
            behind: Behind::Nothing,
        };
        let work = AssertUnwindSafe(|| {
            self.begin(cx)?;
            {
                let _span = cx.span(Kind::Execute, self.name());
                self.work(cx, inputs, &bench, &mut done)?;
            }
            let _span = cx.span(Kind::Record, self.name());
            self.finish(cx, inputs, &bench, &done)
        });
        let result = catch_unwind(work).unwrap_or_else(|panic| {
            Err(ExecuteError::Failed(format!("it panicked: {}", describe_panic(&*panic))))
        });
        if let Err(ExecuteError::Declined(reason)) = &result {
            tracing::debug!("{}: {reason}; it is built here", self.name().output);
            return Err(Unmade::Declined);
        }
        let status = match (&result, done.ran) {
            (Ok(_), Some(Ran::RemoteCache)) => Status::Restored,
            (Ok(_), _) => Status::Built,
            (Err(_), _) => Status::Failed,
        };
        self.note_run(cx, inputs, status, started.elapsed());
        match result {
            Ok(artifacts) => {
                let ended = Ended {
                    status,
                    ran: cx.session.cluster().and(done.ran),
                    log: &self.naming(cx).show(&done.log, cx.here()),
                    reason,
                    error: None,
                    command: done.command_line.as_deref(),
                    took: started.elapsed(),
                };
                cx.ended(self.name(), &ended);
                cx.reuse(staging);
                Ok(self.built(artifacts))
            }
            Err(error) => {
                self.discard(cx);
                if let ExecuteError::Failed(message) | ExecuteError::Declined(message) = error {
                    self.fail(cx, &done.log, &message, done.command_line.as_deref(), started);
                }
                Err(Unmade::Failed)
            }
        }
    }

    fn fail(
        &self,
        cx: &Context,
        log: &[LogEntry],
        error: &str,
        command: Option<&str>,
        started: Instant,
    ) {
        let took = started.elapsed();
        let log = &self.naming(cx).show(log, cx.here());
        let (status, error) = (Status::Failed, Some(error));
        let ended = Ended { status, ran: None, log, reason: None, error, command, took };
        cx.ended(self.name(), &ended);
    }

    /// Makes way for the outputs. What a tool writes replaces what is there when it is finished. A
    /// command may write straight into place, and several outputs belong together: of these, none is
    /// there while the work lasts, and the trace file says that it is unfinished.
    fn begin(&self, cx: &Context) -> Result<(), ExecuteError> {
        if self.work.is_tidy() {
            return Ok(());
        }
        let in_place = self.work.in_place().is_some();
        if !in_place {
            self.refuse_links(cx)?;
        }
        let trace_path = cx.absolute(&self.trace_path());
        with_parent(&trace_path, || begin_trace_file(&trace_path))
            .map_err(|error| ExecuteError::io(&trace_path, &error))?;
        // A command that writes in place may mean to go on from what is there.
        if in_place { Ok(()) } else { self.remove_outputs(cx) }
    }

    fn work(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
        done: &mut Done,
    ) -> Result<(), ExecuteError> {
        let action = match &self.work {
            Work::Compile(compile) => return self.compile(cx, compile, inputs, bench, done),
            Work::Precompile(precompile) => precompile.action(self, cx, inputs),
            Work::Archive(archive) => archive.action(self, cx, inputs),
            Work::Link(link) => link.action(self, cx, inputs),
            Work::Command(command) => command.action(self, cx, inputs)?,
            Work::Shell(shell) => shell.action(self, cx, inputs),
            Work::Action(make) => make(self, cx, inputs),
            Work::Check(check) => return self.ask(cx, check, inputs, bench, done),
            Work::Function(function) => return self.call(cx, function, inputs, bench),
            Work::Text(make) => return self.write(cx, make, inputs, bench),
        };
        self.run(cx, &action, bench, done)
    }

    /// Has the executor run an action.
    pub(super) fn run(
        &self,
        cx: &Context,
        action: &Action,
        bench: &Bench<'_>,
        done: &mut Done,
    ) -> Result<(), ExecuteError> {
        if bench.lane == Lane::Remote
            && let Some(bound) = self.bound_by(action)
        {
            return Err(ExecuteError::Declined(format!("{bound} binds it to this machine")));
        }
        let execution = execute(cx, action, bench, done)?;
        if let Some(cluster) = cx.session.cluster()
            && execution.ran == Ran::Local
            && execution.exit.success()
            && cx.sandbox.is_some()
            && self.may_run_elsewhere(cx)
        {
            cluster.keep(action, bench, &execution);
        }
        done.command_line = Some(execution.command_line);
        done.discovered = execution.discovered;
        done.silent = execution.silent;
        let success = execution.exit.success();
        done.log = entries(&execution.printed, !success, self.work.speaker(), self.naming(cx));
        if !success {
            let mut message = execution.exit.to_string();
            execution.refusals.iter().for_each(|refusal| message += &format!("\n{refusal}"));
            return Err(ExecuteError::Failed(message));
        }
        for refusal in &execution.refusals {
            // Not for the log, which is kept: another build may not be sandboxed.
            let message = format!("`{}` was built, but {refusal}", self.target);
            cx.report(&Event::Note { level: Level::Warning, message: &message });
        }
        Ok(())
    }

    /// Calls the function of a program of one's own.
    fn call(
        &self,
        cx: &Context,
        function: &Function,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
    ) -> Result<(), ExecuteError> {
        let outputs: Vec<_> = self.outputs.iter().map(|output| bench.staged(output)).collect();
        for (path, output) in outputs.iter().zip(&self.outputs) {
            let parent =
                if output.directory { path.as_path() } else { path.parent().unwrap_or(path) };
            fs::create_dir_all(parent).map_err(|error| ExecuteError::io(parent, &error))?;
        }
        let inputs = inputs.artifacts.iter().map(|input| cx.absolute(&input.path)).collect();
        function(&Workplace { inputs, outputs }).map_err(ExecuteError::Failed)
    }

    /// Writes the text that larder itself makes.
    fn write(
        &self,
        cx: &Context,
        make: &MakeText,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
    ) -> Result<(), ExecuteError> {
        let inputs: Vec<PathBuf> =
            inputs.artifacts.iter().map(|input| cx.absolute(&input.path)).collect();
        let text = make(&inputs).map_err(ExecuteError::Failed)?;
        let path = bench.staged(self.first());
        fs::write(&path, text).map_err(|error| ExecuteError::io(&path, &error))
    }
}

impl Step {
    /// Returns an artifact's name in actions of this step's package.
    pub fn portable(&self, cx: &Context, artifact: &Artifact) -> PortablePath {
        cx.places.portable(&self.place, &artifact.path)
    }

    /// Returns the action that runs `tool` with `arguments` as the work of this step: it reads the inputs
    /// and prerequisites and writes the outputs, and tells of nothing else.
    pub fn action(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        tool: &ToolUse,
        arguments: Vec<Argument>,
    ) -> Action {
        let all = inputs.artifacts.iter().chain(&self.prerequisites);
        Action {
            package: self.place.name.clone(),
            runs_in: Default::default(),
            program: tool.program(cx),
            tools: Vec::new(),
            arguments: [tool.arguments.clone(), arguments].concat(),
            environment: BTreeMap::new(),
            inputs: all.map(|artifact| (self.portable(cx, artifact), artifact.hash)).collect(),
            searched: Vec::new(),
            may_read: MayRead::Told,
            outputs: self.outputs.clone(),
            discovery: Discovery::None,
            response_file: None,
            limits: Limits::default(),
            in_place: None,
        }
    }
}

/// Has the executor run one of the actions of a step, and adds up what they cost.
pub(super) fn execute(
    cx: &Context,
    action: &Action,
    bench: &Bench<'_>,
    done: &mut Done,
) -> Result<Execution, ExecuteError> {
    let execution = cx.executor_in(bench.lane).execute(action, bench)?;
    done.ran = Some(execution.ran);
    let took = u64::try_from(execution.cost.wall.as_millis()).ok();
    done.milliseconds = took.map(|took| took + done.milliseconds.unwrap_or(0));
    if let Some(timeline) = cx.timeline() {
        // What was known took no time now.
        if execution.ran != Ran::RemoteCache {
            timeline.cost(&execution.cost);
        }
    }
    Ok(execution)
}

/// Whether `path` is a regular file, and no link to one.
pub(super) fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}
