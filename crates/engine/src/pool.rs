//! The threads that run tasks, shared by all builds of a session.
//!
//! Tasks wait for different things: for a processor, for a service, for another machine. Each has its
//! [`Lane`], and a lane has a number of slots: so many of its tasks run at once, whichever builds they
//! belong to, and none keeps one of another lane waiting. Threads are started as they are needed. The one that
//! waits for a build takes part, so a build in one slot needs no other.

use std::{
    any::Any,
    cell::Cell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A piece of work that blocks on nothing but the command or the fetch that it is for.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// The kind of thing that a task mostly waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// This machine: a command that runs here, or files that are looked at.
    Local,
    /// A service that artifacts are fetched from.
    Fetch,
    /// Another machine that runs an action.
    Remote,
}

/// Every lane. Those whose tasks wait elsewhere come first, so that they wait while others work.
const LANES: [Lane; 3] = [Lane::Remote, Lane::Fetch, Lane::Local];

/// How many tasks of each lane run at once; of each, one at least does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Commands of this machine.
    pub local: usize,
    /// Fetches from services.
    pub fetch: usize,
    /// Actions on other machines.
    pub remote: usize,
}

impl Default for Slots {
    /// One command; a few fetches and many remote actions, since those only wait here.
    fn default() -> Self {
        Self { local: 1, fetch: 8, remote: 256 }
    }
}

impl Slots {
    fn of(&self, lane: Lane) -> usize {
        match lane {
            Lane::Local => self.local.max(1),
            Lane::Fetch => self.fetch.max(1),
            Lane::Remote => self.remote.max(1),
        }
    }
}

/// One of the slots of a lane, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The lane.
    pub lane: Lane,
    /// Which of its slots.
    pub number: usize,
}

thread_local! {
    static SLOT: Cell<Option<Slot>> = const { Cell::new(None) };
}

/// Returns the slot that the calling thread works in, if it runs a task.
pub(crate) fn slot() -> Option<Slot> {
    SLOT.get()
}

/// The tasks of one lane that could run now, and how many do.
#[derive(Default)]
struct Waiting {
    ready: VecDeque<(Task, Arc<Group>)>,
    running: usize,
    /// By slot: whether a task has it.
    taken: Vec<bool>,
}

impl Waiting {
    /// Takes the first slot that is free. There is one.
    fn begin(&mut self) -> usize {
        self.running += 1;
        let free = self.taken.iter().position(|taken| !taken);
        let number = free.unwrap_or(self.taken.len());
        self.taken.resize(self.taken.len().max(number + 1), false);
        self.taken[number] = true;
        number
    }

    fn end(&mut self, number: usize) {
        self.running -= 1;
        self.taken[number] = false;
    }
}

/// All tasks that could run now, and the threads that there are for them.
#[derive(Default)]
struct Queue {
    lanes: [Waiting; 3],
    /// The pool's own threads.
    threads: usize,
    /// How many threads, the pool's own or not, wait for a task.
    idle: usize,
    /// Whether the system has refused a thread: no other is asked for.
    refused: bool,
    closed: bool,
}

/// The part of a pool that its threads share.
struct Shared {
    slots: Slots,
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// A bounded number of tasks at once in each lane, for any number of builds.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The tasks of one build.
#[derive(Default)]
pub(crate) struct Group {
    /// Queued and running tasks, and whoever may still queue one.
    outstanding: AtomicUsize,
    panics: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A task that panicked has left the queue as it was: tasks run with no lock held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool with these slots and no thread yet.
    pub fn new(slots: Slots) -> Arc<Self> {
        let shared = Shared { slots, queue: Mutex::default(), wake: Condvar::new() };
        Arc::new(Self { shared: Arc::new(shared), threads: Mutex::default() })
    }

    /// Returns how many tasks of each lane run at once.
    pub fn slots(&self) -> Slots {
        self.shared.slots
    }

    /// Starts one more thread. A system that allows none makes a build slower: whoever waits for it works, too.
    fn start(&self) {
        let shared = self.shared.clone();
        let spawned = thread::Builder::new()
            .name("larder".to_owned())
            .spawn(move || shared.work(|queue| queue.closed));
        match spawned {
            Ok(thread) => lock(&self.threads).push(thread),
            Err(error) => {
                lock(&self.shared.queue).refused = true;
                tracing::debug!("building with fewer threads: {error}");
            }
        }
    }

