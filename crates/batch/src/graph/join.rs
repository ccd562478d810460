//! The builds of two sides as one.

use std::collections::HashMap;

use larder_runs::name::HashName;

use super::{Build, BuildId, Builds};
use crate::catalogue::Shift;

/// The builds of both sides, and where those of each are among them.
#[derive(Debug)]
pub struct Joined {
    /// All builds, needs first; one that both sides have stands there once.
    pub builds: Builds,
    /// Of each build of the first side, its place.
    pub base: Vec<BuildId>,
    /// Of each build of the second side, its place.
    pub candidate: Vec<BuildId>,
}

impl Joined {
    /// Joins the builds of two sides. The build of a package on the one side stands next to that on the other, as far as
    /// needs allow.
    pub fn new(
        base: &Builds,
        candidate: &Builds,
        shift: Shift,
        same: impl Fn(BuildId, BuildId) -> bool,
    ) -> Self {
        let mut joiner = Joiner { builds: Vec::new(), known: HashMap::new() };
        let mut places = [Vec::new(), Vec::new()];
        let mut next = 0;
        for (id, build) in base.iter() {
            let place = joiner.add(build.clone(), &places[0]);
            places[0].push(place);
            let rest = (next..candidate.len() as u32).map(BuildId);
            let Some(other) = rest.clone().find(|other| same(id, *other)) else { continue };
            for id in rest.take_while(|id| *id <= other) {
                let place = joiner.add(shifted(candidate.get(id), shift), &places[1]);
                places[1].push(place);
            }
            next = other.0 + 1;
        }
        for id in (next..candidate.len() as u32).map(BuildId) {
            let place = joiner.add(shifted(candidate.get(id), shift), &places[1]);
            places[1].push(place);
        }
        let [base, candidate] = places;
        Self { builds: Builds::linked(joiner.builds), base, candidate }
    }
}

/// A build of the second side, with the ids that its package version and compiler have in both.
fn shifted(build: &Build, shift: Shift) -> Build {
    Build {
        package: shift.version(build.package),
        compiler: shift.compiler(build.compiler),
        ..build.clone()
    }
}

struct Joiner {
    builds: Vec<Build>,
    known: HashMap<HashName, BuildId>,
}

impl Joiner {
    /// Adds a build, given the places of those before it on its side.
    fn add(&mut self, build: Build, places: &[BuildId]) -> BuildId {
        if let Some(&known) = self.known.get(&build.hash) {
            self.builds[known.index()].blessed |= build.blessed;
            return known;
        }
        let place = |id: &BuildId| places[id.index()];
        let mut closure: Vec<BuildId> = build.closure.iter().map(place).collect();
        closure.sort_unstable();
        let id = BuildId(self.builds.len() as u32);
        self.known.insert(build.hash.clone(), id);
        let needs = build.needs.iter().map(place).collect();
        self.builds.push(Build { needs, closure, ..build });
        id
    }
}
