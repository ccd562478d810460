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

/// Whether `path` has a name that [`temporary_name`] gives.
pub fn is_temporary(path: &Path) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parts = name.strip_suffix(".tmp").and_then(|name| name.rsplit_once('.'));
    // The store's names on their way into the build directory.
    name.starts_with(".tmp-")
        || parts.is_some_and(|(rest, count)| {
            let pid = rest.rsplit_once('.').map_or("", |(_, pid)| pid);
            name.starts_with('.') && digits(count) && digits(pid)
        })
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
    fn temporary_names_are_told_from_others() {
        for name in [".x.1.tmp", "x.1.2.tmp", ".x.a.2.tmp", ".x.1..tmp", ".x.1.2", ".tmp"] {
            assert!(!is_temporary(Path::new(name)), "{name}");
        }
        for name in ["x.trace", "d/y", "d/.z"] {
            assert!(is_temporary(&temporary_name(Path::new(name))), "{name}");
        }
    }
}
