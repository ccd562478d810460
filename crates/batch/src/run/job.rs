//! The work of a task, and what comes of it.

use std::path::PathBuf;

use larder_runs::result::Origin;
use larder_trace::ContentHash;

use crate::{
    build::{self, BuildTask, Built, Costs, Ended, Kind, Log, StageEnd, Staged, Workshop},
    docs,
    layer::Layer,
};

/// The work of a task: plain data.
pub enum Job {
    /// To make a layer.
    Build(BuildTask),
    /// To test what is installed.
    Test(BuildTask, Layer),
    /// To make the documentation of what is installed, and to publish it there.
    Doc(BuildTask, Layer, PathBuf),
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
            Job::Doc(task, layer, _) => build::dep_hash(shop, task, layer, Kind::Docs),
        }
    }

    /// Whether what it makes is there, given that it worked before. What a build has installed is not: it is in the store
    /// under the same hash, and comes from there.
    pub fn is_done(&self) -> bool {
        match self {
            Job::Build(_) => false,
            Job::Test(..) => true,
            Job::Doc(.., place) => place.is_dir(),
        }
    }

    /// Does it. What is printed meanwhile goes to `log`.
    pub fn run(&self, shop: &Workshop, log: &Log) -> Done {
        match self {
            Job::Build(task) => build::build(shop, task, log).into(),
            Job::Test(task, layer) => build::test(shop, task, layer, log).into(),
            Job::Doc(task, layer, place) => docs::publish(shop, task, layer, place, log).into(),
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
