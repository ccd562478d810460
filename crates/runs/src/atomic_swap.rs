//! A directory replaced by a new one, with no moment in which neither is there.
//!
//! The new content grows in `.NAME.new` beside `NAME`. Committing exchanges the two in one step
//! (`renameat2` with `RENAME_EXCHANGE`); where the file system cannot, the old one steps aside to
//! `.NAME.old` first, and whoever comes after a crash between the two renames completes it. The dots
//! keep the temporary names out of the grammar of names from outside. `.NAME.lock` excludes others.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::file;
use crate::lock::LockFile;

/// A replacement in the making. Dropped without [`Swap::commit`], it leaves everything as it was.
#[derive(Debug)]
pub struct Swap {
    paths: Paths,
    _lock: LockFile,
}

/// The state that [`recover`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// Nothing left behind.
    Clean,
    /// Leftovers were removed; the directory is the one that was last committed.
    Removed,
    /// A commit had been cut in half; it is complete now.
    Completed,
    /// Somebody is at work on it; nothing was touched.
    Busy,
}

#[derive(Debug, Clone)]
struct Paths {
    live: PathBuf,
    new: PathBuf,
    old: PathBuf,
    lock: PathBuf,
}

impl Paths {
    fn of(live: &Path) -> Paths {
        let name = live.file_name().unwrap_or_default().to_string_lossy();
        let beside = |suffix: &str| live.with_file_name(format!(".{name}.{suffix}"));
        Paths {
            live: live.to_owned(),
            new: beside("new"),
            old: beside("old"),
            lock: beside("lock"),
        }
    }
}

/// How two directories change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// In one step, where the system can.
    Exchange,
    /// In two renames.
    #[cfg(test)]
    Renames,
}

impl Swap {
    /// Begins to replace the directory `live`, which need not exist yet: repairs what an earlier crash
    /// left, waits for anyone else who replaces it, and makes an empty directory to fill.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the parent directory cannot be written.
    pub fn begin(live: &Path) -> Result<Swap> {
        let paths = Paths::of(live);
        file::create_dirs(live.parent().unwrap_or(live))?;
        let lock = LockFile::acquire(&paths.lock, || {
            tracing::info!("waiting for another writer of {}", live.display())
        })?;
        repair(&paths)?;
        fs::create_dir(&paths.new).context("create the directory", &paths.new)?;
        Ok(Swap { paths, _lock: lock })
    }

    /// The directory to fill.
    pub fn dir(&self) -> &Path {
        &self.paths.new
    }

    /// Puts the new directory in the place of the old one and removes that.
    ///
    /// The content is not synced: after a loss of power, make it again.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; the old directory is then still in place, unless only its removal failed.
    pub fn commit(self) -> Result<()> {
        commit_with(&self.paths, Method::Exchange)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = file::remove_tree(&self.paths.new);
    }
}

fn commit_with(paths: &Paths, method: Method) -> Result<()> {
    let exchanged = match method {
        Method::Exchange => exchange(paths)?,
        #[cfg(test)]
        Method::Renames => false,
    };
    if exchanged {
        return file::remove_tree(&paths.new);
    }
    step_aside(paths)?;
    fs::rename(&paths.new, &paths.live).context("rename", &paths.new).inspect_err(|_| {
        let _ = fs::rename(&paths.old, &paths.live);
    })?;
    file::remove_tree(&paths.old)
}

/// Exchanges new and live. False when there is nothing to exchange with or no such system call.
fn exchange(paths: &Paths) -> Result<bool> {
    match renameat_with(CWD, &paths.new, CWD, &paths.live, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error).context("replace", &paths.live),
    }
}

fn step_aside(paths: &Paths) -> Result<()> {
    match fs::rename(&paths.live, &paths.old) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.context("rename", &paths.live),
    }
}

