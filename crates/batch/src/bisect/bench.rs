//! Trying states: each attempt builds what its state needs and is not there, through the schedule of any run, and records
//! it in the one run of the bisection.

use std::{collections::BTreeSet, sync::Arc};

use larder_engine::session::Session;
use larder_runs::{
    gc::{self, References},
    name::{HashName, PackageName},
    result::{Entry, Outcome, Stage},
    run_log::Run,
};

use super::{
    BisectError,
    hunt::Came,
    outcome::Failing,
    state::{State, own},
};
use crate::{
    event::Reporter,
    graph::BuildId,
    layer::Layers,
    run::{self, Prepared, Request, Trying, Witness},
    tasks::{Part, Tasks},
};

/// Where states are tried.
pub struct Bench<'b> {
    session: &'b Arc<Session>,
    request: &'b Request,
    platform: String,
    run: Run,
    references: References,
    /// What this run has recorded.
    witness: Arc<Witness>,
}

/// What became of a build.
#[derive(Debug, Clone)]
enum Became {
    Built,
    /// It failed, because of these packages.
    Failed(Vec<PackageName>),
    /// It failed for the weather.
    Unknown,
}

impl<'b> Bench<'b> {
    /// A bench for a run that has begun.
    pub fn new(
        session: &'b Arc<Session>,
        request: &'b Request,
        reporter: &'b Arc<dyn Reporter>,
        platform: &str,
        run: Run,
    ) -> Self {
        Self {
            session,
            request,
            platform: platform.to_owned(),
            run,
            references: References::default(),
            witness: Arc::new(Witness::new(reporter.clone())),
        }
    }

    /// Returns the run, for its end.
    pub fn into_run(self) -> Run {
        self.run
    }

    /// Tries a state up to a stage. What this run has built before is not built again, unless it is to be tried `again` and
    /// failed.
    ///
    /// # Errors
    /// When run data cannot be read or written, or the run is told to stop.
    pub fn attempt(
        &mut self,
        state: &State,
        stage: Stage,
        again: bool,
    ) -> Result<Came, BisectError> {
        let mut prepared = state.prepared(&self.platform);
        let Some(target) = own(&prepared) else {
            return Ok(Came::Nothing("it is not there".to_owned()));
        };
        if let Some(came) = self.blocked(&prepared, target).filter(|_| !again) {
            return Ok(came);
        }
        self.refer(&prepared)?;
        if again {
            // Whatever failed is tried again, not only the package.
            prepared.targets = prepared.catalogue.iter().map(|(id, _)| id).collect();
        }
        let request = Request { again, ..self.request.clone() };
        let hash = |id: BuildId| prepared.builds.get(id).hash.clone();
        let is_built = |id| matches!(self.became(&hash(id)), Some(Became::Built));
        let wanted = |part: Part| match part.stage {
            Stage::Solve | Stage::Doc => false,
            Stage::Build => !is_built(part.build),
            Stage::Test => part.build == target && stage >= Stage::Test,
        };
        let all = prepared.builds.iter().map(|(id, _)| id);
        let stages = [Stage::Build, Stage::Test];
        let tasks = Tasks::new(&prepared.builds, all, &prepared.catalogue, &stages).only(wanted);
        let witness = &self.witness;
        let next = |part: &Part| witness.next_attempt(&hash(part.build), part.stage);
        let first = tasks.parts().map(next).max().unwrap_or(1);
        let reporter: Arc<dyn Reporter> = witness.clone();
        let session = self.session;
        // What was built and is there still is built once more where nobody sees it.
        let layers = Layers::new(self.request.data.layers());
        let afresh = again && stage == Stage::Build && layers.has(&hash(target));
        let before = witness.of(&hash(target)).len();
        let (request, prepared, run) = (&request, &prepared, &self.run);
        let trying = Trying { session, request, prepared, run, reporter: &reporter, first };
        run::work_off(&trying, &tasks, |attendance| {
            if afresh && !attendance.stops() {
                attendance.try_afresh(target, &attendance.shop.for_trials(), witness)?;
            }
            Ok(())
        })?;
        if session.processes.ending() {
            return Err(BisectError::Interrupted);
        }
        let target = hash(target);
        let came = match witness.of(&target).get(before..).and_then(<[Entry]>::last) {
            Some(entry) => came(entry),
            None if matches!(self.became(&target), Some(Became::Built)) => Came::Worked(stage),
            None => Came::Nothing("nothing was recorded of it".to_owned()),
        };
        Ok(match came {
            // Without tests, that it was built is all there is.
            Came::Worked(_) => Came::Worked(stage),
            other => other,
        })
    }

    /// What became of a build in this run; `None` where it was not tried.
    fn became(&self, build: &HashName) -> Option<Became> {
        self.witness.last(build, Stage::Build).map(|entry| became(&entry))
    }

    /// Keeps the layers of a state from a collection, before anybody looks whether they are there.
    fn refer(&mut self, prepared: &Prepared) -> Result<(), BisectError> {
        let more = run::references(prepared);
        self.references.layers.extend(more.layers);
        self.references.universes.extend(more.universes);
        gc::publish_references(&self.request.data, &self.run, &self.references)?;
        Ok(())
    }

    /// What is known already of a state of which something has failed in this run.
    fn blocked(&self, prepared: &Prepared, target: BuildId) -> Option<Came> {
        let closure = &prepared.builds.get(target).closure;
        let mut roots: BTreeSet<PackageName> = BTreeSet::new();
        for id in closure {
            match self.became(&prepared.builds.get(*id).hash) {
                Some(Became::Failed(because)) => roots.extend(because),
                Some(Became::Unknown) => {
                    return Some(Came::Nothing("what it needs failed for the weather".to_owned()));
                }
                _ => {}
            }
        }
        let build = prepared.builds.get(target);
        let package = prepared.catalogue.get(build.package).id.clone();
        (!roots.is_empty()).then(|| {
            Came::Failed(Failing::blocked(package, build.hash.clone(), roots.into_iter().collect()))
        })
    }
}

fn became(entry: &Entry) -> Became {
    let result = &entry.result;
    match result.outcome() {
        Outcome::Worked => Became::Built,
        Outcome::Blocked => {
            let roots = result.root_failures.iter().map(|root| root.package.clone());
            Became::Failed(roots.collect())
        }
        _ if result.category.is_weather() => Became::Unknown,
        _ => Became::Failed(vec![result.package.clone()]),
    }
}

/// What a result says of its package.
pub fn came(entry: &Entry) -> Came {
    let result = &entry.result;
    match result.outcome() {
        Outcome::Worked => Came::Worked(result.stage),
        _ if result.category.is_weather() => Came::Nothing(result.category.to_string()),
        _ => Came::Failed(Failing::of(entry)),
    }
}
