//! Pools: how many commands of a kind may run at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use larder_trace::BuildTrace;

use crate::job::{Built, Flow, Job, Scheduler, settle};

/// Lets so many jobs through at once, the others when one of these has ended, in the order in which they came.
pub struct Gate {
    depth: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inside: usize,
    waiting: VecDeque<Job<()>>,
}

fn nothing() -> Built<()> {
    Built { value: (), trace: BuildTrace::nil("turn") }
}

impl Gate {
    /// Lets `depth` jobs through at once.
    pub fn new(depth: usize) -> Arc<Self> {
        Arc::new(Self { depth, state: Mutex::default() })
    }

    /// Returns the job that does `work` when its turn has come.
    pub fn pass(
        self: &Arc<Self>,
        scheduler: &Arc<Scheduler>,
        work: impl FnOnce() -> Flow<()> + Send + 'static,
    ) -> Job<()> {
        let turn = Job::pending(scheduler);
        let open = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let open = state.inside < self.depth;
            match open {
                true => state.inside += 1,
                false => state.waiting.push_back(turn.clone()),
            }
            open
        };
        let job = turn.flow(move |_| work());
        let gate = self.clone();
        settle(scheduler, [job.clone()]).map(move |_| {
            gate.leave();
            Ok(nothing())
        });
        if open {
            turn.complete(Ok(Arc::new(nothing())));
        }
        job
    }

    fn leave(&self) {
        let next = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let next = state.waiting.pop_front();
            if next.is_none() {
                state.inside -= 1;
            }
            next
        };
        if let Some(turn) = next {
            turn.complete(Ok(Arc::new(nothing())));
        }
    }
}
