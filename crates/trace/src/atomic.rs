//! Files that are whole or not there: written under a temporary name, then renamed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

/// A name in the directory of `path` that no other writer uses, for a file on its way to `path`.
///
/// It starts with a dot and ends in `.tmp`: `.NAME.<pid>.<count>.tmp`.
pub fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{count}.tmp", process::id()));
    path.with_file_name(name)
}

/// Writes `content` to `path` so that a reader, or a process killed at any instant, sees the old
/// file or the new one and nothing between.
///
/// Not synced to the disk: for what can be made again after a loss of power.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let result = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// [`write()`], unless `path` already holds exactly `content`: a file whose content would not change
/// keeps its modification time. Returns whether it wrote.
pub fn write_if_changed(path: &Path, content: &[u8]) -> io::Result<bool> {
    let same_length = fs::metadata(path).is_ok_and(|m| m.len() == content.len() as u64);
    if same_length && fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    write(path, content).map(|()| true)
}

/// Removes what killed processes left under temporary names in `directory` and below it. Nobody else
/// may be writing there.
pub fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&entry.path());
        } else if entry.file_name().to_str().is_some_and(is_temporary) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file name is one that [`temporary_name`] makes.
fn is_temporary(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = || -> Option<(&str, &str)> {
        let (rest, count) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
        let (_, process) = rest.rsplit_once('.')?;
        Some((process, count))
    };
    parts().is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Removes a file; one that is not there is no error.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_names_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let kept = [".x.1.tmp", "x.1.2.tmp", ".x.a.2.tmp", ".x.1..tmp", ".x.1.2", ".tmp"];
        fs::create_dir(directory.path().join("d")).unwrap();
        for name in kept {
            fs::write(directory.path().join(name), "").unwrap();
        }
        for path in ["x.trace", "d/y", "d/.z"] {
            fs::write(temporary_name(&directory.path().join(path)), "").unwrap();
        }
        sweep(directory.path());
        let left = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!(left(directory.path()), kept.len() + 1);
        assert_eq!(left(&directory.path().join("d")), 0);
    }
}
