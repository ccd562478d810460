//! What recorded results say about the two sides of a package.

use larder_runs::{
    Category,
    comparison::{Evidence, Judged, Shown, Verdict},
    result::{Entry, Stage, StageResult},
};

use super::{
    pairs::{Pair, Place},
    trial::{Attempt, Next, Side, Trial},
};
use crate::solve::explain::first_line;

/// The attempts that results of one build stand for, in the order in which they were recorded. An attempt is a build with its
/// test, where there is one: the last stage of it that ended says how it ended.
pub fn attempts(entries: &[Entry]) -> Vec<Attempt> {
    let tested = entries.iter().any(|entry| entry.result.stage == Stage::Test);
    let of = |entry: &Entry| {
        let result = &entry.result;
        let decides = match result.stage {
            Stage::Build => !tested || !result.is_success(),
            Stage::Test => true,
            Stage::Solve | Stage::Doc => false,
        };
        decides.then(|| attempt(result))
    };
    entries.iter().filter_map(of).collect()
}

/// What a result is as an attempt. A limit that was reached would be reached again: that is no weather.
pub fn attempt(result: &StageResult) -> Attempt {
    let limited = result.exit.is_some_and(|exit| exit.out_of_memory);
    match &result.category {
        Category::Success => Attempt::Worked,
        Category::DependencyFailure => Attempt::Untried,
        category if category.is_weather() && !limited => Attempt::Weather,
        _ => Attempt::Failed,
    }
}

/// Begins the trial of a pair with what is recorded of its sides. `None` where there is nothing to try.
pub fn trial(pair: &Pair, base: &[Entry], candidate: &[Entry]) -> Option<Trial> {
    pair.builds()?;
    if depend_on_the_same(base, candidate) {
        return None;
    }
    let mut trial = Trial::default();
    for (side, entries) in [(Side::Base, base), (Side::Candidate, candidate)] {
        attempts(entries).into_iter().for_each(|attempt| trial.note(side, attempt));
    }
    Some(trial)
}

/// Whether both sides depend on just the same, though they have other names: what they need came to the same.
fn depend_on_the_same(base: &[Entry], candidate: &[Entry]) -> bool {
    let [base, candidate] = [base, candidate].map(|entries| {
        let build = entries.iter().rev().find(|entry| entry.result.stage == Stage::Build);
        build.and_then(|entry| entry.result.dep_hash.as_ref())
    });
    base.is_some() && base == candidate
}

/// Judges a pair by all that is recorded of its sides, and its trial where there was one.
pub fn judge(pair: &Pair, trial: Option<&Trial>, base: &[Entry], candidate: &[Entry]) -> Judged {
    let verdict = match trial.map(Trial::next) {
        Some(Next::Done(verdict)) => verdict,
        Some(Next::Try(_)) => Verdict::Unknown,
        None => untried(pair, base, candidate),
    };
    Judged {
        subject: pair.subject.clone(),
        verdict,
        base: shown(&pair.base, base),
        candidate: shown(&pair.candidate, candidate),
    }
}

/// The verdict where there was nothing to try by turns: both sides are the same, or one has no solution. That is no accident:
/// it takes no further attempts to know.
fn untried(pair: &Pair, base: &[Entry], candidate: &[Entry]) -> Verdict {
    match (&pair.base, &pair.candidate) {
        (Place::Unsolved(_), Place::Unsolved(_)) => Verdict::BrokenBefore,
        (Place::Build(_), Place::Unsolved(_)) => beside_none(base, Verdict::Regressed),
        (Place::Unsolved(_), Place::Build(_)) => beside_none(candidate, Verdict::Fixed),
        (Place::Build(_), Place::Build(_)) => {
            let both = [evidence(base), evidence(candidate)];
            let any = |of: fn(&Evidence) -> u32| both.iter().any(|it| of(it) > 0);
            // The same was tried twice, and came to different ends.
            match any(|it| it.worked) && any(|it| it.failed) {
                true => Verdict::Flaky,
                false => Verdict::Same,
            }
        }
    }
}

/// The verdict where one side has no solution, by what is recorded of the other: `difference` where that works.
fn beside_none(entries: &[Entry], difference: Verdict) -> Verdict {
    match evidence(entries) {
        Evidence { worked: 0, failed: 0 } => Verdict::Unknown,
        Evidence { worked: 0, .. } => Verdict::BrokenBefore,
        _ => difference,
    }
}

fn evidence(entries: &[Entry]) -> Evidence {
    let attempts = attempts(entries);
    let count = |wanted| attempts.iter().filter(|attempt| **attempt == wanted).count() as u32;
    Evidence { worked: count(Attempt::Worked), failed: count(Attempt::Failed) }
}

fn shown(place: &Place, entries: &[Entry]) -> Shown {
    if let Place::Unsolved(why) = place {
        let category = Some(Category::NoSolution);
        return Shown { category, error: Some(first_line(why)), ..Shown::default() };
    }
    let failed = |entry: &&Entry| !entry.result.is_success();
    let own = |entry: &&Entry| attempt(&entry.result) == Attempt::Failed;
    let last = entries.iter().rev().find(own).or_else(|| entries.iter().rev().find(failed));
    let last = last.map(|entry| &entry.result);
    let build = |entry: &&Entry| entry.result.stage == Stage::Build;
    let built = entries.iter().rev().find(build).map(|entry| &entry.result);
    Shown {
        build_hash: entries.first().and_then(|entry| entry.result.build_hash.clone()),
        dep_hash: built.and_then(|result| result.dep_hash.clone()),
        evidence: evidence(entries),
        category: last.map(|result| result.category.clone()),
        error: last.and_then(|result| result.error.clone()),
        log: last.and_then(|result| Some(result.log.as_ref()?.path.clone())),
        roots: last.map(|result| result.root_failures.clone()).unwrap_or_default(),
    }
}
