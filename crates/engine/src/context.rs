//! The state that every step of one build shares.

mod staging;
mod telling;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering},
    },
};

use larder_project::{
    path::RootPath,
    place::{Place, Places},
    workspace::LARDER_DIR,
};
use larder_trace::{BuildTrace, ContentHash, Hashed, Moment, StatIndex};

use crate::{
    artifact::{Artifact, Form},
    builds::directory_trace,
    cache::Cache,
    compdb::Noted,
    event::{Reporter, StepName},
    executor::{Executor, ToolPaths},
    grounds::Grounds,
    job::{Built, Failed, Job, Scheduler},
    pool::Lane,
    sandbox::Sandbox,
    search::{Asked, Listings, Scanner},
    session::Session,
    step::Elided,
    timeline::{Kind, Running, Timeline},
};

pub(crate) use self::staging::Staging;

/// The treatment of whatever is out of date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Build it.
    #[default]
    Build,
    /// Name it and build nothing (`--no-build`); restoring is allowed.
    NoBuild,
    /// Name it and touch nothing (`--dry-run`).
    DryRun,
}

/// How to build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The treatment of whatever is out of date.
    pub mode: Mode,
    /// Whether a failure leaves the rest going (`-k`).
    pub keep_going: bool,
    /// How many failures do; any number, when absent.
    pub failures: Option<usize>,
    /// Trust no saved hash.
    pub rehash: bool,
    /// An output newer than its inputs counts as up to date.
    pub old: bool,
    /// Look at the trace file of every target, even where the stat index knows better.
    pub check_traces: bool,
    /// Note how each source is compiled.
    pub compile_commands: bool,
}

/// The state of one build, shared by all its steps.
pub struct Context {
    /// The session that it belongs to.
    pub session: Arc<Session>,
    /// The root package's directory, absolute.
    pub root: PathBuf,
    /// How to build.
    pub options: Options,
    /// Runs jobs.
    pub scheduler: Arc<Scheduler>,
    /// Remembers hashes.
    pub index: StatIndex,
    /// Keeps artifacts.
    pub cache: Cache,
    /// Runs actions.
    pub executor: Arc<dyn Executor>,
    /// Finds what compiles may read, for actions that run elsewhere.
    pub(crate) scanner: Scanner,
    /// Held by whoever has a compiler list what it reads before an action runs elsewhere.
    pub(crate) listing: Mutex<()>,
    /// The sandbox that confines commands, if one does.
    pub sandbox: Option<Arc<Sandbox>>,
    /// Where the programs of actions are.
    pub tools: ToolPaths,
    /// The names in directories, as they were when first looked at.
    pub listings: Listings,
    /// By file: the headers that a file asks for.
    asked: Mutex<HashMap<RootPath, Arc<Asked>>>,
    /// Where the packages are.
    pub places: Places,
    /// Where files may be that records name.
    pub(crate) grounds: Grounds,
    /// A job that is done when steps may change things on disk. It fails when they never may: something
    /// is wrong with what was asked for.
    pub go_ahead: Job<()>,
    reporter: Arc<dyn Reporter>,
    /// When the build began.
    began: Moment,
    staging: PathBuf,
    staged: AtomicU64,
    /// Staging directories that nobody uses at the moment.
    idle: Mutex<Vec<Staging>>,
    /// By directory: whether it is a symbolic link.
    links: Mutex<HashMap<RootPath, bool>>,
    /// Steps whose outputs were left in the store: they may be made after all.
    left: Mutex<Vec<Arc<Elided>>>,
    /// Where shared libraries will be found, seen from programs that are linked to be installed.
    pub(crate) run_path: OnceLock<String>,
    /// How sources are compiled, where that is noted.
    noted: Mutex<Noted>,
    stopped: AtomicBool,
    /// The targets of which a step failed.
    failed: Mutex<HashSet<Box<str>>>,
    expected: AtomicUsize,
    counts: [AtomicIsize; 6],
    /// Steps of these that another machine ran, and whose result was known there.
    remote: [AtomicUsize; 2],
}

impl Context {
    /// A build of the packages at `places`, the first of them the root. Steps change nothing on disk
    /// before [`Self::decide`] is called.
    ///
    /// # Errors
    /// When the root directory cannot be opened.
    pub fn new(
        session: Arc<Session>,
        root: PathBuf,
        places: Vec<Place>,
        options: Options,
        cache: Cache,
        sandbox: Option<Arc<Sandbox>>,
        reporter: Arc<dyn Reporter>,
    ) -> io::Result<Arc<Self>> {
        let larder = root.join(LARDER_DIR);
        let index = StatIndex::open(&root, &larder.join("index"), options.rehash)?;
        let executor = session.executor(sandbox.clone());
        let timeline = session.settings.timeline.clone();
        let scheduler = Scheduler::timed(session.pool().clone(), timeline);
        Ok(Arc::new(Self {
            staging: larder.join("tmp").join(std::process::id().to_string()),
            grounds: Grounds::new(&root, &places),
            places: Places::new(root.clone(), places),
            go_ahead: Job::pending(&scheduler),
            session,
            root,
            options,
            scheduler,
            index,
            cache,
            executor,
            scanner: Scanner::new(),
            listing: Mutex::new(()),
            sandbox,
            tools: ToolPaths::default(),
            reporter,
            began: Moment::now(),
            staged: AtomicU64::new(0),
            listings: Listings::new(),
            asked: Mutex::default(),
            idle: Mutex::default(),
            links: Mutex::default(),
            left: Mutex::default(),
            run_path: OnceLock::new(),
            noted: Mutex::default(),
            stopped: AtomicBool::new(false),
            failed: Mutex::default(),
            expected: AtomicUsize::new(0),
            counts: Default::default(),
            remote: Default::default(),
        }))
    }

