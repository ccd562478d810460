//! One step of a build: is it up to date, can it be restored, else run it.
//!
//! A step's commands write into a staging directory of their own. Only when they have succeeded and
//! every promised output is there are the outputs renamed into place; before the first of them is
//! touched the trace file is marked unfinished, after the last it records the finished build. So a
//! larder killed at any instant leaves nothing that a later one would take for finished, and commands
//! that outlive it write where nobody looks.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use larder_trace::{
    BuildTrace, Content, ContentHash, DiscoveredInput, Expected, Files, Hashed, LogEntry, MTime,
    OutOfDate, OutputFile, Outputs, Proof, Searched, Times, TraceFile, UpToDate, Vouched, Wanted,
    read_trace_file,
};

use crate::{
    action::{Action, ActionError},
    artifact::{Artifact, Made, Output},
    context::{Context, Mode},
    event::{Ended, Status, StepName},
    job::{Built, Failed},
    reason::{Reason, differences},
};
use larder_project::{manifest::FILE_NAME, place::Place};

/// What there is to do to make some outputs from some inputs.
pub struct Step {
    /// The package it belongs to.
    pub place: Arc<Place>,
    /// The target it belongs to, for people.
    pub target: Arc<str>,
    /// What it makes; never empty. The trace file lies beside the first.
    pub outputs: Vec<Output>,
    /// What the outputs depend on besides the inputs.
    pub prefix: Arc<BuildTrace>,
    /// Whether the outputs are wanted on disk even when nothing here needs them there.
    pub keep: bool,
    /// Makes the outputs.
    pub work: Box<Work>,
}

/// Runs commands that write a step's outputs.
pub type Work = dyn Fn(&mut Action<'_>) -> Result<(), ActionError> + Send + Sync;

/// What a step works on: artifacts, and the trace of all of them. The trace is that of the artifact
/// where there is one, else a group with one part an artifact, in order.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The artifacts.
    pub artifacts: &'a [Artifact],
    /// Their trace.
    pub trace: &'a BuildTrace,
}

impl<'a> From<&'a Built<Vec<Artifact>>> for Inputs<'a> {
    fn from(built: &'a Built<Vec<Artifact>>) -> Self {
        Self { artifacts: &built.value, trace: &built.trace }
    }
}

impl<'a> From<&'a Built<Artifact>> for Inputs<'a> {
    fn from(built: &'a Built<Artifact>) -> Self {
        Self { artifacts: std::slice::from_ref(&built.value), trace: &built.trace }
    }
}

/// Outputs that were left in the store, and how to get them after all.
pub struct Pending {
    step: Arc<Step>,
    inputs: Built<Vec<Artifact>>,
    fetched: Mutex<Option<Result<Vec<Artifact>, Failed>>>,
}

/// Outputs that need not be built.
struct Fresh {
    /// The outputs, as if on disk.
    artifacts: Vec<Artifact>,
    on_disk: bool,
    log: Vec<LogEntry>,
}

/// The files of a package as the index knows them.
struct Indexed<'a> {
    cx: &'a Context,
    place: &'a Place,
}

impl Files for Indexed<'_> {
    fn output(&self, path: &str) -> io::Result<Hashed> {
        self.cx.index.file(&self.place.output(path), Content::Binary)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.cx.absolute(&self.place.output(path)).is_dir()
    }

    fn discovered(&self, path: &str) -> Option<Hashed> {
        self.cx.discovered_hash(self.place, path).map(|(_, hashed)| hashed)
    }

    fn finds_the_same(&self, _: &Searched, _: &Outputs) -> bool {
        // No build records yet where it searched.
        false
    }
}

