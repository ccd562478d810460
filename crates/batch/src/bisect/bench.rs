//! Trying states: each attempt builds what its state needs and is not there, through the schedule of any run, and records
//! it in the one run of the bisection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

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
    event::{Event, Reporter},
    graph::BuildId,
    layer::Layers,
    run::{self, Prepared, Request, Trying},
    tasks::{Part, Tasks},
};

/// Where states are tried.
pub struct Bench<'b> {
    session: &'b Arc<Session>,
    request: &'b Request,
    reporter: &'b Arc<dyn Reporter>,
    platform: String,
    run: Run,
    references: References,
    /// What became of the builds of this run.
    settled: BTreeMap<HashName, Settled>,
    /// How often each stage of each build was tried in this run.
    tried: BTreeMap<(HashName, Stage), u32>,
}

#[derive(Debug, Clone)]
enum Settled {
    Worked,
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
            reporter,
            platform: platform.to_owned(),
            run,
            references: References::default(),
            settled: BTreeMap::new(),
            tried: BTreeMap::new(),
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
        let settled = |id| matches!(self.settled.get(&hash(id)), Some(Settled::Worked));
        let wanted = |part: Part| match part.stage {
            Stage::Solve | Stage::Doc => false,
            Stage::Build => !settled(part.build),
            Stage::Test => part.build == target && stage >= Stage::Test,
        };
        let all = prepared.builds.iter().map(|(id, _)| id);
        let stages = [Stage::Build, Stage::Test];
        let tasks = Tasks::new(&prepared.builds, all, &prepared.catalogue, &stages).only(wanted);
        let tried = |part: &Part| self.tried.get(&(hash(part.build), part.stage)).copied();
        let first = 1 + tasks.parts().filter_map(tried).max().unwrap_or_default();
        let heard = Arc::new(Heard { to: self.reporter.clone(), entries: Mutex::default() });
        let reporter: Arc<dyn Reporter> = heard.clone();
        let session = self.session;
        // What was built and is there still is built once more where nobody sees it.
        let afresh = again && stage == Stage::Build && self.is_there(&hash(target));
        let next = |hash: &HashName, stage| {
            let tried =
                [&self.tried, &heard.tried()].map(|it| it.get(&(hash.clone(), stage)).copied());
            tried.into_iter().flatten().max().unwrap_or_default() + 1
        };
        let (request, prepared, run) = (&request, &prepared, &self.run);
        let trying = Trying { session, request, prepared, run, reporter: &reporter, first };
        run::work_off(&trying, &tasks, |attendance| {
            if afresh && !attendance.stops() {
                attendance.try_afresh(target, &attendance.shop.for_trials(), &next)?;
            }
            Ok(())
        })?;
        if session.processes.closing() || session.processes.interrupted() {
            return Err(BisectError::Interrupted);
        }
        let entries = std::mem::take(&mut *heard.entries());
        let target = hash(target);
        Ok(self.settle(&entries, &target, stage))
    }

    /// Whether the layer of a build is there.
    fn is_there(&self, hash: &HashName) -> bool {
        Layers::new(self.request.data.layers()).find(hash).is_some()
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
            match self.settled.get(&prepared.builds.get(*id).hash) {
                Some(Settled::Failed(because)) => roots.extend(because.iter().cloned()),
                Some(Settled::Unknown) => {
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

    /// Takes note of what was recorded; returns what that means for the target.
    fn settle(&mut self, entries: &[Entry], target: &HashName, stage: Stage) -> Came {
        let mut came = match self.settled.get(target) {
            Some(Settled::Worked) => Came::Worked(stage),
            _ => Came::Nothing("nothing was recorded of it".to_owned()),
        };
        for entry in entries {
            let result = &entry.result;
            let Some(hash) = result.build_hash.clone() else { continue };
            self.tried.insert((hash.clone(), result.stage), result.attempt);
            if result.stage == Stage::Build {
                self.settled.insert(hash.clone(), settled(entry));
            }
            if hash == *target {
                came = self::came(entry);
            }
        }
        match came {
            // Without tests, that it was built is all there is.
            Came::Worked(_) => Came::Worked(stage),
            other => other,
        }
    }
}

fn settled(entry: &Entry) -> Settled {
    let result = &entry.result;
    match result.outcome() {
        Outcome::Worked => Settled::Worked,
        Outcome::Blocked => {
            let roots = result.root_failures.iter().map(|root| root.package.clone());
            Settled::Failed(roots.collect())
        }
        _ if result.category.is_weather() => Settled::Unknown,
        _ => Settled::Failed(vec![result.package.clone()]),
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

/// Hears of each result, and tells somebody else.
struct Heard {
    to: Arc<dyn Reporter>,
    entries: Mutex<Vec<Entry>>,
}

impl Heard {
    /// The number of the last attempt at each stage of each build.
    fn tried(&self) -> BTreeMap<(HashName, Stage), u32> {
        let entries = self.entries();
        let results = entries.iter().map(|entry| &entry.result);
        let named = results.filter_map(|it| Some(((it.build_hash.clone()?, it.stage), it.attempt)));
        named.collect()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { entry } = event {
            self.entries().push((*entry).clone());
        }
        self.to.event(event);
    }
}
