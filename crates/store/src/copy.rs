//! Copying content that is verified on the way: it has its name when it has been hashed, not before.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use larder_trace::{ContentHash, atomic::write_new};

use crate::How;

/// Bytes read at once; what is not longer is read, and written, in one piece. Large enough for BLAKE3
/// to use its widest vectors.
const CHUNK: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Content that a copy is to have.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub hash: &'a ContentHash,
    /// Length in bytes.
    pub size: u64,
}

/// Why nothing was copied.
#[derive(Debug)]
pub enum CopyError {
    /// The source could not be read.
    Source(io::Error),
    /// The destination could not be written.
    Destination(io::Error),
    /// The content is not what was expected.
    Differs,
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Destination(error)
    }
}

/// Copies `source` to a new file at `destination` with `mode` (less the umask), replacing what is there
/// in one step, if what arrives is `expected`. Makes a clone as long as `clones` says that the file
/// system can. Of `source` no more is read than what is expected.
pub fn copy_file(
    source: &File,
    expected: Expected<'_>,
    destination: &Path,
    mode: u32,
    clones: &AtomicBool,
) -> Result<How, CopyError> {
    write_new(destination, mode, |mut target| {
        if clones.load(Ordering::Relaxed) {
            if clone(source, target).is_ok() {
                // Not the source, which may have changed meanwhile.
                transfer(&mut target, expected, |_| Ok(()))?;
                ended(&mut target)?;
                return Ok(How::Reflink);
            }
            clones.store(false, Ordering::Relaxed);
        }
        transfer(&mut &*source, expected, |bytes| target.write_all(bytes))?;
        Ok(How::Copy)
    })
}

/// Writes all that `content` yields to a new file at `destination`, as [`copy_file`] does.
pub fn copy_reader(
    mut content: impl Read,
    expected: Expected<'_>,
    destination: &Path,
    mode: u32,
) -> Result<(), CopyError> {
    write_new(destination, mode, |mut target| {
        transfer(&mut content, expected, |bytes| target.write_all(bytes))?;
        ended(&mut content)
    })
}

/// Makes the empty file `target` share the content of `source`.
fn clone(source: &File, target: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::ioctl_ficlone(target, source)?);
    #[cfg(not(target_os = "linux"))]
    return Err(io::ErrorKind::Unsupported.into());
}

/// Gives `write` the first bytes of `content`, as many as are expected, and checks their hash.
fn transfer(
    content: &mut impl Read,
    expected: Expected<'_>,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), CopyError> {
    // Taken out, so that a reader which copies something itself finds none and makes its own.
    let mut buffer = BUFFER.take();
    buffer.resize(CHUNK, 0);
    let mut hasher = blake3::Hasher::new();
    let mut left = expected.size;
    while left > 0 {
        let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let read = match content.read(&mut buffer[..most]) {
            Ok(0) => return Err(CopyError::Differs),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Source(error)),
        };
        hasher.update(read);
        write(read)?;
        left -= read.len() as u64;
    }
    BUFFER.set(buffer);
    match ContentHash::from(hasher.finalize()) == *expected.hash {
        true => Ok(()),
        false => Err(CopyError::Differs),
    }
}

/// Checks that nothing more is to come.
fn ended(content: &mut impl Read) -> Result<(), CopyError> {
    loop {
        match content.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(CopyError::Differs),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Source(error)),
        }
    }
}
