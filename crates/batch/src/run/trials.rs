//! Trying both sides of packages by turns, until it is clear what is to be said of them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use larder_engine::session::Session;
use larder_runs::result::{Stage, StageResult};

use super::{
    BatchError,
    attend::{Attendance, pause},
    job::Done,
    perform::{Performed, Try},
    witness::Witness,
    work,
};
use crate::{
    build::{self, Kind, Workshop},
    compare::{
        evidence,
        pairs::Comparison,
        trial::{Attempt, Next, Side, Trial},
    },
    event::Event,
    graph::BuildId,
    hashes,
    queue::{Queue, Turn},
    schedule::{Expected, Schedule, Task},
    tasks::Part,
};

/// The trials of a comparison that are not decided.
pub struct Trials<'t> {
    open: Vec<Open<'t>>,
    witness: &'t Witness,
}

/// A trial that is not decided.
struct Open<'t> {
    builds: [BuildId; 2],
    trial: Mutex<&'t mut Trial>,
}

/// What came of going on with a trial.
enum Came {
    /// It is decided.
    Decided,
    /// The weather was in the way; it is to be gone on with after so long.
    Spoiled(Duration),
    /// It was interrupted.
    Interrupted,
}

impl<'t> Trials<'t> {
    /// Those that are open among the trials of all pairs.
    pub fn new(
        comparison: &'t Comparison,
        witness: &'t Witness,
        trials: &'t mut [Option<Trial>],
    ) -> Self {
        let pairs = comparison.all_pairs().zip(trials);
        let open = pairs.filter_map(|(pair, trial)| {
            let trial = trial.as_mut().filter(|trial| matches!(trial.next(), Next::Try(_)))?;
            Some(Open { builds: pair.builds()?, trial: Mutex::new(trial) })
        });
        Self { open: open.collect(), witness }
    }

    /// Goes on until all are decided. Many packages are tried at a time, and of each one side after the other.
    ///
    /// # Errors
    /// When a result could not be recorded.
    pub fn decide(
        &self,
        session: &Arc<Session>,
        attendance: &Attendance<'_>,
    ) -> Result<(), BatchError> {
        let task = |open: &Open<'_>| {
            let cost = |build| attendance.cost(Part { build, stage: Stage::Build });
            let [base, candidate] = open.builds.map(cost);
            let memory = base.memory.max(candidate.memory);
            let expected = Expected { time: base.time.max(candidate.time), memory };
            Task { needs: Vec::new(), expected }
        };
        let schedule = Schedule::new(self.open.iter().map(task).collect());
        let queue = Queue::new(schedule.within(attendance.request.memory));
        let shop = attendance.shop.for_trials();
        let threads = attendance.request.jobs.min(self.open.len());
        work(session, attendance.run, threads, &**attendance.reporter, &|| {
            self.work(&queue, &shop, attendance)
        })
    }

    fn work(
        &self,
        queue: &Queue,
        shop: &Workshop,
        attendance: &Attendance<'_>,
    ) -> Result<(), BatchError> {
        while let Some(turn) = queue.next(|| attendance.stops()) {
            let Turn { task, attempt, .. } = turn;
            let came = self.go_on(&self.open[task], attempt, shop, attendance);
            match came.inspect_err(|_| attendance.give_up())? {
                Came::Decided => _ = queue.end(task, true),
                Came::Spoiled(wait) => queue.again(turn, wait),
                Came::Interrupted => {}
            }
        }
        Ok(())
    }

    /// Tries one side after the other, until it is decided or the weather is in the way for the `time`th time.
    fn go_on(
        &self,
        open: &Open<'_>,
        time: u32,
        shop: &Workshop,
        attendance: &Attendance<'_>,
    ) -> Result<Came, BatchError> {
        let mut trial = lock(&open.trial);
        while let Next::Try(side) = trial.next() {
            if attendance.stops() {
                return Ok(Came::Interrupted);
            }
            let [base, candidate] = open.builds;
            let build = if side == Side::Base { base } else { candidate };
            let Some(result) = attendance.try_afresh(build, shop, self.witness)? else {
                return Ok(Came::Interrupted);
            };
            let attempt = evidence::attempt(&result);
            trial.note(side, attempt);
            if attempt == Attempt::Weather && matches!(trial.next(), Next::Try(_)) {
                let wait = pause(time);
                let task = attendance.name(Part { build, stage: result.stage });
                let category = &result.category;
                attendance.reporter.event(&Event::Again { task: &task, category, wait });
                return Ok(Came::Spoiled(wait));
            }
        }
        Ok(Came::Decided)
    }
}

impl Attendance<'_> {
    /// Builds and tests a package from scratch in a workshop for trials, and records both; `witness` has seen those
    /// before. Returns the result that decides; `None` where it was interrupted.
    pub(crate) fn try_afresh(
        &self,
        build: BuildId,
        shop: &Workshop,
        witness: &Witness,
    ) -> Result<Option<StageResult>, BatchError> {
        let part = Part { build, stage: Stage::Build };
        let name = self.name(part);
        let attempt = witness.next_attempt(&name.build_hash, part.stage);
        let Some(task) = self.task(build) else {
            return Ok(Some(self.record_bereft(part, attempt)?.result));
        };
        let dep_hash = hashes::name(&task.dep_hash(&shop.platform));
        // A trial waits for the other side too, and that is no measure of anything.
        let (expected, queued) = (Duration::ZERO, None);
        let mut kept = None;
        let now = Try { part, name: &name, task: &task, dep_hash, attempt, expected, queued };
        let performed = self.perform(now, |log| {
            let (built, trial) = build::afresh(shop, &task, log);
            kept = trial;
            Done::from(built)
        })?;
        let Performed::Ended(result, _) = performed else { return Ok(None) };
        let built = self.record(*result)?.result;
        let Some(trial) = kept.filter(|_| task.recipe.has_tests()) else {
            return Ok(Some(built));
        };
        let part = Part { build, stage: Stage::Test };
        let name = self.name(part);
        let attempt = witness.next_attempt(&name.build_hash, part.stage);
        let dep_hash =
            hashes::name(&build::dep_hash(&shop.platform, &task, &trial.layer, Kind::Test));
        let now = Try { part, name: &name, task: &task, dep_hash, attempt, expected, queued };
        let tested = |log: &_| build::test(shop, &task, &trial.layer, log).into();
        Ok(match self.perform(now, tested)? {
            Performed::Ended(result, _) => Some(self.record(*result)?.result),
            Performed::Nothing => Some(built),
            Performed::Interrupted => None,
        })
    }
}

fn lock<'m, T>(mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
