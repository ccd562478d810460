//! Artifacts on disk: putting them in, finding them intact, restoring them.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_trace::{ContentHash, OutputFile};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use crate::{
    Layout, StoreError,
    files::{self, make_temporary},
    seal,
};

/// How a file was restored or inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A copy-on-write clone.
    Reflink,
    /// Another name for the store's own file: read-only.
    HardLink,
    /// A copy.
    Copy,
    /// It was there already.
    Present,
}

/// Why an artifact could not be restored. Never a reason to fail a build.
#[derive(Debug, thiserror::Error)]
pub enum Miss {
    /// The store does not have it, and no upstream knows it.
    #[error("not in the store")]
    Absent,
    /// The store had it, damaged. It has been moved away.
    #[error("corrupt in the store")]
    Corrupt,
    /// The store has it under this hash, but of another size than its description says.
    #[error("{actual} bytes long, where its description says {expected}")]
    WrongSize {
        /// Bytes that the description says.
        expected: u64,
        /// Bytes that the artifact has.
        actual: u64,
    },
    /// The store's file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The destination could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The destination.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was to be fetched, in vain.
    #[error("could not be fetched: {0}")]
    NotFetched(String),
}

/// The artifacts of one store directory.
#[derive(Debug)]
pub(crate) struct Artifacts {
    pub layout: Layout,
    /// Whether the directory is ours to seal, heal and link from. An offline store's is not.
    writable: bool,
    /// Until the file system has said that it cannot.
    reflinks: AtomicBool,
    /// Since when the process at hand uses it. An entry used after that need not be marked again.
    began: SystemTime,
}

impl Artifacts {
    pub fn new(layout: Layout, writable: bool, began: SystemTime) -> Self {
        Self { layout, writable, reflinks: AtomicBool::new(true), began }
    }

    /// Whether there is an entry for `hash`, intact or not. Costs one `stat`.
    pub fn holds(&self, hash: &ContentHash) -> bool {
        fs::symlink_metadata(self.layout.artifact(hash)).is_ok_and(|found| found.is_file())
    }

    /// [`holds`](Self::holds), and marks the entry as used.
    pub fn uses(&self, hash: &ContentHash) -> bool {
        let path = self.layout.artifact(hash);
        fs::symlink_metadata(&path).is_ok_and(|metadata| {
            self.touch(&path, &metadata);
            metadata.is_file()
        })
    }

    /// Makes sure that the entry for `hash` is there and intact: by its seal if that is unbroken,
    /// else by hashing it. A corrupt entry is moved away.
    pub fn check(
        &self,
        hash: &ContentHash,
        size: Option<u64>,
    ) -> Result<(PathBuf, Metadata), Miss> {
        self.check_with(hash, size, false)
    }

