//! The work of a task, and what comes of it.

use larder_engine::process::Allowance;
use larder_runs::{
    DataDir,
    result::{Origin, Stage, StageResult},
};
use larder_trace::ContentHash;

use super::{Prepared, Request};
use crate::{
    build::{
        self, BuildTask, Built, Costs, Documentation, Ended, Kind, Log, Need, StageEnd, Staged,
        Workshop,
    },
    catalogue::Recipe,
    docs,
    graph::{Build, BuildId},
    layer::{Layer, Layers},
    past::Past,
    tasks::Part,
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
    pub fn dep_hash(&self, platform: &str) -> ContentHash {
        let of = |task, layer, kind| build::dep_hash(platform, task, layer, kind);
        match self {
            Job::Build(task) => task.dep_hash(platform),
            Job::Test(task, layer) => of(task, layer, Kind::Test),
            Job::Doc(task, layer, docs) => of(task, layer, Kind::Docs(docs)),
        }
    }

    /// Whether what is known of it is as good as doing it. Of what worked, its work has to be there still.
    ///
    /// # Errors
    /// When the history of its package cannot be read.
    pub fn is_answered_by(
        &self,
        known: &StageResult,
        past: &Past,
        build: &Build,
        data: &DataDir,
    ) -> larder_runs::Result<bool> {
        if !known.is_success() {
            return Ok(true);
        }
        // Other pages may be in the same place by now.
        let published = match self {
            Job::Doc(task, ..) => {
                let own = (!build.blessed).then_some((&build.universe, &task.compiler.package));
                past.published(&task.package, own)? == known.dep_hash
            }
            _ => true,
        };
        Ok(published && self.is_done(data))
    }

    /// Whether what it makes is there, given that it worked before. What a build has installed is not: it is in the store
    /// under the same hash, and comes from there.
    fn is_done(&self, data: &DataDir) -> bool {
        match self {
            Job::Build(_) => false,
            Job::Test(..) => true,
            Job::Doc(.., docs) => data.html().join(&docs.place).is_dir(),
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

/// The work of a part, given the task and the layer of its build; `None` where there is no layer and it needs one.
pub fn job(
    prepared: &Prepared,
    data: &DataDir,
    part: Part,
    task: BuildTask,
    layer: Option<Layer>,
) -> Option<Job> {
    Some(match part.stage {
        Stage::Solve | Stage::Build => Job::Build(task),
        Stage::Test => Job::Test(task, layer?),
        Stage::Doc => {
            let Prepared { catalogue, builds, .. } = prepared;
            Job::Doc(task, layer?, docs::of_build(&data.html(), part.build, builds, catalogue))
        }
    })
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
