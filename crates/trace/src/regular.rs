//! Regular files that somebody else may have put something else in the place of.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

/// Opens a regular file for reading; a symlink, FIFO, device or directory at `path` is an error,
/// and none of them is waited for.
///
/// # Errors
/// When it is something else, or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let open = |flags: OFlags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    };
    // Looking at a file is not using it. Only its owner may leave the access time alone.
    #[cfg(target_os = "linux")]
    let file = open(OFlags::NOATIME).or_else(|error| match Errno::from_io_error(&error) {
        Some(Errno::PERM) => open(OFlags::empty()),
        _ => Err(error),
    })?;
    #[cfg(not(target_os = "linux"))]
    let file = open(OFlags::empty())?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Reads a file as [`open_regular`] opens it.
///
/// # Errors
/// `FileTooLarge` when it has more than `most` bytes; else as [`open_regular`].
pub fn read_regular(path: &Path, most: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let (file, metadata) = open_regular(path)?;
    let mut content = Vec::new();
    if metadata.len() <= most {
        content.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0));
        // It may be growing; and files of /proc have no length.
        file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    }
    let length = metadata.len().max(content.len() as u64);
    if length > most {
        let message = format!("it has {length} bytes, and {most} are the most it may have");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok((content, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn nothing_but_a_regular_file_of_a_bearable_size_is_read() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        symlink(path("file"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        File::create(path("huge")).unwrap().set_len(1 << 43).unwrap();
        assert_eq!(read_regular(&path("file"), 5).unwrap().0, b"12345");
        for name in ["link", "pipe", "huge", "gone", "/dev/zero", "/dev/tty", "/", "/proc/kmsg"] {
            assert!(read_regular(&path(name), 5).is_err(), "{name}");
        }
        let long = read_regular(&path("file"), 4).unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_regular(Path::new("/proc/self/status"), 16).is_err());
    }
}
