//! The search for the change that broke a package: first over the points of a row, then over the single changes
//! between two neighbours.
//!
//! It builds nothing itself: a [`World`] says what the package is at each point, what is recorded of a state, and what
//! comes of trying one. States are told apart by their build hashes: whatever leads to one, it is tried once.
//!
//! Nobody is blamed for a single failure. Both sides of a change are tried again until each has [`SURE`] results
//! of one kind, or [`BUDGET`] attempts were made and the failing side has failed twice; where trying is cheap, because only
//! tests have to run, or the package is known to fail now and then, until each has [`ENOUGH`]. The first that goes
//! another way says that the package is flaky.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};

use larder_runs::{
    Category,
    name::{HashName, PackageName},
    result::Stage,
};

pub use self::evidence::{BUDGET, ENOUGH, SURE};
use super::{
    outcome::{Attempt, Evidence, Failing, Found},
    search::{Ended, Next, Search, Shown},
    state::{Change, NoState, Pair, State},
};

/// What a point of the row has of the package.
#[derive(Debug, Clone)]
pub enum Candidate {
    /// It can be built.
    State(Box<State>),
    /// No versions fit together, and this is why.
    Unsolved(PackageName, String),
    /// Nothing can be tried, and this is why.
    Nothing(String),
}

/// What came of a stage of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It worked.
    Worked(Stage),
    /// It failed.
    Failed(Failing),
    /// Nothing is known of it, and this is why.
    Nothing(String),
}

/// The world in which a package is tried.
pub trait World {
    /// What can go wrong with the world itself.
    type Error;

    /// What the package is at a point of the row.
    ///
    /// # Errors
    /// When nothing can be said of anything.
    fn at(&mut self, point: usize) -> Result<Candidate, Self::Error>;

    /// A point, for people.
    fn label(&self, point: usize) -> String;

    /// All that is recorded of a state, oldest first: a result that was taken over from another is none of its own.
    ///
    /// # Errors
    /// As [`at`](World::at).
    fn recorded(&mut self, state: &State) -> Result<Vec<Came>, Self::Error>;

    /// Tries a state up to a stage: `again`, though the same has been tried before. `label` says what it is, and `left` how
    /// many more attempts there will be, about.
    ///
    /// # Errors
    /// As [`at`](World::at); also when it is told to stop.
    fn attempt(
        &mut self,
        state: &State,
        stage: Stage,
        again: bool,
        told: &Told<'_>,
    ) -> Result<Came, Self::Error>;

    /// Whether a stage of the package is recorded to have worked and failed on the same.
    fn is_suspected(&self, stage: Stage) -> bool;
}

/// What is said of an attempt before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Told<'t> {
    /// What is tried.
    pub label: &'t str,
    /// How many more attempts there will be after it, about.
    pub left: u32,
}

/// What makes a failure the same as that of the bad end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// No versions fit together.
    Unsolved,
    /// A stage fails, with this category; where something that it needs fails, because of these packages.
    Fails(Stage, Category, BTreeSet<String>),
}

/// A search for the change on its way.
pub struct Hunt<'w, W> {
    world: &'w mut W,
    points: usize,
    platform: String,
    kind: Option<Kind>,
    failure: Option<Failing>,
    candidates: BTreeMap<usize, Candidate>,
    tallies: BTreeMap<HashName, Evidence>,
    attempts: Vec<Attempt>,
    /// What worked and failed, if anything did.
    flaky: Option<String>,
    /// Why an end shows nothing.
    reasons: BTreeMap<usize, String>,
}

/// What a hunt came to.
#[derive(Debug)]
pub struct Hunted {
    /// What was found.
    pub found: Found,
    /// The failure of the bad end; none where there is none.
    pub failure: Option<Failing>,
    /// All states that were looked at, in this order.
    pub attempts: Vec<Attempt>,
}

impl<'w, W: World> Hunt<'w, W> {
    /// A hunt over so many points, of which the first is meant to work and the last to fail.
    pub fn new(world: &'w mut W, points: usize, platform: &str) -> Self {
        Self {
            world,
            points,
            platform: platform.to_owned(),
            kind: None,
            failure: None,
            candidates: BTreeMap::new(),
            tallies: BTreeMap::new(),
            attempts: Vec::new(),
            flaky: None,
            reasons: BTreeMap::new(),
        }
    }

    /// Hunts to the end.
    ///
    /// # Errors
    /// What the world says.
    pub fn run(mut self) -> Result<Hunted, W::Error> {
        let found = self.find()?;
        Ok(Hunted { found, failure: self.failure, attempts: self.attempts })
    }

