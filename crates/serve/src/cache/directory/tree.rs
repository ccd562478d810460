//! Files and directories below `objects`: found by the kernel, and never through a link.

use std::{fs, fs::File, io, os::fd::OwnedFd, path::Path, time::SystemTime};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Directory, Found};
use crate::cache::{
    names::{ENDING, Name},
    record::Record,
};

impl Directory {
    pub(super) fn open_file(&self, path: &str) -> io::Result<Option<(File, u64, SystemTime)>> {
        // Nothing but a regular file is ever there; one that somebody put there would not be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = match self.resolve(path, flags) {
            Ok(file) => file.into(),
            Err(error) if is_absence(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let read = metadata.modified()?;
        Ok(Some((file, metadata.len(), read)))
    }

    pub(super) fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let inside =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.objects, path, flags, Mode::empty(), inside) {
                // Something was renamed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }

    pub(super) fn rename(&self, from: &Path, name: &Name) -> io::Result<()> {
        let path = path_of(name);
        let (directory, file) = split(&path);
        // A directory that becomes empty is removed; then it is made again.
        for _ in 0..100 {
            let parent = self.make_directory(directory)?;
            match rustix::fs::renameat(rustix::fs::CWD, from, &parent, file) {
                Err(Errno::NOENT) if fs::symlink_metadata(from).is_ok() => {}
                renamed => return Ok(renamed?),
            }
        }
        Err(io::Error::other("its directory is removed all the time"))
    }

    pub(super) fn make_directory(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        for _ in 0..100 {
            match self.resolve(path, flags) {
                Err(Errno::NOENT) => {}
                opened => return Ok(opened?),
            }
            let mut parent = self.resolve(".", flags)?;
            for part in path.split('/') {
                match rustix::fs::mkdirat(&parent, part, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    // Somebody removed the one above.
                    Err(Errno::NOENT) => break,
                    Err(error) => return Err(error.into()),
                }
                let flags = flags | OFlags::NOFOLLOW;
                match rustix::fs::openat(&parent, part, flags, Mode::empty()) {
                    Ok(opened) => parent = opened,
                    Err(Errno::NOENT) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(io::Error::other("its directory is removed all the time"))
    }

    /// Removes an object, and directories that become empty. Returns whether it was there.
    pub fn remove(&self, name: &Name) -> io::Result<bool> {
        let _stripe = self.stripe(name);
        let path = path_of(name);
        let (mut directory, mut last) = split(&path);
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let Some((_, length, _)) = self.open_file(&path)? else { return Ok(false) };
        match self.resolve(directory, flags) {
            Ok(parent) => match rustix::fs::unlinkat(&parent, last, AtFlags::empty()) {
                Ok(()) => {}
                Err(error) if is_absence(error) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            Err(error) if is_absence(error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let mut used = self.used();
        used.objects = used.objects.saturating_sub(length);
        drop(used);
        while directory != "." {
            (directory, last) = split(directory);
            let removed = self
                .resolve(directory, flags)
                .and_then(|parent| rustix::fs::unlinkat(&parent, last, AtFlags::REMOVEDIR));
            if removed.is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// What lies in a directory, `""` or one that ends in `/`: the names of objects, and of directories with a `/`
    /// at their end, in the order of S3.
    pub fn names_in(&self, directory: &str) -> io::Result<Vec<String>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let path = if directory.is_empty() { "." } else { directory };
        let opened = match self.resolve(path, flags) {
            Ok(opened) => opened,
            Err(error) if is_absence(error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            match entry.file_type() {
                FileType::Directory if !matches!(name, "." | "..") => {
                    names.push(format!("{directory}{name}/"));
                }
                FileType::RegularFile => {
                    names
                        .extend(name.strip_suffix(ENDING).map(|name| format!("{directory}{name}")));
                }
                _ => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Visits all objects, in any order.
    pub fn walk(&self, visit: &mut dyn FnMut(Found)) -> io::Result<()> {
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            for path in self.names_in(&directory)? {
                if path.ends_with('/') {
                    directories.push(path);
                    continue;
                }
                let Ok(name) = Name::parse(&path) else { continue };
                let Some((file, length, read)) = self.open_file(&path_of(&name))? else { continue };
                let record = Record::read(&file, length)?;
                visit(Found { name, length, read, record });
            }
        }
        Ok(())
    }
}

/// Where an object lies below `objects`.
pub fn path_of(name: &Name) -> String {
    format!("{name}{ENDING}")
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

/// Whether an error says that there is no such object, be it because something else is in its place.
fn is_absence(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG)
}
