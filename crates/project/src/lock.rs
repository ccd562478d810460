//! The lock of a build directory.

use std::{cell::Cell, fs, io, path::Path};

pub use larder_trace::lock::FileLock;

/// Takes the lock of the `.larder` directory `larder`, which is made if need be: only one larder at a
/// time builds there, or changes what builds read. `stop` and `waiting` are as for
/// [`FileLock::take`].
///
/// # Errors
/// As [`FileLock::take`]; `Deadlock` when the holder waits for this very process, which it has started.
pub fn lock_build(
    larder: &Path,
    stop: &dyn Fn() -> bool,
    waiting: impl FnOnce(Option<u32>),
) -> io::Result<FileLock> {
    let above = Cell::new(None);
    let look = |holder: Option<u32>| match holder.filter(|holder| is_above(*holder)) {
        Some(holder) => above.set(Some(holder)),
        None => waiting(holder),
    };
    let stop = || above.get().is_some() || stop();
    let lock = FileLock::take(&larder.join("lock"), &stop, look);
    let lock = lock.map_err(|error| above.get().map_or(error, waits_for_itself))?;
    // Where it cannot be written, nothing else can, and that says so.
    let _ = ignore(larder);
    Ok(lock)
}

fn waits_for_itself(holder: u32) -> io::Error {
    let said = format!(
        "larder builds there (process {holder}) and waits for this command to end; what a command of a package runs \
         cannot build in that package's directory"
    );
    io::Error::new(io::ErrorKind::Deadlock, said)
}

/// Whether this process was started by that one, or by one that was. Where there is no `/proc`, nobody knows.
fn is_above(process: u32) -> bool {
    /// No tree of processes is deeper; ids may be given anew while it is climbed.
    const HIGHEST: usize = 256;
    let parent = |of: &u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{of}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let above = std::iter::successors(Some(std::process::id()), parent);
    above.skip(1).take(HIGHEST).any(|id| id == process)
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
