//! How a step's inputs differ from those that a service has outputs of.
//!
//! Each step is taken by itself: what it needs from other steps is taken as the service has it, so that
//! a change is named where it is made, and not again in everything that follows from it.

use std::time::Instant;

use larder_project::path::PortablePath;
use larder_trace::{MTime, Outputs};

use super::{Inputs, Step};
use crate::{
    artifact::{Artifact, Made},
    context::Context,
    event::Status,
    grounds::Source,
    job::{Failed, Flow},
    reason::Reason,
    search::first_places,
    uploads::{Entry, Uploads},
};

impl Step {
    /// Tells whether `uploads` have what these inputs make, or why not, and goes on with what they have.
    pub(super) fn compare(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        uploads: &Uploads,
        started: Instant,
    ) -> Flow<Vec<Artifact>> {
        let trace = self.trace(inputs.trace);
        let nearest = uploads.nearest(self.first().path.as_str(), &trace);
        let reasons = match &nearest {
            Some(entry) => self.reasons(cx, inputs, uploads, entry),
            None => vec![Reason::NeverUploaded],
        };
        match reasons.is_empty() {
            true => self.tell(cx, Status::Replayed, &[], None, started.elapsed()),
            false => {
                let reason = Reason::Several(reasons);
                self.tell(cx, Status::OutOfDate, &[], Some(&reason), started.elapsed());
            }
        }
        let there = nearest.filter(|entry| entry.outputs.describes(&self.expected()));
        Flow::Ended(match there {
            Some(entry) => Ok(self.built(self.outputs_there(uploads, entry.outputs))),
            None => self.outputs_here(cx, inputs, uploads).map(|artifacts| self.built(artifacts)),
        })
    }

    /// The outputs as a service has them.
    fn outputs_there(&self, uploads: &Uploads, record: &Outputs) -> Vec<Artifact> {
        for file in &record.outputs {
            if let Ok(path) = self.recorded(&file.path) {
                uploads.note(&path, file.hash);
            }
        }
        let files = record.outputs.iter();
        let made: Vec<Made<'_>> = files.map(|file| Made::of(file, MTime::NONE)).collect();
        self.artifacts(&made)
    }

    /// The outputs as they are here, if they are up to date.
    fn outputs_here(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        uploads: &Uploads,
    ) -> Result<Vec<Artifact>, Failed> {
        let fresh = self.look(cx, inputs).map_err(|_| Failed)?;
        for (output, made) in self.outputs.iter().zip(&fresh.artifacts) {
            uploads.note(&self.place.build_path(&output.path), made.hash);
        }
        Ok(fresh.artifacts)
    }

    /// Why outputs of `entry` are not those of these inputs.
    fn reasons(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        uploads: &Uploads,
        entry: &Entry<'_>,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        match &entry.differences {
            None => reasons.push(Reason::InputsUnknown),
            Some(different) if different.is_empty() => {}
            Some(different) => reasons.push(Reason::Inputs(different.clone())),
        }
        let changed = self.changed_since(cx, uploads, entry.outputs);
        if !changed.is_empty() {
            reasons.push(Reason::Discovered(changed));
        }
        if reasons.is_empty() {
            reasons.extend(self.searched_otherwise(cx, inputs, uploads, entry.outputs));
        }
        reasons
    }

    /// The inputs that `record` names and that have other contents here.
    fn changed_since(&self, cx: &Context, uploads: &Uploads, record: &Outputs) -> Vec<String> {
        let changed = record.discovered.iter().filter(|input| {
            let here = self
                .made_there(cx, uploads, &input.path)
                .or_else(|| Some(self.recorded_input(cx, &input.path, Source::Store)?.hash));
            here != Some(input.hash)
        });
        changed.map(|input| input.path.clone()).collect()
    }

    /// The content of an input that another step makes, by its portable path.
    fn made_there(
        &self,
        cx: &Context,
        uploads: &Uploads,
        path: &str,
    ) -> Option<larder_trace::ContentHash> {
        uploads.made(&cx.places.find(&self.place, &PortablePath::recorded(path)).ok()?)
    }

    /// Why a search for inputs would find other files than when `record` was made, if it would.
    fn searched_otherwise(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        uploads: &Uploads,
        record: &Outputs,
    ) -> Option<Reason> {
        let searched = record.searched.as_ref()?;
        if self.finds_the_same(cx, inputs, searched, record, Source::Store) {
            return None;
        }
        if !self.may_search(cx, searched, record, Source::Store) {
            return Some(Reason::Searched);
        }
        let there = |path: &str| {
            let path = cx.places.find(&self.place, &PortablePath::recorded(path));
            path.is_ok_and(|path| cx.absolute(&path).is_file())
        };
        let source = inputs.artifacts.first().map(|source| self.portable(cx, source));
        let source = source.as_ref().map_or("", |source| source.as_str());
        let appeared = first_places(searched, &record.discovered, source, &there);
        // What is made there need not be here, and then nothing can be said of where it is found.
        let unknown = || {
            let made = |path: &str| self.made_there(cx, uploads, path).is_some() && !there(path);
            record.discovered.iter().any(|input| made(&input.path))
        };
        match appeared.is_empty() {
            false => Some(Reason::Appeared(appeared)),
            true if unknown() => None,
            true => Some(Reason::Searched),
        }
    }
}
