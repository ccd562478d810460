//! A build directory, while one build has it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    leftovers,
    lock::{FileLock, lock_build},
    plan::Plan,
};
use larder_trace::{Level, describe_io};

use super::EngineError;
use crate::{
    context::{Context, Mode},
    debugger,
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
        self.note(cx, "index", "the next build will take longer", || cx.index.save());
        cx.clean_up();
    }

    /// Writes down where a debugger finds the sources of what was built.
    pub fn tell_debuggers(&self, cx: &Context, plan: &Plan) {
        let loss = "debuggers will not find sources";
        self.note(cx, debugger::DIRECTORY, loss, || debugger::write(plan));
    }

    /// Writes `name` in the directory, unless the build is to change nothing. Where that fails, a warning says so,
    /// and the `loss`.
    fn note(&self, cx: &Context, name: &str, loss: &str, write: impl FnOnce() -> io::Result<()>) {
        if self.lock.is_some()
            && let Err(error) = write()
        {
            let path = self.path.join(name);
            let message =
                format!("cannot write {}: {}; {loss}", path.display(), describe_io(&error));
            cx.report(&Event::Note { level: Level::Warning, message: &message });
        }
    }
}

fn unusable(path: &Path, source: io::Error) -> EngineError {
    EngineError::Directory { path: path.to_owned(), source }
}
