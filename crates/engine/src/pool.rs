//! The threads that run tasks, shared by all builds of a session.
//!
//! A pool has a number of slots: so many tasks run at once, whichever builds they belong to. The
//! thread that waits for a build takes part, so a pool of one slot needs no thread of its own.

use std::{
    any::Any,
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

/// Tasks that could run now, and how many do.
#[derive(Default)]
struct Queue {
    ready: VecDeque<(Task, Arc<Group>)>,
    running: usize,
    closed: bool,
}

/// The part of a pool that its threads share.
struct Shared {
    slots: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// A bounded number of tasks at once, for any number of builds.
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
    /// A pool in which at most `slots` tasks run at once; at least one.
    pub fn new(slots: usize) -> Arc<Self> {
        let shared = Shared { slots: slots.max(1), queue: Mutex::default(), wake: Condvar::new() };
        Arc::new(Self { shared: Arc::new(shared), threads: Mutex::default() })
    }

    /// How many tasks run at once.
    pub fn slots(&self) -> usize {
        self.shared.slots
    }

    /// Starts the threads that are missing. A system that allows no more threads makes a build
    /// slower: whoever waits for it works, too.
    fn start(&self) {
        let mut threads = lock(&self.threads);
        while threads.len() + 1 < self.shared.slots {
            let shared = self.shared.clone();
            let spawned = thread::Builder::new()
                .name("larder".to_owned())
                .spawn(move || shared.work(|queue| queue.closed));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    tracing::debug!("building with {} threads: {error}", threads.len() + 1);
                    break;
                }
            }
        }
    }

    /// Works on tasks until `group` has none left, and none running.
    pub(crate) fn work_for(&self, group: &Arc<Group>) {
        self.shared.work(|_| group.outstanding.load(Ordering::Acquire) == 0);
    }

    /// Queues a task: before those that are ready when it is `urgent`, which what has become possible
    /// by work just done is, else after them.
    pub(crate) fn queue(&self, group: &Arc<Group>, task: Task, urgent: bool) {
        group.outstanding.fetch_add(1, Ordering::AcqRel);
        let mut queue = lock(&self.shared.queue);
        match urgent {
            true => queue.ready.push_front((task, group.clone())),
            false => queue.ready.push_back((task, group.clone())),
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Does `work` as a part of `group`: the group is not at its end while it lasts.
    pub(crate) fn keep_open<T>(&self, group: &Arc<Group>, work: impl FnOnce() -> T) -> T {
        self.start();
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

impl Shared {
    /// Runs tasks until `done`.
    fn work(&self, done: impl Fn(&Queue) -> bool) {
        let mut queue = lock(&self.queue);
        while !done(&queue) {
            if queue.running < self.slots
                && let Some((task, group)) = queue.ready.pop_front()
            {
                queue.running += 1;
                drop(queue);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
                    lock(&group.panics).push(describe_panic(&*panic));
                }
                queue = lock(&self.queue);
                queue.running -= 1;
                let more = !queue.ready.is_empty();
                drop(queue);
                self.leave(&group);
                if more {
                    self.wake.notify_one();
                }
                queue = lock(&self.queue);
            } else {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
        // This thread may have been woken for a task that it leaves to others.
        if !queue.ready.is_empty() {
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
