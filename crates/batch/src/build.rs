//! Building one package into a layer.
//!
//! A package is a larder package, which the engine builds and installs, or any other source tree with lines for a
//! shell. Either way nothing is built in place: sources are only read. What came of it is data, and a failure of
//! one package is no error of whoever builds many.

mod afresh;
mod commands;
mod environment;
mod failure;
mod package;
mod pages;
mod said;
mod script;
mod stages;
mod task;
mod work;

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use larder_engine::{
    process::{Budget, Limit},
    session::Session,
};
use larder_project::dependencies::Resolution;
use larder_runs::{
    Category, DataDir,
    result::{Exit, Origin},
    time::Clock,
};
use larder_store::{Scope, Store};
use larder_trace::ContentHash;

pub(crate) use self::work::SOURCES;
use self::work::Work;
pub use self::{
    afresh::{Trial, afresh},
    pages::{Documentation, Pages},
    script::read_docs,
    stages::{Kind, StageEnd, Staged, dep_hash, document, test},
    task::{BuildTask, Compiler, Need},
};
use crate::{
    catalogue::Recipe,
    layer::{self, Collected, Keys, Layer, LayerRecord, Layers, Moving, Spots},
};

/// Where all that a build prints goes, as it comes.
pub type Log = Arc<Mutex<dyn Write + Send>>;

/// What came of a build.
#[derive(Debug)]
pub struct Built {
    /// The hash of all that it depended on: equal ones have equal results, whatever their build hashes.
    pub dep_hash: ContentHash,
    /// Whether it worked.
    pub ended: Ended,
    /// Where the layer comes from.
    pub origin: Origin,
    /// The time and memory that it took.
    pub costs: Costs,
}

/// How a build ended.
#[derive(Debug)]
pub enum Ended {
    /// There is a layer.
    Worked(Layer),
    /// There is none, and this is why.
    Failed(Failure),
    /// Whoever runs it wants it to end: nothing is to be said of the package.
    Interrupted,
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the process ended that decided it; none where there was none, or several.
    pub exit: Option<Exit>,
    /// The limit that stopped it.
    pub limit: Option<Limit>,
    /// The kind of failure, where that is known without reading the log.
    pub category: Option<Category>,
    /// A line that says what went wrong.
    pub error: String,
}

/// The time and memory that a build took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// From its start to its end.
    pub wall: Duration,
    /// Time on processors, of all its commands.
    pub cpu: Duration,
    /// The most memory that its commands held at once, in bytes.
    pub peak_memory: u64,
}

impl Built {
    fn new(dep_hash: ContentHash, ended: Ended, origin: Origin, costs: Costs) -> Self {
        Self { dep_hash, ended, origin, costs }
    }
}

/// Where packages are built, and with what.
pub struct Workshop {
    /// The data directory.
    pub data: DataDir,
    /// The session that all builds share.
    pub session: Arc<Session>,
    /// How a larder package's own dependencies by Git or URL are found.
    pub resolution: Resolution,
    /// The layers.
    pub layers: Layers,
    /// The platform that is built on, such as `x86_64-linux`.
    pub platform: String,
    /// Where what is built is put instead, when it is only to be seen whether that works. Then the store has no part in it.
    trials: Option<Layers>,
}

/// Layers are filed under this name in stores and services.
const SCOPE: &str = "layers";

/// How often it is looked whether another process has finished a build.
const LOOK: Duration = Duration::from_millis(50);

impl Workshop {
    /// A workshop in `data` for the builds of a session.
    pub fn new(data: DataDir, session: Arc<Session>, resolution: Resolution) -> Self {
        let layers = Layers::new(data.layers());
        let platform = larder_trace::host_platform().to_string();
        Self { data, session, resolution, layers, platform, trials: None }
    }

    /// Where packages are built.
    fn work(&self) -> PathBuf {
        self.data.root().join("work")
    }

    fn store(&self) -> Option<(&Arc<Store>, Scope)> {
        let settings = &self.session.settings.store;
        if self.trials.is_some() || settings.off || settings.packages_use_it == Some(false) {
            return None;
        }
        Some((self.session.store()?, SCOPE.parse().ok()?))
    }

    /// Claims the work directory `name`; `None` when the run is to end meanwhile.
    fn claim(&self, name: &str) -> Result<Option<Work>, Failure> {
        let path = self.work().join(name);
        while !self.session.processes.interrupted() {
            match Work::claim(&path) {
                Ok(None) => thread::sleep(LOOK),
                Ok(work) => return Ok(work),
                Err(error) => {
                    return Err(Failure::of_io("cannot build in", &path, &error));
                }
            }
        }
        Ok(None)
    }
}

/// Makes the layer of a package: takes the one that is there or that the store has, or else builds it. What it prints
/// goes to `log`. No other process builds the same at the same time.
pub fn build(shop: &Workshop, task: &BuildTask, log: &Log) -> Built {
    let (built, _work) = with_work(shop, task, log, |dep_hash, work| {
        match shop.layers.verified(&task.build_hash, &task.need_paths()) {
            Some(layer) => {
                let ended = Ended::Worked(layer);
                Ok(Built::new(dep_hash, ended, Origin::Cached, Costs::default()))
            }
            None => make(shop, task, dep_hash, work, log),
        }
    });
    built
}

