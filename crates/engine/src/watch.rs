//! Waiting for files of packages to change.
//!
//! Directories are watched one by one, without those that larder and version control keep for themselves:
//! what a build writes is no change. New directories are watched as soon as they are noticed.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use larder_project::workspace::LARDER_DIR;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Changes that come so soon after another belong to it.
const QUIET: Duration = Duration::from_millis(50);

/// However busy it is, nobody waits longer than this after the first change.
const LONGEST: Duration = Duration::from_secs(1);

/// Directories whose files are nobody's sources.
const NOT_WATCHED: [&str; 4] = [LARDER_DIR, ".git", ".hg", ".svn"];

/// Watches the directories of packages.
pub struct Watcher {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<Event>>,
    /// The packages' directories.
    roots: Vec<PathBuf>,
    watched: HashSet<PathBuf>,
}

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {}: {reason}", path.display())]
pub struct WatchError {
    path: PathBuf,
    reason: String,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The system has no way to watch files.
    pub fn new() -> Result<Self, WatchError> {
        let (sender, events) = mpsc::channel();
        let watcher = notify::recommended_watcher(sender)
            .map_err(|error| WatchError::new(Path::new("files"), &error))?;
        Ok(Self { watcher, events, roots: Vec::new(), watched: HashSet::new() })
    }

    /// Watches the packages in these directories from now on, and what is new in them.
    ///
    /// # Errors
    /// The system allows no more.
    pub fn watch(&mut self, roots: Vec<PathBuf>) -> Result<(), WatchError> {
        self.roots = roots;
        self.look_for_new()
    }

    fn look_for_new(&mut self) -> Result<(), WatchError> {
        let mut stack = self.roots.clone();
        let mut seen = HashSet::new();
        while let Some(directory) = stack.pop() {
            // Before it is listed: what comes later is noticed, what was there before is listed.
            if !self.watched.contains(&directory) {
                match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                    Ok(()) => _ = self.watched.insert(directory.clone()),
                    Err(_) if !directory.is_dir() => continue,
                    Err(error) => return Err(WatchError::new(&directory, &error)),
                }
            }
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && !NOT_WATCHED.iter().any(|name| entry.file_name() == *name) {
                    stack.push(entry.path());
                }
            }
            seen.insert(directory);
        }
        // A directory that comes back is another.
        self.watched.retain(|directory| seen.contains(directory));
        Ok(())
    }

    /// Waits until something has changed and nothing more does for a moment. Returns the files, sorted;
    /// none, when `ended` before.
    ///
    /// # Errors
    /// The system allows no more directories to be watched.
    pub fn changes(&mut self, ended: impl Fn() -> bool) -> Result<BTreeSet<PathBuf>, WatchError> {
        const LOOK_UP: Duration = Duration::from_millis(200);
        let mut changed = BTreeSet::new();
        let mut first: Option<Instant> = None;
        while !ended() {
            let patience = if first.is_some() { QUIET } else { LOOK_UP };
            let is_quiet = match self.events.recv_timeout(patience) {
                Ok(event) => {
                    if note(event, &mut changed) {
                        first.get_or_insert_with(Instant::now);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => true,
                // The watcher holds the other end.
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if first.is_some_and(|first| is_quiet || first.elapsed() > LONGEST) {
                self.look_for_new()?;
                return Ok(changed);
            }
        }
        Ok(BTreeSet::new())
    }

    /// Returns what has changed since it was asked last, without waiting.
    ///
    /// # Errors
    /// The system allows no more directories to be watched.
    pub fn changed_meanwhile(&mut self) -> Result<BTreeSet<PathBuf>, WatchError> {
        let mut changed = BTreeSet::new();
        let mut any = false;
        while let Ok(event) = self.events.recv_timeout(QUIET) {
            any |= note(event, &mut changed);
        }
        if any {
            self.look_for_new()?;
        }
        Ok(changed)
    }
}

/// Adds the files that an event is about. Returns whether it tells of a change.
fn note(event: notify::Result<Event>, changed: &mut BTreeSet<PathBuf>) -> bool {
    // What could not be told may have been anything.
    let Ok(event) = event else { return true };
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let own = |path: &PathBuf| {
        path.file_name().is_some_and(|name| NOT_WATCHED.iter().any(|known| name == *known))
            || larder_trace::atomic::is_temporary(path)
    };
    let all = event.paths.len();
    let paths: Vec<PathBuf> = event.paths.into_iter().filter(|path| !own(path)).collect();
    let is_change = !paths.is_empty() || all == 0;
    changed.extend(paths);
    is_change
}

impl WatchError {
    fn new(path: &Path, error: &notify::Error) -> Self {
        let reason = match &error.kind {
            notify::ErrorKind::MaxFilesWatch => {
                "the system allows no more watches (fs.inotify.max_user_watches)".to_owned()
            }
            notify::ErrorKind::Io(error) => larder_trace::describe_io(error),
            _ => error.to_string(),
        };
        Self { path: path.to_owned(), reason }
    }
}
