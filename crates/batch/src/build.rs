//! Building one package into a layer.
//!
//! A package is a larder package, which the engine builds and installs, or any other source tree with lines for a
//! shell. Either way nothing is built in place: sources are only read. What came of it is data, and a failure of
//! one package is no error of whoever builds many.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_engine::process::{Allowance, Limit};
use larder_project::manifest::Toolchain;
use larder_runs::{
    Category,
    name::{HashName, PackageName},
    result::{Exit, Origin},
};
use larder_trace::ContentHash;

use crate::{catalogue::Recipe, layer::Layer};

/// One package to build: all that decides its layer, and how much that may take. Plain data.
#[derive(Debug, Clone)]
pub struct BuildTask {
    /// The package, `<name>.<version>`.
    pub package: PackageName,
    /// The name of its layer: the hash of all that decides it.
    pub build_hash: HashName,
    /// The hash of what the set decides about its content.
    pub source_digest: HashName,
    /// The directory with its sources, absolute. Nothing is written there.
    pub sources: PathBuf,
    /// How it is built.
    pub recipe: Recipe,
    /// Its dependency closure without itself, needs before their users.
    pub needs: Vec<Need>,
    /// What it is built with.
    pub compiler: Compiler,
    /// How much it may take, all its commands together.
    pub allowance: Allowance,
    /// How many commands it may run at once by itself: `{jobs}`.
    pub jobs: usize,
    /// Whether its commands are confined to what it is given.
    pub sandbox: bool,
}

/// A compiler of the set.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// Its name in run data, such as `gcc.12`.
    pub package: PackageName,
    /// The hash of all that its tools consist of, as the engine traces them.
    pub identity: HashName,
    /// Its tools, as the set names them.
    pub toolchain: Toolchain,
}

/// A package that another one needs, itself or by another.
#[derive(Debug, Clone)]
pub struct Need {
    /// The package.
    pub package: PackageName,
    /// Whether the package itself asks for it.
    pub direct: bool,
    /// Its layer.
    pub layer: Layer,
    /// The sources of a larder package: larder packages that need it are built with these.
    pub sources: Option<NeededSources>,
}

/// The sources of a larder package that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededSources {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// The manifest to take in the place of its own, absolute.
    pub overlay: Option<PathBuf>,
    /// The hash of what the set decides about its content.
    pub digest: HashName,
}

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
