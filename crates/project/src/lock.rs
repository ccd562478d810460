//! The lock of a build directory.

use std::{io, path::Path};

pub use larder_trace::lock::FileLock;

/// Takes the lock of the `.larder` directory `larder`, which is made if need be: only one larder at a
/// time builds there, or changes what builds read. `stop` and `waiting` are as for
/// [`FileLock::take`].
///
/// # Errors
/// As [`FileLock::take`].
pub fn lock_build(
    larder: &Path,
    stop: &dyn Fn() -> bool,
    waiting: impl FnOnce(Option<u32>),
) -> io::Result<FileLock> {
    let lock = FileLock::take(&larder.join("lock"), stop, waiting)?;
    // Where it cannot be written, nothing else can, and that says so.
    let _ = ignore(larder);
    Ok(lock)
}

/// Lets Git ignore all of `larder`, with what lets it.
fn ignore(larder: &Path) -> io::Result<()> {
    let file = larder.join(".gitignore");
    match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            larder_trace::atomic::write(&file, b"*\n")
        }
        // Whatever is there is somebody's own.
        _ => Ok(()),
    }
}
