//! A build directory, while one build has it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    leftovers,
    lock::{FileLock, lock_build},
};
use larder_trace::{Level, describe_io};

use super::EngineError;
use crate::{
    context::{Context, Mode},
    event::{Event, Reporter},
    session::Session,
};

/// The `.larder` directory of a build.
pub(crate) struct BuildDirectory {
    path: PathBuf,
    /// None for a build that changes nothing.
    lock: Option<FileLock>,
}

impl BuildDirectory {
    /// Waits until no other larder builds in `path`, and removes what an earlier one left behind when it
    /// was killed. A dry run changes nothing and waits for nobody.
    ///
    /// # Errors
    /// When the directory cannot be used, or the wait was interrupted.
    pub fn take(
        path: PathBuf,
        mode: Mode,
        session: &Session,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self, EngineError> {
        if mode == Mode::DryRun {
            return Ok(Self { path, lock: None });
        }
        let stop = || session.processes.interrupted();
        let waiting = |holder| reporter.event(&Event::Waiting { holder });
        let lock = lock_build(&path, &stop, waiting).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => EngineError::Interrupted,
            _ => unusable(&path, error),
        })?;
        let left = path.join("tmp");
        if fs::remove_dir_all(&left).is_err() {
            let _ = fs::remove_file(&left);
        }
        if lock.holder_died {
            leftovers::remove(&path);
        }
        Ok(Self { path, lock: Some(lock) })
    }

    /// Returns the error that the directory cannot be used.
    pub fn unusable(&self, source: io::Error) -> EngineError {
        unusable(&self.path, source)
    }

    /// Writes down what a build has learned of files, and removes what it needed for a while.
    pub fn leave(&self, cx: &Context) {
        if self.lock.is_some()
            && let Err(error) = cx.index.save()
        {
            let message = format!(
                "cannot write {}: {}; the next build will take longer",
                self.path.join("index").display(),
                describe_io(&error)
            );
            cx.report(&Event::Note { level: Level::Warning, message: &message });
        }
        cx.clean_up();
    }
}

fn unusable(path: &Path, source: io::Error) -> EngineError {
    EngineError::Directory { path: path.to_owned(), source }
}
