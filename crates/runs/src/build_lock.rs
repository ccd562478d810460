//! Who works on what: one lock file for each purpose and target under `DATA/locks`.
//!
//! `<purpose>-<target>.lock` is there while somebody works; it is locked with `flock` and holds one JSON
//! object about its holder. A holder that dies leaves the file but not the lock, so nobody waits for it.

use std::fmt;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::file;
use crate::lock::{self, LockFile};
use crate::run_log::host;
use crate::time::{format_time, now, parse_time, seconds_between};

/// The purpose of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A package is built.
    Build,
    /// Its tests run.
    Test,
    /// Its documentation is built.
    Doc,
    /// A tool is made ready.
    Tool,
}

impl Purpose {
    const ALL: [Purpose; 4] = [Purpose::Build, Purpose::Test, Purpose::Doc, Purpose::Tool];
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Purpose::Build => "build",
            Purpose::Test => "test",
            Purpose::Doc => "doc",
            Purpose::Tool => "tool",
        })
    }
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// The machine of that process.
    pub host: String,
    /// Since when: RFC 3339, UTC.
    pub since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}, since {}", self.pid, self.host, self.since)
    }
}

/// A lock file, whether held or left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LockInfo {
    /// Its purpose.
    pub purpose: Purpose,
    /// Its target.
    pub target: String,
    /// Who holds it; `None` for the instant in which a new holder has not yet said so.
    pub holder: Option<Holder>,
    /// For how long, in seconds; 0 when the clock was set back.
    pub age_seconds: u64,
    /// Whether nobody holds it: its holder is gone.
    pub stale: bool,
}

/// A lock that this process holds until it is dropped.
#[derive(Debug)]
pub struct BuildLock {
    _lock: LockFile,
}

/// Takes the lock on a target, waiting for whoever holds it. `waiting` is called once before that, with
/// the holder, so that the wait can be explained.
///
/// A target is a package, a hash or a tool: letters, digits, `_`, `+`, `-`, `.` and `~`, starting with
/// a letter, a digit or `_`.
///
/// # Errors
/// [`Error::Name`] for any other target; [`Error::Io`] when the lock file cannot be made.
pub fn acquire(
    locks_dir: &Path,
    purpose: Purpose,
    target: &str,
    waiting: impl FnOnce(&LockInfo),
) -> Result<BuildLock> {
    let path = path(locks_dir, purpose, target)?;
    file::create_dirs(locks_dir)?;
    let lock = LockFile::acquire(&path, || {
        waiting(&info(&path, purpose, target.to_owned(), false, now()))
    })?;
    held(&path, lock)
}

/// Takes the lock on a target unless somebody holds it.
///
/// # Errors
/// As [`acquire`].
pub fn try_acquire(locks_dir: &Path, purpose: Purpose, target: &str) -> Result<Option<BuildLock>> {
    let path = path(locks_dir, purpose, target)?;
    file::create_dirs(locks_dir)?;
    LockFile::try_acquire(&path)?.map(|lock| held(&path, lock)).transpose()
}

fn held(path: &Path, lock: LockFile) -> Result<BuildLock> {
    let holder = Holder { pid: process::id(), host: host(), since: format_time(now()) };
    let json = serde_json::to_vec(&holder).map_err(std::io::Error::from).context("write", path)?;
    let file = lock.file();
    file.set_len(0).and_then(|()| file.write_all_at(&json, 0)).context("write", path)?;
    Ok(BuildLock { _lock: lock })
}

/// The locks that are held, by purpose and target.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be listed; a missing one has no locks.
pub fn list_active(locks_dir: &Path) -> Result<Vec<LockInfo>> {
    Ok(list(locks_dir)?.into_iter().filter(|lock| !lock.stale).collect())
}

/// All lock files, held or left behind, by purpose and target.
///
/// # Errors
/// As [`list_active`].
pub fn list(locks_dir: &Path) -> Result<Vec<LockInfo>> {
    let now = now();
    let mut locks = Vec::new();
    for (purpose, target, path) in lock_files(locks_dir)? {
        // One that goes away while we look was given back: it is neither held nor stale.
        let held = lock::is_held(&path)?;
        if held || path.exists() {
            locks.push(info(&path, purpose, target, !held, now));
        }
    }
    Ok(locks)
}

/// Removes the lock files whose holder is gone and returns what they said. A lock that is held is never
/// touched, however old it is.
///
/// # Errors
/// As [`list_active`].
pub fn cleanup_stale(locks_dir: &Path) -> Result<Vec<LockInfo>> {
    let now = now();
    let mut removed = Vec::new();
    for (purpose, target, path) in lock_files(locks_dir)? {
        let left_behind = path.exists();
        // Whoever gets the lock has proved that nobody has it; dropping it removes the file.
        if left_behind && let Some(_lock) = LockFile::try_acquire(&path)? {
            removed.push(info(&path, purpose, target, true, now));
        }
    }
    Ok(removed)
}

