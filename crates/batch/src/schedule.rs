//! The order of work: which task may start next, and what an end means for the others.
//!
//! A schedule is plain data that runs nothing and waits for nobody. Whoever has room for a task asks for
//! the [next](Schedule::start_next), and tells how each [ended](Schedule::end). Of the tasks that may start, the one
//! comes first from which the longest path of expected durations leads to the end of everything.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// A task by its position.
pub type TaskId = usize;

/// A task to be scheduled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Task {
    /// The tasks that end before it starts. They stand before it.
    pub needs: Vec<Need>,
    /// What it is expected to take.
    pub expected: Expected,
}

/// What a task is expected to take, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// How long.
    pub time: Duration,
    /// The most memory at once, in bytes.
    pub memory: u64,
}

/// A task that ends before another one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The task.
    pub task: TaskId,
    /// Whether the other one can do without its success.
    pub optional: bool,
}

impl Need {
    /// A task that has to work.
    pub fn required(task: TaskId) -> Need {
        Need { task, optional: false }
    }

    /// A task that has only to be over.
    pub fn optional(task: TaskId) -> Need {
        Need { task, optional: true }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It worked.
    Worked,
    /// It failed.
    Failed,
    /// It was not tried: something that it requires failed or was blocked.
    Blocked,
}

/// A task that is not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The task.
    pub task: TaskId,
    /// The tasks that it requires and that did not work, in order.
    pub by: Vec<TaskId>,
    /// The failures behind these, in order: tasks that were tried.
    pub roots: Vec<TaskId>,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for so many others.
    Waiting(usize),
    /// It may start.
    Ready,
    Running,
    Ended(End),
}

#[derive(Debug, Clone)]
struct Node {
    needs: Vec<Need>,
    dependents: Vec<TaskId>,
    expected: Expected,
    /// The longest path of expected durations from its start to the end of everything.
    path: Duration,
    state: State,
    /// Of a task that is blocked, the failures behind that.
    roots: Vec<TaskId>,
}

/// Tasks on their way.
#[derive(Debug, Clone)]
pub struct Schedule {
    nodes: Vec<Node>,
    /// The tasks that may start, longest path first; of equal ones, the first.
    ready: BinaryHeap<(Duration, Reverse<TaskId>)>,
    running: Vec<TaskId>,
    /// The sum of what all that have not ended are expected to take.
    open: Duration,
    over: usize,
    /// The most memory that tasks which run may be expected to take together, in bytes.
    memory: u64,
}

impl Schedule {
    /// A schedule of `tasks`, of which none has started. A task has its needs before it; a need that does not stand
    /// there is none.
    pub fn new(tasks: Vec<Task>) -> Schedule {
        let mut nodes: Vec<Node> = Vec::with_capacity(tasks.len());
        for (id, Task { mut needs, expected }) in tasks.into_iter().enumerate() {
            needs.retain(|need| need.task < id);
            needs.sort_by_key(|need| (need.task, need.optional));
            needs.dedup_by_key(|need| need.task);
            for need in &needs {
                nodes[need.task].dependents.push(id);
            }
            let state = State::Waiting(needs.len());
            nodes.push(Node {
                needs,
                dependents: Vec::new(),
                expected,
                path: expected.time,
                state,
                roots: Vec::new(),
            });
        }
        for id in (0..nodes.len()).rev() {
            let after = nodes[id].dependents.iter().map(|&user| nodes[user].path).max();
            nodes[id].path = nodes[id].expected.time.saturating_add(after.unwrap_or_default());
        }
        let times = nodes.iter().map(|node| node.expected.time);
        let open = times.fold(Duration::ZERO, Duration::saturating_add);
        let mut schedule = Schedule {
            nodes,
            ready: BinaryHeap::new(),
            running: Vec::new(),
            open,
            over: 0,
            memory: u64::MAX,
        };
        for id in 0..schedule.nodes.len() {
            if schedule.nodes[id].state == State::Waiting(0) {
                schedule.make_ready(id);
            }
        }
        schedule
    }

    /// The same, in which tasks that are expected to take more `memory` together, in bytes, do not run at the same time.
    /// One that is expected to take more by itself runs alone.
    #[must_use]
    pub fn within(self, memory: u64) -> Schedule {
        Schedule { memory, ..self }
    }

