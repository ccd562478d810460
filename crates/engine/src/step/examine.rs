//! Whether a step's outputs are those of its inputs.
//!
//! The stat index knows nearly always. Where it does not, the check is that of [`larder_trace::check`],
//! over the files as the index sees them.

use std::io;

use larder_project::path::RootPath;
use larder_trace::{
    Content, ContentHash, Expected, Files, Hashed, LogEntry, MTime, OutOfDate, Outputs, Proof,
    Searched, Times, TraceFile, UpToDate, Wanted, check, read_trace_file,
};

use super::{Inputs, State, Step, record::tree_names};
use crate::{
    artifact::{Artifact, Made},
    context::{Context, Mode},
    grounds::Source,
    reason::{Reason, differences},
};

/// Outputs that need not be made.
pub(super) struct Fresh {
    /// The outputs, as if on disk.
    pub artifacts: Vec<Artifact>,
    /// Whether they are; else they are in the store.
    pub on_disk: bool,
    /// The output of the work that made them.
    pub log: Vec<LogEntry>,
    /// How long that work took, where it is known.
    pub milliseconds: Option<u64>,
}

/// A step's files as the stat index sees them.
struct OfStep<'a> {
    step: &'a Step,
    cx: &'a Context,
    inputs: Inputs<'a>,
}

impl Files for OfStep<'_> {
    fn output(&self, path: &str) -> io::Result<Hashed> {
        self.cx.index.file(self.step.recorded(path)?.as_str(), Content::Binary)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.step.recorded(path).is_ok_and(|path| self.cx.absolute(&path).is_dir())
    }

    fn discovered(&self, path: &str) -> Option<Hashed> {
        self.step.recorded_input(self.cx, path, Source::BuildDirectory)
    }

    fn is_left(&self, path: &str) -> bool {
        self.step.is_left(self.cx, path)
    }

    fn finds_the_same(&self, searched: &Searched, record: &Outputs) -> bool {
        self.step.finds_the_same(self.cx, self.inputs, searched, record, Source::BuildDirectory)
    }
}

impl Step {
    /// Looks at what is there.
    pub(super) fn examine(&self, cx: &Context, inputs: Inputs<'_>) -> State {
        if self.always && cx.options.mode == Mode::Build {
            return State::OutOfDate(Reason::Always);
        }
        match self.look(cx, inputs) {
            Ok(fresh)
                if (fresh.on_disk || !self.keep)
                    && (self.is_deferred() || self.collect(cx, inputs, fresh.on_disk)) =>
            {
                State::UpToDate(fresh)
            }
            Ok(_) => State::OutOfDate(Reason::OutputMissing(self.name().output.to_owned())),
            Err(reason) => State::OutOfDate(reason),
        }
    }

    /// Whether the outputs are those of these very inputs, or why not.
    pub(super) fn look(&self, cx: &Context, inputs: Inputs<'_>) -> Result<Fresh, Reason> {
        let trace_path = self.trace_path();
        // With nothing to do, this is all that happens: the whole trace is not even put together.
        let dep_hash = self.dep_hash(inputs);
        if let Some(fresh) = self.vouched(cx, &trace_path, dep_hash) {
            return Ok(fresh);
        }
        let expected = self.expected();
        // Nothing tells with which arguments outputs without a record were made, but when those may
        // have been edited.
        let manifest = || cx.index.file(self.place.manifest().as_str(), Content::Text).ok();
        let (times, unrecorded) = match cx.options.old {
            true => (Times::Old, manifest().map_or(MTime::NONE, |found| found.stat.mtime)),
            false => (Times::Never, MTime::NONE),
        };
        let wanted = Wanted {
            dep_hash,
            newest: self.prefix.mtime().max(inputs.trace.mtime()),
            unrecorded,
            outputs: &expected,
            times,
        };
        if cx.options.old && self.refuse_links(cx).is_err() {
            return Err(Reason::NotBuilt);
        }
        let trace_file = read_trace_file(&cx.absolute(&trace_path));
        let UpToDate { record, mtimes, on_disk, proof } =
            check(trace_file, &wanted, &OfStep { step: self, cx, inputs })
                .map_err(|why| self.why(why, inputs))?;
        if !on_disk && !self.can_be_left(cx, &record) {
            return Err(Reason::OutputMissing(self.name().output.to_owned()));
        }
        if on_disk && let Some(stray) = self.stray(cx, &record) {
            return Err(Reason::OutputChanged(stray));
        }
        if proof == Proof::Record {
            if !on_disk {
                for file in &record.outputs {
                    let path = self.recorded(&file.path).map_err(|_| Reason::NotBuilt)?;
                    cx.index.record_elided(path.as_str(), file);
                }
            }
            self.remember(cx, inputs, dep_hash, &record, on_disk);
        }
        let made: Vec<Made<'_>> =
            record.outputs.iter().zip(mtimes).map(|(file, mtime)| Made::of(file, mtime)).collect();
        let artifacts = self.artifacts(&made);
        Ok(Fresh { artifacts, on_disk, log: record.log, milliseconds: record.milliseconds })
    }

