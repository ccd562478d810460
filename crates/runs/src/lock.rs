//! Locks: `flock` on a file of its own beside the data.
//!
//! `flock` belongs to the open file description, so it excludes threads as well as processes (unlike
//! `lockf`, which is keyed by process) and ends with its holder, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// A lock on a file that stays where it is; given back when dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits until nobody else holds the lock. Creates the file.
    ///
    /// # Errors
    /// When the file cannot be opened or the file system has no locks.
    pub fn exclusive(path: &Path) -> Result<FileLock> {
        let file = open(path).context("open the lock", path)?;
        retry(|| file.lock()).context("lock", path)?;
        Ok(FileLock { _file: file })
    }

    /// Waits until nobody holds the lock exclusively. Creates the file.
    ///
    /// # Errors
    /// As [`FileLock::exclusive`].
    pub fn shared(path: &Path) -> Result<FileLock> {
        let file = open(path).context("open the lock", path)?;
        retry(|| file.lock_shared()).context("lock", path)?;
        Ok(FileLock { _file: file })
    }
}

/// A lock whose file exists only while it is held; removed when dropped.
///
/// Because the file may be removed between another's `open` and its `flock`, a lock counts only once
/// the path is seen to name the locked file still.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Takes the lock unless somebody holds it.
    ///
    /// # Errors
    /// When the file cannot be opened or the file system has no locks.
    pub fn try_acquire(path: &Path) -> Result<Option<LockFile>> {
        loop {
            let file = open(path).context("open the lock", path)?;
            if !try_lock(&file).context("lock", path)? {
                return Ok(None);
            }
            if names_file(path, &file) {
                return Ok(Some(LockFile { path: path.to_owned(), file }));
            }
        }
    }

    /// Takes the lock, waiting for whoever holds it; calls `waiting` once before it waits.
    ///
    /// # Errors
    /// As [`LockFile::try_acquire`].
    pub fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<LockFile> {
        if let Some(lock) = LockFile::try_acquire(path)? {
            return Ok(lock);
        }
        waiting();
        loop {
            let file = open(path).context("open the lock", path)?;
            retry(|| file.lock()).context("lock", path)?;
            if names_file(path, &file) {
                return Ok(LockFile { path: path.to_owned(), file });
            }
        }
    }

    /// The locked file, to say in it who holds it.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Removed before it is unlocked: whoever waits on it then finds that it names nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether somebody holds the lock on an existing file exclusively. Asks with a shared lock of an
/// instant, so that several may ask at once.
///
/// # Errors
/// When the file cannot be opened; a missing one is held by nobody.
pub fn is_held(path: &Path) -> Result<bool> {
    match File::open(path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error).context("lock", path),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("open the lock", path),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn names_file(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(held)) => named.ino() == held.ino() && named.dev() == held.dev(),
        _ => false,
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A signal that arrives while a lock is waited for does not end the wait.
fn retry(mut lock: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_lock_file_excludes_threads_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _lock = LockFile::acquire(&path, || {}).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(!path.exists());
        assert!(!is_held(&path).unwrap());
    }
}
