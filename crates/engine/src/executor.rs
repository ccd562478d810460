//! Executors: what runs actions.
//!
//! An executor takes an action and gives back how it ended, what it printed, which further inputs it
//! told of and what it cost. Taking over outputs, recording and verifying are the
//! [`step`](crate::step)'s, the same for all executors.

mod in_place;
mod local;
mod recording;
mod render;
mod sandboxed;
mod shown;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use larder_project::{
    path::{PathError, RootPath},
    place::{Place, Places},
};
use larder_trace::{ContentHash, describe_io};
use serde::Serialize;

use crate::{
    action::{Action, Output},
    pool::Lane,
    process::{Cost, Exit},
};

pub use local::LocalExecutor;
pub use recording::RecordingExecutor;
pub use sandboxed::SandboxedExecutor;
pub use shown::command_line;

/// Runs actions.
pub trait Executor: Send + Sync {
    /// Runs `action` at `bench` and returns how it ended. Its outputs lie in the bench's staging
    /// directory then.
    ///
    /// # Errors
    /// When it did not run to an end of its own.
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError>;

    /// The lane that its actions take a slot of.
    fn lane(&self) -> Lane {
        Lane::Local
    }

    /// Takes note of an action that it declined and that succeeded here; its outputs lie in the bench's staging
    /// directory.
    fn keep(&self, _action: &Action, _bench: &Bench<'_>, _execution: &Execution) {}
}

/// Where an action ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ran {
    /// On this machine.
    Local,
    /// On another one.
    Remote,
    /// Nowhere: what comes of it was known there.
    RemoteCache,
}

impl Ran {
    /// Returns words for people, where it did not run on this machine.
    pub fn elsewhere(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::Remote => Some("remotely"),
            Self::RemoteCache => Some("known remotely"),
        }
    }
}

/// How an action went.
#[derive(Debug)]
pub struct Execution {
    /// Where it ran.
    pub ran: Ran,
    /// How its process ended.
    pub exit: Exit,
    /// The text that it printed on standard output and standard error, in order.
    pub printed: String,
    /// The further inputs that it told of: paths from the root, in its order.
    pub discovered: Vec<RootPath>,
    /// Whether it did not tell of further inputs though it was to.
    pub silent: bool,
    /// Accesses that it was refused, for people: each with what would permit it.
    pub refusals: Vec<String>,
    /// The time and memory that it used.
    pub cost: Cost,
    /// The command line as a shell takes it, from any directory.
    pub command_line: String,
}

/// Why an action did not run to an end of its own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecuteError {
    /// The build is being ended; nothing more is to be said.
    #[error("interrupted")]
    Interrupted,
    /// Why it could not run.
    #[error("{0}")]
    Failed(String),
    /// Why this executor does not run it, or came to no end with it: another one is to.
    #[error("{0}")]
    Declined(String),
}

impl From<PathError> for ExecuteError {
    fn from(error: PathError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl ExecuteError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {}", path.display(), describe_io(error)))
    }
}

/// Where an action runs: this machine's places for what the action names.
pub struct Bench<'a> {
    /// Where packages are.
    pub places: &'a Places,
    /// The action's package.
    pub place: &'a Place,
    /// The target that the action is for, for people.
    pub target: &'a str,
    /// Where programs are.
    pub tools: &'a ToolPaths,
    /// The directory to write outputs and whatever is temporary into, absolute.
    pub staging: &'a Path,
    /// Whether outputs are staged under their file names only, rather than at their own paths.
    pub flat: bool,
    /// The lane that the work has a slot of.
    pub lane: Lane,
    /// How long another machine may take. The commands of this one have limits of their own.
    pub patience: Option<Duration>,
}

impl Bench<'_> {
    /// Returns where an output is to be written: absolute.
    pub fn staged(&self, output: &Output) -> PathBuf {
        self.staging.join(self.staged_name(output))
    }

    /// Returns the path of an output below the staging directory.
    pub fn staged_name<'o>(&self, output: &'o Output) -> &'o str {
        let path = output.path.as_str();
        if self.flat { path.rsplit('/').next().unwrap_or(path) } else { path }
    }

    /// Returns the depfile that the command is to write: absolute.
    pub fn depfile(&self) -> PathBuf {
        self.staging.join(".larder.d")
    }

    /// Returns the depfile that the linker is to write: absolute.
    pub fn linker_depfile(&self) -> PathBuf {
        self.staging.join(".larder.link.d")
    }
}

/// Where the programs of a build are on this machine, by their identity.
#[derive(Debug, Default)]
pub struct ToolPaths {
    programs: Mutex<HashMap<(String, ContentHash), PathBuf>>,
    /// By program: the further files that make it what it is.
    behind: Mutex<HashMap<PathBuf, Arc<[PathBuf]>>>,
}

impl ToolPaths {
    /// Notes where a program is.
    pub fn insert(&self, name: &str, identity: ContentHash, path: PathBuf) {
        let mut paths = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        paths.insert((name.to_owned(), identity), path);
    }

    /// Notes which further files make the program at `path` what it is.
    pub fn insert_behind(&self, path: &Path, files: &Arc<[PathBuf]>) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if !behind.contains_key(path) {
            behind.insert(path.to_owned(), files.clone());
        }
    }

    /// Returns the files that make the program at `path` what it is, as far as is known: itself first.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = behind.get(path).map_or(&[][..], |files| files);
        std::iter::once(path.to_owned()).chain(behind.iter().cloned()).collect()
    }

    /// Returns where a program is, if it was noted.
    pub fn find(&self, name: &str, identity: ContentHash) -> Option<PathBuf> {
        let paths = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get(&(name.to_owned(), identity)).cloned()
    }
}
