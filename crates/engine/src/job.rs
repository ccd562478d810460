//! Jobs: results to come, with their traces.
//!
//! A job is made from others by [`Job::map`], [`Job::flow`] and [`collect`]; nothing waits for another
//! job by blocking a thread. A task runs when what it needs is done, on a thread of the [`Pool`]; a
//! task that runs a command blocks its thread until the command ends.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_trace::BuildTrace;

use crate::pool::{Group, Pool, Task};

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

/// How a job goes on when what it needs is there.
pub enum Flow<T> {
    /// It has ended.
    Ended(Result<Built<T>, Failed>),
    /// It ends as another job does.
    Continued(Job<T>),
}

/// Queues the tasks of one build in a pool that other builds may share.
pub struct Scheduler {
    pool: Arc<Pool>,
    group: Arc<Group>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    /// A scheduler whose tasks run in `pool`.
    pub fn new(pool: Arc<Pool>) -> Arc<Self> {
        Arc::new(Self { pool, group: Arc::default() })
    }

    /// Queues a task after those that are ready.
    fn later(&self, task: Task) {
        self.pool.queue(&self.group, task, false);
    }

    /// Queues a task before those that are ready: what has become possible by work just done.
    fn soon(&self, task: Task) {
        self.pool.queue(&self.group, task, true);
    }

    /// Calls `plan` on this thread, while others already run the tasks that it queues; then runs tasks
    /// until none is left, and gives the job that `plan` gave. What is left when `plan` fails is
    /// dropped. The job has not finished if it waits for itself.
    ///
    /// # Errors
    /// That of `plan`.
    pub fn run<T: Send + Sync + 'static, E>(
        &self,
        plan: impl FnOnce() -> Result<Job<T>, E>,
    ) -> Result<Job<T>, E> {
        let planned = self.pool.keep_open(&self.group, plan);
        if planned.is_err() {
            self.pool.cancel(&self.group);
        }
        self.pool.work_for(&self.group);
        planned
    }

    /// What jobs said that panicked, since this was last asked. Each of them has failed.
    pub fn panics(&self) -> Vec<String> {
        self.group.panics()
    }

    /// Does `work`; a panic in it is a failure, and noted.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failed> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            self.group.panicked(&*panic);
            Failed
        })
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
    /// It has not ended; whom to tell when it has.
    Pending(Vec<WhenDone<T>>),
    /// It has ended.
    Done(Finished<T>),
}

type WhenDone<T> = Box<dyn FnOnce(&Finished<T>) + Send>;

impl<T: Send + Sync + 'static> Job<T> {
    pub(crate) fn pending(scheduler: &Arc<Scheduler>) -> Self {
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
        work: impl FnOnce() -> Flow<T> + Send + 'static,
    ) -> Self {
        let job = Self::pending(scheduler);
        let result = job.clone();
        scheduler.later(Box::new(move || result.end_with(work)));
        job
    }

    /// A job that works on this one's result. It fails when this one does.
    pub fn map<U: Send + Sync + 'static>(
        &self,
        work: impl FnOnce(&Built<T>) -> Result<Built<U>, Failed> + Send + 'static,
    ) -> Job<U> {
        self.flow(move |built| Flow::Ended(work(built)))
    }

    /// A job that works on this one's result and may then go on as another job. It fails when this one
    /// does.
    pub fn flow<U: Send + Sync + 'static>(
        &self,
        work: impl FnOnce(&Built<T>) -> Flow<U> + Send + 'static,
    ) -> Job<U> {
        let scheduler = &self.0.scheduler;
        let job = Job::pending(scheduler);
        let (result, scheduler) = (job.clone(), scheduler.clone());
        // Failures travel by tasks as well: a chain of jobs may be as long as a manifest.
        self.when_done(Box::new(move |finished| {
            let finished = finished.clone();
            scheduler.soon(Box::new(move || match finished {
                Ok(built) => result.end_with(|| work(&built)),
                Err(failed) => result.complete(Err(failed)),
            }));
        }));
        job
    }

    /// Ends as `work` says.
    fn end_with(&self, work: impl FnOnce() -> Flow<T>) {
        match self.0.scheduler.guarded(work).unwrap_or(Flow::Ended(Err(Failed))) {
            Flow::Ended(finished) => self.complete(finished.map(Arc::new)),
            Flow::Continued(job) => self.follow(&job),
        }
    }

    /// Ends as `other` does.
    pub(crate) fn follow(&self, other: &Self) {
        let own = self.clone();
        other.when_done(Box::new(move |finished| own.complete(finished.clone())));
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

    pub(crate) fn complete(&self, finished: Finished<T>) {
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

/// Jobs by key: each is made once, however many ask for it at once.
pub struct Registry<K, T> {
    jobs: Mutex<HashMap<K, Job<T>>>,
}

impl<K, T> Default for Registry<K, T> {
    fn default() -> Self {
        Self { jobs: Mutex::default() }
    }
}

impl<K: Eq + std::hash::Hash, T: Send + Sync + 'static> Registry<K, T> {
    /// The job under `key`; made by `make` when nobody asked for it before.
    pub fn fetch(
        &self,
        scheduler: &Arc<Scheduler>,
        key: K,
        make: impl FnOnce() -> Job<T>,
    ) -> Job<T> {
        let mut jobs = lock(&self.jobs);
        if let Some(job) = jobs.get(&key) {
            return job.clone();
        }
        let job = Job::pending(scheduler);
        jobs.insert(key, job.clone());
        // Made without holding the lock, since making one may fetch others.
        drop(jobs);
        job.follow(&make());
        job
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