impl Step {
    pub(crate) fn name(&self) -> StepName<'_> {
        let output = self.outputs.first().map_or("", |output| &output.path);
        StepName { target: &self.target, output }
    }

    pub(crate) fn trace_path(&self) -> String {
        [&self.place.build_prefix, self.name().output, ".trace"].concat()
    }

    /// The trace of everything the outputs depend on.
    pub(crate) fn trace(&self, inputs: &BuildTrace) -> BuildTrace {
        (*self.prefix).clone().mix(inputs.clone())
    }

    pub(crate) fn artifacts(
        &self,
        made: &[Made<'_>],
        pending: Option<&Arc<Pending>>,
    ) -> Vec<Artifact> {
        self.outputs.iter().map(|output| output.artifact(&self.place, made, pending)).collect()
    }

    /// Makes sure that the outputs are up to date with `inputs`, in the cheapest way there is.
    pub fn run(self: Arc<Self>, cx: &Context, inputs: Inputs<'_>) -> Result<Vec<Artifact>, Failed> {
        let started = Instant::now();
        let reason = match self.examine(cx, inputs) {
            Ok(mut fresh)
                if (fresh.on_disk || !self.keep) && self.collect(cx, inputs, fresh.on_disk) =>
            {
                self.tell(cx, Status::Replayed, &fresh.log, None, started.elapsed());
                if !fresh.on_disk {
                    self.leave_pending(inputs, &mut fresh.artifacts);
                }
                return Ok(fresh.artifacts);
            }
            Ok(_) => Reason::OutputMissing(self.name().output.to_owned()),
            Err(reason) => reason,
        };
        if !cx.may_change() {
            return Err(Failed);
        }
        if cx.options.mode != Mode::DryRun
            && let Some(mut restored) = self.restore(cx, inputs, self.keep)
        {
            self.tell_restored(cx, &restored, &reason, started);
            if !restored.on_disk {
                self.leave_pending(inputs, &mut restored.artifacts);
            }
            return Ok(restored.artifacts);
        }
        if cx.options.mode != Mode::Build {
            self.tell(cx, Status::OutOfDate, &[], Some(&reason), started.elapsed());
            return Err(Failed);
        }
        self.build(cx, inputs, Some(&reason))
    }

    /// Notes on artifacts that are not on disk how to get them there.
    fn leave_pending(self: &Arc<Self>, inputs: Inputs<'_>, artifacts: &mut [Artifact]) {
        let inputs = Built { value: inputs.artifacts.to_vec(), trace: inputs.trace.clone() };
        let pending = Arc::new(Pending { step: self.clone(), inputs, fetched: Mutex::new(None) });
        for artifact in artifacts {
            artifact.pending = Some(pending.clone());
        }
    }

    /// Whether the outputs are those of these very inputs, or why not.
    fn examine(&self, cx: &Context, inputs: Inputs<'_>) -> Result<Fresh, Reason> {
        let trace_path = self.trace_path();
        // With nothing to do, this is all that happens: the whole trace is not even put together.
        let dep_hash = self.prefix.hash_with(inputs.trace);
        let check_trace = cx.options.check_traces || cx.cache.collects();
        if let Some(vouched) = cx.index.vouch(&trace_path, dep_hash, check_trace)
            && let Some(more) = self.read_more(cx, &vouched, dep_hash)
        {
            let strip = self.place.build_prefix.len();
            let made = vouched.outputs().map(|(path, hashed)| Made {
                path: path.get(strip..).unwrap_or_default(),
                hash: hashed.hash,
                executable: hashed.stat.executable,
                mtime: hashed.stat.mtime,
            });
            let made: Vec<Made<'_>> = made.collect();
            if vouched.on_disk
                && let Some(path) = self.gone(cx, &more.directories)
            {
                return Err(Reason::OutputMissing(path.clone()));
            }
            let artifacts = self.artifacts(&made, None);
            return Ok(Fresh { artifacts, on_disk: vouched.on_disk, log: more.log });
        }
        let fresh = self.check(cx, inputs, dep_hash).map_err(|reason| match reason {
            OutOfDate::NotBuilt | OutOfDate::Damaged | OutOfDate::Searched => Reason::NotBuilt,
            OutOfDate::Interrupted => Reason::Interrupted,
            OutOfDate::OutputMissing(path) => Reason::OutputMissing(path),
            OutOfDate::OutputChanged(path) => Reason::OutputChanged(path),
            OutOfDate::Inputs(recorded) => {
                Reason::Inputs(differences(&recorded, self.trace(inputs.trace).parts()))
            }
            OutOfDate::Discovered(paths) => Reason::Discovered(paths),
        })?;
        let UpToDate { record, mtimes, on_disk, proof } = fresh;
        if !on_disk {
            for file in &record.outputs {
                cx.index.record_elided(&self.place.output(&file.path), file);
            }
        }
        if proof == Proof::Record {
            let has_more = !record.log.is_empty() || !record.directories.is_empty();
            self.remember(cx, dep_hash, &record.outputs, &record.discovered, has_more);
        }
        let made = record.outputs.iter().zip(mtimes).map(|(file, mtime)| Made::of(file, mtime));
        let artifacts = self.artifacts(&made.collect::<Vec<_>>(), None);
        Ok(Fresh { artifacts, on_disk, log: record.log })
    }

    /// Whether the trace file proves the outputs up to date, or their times do with `--old`.
    fn check(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        dep_hash: ContentHash,
    ) -> Result<UpToDate, OutOfDate> {
        let old = cx.options.old && self.refuse_links(cx).is_ok();
        // Where nothing tells with which arguments outputs were made, those may have been edited.
        let manifest = || cx.index.file(&self.place.input(FILE_NAME), Content::Text).ok();
        let wanted = Wanted {
            dep_hash,
            newest: self.prefix.mtime().max(inputs.trace.mtime()),
            unrecorded: old.then(manifest).flatten().map_or(MTime::NONE, |it| it.stat.mtime),
            outputs: &self.expected(),
            times: if old { Times::Old } else { Times::Never },
        };
        let trace = read_trace_file(&cx.absolute(&self.trace_path()));
        larder_trace::check(trace, &wanted, &Indexed { cx, place: &self.place })
    }

    /// Its outputs, as a record of them lists them.
    pub(crate) fn expected(&self) -> Vec<Expected<'_>> {
        let expected = |output| match output {
            &Output { ref path, directory: true } => Expected::Directory(path),
            Output { path, .. } => Expected::File(path),
        };
        self.outputs.iter().map(expected).collect()
    }

    /// What the trace file says and the index does not; `None` when it is needed and not there.
    fn read_more(
        &self,
        cx: &Context,
        vouched: &Vouched<'_>,
        dep_hash: ContentHash,
    ) -> Option<Outputs> {
        if !vouched.read_trace {
            return Some(Outputs::default());
        }
        match read_trace_file(&cx.absolute(&self.trace_path())) {
            TraceFile::Finished(record) if record.dep_hash == dep_hash => Some(record.outputs),
            _ => None,
        }
    }

    /// The first of some output directories that is not there.
    fn gone<'d>(&self, cx: &Context, directories: &'d [String]) -> Option<&'d String> {
        directories.iter().find(|path| !cx.absolute(&self.place.output(path)).is_dir())
    }

    /// Tells the index of a finished step whose trace file is written; `has_more` when that file says
    /// more than the index can.
    pub(crate) fn remember(
        &self,
        cx: &Context,
        dep_hash: ContentHash,
        outputs: &[OutputFile],
        discovered: &[DiscoveredInput],
        has_more: bool,
    ) {
        let outputs = outputs.iter().map(|file| self.place.output(&file.path).into());
        let inputs: Option<Vec<(Box<str>, Content)>> = discovered
            .iter()
            .map(|input| {
                let path = cx.places.locate(&self.place, &input.path)?;
                let content = Content::of_source(&path);
                Some((path.into(), content))
            })
            .collect();
        if let Some(inputs) = inputs {
            let trace_path = self.trace_path();
            cx.index.record_target(&trace_path, dep_hash, outputs.collect(), inputs, has_more);
        }
    }

    /// Reports how the step ended.
    pub(crate) fn tell(
        &self,
        cx: &Context,
        status: Status,
        log: &[LogEntry],
        reason: Option<&Reason>,
        took: Duration,
    ) {
        let ended = Ended { status, log, reason, error: None, command: None, took };
        cx.ended(self.name(), &ended);
    }
}

