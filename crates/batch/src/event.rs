//! Events: all that a batch has to tell, as it happens. Printing it is somebody else's work.

use std::time::Duration;

use larder_runs::{
    Category,
    build_lock::LockInfo,
    name::{HashName, PackageName, RunId},
    progress::Phase,
    result::{Entry, Stage},
};
use larder_trace::Level;

/// Whoever listens to a batch. Called from many threads.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}

/// A stage of a build, by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// The package.
    pub package: PackageName,
    /// The compiler.
    pub compiler: PackageName,
    /// Which build of it.
    pub build_hash: HashName,
    /// The stage.
    pub stage: Stage,
}

/// The package and the compiler, and the stage where that is not the build.
impl std::fmt::Display for TaskName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stage {
            Stage::Build => {}
            stage => write!(f, "{stage} of ")?,
        }
        write!(f, "{} with {}", self.package, self.compiler)
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run has begun.
    Begun {
        /// Its id.
        run: &'a RunId,
        /// How many packages it is about.
        packages: usize,
        /// How many others these need.
        needed: usize,
    },
    /// It does something else now.
    Phase(Phase),
    /// Versions were chosen for all.
    Solved {
        /// How many package versions, with each of the compilers, have a solution.
        found: usize,
        /// How many have none.
        failed: usize,
    },
    /// All that is to be done is known.
    Planned {
        /// How many tasks there are.
        tasks: usize,
        /// How long it is expected to take; `None` where nothing is known of anything.
        expected: Option<Duration>,
    },
    /// A task starts.
    Started {
        /// The task.
        task: &'a TaskName,
        /// The how manieth attempt it is, from 1.
        attempt: u32,
        /// How long it took the last time.
        expected: Option<Duration>,
    },
    /// A task does not run any more. Its result follows, if there is one.
    Stopped {
        /// The task.
        task: &'a TaskName,
    },
    /// Another process does the task; this one waits for its result.
    Waiting {
        /// The task.
        task: &'a TaskName,
        /// Who does it.
        holder: &'a LockInfo,
    },
    /// An attempt failed for a reason that may have passed later; the task is tried again.
    Again {
        /// The task.
        task: &'a TaskName,
        /// Why it failed.
        category: &'a Category,
        /// When it is tried again.
        wait: Duration,
    },
    /// A result was recorded.
    Ended {
        /// The result.
        entry: &'a Entry,
    },
    /// A task is over, and has no result: there was nothing to do, or nothing to do it with.
    Nothing {
        /// The task.
        task: &'a TaskName,
    },
    /// The run was told to stop: it waits for what is running.
    Stopping,
    /// A task is over.
    Advanced {
        /// How long the rest is expected to take.
        left: Duration,
    },
    /// Something that concerns no single task.
    Note {
        /// How much it matters.
        level: Level,
        /// The text.
        message: &'a str,
    },
}