    /// The outputs, if the stat index knows them to be up to date.
    fn vouched(&self, cx: &Context, trace_path: &RootPath, dep_hash: ContentHash) -> Option<Fresh> {
        let check_trace = cx.options.check_traces || cx.cache.collects();
        let vouched = cx.index.vouch(trace_path.as_str(), dep_hash, check_trace)?;
        let (mut log, mut milliseconds) = (Vec::new(), None);
        if vouched.read_trace || cx.wants_everything() || cx.timeline().is_some() {
            match read_trace_file(&cx.absolute(trace_path)) {
                TraceFile::Finished(record) if record.dep_hash == dep_hash => {
                    let gone = |path: &String| {
                        let there = self.recorded(path).is_ok_and(|at| cx.absolute(&at).is_dir());
                        !there && vouched.on_disk
                    };
                    if record.outputs.directories.iter().any(gone) {
                        return None;
                    }
                    log = record.outputs.log;
                    milliseconds = record.outputs.milliseconds;
                }
                // Without it there is only less to show.
                _ if !vouched.read_trace => {}
                _ => return None,
            }
        }
        let made: Option<Vec<Made<'_>>> = vouched
            .outputs()
            .map(|(path, hashed)| {
                Some(Made {
                    path: self.place.in_build_directory(path)?,
                    hash: hashed.hash,
                    executable: hashed.stat.executable,
                    mtime: hashed.stat.mtime,
                })
            })
            .collect();
        let artifacts = self.artifacts(&made?);
        Some(Fresh { artifacts, on_disk: vouched.on_disk, log, milliseconds })
    }

    /// Returns the outputs as a check expects them.
    pub(super) fn expected(&self) -> Vec<Expected<'_>> {
        let mut expected = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            expected.push(match output.directory {
                true => Expected::Directory(output.path.as_str()),
                false => Expected::File(output.path.as_str()),
            });
        }
        expected
    }

    /// Returns a file in an output directory that the work did not put there.
    fn stray(&self, cx: &Context, record: &Outputs) -> Option<String> {
        self.outputs.iter().filter(|output| output.directory).find_map(|output| {
            let directory = cx.absolute(&self.place.build_path(&output.path));
            let found = tree_names(&directory, output.path.as_str());
            found.into_iter().find(|path| {
                !record.outputs.iter().any(|file| file.path == *path)
                    && !record.directories.contains(path)
            })
        })
    }

    fn why(&self, why: OutOfDate, inputs: Inputs<'_>) -> Reason {
        match why {
            OutOfDate::NotBuilt | OutOfDate::Damaged => Reason::NotBuilt,
            OutOfDate::Interrupted => Reason::Interrupted,
            OutOfDate::OutputMissing(path) => Reason::OutputMissing(path),
            OutOfDate::OutputChanged(path) => Reason::OutputChanged(path),
            OutOfDate::Inputs(parts) => {
                Reason::Inputs(differences(&parts, self.trace(inputs.trace).parts()))
            }
            OutOfDate::Discovered(paths) => Reason::Discovered(paths),
            OutOfDate::Searched => Reason::Searched,
        }
    }
}
