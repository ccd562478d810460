//! Jobs: results to come, with their traces, and the threads that bring them about.
//!
//! A job is made from others by [`Job::map`], [`Job::bind`] and [`collect`]; nothing waits for another
//! job by blocking a thread. A task runs when what it needs is done, on one of the threads of
//! [`Scheduler::run`]; a task that runs a command blocks its thread until the command ends, so the
//! number of threads is the number of commands at once (`-j`).

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use larder_trace::BuildTrace;

/// A job failed. What there is to say about it has been reported where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// What a job gives: a value and the trace of it.
#[derive(Debug)]
pub struct Built<T> {
    /// The value.
    pub value: T,
    /// What it depends on.
    pub trace: BuildTrace,
}

/// How a job ended.
pub type Finished<T> = Result<Arc<Built<T>>, Failed>;

type Task = Box<dyn FnOnce() + Send>;

/// The queue of tasks that could run now.
#[derive(Default)]
pub struct Scheduler {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Task>,
    sleeping: usize,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A task that panicked has left the queue as it was: tasks run with no lock held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    /// A scheduler without threads; tasks wait for [`Self::run`].
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Queues a task after those that are ready.
    fn later(&self, task: Task) {
        let mut queue = lock(&self.queue);
        queue.ready.push_back(task);
        self.wake_one(&queue);
    }

    /// Queues a task before those that are ready: what has become possible by work just done.
    fn soon(&self, task: Task) {
        let mut queue = lock(&self.queue);
        queue.ready.push_front(task);
        self.wake_one(&queue);
    }

    fn wake_one(&self, queue: &Queue) {
        if queue.sleeping > 0 {
            self.wake.notify_one();
        }
    }

    /// Calls `plan` on this thread, while others already run the tasks that it queues; then runs tasks
    /// on `threads` threads until the job that it gave is done, and gives that. What is left when
    /// `plan` fails is dropped. The job has not finished if it waits for itself.
    ///
    /// # Errors
    /// That of `plan`.
    pub fn run<T: Send + Sync + 'static, E>(
        self: &Arc<Self>,
        threads: usize,
        plan: impl FnOnce() -> Result<Job<T>, E>,
    ) -> Result<Job<T>, E> {
        let planned = thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.work(threads));
            }
            let planned = plan();
            let scheduler = self.clone();
            match &planned {
                Ok(job) => job.when_done(Box::new(move |_| scheduler.close())),
                Err(_) => scheduler.close(),
            }
            self.work(threads);
            planned
        });
        let mut queue = lock(&self.queue);
        (queue.closed, queue.sleeping) = (false, 0);
        // What is still queued after success is for another job, which may be asked for yet.
        let left =
            if planned.is_err() { std::mem::take(&mut queue.ready) } else { VecDeque::new() };
        // Tasks may hold what queues others when it is dropped.
        drop(queue);
        drop(left);
        planned
    }

    fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_all();
    }

    fn work(&self, threads: usize) {
        let mut queue = lock(&self.queue);
        while !queue.closed {
            if let Some(task) = queue.ready.pop_front() {
                drop(queue);
                task();
                queue = lock(&self.queue);
                continue;
            }
            queue.sleeping += 1;
            if queue.sleeping == threads {
                // Nothing runs and nothing is ready: nothing ever will be.
                queue.closed = true;
                self.wake.notify_all();
            } else {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.sleeping -= 1;
            }
        }
    }
}

/// A result to come. Clones stand for the same result.
pub struct Job<T>(Arc<Shared<T>>);

impl<T> Clone for Job<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    scheduler: Arc<Scheduler>,
    state: Mutex<State<T>>,
}

enum State<T> {
    Pending(Vec<WhenDone<T>>),
    Done(Finished<T>),
}

type WhenDone<T> = Box<dyn FnOnce(&Finished<T>) + Send>;

