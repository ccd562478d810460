//! Attending to tasks: is a task done already, is somebody else at it, and what comes of doing it?

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_runs::{
    build_lock::{self, BuildLock, Purpose},
    classify::Rules,
    name::HashName,
    result::{Entry, Stage},
    run_log::Run,
};

use super::{
    BatchError, Prepared, Request,
    job::{Job, build_task, job},
    perform::{Performed, Try},
};
use crate::{
    build::{BuildTask, Workshop},
    event::{Event, Reporter, TaskName},
    graph::BuildId,
    hashes,
    layer::Layer,
    past::{self, Past},
    queue::{Queue, Turn},
    schedule::{Expected, TaskId},
    tasks::{Part, Tasks},
};

/// How often a task is tried that fails for a reason which may have passed later.
const ATTEMPTS: u32 = 3;

/// How long the second attempt waits; each further one waits three times as long.
const PAUSE: Duration = Duration::from_secs(2);

/// How often it is looked whether somebody else has done a task.
const LOOK: Duration = Duration::from_millis(100);

/// How long to wait after an attempt that the weather spoiled, the first of which is 1.
pub(super) fn pause(attempt: u32) -> Duration {
    PAUSE * 3_u32.pow(attempt.clamp(1, ATTEMPTS) - 1)
}

/// The threads of a run share this.
pub struct Attendance<'r> {
    pub(super) request: &'r Request,
    pub(super) prepared: &'r Prepared,
    pub(super) tasks: &'r Tasks,
    past: Past,
    pub(super) run: &'r Run,
    pub(super) reporter: &'r Arc<dyn Reporter>,
    pub(crate) shop: &'r Workshop,
    /// The ecosystem's own rules, where it has any.
    rules: Option<Rules>,
    /// The number of each task's first attempt in the run.
    pub(super) first: u32,
    /// How many packages there are to be worked on now.
    busy: AtomicUsize,
    /// The tasks that somebody else was seen to do.
    waited: Mutex<HashSet<TaskId>>,
    /// What this run has recorded, by stage and the hash of what it depended on.
    known: Mutex<HashMap<(Stage, HashName), Entry>>,
    /// Whether a result could not be recorded: nothing more is worth doing.
    broken: AtomicBool,
}

/// What came of attending to a task.
enum Attended {
    /// It is over: whether it worked.
    Over(bool),
    /// It is to be tried again, after so long.
    Again(Duration),
    /// Somebody else does it.
    Busy,
    /// It was interrupted: nothing is known of it.
    Interrupted,
}

impl<'r> Attendance<'r> {
    /// Begins to attend to the tasks of a run.
    ///
    /// # Errors
    /// When the ecosystem's own rules cannot be read.
    pub fn new(
        request: &'r Request,
        prepared: &'r Prepared,
        tasks: &'r Tasks,
        past: Past,
        run: &'r Run,
        shop: &'r Workshop,
        reporter: &'r Arc<dyn Reporter>,
    ) -> Result<Self, BatchError> {
        Ok(Self {
            request,
            prepared,
            tasks,
            past,
            run,
            reporter,
            shop,
            rules: Rules::of_ecosystem(&request.data)?,
            first: 1,
            busy: AtomicUsize::new(1),
            waited: Mutex::default(),
            known: Mutex::default(),
            broken: AtomicBool::new(false),
        })
    }

    /// The rules that logs are classified by.
    pub(super) fn rules(&self) -> &Rules {
        self.rules.as_ref().unwrap_or_else(|| Rules::built_in())
    }

