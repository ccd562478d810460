//! Bringing a step's outputs back from the cache, or leaving them there until somebody needs them.

use std::{error::Error, fmt, fs};

use larder_trace::{
    BuildMetadata, BuildTrace, MTime, OutputFile, Outputs, TraceFile, begin_trace_file,
    read_trace_file, write_trace_file,
};

use super::{Inputs, Step, record::with_parent};
use crate::{
    artifact::{Artifact, Made},
    context::{Context, Mode},
    executor::ExecuteError,
    grounds::Source,
};

/// Outputs that came from the cache.
pub(super) struct Restored {
    /// The outputs, as if on disk.
    pub artifacts: Vec<Artifact>,
    /// Whether they are; else only their trace file is.
    pub on_disk: bool,
    /// The record that they came with.
    pub record: Outputs,
}

impl Step {
    /// Restores the outputs that the cache has for these inputs; `None` is a miss. With `on_disk` they
    /// are put in place, otherwise only the record of them is, and nothing is copied.
    pub(super) fn restore(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        on_disk: bool,
    ) -> Option<Restored> {
        let cache = &cx.cache;
        cache.store(&self.place.name)?;
        let dep_hash = self.prefix.hash_with(inputs.trace);
        let record = cache.lookup(&self.place.name, &dep_hash, |outputs| {
            self.has_the_same_inputs(cx, inputs, outputs, Source::Store)
                && (on_disk || self.can_be_left(cx, outputs))
        })?;
        if !record.describes(&self.expected()) {
            tracing::info!(
                "the cache has different outputs for {}; they are not used",
                self.target
            );
            return None;
        }
        match self.put_in_place(cx, inputs, record, on_disk) {
            Ok(restored) => Some(restored),
            Err(error) => {
                if let ExecuteError::Failed(message) = error {
                    tracing::debug!("{} was not restored: {message}", self.target);
                }
                self.discard(cx);
                None
            }
        }
    }

    /// Whether the store may be believed to have these outputs when somebody needs them. They are hashed
    /// on their way out of it, and where nothing saved is to be trusted, before they count as there.
    pub(super) fn can_be_left(&self, cx: &Context, record: &Outputs) -> bool {
        !cx.options.rehash
            || cx.cache.store(&self.place.name).is_some_and(|store| {
                record.outputs.iter().all(|file| store.is_available(&file.hash, file.size))
            })
    }

    fn put_in_place(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        record: Outputs,
        on_disk: bool,
    ) -> Result<Restored, ExecuteError> {
        self.refuse_links(cx)?;
        let trace_path = cx.absolute(&self.trace_path());
        if record.outputs.len() > 1 {
            // Should only some of them come into place, the mark tells that they do not belong together.
            with_parent(&trace_path, || begin_trace_file(&trace_path))
                .map_err(|error| ExecuteError::io(&trace_path, &error))?;
        }
        self.remove_outputs(cx)?;
        let mut mtimes = vec![MTime::NONE; record.outputs.len()];
        if on_disk {
            let store = cx.cache.store(&self.place.name).ok_or(ExecuteError::Interrupted)?;
            for (file, mtime) in record.outputs.iter().zip(&mut mtimes) {
                let path = self.recorded(&file.path)?;
                let target = cx.absolute(&path);
                store
                    .restore(file, &target)
                    .map_err(|miss| ExecuteError::Failed(format!("{}: {miss}", file.path)))?;
                let hashed = cx.record_output(&path, file.hash);
                *mtime = hashed.map_err(|error| ExecuteError::io(&target, &error))?.stat.mtime;
            }
            for path in &record.directories {
                let directory = cx.absolute(&self.recorded(path)?);
                fs::create_dir_all(&directory)
                    .map_err(|error| ExecuteError::io(&directory, &error))?;
            }
        } else {
            for file in &record.outputs {
                cx.index.record_elided(self.recorded(&file.path)?.as_str(), file);
            }
        }
        let trace = self.trace(inputs.trace);
        let metadata = BuildMetadata::new(&trace, record, true);
        with_parent(&trace_path, || write_trace_file(&trace_path, &metadata))
            .map_err(|error| ExecuteError::io(&trace_path, &error))?;
        let record = metadata.outputs;
        cx.cache.collect(&self.place.name, &self.target, &trace, &record);
        self.remember(cx, inputs, metadata.dep_hash, &record, on_disk);
        let made: Vec<Made<'_>> =
            record.outputs.iter().zip(mtimes).map(|(file, mtime)| Made::of(file, mtime)).collect();
        Ok(Restored { artifacts: self.artifacts(&made), on_disk, record })
    }

    /// Puts what lies in the build directory into the store, and files its mapping once all of it is
    /// there. A store that cannot take it is no failure.
    fn keep_in_store(&self, cx: &Context, trace: &BuildTrace, record: &Outputs) {
        let kept = cx.cache.store(&self.place.name).map_or(Ok(()), |store| {
            record.outputs.iter().try_for_each(|file| {
                let path = cx.absolute(&self.recorded(&file.path)?);
                store.insert(&path, &file.hash, file.executable)?;
                Ok::<_, Box<dyn Error>>(())
            })
        });
        self.file_mapping(cx, trace, record, kept.err());
    }

    /// Files the mapping of outputs, unless the store has `refused` one of them.
    pub(super) fn file_mapping(
        &self,
        cx: &Context,
        trace: &BuildTrace,
        record: &Outputs,
        refused: Option<impl fmt::Display>,
    ) {
        match refused {
            // What is made in every build is looked up by nobody, and differs as it is meant to.
            None if self.always => {}
            None => {
                let differs = cx.cache.record(&self.place.name, &trace.hash(), record);
                if let Some(difference) = differs {
                    tracing::info!(
                        "`{}` does not come out the same from the same inputs: {difference}; both \
                         results are kept",
                        self.target
                    );
                }
            }
            Some(error) => tracing::debug!("not kept in the store: {error}"),
        }
        cx.cache.collect(&self.place.name, &self.target, trace, record);
    }

    /// Adds the mapping of outputs that are up to date to those collected, where that is wanted, and
    /// makes sure that the store has what it mentions, for whoever stages, uploads or packs it. False
    /// when there is no record of them, or the store lacks them and they are not `on_disk` either: then
    /// they are to be made.
    pub(super) fn collect(&self, cx: &Context, inputs: Inputs<'_>, on_disk: bool) -> bool {
        if !cx.cache.collects() {
            return true;
        }
        let trace = self.trace(inputs.trace);
        let record = match read_trace_file(&cx.absolute(&self.trace_path())) {
            TraceFile::Finished(record) if record.dep_hash == trace.hash() => record.outputs,
            // Taken for up to date by its time: nothing tells what it was made from.
            _ => return cx.options.old,
        };
        let store = cx.cache.store(&self.place.name);
        let here = |file: &OutputFile| {
            store.is_none_or(|store| {
                let held = match cx.options.rehash {
                    true => store.is_intact(&file.hash, file.size),
                    false => store.holds(&file.hash),
                };
                held || !on_disk && store.can_fetch(&file.hash)
            })
        };
        match (record.outputs.iter().all(here), on_disk) {
            (true, _) => cx.cache.collect(&self.place.name, &self.target, &trace, &record),
            (false, true) => self.keep_in_store(cx, &trace, &record),
            (false, false) => return cx.options.mode != Mode::Build,
        }
        true
    }
}
