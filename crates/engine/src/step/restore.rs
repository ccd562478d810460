//! Bringing a step's outputs back from the cache, or leaving them there until somebody needs them.

use std::{error::Error, fmt, fs};

use larder_project::path::PathError;
use larder_store::Miss;
use larder_trace::{
    BuildMetadata, BuildTrace, ContentHash, MTime, OutputFile, Outputs, TraceFile,
    begin_trace_file, read_trace_file, write_trace_file,
};

use super::{Inputs, Step, record::with_parent};
use crate::{
    artifact::{Artifact, Made},
    context::{Context, Mode},
    executor::ExecuteError,
    grounds::Source,
    lookups::{self, Asked, ServiceMiss},
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

/// Why outputs from the cache were not put in place.
#[derive(Debug, thiserror::Error)]
enum NotPut {
    /// One of them did not come.
    #[error("{path}: {miss}")]
    Missed {
        /// Its path.
        path: String,
        /// Why.
        miss: Miss,
    },
    /// The record gives one of them a path that none can have.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Something here.
    #[error(transparent)]
    Here(#[from] ExecuteError),
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
        let package = &self.place.name;
        cache.store(package)?;
        let dep_hash = self.prefix.hash_with(inputs.trace);
        let Some(lookups) = cache.to_note().filter(|_| self.work.in_place().is_none()) else {
            let fits = |outputs: &Outputs| self.fits(cx, inputs, outputs, on_disk);
            let mut keys = self.keys(inputs, dep_hash).into_iter();
            let record = keys.find_map(|key| cache.lookup(package, &key, fits))?;
            return self.take_record(cx, inputs, record, on_disk).ok();
        };
        let mut asked = Asked::default();
        let record = cache.lookup(package, &dep_hash, |outputs| {
            let fits = self.fits(cx, inputs, outputs, on_disk);
            // One that fits and is not the answer has lost an artifact.
            let why = if fits { ServiceMiss::Lost } else { self.misfit(cx, inputs, outputs) };
            asked.missed.push((outputs.clone(), why));
            fits
        });
        let Some(record) = record else {
            lookups.note(package, dep_hash, Some(asked));
            return None;
        };
        let tried = asked.missed.pop().map(|(outputs, _)| outputs);
        match self.take_record(cx, inputs, record, on_disk) {
            Ok(restored) => {
                asked.answer = tried;
                lookups.note(package, dep_hash, Some(asked));
                Some(restored)
            }
            Err(why) => {
                let asked = why.map(|why| {
                    asked.missed.extend(tried.map(|tried| (tried, why)));
                    asked.broke_off = true;
                    asked
                });
                lookups.note(package, dep_hash, asked);
                None
            }
        }
    }

    /// Whether a record of the store is of these inputs and can be used.
    fn fits(&self, cx: &Context, inputs: Inputs<'_>, record: &Outputs, on_disk: bool) -> bool {
        self.has_the_same_inputs(cx, inputs, record, Source::Store)
            && (on_disk || self.can_be_left(cx, record))
    }

    /// Why a record of the store does not fit.
    fn misfit(&self, cx: &Context, inputs: Inputs<'_>, record: &Outputs) -> ServiceMiss {
        if !self.is_believed(cx, record, Source::Store) {
            ServiceMiss::Refused
        } else if self.has_the_same_inputs(cx, inputs, record, Source::Store) {
            ServiceMiss::Lost
        } else {
            ServiceMiss::OtherInputs
        }
    }

    /// Puts what a record of the store describes in place, or says why a service is to blame that it did
    /// not come.
    fn take_record(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        record: Outputs,
        on_disk: bool,
    ) -> Result<Restored, Option<ServiceMiss>> {
        if !record.describes(&self.expected()) {
            tracing::info!(
                "the cache has different outputs for {}; they are not used",
                self.target
            );
            return Err(Some(ServiceMiss::Refused));
        }
        self.put_in_place(cx, inputs, record, on_disk).map_err(|error| {
            if !matches!(error, NotPut::Here(ExecuteError::Interrupted)) {
                tracing::debug!("{} was not restored: {error}", self.target);
            }
            self.discard(cx);
            match error {
                NotPut::Missed { miss, .. } => lookups::why(&miss),
                NotPut::Path(_) => Some(ServiceMiss::Refused),
                NotPut::Here(_) => None,
            }
        })
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
    ) -> Result<Restored, NotPut> {
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
                    .map_err(|miss| NotPut::Missed { path: file.path.clone(), miss })?;
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
        self.file_mapping(cx, trace, trace.hash(), record, kept.err());
    }

    /// Files the mapping of outputs under `key`, unless the store has `refused` one of them.
    pub(super) fn file_mapping(
        &self,
        cx: &Context,
        trace: &BuildTrace,
        key: ContentHash,
        record: &Outputs,
        refused: Option<impl fmt::Display>,
    ) {
        match refused {
            // What is made in every build is looked up by nobody, and differs as it is meant to.
            None if self.always => {}
            None => {
                let differs = cx.cache.record(&self.place.name, &key, record);
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
