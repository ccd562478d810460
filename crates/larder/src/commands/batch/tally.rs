//! How far a run is, counted task by task.

use std::collections::HashMap;

use larder_batch::event::TaskName;
use larder_runs::{
    name::HashName,
    result::{Outcome, Stage, StageResult},
};

/// The tasks that are over, each counted once however often it is tried.
#[derive(Default)]
pub struct Tally {
    /// How many tasks there are.
    tasks: usize,
    over: HashMap<(HashName, Stage), Outcome>,
    failed: usize,
    blocked: usize,
    /// How many packages have no solution: these are no tasks.
    unsolved: usize,
}

impl Tally {
    /// Takes note of so many tasks to do, of which none is over.
    pub fn plan(&mut self, tasks: usize) {
        *self = Self { tasks, unsolved: self.unsolved, ..Self::default() };
    }

    /// Takes note of a result. Returns whether a task is over by it that was not before: not where all are, and it is
    /// tried to be sure.
    pub fn end(&mut self, result: &StageResult) -> bool {
        let Some(hash) = &result.build_hash else {
            self.unsolved += usize::from(result.outcome() == Outcome::Unsolved);
            return false;
        };
        let task = (hash.clone(), result.stage);
        let is_planned = self.over.len() < self.tasks || self.over.contains_key(&task);
        is_planned && self.set(task, Some(result.outcome()))
    }

    /// Takes note of a task that is over without a result.
    pub fn nothing(&mut self, task: &TaskName) {
        self.set((task.build_hash.clone(), task.stage), Some(Outcome::Worked));
    }

    /// Takes note of a task that is not over, and is tried again.
    pub fn again(&mut self, task: &TaskName) {
        self.set((task.build_hash.clone(), task.stage), None);
    }

    fn set(&mut self, task: (HashName, Stage), now: Option<Outcome>) -> bool {
        let before = match now {
            Some(outcome) => self.over.insert(task, outcome),
            None => self.over.remove(&task),
        };
        for (count, outcome) in
            [(&mut self.failed, Outcome::Failed), (&mut self.blocked, Outcome::Blocked)]
        {
            *count += usize::from(now == Some(outcome));
            *count -= usize::from(before == Some(outcome));
        }
        before.is_none()
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// How many tasks are over.
    pub fn over(&self) -> usize {
        self.over.len()
    }

    /// How many tasks have failed, and packages have no solution.
    pub fn failed(&self) -> usize {
        self.failed + self.unsolved
    }

    /// How many tasks were blocked.
    pub fn blocked(&self) -> usize {
        self.blocked
    }
}
