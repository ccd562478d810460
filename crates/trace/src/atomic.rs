//! Files that are whole or not there: written under a temporary name, then renamed.
//!
//! This is the one way in which larder's crates write a file that somebody else may read meanwhile.
//! Nothing here is synced to the disk, which is right for all that can be made again; where the loss
//! of power would cost more, `fill` syncs the file before it returns.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

const PREFIX: &str = ".larder-";
const SUFFIX: &str = ".tmp";

/// A name in the directory of `path` for a file on its way to `path`: `.larder-<pid>-<count>.tmp`.
/// No other thread of this process gets it. Short, so that it fits wherever `path` does.
pub fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u32> = LazyLock::new(process::id);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!("{PREFIX}{}-{count}{SUFFIX}", *PROCESS))
}

/// Whether `path` has a name that [`temporary_name`] gives.
pub fn is_temporary(path: &Path) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    path.file_name()
        .and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
        .and_then(|numbers| numbers.split_once('-'))
        .is_some_and(|(pid, count)| digits(pid) && digits(count))
}

/// Calls `make` with one [`temporary_name`] for `destination` after another until one is not taken
/// (by a process with the same id, in another container). Makes the directory where it is missing.
///
/// # Errors
/// The error of `make`, unless it is `AlreadyExists`.
pub fn make_temporary<T>(
    destination: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    let mut created = false;
    loop {
        let path = temporary_name(destination);
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !created => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                created = true;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A new, empty file with `mode` (less the umask), for writing and reading back.
///
/// # Errors
/// `AlreadyExists` where there is anything at `path`.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
}

/// Makes `destination` a new file with `mode` (less the umask) that `fill` fills, replacing in one
/// step what is there (a directory excepted). Makes the directory where it is missing. A reader, or a
/// process killed at any instant, sees the old file or the new one and nothing between.
///
/// # Errors
/// The error of `fill`, or of making the file; `destination` is then as it was.
pub fn write_new<T, E: From<io::Error>>(
    destination: &Path,
    mode: u32,
    fill: impl FnOnce(&File) -> Result<T, E>,
) -> Result<T, E> {
    let (temporary, file) = make_temporary(destination, |path| create_new(path, mode))?;
    let unfinished = Unfinished(&temporary);
    let filled = fill(&file)?;
    fs::rename(&temporary, destination)?;
    std::mem::forget(unfinished);
    Ok(filled)
}

/// Removes a temporary file, unless it is forgotten.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// Writes `content` to `path`, as [`write_new`] does.
///
/// # Errors
/// When the file cannot be written; it is then as it was.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_new(path, 0o666, |mut file| file.write_all(content))
}

/// [`write()`], unless `path` already holds exactly `content`: a file whose content would not change
/// keeps its modification time. Returns whether it wrote.
///
/// # Errors
/// As [`write()`].
pub fn write_if_changed(path: &Path, content: &[u8]) -> io::Result<bool> {
    let same_length =
        fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == content.len() as u64);
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
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    #[test]
    fn temporary_names_are_told_from_others() {
        let others = [
            ".larder-1.tmp",
            ".larder-1-.tmp",
            ".larder-1-2",
            "larder-1-2.tmp",
            ".larder-1-2-3.tmp",
            ".larder-a-2.tmp",
            ".tmp-1-2",
            ".x.1.2.tmp",
        ];
        for name in others {
            assert!(!is_temporary(Path::new(name)), "{name}");
        }
        for name in ["x.trace", "d/y", "d/.z"] {
            assert!(is_temporary(&temporary_name(Path::new(name))), "{name}");
        }
    }

    #[test]
    fn the_longest_name_and_a_missing_directory_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b").join("x".repeat(255));
        write(&path, b"content").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_finished_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"old").unwrap();
        let failed: io::Result<()> = write_new(&path, 0o666, |mut file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::Other.into())
        });
        assert!(failed.is_err());
        assert!(
            std::panic::catch_unwind(|| write_new::<(), io::Error>(&path, 0o666, |_| panic!()))
                .is_err()
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_same_content_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(write_if_changed(&path, b"content").unwrap());
        let inode = path.metadata().unwrap().ino();
        assert!(!write_if_changed(&path, b"content").unwrap());
        assert_eq!(path.metadata().unwrap().ino(), inode);
        assert!(write_if_changed(&path, b"CONTENT").unwrap());
        assert_ne!(path.metadata().unwrap().ino(), inode);
    }

    #[test]
    fn a_pipe_is_replaced_without_waiting_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        assert!(path.metadata().unwrap().file_type().is_fifo());
        assert!(write_if_changed(&path, b"").unwrap());
        assert!(path.metadata().unwrap().is_file());
    }
}
