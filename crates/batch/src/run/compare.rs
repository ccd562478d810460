//! A run that compares two sides.
//!
//! First attempts are those of any run: one schedule has the builds of both sides in it, and whatever is there already or
//! has failed with just the same inputs counts. Where the sides then differ, or both fail, they are tried again from
//! scratch, side by side, until a [trial](crate::compare::trial) is decided. The layers that are there stay as they are.

use std::{collections::BTreeMap, sync::Arc};

use larder_engine::session::Session;
use larder_runs::{
    comparison::{self, Judged, Outcome, Subject, Verdict},
    progress::Phase,
    result::{Entry, Stage},
    run_log::Run,
};

use super::{
    BatchError, Report, Request, attend::Attendance, begin, build, collect, end, enter, needed,
    plan_of, publish, trials::Trials, witness::Witness, write_outcome,
};
use crate::{
    compare::{
        evidence::{judge, trial},
        pairs::{Comparison, Pair, Place},
        trial::Trial,
    },
    event::Reporter,
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
    let run = begin(request, plan_of(request, prepared), needed(prepared), &**reporter)?;
    enter(&run, Phase::Blessings, &**reporter)?;
    publish(&request.data, &run, prepared)?;
    enter(&run, Phase::Building, &**reporter)?;
    let witness = Arc::new(Witness::new(reporter.clone()));
    let watched: Arc<dyn Reporter> = witness.clone();
    let stages = [Stage::Build, Stage::Test];
    let mut trials = Vec::new();
    build(session, request, prepared, &run, &watched, &stages, |attendance: &Attendance<'_>| {
        trials = first(comparison, &witness);
        Trials::new(comparison, &witness, &mut trials).decide(session, attendance)
    })?;
    let interrupted = session.processes.ending();
    let mut outcome = None;
    if !interrupted {
        let found = outcome.insert(conclude(comparison, &run, &trials, &witness));
        write_outcome(&run, comparison::FILE, found)?;
    }
    enter(&run, Phase::Gc, &**reporter)?;
    if !interrupted {
        collect(request, &**reporter);
    }
    Ok(Compared { report: end(run, interrupted, &**reporter)?, outcome })
}

/// The trials of all pairs, as far as first attempts bring them; none where there is nothing to try.
fn first(comparison: &Comparison, witness: &Witness) -> Vec<Option<Trial>> {
    let of = |pair: &Pair| {
        let [base, candidate] = recorded(witness, comparison, pair);
        trial(pair, &base, &candidate)
    };
    comparison.all_pairs().map(of).collect()
}

fn conclude(
    comparison: &Comparison,
    run: &Run,
    trials: &[Option<Trial>],
    witness: &Witness,
) -> Outcome {
    let judged = comparison.all_pairs().zip(trials).map(|(pair, trial)| {
        let [base, candidate] = recorded(witness, comparison, pair);
        let mut judged = judge(pair, trial.as_ref(), &base, &candidate);
        let hash =
            |place: &Place| Some(comparison.prepared.builds.get(place.build()?).hash.clone());
        judged.base.build_hash = hash(&pair.base);
        judged.candidate.build_hash = hash(&pair.candidate);
        judged
    });
    let judged = decisive(judged, comparison.pairs.len());
    let names = [comparison.base.clone(), comparison.candidate.clone()];
    let (added, removed) = (comparison.added.clone(), comparison.removed.clone());
    Outcome::new(run.id().clone(), names, judged, added, removed)
}

/// Returns one verdict for each package version, the one that matters most: the first `own` are those of its own solution,
/// the others of builds that other packages need, which count where they say anything.
fn decisive(judged: impl Iterator<Item = Judged>, own: usize) -> Vec<Judged> {
    let mut found: BTreeMap<Subject, Judged> = BTreeMap::new();
    for (number, judged) in judged.enumerate() {
        let known = found.get(&judged.subject);
        let counts = match known {
            Some(known) => judged.verdict.rank() < known.verdict.rank(),
            None => number < own || judged.verdict != Verdict::Same,
        };
        if counts {
            found.insert(judged.subject.clone(), judged);
        }
    }
    found.into_values().collect()
}

/// What was recorded of both sides of a pair.
fn recorded(witness: &Witness, comparison: &Comparison, pair: &Pair) -> [Vec<Entry>; 2] {
    let hash = |id| &comparison.prepared.builds.get(id).hash;
    [&pair.base, &pair.candidate]
        .map(|place| place.build().map_or_else(Vec::new, |id| witness.of(hash(id))))
}
