//! Searching a row of steps for the first at which a package fails.
//!
//! A search is plain data and builds nothing: it says which step to [try next](Search::next), and is told what came
//! of it. Of steps that are known it asks for none. With both ends known it takes the binary logarithm of the number
//! of steps, and one more attempt: the step that is to blame is tried twice, for a package that fails now and then
//! would have whatever step blamed at which it happened to.

use std::collections::{BTreeMap, BTreeSet};

/// What a step shows of the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It works there.
    Works,
    /// It fails there.
    Fails,
    /// It cannot be tried there: no versions fit together, or something that it needs fails.
    Nothing,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Try the package at this step.
    Try(usize),
    /// Nothing: it is known what is to be known.
    Done(Found),
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It works before this step and fails from there on.
    Step(usize),
    /// It begins to fail somewhere from the first of these steps to the last; none between them can be tried.
    Between(usize, usize),
    /// It does not fail at the last step.
    Works,
    /// It fails at the first step already.
    BrokenBefore,
    /// It works and fails at this same step.
    Flaky(usize),
    /// Neither end can be tried.
    Unknown,
}

/// A search on its way.
#[derive(Debug, Clone)]
pub struct Search {
    steps: usize,
    shown: BTreeMap<usize, Shown>,
    /// The steps of which something was known before.
    known: BTreeSet<usize>,
    /// A step that worked and failed.
    flaky: Option<usize>,
    /// The steps that failed in this search itself, and how often.
    failed: BTreeMap<usize, u32>,
}

impl Search {
    /// A search of so many steps, at least two, of which some results are known. Results of others than this search
    /// are believed until they contradict it.
    pub fn new(steps: usize, known: impl IntoIterator<Item = (usize, Shown)>) -> Search {
        let known = known.into_iter().filter(|(step, _)| *step < steps);
        let shown: BTreeMap<usize, Shown> = known.collect();
        let known = shown.keys().copied().collect();
        Search { steps, shown, known, flaky: None, failed: BTreeMap::new() }
    }

    /// Returns what is to be done next.
    pub fn next(&self) -> Next {
        if let Some(step) = self.flaky {
            return Next::Done(Found::Flaky(step));
        }
        let last = self.steps.saturating_sub(1);
        let end = |step, wrong, found| match self.shown.get(&step) {
            None => Some(Next::Try(step)),
            Some(Shown::Nothing) => Some(Next::Done(Found::Unknown)),
            Some(shown) => (*shown == wrong).then_some(Next::Done(found)),
        };
        let ends = end(last, Shown::Works, Found::Works)
            .or_else(|| end(0, Shown::Fails, Found::BrokenBefore));
        if let Some(next) = ends {
            return next;
        }
        let (good, bad) = self.bounds();
        match self.middle(good, bad) {
            Some(step) => Next::Try(step),
            // Nobody is blamed for one failure.
            None if self.failed.get(&bad).is_none_or(|times| *times < self.wanted(bad)) => {
                Next::Try(bad)
            }
            None if good + 1 == bad => Next::Done(Found::Step(bad)),
            None => Next::Done(Found::Between(good + 1, bad)),
        }
    }

    /// Takes note of what an attempt at a step showed.
    pub fn note(&mut self, step: usize, shown: Shown) {
        let before = self.shown.insert(step, shown);
        let both = [Some(Shown::Works), Some(Shown::Fails)];
        if before != Some(shown) && both.contains(&before) && both.contains(&Some(shown)) {
            self.flaky = Some(step);
        }
        if shown == Shown::Fails {
            *self.failed.entry(step).or_default() += 1;
        }
    }

    /// The last step that works before any fails, and the first that fails after it.
    fn bounds(&self) -> (usize, usize) {
        let of = |wanted| self.shown.iter().filter(move |(_, shown)| **shown == wanted);
        let bad = of(Shown::Fails).map(|(step, _)| *step).next().unwrap_or(self.steps);
        let good = of(Shown::Works).map(|(step, _)| *step).take_while(|step| *step < bad).last();
        (good.unwrap_or(0), bad)
    }

    /// The step to try that is nearest to the middle between two.
    fn middle(&self, good: usize, bad: usize) -> Option<usize> {
        let middle = good + (bad - good) / 2;
        let open = (good + 1..bad).filter(|step| !self.shown.contains_key(step));
        open.min_by_key(|step| step.abs_diff(middle))
    }

    /// How often the step to blame has to fail in this search: a failure that was known before counts as one.
    fn wanted(&self, bad: usize) -> u32 {
        if self.known.contains(&bad) { 1 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches to the end; gives what was found and how often something was tried.
    fn search(mut search: Search, mut shows: impl FnMut(usize) -> Shown) -> (Found, usize) {
        let mut tried = 0;
        loop {
            match search.next() {
                Next::Done(found) => return (found, tried),
                Next::Try(step) => search.note(step, shows(step)),
            }
            tried += 1;
            assert!(tried < 1000, "it comes to no end");
        }
    }

    fn broken_from(first: usize) -> impl Fn(usize) -> Shown {
        move |step| if step < first { Shown::Works } else { Shown::Fails }
    }

    #[test]
    fn a_breakage_in_256_steps_takes_nine_attempts() {
        let known = [(0, Shown::Works), (256, Shown::Fails)];
        for first in 1..=256 {
            let (found, tried) = search(Search::new(257, known), broken_from(first));
            assert_eq!(found, Found::Step(first));
            assert!(tried <= 9, "{tried} attempts for {first}");
        }
    }

    #[test]
    fn what_is_no_breakage_is_said() {
        let of = |first| search(Search::new(10, []), broken_from(first)).0;
        assert_eq!(of(10), Found::Works);
        assert_eq!(of(0), Found::BrokenBefore);
        let nothing = search(Search::new(10, []), |_| Shown::Nothing);
        assert_eq!(nothing, (Found::Unknown, 1));
        let hole =
            |step| if (3..7).contains(&step) { Shown::Nothing } else { broken_from(5)(step) };
        assert_eq!(search(Search::new(10, []), hole).0, Found::Between(3, 7));
    }

    #[test]
    fn a_flaky_package_is_declared_and_no_step_blamed() {
        let known = [(0, Shown::Works), (64, Shown::Fails)];
        let mut times = 0;
        let once = |step| {
            times += u32::from(step == 40);
            if step == 40 && times == 1 { Shown::Fails } else { Shown::Works }
        };
        // At step 40 it failed once; what follows leads to that or another step, which is tried again.
        let (found, _) = search(Search::new(65, known), once);
        assert!(matches!(found, Found::Flaky(_)), "{found:?}");
    }

    proptest! {
        /// Whatever was known before, and wherever nothing can be tried: no step is blamed but the right one.
        #[test]
        fn the_right_step_is_blamed(
            steps in 2..300_usize,
            first in any::<prop::sample::Index>(),
            known in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            holes in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let first = 1 + first.index(steps - 1);
            let holes: Vec<usize> = holes.iter().map(|hole| hole.index(steps)).collect();
            let shows = |step| if holes.contains(&step) { Shown::Nothing } else { broken_from(first)(step) };
            let known: Vec<_> = known.iter().map(|at| at.index(steps)).map(|step| (step, shows(step))).collect();
            match search(Search::new(steps, known), shows).0 {
                Found::Step(step) => prop_assert_eq!(step, first),
                Found::Between(from, to) => prop_assert!(from <= first && first <= to),
                Found::Unknown => prop_assert!(holes.contains(&0) || holes.contains(&(steps - 1))),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