    /// What there is to say, where something worked and failed.
    fn flaky(&self) -> Option<Found> {
        self.flaky.clone().map(|at| Found::Flaky { at })
    }

    fn find(&mut self) -> Result<Found, W::Error> {
        let last = self.points - 1;
        if let Some(found) = self.settle_kind(last)? {
            return Ok(found);
        }
        let mut search = Search::new(self.points, []);
        let (good, bad) = loop {
            if let Some(flaky) = self.flaky() {
                return Ok(flaky);
            }
            match search.next() {
                Next::Try(point) => {
                    let left = search.left();
                    search.note(point, self.point(point, left)?);
                }
                Next::Done(Ended::Between(good, bad)) => break (good, bad),
                Next::Done(Ended::Works) => return Ok(Found::Works),
                Next::Done(Ended::BrokenBefore) => return Ok(Found::BrokenBefore),
                Next::Done(Ended::Untried(point)) => {
                    let why = self.reasons.remove(&point).unwrap_or_default();
                    return Ok(Found::Unknown {
                        reason: format!("{}: {why}", self.world.label(point)),
                    });
                }
            }
        };
        match (self.candidate(good)?, self.candidate(bad)?) {
            (Candidate::State(from), Candidate::State(to)) => {
                let pair = Pair::new(*from, *to, &self.platform);
                self.between(&pair, good, bad)
            }
            // What makes a solution impossible is none of the versions that one has.
            _ => Ok(Found::Change {
                after: good,
                until: bad,
                changes: Vec::new(),
                together_with: Vec::new(),
                good: Evidence::default(),
                bad: Evidence::default(),
            }),
        }
    }

    /// Finds out how the package fails at the bad end; gives what was found where it does not.
    fn settle_kind(&mut self, last: usize) -> Result<Option<Found>, W::Error> {
        let unknown = |reason| Ok(Some(Found::Unknown { reason }));
        let label = self.world.label(last);
        let state = match self.candidate(last)? {
            Candidate::State(state) => state,
            Candidate::Nothing(why) => return unknown(format!("{label}: {why}")),
            Candidate::Unsolved(package, why) => {
                self.kind = Some(Kind::Unsolved);
                self.failure = Some(Failing::unsolved(package, &why));
                return Ok(None);
            }
        };
        let recorded = self.world.recorded(&state)?;
        let newest = |stage: Stage| {
            recorded.iter().rev().find(|came| match came {
                Came::Worked(of) => *of == stage,
                Came::Failed(failing) => failing.stage == stage,
                Came::Nothing(_) => false,
            })
        };
        let failed =
            [Stage::Build, Stage::Test].into_iter().find_map(|stage| match newest(stage) {
                Some(Came::Failed(failing)) => Some(failing.clone()),
                _ => None,
            });
        let failing = match failed {
            Some(failing) => {
                let came = Came::Failed(failing.clone());
                self.kind = Some(Kind::of(&failing));
                self.take(&state, &recorded);
                self.note(&state, Some(last), &label, &[], &came, true);
                failing
            }
            None => {
                let told = Told { label: &label, left: self.guess() };
                let came = self.world.attempt(&state, Stage::Test, false, &told)?;
                if let Came::Failed(failing) = &came {
                    self.kind = Some(Kind::of(failing));
                    self.take(&state, &recorded);
                    self.count(&state, &label, &came);
                }
                self.note(&state, Some(last), &label, &[], &came, false);
                match came {
                    Came::Worked(_) => return Ok(Some(Found::Works)),
                    Came::Nothing(why) => return unknown(format!("{label}: {why}")),
                    Came::Failed(failing) => failing,
                }
            }
        };
        self.failure = Some(failing);
        Ok(None)
    }

    /// How many attempts a search over all points takes, about.
    fn guess(&self) -> u32 {
        usize::BITS - self.points.leading_zeros()
    }

    fn candidate(&mut self, point: usize) -> Result<Candidate, W::Error> {
        if let Some(known) = self.candidates.get(&point) {
            return Ok(known.clone());
        }
        let candidate = self.world.at(point)?;
        self.candidates.insert(point, candidate.clone());
        Ok(candidate)
    }

