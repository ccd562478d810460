//! Locks between threads and processes: whoever holds one is alone until it gives it back or its
//! process ends, however it ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, OFlags, flock};

/// How often a waiter looks whether it is its turn, or whether it is to stop.
const PAUSE: Duration = Duration::from_millis(25);

/// An exclusive lock (`flock`). The kernel gives it back when the process ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    /// Whether the last process that held it ended without giving it back.
    pub holder_died: bool,
}

impl FileLock {
    /// Takes the lock of the file at `path`, which is made if need be, its directory too, and which
    /// holds the holder's process id. While another holds it, calls `waiting` once, with the id of
    /// its process where that is known, and waits until it is free or `stop` says yes.
    ///
    /// # Errors
    /// `Interrupted` when `stop` said yes; another when the file cannot be made or opened.
    pub fn take(
        path: &Path,
        stop: &dyn Fn() -> bool,
        waiting: impl FnOnce(Option<u32>),
    ) -> io::Result<Self> {
        // A link would have another file written to, and a pipe would be waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(flags);
        let open = || options.open(path);
        let mut file = open().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            open()
        })?;
        acquire(&file, stop, || {
            let mut holder = String::new();
            let _ = (&file).take(32).read_to_string(&mut holder);
            waiting(holder.trim().parse().ok());
        })?;
        let holder_died = file.metadata()?.len() > 0;
        // For whoever has to wait; the lock is the lock, whether or not this can be written.
        let _ = file.rewind();
        let _ = file.set_len(0);
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { file, holder_died })
    }

    /// Takes the lock of the directory at `path` itself, so that no lock file is left in it. Who holds
    /// it is not known. `stop` and `waiting` are as for [`take`](Self::take).
    ///
    /// # Errors
    /// `Interrupted` when `stop` said yes; another when the directory cannot be opened.
    pub fn take_directory(
        path: &Path,
        stop: &dyn Fn() -> bool,
        waiting: impl FnOnce(),
    ) -> io::Result<Self> {
        let file = File::open(path)?;
        acquire(&file, stop, waiting)?;
        Ok(Self { file, holder_died: false })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Nobody's any more; closing the file then lets the next one have it. A directory refuses.
        let _ = self.file.set_len(0);
    }
}

fn acquire(file: &File, stop: &dyn Fn() -> bool, waiting: impl FnOnce()) -> io::Result<()> {
    let mut waiting = Some(waiting);
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, sync::mpsc};

    const NEVER: &dyn Fn() -> bool = &|| false;

    #[test]
    fn one_holds_it_and_the_next_waits_and_is_told_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/lock");
        let first = FileLock::take(&path, NEVER, |_| panic!("nobody holds it")).unwrap();
        let (told, holder) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                FileLock::take(&path, NEVER, |holder| told.send(holder).unwrap()).unwrap()
            });
            assert_eq!(holder.recv().unwrap(), Some(std::process::id()));
            assert!(!waiter.is_finished());
            drop(first);
            assert!(!waiter.join().unwrap().holder_died);
        });
    }

    #[test]
    fn a_waiter_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = FileLock::take(&path, NEVER, |_| ()).unwrap();
        let (asked, told) = (Cell::new(0), Cell::new(0));
        let stop = || asked.replace(asked.get() + 1) == 2;
        let stopped = FileLock::take(&path, &stop, |_| told.set(told.get() + 1));
        assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!((asked.get(), told.get()), (3, 1));
    }

    #[test]
    fn a_holder_that_died_is_noticed_and_holds_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "4711\n").unwrap();
        assert!(FileLock::take(&path, NEVER, |_| panic!()).unwrap().holder_died);
        assert!(!FileLock::take(&path, NEVER, |_| panic!()).unwrap().holder_died);
    }

    #[test]
    fn a_link_in_the_place_of_a_lock_has_nothing_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, precious) = (dir.path().join("lock"), dir.path().join("precious"));
        fs::write(&precious, "content").unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        assert!(FileLock::take(&path, NEVER, |_| ()).is_err());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "content");
    }

    #[test]
    fn a_directory_is_its_own_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = FileLock::take_directory(dir.path(), NEVER, || panic!()).unwrap();
        let stopped = FileLock::take_directory(dir.path(), &|| true, || ());
        assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
        drop(held);
        FileLock::take_directory(dir.path(), NEVER, || panic!()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
