//! Which processes use a store, so that a collection spares what they have touched.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::files::{self, TEMPORARY};

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
        let (temporary, (locked, began)) = files::make_temporary(directory, |path| {
            let file = files::create_new(path, 0o666)?;
            file.lock()?;
            let began = file.metadata()?.modified()?;
            Ok((file, began))
        })?;
        // The time keeps processes of equal number apart, in containers that share the store.
        let age = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = temporary.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}-{}", name.trim_start_matches(TEMPORARY), age.as_nanos());
        let path = directory.join(name);
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
            let temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
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
        files::create_new(&dir.path().join("1-0-0"), 0o666).unwrap();
        assert_eq!(oldest(&dir, Some(&second)), Some(first.began()));
        assert_eq!(oldest(&dir, Some(&first)), Some(second.began()));
        assert!(!dir.path().join("1-0-0").exists());
        drop((first, second));
        assert_eq!(oldest(&dir, None), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