    /// What a point shows.
    fn point(&mut self, point: usize, left: u32) -> Result<Shown, W::Error> {
        let unsolved = self.kind == Some(Kind::Unsolved);
        let label = self.world.label(point);
        match self.candidate(point)? {
            Candidate::State(_) if unsolved => Ok(Shown::Works),
            Candidate::State(state) => {
                let (shown, why) = self.state(&state, Some(point), &label, &[], left)?;
                self.reasons.insert(point, why);
                Ok(shown)
            }
            Candidate::Unsolved(..) if unsolved => Ok(Shown::Fails),
            Candidate::Unsolved(_, why) | Candidate::Nothing(why) => {
                self.attempts.push(Attempt::nothing(label, Some(point), why.clone()));
                self.reasons.insert(point, why);
                Ok(Shown::Nothing)
            }
        }
    }

    /// What a state shows: what is known of it, or else what comes of trying it; and why it shows nothing.
    fn state(
        &mut self,
        state: &State,
        point: Option<usize>,
        label: &str,
        changes: &[Change],
        left: u32,
    ) -> Result<(Shown, String), W::Error> {
        if !self.tallies.contains_key(&state.hash) {
            let recorded = self.world.recorded(state)?;
            self.take(state, &recorded);
            if let Some(came) = self.telling(&recorded) {
                self.note(state, point, label, changes, &came, true);
            }
        }
        let tally = self.tally(state);
        if tally.attempts() == 0 {
            let told = Told { label, left };
            let stage = self.stage();
            let came = self.world.attempt(state, stage, false, &told)?;
            self.count(state, label, &came);
            self.note(state, point, label, changes, &came, false);
            if let Came::Nothing(why) = came {
                return Ok((Shown::Nothing, why));
            }
        }
        let tally = self.tally(state);
        let other = || "it fails in another way".to_owned();
        Ok(match (tally.worked, tally.failed) {
            (0, 0) => (Shown::Nothing, other()),
            (_, 0) => (Shown::Works, String::new()),
            _ => (Shown::Fails, String::new()),
        })
    }

    /// Finds the change between the states of two points.
    fn between(&mut self, pair: &Pair, good: usize, bad: usize) -> Result<Found, W::Error> {
        let changes = pair.changes().to_vec();
        let ends = [(0, Shown::Works), (changes.len(), Shown::Fails)];
        let mut search = Search::new(changes.len() + 1, ends);
        let (before, after) = loop {
            if let Some(flaky) = self.flaky() {
                return Ok(flaky);
            }
            match search.next() {
                Next::Try(count) => {
                    let left = search.left();
                    let places: BTreeSet<usize> = (0..count).collect();
                    search.note(count, self.mixed(pair, &places, good, left)?);
                }
                Next::Done(Ended::Between(before, after)) => break (before, after),
                // Both ends are known.
                Next::Done(_) => break (0, changes.len()),
            }
        };
        let blamed: BTreeSet<usize> = (before..after).collect();
        let lower = pair.with(&(0..before).collect());
        let upper = pair.with(&(0..after).collect());
        let (Ok(lower), Ok(upper)) = (lower, upper) else {
            // Both were tried.
            return Ok(Found::Unknown { reason: "states that were tried are gone".to_owned() });
        };
        // The others came first. Does it take them as well?
        let together = match before {
            0 => false,
            _ => self.mixed(pair, &blamed, good, 0)? == Shown::Works,
        };
        self.confirm(&lower, &upper, before > 0 && !together)?;
        if let Some(flaky) = self.flaky() {
            return Ok(flaky);
        }
        let with = if together { &changes[..before] } else { &[] };
        Ok(Found::Change {
            after: good,
            until: bad,
            changes: changes[before..after].to_vec(),
            together_with: with.to_vec(),
            good: self.tally(&lower),
            bad: self.tally(&upper),
        })
    }

    /// What the state shows that has some of the changes after a point.
    fn mixed(
        &mut self,
        pair: &Pair,
        places: &BTreeSet<usize>,
        good: usize,
        left: u32,
    ) -> Result<Shown, W::Error> {
        let changes: Vec<Change> =
            places.iter().map(|place| pair.changes()[*place].clone()).collect();
        let named: Vec<String> = changes.iter().map(Change::to_string).collect();
        let label = format!("{} with {}", self.world.label(good), named.join(", "));
        match pair.with(places) {
            Ok(state) => Ok(self.state(&state, None, &label, &changes, left)?.0),
            Err(NoState(why)) => {
                self.attempts.push(Attempt { changes, ..Attempt::nothing(label, None, why) });
                Ok(Shown::Nothing)
            }
        }
    }
}

#[cfg(test)]
mod tests;