    /// Starts the task that comes first of those that may start. `None` when none may: also while there is too little memory for
    /// that one, for else it would wait until no other is left.
    pub fn start_next(&mut self) -> Option<TaskId> {
        let &(_, Reverse(id)) = self.ready.peek()?;
        let memory = |id: &TaskId| self.nodes[*id].expected.memory;
        let held = self.running.iter().map(memory).fold(0, u64::saturating_add);
        if !self.running.is_empty() && memory(&id).saturating_add(held) > self.memory {
            return None;
        }
        self.ready.pop();
        self.nodes[id].state = State::Running;
        self.running.push(id);
        Some(id)
    }

    /// How many tasks run or may start.
    pub fn busy(&self) -> usize {
        self.running.len() + self.ready.len()
    }

    /// What a task is expected to take.
    pub fn expected(&self, id: TaskId) -> Expected {
        self.nodes[id].expected
    }

    /// The tasks that end before this one starts.
    pub fn needs(&self, id: TaskId) -> impl Iterator<Item = TaskId> {
        self.nodes[id].needs.iter().map(|need| need.task)
    }

    /// Ends a task that runs, and returns the tasks that are blocked now, each after those that block it. A task
    /// is blocked when all that it needs is over and something that it requires did not work: only then is it
    /// known what all blocks it.
    pub fn end(&mut self, id: TaskId, worked: bool) -> Vec<Blocked> {
        if self.nodes[id].state != State::Running {
            return Vec::new();
        }
        self.running.retain(|running| *running != id);
        self.close(id, if worked { End::Worked } else { End::Failed });
        let mut blocked: Vec<Blocked> = Vec::new();
        let mut ended = vec![id];
        while let Some(id) = ended.pop() {
            for user in self.nodes[id].dependents.clone() {
                let State::Waiting(on) = self.nodes[user].state else { continue };
                self.nodes[user].state = State::Waiting(on - 1);
                if on > 1 {
                    continue;
                }
                let by = self.blocking(user);
                if by.is_empty() {
                    self.make_ready(user);
                } else {
                    let roots = self.roots_of(&by);
                    self.close(user, End::Blocked);
                    self.nodes[user].roots.clone_from(&roots);
                    blocked.push(Blocked { task: user, by, roots });
                    ended.push(user);
                }
            }
        }
        blocked
    }

    /// How a task ended; `None` for one that has not.
    pub fn ended(&self, id: TaskId) -> Option<End> {
        match self.nodes[id].state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How many tasks have ended.
    pub fn over(&self) -> usize {
        self.over
    }

    /// Whether nothing runs and nothing may start: everything has ended.
    pub fn is_over(&self) -> bool {
        self.running.is_empty() && self.ready.is_empty()
    }

    /// How long everything that has not ended is expected to take with so many tasks at a time: no less than their
    /// sum allows, and no less than the longest path. Tasks that run count whole.
    pub fn left(&self, at_once: usize) -> Duration {
        // What waits is on the path of something that it waits for.
        let running = self.running.iter().map(|&id| self.nodes[id].path);
        let begun = running.chain(self.ready.peek().map(|(path, _)| *path));
        let longest = begun.max().unwrap_or_default();
        longest.max(self.open / u32::try_from(at_once.max(1)).unwrap_or(u32::MAX))
    }

    fn close(&mut self, id: TaskId, end: End) {
        self.nodes[id].state = State::Ended(end);
        self.over += 1;
        self.open = self.open.saturating_sub(self.nodes[id].expected.time);
    }

    fn make_ready(&mut self, id: TaskId) {
        self.nodes[id].state = State::Ready;
        self.ready.push((self.nodes[id].path, Reverse(id)));
    }

    /// The failures behind tasks that did not work.
    fn roots_of(&self, tasks: &[TaskId]) -> Vec<TaskId> {
        let mut roots = Vec::new();
        for &task in tasks {
            match self.ended(task) {
                Some(End::Blocked) => roots.extend(&self.nodes[task].roots),
                _ => roots.push(task),
            }
        }
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// The tasks that `id` requires and that did not work.
    fn blocking(&self, id: TaskId) -> Vec<TaskId> {
        let needs = self.nodes[id].needs.iter();
        let required = needs.filter(|need| !need.optional).map(|need| need.task);
        required.filter(|&need| self.ended(need) != Some(End::Worked)).collect()
    }
}

#[cfg(test)]
mod tests;
