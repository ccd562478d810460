//! Outputs that were left in the store, or are not made yet: they are brought to disk when somebody needs them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_trace::{BuildTrace, LogEntry};

use super::{Inputs, Step};
use crate::{
    artifact::Artifact,
    context::Context,
    event::{Ended, Status},
    job::{Built, Flow, Job, collect},
    reason::Reason,
};

/// The outputs of a step that are not on disk, and how to get them after all.
pub struct Elided {
    step: Arc<Step>,
    inputs: Built<Vec<Artifact>>,
    standing: Standing,
    /// Whether the outputs had to be made after all.
    made: AtomicBool,
    /// The job that gets them, once somebody has asked.
    fetched: Mutex<Option<Job<Vec<Artifact>>>>,
}

/// Where a step stands whose outputs are not on disk.
enum Standing {
    /// They were left in the store.
    Left(Ending),
    /// They are made when they are needed, if they ever are. It does not count before.
    Deferred(Option<Reason>),
}

/// How a step ended whose outputs were left in the store. It is counted at once, and told when it is
/// certain: a step that is made after all ends once, as that.
pub(super) struct Ending {
    pub status: Status,
    pub log: Vec<LogEntry>,
    pub reason: Option<Reason>,
    pub took: Duration,
}

impl Step {
    /// Notes on artifacts that are not on disk how to get them there, and counts the step.
    pub(super) fn leave_in_store(
        self: &Arc<Self>,
        cx: &Context,
        inputs: Inputs<'_>,
        artifacts: &mut [Artifact],
        ending: Ending,
    ) {
        cx.count(ending.status, 1);
        let elided = self.elided(inputs, Standing::Left(ending));
        for artifact in artifacts {
            artifact.elided = Some(elided.clone());
        }
        cx.tell_later(elided);
    }

    /// Notes on artifacts that are made when they are needed how to get them.
    pub(super) fn leave_unmade(
        self: &Arc<Self>,
        inputs: Inputs<'_>,
        artifacts: &mut [Artifact],
        reason: Option<Reason>,
    ) {
        let elided = self.elided(inputs, Standing::Deferred(reason));
        for artifact in artifacts {
            artifact.elided = Some(elided.clone());
        }
    }

    fn elided(self: &Arc<Self>, inputs: Inputs<'_>, standing: Standing) -> Arc<Elided> {
        Arc::new(Elided {
            step: self.clone(),
            inputs: inputs.to_owned(),
            standing,
            made: AtomicBool::new(false),
            fetched: Mutex::default(),
        })
    }
}

impl Elided {
    /// Returns a job that is done when all of `elided` are on disk. It fails when one of them cannot be
    /// had.
    pub fn fetch_all<'e>(
        cx: &Arc<Context>,
        elided: impl IntoIterator<Item = &'e Arc<Elided>>,
    ) -> Job<Vec<()>> {
        let mut once: Vec<&Arc<Elided>> = Vec::new();
        for one in elided {
            if !once.iter().any(|known| Arc::ptr_eq(known, one)) {
                once.push(one);
            }
        }
        let nothing =
            |_: &Built<Vec<Artifact>>| Ok(Built { value: (), trace: BuildTrace::nil("on disk") });
        let jobs: Vec<Job<()>> = once.iter().map(|one| one.fetch(cx).map(nothing)).collect();
        collect(&cx.scheduler, jobs)
    }

    /// Tells how the step ended, unless its outputs were made after all.
    pub(crate) fn tell(&self, cx: &Context) {
        if self.made.load(Ordering::Relaxed) {
            return;
        }
        let Standing::Left(Ending { status, ref log, ref reason, took }) = self.standing else {
            return;
        };
        let reason = reason.as_ref();
        let log = &self.step.naming(cx).show(log, cx.here());
        cx.tell(
            self.step.name(),
            &Ended { status, ran: None, log, reason, error: None, command: None, took },
        );
    }

    /// Returns the job that gets the outputs: from the store, and if that has lost them, by making them
    /// again, with the inputs before. However many ask, it is one job.
    fn fetch(self: &Arc<Self>, cx: &Arc<Context>) -> Job<Vec<Artifact>> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = &*fetched {
            return job.clone();
        }
        let (own, context) = (self.clone(), cx.clone());
        // A task of its own for each: a chain of them may be as long as a manifest.
        let lane = cx.cache.lane();
        let job = Job::go_on(&cx.scheduler, lane, move || {
            let inputs = Inputs::from(&own.inputs);
            let ending = match &own.standing {
                Standing::Left(ending) => ending,
                Standing::Deferred(reason) => {
                    context.expect(1);
                    return own.step.clone().make(&context, inputs, reason.clone(), lane);
                }
            };
            match own.step.restore(&context, inputs, true) {
                Some(restored) => Flow::Ended(Ok(own.step.built(restored.artifacts))),
                None => {
                    // It is made after all, and counts as that only.
                    own.made.store(true, Ordering::Relaxed);
                    context.uncount(ending.status);
                    own.step.clone().make(&context, inputs, ending.reason.clone(), lane)
                }
            }
        });
        fetched.insert(job).clone()
    }
}

impl Drop for Elided {
    /// Lets go of a chain of inputs link by link, without a call for each.
    fn drop(&mut self) {
        let links = |elided: &mut Self| {
            let mut needed = std::mem::take(&mut elided.inputs.value);
            if let Some(step) = Arc::get_mut(&mut elided.step) {
                needed.append(&mut step.prerequisites);
            }
            needed.into_iter().filter_map(|need| need.elided).collect::<Vec<_>>()
        };
        let mut stack = links(self);
        while let Some(elided) = stack.pop() {
            if let Some(mut last) = Arc::into_inner(elided) {
                stack.extend(links(&mut last));
            }
        }
    }
}
