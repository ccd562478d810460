//! Artifacts on disk: putting them in, finding them intact, restoring them.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_trace::{ContentHash, OutputFile};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use crate::{
    Layout, StoreError,
    copy::{self, CopyError, Expected},
    files,
};

/// How a file was restored or inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A copy-on-write clone.
    Reflink,
    /// A copy.
    Copy,
    /// It was there already.
    Present,
}

/// A file that [`Store::take_in`](crate::Store::take_in) has hashed.
#[derive(Debug)]
pub struct TakenIn {
    /// The hash of its content.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size: u64,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// Whether the store has it now, or why not.
    pub kept: Result<(), StoreError>,
}

/// Files of so many bytes and less are held in memory while they are taken in.
const READ_WHOLE: u64 = 1 << 20;

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
    #[error("{actual} bytes long, but its description says {expected}")]
    WrongSize {
        /// Bytes that the description says.
        expected: u64,
        /// Bytes that the artifact has.
        actual: u64,
    },
    /// The store's file could not be read.
    #[error("cannot read {}: {}", path.display(), larder_trace::describe_io(source))]
    Unreadable {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The destination could not be written.
    #[error("cannot write {}: {}", path.display(), larder_trace::describe_io(source))]
    Unwritable {
        /// The destination.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was to be fetched, in vain.
    #[error("could not be fetched: {0}")]
    NotFetched(Unfetched),
}

/// Why an artifact was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfetched {
    /// Nobody that could be asked has it.
    #[error("{0}")]
    Lost(String),
    /// Whoever has it does not give it, or gives something else.
    #[error("{0}")]
    Refused(String),
}

/// The artifacts of one store directory. No file of it has another name anywhere: what goes in or out
/// is cloned or copied, and hashed on the way.
#[derive(Debug)]
pub(crate) struct Artifacts {
    pub layout: Layout,
    /// Whether the directory is ours to mark and heal. An offline store's is not.
    writable: bool,
    /// Until the file system has said that it cannot.
    clones: AtomicBool,
    /// Since when the process at hand uses it. An entry used after that need not be marked again.
    began: SystemTime,
}

