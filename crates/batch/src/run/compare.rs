//! A run that compares two sides.
//!
//! First attempts are those of any run: one schedule has the builds of both sides in it, and whatever is there already or
//! has failed with just the same inputs counts. Where the sides then differ, or both fail, they are tried again from
//! scratch, side by side, until a [trial](crate::compare::trial) is decided. The layers that are there stay as they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_engine::session::Session;
use larder_runs::{
    gc,
    name::HashName,
    progress::Phase,
    result::{Entry, Stage},
    run_log::{Ending, Run},
    time::Clock,
};
use larder_trace::{atomic, describe_io};

use super::{
    BatchError, Report, Request, attend::Attendance, build, collect, enter, plan, references,
    trials::Trials,
};
use crate::{
    compare::{
        evidence::{judge, trial},
        outcome::{self, Outcome},
        pairs::{Comparison, Pair, Place},
        trial::Trial,
    },
    event::{Event, Reporter},
};

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// The run.
    pub report: Report,
    /// What was found out; nothing, where it was interrupted.
    pub outcome: Option<Outcome>,
}

/// Finds out what `comparison` asks, telling `reporter` as it goes. The outcome is in the run's directory as well.
///
/// # Errors
/// Why there was no run, or it could not go on; then it counts as died, and what it recorded counts.
pub fn compare(
    session: &Arc<Session>,
    request: &Request,
    comparison: &Comparison,
    reporter: &Arc<dyn Reporter>,
) -> Result<Compared, BatchError> {
    let _finishing = session.processes.finish_parts();
    let prepared = &comparison.prepared;
    let run = Run::start(&request.data, plan(request, prepared), Clock::system())?;
    reporter.event(&Event::Begun { run: run.id(), packages: run.plan().targets.len() });
    enter(&run, Phase::Blessings, &**reporter)?;
    gc::publish_references(&request.data, &run, &references(prepared))?;
    enter(&run, Phase::Building, &**reporter)?;
    let witness = Arc::new(Witness::new(reporter.clone()));
    let watched: Arc<dyn Reporter> = witness.clone();
    let stages = [Stage::Build, Stage::Test];
    let mut trials = Vec::new();
    build(session, request, prepared, &run, &watched, &stages, |attendance: &Attendance<'_>| {
        trials = begin(comparison, &witness);
        Trials::new(comparison, &witness, &mut trials).decide(session, attendance)
    })?;
    let interrupted = session.processes.closing() || session.processes.interrupted();
    let mut outcome = None;
    if !interrupted {
        let found = outcome.insert(conclude(comparison, &run, &trials, &witness));
        write(&run, found)?;
        enter(&run, Phase::Gc, &**reporter)?;
        collect(request, &**reporter);
    }
    enter(&run, Phase::Completed, &**reporter)?;
    let id = run.id().clone();
    let summary = run.finish(if interrupted { Ending::Interrupted } else { Ending::Complete })?;
    Ok(Compared { report: Report { run: id, summary, interrupted }, outcome })
}

/// The trials of all pairs, as far as first attempts bring them; none where there is nothing to try.
fn begin(comparison: &Comparison, witness: &Witness) -> Vec<Option<Trial>> {
    let of = |pair: &Pair| {
        let [base, candidate] = witness.of_pair(comparison, pair);
        trial(pair, &base, &candidate)
    };
    comparison.pairs.iter().map(of).collect()
}

fn conclude(
    comparison: &Comparison,
    run: &Run,
    trials: &[Option<Trial>],
    witness: &Witness,
) -> Outcome {
    let judged = comparison.pairs.iter().zip(trials).map(|(pair, trial)| {
        let [base, candidate] = witness.of_pair(comparison, pair);
        let mut judged = judge(pair, trial.as_ref(), &base, &candidate);
        let hash = |place: &Place| match place {
            Place::Build(id) => Some(comparison.prepared.builds.get(*id).hash.clone()),
            Place::Unsolved(_) => None,
        };
        judged.base.build_hash = hash(&pair.base);
        judged.candidate.build_hash = hash(&pair.candidate);
        judged
    });
    let names = [comparison.base.clone(), comparison.candidate.clone()];
    let (added, removed) = (comparison.added.clone(), comparison.removed.clone());
    Outcome::new(run.id().clone(), names, judged.collect(), added, removed)
}

fn write(run: &Run, outcome: &Outcome) -> Result<(), BatchError> {
    let path = run.dir().join(outcome::FILE);
    let text = serde_json::to_vec_pretty(outcome).map_err(std::io::Error::from);
    let written = text.and_then(|mut text| {
        text.push(b'\n');
        atomic::write(&path, &text)
    });
    written.map_err(|error| BatchError::Outcome { path, reason: describe_io(&error) })
}

/// Remembers each result, and passes all events on.
pub struct Witness {
    reporter: Arc<dyn Reporter>,
    seen: Mutex<HashMap<HashName, Vec<Entry>>>,
}

impl Witness {
    fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self { reporter, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<HashName, Vec<Entry>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded of both sides of a pair.
    fn of_pair(&self, comparison: &Comparison, pair: &Pair) -> [Vec<Entry>; 2] {
        let seen = self.seen();
        [&pair.base, &pair.candidate].map(|place| match place {
            Place::Unsolved(_) => Vec::new(),
            Place::Build(id) => {
                let hash = &comparison.prepared.builds.get(*id).hash;
                seen.get(hash).cloned().unwrap_or_default()
            }
        })
    }

    /// The number of the next attempt at a stage of a build.
    pub fn next_attempt(&self, build: &HashName, stage: Stage) -> u32 {
        let seen = self.seen();
        let entries = seen.get(build).into_iter().flatten();
        let attempts = entries.filter(|entry| entry.result.stage == stage);
        attempts.map(|entry| entry.result.attempt).max().unwrap_or_default() + 1
    }
}

impl Reporter for Witness {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { entry } = event
            && let Some(hash) = &entry.result.build_hash
        {
            self.seen().entry(hash.clone()).or_default().push((*entry).clone());
        }
        self.reporter.event(event);
    }
}
