//! Turns: no more tests at once than may be.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use larder_trace::BuildTrace;

use crate::job::{Built, Job, Scheduler};

/// Hands out turns, so many at once, to whoever asked first. Nobody who waits for one takes a thread.
pub(super) struct Turns {
    scheduler: Arc<Scheduler>,
    state: Mutex<State>,
}

struct State {
    /// How many more may have one; without a bound, when absent.
    free: Option<u16>,
    waiting: VecDeque<Job<()>>,
}

/// A turn that is over when it is dropped.
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// At most `at_once` turns at once; any number, when absent.
    pub fn new(scheduler: &Arc<Scheduler>, at_once: Option<u16>) -> Self {
        let state = State { free: at_once, waiting: VecDeque::new() };
        Self { scheduler: scheduler.clone(), state: Mutex::new(state) }
    }

    /// A job that is done when it is somebody's turn. Who has waited for it takes it by [`Self::begin`].
    pub fn wait(&self) -> Job<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.free {
            None => {}
            Some(0) => {
                let job = Job::pending(&self.scheduler);
                state.waiting.push_back(job.clone());
                return job;
            }
            Some(free) => *free -= 1,
        }
        Job::done(&self.scheduler, (), BuildTrace::nil("turn"))
    }

    /// Begins a turn that was waited for.
    pub fn begin(&self) -> Turn<'_> {
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front();
        if next.is_none()
            && let Some(free) = &mut state.free
        {
            *free += 1;
        }
        drop(state);
        if let Some(next) = next {
            next.complete(Ok(Arc::new(Built { value: (), trace: BuildTrace::nil("turn") })));
        }
    }
}