impl Artifacts {
    pub fn new(layout: Layout, writable: bool, began: SystemTime) -> Self {
        Self { layout, writable, clones: AtomicBool::new(true), began }
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

    /// Opens the entry for `hash`, not verified. One that is not a regular file is moved away.
    fn open_entry(&self, hash: &ContentHash) -> Result<(PathBuf, File, Metadata), Miss> {
        let path = self.layout.artifact(hash);
        match files::open_regular(&path) {
            Ok((file, metadata)) => Ok((path, file, metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Miss::Absent),
            Err(_) if path.symlink_metadata().is_ok_and(|found| !found.is_file()) => {
                Err(self.corrupt(&path))
            }
            Err(source) => Err(Miss::Unreadable { path, source }),
        }
    }

    /// Opens the entry for `hash`, of this size, for whoever verifies what is read from it. One that
    /// could not be moved away if it turned out to be corrupt is verified here.
    pub fn open(&self, hash: &ContentHash, size: u64) -> Result<File, Miss> {
        if !self.writable {
            self.check(hash)?;
        }
        let (path, file, metadata) = self.open_entry(hash)?;
        self.touch(&path, &metadata);
        match metadata.len() == size {
            true => Ok(file),
            false => Err(self.wrong_size(&path, &file, hash, size)),
        }
    }

    /// Makes sure that the entry for `hash` is there and intact, by hashing it, and says how long it
    /// is. A corrupt one is moved away. Does not count as use.
    pub fn check(&self, hash: &ContentHash) -> Result<u64, Miss> {
        let (path, file, _) = self.open_entry(hash)?;
        match files::hash_reader(&file) {
            Ok((actual, length)) if actual == *hash => Ok(length),
            Ok(_) => Err(self.corrupt(&path)),
            Err(source) => Err(Miss::Unreadable { path, source }),
        }
    }

    /// Whether there is an entry for `hash` of this size, intact. Marks it as used.
    pub fn is_intact(&self, hash: &ContentHash, size: u64) -> bool {
        self.check(hash).is_ok_and(|length| length == size) && self.uses(hash)
    }

    /// Finds out whether the entry or its description is wrong.
    fn wrong_size(&self, path: &Path, file: &File, hash: &ContentHash, expected: u64) -> Miss {
        match files::hash_reader(file) {
            Ok((found, actual)) if found == *hash => Miss::WrongSize { expected, actual },
            Ok(_) => self.corrupt(path),
            Err(source) => Miss::Unreadable { path: path.to_owned(), source },
        }
    }

    fn corrupt(&self, path: &Path) -> Miss {
        tracing::info!(path = %path.display(), "corrupt artifact: treated as absent");
        self.quarantine(path);
        Miss::Corrupt
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

    /// Restores `file` at `destination`, replacing what is there in one step, if the entry is intact.
    pub fn restore(&self, file: &OutputFile, destination: &Path) -> Result<How, Miss> {
        let (path, entry, metadata) = self.open_entry(&file.hash)?;
        self.touch(&path, &metadata);
        let expected = Expected { hash: &file.hash, size: file.size };
        if metadata.len() != file.size {
            return Err(self.wrong_size(&path, &entry, &file.hash, file.size));
        }
        let mode = if file.executable { 0o777 } else { 0o666 };
        copy::copy_file(&entry, expected, destination, mode, &self.clones).map_err(|error| {
            match error {
                CopyError::Differs => self.corrupt(&path),
                CopyError::Source(source) => Miss::Unreadable { path, source },
                CopyError::Destination(source) => {
                    Miss::Unwritable { path: destination.to_owned(), source }
                }
            }
        })
    }

    /// Hashes the file at `source`, which nobody writes to any more, and puts a copy of it in. A small file
    /// is read only once.
    ///
    /// # Errors
    /// When it cannot be read; that the store cannot take it is in the result.
    pub fn take_in(&self, source: &Path) -> io::Result<TakenIn> {
        let (mut file, metadata) = files::open_regular(source)?;
        let executable = metadata.mode() & 0o111 != 0;
        if metadata.len() > READ_WHOLE {
            let (hash, size) = files::hash_reader(&file)?;
            let kept = self.insert(source, &hash, executable).map(|_| ());
            return Ok(TakenIn { hash, size, executable, kept });
        }
        let mut content = vec![0; metadata.len() as usize];
        file.read_exact(&mut content)?;
        let (hash, size) = (ContentHash::of_bytes(&content), metadata.len());
        let kept = self.import(&hash, size, executable, &content[..]).map(|_| ());
        Ok(TakenIn { hash, size, executable, kept })
    }

    /// Puts a copy of the file at `source` in, if its content hashes to `hash`. Leaves the file as it
    /// is, its times and mode included. An entry that is there is checked, and replaced if corrupt.
    pub fn insert(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<How, StoreError> {
        let (file, metadata) =
            files::open_regular(source).map_err(StoreError::io("read", source))?;
        if self.is_intact(hash, metadata.len()) {
            return Ok(How::Present);
        }
        let entry = self.layout.artifact(hash);
        let expected = Expected { hash, size: metadata.len() };
        copy::copy_file(&file, expected, &entry, mode(executable), &self.clones).map_err(|error| {
            match error {
                CopyError::Differs => StoreError::Changed { path: source.to_owned(), hash: *hash },
                CopyError::Source(error) => StoreError::io("read", source)(error),
                CopyError::Destination(error) => StoreError::io("write", entry)(error),
            }
        })
    }

    /// Puts in what `content` yields, if it is `size` bytes long and hashes to `hash`; else says
    /// `Ok(false)`, and nothing is left of it. An entry that is there is checked, and the content then
    /// not asked for.
    pub fn import(
        &self,
        hash: &ContentHash,
        size: u64,
        executable: bool,
        content: impl Read,
    ) -> Result<bool, StoreError> {
        if self.is_intact(hash, size) {
            return Ok(true);
        }
        let entry = self.layout.artifact(hash);
        match copy::copy_reader(content, Expected { hash, size }, &entry, mode(executable)) {
            Ok(()) => Ok(true),
            Err(CopyError::Differs) => Ok(false),
            Err(CopyError::Source(error) | CopyError::Destination(error)) => {
                Err(StoreError::io("write", entry)(error))
            }
        }
    }

    /// Puts in the file at `source`, which is the caller's to give away and on the store's file
    /// system, and whose content and permissions the caller has just made sure of.
    pub fn admit(&self, source: &Path, hash: &ContentHash) -> Result<(), StoreError> {
        let entry = self.layout.artifact(hash);
        let admitted = match fs::rename(source, &entry) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(entry.parent().unwrap_or(Path::new(".")))
                    .and_then(|()| fs::rename(source, &entry))
            }
            renamed => renamed,
        };
        admitted.map_err(StoreError::io("store", &entry))
    }

    /// Puts in the file at `source`, which is the caller's to give away and on the store's file
    /// system, if it hashes to `hash`; else says `Ok(false)` and leaves it.
    pub fn adopt(
        &self,
        source: &Path,
        hash: &ContentHash,
        executable: bool,
    ) -> Result<bool, StoreError> {
        let verify = || {
            let (file, metadata) = files::open_regular(source)?;
            if files::hash_reader(&file)?.0 != *hash {
                return Ok(false);
            }
            let mode = metadata.mode() & 0o444;
            let mode = if executable { mode | mode >> 2 } else { mode };
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            // It may have been begun long ago.
            self.touch(source, &metadata);
            Ok(true)
        };
        if !verify().map_err(StoreError::io("store", source))? {
            return Ok(false);
        }
        self.admit(source, hash).map(|()| true)
    }
}

/// The mode of an entry: for reading only, lest somebody edits it by mistake.
fn mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}
