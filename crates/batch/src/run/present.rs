//! The builds of a run that are there before it does anything.
//!
//! In most runs that is nearly all of them. They are looked for and recorded many at a time: a schedule, and a lock on each, are
//! for what there is to do.

use larder_project::parallel;
use larder_runs::{name::HashName, result::Stage};

use super::{BatchError, Prepared, attend::Attendance};
use crate::{
    event::Event,
    graph::BuildId,
    hashes,
    layer::Layers,
    tasks::{Part, Tasks},
};

/// The builds whose layers are there, with those of all that they need.
#[derive(Debug)]
pub struct Present {
    /// By build: the hash of all that its layer was made from.
    made_from: Vec<Option<HashName>>,
}

impl Present {
    /// Looks for the layers of the builds that `tasks` are about.
    pub fn look(layers: &Layers, prepared: &Prepared, tasks: &Tasks, threads: usize) -> Present {
        let builds = &prepared.builds;
        let parts: Vec<&Part> = tasks.parts().filter(|part| part.stage == Stage::Build).collect();
        let found = parallel::map(&parts, threads, |part| {
            let layer = layers.find(&builds.get(part.build).hash)?;
            Some(hashes::name(&layer.record.dep_hash))
        });
        let mut made_from = vec![None; builds.len()];
        // What is not asked for is not waited for.
        let mut open = vec![false; builds.len()];
        for (part, found) in parts.into_iter().zip(found) {
            let build = part.build;
            let waits = builds.get(build).needs.iter().any(|need| open[need.index()]);
            open[build.index()] = waits || found.is_none();
            made_from[build.index()] = found.filter(|_| !waits);
        }
        Present { made_from }
    }

    /// Whether a part is the making of a layer that is there.
    pub fn has(&self, part: Part) -> bool {
        part.stage == Stage::Build && self.made_from[part.build.index()].is_some()
    }

    /// The builds, in order, each with the hash of all that its layer was made from.
    fn iter(&self) -> impl Iterator<Item = (BuildId, &HashName)> {
        let builds = (0..).map(BuildId).zip(&self.made_from);
        builds.filter_map(|(build, made_from)| Some((build, made_from.as_ref()?)))
    }
}

impl Attendance<'_> {
    /// Records these builds, until the run is told to stop.
    pub(super) fn record_present(&self, present: &Present) -> Result<(), BatchError> {
        let result = |(build, made_from): (BuildId, &HashName)| {
            self.there(Part { build, stage: Stage::Build }, made_from.clone())
        };
        let results = present.iter().take_while(|_| !self.stops()).map(result);
        self.run.record_all(results, |entry| self.reporter.event(&Event::Ended { entry }))?;
        Ok(())
    }
}
