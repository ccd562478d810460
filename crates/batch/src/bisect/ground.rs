//! The world of a hunt as it is: revisions of a set, what is recorded in its data, and real builds.

use std::{collections::BTreeSet, sync::Arc};

use larder_engine::session::Session;
use larder_project::diagnostic::Diagnostics;
use larder_runs::{
    name::{HashName, Named, PackageName},
    result::{Entry, Origin, Outcome, Stage},
    sanitise,
};
use larder_trace::Level;

use super::{
    BisectError,
    bench::{Bench, came},
    hunt::{Came, Candidate, Told, World},
    outcome::Point,
    state::State,
};
use crate::{
    event::{Event, Reporter},
    revision::Repository,
    run::{self, Memory, Request},
    solve::{Solved, explain::first_line},
};

/// Where states come from.
pub struct Ground<'g> {
    /// The session that all builds share.
    pub session: &'g Arc<Session>,
    /// The request for the set as it is now.
    pub request: &'g Request,
    /// Who is told.
    pub reporter: &'g Arc<dyn Reporter>,
    /// The repository that the set is in.
    pub repository: Option<Repository>,
    /// The package.
    pub package: &'g Named,
    /// The points.
    pub points: Vec<Point>,
    /// What was recorded of the package before.
    pub entries: Vec<Entry>,
    /// Where states are tried.
    pub bench: Bench<'g>,
}

impl Ground<'_> {
    /// The request for the set at a point, with the point's compiler alone.
    fn request_at(&self, point: &Point) -> Result<Request, Diagnostics> {
        let mut request = match (&point.commit, &self.repository) {
            (Some(commit), Some(repository)) => {
                repository.check_out(&self.request.data, &commit.commit)?.request(self.request)
            }
            _ => self.request.clone(),
        };
        // Nothing is built with others, and they need not be there any more.
        request.set.compilers.retain(|name, _| name == point.compiler.as_str());
        Ok(request)
    }

    fn candidate(&self, point: &Point) -> Result<Candidate, BisectError> {
        let nothing = |why: String| Ok(Candidate::Nothing(why));
        let read = self.request_at(point).and_then(|request| {
            let catalogue = run::read(&request, Memory::Lost)?;
            Ok((request, catalogue))
        });
        let (request, catalogue) = match read {
            Ok(read) => read,
            Err(wrong) => return nothing(first_line(&wrong.to_string())),
        };
        let Some((compiler, _)) = catalogue.compilers().next() else {
            return nothing(format!("the set has no compiler {}", point.compiler));
        };
        let Some(target) = catalogue.named(self.package).next() else {
            return nothing(format!("there is no {} in the set", self.package));
        };
        let package = catalogue.get(target).id.clone();
        if !catalogue.is_for(target, compiler) {
            return nothing(format!("{package} is not for {}", point.compiler));
        }
        let around = match run::surroundings(self.session, &request, &catalogue, Memory::Lost) {
            Ok(around) => around,
            Err(unknown) => return nothing(first_line(&unknown.to_string())),
        };
        let solutions = run::solve(self.session, &request, &catalogue, [target], Memory::Lost);
        Ok(match solutions.get(target, compiler) {
            None => return Err(BisectError::Interrupted),
            Some(Solved::NoSolution { explanation, .. }) => {
                Candidate::Unsolved(package, explanation.clone())
            }
            Some(Solved::Found(solution)) => match State::of(&catalogue, &around, solution) {
                Ok(state) => Candidate::State(Box::new(state)),
                Err(why) => Candidate::Nothing(why.to_string()),
            },
        })
    }

    fn say(&self, text: &str) {
        // Subjects of commits are in it.
        let message = &sanitise::line(text);
        self.reporter.event(&Event::Note { level: Level::Info, message });
    }
}

impl World for Ground<'_> {
    type Error = BisectError;

    fn at(&mut self, point: usize) -> Result<Candidate, BisectError> {
        if self.session.processes.ending() {
            return Err(BisectError::Interrupted);
        }
        self.candidate(&self.points[point])
    }

    fn label(&self, point: usize) -> String {
        let at = &self.points[point];
        let several = self.points.iter().any(|other| other.compiler != at.compiler);
        let with = if several { format!(" with {}", at.compiler) } else { String::new() };
        match &at.commit {
            None => format!("the set as it is now{with}"),
            Some(commit) => format!("{:.12} ({}){with}", commit.commit, commit.subject),
        }
    }

    fn recorded(&mut self, state: &State) -> Result<Vec<Came>, BisectError> {
        let of = |entry: &&Entry| {
            let result = &entry.result;
            result.build_hash.as_ref() == Some(&state.hash)
                && matches!(result.stage, Stage::Build | Stage::Test)
                && !result.category.is_weather()
        };
        let all: Vec<&Entry> = self.entries.iter().filter(of).collect();
        // What was taken over from an earlier result is no evidence beside that, which may be gone. Nor is that it was not
        // tried, as something that it needs fails.
        let own = |entry: &&&Entry| entry.result.origin == Origin::Built;
        let mut found: Vec<&Entry> = all.iter().filter(own).copied().collect();
        for stage in [Stage::Build, Stage::Test] {
            let of = |entry: &&&Entry| entry.result.stage == stage;
            if !found.iter().any(|entry| of(&entry)) {
                found.extend(all.iter().rev().find(of));
            }
        }
        Ok(found.into_iter().map(came).collect())
    }

    fn attempt(
        &mut self,
        state: &State,
        stage: Stage,
        again: bool,
        told: &Told<'_>,
    ) -> Result<Came, BisectError> {
        let left = match told.left {
            0 => String::new(),
            left => format!(" (about {left} more after this)"),
        };
        self.say(&format!("trying {}{left}", told.label));
        let came = self.bench.attempt(state, stage, again)?;
        self.say(&match &came {
            Came::Worked(_) => format!("{} works there", state.target().id),
            Came::Failed(failing) => {
                format!("{} fails there: {}", state.target().id, failing.category)
            }
            Came::Nothing(why) => format!("nothing is known there: {why}"),
        });
        Ok(came)
    }

    fn is_suspected(&self, stage: Stage) -> bool {
        let counts = |entry: &&Entry| {
            let result = &entry.result;
            result.stage == stage
                && result.origin == Origin::Built
                && result.outcome() != Outcome::Blocked
                && !result.category.is_weather()
        };
        let of = |worked: bool| -> BTreeSet<&HashName> {
            let entries = self.entries.iter().filter(counts);
            let entries = entries.filter(|entry| entry.result.is_success() == worked);
            entries.filter_map(|entry| entry.result.build_hash.as_ref()).collect()
        };
        !of(true).is_disjoint(&of(false))
    }
}

/// The compilers of the two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compilers {
    /// That of the good end.
    pub good: PackageName,
    /// That of the bad end, and of all revisions after the good one.
    pub bad: PackageName,
}
