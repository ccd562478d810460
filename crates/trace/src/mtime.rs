//! File status: what tells one version of a file from another without reading it.

use std::{
    fs, io,
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{AtFlags, Stat};

/// A modification time in nanoseconds since the Unix epoch; `MTime::NONE` is older than any file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MTime(pub i64);

impl MTime {
    /// The time of nothing at all: the identity of `max`.
    pub const NONE: Self = Self(i64::MIN);

    /// The clock's time.
    pub fn now() -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
    }

    fn new(seconds: i64, nanoseconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }
}

/// What the stat index compares. Two versions of a file differ in at least one field unless they
/// were written within one tick of the file system's clock (see [`FileStat::is_settled`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: MTime,
    /// Inode number.
    pub inode: u64,
    /// Whether any execute permission bit is set.
    pub executable: bool,
}

impl FileStat {
    /// The status of the regular file at `path`, relative to `directory`; symbolic links are followed.
    ///
    /// # Errors
    /// `NotFound` when there is none; `IsADirectory` for a directory; another for a pipe or a socket.
    pub fn at(directory: BorrowedFd<'_>, path: &str) -> io::Result<Self> {
        let stat = rustix::fs::statat(directory, path, AtFlags::empty())?;
        Self::of_stat(&stat)
    }

    /// The status of an open file.
    ///
    /// # Errors
    /// `IsADirectory` for a directory; another for a pipe or a socket.
    pub fn of(file: &fs::File) -> io::Result<Self> {
        Self::of_stat(&rustix::fs::fstat(file)?)
    }

    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
    fn of_stat(stat: &Stat) -> io::Result<Self> {
        use rustix::fs::FileType;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return Err(io::ErrorKind::IsADirectory.into()),
            FileType::Fifo | FileType::Socket => {
                return Err(io::Error::other("it is a pipe or a socket, not a file"));
            }
            _ => {}
        }
        Ok(Self {
            size: stat.st_size as u64,
            mtime: MTime::new(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            inode: stat.st_ino as u64,
            executable: stat.st_mode & 0o111 != 0,
        })
    }

    /// Whether a file with this status, read when the clock said `read_at`, could not since have
    /// been changed without its modification time showing it ("racily clean" otherwise).
    ///
    /// Kernels stamp files with a clock that ticks every 1 to 10 ms; a file system that keeps whole
    /// seconds betrays itself by a time without a fraction.
    pub fn is_settled(&self, read_at: MTime) -> bool {
        let granularity =
            if self.mtime.0 % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
        self.mtime.0.saturating_add(granularity) < read_at.0
    }
}

impl From<&fs::Metadata> for MTime {
    fn from(metadata: &fs::Metadata) -> Self {
        Self::new(metadata.mtime(), metadata.mtime_nsec())
    }
}
