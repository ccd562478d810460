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
    FileLock::take(&larder.join("lock"), stop, waiting)
}
