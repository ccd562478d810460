//! Searching a row of steps for the first at which something fails.
//!
//! A search is plain data and builds nothing: it says which step to [try next](Search::next), and is told what came
//! of it. Of steps that are known it asks for none. With both ends known it asks for as many as the binary logarithm
//! of the number of steps; only steps that cannot be tried cost more.

use std::collections::BTreeMap;

/// What a step shows of the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It works there.
    Works,
    /// It fails there.
    Fails,
    /// Nothing is known of it there: it cannot be tried, or fails in another way.
    Nothing,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try the package at this step.
    Try(usize),
    /// Nothing: it is known what is to be known.
    Done(Ended),
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It works at the first of these steps and fails at the last. There is none between them, or none of those
    /// between can be tried.
    Between(usize, usize),
    /// It does not fail at the last step.
    Works,
    /// It fails at the first step already.
    BrokenBefore,
    /// This end cannot be tried.
    Untried(usize),
}

/// A search on its way.
#[derive(Debug, Clone)]
pub struct Search {
    steps: usize,
    shown: BTreeMap<usize, Shown>,
}

impl Search {
    /// A search of so many steps, at least two, of which some are known.
    pub fn new(steps: usize, known: impl IntoIterator<Item = (usize, Shown)>) -> Search {
        let known = known.into_iter().filter(|(step, _)| *step < steps);
        Search { steps, shown: known.collect() }
    }

    /// Returns what is to be done next.
    pub fn next(&self) -> Next {
        let end = |step, wrong, ended| match self.shown.get(&step) {
            None => Some(Next::Try(step)),
            Some(Shown::Nothing) => Some(Next::Done(Ended::Untried(step))),
            Some(shown) => (*shown == wrong).then_some(Next::Done(ended)),
        };
        let last = self.steps.saturating_sub(1);
        let ends = end(last, Shown::Works, Ended::Works)
            .or_else(|| end(0, Shown::Fails, Ended::BrokenBefore));
        if let Some(next) = ends {
            return next;
        }
        let (good, bad) = self.bounds();
        match self.middle(good, bad) {
            Some(step) => Next::Try(step),
            None => Next::Done(Ended::Between(good, bad)),
        }
    }

    /// Takes note of what a step showed.
    pub fn note(&mut self, step: usize, shown: Shown) {
        self.shown.insert(step, shown);
    }

    /// How many more steps are tried, at most, where all can be.
    pub fn left(&self) -> u32 {
        let (good, bad) = self.bounds();
        let open = (good + 1..bad).filter(|step| !self.shown.contains_key(step)).count();
        usize::BITS - open.leading_zeros()
    }

    /// The last step that works before any fails, and the first that fails.
    fn bounds(&self) -> (usize, usize) {
        let of = |wanted| self.shown.iter().filter(move |(_, shown)| **shown == wanted);
        let last = self.steps.saturating_sub(1);
        let bad = of(Shown::Fails).map(|(step, _)| *step).next().unwrap_or(last);
        let good = of(Shown::Works).map(|(step, _)| *step).take_while(|step| *step < bad).last();
        (good.unwrap_or(0), bad)
    }

    /// The step to try that is nearest to the middle between two.
    fn middle(&self, good: usize, bad: usize) -> Option<usize> {
        let middle = good + (bad - good) / 2;
        let open = (good + 1..bad).filter(|step| !self.shown.contains_key(step));
        open.min_by_key(|step| step.abs_diff(middle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches to the end; gives what it came to and how many steps were tried.
    fn search(mut search: Search, mut shows: impl FnMut(usize) -> Shown) -> (Ended, usize) {
        let mut tried = 0;
        loop {
            match search.next() {
                Next::Done(ended) => return (ended, tried),
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
    fn a_breakage_in_256_steps_takes_eight_attempts() {
        let known = [(0, Shown::Works), (256, Shown::Fails)];
        for first in 1..=256 {
            let started = Search::new(257, known);
            assert_eq!(started.left(), 8);
            let (ended, tried) = search(started, broken_from(first));
            assert_eq!(ended, Ended::Between(first - 1, first));
            assert!(tried <= 8, "{tried} attempts for {first}");
        }
    }

    #[test]
    fn what_is_no_breakage_is_said() {
        let of = |first| search(Search::new(10, []), broken_from(first)).0;
        assert_eq!(of(10), Ended::Works);
        assert_eq!(of(0), Ended::BrokenBefore);
        let nothing = search(Search::new(10, []), |_| Shown::Nothing);
        assert_eq!(nothing, (Ended::Untried(9), 1));
        let hole =
            |step| if (3..7).contains(&step) { Shown::Nothing } else { broken_from(5)(step) };
        assert_eq!(search(Search::new(10, []), hole).0, Ended::Between(2, 7));
    }

    proptest! {
        /// Whatever was known before, and wherever nothing can be tried: the right step is within what is found.
        #[test]
        fn the_right_step_is_found(
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
                Ended::Between(good, bad) => {
                    prop_assert!(good < first && first <= bad);
                    prop_assert!((good + 1..bad).all(|step| holes.contains(&step)));
                }
                Ended::Untried(end) => prop_assert!(holes.contains(&end)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