/// The inputs as they are on disk, after fetching those that were left in the store. A step that had
/// to be built again for that may have made something else than its record said; then so does the
/// trace that comes back.
pub fn materialize(cx: &Context, inputs: Inputs<'_>) -> Result<Built<Vec<Artifact>>, Failed> {
    let mut value = Vec::with_capacity(inputs.artifacts.len());
    for artifact in inputs.artifacts {
        value.push(match &artifact.pending {
            None => artifact.clone(),
            Some(pending) => pending.fetch(cx, artifact)?,
        });
    }
    let before = inputs.artifacts.iter();
    let changed = before.zip(&value).any(|(before, after)| before.hash != after.hash);
    let trace = match (changed, value.as_slice()) {
        (false, _) => inputs.trace.clone(),
        (true, [one]) if inputs.trace.parts().is_empty() => one.trace(inputs.trace.name()),
        (true, all) => {
            let parts = inputs.trace.parts().iter().zip(all);
            BuildTrace::nil("inputs")
                .mix_all(parts.map(|(part, artifact)| artifact.trace(part.name())))
        }
    };
    Ok(Built { value, trace })
}

impl Pending {
    fn fetched(&self) -> MutexGuard<'_, Option<Result<Vec<Artifact>, Failed>>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(self: &Arc<Self>, cx: &Context, wanted: &Artifact) -> Result<Artifact, Failed> {
        // What the cache has lost is built again, and its inputs before it. On a stack of its own: a
        // chain of them may be as long as a manifest.
        let mut stack = vec![(self.clone(), false)];
        while let Some((pending, has_inputs)) = stack.pop() {
            // Whoever comes second waits for the first, on a thread that has nothing else to do.
            let mut fetched = pending.fetched();
            let inputs = Inputs::from(&pending.inputs);
            if fetched.is_some() {
                continue;
            } else if has_inputs {
                *fetched = Some(pending.step.build(cx, inputs, None));
            } else if let Some(restored) = pending.step.restore(cx, inputs, true) {
                *fetched = Some(Ok(restored.artifacts));
            } else {
                drop(fetched);
                stack.push((pending.clone(), true));
                let before = pending.inputs.value.iter().filter_map(|input| input.pending.clone());
                stack.extend(before.map(|pending| (pending, false)));
            }
        }
        let fetched = self.fetched();
        let all = fetched.as_ref().ok_or(Failed)?.as_ref().map_err(|failed| *failed)?;
        all.iter().find(|made| made.path == wanted.path).cloned().ok_or(Failed)
    }
}

impl Drop for Pending {
    /// Lets go of a chain of inputs link by link, without a call for each.
    fn drop(&mut self) {
        let links = |pending: &mut Self| {
            let inputs = std::mem::take(&mut pending.inputs.value);
            inputs.into_iter().filter_map(|input| input.pending).collect::<Vec<_>>()
        };
        let mut stack = links(self);
        while let Some(pending) = stack.pop() {
            if let Some(mut last) = Arc::into_inner(pending) {
                stack.extend(links(&mut last));
            }
        }
    }
}
