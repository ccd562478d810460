//! The queue between a schedule and the threads that do its tasks.

use std::{
    collections::{BTreeMap, HashMap},
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
    /// When the queue began.
    began: Instant,
    /// When each task ended that has ended.
    ended: HashMap<TaskId, Instant>,
    /// Tasks that wait to be looked at again, by when and which.
    later: BTreeMap<(Instant, TaskId), Later>,
}

/// A task that waits to be looked at again.
#[derive(Debug, Clone, Copy)]
struct Later {
    /// The how manieth attempt it will be.
    attempt: u32,
    /// Since when nothing keeps it but its turn.
    ready: Instant,
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
    /// Since when nothing has kept it but its turn.
    pub ready: Instant,
}

impl Queue {
    /// A queue of all tasks of `schedule`.
    pub fn new(schedule: Schedule) -> Queue {
        Queue::counting_from(schedule, 1)
    }

    /// The same, in which `first` is the number of each task's first attempt.
    pub fn counting_from(schedule: Schedule, first: u32) -> Queue {
        let (began, ended, later) = (Instant::now(), HashMap::new(), BTreeMap::new());
        let state = State { schedule, first, began, ended, later };
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
        let mut state = self.lock();
        let blocked = state.schedule.end(task, worked);
        let (now, blocked_tasks) = (Instant::now(), blocked.iter().map(|blocked| blocked.task));
        state.ended.extend(blocked_tasks.chain([task]).map(|task| (task, now)));
        drop(state);
        self.changed.notify_all();
        blocked
    }

    /// Has a task that failed tried again after `wait`.
    pub fn again(&self, turn: Turn, wait: Duration) {
        let due = Instant::now() + wait;
        self.put_back(turn.task, due, Later { attempt: turn.attempt + 1, ready: due });
    }

    /// Puts off, for `wait`, a task that could not be begun. It goes on waiting for its turn.
    pub fn put_off(&self, turn: Turn, wait: Duration) {
        let Turn { task, attempt, ready, .. } = turn;
        self.put_back(task, Instant::now() + wait, Later { attempt, ready });
    }

    fn put_back(&self, task: TaskId, due: Instant, later: Later) {
        self.lock().later.insert((due, task), later);
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
        let (task, Later { attempt, ready }) = match again.map(|first| first.remove_entry()) {
            Some(((_, task), later)) => (task, later),
            None => {
                let task = self.schedule.start_next()?;
                (task, Later { attempt: self.first, ready: self.ready_since(task) })
            }
        };
        Some(Turn { task, attempt, expected: self.schedule.expected(task).time, ready })
    }

    /// When the last of the tasks ended that a task needs.
    fn ready_since(&self, task: TaskId) -> Instant {
        let ends = self.schedule.needs(task).filter_map(|need| self.ended.get(&need));
        ends.copied().max().unwrap_or(self.began)
    }
}
