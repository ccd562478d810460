//! The queue between a schedule and the threads that do its tasks.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::schedule::{Blocked, Schedule, TaskId};

/// How often a thread that waits looks whether the work was stopped from outside.
const BEAT: Duration = Duration::from_millis(100);

/// A schedule that several threads share. Tasks that are to be tried again later wait in it meanwhile, and hold no
/// thread.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    /// The number of each task's first attempt.
    first: u32,
    /// Tasks that are tried again, by when and which, with the number of that attempt.
    later: BTreeMap<(Instant, TaskId), u32>,
}

/// A task to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The task.
    pub task: TaskId,
    /// The how manieth attempt this is, from 1.
    pub attempt: u32,
    /// How long it is expected to take.
    pub expected: Duration,
}

impl Queue {
    /// A queue of all tasks of `schedule`.
    pub fn new(schedule: Schedule) -> Queue {
        Queue::counting_from(schedule, 1)
    }

    /// The same, in which `first` is the number of each task's first attempt.
    pub fn counting_from(schedule: Schedule, first: u32) -> Queue {
        let state = State { schedule, first, later: BTreeMap::new() };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a task to do. `None` when everything is over, or `stopped` says that no more is to start.
    pub fn next(&self, stopped: impl Fn() -> bool) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if stopped() {
                return None;
            }
            let now = Instant::now();
            if let Some(turn) = state.due(now) {
                return Some(turn);
            }
            if state.schedule.is_over() {
                return None;
            }
            let due = state.later.keys().next().map(|(due, _)| due.saturating_duration_since(now));
            let patience = due.unwrap_or(BEAT).min(BEAT);
            let waited = self.changed.wait_timeout(state, patience);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a task, and returns the tasks that this blocks.
    pub fn end(&self, task: TaskId, worked: bool) -> Vec<Blocked> {
        let blocked = self.lock().schedule.end(task, worked);
        self.changed.notify_all();
        blocked
    }

    /// Puts a task off: it is tried again after `wait`, as attempt `attempt`.
    pub fn again(&self, task: TaskId, attempt: u32, wait: Duration) {
        self.lock().later.insert((Instant::now() + wait, task), attempt);
        self.changed.notify_all();
    }

    /// How long what has not ended is expected to take with so many at a time.
    pub fn left(&self, at_once: usize) -> Duration {
        self.lock().schedule.left(at_once)
    }

    /// How many tasks run or may start.
    pub fn busy(&self) -> usize {
        self.lock().schedule.busy()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is to be done now: what has waited to be tried again, else what the schedule has next.
    fn due(&mut self, now: Instant) -> Option<Turn> {
        let again = self.later.first_entry().filter(|first| first.key().0 <= now);
        let (task, attempt) = match again.map(|first| first.remove_entry()) {
            Some(((_, task), attempt)) => (task, attempt),
            None => (self.schedule.start_next()?, self.first),
        };
        Some(Turn { task, attempt, expected: self.schedule.expected(task).time })
    }
}
