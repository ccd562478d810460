//! Locks between processes: whoever holds one is alone until its process ends, however it ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

/// An exclusive lock on a file, with the holder's process id in it. The kernel gives it back when
/// the process ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    /// Whether the last process that held it ended without giving it back.
    pub holder_died: bool,
}

impl FileLock {
    /// Takes the lock of the file at `path`, which is made if need be, its directory too. If
    /// another process holds it, calls `waiting` with that process's id and waits.
    ///
    /// # Errors
    /// When the file cannot be made or opened.
    pub fn take(path: &Path, waiting: impl FnOnce(Option<u32>)) -> io::Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            waiting(holder.trim().parse().ok());
            retry(|| flock(&file, FlockOperation::LockExclusive))?;
        }
        let holder_died = file.metadata()?.len() > 0;
        // For whoever has to wait; the lock is the lock, whether or not this can be written.
        let _ = file.rewind();
        let _ = file.set_len(0);
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { file, holder_died })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Nobody's any more; closing the file then lets the next one have it.
        let _ = self.file.set_len(0);
    }
}

/// Takes the lock of the `.larder` directory `larder`, which is made if need be: only one larder at a
/// time builds there, or changes what builds read. `waiting` is as for [`FileLock::take`].
///
/// # Errors
/// When the directory cannot be made or the lock file not be opened.
pub fn lock_build(larder: &Path, waiting: impl FnOnce(Option<u32>)) -> io::Result<FileLock> {
    FileLock::take(&larder.join("lock"), waiting)
}

fn retry(mut call: impl FnMut() -> rustix::io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