    /// The same, of tasks that have been tried in this run before: `first` is the number of their next attempt.
    pub fn counting_from(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// What a part is expected to take: nothing, where the layer of its build is there, for then it is most
    /// likely done.
    pub fn expected(&self, part: Part) -> Expected {
        match self.shop.layers.has(&self.prepared.builds.get(part.build).hash) {
            true => Expected::default(),
            false => self.cost(part),
        }
    }

    /// What it is expected to take to do a part.
    pub(super) fn cost(&self, part: Part) -> Expected {
        let package = self.prepared.builds.get(part.build).package;
        let package = &self.prepared.catalogue.get(package).id;
        // A history that cannot be read is said when it is written to.
        past::expected(&self.request.data, package, part.stage).unwrap_or_default()
    }

    /// Does tasks of the queue until there are no more.
    ///
    /// # Errors
    /// When a result could not be recorded. Then no thread begins another task.
    pub fn work(&self, queue: &Queue) -> Result<(), BatchError> {
        while let Some(turn) = queue.next(|| self.stops()) {
            self.busy.store(queue.busy(), Ordering::Relaxed);
            let attended = self.attend(turn).and_then(|attended| match attended {
                Attended::Over(worked) => {
                    let blocked = queue.end(turn.task, worked);
                    let left = queue.left(self.request.jobs);
                    self.reporter.event(&Event::Advanced { left });
                    blocked.iter().try_for_each(|blocked| self.block(blocked))
                }
                Attended::Again(wait) => {
                    queue.again(turn, wait);
                    Ok(())
                }
                Attended::Busy => {
                    queue.put_off(turn, LOOK);
                    Ok(())
                }
                Attended::Interrupted => Ok(()),
            });
            attended.inspect_err(|_| self.give_up())?;
        }
        Ok(())
    }

    /// Lets no further task begin.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// How many commands a package may run at once by itself: its part of all, where others are worked on as well.
    fn share(&self) -> usize {
        let jobs = self.request.jobs;
        jobs / self.busy.load(Ordering::Relaxed).clamp(1, jobs.max(1))
    }

    /// Whether no further task is to begin.
    pub(crate) fn stops(&self) -> bool {
        self.shop.session.processes.ending() || self.broken.load(Ordering::Acquire)
    }

    fn attend(&self, turn: Turn) -> Result<Attended, BatchError> {
        let part = self.tasks.part(turn.task);
        let name = self.name(part);
        let layer = self.shop.layers.find(&name.build_hash);
        if part.stage == Stage::Build
            && let Some(layer) = &layer
        {
            self.record(self.there(part, hashes::name(&layer.record.dep_hash)))?;
            return Ok(Attended::Over(true));
        }
        let Some(job) = self.job(part, layer) else {
            self.record_bereft(part, turn.attempt)?;
            return Ok(Attended::Over(false));
        };
        let dep_hash = hashes::name(&job.dep_hash(&self.shop.platform));
        let dep_hashes = hashes::of_results(&dep_hash, &job.task().allowance);
        let counts = turn.attempt == 1 && !self.is_wanted_again(part);
        let known = match counts {
            // Another build of this run may have come to the same.
            true => match self.past.result(&name.package, part.stage, &dep_hashes)? {
                None => self.known(part.stage, &dep_hashes),
                past => past,
            },
            false => None,
        };
        if let Some(known) = known
            && self.holds(&known, &self.past, part, &job)?
        {
            self.record_known(part, &known.result)?;
            return Ok(Attended::Over(known.result.is_success()));
        }
        match self.lock(&name)? {
            Some(_lock) => match self.done_meanwhile(part, &name, &job, &dep_hashes)? {
                Some(worked) => Ok(Attended::Over(worked)),
                None => self.attempt(part, &name, &job, dep_hash, turn),
            },
            None => {
                if self.waited().insert(turn.task) {
                    self.tell_waiting(&name)?;
                }
                Ok(Attended::Busy)
            }
        }
    }

    /// What this run has recorded of something that depended on just the same.
    fn known(&self, stage: Stage, dep_hashes: &[HashName]) -> Option<Entry> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        dep_hashes.iter().find_map(|hash| known.get(&(stage, hash.clone())).cloned())
    }

