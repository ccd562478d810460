//! Files that appear whole or not at all. Temporary names start with a dot, which no name from
//! outside may, and stand in the directory of the file they become.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Context, Error, Result};

/// Whether a file must survive a loss of power, not only of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written, not synced: right for what is written again in a moment, such as progress.
    Process,
    /// Synced before it is renamed: right for what cannot be made again.
    Power,
}

/// Replaces `path` by `content` in one step. A reader sees the old file or the new one.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be written or is full; `path` is then as it was.
pub fn write_atomic(path: &Path, content: &[u8], durability: Durability) -> Result<()> {
    publish(path, durability, |file| file.write_all(content))
}

/// Like [`write_atomic`], but leaves a file that already has this content alone. Says whether it wrote.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_if_changed(path: &Path, content: &[u8], durability: Durability) -> Result<bool> {
    let same = fs::metadata(path).is_ok_and(|meta| meta.len() == content.len() as u64)
        && fs::read(path).is_ok_and(|old| old == content);
    if !same {
        write_atomic(path, content, durability)?;
    }
    Ok(!same)
}

/// Writes a temporary file beside `path` and renames it there; removes it when that fails.
fn publish(
    path: &Path,
    durability: Durability,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let temporary = temporary_for(path);
    let written =
        OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file| {
            fill(&mut file)?;
            if durability == Durability::Power {
                file.sync_all()?;
            }
            Ok(())
        });
    written.and_then(|()| fs::rename(&temporary, path)).context("write", path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// A name no other thread or process uses: `.NAME.PID.COUNT.tmp`.
fn temporary_for(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(
        ".{name}.{}.{}.tmp",
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ))
}

/// Whether a file name is one that [`write_atomic`] gives a file it has not finished.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// The content of a file, or `None` when there is none.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("read", path),
    }
}

/// Reads and parses a JSON file. Missing and malformed both mean `None`; malformed is said at info.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let content = fs::read(path).ok()?;
    // Checked as text once, not string by string.
    let value = match std::str::from_utf8(&content) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(&content),
    };
    match value {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::info!("{} is malformed and treated as absent: {error}", path.display());
            None
        }
    }
}

/// Opens a file below a directory for reading, through no link on the way from there.
///
/// # Errors
/// [`Error::NotAFile`] when something on the way is a link, or it is no regular file; [`Error::Io`] when it cannot be
/// read.
pub fn open_below(directory: &Path, relative: &str) -> Result<File> {
    let path = directory.join(relative);
    let open = |at: &OwnedFd, name: &str, flags: OFlags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(at, name, flags, Mode::empty()).map_err(io::Error::from)
    };
    let refused =
        |error: io::Error| match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                Error::NotAFile { path: path.clone() }
            }
            _ => Error::Io { action: "read", path: path.clone(), source: error },
        };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at =
        rustix::fs::openat(CWD, directory, flags, Mode::empty()).context("read", directory)?;
    let (parents, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
        at = open(&at, parent, OFlags::DIRECTORY).map_err(refused)?;
    }
    // A pipe is not waited for.
    let file = File::from(open(&at, name, OFlags::RDONLY | OFlags::NONBLOCK).map_err(refused)?);
    match file.metadata().context("read", &path)?.is_file() {
        true => Ok(file),
        false => Err(Error::NotAFile { path }),
    }
}

/// Creates a directory and its parents.
pub(crate) fn create_dirs(path: &Path) -> Result<()> {
    fs::create_dir_all(path).context("create the directory", path)
}

/// The names in a directory, sorted; none when it does not exist. Names that are not UTF-8 were not
/// written by larder and are left out.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("list", directory),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.context("list", directory)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a file or a whole directory, which may hold read-only directories; links are removed, not
/// followed. Missing is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).or_else(|error| {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return Err(error);
            }
            make_writable(path)?;
            fs::remove_dir_all(path)
        }),
        _ => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.context("remove", path),
    }
}

/// Gives the owner every permission on a directory and those inside it.
fn make_writable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_would_not_change_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        assert!(write_if_changed(&path, b"one", Durability::Power).unwrap());
        assert!(!write_if_changed(&path, b"one", Durability::Power).unwrap());
        assert!(write_if_changed(&path, b"two", Durability::Power).unwrap());
        assert_eq!(names(dir.path()).unwrap(), ["status.json"]);
    }

    #[test]
    fn read_only_directories_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let layer = dir.path().join("layer");
        fs::create_dir_all(layer.join("lib")).unwrap();
        fs::write(layer.join("lib/a"), "a").unwrap();
        fs::set_permissions(layer.join("lib"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(&layer, fs::Permissions::from_mode(0o555)).unwrap();
        remove_tree(&layer).unwrap();
        assert!(!layer.exists());
    }

    #[test]
    fn an_error_names_the_file_and_no_number() {
        let error =
            write_atomic(Path::new("/nonexistent/x.json"), b"", Durability::Process).unwrap_err();
        insta::assert_snapshot!(error, @"cannot write /nonexistent/x.json: No such file or directory");
    }
}