fn lock_files(locks_dir: &Path) -> Result<Vec<(Purpose, String, PathBuf)>> {
    let mut files = Vec::new();
    for name in file::names(locks_dir)? {
        for purpose in Purpose::ALL {
            let prefix = format!("{purpose}-");
            if let Some(target) =
                name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".lock"))
            {
                files.push((purpose, target.to_owned(), locks_dir.join(&name)));
            }
        }
    }
    Ok(files)
}

fn info(path: &Path, purpose: Purpose, target: String, stale: bool, now: Timestamp) -> LockInfo {
    let holder: Option<Holder> =
        fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let since =
        holder.as_ref().and_then(|holder| parse_time(&holder.since)).or_else(|| modified(path));
    let age_seconds = since.map_or(0, |since| seconds_between(since, now));
    LockInfo { purpose, target, holder, age_seconds, stale }
}

fn modified(path: &Path) -> Option<Timestamp> {
    let modified: SystemTime = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    Timestamp::try_from(modified).ok()
}

fn path(locks_dir: &Path, purpose: Purpose, target: &str) -> Result<PathBuf> {
    let refuse = |reason| Err(Error::Name { what: "lock target", name: target.to_owned(), reason });
    if target.is_empty() || target.len() > 200 {
        return refuse("it must have 1 to 200 bytes");
    }
    if !target.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return refuse("it must start with a letter, a digit or `_`");
    }
    if !target
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.' | '~'))
    {
        return refuse("it may hold only letters, digits, `_`, `+`, `-`, `.` and `~`");
    }
    Ok(locks_dir.join(format!("{purpose}-{target}.lock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_learns_for_whom_it_waits() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("locks");
        let held =
            acquire(&locks, Purpose::Build, "zlib.1.3.1", |_| panic!("nobody holds it")).unwrap();
        assert!(try_acquire(&locks, Purpose::Build, "zlib.1.3.1").unwrap().is_none());
        assert!(try_acquire(&locks, Purpose::Doc, "zlib.1.3.1").unwrap().is_some());
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                acquire(&locks, Purpose::Build, "zlib.1.3.1", |lock| {
                    said.send(lock.clone()).unwrap()
                })
                .unwrap();
            });
            let lock = heard.recv().unwrap();
            assert_eq!(lock.holder.unwrap().pid, process::id());
            drop(held);
        });
        assert!(list(&locks).unwrap().is_empty());
    }

    #[test]
    fn only_locks_without_a_holder_are_stale() {
        let dir = tempfile::tempdir().unwrap();
        let _held = acquire(dir.path(), Purpose::Tool, "odoc", |_| {}).unwrap();
        let old = r#"{"pid":1,"host":"elsewhere","since":"2020-01-01T00:00:00Z"}"#;
        fs::write(dir.path().join("build-fmt.0.9.0.lock"), old).unwrap();
        fs::write(dir.path().join("doc-fmt.0.9.0.lock"), "").unwrap();
        fs::write(dir.path().join("gc.lock"), "").unwrap();

        let active: Vec<_> =
            list_active(dir.path()).unwrap().into_iter().map(|lock| lock.target).collect();
        assert_eq!(active, ["odoc"]);
        let removed = cleanup_stale(dir.path()).unwrap();
        assert_eq!(removed.len(), 2);
        assert_eq!(removed[0].holder.as_ref().unwrap().host, "elsewhere");
        assert!(removed[0].age_seconds > 24 * 60 * 60);
        assert_eq!(file::names(dir.path()).unwrap(), ["gc.lock", "tool-odoc.lock"]);
        assert!(cleanup_stale(&dir.path().join("missing")).unwrap().is_empty());
    }

    #[test]
    fn a_clock_set_back_makes_no_negative_age() {
        let dir = tempfile::tempdir().unwrap();
        let future = r#"{"pid":1,"host":"h","since":"2999-01-01T00:00:00Z"}"#;
        fs::write(dir.path().join("build-a.1.lock"), future).unwrap();
        assert_eq!(list(dir.path()).unwrap()[0].age_seconds, 0);
    }

    #[test]
    fn a_target_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        for target in ["", "../x", "a/b", ".x", "a\nb"] {
            assert!(
                matches!(try_acquire(dir.path(), Purpose::Build, target), Err(Error::Name { .. })),
                "{target:?}"
            );
        }
    }
}