impl<T: Send + Sync + 'static> Job<T> {
    fn pending(scheduler: &Arc<Scheduler>) -> Self {
        let state = Mutex::new(State::Pending(Vec::new()));
        Self(Arc::new(Shared { scheduler: scheduler.clone(), state }))
    }

    /// A job that is done.
    pub fn done(scheduler: &Arc<Scheduler>, value: T, trace: BuildTrace) -> Self {
        let state = Mutex::new(State::Done(Ok(Arc::new(Built { value, trace }))));
        Self(Arc::new(Shared { scheduler: scheduler.clone(), state }))
    }

    /// A job that needs nothing before it.
    pub fn spawn(
        scheduler: &Arc<Scheduler>,
        work: impl FnOnce() -> Result<Built<T>, Failed> + Send + 'static,
    ) -> Self {
        let job = Self::pending(scheduler);
        let result = job.clone();
        scheduler.later(Box::new(move || result.complete(work().map(Arc::new))));
        job
    }

    /// A job that works on this one's result. It fails when this one does.
    pub fn map<U: Send + Sync + 'static>(
        &self,
        work: impl FnOnce(&Built<T>) -> Result<Built<U>, Failed> + Send + 'static,
    ) -> Job<U> {
        let job = Job::pending(&self.0.scheduler);
        let result = job.clone();
        self.then(move |finished| {
            result.complete(finished.and_then(|built| work(&built)).map(Arc::new));
        });
        job
    }

    /// A job that is found only when this one's result is known.
    pub fn bind<U: Send + Sync + 'static>(
        &self,
        find: impl FnOnce(&Built<T>) -> Job<U> + Send + 'static,
    ) -> Job<U> {
        let job = Job::pending(&self.0.scheduler);
        let result = job.clone();
        self.then(move |finished| match finished {
            Ok(built) => {
                find(&built).when_done(Box::new(move |found| result.complete(found.clone())))
            }
            Err(failed) => result.complete(Err(failed)),
        });
        job
    }

    /// Queues `task` for when this job is done.
    fn then(&self, task: impl FnOnce(Finished<T>) + Send + 'static) {
        let scheduler = self.0.scheduler.clone();
        self.when_done(Box::new(move |finished| {
            let finished = finished.clone();
            scheduler.soon(Box::new(move || task(finished)));
        }));
    }

    /// Calls `notify` when this job is done, on whichever thread completes it.
    fn when_done(&self, notify: WhenDone<T>) {
        let mut state = lock(&self.0.state);
        match &mut *state {
            State::Pending(waiting) => waiting.push(notify),
            State::Done(finished) => {
                let finished = finished.clone();
                drop(state);
                notify(&finished);
            }
        }
    }

    fn complete(&self, finished: Finished<T>) {
        let done = State::Done(finished.clone());
        let before = std::mem::replace(&mut *lock(&self.0.state), done);
        if let State::Pending(waiting) = before {
            waiting.into_iter().for_each(|notify| notify(&finished));
        }
    }

    /// How it ended, if it has.
    pub fn finished(&self) -> Option<Finished<T>> {
        match &*lock(&self.0.state) {
            State::Done(finished) => Some(finished.clone()),
            State::Pending(_) => None,
        }
    }
}

/// How each of `jobs` ended, in order, when all have. Never fails itself.
pub fn settle<T: Send + Sync + 'static>(
    scheduler: &Arc<Scheduler>,
    jobs: impl IntoIterator<Item = Job<T>>,
) -> Job<Vec<Finished<T>>> {
    let jobs: Arc<[Job<T>]> = jobs.into_iter().collect();
    let job = Job::pending(scheduler);
    // One more than there are, so that nothing is complete before every job has been asked.
    let left = Arc::new(AtomicUsize::new(jobs.len() + 1));
    let arrived = {
        let (jobs, result, scheduler) = (jobs.clone(), job.clone(), scheduler.clone());
        Arc::new(move || {
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                let (jobs, result) = (jobs.clone(), result.clone());
                scheduler.soon(Box::new(move || {
                    let value =
                        jobs.iter().map(|job| job.finished().unwrap_or(Err(Failed))).collect();
                    result
                        .complete(Ok(Arc::new(Built { value, trace: BuildTrace::nil("settled") })));
                }));
            }
        })
    };
    for job in &*jobs {
        let arrived = arrived.clone();
        job.when_done(Box::new(move |_| arrived()));
    }
    arrived();
    job
}

/// The results of `jobs` in order, with their traces mixed in that order. Fails when one of them
/// does, after all of them are done.
pub fn collect<T: Clone + Send + Sync + 'static>(
    scheduler: &Arc<Scheduler>,
    jobs: impl IntoIterator<Item = Job<T>>,
) -> Job<Vec<T>> {
    settle(scheduler, jobs).map(|settled| {
        let mut trace = BuildTrace::nil("inputs");
        let mut value = Vec::with_capacity(settled.value.len());
        for finished in &settled.value {
            let built = finished.as_ref().map_err(|failed| *failed)?;
            trace = trace.mix(built.trace.clone());
            value.push(built.value.clone());
        }
        Ok(Built { value, trace })
    })
}

/// Jobs by key: each is made once, however many ask for it.
pub struct Registry<K, T> {
    jobs: Mutex<HashMap<K, Job<T>>>,
}

impl<K, T> Default for Registry<K, T> {
    fn default() -> Self {
        Self { jobs: Mutex::default() }
    }
}

