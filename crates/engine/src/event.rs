//! Events: all that a build has to tell, as it happens. Printing it is somebody else's work.

use std::time::Duration;

use larder_trace::{Level, LogEntry};
use serde::Serialize;

use crate::{executor::Ran, reason::Reason, testing::Tested};

/// Whoever listens to a build. Called from many threads.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);

    /// Whether events about targets with nothing to tell (up to date, no log) are wanted. There may
    /// be very many.
    fn wants_everything(&self) -> bool {
        false
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another larder builds in this build directory; this one waits for it.
    Waiting {
        /// The process it waits for, when that has said who it is.
        holder: Option<u32>,
    },
    /// Some targets have become jobs, or all have.
    Planning {
        /// How many.
        made: usize,
        /// How many there are.
        of: usize,
    },
    /// A command starts.
    Started {
        /// The step.
        step: StepName<'a>,
        /// How far the build is.
        counts: StepCounts,
    },
    /// A step of the build ended.
    Ended {
        /// The step.
        step: StepName<'a>,
        /// How it ended.
        ended: &'a Ended<'a>,
        /// How far the build is.
        counts: StepCounts,
    },
    /// A test has its result.
    Tested {
        /// The target.
        target: &'a str,
        /// The result.
        tested: &'a Tested,
    },
    /// Something that concerns no single target.
    Note {
        /// How much it matters.
        level: Level,
        /// The text.
        message: &'a str,
    },
}

/// The name of a step.
#[derive(Debug, Clone, Copy)]
pub struct StepName<'a> {
    /// The target it belongs to, such as `lua:o`.
    pub target: &'a str,
    /// The first file that it makes, in the build directory.
    pub output: &'a str,
}

/// The target and the output.
impl std::fmt::Display for StepName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.target, self.output)
    }
}

/// How a step ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its status.
    pub status: Status,
    /// Where its action ran just now, if one did and another machine might have run it.
    pub ran: Option<Ran>,
    /// The output of its command, now or when it was built.
    pub log: &'a [LogEntry],
    /// Why it was not up to date.
    pub reason: Option<&'a Reason>,
    /// The error.
    pub error: Option<&'a str>,
    /// The command line that failed.
    pub command: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was up to date; what it once printed is shown again.
    Replayed,
    /// Its outputs came from a cache.
    Restored,
    /// It was built.
    Built,
    /// It is out of date, and nothing was to be built.
    OutOfDate,
    /// It failed.
    Failed,
    /// Something it needs failed or is out of date.
    Skipped,
}

/// How far a build is, in steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepCounts {
    /// Known so far.
    pub total: usize,
    /// Up to date.
    pub replayed: usize,
    /// Brought back from a cache.
    pub restored: usize,
    /// Built.
    pub built: usize,
    /// Out of date and not built.
    pub out_of_date: usize,
    /// Failed.
    pub failed: usize,
    /// Not tried, since something they need failed.
    pub skipped: usize,
    /// Of those built, the ones that another machine ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub remote_built: usize,
    /// Of those restored, the ones whose result another machine knew.
    #[serde(skip_serializing_if = "is_zero")]
    pub remote_restored: usize,
}

/// Whether there is nothing to tell: most builds ask no other machine.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl StepCounts {
    /// Steps that have ended.
    pub fn ended(&self) -> usize {
        self.replayed + self.restored + self.built + self.out_of_date + self.failed + self.skipped
    }
}
