//! What a change does to one package: verdicts that people believe.
//!
//! A test that fails now and then looks like a regression whenever it happens to fail on the wrong side. So one
//! attempt decides nothing but agreement: where the sides differ, or both fail, both are tried again, side by side,
//! until each has had [`ENOUGH`] attempts that all went one way. The first attempt that goes another way says
//! that the package is flaky.
//!
//! So a package that fails in half of its attempts, which is the worst case, is misjudged in three of 4^[`ENOUGH`] cases: three in
//! a million. Of 600 packages that fail in 5 to 50 % of theirs, any is in 4 of 10,000 comparisons. One that began to fail in half of its
//! attempts on one side only is taken for a regression in one of 2^[`ENOUGH`].
//!
//! A trial is plain data and builds nothing: it says what to [try next](Trial::next), and is told what came of it. The
//! idea of evidence on both sides is that of Julia's PkgEval, which retries what differs.

use larder_runs::comparison::{Evidence, Verdict};
use serde::Serialize;

/// How many attempts that all went one way are evidence.
pub const ENOUGH: u32 = 10;

/// How often in a row the weather may spoil an attempt before nothing is said.
const PATIENCE: u32 = 5;

/// The sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What was.
    Base,
    /// What is to be.
    Candidate,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The package works.
    Worked,
    /// It fails.
    Failed,
    /// The machine or the network failed: nothing is known of the package.
    Weather,
    /// It cannot be tried: something that it needs fails, or no versions fit together.
    Untried,
}

/// What is to be done for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try this side.
    Try(Side),
    /// Nothing: this is the verdict.
    Done(Verdict),
}

/// A package on its way to a verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    base: State,
    candidate: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    evidence: Evidence,
    /// How often in a row the weather spoiled an attempt.
    spoiled: u32,
    untried: bool,
}

impl State {
    fn attempts(&self) -> u32 {
        self.evidence.worked + self.evidence.failed
    }

    fn is_flaky(&self) -> bool {
        self.evidence.worked > 0 && self.evidence.failed > 0
    }

    fn is_unknown(&self) -> bool {
        self.untried || self.spoiled >= PATIENCE
    }
}

impl Trial {
    /// Returns what is to be done next. Sides are tried by turns, so that what changes on the machine meanwhile
    /// meets both.
    pub fn next(&self) -> Next {
        let Trial { base, candidate } = self;
        let sides = [base, candidate];
        if sides.into_iter().any(State::is_flaky) {
            return Next::Done(Verdict::Flaky);
        }
        if sides.into_iter().any(State::is_unknown) {
            return Next::Done(Verdict::Unknown);
        }
        let fewest = base.attempts().min(candidate.attempts());
        let works = |state: &State| state.evidence.worked > 0;
        if fewest > 0 && sides.into_iter().all(works) {
            return Next::Done(Verdict::Same);
        }
        if fewest < ENOUGH {
            let side = match base.attempts() <= candidate.attempts() {
                true => Side::Base,
                false => Side::Candidate,
            };
            return Next::Try(side);
        }
        Next::Done(match (works(base), works(candidate)) {
            (true, false) => Verdict::Regressed,
            (false, true) => Verdict::Fixed,
            (true, true) => Verdict::Same,
            (false, false) => Verdict::BrokenBefore,
        })
    }

    /// Takes note of an attempt.
    pub fn note(&mut self, side: Side, attempt: Attempt) {
        let state = match side {
            Side::Base => &mut self.base,
            Side::Candidate => &mut self.candidate,
        };
        match attempt {
            Attempt::Worked => state.evidence.worked += 1,
            Attempt::Failed => state.evidence.failed += 1,
            Attempt::Weather => state.spoiled += 1,
            Attempt::Untried => state.untried = true,
        }
        if attempt != Attempt::Weather {
            state.spoiled = 0;
        }
    }

    /// The evidence of a side.
    pub fn evidence(&self, side: Side) -> Evidence {
        match side {
            Side::Base => self.base.evidence,
            Side::Candidate => self.candidate.evidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries until there is a verdict; gives it with the number of attempts.
    fn judge(mut attempt: impl FnMut(Side) -> Attempt) -> (Verdict, Trial, u32) {
        let mut trial = Trial::default();
        let mut attempts = 0;
        loop {
            match trial.next() {
                Next::Done(verdict) => return (verdict, trial, attempts),
                Next::Try(side) => trial.note(side, attempt(side)),
            }
            attempts += 1;
        }
    }

    #[test]
    fn agreement_takes_one_attempt_and_a_difference_evidence() {
        let same = judge(|_| Attempt::Worked);
        assert_eq!((same.0, same.2), (Verdict::Same, 2));
        let worse = |side| if side == Side::Base { Attempt::Worked } else { Attempt::Failed };
        let (verdict, trial, attempts) = judge(worse);
        assert_eq!((verdict, attempts), (Verdict::Regressed, 2 * ENOUGH));
        assert_eq!(trial.evidence(Side::Base), Evidence { worked: ENOUGH, failed: 0 });
        assert_eq!(trial.evidence(Side::Candidate), Evidence { worked: 0, failed: ENOUGH });
        let better = |side| if side == Side::Base { Attempt::Failed } else { Attempt::Worked };
        assert_eq!(judge(better).0, Verdict::Fixed);
        assert_eq!(judge(|_| Attempt::Failed).0, Verdict::BrokenBefore);
        assert_eq!(judge(|_| Attempt::Weather).0, Verdict::Unknown);
        let blocked = |side| if side == Side::Base { Attempt::Worked } else { Attempt::Untried };
        assert_eq!(judge(blocked).0, Verdict::Unknown);
    }
}
