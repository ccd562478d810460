//! The builds of two sides as one.

use std::{collections::HashMap, hash::Hash, iter};

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
    /// Joins the builds of two sides, each of which has a name. The build of a package on the one side stands next to
    /// that of the same name on the other, as far as needs allow.
    pub fn new<N: Eq + Hash>(
        [base, candidate]: [&Builds; 2],
        [base_names, names]: &[Vec<N>; 2],
        shift: Shift,
    ) -> Self {
        let mut joiner = Joiner { builds: Vec::new(), known: HashMap::new() };
        let mut places = [Vec::new(), Vec::new()];
        // Where those of each name stand on the second side, the first of them last.
        let mut named: HashMap<&N, Vec<usize>> = HashMap::new();
        for (place, name) in names.iter().enumerate().rev() {
            named.entry(name).or_default().push(place);
        }
        let mut rest = candidate.iter();
        for ((_, build), name) in base.iter().zip(base_names) {
            let place = joiner.add(build.clone(), &places[0]);
            places[0].push(place);
            let others = named.entry(name).or_default();
            let added = places[1].len();
            let Some(other) = iter::from_fn(|| others.pop()).find(|other| *other >= added) else {
                continue;
            };
            for (_, build) in rest.by_ref().take(other + 1 - added) {
                let place = joiner.add(shifted(build, shift), &places[1]);
                places[1].push(place);
            }
        }
        for (_, build) in rest {
            let place = joiner.add(shifted(build, shift), &places[1]);
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
