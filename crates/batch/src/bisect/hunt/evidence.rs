//! What is known of states, and how much of it is enough.

use larder_runs::result::Stage;

use super::{Came, Hunt, Kind, Told, World};
use crate::bisect::{
    outcome::{Attempt, Evidence, Failing},
    search::Shown,
    state::{Change, State},
};

/// How many attempts of a side that all went one way are evidence, where attempts are cheap or the package is suspected.
pub const ENOUGH: u32 = 5;

/// The same, where each attempt takes a build.
pub const SURE: u32 = 3;

/// How many attempts are made for [`SURE`].
pub const BUDGET: usize = 9;

/// How often a package has to fail, whatever was spent before.
const TWICE: u32 = 2;

impl<W: World> Hunt<'_, W> {
    /// Tries both sides of a change until there is evidence, or one of them goes another way. `seen` says that its
    /// failure was seen in another state as well.
    pub(super) fn confirm(
        &mut self,
        lower: &State,
        upper: &State,
        seen: bool,
    ) -> Result<(), W::Error> {
        let stage = self.stage();
        let thorough = stage == Stage::Test || self.world.is_suspected(stage);
        let enough = if thorough { ENOUGH } else { SURE };
        while self.flaky.is_none() {
            let (good, bad) = (self.tally(lower), self.tally(upper));
            let tried = self.attempts.iter().filter(|attempt| attempt.is_new()).count();
            if !thorough && tried >= BUDGET && bad.failed + u32::from(seen) >= TWICE {
                break;
            }
            let missing = [bad.failed, good.worked].map(|count| enough.saturating_sub(count));
            let left = missing.iter().sum::<u32>().saturating_sub(1);
            let (state, label) = match missing {
                [0, 0] => break,
                // Not by turns: what fails every other time would agree with that.
                [0, _] => (lower, "the working side again"),
                _ => (upper, "the failing side again"),
            };
            let came = self.world.attempt(state, stage, true, &Told { label, left })?;
            let before = self.tally(state).attempts();
            self.count(state, label, &came);
            self.note(state, None, label, &[], &came, false);
            // Something else came in between: what is known has to do.
            if self.tally(state).attempts() == before {
                break;
            }
        }
        Ok(())
    }

    /// The stage up to which states are tried.
    pub(super) fn stage(&self) -> Stage {
        match self.kind {
            Some(Kind::Fails(stage, ..)) => stage,
            _ => Stage::Build,
        }
    }

    pub(super) fn tally(&self, state: &State) -> Evidence {
        self.tallies.get(&state.hash).copied().unwrap_or_default()
    }

    /// Takes over what is recorded of a state.
    pub(super) fn take(&mut self, state: &State, recorded: &[Came]) {
        let mut found = Evidence::default();
        for came in recorded {
            match self.shows(came) {
                Shown::Works => found.worked += 1,
                Shown::Fails => found.failed += 1,
                Shown::Nothing => {}
            }
        }
        self.tallies.insert(state.hash.clone(), found);
        if found.worked > 0 && found.failed > 0 {
            self.flaky = Some(state.target().id.to_string());
        }
    }

    /// Counts what came of an attempt.
    pub(super) fn count(&mut self, state: &State, label: &str, came: &Came) {
        let shown = self.shows(came);
        let tally = self.tallies.entry(state.hash.clone()).or_default();
        match shown {
            Shown::Works => tally.worked += 1,
            Shown::Fails => tally.failed += 1,
            Shown::Nothing => {}
        }
        if tally.worked > 0 && tally.failed > 0 {
            self.flaky = Some(label.to_owned());
        }
    }

    /// What a result says of the failure that is looked for.
    pub(super) fn shows(&self, came: &Came) -> Shown {
        match (came, &self.kind) {
            // A build that works says nothing of its tests, and tests say nothing that their build has not said.
            (Came::Worked(of), Some(Kind::Fails(stage, ..))) if of == stage => Shown::Works,
            (Came::Failed(failing), Some(kind)) if *kind == Kind::of(failing) => Shown::Fails,
            _ => Shown::Nothing,
        }
    }

    /// The newest of the results that says something.
    pub(super) fn telling(&self, recorded: &[Came]) -> Option<Came> {
        recorded.iter().rev().find(|came| self.shows(came) != Shown::Nothing).cloned()
    }

    pub(super) fn note(
        &mut self,
        state: &State,
        point: Option<usize>,
        label: &str,
        changes: &[Change],
        came: &Came,
        recorded: bool,
    ) {
        let shown = self.shows(came);
        self.attempts.push(Attempt {
            label: label.to_owned(),
            point,
            changes: changes.to_vec(),
            ground: Some(state.ground()),
            shown: shown.into(),
            failing: match came {
                Came::Failed(failing) => Some(failing.clone()),
                _ => None,
            },
            reason: match came {
                Came::Nothing(why) => Some(why.clone()),
                _ => None,
            },
            recorded,
        });
    }
}

impl Kind {
    pub(super) fn of(failing: &Failing) -> Kind {
        let roots = failing.roots.iter().map(|root| root.name().to_owned());
        Kind::Fails(failing.stage, failing.category.clone(), roots.collect())
    }
}
