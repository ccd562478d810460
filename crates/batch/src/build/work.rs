//! The directory in which a package is built.

use std::{
    fs::{self, FileTimes},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder_engine::process::end_those_in;

use super::Failure;
use crate::layer::remove_tree;

/// The time of everything that is built from, in seconds: 1980-01-01, the oldest that archives can tell. All files
/// have the same, since some build systems make files anew whose sources seem to be newer.
pub const EPOCH: u64 = 315_532_800;

/// Names that are no part of a package's sources.
const NOT_SOURCES: &[&str] = &[".git", ".larder"];

/// A directory in which one package is built, gone when this is.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
}

impl Work {
    /// An empty directory at `path`. What an earlier larder left there when it was killed is ended and removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::of_io("cannot make a directory to build in", path, &error);
        Self::remove(path).map_err(failed)?;
        fs::create_dir_all(path).map_err(failed)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Removes the directory of a build that is not going on, and ends what still works in it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        end_those_in(path);
        remove_tree(path)
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the package is installed. `work/HASH/p` is as long as `layers/HASH`, which it becomes: so paths in
    /// programs can be changed.
    pub fn prefix(&self) -> PathBuf {
        self.path.join(PREFIX)
    }

    /// Where the sources are.
    pub fn sources(&self) -> PathBuf {
        self.path.join(SOURCES)
    }
}

/// The names of the directories with the sources, with what is installed, and with documentation.
pub const SOURCES: &str = "src";
pub const PREFIX: &str = "p";
pub const DOCS: &str = "docs";

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::info!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Copies sources, so that a build can write among them. Links stay links.
///
/// # Errors
/// When something cannot be read or written, or is neither a file, a link nor a directory.
pub fn copy_sources(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut stack = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = stack.pop() {
        let unmade = |error| Failure::of_io("cannot copy sources", &to, &error);
        let unread = |error| Failure::of_io("cannot copy sources", &from, &error);
        fs::create_dir_all(&to).map_err(unmade)?;
        for entry in fs::read_dir(&from).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let name = entry.file_name();
            if NOT_SOURCES.iter().any(|no| name == *no) {
                continue;
            }
            let (source, target) = (entry.path(), to.join(&name));
            let kind = entry.file_type().map_err(unread)?;
            if kind.is_dir() {
                stack.push((source, target));
                continue;
            }
            let copied = if kind.is_symlink() {
                fs::read_link(&source).and_then(|to| std::os::unix::fs::symlink(to, &target))
            } else if kind.is_file() {
                copy_file(&source, &target)
            } else {
                Err(io::Error::other("it is neither a file, a link nor a directory"))
            };
            copied.map_err(|error| Failure::of_io("cannot copy sources", &source, &error))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let executable = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH);
    fs::File::options().write(true).open(to)?.set_times(FileTimes::new().set_modified(time))
}
