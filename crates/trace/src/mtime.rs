//! File status: what tells one version of a file from another without reading it.

use std::{
    fs, io,
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, FileType, Stat},
    io::Errno,
};

use crate::Content;

/// The time of a change in nanoseconds since the Unix epoch; `MTime::NONE` is older than any file.
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

/// A moment, by the clock, and by the one that the kernel stamps files with, which ticks more rarely: a
/// file that changes after the moment has a change time that is not before the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub(crate) clock: MTime,
    pub(crate) stamp: MTime,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self { clock: MTime::now(), stamp: stamp() }
    }

    /// Waits until files that change are stamped with a later time than at this moment: a few
    /// milliseconds at most.
    pub fn pass(self) {
        // A clock that somebody sets back would be waited for for ever.
        for _ in 0..50 {
            if stamp() != self.stamp {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// The time that a file gets that changes now.
#[cfg(target_os = "linux")]
fn stamp() -> MTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    MTime::new(now.tv_sec, now.tv_nsec)
}

/// The time that a file gets that changes now.
#[cfg(not(target_os = "linux"))]
fn stamp() -> MTime {
    MTime::now()
}

/// The status of a file or directory, which the stat index compares as Git does. Two versions of one
/// file differ in at least one field unless they were written within one tick of the file system's
/// clock (see [`FileStat::is_settled`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, or whatever it was set to.
    pub mtime: MTime,
    /// Last change of content or status. Nobody can set it.
    pub ctime: MTime,
    /// Inode number.
    pub inode: u64,
    /// Whether any execute permission bit is set.
    pub executable: bool,
}

impl FileStat {
    /// The status of nothing: of a directory that is not there, of a file that was left in the store.
    pub const ABSENT: Self =
        Self { size: 0, mtime: MTime::NONE, ctime: MTime::NONE, inode: 0, executable: false };

    /// The status of the regular file at `path`, relative to `directory`; for [`Content::Names`] that
    /// of the directory, [`FileStat::ABSENT`] where there is none. Symbolic links are followed.
    ///
    /// # Errors
    /// `NotFound` when there is no file; `IsADirectory` for a directory; another for a pipe or a
    /// socket.
    pub fn at(
        directory: BorrowedFd<'_>,
        path: impl rustix::path::Arg,
        content: Content,
    ) -> io::Result<Self> {
        match rustix::fs::statat(directory, path, AtFlags::empty()) {
            Ok(stat) => Self::of_stat(&stat, content),
            Err(Errno::NOENT | Errno::NOTDIR) if content == Content::Names => Ok(Self::ABSENT),
            Err(error) => Err(error.into()),
        }
    }

    /// The same from what the system says of it.
    ///
    /// # Errors
    /// As of [`FileStat::at`].
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
    pub(crate) fn of_stat(stat: &Stat, content: Content) -> io::Result<Self> {
        match (FileType::from_raw_mode(stat.st_mode), content) {
            (FileType::Directory, Content::Names) => {}
            (_, Content::Names) => return Ok(Self::ABSENT),
            (FileType::Directory, _) => return Err(io::ErrorKind::IsADirectory.into()),
            (FileType::Fifo | FileType::Socket, _) => {
                return Err(io::Error::other("it is a pipe or a socket, not a file"));
            }
            _ => {}
        }
        Ok(Self {
            size: stat.st_size as u64,
            mtime: MTime::new(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: MTime::new(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            executable: stat.st_mode & 0o111 != 0,
        })
    }

    /// The later of its two times.
    pub fn changed(&self) -> MTime {
        self.mtime.max(self.ctime)
    }

    /// Whether a file with this status, read when the clock said `read_at`, could not since have
    /// been changed without its times showing it ("racily clean" otherwise).
    ///
    /// Kernels stamp files with a clock that ticks every 1 to 10 ms; a file system that keeps whole
    /// seconds betrays itself by a time without a fraction.
    pub fn is_settled(&self, read_at: MTime) -> bool {
        let settled = |time: MTime| {
            let tick = if time.0 % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
            time.0.saturating_add(tick) < read_at.0
        };
        settled(self.mtime) && settled(self.ctime)
    }

    /// Whether a file with this status has not changed since `moment`. The modification time may be set
    /// to anything; the change time is the kernel's.
    pub fn is_older_than(&self, moment: Moment) -> bool {
        // A file system that keeps whole seconds says less.
        let tick = if self.ctime.0 % 1_000_000_000 == 0 { 2_000_000_000 } else { 0 };
        self.ctime.0.saturating_add(tick) < moment.stamp.0
    }
}

impl From<&fs::Metadata> for MTime {
    fn from(metadata: &fs::Metadata) -> Self {
        Self::new(metadata.mtime(), metadata.mtime_nsec())
    }
}