/// Builds a package with `made`, which gets its dep hash, in a work directory that nobody else has meanwhile. Returns that as well;
/// it is gone with what is returned.
fn with_work(
    shop: &Workshop,
    task: &BuildTask,
    log: &Log,
    made: impl FnOnce(ContentHash, &Work) -> Result<Built, Failure>,
) -> (Built, Option<Work>) {
    let dep_hash = task.dep_hash(&shop.platform);
    let started = Instant::now();
    let ended = |ended| {
        let costs = Costs { wall: started.elapsed(), ..Costs::default() };
        Built::new(dep_hash, ended, Origin::Built, costs)
    };
    let failed = |failure: Failure| {
        said::line(log, &failure.error);
        ended(Ended::Failed(failure))
    };
    match shop.claim(task.build_hash.as_str()) {
        Ok(Some(work)) => (made(dep_hash, &work).unwrap_or_else(failed), Some(work)),
        Ok(None) => (ended(Ended::Interrupted), None),
        Err(failure) => (failed(failure), None),
    }
}

/// Restores or builds a layer.
fn make(
    shop: &Workshop,
    task: &BuildTask,
    dep_hash: ContentHash,
    work: &Work,
    log: &Log,
) -> Result<Built, Failure> {
    let started = Instant::now();
    let needs = task.need_paths();
    for need in &task.needs {
        if shop.layers.verified(&need.layer.record.build_hash, &needs).is_none() {
            // The next run makes it again.
            shop.layers.remove(&need.layer);
            let message = format!("the layer of {} was gone or damaged", need.package);
            return Err(Failure::of_machine(message));
        }
    }
    let homes = shop.homes();
    let home = homes.path(&task.build_hash);
    let spots = Spots::new(&home, &needs);
    let keys = Keys::new(dep_hash, &home, &needs);
    let prefix = work.prefix();
    let publish = |collected: &Collected, costs: Costs| {
        let record = record(task, dep_hash, collected, homes.directory(), costs);
        let published = homes.publish(&prefix, &collected.listing, record);
        published.map_err(|error| Failure::of_io("cannot keep the layer", &home, &error))
    };
    if let Some((store, scope)) = shop.store()
        && let Some(restored) = layer::restore(store, &scope, keys, &prefix, &spots)
    {
        let took = restored.milliseconds.map_or(Duration::ZERO, Duration::from_millis);
        let layer = publish(&restored.collected, Costs { wall: took, ..Costs::default() })?;
        said::line(log, "restored from the store");
        let costs = Costs { wall: started.elapsed(), ..Costs::default() };
        return Ok(Built::new(dep_hash, Ended::Worked(layer), Origin::Restored, costs));
    }
    let heard = log.clone();
    let listener = move |bytes: &[u8]| said::raw(&heard, bytes);
    let budget = Budget::new(task.allowance).writing_in(vec![work.path().to_owned()]);
    // What commands of larder packages print is told when they have ended, with what they are.
    let budget = match task.recipe {
        Recipe::Manifest => budget,
        Recipe::Commands { .. } => budget.heard_by(Box::new(listener)),
    };
    let budget = Arc::new(budget);
    let ended = match &task.recipe {
        Recipe::Manifest => package::build(shop, task, work, &budget, log),
        Recipe::Commands { build, .. } => commands::build(shop, task, build, work, &budget, log),
    };
    // Whatever came of other sources is no news of this package.
    let ended = match task.check_sources() {
        Ok(()) => ended,
        Err(changed) => Err(changed),
    };
    let spent = budget.spent();
    let costs = Costs { wall: started.elapsed(), cpu: spent.cpu, peak_memory: spent.peak_memory };
    let origin = match ended {
        Ok(origin) => origin,
        Err(_) if shop.session.processes.interrupted() => {
            return Ok(Built::new(dep_hash, Ended::Interrupted, Origin::Built, costs));
        }
        Err(mut failure) => {
            if let Some(limit) = budget.reached() {
                failure = failure.by(limit);
            }
            said::line(log, &failure.error);
            return Ok(Built::new(dep_hash, Ended::Failed(failure), Origin::Built, costs));
        }
    };
    let moving = Moving { work: work.path(), from: &prefix, to: &home };
    let collected = layer::collect(&moving, &spots).map_err(Failure::of_layer)?;
    let layer = publish(&collected, costs)?;
    if let Some((store, scope)) = shop.store() {
        let milliseconds = u64::try_from(costs.wall.as_millis()).unwrap_or(u64::MAX);
        layer::keep(store, &scope, keys, &layer.directory, &collected, &spots, milliseconds);
    }
    Ok(Built::new(dep_hash, Ended::Worked(layer), origin, costs))
}

fn record(
    task: &BuildTask,
    dep_hash: ContentHash,
    collected: &Collected,
    layers: &std::path::Path,
    costs: Costs,
) -> LayerRecord {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    LayerRecord {
        schema_version: layer::SCHEMA_VERSION,
        package: task.package.clone(),
        build_hash: task.build_hash.clone(),
        dep_hash,
        digest: collected.listing.digest(),
        compiler: task.compiler.package.clone(),
        made: Clock::system().now().to_string(),
        home: (!collected.names_nothing()).then(|| layers.to_owned()),
        wall_ms: milliseconds(costs.wall),
        cpu_ms: milliseconds(costs.cpu),
        peak_memory_bytes: costs.peak_memory,
    }
}

/// Something that is locked for an instant.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
