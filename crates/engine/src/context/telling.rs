//! How far a build is, and telling of it.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{Context, Mode};
use crate::{
    event::{Ended, Event, Status, StepCounts, StepName},
    executor::Ran,
    step::Elided,
};

impl Context {
    /// Counts steps that are going to end.
    pub fn expect(&self, steps: usize) {
        self.expected.fetch_add(steps, Ordering::Relaxed);
    }

    /// How far the build is.
    pub fn counts(&self) -> StepCounts {
        let count = |status: Status| {
            usize::try_from(self.counts[status as usize].load(Ordering::Relaxed)).unwrap_or(0)
        };
        StepCounts {
            replayed: count(Status::Replayed),
            restored: count(Status::Restored),
            built: count(Status::Built),
            out_of_date: count(Status::OutOfDate),
            failed: count(Status::Failed),
            skipped: count(Status::Skipped),
            total: self.expected.load(Ordering::Relaxed),
            remote_built: self.remote[0].load(Ordering::Relaxed),
            remote_restored: self.remote[1].load(Ordering::Relaxed),
        }
    }

    /// Tells that a command starts.
    pub fn started(&self, step: StepName<'_>) {
        // Of a file that was written just before the build, its time then tells that the command has
        // read it as it is.
        self.began.pass();
        self.reporter.event(&Event::Started { step, counts: self.counts() });
    }

    /// Counts and tells how a step ended.
    pub fn ended(&self, step: StepName<'_>, ended: &Ended<'_>) {
        self.count(ended.status, 1);
        match (ended.status, ended.ran) {
            (Status::Built, Some(Ran::Remote)) => {
                _ = self.remote[0].fetch_add(1, Ordering::Relaxed)
            }
            (Status::Restored, Some(Ran::RemoteCache)) => {
                self.remote[1].fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        self.tell(step, ended);
    }

    /// Counts and tells the failure of something that no step makes, such as an input that is not there.
    pub(crate) fn failed_before(&self, step: StepName<'_>, error: &str, took: Duration) {
        self.expect(1);
        let (status, error) = (Status::Failed, Some(error));
        self.ended(
            step,
            &Ended { status, ran: None, log: &[], reason: None, error, command: None, took },
        );
    }

    /// Counts and tells that a step which was expected failed before it began.
    pub(crate) fn failed(&self, step: StepName<'_>, error: &str) {
        let (status, error, took) = (Status::Failed, Some(error), Duration::ZERO);
        self.ended(
            step,
            &Ended { status, ran: None, log: &[], reason: None, error, command: None, took },
        );
    }

    /// Tells how a step ended that is counted already.
    pub(crate) fn tell(&self, step: StepName<'_>, ended: &Ended<'_>) {
        if ended.status == Status::Failed {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.insert(step.target.into());
            let enough = self.options.failures.is_some_and(|most| self.counts().failed >= most);
            self.stopped.fetch_or(!self.options.keep_going || enough, Ordering::Relaxed);
        }
        let silent = ended.status == Status::Replayed && ended.log.is_empty();
        if !silent || self.reporter.wants_everything() {
            self.reporter.event(&Event::Ended { step, ended, counts: self.counts() });
        }
    }

    /// Whether a step of this target failed.
    pub(crate) fn has_failed(&self, target: &str) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains(target)
    }

    /// Takes note of a step that is counted and whose end is told when the build ends.
    pub(crate) fn tell_later(&self, step: Arc<Elided>) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    /// Tells how the steps ended whose outputs were left in the store. To be called when no job is left.
    pub fn tell_left(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        left.iter().for_each(|step| step.tell(self));
    }

    /// Counts the steps that did not come to an end: what they need failed or is out of date, or the
    /// build was ended. To be called when no job is left.
    pub fn close_counts(&self) {
        let counts = self.counts();
        let left = counts.total.saturating_sub(counts.ended());
        let status =
            if self.options.mode == Mode::Build { Status::Skipped } else { Status::OutOfDate };
        self.count(status, isize::try_from(left).unwrap_or(0));
    }

    /// Counts so many steps that ended with nothing to tell.
    pub(crate) fn count(&self, status: Status, steps: isize) {
        self.counts[status as usize].fetch_add(steps, Ordering::Relaxed);
    }

    /// Takes back the count of a step that goes on after all.
    pub(crate) fn uncount(&self, status: Status) {
        self.count(status, -1);
    }

    /// Whether events about steps with nothing to tell are wanted.
    pub(crate) fn wants_everything(&self) -> bool {
        self.reporter.wants_everything()
    }

    /// Passes an event on.
    pub fn report(&self, event: &Event<'_>) {
        self.reporter.event(event);
    }
}
