//! Which processes use a store, so that a collection spares what they have touched.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_trace::atomic;

use crate::files::is_temporary;

/// A process's use of a store, from now until it is dropped or the process ends, however it ends:
/// a locked file whose mtime is the beginning. The lock, not the file, says that it lives.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    _locked: File,
    began: SystemTime,
}

impl Session {
    /// Announces a session in `directory`.
    pub fn begin(directory: &Path) -> io::Result<Self> {
        // Locked before it gets its name: nobody can see it unlocked and take it for dead.
        let (temporary, locked) = atomic::make_temporary(&directory.join("session"), |path| {
            let file = atomic::create_new(path, 0o666)?;
            file.lock()?;
            Ok(file)
        })?;
        let metadata = locked.metadata()?;
        let began = metadata.modified()?;
        // The time keeps processes of equal number apart, in containers that share the store; the
        // inode number does so for sessions of one process.
        let age = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = directory.join(format!("{}-{}-{age}", process::id(), metadata.ino()));
        fs::rename(&temporary, &path)?;
        Ok(Self { path, _locked: locked, began })
    }

    /// When it began, by the clock of the store's file system.
    pub fn began(&self) -> SystemTime {
        self.began
    }

    /// When the oldest session of `directory` began that still lives, other than `own`. Removes
    /// what dead ones left.
    pub fn oldest_other(directory: &Path, own: Option<&Self>) -> io::Result<Option<SystemTime>> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut oldest = None;
        for entry in entries.flatten() {
            let path = entry.path();
            if own.is_some_and(|own| own.path == path) {
                continue;
            }
            let temporary = is_temporary(&path);
            let Ok(file) = File::open(&path) else {
                continue;
            };
            let Ok(began) = file.metadata().and_then(|metadata| metadata.modified()) else {
                continue;
            };
            let alive = match file.try_lock() {
                Err(TryLockError::WouldBlock) => true,
                // One that is not yet locked may be about to be.
                Ok(()) => temporary && is_young(began),
                Err(TryLockError::Error(error)) => return Err(error),
            };
            if alive {
                oldest = Some(oldest.map_or(began, |oldest: SystemTime| oldest.min(began)));
            } else {
                _ = fs::remove_file(&path);
            }
        }
        Ok(oldest)
    }
}

fn is_young(time: SystemTime) -> bool {
    time.elapsed().is_ok_and(|age| age < Duration::from_secs(60))
}

impl Drop for Session {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn dead_sessions_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        fn oldest(dir: &TempDir, own: Option<&Session>) -> Option<SystemTime> {
            Session::oldest_other(dir.path(), own).unwrap()
        }
        let first = Session::begin(dir.path()).unwrap();
        let second = Session::begin(dir.path()).unwrap();
        atomic::create_new(&dir.path().join("1-0-0"), 0o666).unwrap();
        assert_eq!(oldest(&dir, Some(&second)), Some(first.began()));
        assert_eq!(oldest(&dir, Some(&first)), Some(second.began()));
        assert!(!dir.path().join("1-0-0").exists());
        drop((first, second));
        assert_eq!(oldest(&dir, None), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
