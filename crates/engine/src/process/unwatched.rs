//! Commands that share an allowance where processes cannot be watched: what they print is all that is limited.

use std::{sync::Arc, time::Instant};

use rustix::process::Pid;

use super::{
    Cost, Exit,
    allowance::{Budget, Limit},
};

/// The commands of a process that share allowances.
#[derive(Debug, Default)]
pub struct Watch;

/// A command, until it is dropped.
#[derive(Debug)]
pub struct Guard(Arc<Budget>);

/// Nothing: nobody has to look after commands.
pub fn step_back() {}

impl Watch {
    /// Takes note of a command that began at `started`.
    pub fn begin(
        self: &Arc<Self>,
        _: Pid,
        _: Option<String>,
        budget: &Arc<Budget>,
        started: Instant,
    ) -> Guard {
        budget.begin(started);
        Guard(budget.clone())
    }
}

impl Guard {
    /// Returns the limit that was reached, if one was.
    pub fn reached(&self) -> Option<Limit> {
        self.0.reached()
    }

    /// Takes note of what the command printed.
    pub fn print(&self, bytes: &[u8]) {
        self.0.print(bytes);
    }

    /// Takes note that the command's first process has ended.
    pub fn finish(&self, exit: Exit) {
        self.0.ended(exit);
    }

    /// Takes note of what the command cost.
    pub fn cost(&self, cost: &Cost) {
        self.0.add(cost);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end();
    }
}