    /// [`check`](Self::check); with `rehash`, the seal is not asked.
    pub fn check_with(
        &self,
        hash: &ContentHash,
        size: Option<u64>,
        rehash: bool,
    ) -> Result<(PathBuf, Metadata), Miss> {
        let path = self.layout.artifact(hash);
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Miss::Absent,
            _ => Miss::Unreadable { path: path.clone(), source },
        };
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        let expected = size.is_none_or(|size| size == metadata.len());
        if !rehash && metadata.is_file() && expected && seal::is_intact(hash, &metadata) {
            return Ok((path, metadata));
        }
        let rehashed = files::open_regular(&path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((files::hash_reader(&file)?, metadata))
        });
        match rehashed {
            Ok(((actual, length), metadata)) if actual == *hash => {
                if let Some(expected) = size.filter(|size| *size != length) {
                    return Err(Miss::WrongSize { expected, actual: length });
                }
                if self.writable && !seal::is_intact(hash, &metadata) {
                    tracing::debug!(path = %path.display(), "changed since verified, intact");
                    _ = seal::apply(&path, hash, &metadata);
                }
                Ok((path, metadata))
            }
            Err(error) if metadata.is_file() => Err(unreadable(error)),
            _ => {
                tracing::info!(path = %path.display(), "corrupt artifact: treated as absent");
                self.quarantine(&path);
                Err(Miss::Corrupt)
            }
        }
    }

    /// Moves a corrupt file out of the way; of a store that is not ours, does nothing.
    pub fn quarantine(&self, path: &Path) {
        if !self.writable {
            return;
        }
        let directory = self.layout.quarantine();
        let name = directory.join(path.file_name().unwrap_or_default());
        let moved = fs::create_dir_all(&directory).and_then(|()| {
            fs::rename(path, &name).or_else(|_| {
                // One of the two is a directory.
                files::remove_any(&name)?;
                fs::rename(path, &name)
            })
        });
        if let Err(error) = moved {
            tracing::debug!(path = %path.display(), %error, "could not be quarantined");
            _ = files::remove_any(path);
        }
    }

    /// Marks the entry as used, once in a session.
    pub fn touch(&self, path: &Path, metadata: &Metadata) {
        let used = Duration::new(
            u64::try_from(metadata.atime()).unwrap_or(0),
            u32::try_from(metadata.atime_nsec()).unwrap_or(0),
        );
        if self.writable && UNIX_EPOCH + used < self.began {
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW as _ },
                last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
            };
            _ = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
        }
    }

    /// [`touch`](Self::touch) for a file that has not been looked at.
    pub fn touch_path(&self, path: &Path) {
        if self.writable
            && let Ok(metadata) = fs::symlink_metadata(path)
        {
            self.touch(path, &metadata);
        }
    }

    /// Restores `file` at `destination`, replacing what is there in one step.
    pub fn restore(&self, file: &OutputFile, destination: &Path) -> Result<How, Miss> {
        // A seal is worth nothing where somebody else may have set the times.
        let (entry, metadata) = self.check_with(&file.hash, Some(file.size), !self.writable)?;
        self.touch(&entry, &metadata);
        let executable = metadata.mode() & 0o111 != 0;
        let linkable = self.writable && executable == file.executable;
        self.place(&entry, destination, file.executable, linkable).map_err(|source| {
            // Collected between the check and now.
            if source.kind() == io::ErrorKind::NotFound && !entry.exists() {
                Miss::Absent
            } else {
                Miss::Unwritable { path: destination.to_owned(), source }
            }
        })
    }

    fn place(
        &self,
        entry: &Path,
        destination: &Path,
        executable: bool,
        linkable: bool,
    ) -> io::Result<How> {
        let mode = if executable { 0o777 } else { 0o666 };
        if self.reflinks.load(Ordering::Relaxed) {
            let source = File::open(entry)?;
            if write_new(destination, mode, |target| self.reflink(&source, target)).is_ok() {
                return Ok(How::Reflink);
            }
        }
        // Another file system, too many links, not our file: a copy will do.
        if linkable && link(entry, destination).is_ok() {
            return Ok(How::HardLink);
        }
        let source = File::open(entry)?;
        write_new(destination, mode, |target| io::copy(&mut &source, &mut &*target))?;
        Ok(How::Copy)
    }

    /// Clones `source`; remembers when the file system cannot.
    fn reflink(&self, source: &File, target: &File) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let cloned = rustix::fs::ioctl_ficlone(target, source).map_err(io::Error::from);
        #[cfg(not(target_os = "linux"))]
        let cloned = Err(io::Error::from(io::ErrorKind::Unsupported));
        cloned.inspect_err(|_| self.reflinks.store(false, Ordering::Relaxed))
    }

    /// Puts the file at `source` in as `hash`, which the caller has just computed from it.
    ///
    /// Where neither clone nor copy is needed, `source` becomes another name of the entry: it is
    /// made read-only, and its mtime moves by less than a millisecond (see [`seal`]).
    pub fn insert(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<How, StoreError> {
        let metadata = fs::symlink_metadata(source).map_err(StoreError::io("read", source))?;
        match self.check(hash, Some(metadata.len())) {
            Ok((path, metadata)) => {
                self.touch(&path, &metadata);
                return Ok(How::Present);
            }
            Err(miss) => tracing::trace!(%hash, %miss, "inserting"),
        }
        let entry = self.layout.artifact(hash);
        let file = files::open_regular(source).map_err(StoreError::io("read", source))?;
        let mode = if executable { 0o555 } else { 0o444 };
        if self.reflinks.load(Ordering::Relaxed) {
            let cloned = write_new(&entry, mode, |target| {
                self.reflink(&file, target)?;
                seal::apply_to(target, hash)
            });
            if cloned.is_ok() {
                return Ok(How::Reflink);
            }
        }
        // A file with other names may be written through them by people who know nothing of us.
        let own_mode = metadata.mode() & 0o555;
        if metadata.nlink() == 1 && (own_mode & 0o111 != 0) == executable {
            let linked = file
                .set_permissions(fs::Permissions::from_mode(own_mode))
                .and_then(|()| seal::apply(source, hash, &metadata))
                .and_then(|()| link(source, &entry));
            match linked {
                Ok(()) => return Ok(How::HardLink),
                Err(error) => tracing::trace!(%hash, %error, "not linked"),
            }
        }
        write_new(&entry, mode, |target| {
            io::copy(&mut &file, &mut &*target)?;
            seal::apply_to(target, hash)
        })
        .map_err(StoreError::io("store", source))?;
        Ok(How::Copy)
    }

    /// Puts in what `content` yields, if it is `size` bytes long and hashes to `hash`; else says
    /// `Ok(false)`, and nothing is left of it.
    pub fn import(
        &self,
        hash: &ContentHash,
        size: u64,
        executable: bool,
        content: impl Read,
    ) -> Result<bool, StoreError> {
        if self.check(hash, Some(size)).is_ok() {
            return Ok(true);
        }
        let mut content = content.take(size.saturating_add(1));
        let entry = self.layout.artifact(hash);
        let mode = if executable { 0o555 } else { 0o444 };
        let imported = write_new(&entry, mode, |target| {
            let mut hasher = blake3::Hasher::new();
            let mut buffer = vec![0; size.clamp(1, 1 << 17) as usize];
            loop {
                let filled = match content.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(filled) => &buffer[..filled],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                hasher.update(filled);
                (&*target).write_all(filled)?;
            }
            if hasher.count() == size && ContentHash::from(hasher.finalize()) == *hash {
                seal::apply_to(target, hash)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            }
        });
        match imported {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
            Err(error) => Err(StoreError::io("write", entry)(error)),
        }
    }

    /// Puts in the file at `source`, which is the caller's to give away and on the store's file
    /// system, and whose content and permissions the caller has just made sure of.
    pub fn admit(&self, source: &Path, hash: &ContentHash) -> Result<(), StoreError> {
        let entry = self.layout.artifact(hash);
        let admit = || {
            seal::apply(source, hash, &fs::symlink_metadata(source)?)?;
            match fs::rename(source, &entry) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(entry.parent().unwrap_or(Path::new(".")))?;
                    fs::rename(source, &entry)
                }
                renamed => renamed,
            }
        };
        admit().map_err(StoreError::io("store", &entry))
    }

    /// Puts in the file at `source`, which is the caller's to give away and on the store's file
    /// system, if it hashes to `hash`; else says `Ok(false)` and leaves it.
    pub fn adopt(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<bool, StoreError> {
        let adopt = || {
            let file = files::open_regular(source)?;
            if files::hash_reader(&file)?.0 != *hash {
                return Ok(false);
            }
            let mode = file.metadata()?.mode() & 0o444;
            let mode = if executable { mode | mode >> 2 } else { mode };
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            seal::apply_to(&file, hash)?;
            let entry = self.layout.artifact(hash);
            fs::create_dir_all(entry.parent().unwrap_or(Path::new(".")))?;
            fs::rename(source, &entry)?;
            Ok(true)
        };
        adopt().map_err(StoreError::io("store", source))
    }
}

/// Makes `destination` a new file with `mode` (less the umask) that `fill` fills, replacing what is
/// there in one step.
pub(crate) fn write_new<T>(
    destination: &Path,
    mode: u32,
    fill: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<T> {
    let directory = destination.parent().unwrap_or(Path::new("."));
    let (temporary, target) =
        make_temporary(directory, |temporary| files::create_new(temporary, mode))?;
    fill(&target)
        .and_then(|filled| fs::rename(&temporary, destination).map(|()| filled))
        .inspect_err(|_| _ = fs::remove_file(&temporary))
}

/// Makes `destination` another name of `source`, replacing what is there in one step.
fn link(source: &Path, destination: &Path) -> io::Result<()> {
    let directory = destination.parent().unwrap_or(Path::new("."));
    let linked = match fs::hard_link(source, destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            fs::hard_link(source, destination)
        }
        linked => linked,
    };
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let (temporary, ()) =
                make_temporary(directory, |temporary| fs::hard_link(source, temporary))?;
            let renamed = fs::rename(&temporary, destination);
            // Still there where both were one file already.
            _ = fs::remove_file(&temporary);
            renamed
        }
        linked => linked,
    }
}