impl<K: Eq + std::hash::Hash, T> Registry<K, T> {
    /// The job under `key`; made by `make` when nobody asked for it before.
    pub fn fetch(&self, key: K, make: impl FnOnce() -> Job<T>) -> Job<T> {
        if let Some(job) = lock(&self.jobs).get(&key) {
            return job.clone();
        }
        // Made without holding the lock, since making one may fetch others. Two askers may both make
        // one; the first to come back keeps its place.
        let job = make();
        lock(&self.jobs).entry(key).or_insert(job).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use larder_trace::ContentHash;
    use proptest::prelude::*;

    fn number(scheduler: &Arc<Scheduler>, value: u32) -> Job<u32> {
        Job::spawn(scheduler, move || Ok(built(value)))
    }

    fn built(value: u32) -> Built<u32> {
        Built { value, trace: BuildTrace::text("number", value.to_string()) }
    }

    fn run<T: Send + Sync + 'static>(scheduler: &Arc<Scheduler>, job: &Job<T>) -> Finished<T> {
        let Ok(job) = scheduler.run::<T, ()>(3, || Ok(job.clone())) else { unreachable!() };
        job.finished().expect("no job waits for itself")
    }

    proptest! {
        #[test]
        fn collecting_keeps_order_and_mixes_traces(values in prop::collection::vec(0u32..9, 0..20)) {
            let scheduler = Scheduler::new();
            let jobs: Vec<_> = values.iter().map(|&value| number(&scheduler, value)).collect();
            let all = run(&scheduler, &collect(&scheduler, jobs)).unwrap();
            prop_assert_eq!(&all.value, &values);
            let parts = values.iter().map(|value| BuildTrace::text("number", value.to_string()));
            let expected: ContentHash = BuildTrace::nil("inputs").mix_all(parts).hash();
            prop_assert_eq!(all.trace.hash(), expected);
        }

        #[test]
        fn binding_is_mapping_twice(value in 0u32..100) {
            let scheduler = Scheduler::new();
            let first = number(&scheduler, value);
            let again = scheduler.clone();
            let bound = first.bind(move |built| number(&again, built.value + 1));
            let mapped = first.map(move |first| Ok(built(first.value + 1)));
            let both = collect(&scheduler, [bound, mapped]);
            prop_assert_eq!(&run(&scheduler, &both).unwrap().value, &[value + 1, value + 1]);
        }
    }

    #[test]
    fn a_failure_stops_what_needs_it_and_nothing_else() {
        let scheduler = Scheduler::new();
        let bad: Job<u32> = Job::spawn(&scheduler, || Err(Failed));
        let needs_bad =
            bad.map(|_| -> Result<Built<u32>, Failed> { unreachable!("its input failed") });
        let all = settle(&scheduler, [bad, number(&scheduler, 1), needs_bad]);
        let settled = run(&scheduler, &all).unwrap();
        let values: Vec<_> =
            settled.value.iter().map(|finished| finished.as_ref().ok().map(|b| b.value)).collect();
        assert_eq!(values, [None, Some(1), None]);
        let collected = collect(&scheduler, [number(&scheduler, 1), needs_failed(&scheduler)]);
        assert_eq!(run(&scheduler, &collected).map(|_| ()), Err(Failed));
    }

    fn needs_failed(scheduler: &Arc<Scheduler>) -> Job<u32> {
        Job::spawn(scheduler, || Err(Failed))
    }

    #[test]
    fn each_key_is_made_once() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let scheduler = Scheduler::new();
        let registry = Registry::default();
        let ask = || {
            registry.fetch("key", || {
                MADE.fetch_add(1, Ordering::Relaxed);
                number(&scheduler, 7)
            })
        };
        let all = collect(&scheduler, [ask(), ask(), ask()]);
        assert_eq!(run(&scheduler, &all).unwrap().value, [7, 7, 7]);
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_job_that_waits_for_itself_is_noticed() {
        let scheduler = Scheduler::new();
        let never: Job<u32> = Job::pending(&scheduler);
        let waits = never.map(|_| Err::<Built<u32>, _>(Failed));
        let Ok(ended) = scheduler.run::<u32, ()>(2, || Ok(waits)) else { unreachable!() };
        assert!(ended.finished().is_none());
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let scheduler = Scheduler::new();
        let mut job = number(&scheduler, 0);
        for _ in 0..100_000 {
            job = job.map(|last| Ok(built(last.value + 1)));
        }
        assert_eq!(run(&scheduler, &job).unwrap().value, 100_000);
        std::mem::forget(job);
    }
}
