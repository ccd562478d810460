//! Looking at a file: its status and the hash of its content, taken together.

use std::{fs::File, io, os::fd::BorrowedFd};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    Content, ContentHash, FileStat,
    content::{NO_NAMES, hash_open},
};

/// The hash of a file and the status it was found with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The hash of its content.
    pub hash: ContentHash,
    /// Its status, taken before the content was read: a change in between shows at the next look.
    pub stat: FileStat,
}

/// Reads the file, or lists the directory, at `path`, relative to `directory`.
///
/// # Errors
/// When it cannot be opened or read: `NotFound`, `IsADirectory` and so on.
pub(crate) fn look(
    directory: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
    content: Content,
) -> io::Result<Hashed> {
    // Without `NONBLOCK`, a named pipe would keep whoever opens it waiting.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    flags.set(OFlags::DIRECTORY, content == Content::Names);
    let file = match rustix::fs::openat(directory, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) if content == Content::Names => {
            return Ok(Hashed { hash: NO_NAMES, stat: FileStat::ABSENT });
        }
        Err(error) => return Err(error.into()),
    };
    let status = rustix::fs::fstat(&file)?;
    let stat = FileStat::of_stat(&status, content)?;
    let kind = FileType::from_raw_mode(status.st_mode);
    // A device counts as an empty file: `/dev/null` is one, and others have no end.
    let hash = match kind.is_char_device() || kind.is_block_device() {
        true => ContentHash::of_bytes(b""),
        false => hash_open(&file, content)?,
    };
    Ok(Hashed { hash, stat })
}
