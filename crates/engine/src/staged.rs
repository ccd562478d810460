//! Files that a command left in its staging directory, as larder takes them.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
};

/// A file in a staging directory, reached without following any symbolic link below that: a command
/// may leave one that leads anywhere, and larder is not to carry off what is there.
pub(crate) struct Staged<'a> {
    directory: OwnedFd,
    name: &'a str,
    /// Its kind; it may be something else by now.
    pub kind: FileType,
}

impl<'a> Staged<'a> {
    /// Returns what is at `path` below the directory `staging`, if anything.
    pub fn find(staging: &Path, path: &'a str) -> io::Result<Option<Self>> {
        let open = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut directory = rustix::fs::open(staging, open, Mode::empty())?;
        for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
            directory = match rustix::fs::openat(&directory, parent, open, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                opened => opened?,
            };
        }
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(found) => {
                let kind = FileType::from_raw_mode(found.st_mode);
                Ok(Some(Self { directory, name, kind }))
            }
        }
    }

    /// Moves it away to `target`, where the command cannot reach it.
    pub fn rename(&self, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.directory, self.name, CWD, target)?)
    }
}