    /// Works on tasks until `group` has none left, and none running.
    pub(crate) fn work_for(&self, group: &Arc<Group>) {
        self.shared.work(|_| group.outstanding.load(Ordering::Acquire) == 0);
    }

    /// Queues a task of a lane: before those that are ready when it is `urgent`, which what has become
    /// possible by work just done is, else after them.
    pub(crate) fn queue(&self, group: &Arc<Group>, lane: Lane, task: Task, urgent: bool) {
        group.outstanding.fetch_add(1, Ordering::AcqRel);
        let mut queue = lock(&self.shared.queue);
        let waiting = &mut queue.lanes[lane as usize];
        match urgent {
            true => waiting.ready.push_front((task, group.clone())),
            false => waiting.ready.push_back((task, group.clone())),
        }
        // Whoever waits for the build takes part: one thread fewer than could be busy is enough.
        let missing = !queue.refused && queue.threads + 1 < queue.busy(&self.shared.slots);
        queue.threads += usize::from(missing);
        let idle = queue.idle > 0;
        drop(queue);
        if missing {
            self.start();
        }
        if idle {
            self.shared.wake.notify_one();
        }
    }

    /// Does `work` as a part of `group`: the group is not at its end while it lasts.
    pub(crate) fn keep_open<T>(&self, group: &Arc<Group>, work: impl FnOnce() -> T) -> T {
        group.outstanding.fetch_add(1, Ordering::AcqRel);
        let leave = Leave(self, group);
        let done = work();
        drop(leave);
        done
    }
}

/// Leaves a group when it is dropped.
struct Leave<'a>(&'a Pool, &'a Arc<Group>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.shared.leave(self.1);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.wake.notify_all();
        let me = thread::current().id();
        for thread in lock(&self.threads).drain(..) {
            // The last build may let go of the pool on one of its own threads.
            if thread.thread().id() != me {
                let _ = thread.join();
            }
        }
    }
}

impl Queue {
    /// How many tasks could run at once.
    fn busy(&self, slots: &Slots) -> usize {
        let lanes = LANES.iter().map(|&lane| {
            let waiting = &self.lanes[lane as usize];
            slots.of(lane).min(waiting.running + waiting.ready.len())
        });
        lanes.sum()
    }

    /// The lane of a task that could run now.
    fn runnable(&self, slots: &Slots) -> Option<Lane> {
        LANES.into_iter().find(|&lane| {
            let waiting = &self.lanes[lane as usize];
            !waiting.ready.is_empty() && waiting.running < slots.of(lane)
        })
    }

    /// Takes a task that could run now, and its slot.
    fn take(&mut self, slots: &Slots) -> Option<(Slot, Task, Arc<Group>)> {
        let lane = self.runnable(slots)?;
        let waiting = &mut self.lanes[lane as usize];
        let (task, group) = waiting.ready.pop_front()?;
        Some((Slot { lane, number: waiting.begin() }, task, group))
    }
}

impl Shared {
    /// Runs tasks until `done`.
    fn work(&self, done: impl Fn(&Queue) -> bool) {
        let mut queue = lock(&self.queue);
        while !done(&queue) {
            if let Some((slot, task, group)) = queue.take(&self.slots) {
                drop(queue);
                SLOT.set(Some(slot));
                if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
                    lock(&group.panics).push(describe_panic(&*panic));
                }
                SLOT.set(None);
                queue = lock(&self.queue);
                queue.lanes[slot.lane as usize].end(slot.number);
                let more = queue.idle > 0 && queue.runnable(&self.slots).is_some();
                drop(queue);
                self.leave(&group);
                if more {
                    self.wake.notify_one();
                }
                queue = lock(&self.queue);
            } else {
                queue.idle += 1;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
        // This thread may have been woken for a task that it leaves to others.
        if queue.idle > 0 && queue.runnable(&self.slots).is_some() {
            self.wake.notify_one();
        }
    }

    fn leave(&self, group: &Group) {
        if group.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Whoever waits for the group holds the queue's lock while it looks.
            drop(lock(&self.queue));
            self.wake.notify_all();
        }
    }
}

impl Group {
    /// Returns the messages of the tasks that panicked, once.
    pub fn panics(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.panics))
    }

    /// Notes that a task panicked.
    pub fn panicked(&self, panic: &(dyn Any + Send)) {
        lock(&self.panics).push(describe_panic(panic));
    }
}

/// Returns the message of a panic.
pub(crate) fn describe_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
