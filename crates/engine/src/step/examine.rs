//! Whether a step's outputs are those of its inputs.

use std::io;

use larder_project::manifest::FILE_NAME;
use larder_trace::{
    BuildMetadata, Content, ContentHash, DiscoveredInput, LogEntry, MTime, Outputs, TraceFile,
    Vouched, read_trace_file,
};

use super::{Inputs, State, Step};
use crate::{
    artifact::{Artifact, Made},
    context::{Context, Mode},
    reason::{Reason, differences},
};

/// Outputs that need not be made.
pub(super) struct Fresh {
    /// The outputs, as if on disk.
    pub artifacts: Vec<Artifact>,
    /// Whether they are; else they are in the store.
    pub on_disk: bool,
    /// What the work printed that made them.
    pub log: Vec<LogEntry>,
}

impl Step {
    /// Looks at what is there.
    pub(super) fn examine(&self, cx: &Context, inputs: Inputs<'_>) -> State {
        if self.always && cx.options.mode == Mode::Build {
            return State::OutOfDate(Reason::Always);
        }
        match self.look(cx, inputs) {
            Ok(fresh)
                if (fresh.on_disk || !self.keep) && self.collect(cx, inputs, fresh.on_disk) =>
            {
                State::UpToDate(fresh)
            }
            Ok(_) => State::OutOfDate(Reason::OutputMissing(self.name().output.to_owned())),
            Err(reason) => State::OutOfDate(reason),
        }
    }
}

impl Step {
    /// Whether the outputs are those of these very inputs, or why not.
    fn look(&self, cx: &Context, inputs: Inputs<'_>) -> Result<Fresh, Reason> {
        let trace_path = self.trace_path();
        // With nothing to do, this is all that happens: the whole trace is not even put together.
        let dep_hash = self.prefix.hash_with(inputs.trace);
        let check_trace = cx.options.check_traces || cx.cache.collects();
        if let Some(vouched) = cx.index.vouch(&trace_path, dep_hash, check_trace)
            && let Some(more) = self.read_more(cx, &vouched, dep_hash)
        {
            let strip = self.place.build_prefix.len();
            let made = vouched.outputs.iter().map(|(path, hashed)| Made {
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
            let artifacts = self.artifacts(&made);
            return Ok(Fresh { artifacts, on_disk: vouched.on_disk, log: more.log });
        }
        let newest = self.prefix.mtime().max(inputs.trace.mtime());
        match read_trace_file(&cx.absolute(&trace_path)) {
            TraceFile::Finished(record) if record.dep_hash == dep_hash => self.verify(cx, *record),
            TraceFile::Finished(record) => {
                self.newer_than(cx, newest, cx.options.old).ok_or_else(|| {
                    let trace = self.trace(inputs.trace);
                    Reason::Inputs(differences(&record.inputs, trace.parts()))
                })
            }
            TraceFile::Unfinished => Err(Reason::Interrupted),
            TraceFile::Absent => {
                let allowed = cx.options.old || !self.work.discovers();
                // Nothing tells with which arguments the outputs were made, but when those may have
                // been edited.
                let manifest = cx.index.file(&self.place.input(FILE_NAME), Content::Text);
                let newest = manifest.map_or(newest, |manifest| newest.max(manifest.stat.mtime));
                self.newer_than(cx, newest, allowed).ok_or(Reason::NotBuilt)
            }
        }
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

    /// Takes the outputs as they are when `allowed` and they are newer than the `newest` input.
    fn newer_than(&self, cx: &Context, newest: MTime, allowed: bool) -> Option<Fresh> {
        let has_directory = self.outputs.iter().any(|output| output.directory);
        if !allowed || has_directory || self.refuse_links(cx).is_err() {
            return None;
        }
        let mut made = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let hashed = cx.index.file(&self.place.output(&output.path), Content::Binary).ok()?;
            let (hash, mtime) = (hashed.hash, hashed.stat.mtime);
            if mtime <= newest {
                return None;
            }
            made.push(Made { path: &output.path, hash, executable: hashed.stat.executable, mtime });
        }
        Some(Fresh { artifacts: self.artifacts(&made), on_disk: true, log: Vec::new() })
    }

    /// Whether the outputs and the discovered inputs are as `record` says. Tells the index if so.
    fn verify(&self, cx: &Context, record: BuildMetadata) -> Result<Fresh, Reason> {
        // A record of something else cannot vouch for anything.
        if !self.promises(&record.outputs) {
            return Err(Reason::NotBuilt);
        }
        let Outputs { outputs, directories, discovered, log } = record.outputs;
        self.check_discovered(cx, &discovered)?;
        let mut made = Vec::with_capacity(outputs.len());
        let mut missing = 0;
        for file in &outputs {
            let path = self.place.output(&file.path);
            let mtime = match cx.index.file(&path, Content::Binary) {
                Ok(hashed) if hashed.hash == file.hash => hashed.stat.mtime,
                Ok(_) => return Err(Reason::OutputChanged(file.path.clone())),
                Err(error) if error.kind() == io::ErrorKind::NotFound && record.synthetic => {
                    missing += 1;
                    cx.index.record_elided(&path, file);
                    MTime::NONE
                }
                Err(_) => return Err(Reason::OutputMissing(file.path.clone())),
            };
            made.push(Made::of(file, mtime));
        }
        let on_disk = missing == 0;
        if on_disk && let Some(path) = self.gone(cx, &directories) {
            return Err(Reason::OutputMissing(path.clone()));
        }
        if !on_disk && missing < made.len() {
            return Err(Reason::OutputMissing(self.name().output.to_owned()));
        }
        let artifacts = self.artifacts(&made);
        let log_again = log.clone();
        let outputs = Outputs { outputs, directories, discovered, log };
        self.remember(cx, record.dep_hash, &outputs, on_disk);
        Ok(Fresh { artifacts, on_disk, log: log_again })
    }

    /// The first of some output directories that is not there.
    fn gone<'d>(&self, cx: &Context, directories: &'d [String]) -> Option<&'d String> {
        directories.iter().find(|path| !cx.absolute(&self.place.output(path)).is_dir())
    }

    /// Whether inputs found by the last build are as they were.
    fn check_discovered(&self, cx: &Context, discovered: &[DiscoveredInput]) -> Result<(), Reason> {
        let changed = |input: &&DiscoveredInput| {
            cx.discovered_hash(&self.place, &input.path)
                .is_none_or(|(_, hashed)| hashed.hash != input.hash)
        };
        let changed: Vec<String> =
            discovered.iter().filter(changed).map(|input| input.path.clone()).collect();
        if changed.is_empty() { Ok(()) } else { Err(Reason::Discovered(changed)) }
    }
}
