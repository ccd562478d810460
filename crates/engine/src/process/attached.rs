//! Commands that have the terminal.

use std::{
    process::{Child, Stdio},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use wait4::Wait4;

use super::{
    Cost, FIRST_LOOK, LATER_LOOKS, Outcome, PATIENCE, ProcessError, Processes, Spec, handle,
    wait_for,
};

impl Processes {
    /// Runs a command that reads and prints on the terminal itself. It stays in larder's own process group,
    /// since no other may read there; what it starts besides is its own business.
    ///
    /// # Errors
    /// When it did not run to its end.
    pub(super) fn run_attached(&self, spec: &Spec) -> Result<Outcome, ProcessError> {
        let mut command = spec.command()?;
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        if self.interrupted() {
            return Err(ProcessError::Interrupted);
        }
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| spec.start_error(&error))?;
        let lost = |source| ProcessError::Lost { program: spec.program.clone(), source };
        self.wait_attached(&child).map_err(|error| lost(error.into()))?;
        let used = child.wait4().map_err(lost)?;
        if self.interrupted() {
            return Err(ProcessError::Interrupted);
        }
        Ok(Outcome {
            exit: used.status.into(),
            output: String::new(),
            cost: Cost {
                wall: started.elapsed(),
                user: used.rusage.utime,
                system: used.rusage.stime,
                peak_memory: used.rusage.maxrss,
            },
        })
    }

    /// Waits until a command has ended; asks it to when larder is interrupted, and then does not ask.
    fn wait_attached(&self, child: &Child) -> rustix::io::Result<()> {
        let process = Pid::from_child(child);
        let handle = handle(process);
        let mut pause = FIRST_LOOK;
        let mut asked: Option<Instant> = None;
        loop {
            let (ended, _) = wait_for(handle.as_ref(), None, Some(pause))?;
            if ended || handle.is_none() && super::has_ended(process)? {
                return Ok(());
            }
            pause = (pause * 2).min(LATER_LOOKS);
            match asked {
                None if self.interrupted() => {
                    asked = Some(Instant::now());
                    let _ = kill_process(process, Signal::TERM);
                }
                Some(since) if since.elapsed() > PATIENCE => {
                    let _ = kill_process(process, Signal::KILL);
                }
                _ => {}
            }
        }
    }
}