    /// Returns the absolute path of `path`.
    pub fn absolute(&self, path: &RootPath) -> PathBuf {
        self.places.absolute(path)
    }

    /// Returns what runs the actions that have a slot of `lane`.
    pub(crate) fn executor_in(&self, lane: Lane) -> &Arc<dyn Executor> {
        match self.session.cluster() {
            Some(cluster) if lane == cluster.lane() => cluster,
            _ => &self.executor,
        }
    }

    /// Whether no further command is to start.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.session.processes.interrupted()
    }

    /// Lets steps change things on disk, or tells them that they never will: something is wrong with
    /// what was asked for.
    pub fn decide(&self, go: bool) {
        let nothing = || Arc::new(Built { value: (), trace: BuildTrace::nil("go ahead") });
        self.go_ahead.complete(go.then(nothing).ok_or(Failed));
    }

    /// Whether steps may change things on disk; `None` before [`Self::decide`]. Looking at what is there
    /// needs no leave.
    pub fn may_change(&self) -> Option<bool> {
        self.go_ahead.finished().map(|finished| finished.is_ok())
    }

    /// A directory to write into. A tidy command may have one that another has used; any other has a new
    /// one to itself: whatever it leaves there is removed with it, and nobody takes it for an output.
    pub(crate) fn staging(&self, tidy: bool) -> io::Result<Staging> {
        if tidy && let Some(idle) = self.idle().pop() {
            return Ok(idle);
        }
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.join(number.to_string());
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&path)?,
            result => result?,
        }
        Ok(Staging { path, tidy })
    }

    /// Gives back a staging directory after a success.
    pub(crate) fn reuse(&self, staging: Staging) {
        if staging.tidy {
            self.idle().push(staging);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Staging>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what is left of this build's staging directories.
    pub fn clean_up(&self) {
        self.idle().clear();
        let _ = fs::remove_dir_all(&self.staging);
    }

    /// Whether a directory is a symbolic link. Looked at once in a build.
    pub(crate) fn is_link(&self, directory: &RootPath) -> bool {
        let links = || self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = links().get(directory) {
            return *known;
        }
        let found = self.absolute(directory).symlink_metadata();
        let is_link = found.is_ok_and(|metadata| metadata.is_symlink());
        links().insert(directory.clone(), is_link);
        is_link
    }

    /// What is noted of how sources are compiled.
    pub(crate) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What takes note of where the time goes, if anything does.
    pub(crate) fn timeline(&self) -> Option<&Timeline> {
        self.session.settings.timeline.as_deref()
    }

    /// Begins a span of time, where those are noted.
    pub(crate) fn span(&self, kind: Kind, name: StepName<'_>) -> Option<Running<'_>> {
        self.timeline().map(|timeline| timeline.span(kind, name.to_string()))
    }

    /// The directory that messages name files from.
    pub(crate) fn here(&self) -> &Path {
        self.session.settings.here.as_deref().unwrap_or(&self.root)
    }

    /// Takes note of an output just put in place, or verified there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(crate) fn record_output(&self, path: &RootPath, hash: ContentHash) -> io::Result<Hashed> {
        self.listings.forget(&self.absolute(path));
        self.index.record_output(path.as_str(), hash)
    }

    /// The headers that the file at `path` asks for. It is read once in a build.
    pub(crate) fn asked(&self, path: &RootPath) -> Arc<Asked> {
        let known = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = known().get(path) {
            return asked.clone();
        }
        let mut asked = Asked::default();
        // One that is gone by now makes the build's record worthless anyway.
        asked.scan(&fs::read(self.absolute(path)).unwrap_or_default());
        let asked = Arc::new(asked);
        known().insert(path.clone(), asked.clone());
        asked
    }

    /// Whether an artifact has been what its hash says ever since `begun`.
    pub(crate) fn is_unchanged_since(&self, artifact: &Artifact, begun: Moment) -> bool {
        match artifact.form {
            Form::File(content) => {
                let path = artifact.path.as_str();
                let hashed = self.index.file(path, content);
                hashed.is_ok_and(|hashed| hashed.hash == artifact.hash)
                    && self.index.unchanged_since(path, content, begun)
            }
            Form::Directory(content) => {
                let unchanged =
                    |path: &RootPath| self.index.unchanged_since(path.as_str(), content, begun);
                let tree = directory_trace(self, &artifact.path, content, &unchanged);
                tree.is_ok_and(|tree| tree.hash() == artifact.hash)
            }
            // The outputs of a step are sealed; nothing but a step writes there.
            Form::OutputDirectory => true,
        }
    }
}
