//! Jobs: results to come, with their traces.
//!
//! A job is made from others by [`Job::map`], [`Job::flow`] and [`collect`]; nothing waits for another
//! job by blocking a thread. A task runs when what it needs is done, on a thread of the [`Pool`]; one that
//! runs a command or fetches blocks its thread until that ends, in a slot of its [`Lane`].

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use larder_trace::BuildTrace;

use crate::{
    pool::{Group, Lane, Pool, Task},
    timeline::{Kind, Timeline},
};

/// A job failed. What there is to say about it has been reported where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// The result of a job: a value and the trace of it.
#[derive(Debug)]
pub struct Built<T> {
    /// The value.
    pub value: T,
    /// The trace of all that it depends on.
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
    /// Whether what has not begun is to fail instead.
    given_up: AtomicBool,
    timeline: Option<Arc<Timeline>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    /// A scheduler whose tasks run in `pool`.
    pub fn new(pool: Arc<Pool>) -> Arc<Self> {
        Self::timed(pool, None)
    }

    /// The same, whose tasks are spans of `timeline`.
    pub fn timed(pool: Arc<Pool>, timeline: Option<Arc<Timeline>>) -> Arc<Self> {
        let (group, given_up) = (Arc::default(), AtomicBool::new(false));
        Arc::new(Self { pool, group, given_up, timeline })
    }

    fn in_span(&self, lane: Lane, task: Task) -> Task {
        let Some(timeline) = self.timeline.clone() else { return task };
        let (kind, name) = match lane {
            Lane::Local => (Kind::Examine, "looking at what is there"),
            Lane::Fetch => (Kind::Fetch, "asking a service"),
            Lane::Remote => (Kind::Execute, "having it done elsewhere"),
        };
        Box::new(move || {
            let _span = timeline.span(kind, name);
            task();
        })
    }

    /// Queues a task after those that are ready.
    fn later(&self, lane: Lane, task: Task) {
        self.pool.queue(&self.group, lane, self.in_span(lane, task), false);
    }

    /// Queues a task before those that are ready: what has become possible by work just done.
    fn soon(&self, lane: Lane, task: Task) {
        self.pool.queue(&self.group, lane, self.in_span(lane, task), true);
    }

    /// Calls `plan` on this thread, while others already run the tasks that it queues; then runs tasks
    /// until none is left, and gives the job that `plan` gave. Jobs that have not begun when `plan`
    /// fails fail as well. The job has not finished if it waits for itself.
    ///
    /// # Errors
    /// That of `plan`.
    pub fn run<T: Send + Sync + 'static, E>(
        &self,
        plan: impl FnOnce() -> Result<Job<T>, E>,
    ) -> Result<Job<T>, E> {
        let planned = self.pool.keep_open(&self.group, || {
            // Jobs that nobody ends would be dropped one inside the other, as deep as a chain is long.
            plan().inspect_err(|_| self.given_up.store(true, Ordering::Relaxed))
        });
        {
            // This thread is one of those that work, in a slot of its own.
            let timeline = self.timeline.as_deref();
            let _building = timeline.map(|timeline| timeline.span(Kind::Build, "building"));
            self.pool.work_for(&self.group);
        }
        self.given_up.store(false, Ordering::Relaxed);
        planned
    }

    /// Returns the messages of the jobs that panicked since this was last asked. Each of them has
    /// failed.
    pub fn panics(&self) -> Vec<String> {
        self.group.panics()
    }

    /// Does `work`; a panic in it is a failure, and noted.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failed> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(Failed);
        }
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
    /// It has not ended; who waits for it.
    Pending(Vec<Waiting<T>>),
    /// It has ended.
    Done(Finished<T>),
}

/// Called when a job has ended.
type Notify<T> = Box<dyn FnOnce(&Finished<T>) + Send>;

/// Who waits for a job.
enum Waiting<T> {
    /// A job that ends as this one does.
    Follower(Job<T>),
    /// A function to call, on whichever thread the job ends.
    Call(Notify<T>),
}

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
        scheduler.later(Lane::Local, Box::new(move || result.end_with(work)));
        job
    }

    /// A job that goes on with work that has begun elsewhere, in a slot of `lane`.
    pub fn go_on(
        scheduler: &Arc<Scheduler>,
        lane: Lane,
        work: impl FnOnce() -> Flow<T> + Send + 'static,
    ) -> Self {
        let job = Self::pending(scheduler);
        let result = job.clone();
        scheduler.soon(lane, Box::new(move || result.end_with(work)));
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
        self.when_done(move |finished| {
            let finished = finished.clone();
            scheduler.soon(
                Lane::Local,
                Box::new(move || match finished {
                    Ok(built) => result.end_with(|| work(&built)),
                    Err(failed) => result.complete(Err(failed)),
                }),
            );
        });
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
    fn follow(&self, other: &Self) {
        other.tell(Waiting::Follower(self.clone()));
    }

    /// Calls `notify` when this job is done, on whichever thread completes it.
    fn when_done(&self, notify: impl FnOnce(&Finished<T>) + Send + 'static) {
        self.tell(Waiting::Call(Box::new(notify)));
    }

    /// Tells `waiting` how this job has ended, when it has.
    fn tell(&self, waiting: Waiting<T>) {
        let mut state = lock(&self.0.state);
        match &mut *state {
            State::Pending(all) => all.push(waiting),
            State::Done(finished) => {
                let finished = finished.clone();
                drop(state);
                match waiting {
                    Waiting::Follower(job) => job.complete(finished),
                    Waiting::Call(notify) => notify(&finished),
                }
            }
        }
    }

    /// Ends the job, and with it all that end as it does. One that has ended stays as it is.
    pub(crate) fn complete(&self, finished: Finished<T>) {
        // No call for each: jobs may follow one another as long as a manifest.
        let mut ending = vec![self.clone()];
        while let Some(job) = ending.pop() {
            let mut state = lock(&job.0.state);
            let State::Pending(waiting) = &mut *state else { continue };
            let waiting = std::mem::take(waiting);
            *state = State::Done(finished.clone());
            drop(state);
            for one in waiting {
                match one {
                    Waiting::Follower(job) => ending.push(job),
                    Waiting::Call(notify) => notify(&finished),
                }
            }
        }
    }

    /// Returns how it ended, if it has.
    pub fn finished(&self) -> Option<Finished<T>> {
        match &*lock(&self.0.state) {
            State::Done(finished) => Some(finished.clone()),
            State::Pending(_) => None,
        }
    }
}

/// Returns how each of `jobs` ended, in order, when all have. Fails only with its whole build.
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
                scheduler.soon(
                    Lane::Local,
                    Box::new(move || {
                        let value =
                            jobs.iter().map(|job| job.finished().unwrap_or(Err(Failed))).collect();
                        result.complete(Ok(Arc::new(Built {
                            value,
                            trace: BuildTrace::nil("settled"),
                        })));
                    }),
                );
            }
        })
    };
    for job in &*jobs {
        let arrived = arrived.clone();
        job.when_done(move |_| arrived());
    }
    arrived();
    job
}

/// Returns the results of `jobs` in order, with their traces mixed in that order. Fails when one of them
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
    /// Returns the job under `key`; made by `make` when nobody asked for it before. It fails when `make`
    /// panics.
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
        match scheduler.guarded(make) {
            Ok(made) => job.follow(&made),
            Err(failed) => job.complete(Err(failed)),
        }
        job
    }
}
