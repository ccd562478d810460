//! Waiting for files to change that decide a build.
//!
//! Directories of packages are watched one by one, without those that larder and version control keep for themselves:
//! what a build writes is no change. New directories are watched as soon as they are noticed. Of all other
//! directories, the files count that a build has read there, but for the system's.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use larder_project::workspace::LARDER_DIR;
use larder_trace::StatIndex;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::{compdb, grounds};

/// Changes that come so soon after another belong to it.
const QUIET: Duration = Duration::from_millis(50);

/// However busy it is, nobody waits longer than this after the first change.
const LONGEST: Duration = Duration::from_secs(1);

/// Directories whose files are nobody's sources.
const NOT_WATCHED: [&str; 4] = [LARDER_DIR, ".git", ".hg", ".svn"];

/// Watches the directories of packages, and single files elsewhere.
pub struct Watcher {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<Event>>,
    /// What is watched.
    wanted: Wanted,
    watched: HashSet<PathBuf>,
}

/// The files that a build is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The packages' directories: all that is in them.
    pub packages: Vec<PathBuf>,
    /// Files and directories elsewhere: these, and what is directly in them.
    pub elsewhere: BTreeSet<PathBuf>,
}

impl Wanted {
    /// Adds what the builds so far have read outside of the packages and of the system, as the stat index of the workspace at
    /// `root` knows it.
    #[must_use]
    pub fn with_read(mut self, root: &Path) -> Self {
        let Ok(index) = StatIndex::open(root, &root.join(LARDER_DIR).join("index"), false) else {
            return self;
        };
        let is_absolute = |path: &&str| path.starts_with('/');
        let inside = |path: &Path| {
            let system = grounds::SYSTEM.iter().map(Path::new);
            let mut all = self.packages.iter().map(PathBuf::as_path).chain(system);
            all.any(|directory| path.starts_with(directory))
        };
        let read = index.known().filter(is_absolute).map(PathBuf::from);
        let read: Vec<PathBuf> = read.filter(|path| !inside(path)).collect();
        self.elsewhere.extend(read);
        self
    }

    /// Whether it matters that something at `path` has changed.
    fn has(&self, path: &Path) -> bool {
        self.packages.iter().any(|package| path.starts_with(package))
            || self.elsewhere.contains(path)
            || path.parent().is_some_and(|above| self.elsewhere.contains(above))
    }

    /// The directories in which files elsewhere are watched.
    fn beside(&self) -> BTreeSet<&Path> {
        let place = |path: &'_ PathBuf| path.is_dir();
        self.elsewhere
            .iter()
            .filter_map(|path| if place(path) { Some(path.as_path()) } else { path.parent() })
            .collect()
    }
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
        Ok(Self { watcher, events, wanted: Wanted::default(), watched: HashSet::new() })
    }

    /// Watches these files from now on, and what is new in packages.
    ///
    /// # Errors
    /// The system allows no more.
    pub fn watch(&mut self, wanted: Wanted) -> Result<(), WatchError> {
        self.wanted = wanted;
        self.look_for_new()
    }

    /// Watches a directory. Returns whether it is there.
    fn add(&mut self, directory: &Path) -> Result<bool, WatchError> {
        if self.watched.contains(directory) {
            return Ok(true);
        }
        match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => _ = self.watched.insert(directory.to_owned()),
            Err(_) if !directory.is_dir() => return Ok(false),
            Err(error) => return Err(WatchError::new(directory, &error)),
        }
        Ok(true)
    }

    fn look_for_new(&mut self) -> Result<(), WatchError> {
        let mut stack = self.wanted.packages.clone();
        let mut seen = HashSet::new();
        for directory in self.wanted.clone().beside() {
            if self.add(directory)? {
                seen.insert(directory.to_owned());
            }
        }
        while let Some(directory) = stack.pop() {
            // Before it is listed: what comes later is noticed, what was there before is listed.
            if !self.add(&directory)? {
                continue;
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
                    if self.note(event, &mut changed) {
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
            any |= self.note(event, &mut changed);
        }
        if any {
            self.look_for_new()?;
        }
        Ok(changed)
    }
}

impl Watcher {
    /// Adds the files that an event is about. Returns whether it tells of a change.
    fn note(&self, event: notify::Result<Event>, changed: &mut BTreeSet<PathBuf>) -> bool {
        // What could not be told may have been anything.
        let Ok(event) = event else { return true };
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let all = event.paths.len();
        let matters =
            |path: &PathBuf| !is_nobodys(path) && !self.is_kept(path) && self.wanted.has(path);
        let paths: Vec<PathBuf> = event.paths.into_iter().filter(matters).collect();
        let is_change = !paths.is_empty() || all == 0;
        changed.extend(paths);
        is_change
    }

    /// Whether a file is one that builds keep current.
    fn is_kept(&self, path: &Path) -> bool {
        path.ends_with(compdb::FILE_NAME)
            && path.parent().is_some_and(|above| self.wanted.packages.iter().any(|it| it == above))
    }
}

/// Whether a file is none that anything is made from: larder's, version control's, or what an editor writes beside
/// the file that it edits.
fn is_nobodys(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let swap =
        name.starts_with('.') && [".swp", ".swo", ".swx"].iter().any(|it| name.ends_with(it));
    // Vim tries whether it may write by a file called 4913; Emacs locks by a link `.#NAME`.
    let of_editor = swap
        || name == "4913"
        || name.ends_with('~')
        || name.starts_with(".#")
        || name.starts_with('#') && name.ends_with('#');
    of_editor || NOT_WATCHED.contains(&name) || larder_trace::atomic::is_temporary(path)
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
