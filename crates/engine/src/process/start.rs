//! Starting a command's process, though there be few to be had.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use super::{ProcessError, Spec};
use crate::sandbox::{Sandbox, SandboxError, View};

/// How long a command waits for a process that it can have: others end, of this build or not.
const LONGEST: Duration = Duration::from_secs(5);

/// Why a command did not start.
#[derive(Debug)]
pub enum StartError {
    /// The build was interrupted.
    Interrupted,
    /// The system has no process for it.
    Process(io::Error),
    /// The sandbox could not be made.
    Sandbox(SandboxError),
}

impl StartError {
    /// The same, as said of the command `spec`.
    pub fn of(self, spec: &Spec) -> ProcessError {
        match self {
            Self::Interrupted => ProcessError::Interrupted,
            Self::Process(error) => spec.start_error(&error),
            Self::Sandbox(error) => error.into(),
        }
    }

    /// Whether it may go better in a moment.
    fn passes(&self) -> bool {
        match self {
            Self::Process(error) | Self::Sandbox(SandboxError::Thread(error)) => {
                error.kind() == io::ErrorKind::WouldBlock
            }
            _ => false,
        }
    }
}

/// Starts `command` in a process group of its own: Ctrl-C on the terminal reaches larder, which ends the
/// group. Where the system allows no more processes, tries again for a while. `first` is done on a thread of the
/// command's own, and binds it and all that it starts.
///
/// # Errors
/// When it did not start.
pub fn start(
    command: &mut Command,
    confined: Option<(&Sandbox, &View)>,
    first: Option<fn()>,
    interrupted: impl Fn() -> bool,
) -> Result<Child, StartError> {
    command.process_group(0);
    patiently(LONGEST, interrupted, || {
        let mut spawn = || {
            first.inspect(|first| first());
            command.spawn()
        };
        let spawned = match (confined, first) {
            (None, None) => spawn(),
            (None, Some(_)) => on_a_thread(spawn).map_err(StartError::Process)?,
            (Some((sandbox, view)), _) => {
                sandbox.confined(view, spawn).map_err(StartError::Sandbox)?
            }
        };
        spawned.map_err(StartError::Process)
    })
}

/// Does `work` on a thread that ends with it.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("start".to_owned()).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Does `attempt` until it succeeds, fails for good, or has been tried for as long as `longest`.
fn patiently<T>(
    longest: Duration,
    interrupted: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Result<T, StartError>,
) -> Result<T, StartError> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if interrupted() {
            return Err(StartError::Interrupted);
        }
        match attempt() {
            Err(error) if error.passes() && started.elapsed() < longest => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(200));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none_left() -> StartError {
        StartError::Process(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn what_passes_is_waited_for() {
        let mut left = 3;
        let started = patiently(
            LONGEST,
            || false,
            || match left {
                0 => Ok("started"),
                _ => {
                    left -= 1;
                    Err(none_left())
                }
            },
        );
        assert_eq!(started.unwrap(), "started");
    }

    #[test]
    fn what_does_not_pass_is_said_at_once() {
        let mut attempts = 0;
        let failed = patiently::<()>(
            LONGEST,
            || false,
            || {
                attempts += 1;
                Err(StartError::Process(io::ErrorKind::NotFound.into()))
            },
        );
        assert!(matches!(failed, Err(StartError::Process(_))));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn waiting_has_an_end_and_can_be_interrupted() {
        let failed = patiently::<()>(Duration::from_millis(20), || false, || Err(none_left()));
        assert!(matches!(failed, Err(StartError::Process(_))));
        let interrupted = patiently::<()>(LONGEST, || true, || Err(none_left()));
        assert!(matches!(interrupted, Err(StartError::Interrupted)));
    }
}
