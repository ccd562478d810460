//! Processes that a test starts, signals and outlives.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::wait::wait_until;

/// Starts a command whose output is kept for whoever waits for it.
pub fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal to a child that has not been waited for.
pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A process that is nobody's child here, known by its id. It is killed when this goes away.
#[derive(Debug)]
pub struct Stray(Pid);

impl Stray {
    /// Waits for the line with its id that it writes to a file.
    #[track_caller]
    pub fn of(file: &Path) -> Self {
        let read = || std::fs::read_to_string(file).unwrap_or_default();
        wait_until("the process is there", || read().ends_with('\n'));
        Self(Pid::from_raw(read().trim().parse().unwrap()).unwrap())
    }

    /// Whether it is there still.
    pub fn runs(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        _ = kill_process(self.0, Signal::KILL);
    }
}