/// Repairs what a crash left of replacing `live`. Readers need not call it where the system exchanges
/// directories in one step: `live` is then always there.
///
/// # Errors
/// [`crate::Error::Io`] when the repair fails; nothing is lost then.
pub fn recover(live: &Path) -> Result<Recovered> {
    let paths = Paths::of(live);
    if ![&paths.new, &paths.old, &paths.lock]
        .into_iter()
        .any(|path| path.symlink_metadata().is_ok())
    {
        return Ok(Recovered::Clean);
    }
    match LockFile::try_acquire(&paths.lock)? {
        Some(_lock) => repair(&paths),
        None => Ok(Recovered::Busy),
    }
}

/// Repairs with the lock held. `old` without `live` means that a commit was between its two renames:
/// `new` was complete then. In every other state `live` is what counts and the rest are leftovers.
fn repair(paths: &Paths) -> Result<Recovered> {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let halved = there(&paths.old) && !there(&paths.live);
    if halved {
        let successor = if there(&paths.new) { &paths.new } else { &paths.old };
        fs::rename(successor, &paths.live).context("rename", successor)?;
    }
    let leftovers = there(&paths.new) || there(&paths.old);
    file::remove_tree(&paths.new)?;
    file::remove_tree(&paths.old)?;
    Ok(match (halved, leftovers) {
        (true, _) => Recovered::Completed,
        (false, true) => Recovered::Removed,
        (false, false) => Recovered::Clean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, content: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("index.html"), content).unwrap();
    }

    fn read(dir: &Path) -> String {
        fs::read_to_string(dir.join("index.html")).unwrap()
    }

    #[test]
    fn a_directory_appears_and_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let live = root.path().join("html/p/fmt/0.9.0");
        for content in ["one", "two"] {
            let swap = Swap::begin(&live).unwrap();
            write(swap.dir(), content);
            swap.commit().unwrap();
            assert_eq!(read(&live), content);
        }
        drop(Swap::begin(&live).unwrap());
        assert_eq!(read(&live), "two");
        assert_eq!(file::names(live.parent().unwrap()).unwrap(), ["0.9.0"]);
        assert_eq!(recover(&live).unwrap(), Recovered::Clean);
    }

    #[test]
    fn renames_do_where_nothing_can_be_exchanged() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::of(&root.path().join("live"));
        for content in ["one", "two"] {
            write(&paths.new, content);
            commit_with(&paths, Method::Renames).unwrap();
            assert_eq!(read(&paths.live), content);
        }
        assert_eq!(file::names(root.path()).unwrap(), ["live"]);
    }

    /// Every state a crash can leave, for either method, and what must come of it.
    #[test]
    fn every_crash_is_repaired() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Files<'_>, Option<&str>, Recovered); 7] = [
            (&[("live", "A")], Some("A"), Recovered::Clean),
            (&[("live", "A"), (".live.new", "half")], Some("A"), Recovered::Removed),
            (&[(".live.new", "half")], None, Recovered::Removed),
            (&[("live", "B"), (".live.new", "A")], Some("B"), Recovered::Removed),
            (&[(".live.old", "A"), (".live.new", "B")], Some("B"), Recovered::Completed),
            (&[("live", "B"), (".live.old", "A")], Some("B"), Recovered::Removed),
            (&[(".live.old", "A")], Some("A"), Recovered::Completed),
        ];
        for (before, after, recovered) in cases {
            let root = tempfile::tempdir().unwrap();
            for (name, content) in before {
                write(&root.path().join(name), content);
            }
            let live = root.path().join("live");
            assert_eq!(recover(&live).unwrap(), recovered, "{before:?}");
            match after {
                Some(content) => assert_eq!(read(&live), content, "{before:?}"),
                None => assert!(!live.exists(), "{before:?}"),
            }
            let names = file::names(root.path()).unwrap();
            assert!(names.iter().all(|name| name == "live"), "{before:?}: {names:?}");
        }
    }

    #[test]
    fn a_directory_someone_works_on_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let live = root.path().join("live");
        let swap = Swap::begin(&live).unwrap();
        assert_eq!(recover(&live).unwrap(), Recovered::Busy);
        write(swap.dir(), "A");
        swap.commit().unwrap();
        assert_eq!(read(&live), "A");
    }
}