    /// Takes note of a result, where it says something of whatever depends on the same.
    pub(super) fn note(&self, entry: &Entry) {
        if let Some(dep_hash) = &entry.result.dep_hash
            && past::says_something(&entry.result)
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert((entry.result.stage, dep_hash.clone()), entry.clone());
        }
    }

    /// Whether another run has done a task since this one began: that is as good as what is asked for now. Tells whether it
    /// worked.
    fn done_meanwhile(
        &self,
        part: Part,
        name: &TaskName,
        job: &Job,
        dep_hashes: &[HashName],
    ) -> Result<Option<bool>, BatchError> {
        let past = Past::new(&self.request.data, self.request.kind, None);
        let known = past.result(&name.package, part.stage, dep_hashes)?.filter(|entry| {
            entry.run != *self.run.id() && entry.result.end >= self.run.start_time()
        });
        match known {
            Some(known) if self.holds(&known, &past, part, job)? => {
                self.record_known(part, &known.result)?;
                Ok(Some(known.result.is_success()))
            }
            _ => Ok(None),
        }
    }

    /// Whether what is known of a task is as good as doing it.
    fn holds(
        &self,
        known: &Entry,
        past: &Past,
        part: Part,
        job: &Job,
    ) -> larder_runs::Result<bool> {
        let build = self.prepared.builds.get(part.build);
        job.is_answered_by(&known.result, past, build, &self.request.data)
    }

    fn waited(&self) -> MutexGuard<'_, HashSet<TaskId>> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the same result as before is not enough: somebody asked for it to be tried again.
    fn is_wanted_again(&self, part: Part) -> bool {
        self.request.again && self.prepared.is_asked_for(part.build)
    }

    /// Takes the lock on a task. `None` when somebody else has it.
    fn lock(&self, name: &TaskName) -> larder_runs::Result<Option<BuildLock>> {
        let (purpose, target) = locked(name);
        build_lock::try_acquire(&self.request.data.locks(), purpose, &target)
    }

    /// Tells who does a task that somebody else does.
    fn tell_waiting(&self, name: &TaskName) -> larder_runs::Result<()> {
        let (purpose, target) = locked(name);
        let locks = build_lock::list_active(&self.request.data.locks())?;
        let holder = locks.iter().find(|lock| lock.purpose == purpose && lock.target == target);
        // They may have ended by now.
        if let Some(holder) = holder {
            self.reporter.event(&Event::Waiting { task: name, holder });
        }
        Ok(())
    }

    /// Does a task, and records what came of it.
    fn attempt(
        &self,
        part: Part,
        name: &TaskName,
        job: &Job,
        dep_hash: HashName,
        Turn { attempt, expected, ready, .. }: Turn,
    ) -> Result<Attended, BatchError> {
        let queued = Some(ready.elapsed());
        let now = Try { part, name, task: job.task(), dep_hash, attempt, expected, queued };
        let (result, failure) = match self.perform(now, |log| job.run(self.shop, log))? {
            Performed::Ended(result, failure) => (*result, failure),
            Performed::Nothing => {
                self.reporter.event(&Event::Nothing { task: name });
                return Ok(Attended::Over(true));
            }
            Performed::Interrupted => return Ok(Attended::Interrupted),
        };
        // A limit of its own that it has reached, it would reach again.
        let by_itself = failure.as_ref().is_some_and(|failure| failure.limit.is_none());
        let weather = by_itself && result.category.is_weather() && attempt < ATTEMPTS;
        let entry = self.record(result)?;
        if !weather {
            return Ok(Attended::Over(failure.is_none()));
        }
        let wait = pause(attempt);
        self.reporter.event(&Event::Again { task: name, category: &entry.result.category, wait });
        Ok(Attended::Again(wait))
    }

    /// The work of a part, given the layer of its build; `None` where a layer that it needs is gone.
    fn job(&self, part: Part, layer: Option<Layer>) -> Option<Job> {
        job(self.prepared, &self.request.data, part, self.task(part.build)?, layer)
    }

    /// What is to be built, with the layers that it needs; `None` where one of these is gone.
    pub(super) fn task(&self, id: BuildId) -> Option<BuildTask> {
        let task = build_task(self.request, self.prepared, &self.shop.layers, id)?;
        Some(BuildTask { jobs: self.share(), ..task })
    }

    pub(super) fn name(&self, part: Part) -> TaskName {
        self.prepared.name(part)
    }
}

/// What is locked while a task is done. The beginning of a hash tells builds apart; where it did not, one would wait
/// for the other.
fn locked(name: &TaskName) -> (Purpose, String) {
    let purpose = match name.stage {
        Stage::Solve | Stage::Build => Purpose::Build,
        Stage::Test => Purpose::Test,
        Stage::Doc => Purpose::Doc,
    };
    (purpose, format!("{}-{:.12}", name.package, name.build_hash))
}
