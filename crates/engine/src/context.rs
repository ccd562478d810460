//! What every step of one build shares.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use larder_trace::{Content, Policy, StatIndex};

use crate::{
    cache::Cache,
    event::{Ended, Event, Progress, Reporter, Status, StepName},
    job::Scheduler,
    process::Processes,
    sandbox::Sandbox,
};
use larder_project::place::{Place, Places};

/// What to do about what is out of date.
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
    /// What to do about what is out of date.
    pub mode: Mode,
    /// Whether a failure leaves the rest going (`-k`).
    pub keep_going: bool,
    /// Trust no saved hash.
    pub rehash: bool,
    /// An output newer than its inputs counts as up to date.
    pub old: bool,
    /// Look at the trace file of every target, even where the stat index knows better.
    pub check_traces: bool,
    /// Ask compilers for colours.
    pub color: bool,
}

/// The state of one build, shared by all its steps.
pub struct Context {
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
    /// Runs commands.
    pub processes: Arc<Processes>,
    /// Where the packages are.
    pub places: Places,
    /// What commands are confined by, if by anything.
    pub sandbox: Option<Sandbox>,
    reporter: Arc<dyn Reporter>,
    staging: PathBuf,
    staged: AtomicU64,
    stopped: AtomicBool,
    gate: Gate,
    counts: [AtomicUsize; 7],
}

impl Context {
    /// A build of the packages at `places`, the first of them the root.
    ///
    /// # Errors
    /// When the root directory cannot be opened.
    pub fn new(
        root: PathBuf,
        places: Vec<Place>,
        options: Options,
        cache: Cache,
        sandbox: Option<Sandbox>,
        processes: Arc<Processes>,
        reporter: Arc<dyn Reporter>,
    ) -> io::Result<Arc<Self>> {
        let larder = root.join(larder_project::workspace::LARDER_DIR);
        let index = StatIndex::open(&root, &larder.join("index"), options.rehash)?;
        Ok(Arc::new(Self {
            staging: larder.join("tmp").join(std::process::id().to_string()),
            places: Places::new(root.clone(), places),
            root,
            options,
            sandbox,
            scheduler: Scheduler::new(),
            index,
            cache,
            processes,
            reporter,
            staged: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            gate: Gate { decided: Mutex::new(Some(true)), changed: Condvar::new() },
            counts: Default::default(),
        }))
    }

    /// What the trace crate needs to know.
    pub fn policy(&self) -> Policy {
        Policy {
            rehash: self.options.rehash,
            old: self.options.old,
            no_build: self.options.mode != Mode::Build,
        }
    }

    /// An absolute path from one that is seen from the root.
    pub fn absolute(&self, from_root: &str) -> PathBuf {
        self.root.join(from_root)
    }

    /// Whether no further command is to start.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.processes.interrupted()
    }

    /// Has steps wait before they change anything on disk, until [`Self::decide`] is called.
    pub fn hold(&self) {
        *self.gate.decided.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets steps change things on disk, or tells them that they never will: something is wrong with
    /// what was asked for.
    pub fn decide(&self, go: bool) {
        *self.gate.decided.lock().unwrap_or_else(PoisonError::into_inner) = Some(go);
        self.gate.changed.notify_all();
    }

    /// Whether steps may change things on disk; after [`Self::hold`], waits for [`Self::decide`].
    /// Looking at what is there needs no leave.
    pub fn may_change(&self) -> bool {
        let mut decided = self.gate.decided.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *decided {
                Some(go) => return go,
                None => {
                    decided =
                        self.gate.changed.wait(decided).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// A new, empty directory for one command to write into: whatever it leaves there is removed with
    /// it, and nobody takes it for an output.
    pub fn staging_directory(&self) -> io::Result<Staging> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.join(number.to_string());
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&path)?,
            result => result?,
        }
        Ok(Staging(path))
    }

    /// Removes what is left of this build's staging directories.
    pub fn clean_up(&self) {
        let _ = fs::remove_dir_all(&self.staging);
    }

    /// Counts steps that are going to end.
    pub fn expect(&self, steps: usize) {
        self.counts[6].fetch_add(steps, Ordering::Relaxed);
    }

    /// How far the build is.
    pub fn progress(&self) -> Progress {
        let count = |index: usize| self.counts[index].load(Ordering::Relaxed);
        Progress {
            replayed: count(Status::Replayed as usize),
            restored: count(Status::Restored as usize),
            built: count(Status::Built as usize),
            out_of_date: count(Status::OutOfDate as usize),
            failed: count(Status::Failed as usize),
            skipped: count(Status::Skipped as usize),
            total: count(6),
        }
    }

    /// Tells that a command starts.
    pub fn started(&self, step: StepName<'_>) {
        self.reporter.event(&Event::Started { step, progress: self.progress() });
    }

    /// Counts and tells how a step ended.
    pub fn ended(&self, step: StepName<'_>, ended: &Ended<'_>) {
        self.counts[ended.status as usize].fetch_add(1, Ordering::Relaxed);
        if ended.status == Status::Failed && !self.options.keep_going {
            self.stopped.store(true, Ordering::Relaxed);
        }
        let silent = ended.status == Status::Replayed && ended.log.is_empty();
        if !silent || self.reporter.wants_everything() {
            self.reporter.event(&Event::Ended { step, ended, progress: self.progress() });
        }
    }

    /// Passes an event on.
    pub fn report(&self, event: &Event<'_>) {
        self.reporter.event(event);
    }

    /// The hash of a file that a build found by itself, as it is now; `None` when it is not there.
    pub fn discovered_hash(
        &self,
        place: &Place,
        portable: &str,
    ) -> Option<(String, larder_trace::Hashed)> {
        let path = self.places.locate(place, portable)?;
        let hashed = self.index.file(&path, Content::of_source(&path)).ok()?;
        Some((path, hashed))
    }
}

/// Whether steps may change things on disk, once that is known.
struct Gate {
    decided: Mutex<Option<bool>>,
    changed: Condvar,
}

/// A directory that is removed with all it holds when it is dropped.
#[derive(Debug)]
pub struct Staging(PathBuf);

impl Staging {
    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Mostly empty by now; a command may have left files of its own.
        if fs::remove_dir(&self.0).is_err() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
