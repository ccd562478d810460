//! The work of a task, and what comes of it.

use larder_engine::process::Allowance;
use larder_runs::result::Origin;
use larder_trace::ContentHash;

use super::{Prepared, Request};
use crate::{
    build::{
        self, BuildTask, Built, Costs, Documentation, Ended, Kind, Log, Need, StageEnd, Staged,
        Workshop,
    },
    catalogue::Recipe,
    docs,
    graph::BuildId,
    layer::{Layer, Layers},
};

/// The work of a task: plain data.
pub enum Job {
    /// To make a layer.
    Build(BuildTask),
    /// To test what is installed.
    Test(BuildTask, Layer),
    /// To make the documentation of what is installed, and to publish it.
    Doc(BuildTask, Layer, Documentation),
}

/// What came of it.
pub struct Done {
    /// How it ended.
    pub ended: StageEnd,
    /// Where its result comes from.
    pub origin: Origin,
    /// The time and memory that it took.
    pub costs: Costs,
}

impl Job {
    /// The build that it is about.
    pub fn task(&self) -> &BuildTask {
        match self {
            Job::Build(task) | Job::Test(task, _) | Job::Doc(task, ..) => task,
        }
    }

    /// The hash of all that its result depends on.
    pub fn dep_hash(&self, shop: &Workshop) -> ContentHash {
        match self {
            Job::Build(task) => task.dep_hash(&shop.platform),
            Job::Test(task, layer) => build::dep_hash(shop, task, layer, Kind::Test),
            Job::Doc(task, layer, docs) => build::dep_hash(shop, task, layer, Kind::Docs(docs)),
        }
    }

    /// Whether what it makes is there, given that it worked before. What a build has installed is not: it is in the store
    /// under the same hash, and comes from there.
    pub fn is_done(&self, shop: &Workshop) -> bool {
        match self {
            Job::Build(_) => false,
            Job::Test(..) => true,
            Job::Doc(.., docs) => shop.data.html().join(&docs.place).is_dir(),
        }
    }

    /// Does it. What is printed meanwhile goes to `log`.
    pub fn run(&self, shop: &Workshop, log: &Log) -> Done {
        match self {
            Job::Build(task) => build::build(shop, task, log).into(),
            Job::Test(task, layer) => build::test(shop, task, layer, log).into(),
            Job::Doc(task, layer, docs) => docs::publish(shop, task, layer, docs, log).into(),
        }
    }
}

impl From<Built> for Done {
    fn from(built: Built) -> Done {
        let ended = match built.ended {
            Ended::Worked(_) => StageEnd::Worked,
            Ended::Failed(failure) => StageEnd::Failed(failure),
            Ended::Interrupted => StageEnd::Interrupted,
        };
        Done { ended, origin: built.origin, costs: built.costs }
    }
}

impl From<Staged> for Done {
    fn from(staged: Staged) -> Done {
        Done { ended: staged.ended, origin: Origin::Built, costs: staged.costs }
    }
}

/// What is to be built, with the layers that it needs; `None` where one of these is gone.
pub fn build_task(
    request: &Request,
    prepared: &Prepared,
    layers: &Layers,
    id: BuildId,
) -> Option<BuildTask> {
    let Prepared { catalogue, surroundings, builds, .. } = prepared;
    let build = builds.get(id);
    let package = catalogue.get(build.package);
    let need = |&need: &BuildId| {
        let of = builds.get(need);
        let version = catalogue.get(of.package);
        let sources = match &version.recipe {
            Recipe::Commands { .. } => None,
            Recipe::Manifest => Some(version.sources.clone()),
        };
        Some(Need {
            package: version.id.clone(),
            direct: build.needs.contains(&need),
            layer: layers.find(&of.hash)?,
            sources,
        })
    };
    let compiler = catalogue.compiler(build.compiler);
    let limits = &package.limits;
    let mut needs = build.closure.iter().map(need).collect::<Option<Vec<_>>>()?;
    // Whatever else is in the set: the same order makes the same hashes.
    needs.sort_by(|a, b| a.package.cmp(&b.package));
    Some(BuildTask {
        package: package.id.clone(),
        build_hash: build.hash.clone(),
        source_digest: package.digest.clone(),
        sources: package.sources.clone(),
        recipe: package.recipe.clone(),
        docs: package.docs.clone(),
        needs,
        compiler: build::Compiler {
            package: compiler.name.clone(),
            identity: surroundings.identities[build.compiler.index()].clone(),
            toolchain: compiler.toolchain.clone(),
        },
        allowance: Allowance {
            time: Some(limits.time),
            memory: Some(limits.memory),
            processes: Some(limits.processes.into()),
            disk: Some(limits.disk),
            log: Some(limits.log),
        },
        jobs: request.jobs,
        sandbox: request.sandbox,
    })
}
