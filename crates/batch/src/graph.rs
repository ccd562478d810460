//! What is built: each package version in one universe with one compiler, once.
//!
//! A solution says with which versions its target is built, and so with which each of these is built: the part of
//! the choice that is below it. Two solutions that have the same below a package version share its build, and all
//! builds below that.

mod join;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, num::NonZero, ops::Range, thread};

use larder_project::parallel;
use larder_runs::{
    graph::{self, BuildGraph, Node},
    name::HashName,
};
use larder_trace::ContentHash;
use rustc_hash::FxHashMap;

pub use join::Joined;

use crate::{
    bless::blessed,
    catalogue::{Catalogue, CompilerId, VersionId},
    hashes::{self, BuildParts, Fields},
    solve::{Solution, Solutions},
};

/// A build's position among all: a build comes after all that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub u32);

impl BuildId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A package version in one universe with one compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The package version.
    pub package: VersionId,
    /// The compiler.
    pub compiler: CompilerId,
    /// The hash of its dependency closure.
    pub universe: HashName,
    /// The hash that names it and its layer.
    pub hash: HashName,
    /// The builds of its direct needs, in the order of their names.
    pub needs: Vec<BuildId>,
    /// The builds of all that it needs, directly or not, sorted: needs come before what needs them.
    pub closure: Vec<BuildId>,
    /// The first solution that has it.
    pub solution: HashName,
    /// Whether it is the one of its package version that counts first.
    pub blessed: bool,
}

/// What build hashes have in them that the set does not say.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The identity of each compiler's tools, in the order of the catalogue, as the engine traces them.
    pub identities: Vec<HashName>,
    /// The platform that is built on and for.
    pub platform: String,
}

/// All builds of some solutions.
///
/// They are in the order of the catalogue as far as needs allow: the same set gives the same builds at the same
/// places, in whatever order it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Builds {
    builds: Vec<Build>,
    /// The builds that need one directly: those of build `n` are `users[starts[n]..starts[n + 1]]`.
    users: Vec<BuildId>,
    starts: Vec<u32>,
}

impl Builds {
    /// Returns the builds of the solutions that were found, the blessed ones marked.
    pub fn new(catalogue: &Catalogue, solutions: &Solutions, around: &Surroundings) -> Self {
        let mut maker = Maker::new(catalogue);
        for solution in solutions.found() {
            maker.add(solution);
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let drafts = maker.drafts;
        let packages: Vec<VersionId> = drafts.iter().map(|draft| draft.package).collect();
        let names = parallel::map(&drafts, threads, |it| it.names(catalogue, &packages, around));
        let named = drafts.into_iter().zip(names).map(|(draft, names)| draft.named(names));
        let mut builds: Vec<Build> = named.collect();
        for id in blessed(&builds) {
            builds[id.index()].blessed = true;
        }
        Self::linked(builds)
    }

    /// The same, of which none counts first.
    pub(crate) fn without_blessings(mut self) -> Self {
        self.builds.iter_mut().for_each(|build| build.blessed = false);
        self
    }

    /// The same with users by build.
    fn linked(builds: Vec<Build>) -> Self {
        let mut starts = vec![0_u32; builds.len() + 1];
        for need in builds.iter().flat_map(|build| &build.needs) {
            starts[need.index() + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut users = vec![BuildId(0); builds.iter().map(|build| build.needs.len()).sum()];
        for (id, build) in (0..).map(BuildId).zip(&builds) {
            for need in &build.needs {
                let place = &mut next[need.index()];
                users[*place as usize] = id;
                *place += 1;
            }
        }
        Self { builds, users, starts }
    }

    /// A build.
    pub fn get(&self, id: BuildId) -> &Build {
        &self.builds[id.index()]
    }

    /// All builds with their ids: needs before what needs them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (BuildId, &Build)> {
        self.builds.iter().enumerate().map(|(index, build)| (BuildId(index as u32), build))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.builds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.builds.is_empty()
    }

    /// The name of their record: what they are and which of them count first.
    pub fn name(&self) -> HashName {
        let mut fields = Fields::of("graph");
        fields.number(graph::SCHEMA_VERSION.into());
        fields.number(self.builds.len() as u64);
        for build in &self.builds {
            fields.text(build.hash.as_str()).number(build.blessed.into());
        }
        hashes::name(&fields.finish())
    }

    /// Their record, for whoever wants to know who needs whom.
    pub fn record(&self, catalogue: &Catalogue, around: &Surroundings) -> BuildGraph {
        let node = |build: &Build| Node {
            package: catalogue.get(build.package).id.clone(),
            compiler: catalogue.compiler(build.compiler).name.clone(),
            digest: catalogue.get(build.package).digest.clone(),
            universe: build.universe.clone(),
            build_hash: build.hash.clone(),
            blessed: build.blessed,
            needs: build.needs.iter().map(|need| need.0).collect(),
        };
        let builds = self.builds.iter().map(node).collect();
        let compilers = catalogue.compilers().zip(&around.identities);
        let tools = compilers.map(|((_, compiler), identity)| {
            let mut fields = Fields::of("tools");
            fields.text(identity.as_str()).text(&around.platform);
            (compiler.name.clone(), hashes::name(&fields.finish()))
        });
        let tools = tools.collect();
        BuildGraph { schema_version: graph::SCHEMA_VERSION, tools, builds }
    }

    /// The builds that need a build directly, sorted.
    pub fn dependents(&self, id: BuildId) -> &[BuildId] {
        let end = |index: usize| self.starts.get(index).map_or(0, |end| *end as usize);
        let range: Range<usize> = end(id.index())..end(id.index() + 1);
        &self.users[range]
    }
}

/// A build that has no names yet.
struct Draft {
    package: VersionId,
    compiler: CompilerId,
    needs: Vec<BuildId>,
    closure: Vec<BuildId>,
    solution: HashName,
}

/// The names of a build that are made from content.
struct Names {
    universe: HashName,
    hash: HashName,
}

impl Draft {
    /// Its names; `packages` are those of all builds.
    fn names(&self, catalogue: &Catalogue, packages: &[VersionId], around: &Surroundings) -> Names {
        let mut versions: Vec<VersionId> =
            self.closure.iter().map(|id| packages[id.index()]).collect();
        versions.sort_unstable();
        let named = |id: &VersionId| {
            let version = catalogue.get(*id);
            (version.id.as_str(), version.digest.as_str())
        };
        let universe: ContentHash = hashes::universe(versions.iter().map(named));
        let (name, digest) = named(&self.package);
        let identity = around.identities.get(self.compiler.index());
        let hash = hashes::build(&BuildParts {
            package: name,
            digest,
            universe: &universe,
            compiler: catalogue.compiler(self.compiler).name.as_str(),
            identity: identity.map_or("", HashName::as_str),
            platform: &around.platform,
        });
        Names { universe: hashes::name(&universe), hash: hashes::name(&hash) }
    }

    fn named(self, Names { universe, hash }: Names) -> Build {
        let Self { package, compiler, needs, closure, solution } = self;
        Build { package, compiler, universe, hash, needs, closure, solution, blessed: false }
    }
}

/// Finds the builds of solutions.
struct Maker {
    /// By package version: the names of what it needs, by number, and the number of its own.
    needs: Vec<Vec<u32>>,
    named: Vec<u32>,
    drafts: Vec<Draft>,
    /// With the same builds of its needs, it is the same build: the numbers of these, of the package version and of
    /// the compiler.
    known: FxHashMap<Box<[u32]>, BuildId>,
    /// By name: what the solution at hand has chosen.
    chosen: Vec<Option<Chosen>>,
    /// Where a key is made to look for it.
    key: Vec<u32>,
    /// By build: the last one that was found to need it.
    needed_by: Vec<Option<BuildId>>,
}

#[derive(Clone, Copy)]
struct Chosen {
    version: VersionId,
    build: Option<BuildId>,
}

impl Maker {
    fn new(catalogue: &Catalogue) -> Self {
        let numbers: HashMap<&str, u32> = catalogue.names().zip(0..).collect();
        // What is not in the set is in no solution.
        let number = |name: &String| numbers.get(name.as_str()).copied();
        let versions = || catalogue.iter().map(|(_, version)| version);
        Self {
            needs: versions().map(|it| it.needs.keys().filter_map(number).collect()).collect(),
            named: versions().filter_map(|version| number(&version.name)).collect(),
            drafts: Vec::new(),
            known: FxHashMap::default(),
            chosen: vec![None; numbers.len()],
            key: Vec::new(),
            needed_by: Vec::new(),
        }
    }

    /// Adds the builds of a solution.
    fn add(&mut self, solution: &Solution) {
        for version in &solution.chosen {
            let name = self.named[version.index()] as usize;
            self.chosen[name] = Some(Chosen { version: *version, build: None });
        }
        for version in &solution.chosen {
            self.build(*version, solution);
        }
        for version in &solution.chosen {
            self.chosen[self.named[version.index()] as usize] = None;
        }
    }

    /// Makes the build of a chosen version after those of its needs. None needs itself.
    fn build(&mut self, version: VersionId, solution: &Solution) {
        let mut way = vec![version];
        while let Some(&next) = way.last() {
            if self.built(next).is_some() {
                way.pop();
                continue;
            }
            let chosen = |name: &u32| self.chosen[*name as usize];
            let needs = self.needs[next.index()].iter().filter_map(chosen);
            let before = way.len();
            way.extend(needs.filter(|need| need.build.is_none()).map(|need| need.version));
            if way.len() > before {
                continue;
            }
            let build = self.made(next, solution);
            let name = self.named[next.index()] as usize;
            self.chosen[name] = Some(Chosen { version: next, build: Some(build) });
            way.pop();
        }
    }

    fn built(&self, version: VersionId) -> Option<BuildId> {
        self.chosen[self.named[version.index()] as usize]?.build
    }

    /// The build of a version whose needs have their builds; it is made where there is none yet.
    fn made(&mut self, version: VersionId, solution: &Solution) -> BuildId {
        self.key.clear();
        self.key.extend([version.0, solution.compiler.0]);
        let builds = self.needs[version.index()].iter();
        let builds = builds.filter_map(|name| self.chosen[*name as usize]?.build);
        self.key.extend(builds.map(|build| build.0));
        if let Some(known) = self.known.get(self.key.as_slice()) {
            return *known;
        }
        let needs: Vec<BuildId> = self.key[2..].iter().map(|need| BuildId(*need)).collect();
        let next = BuildId(self.drafts.len() as u32);
        let closure = self.closure(next, &needs);
        self.drafts.push(Draft {
            package: version,
            compiler: solution.compiler,
            needs,
            closure,
            solution: solution.hash.clone(),
        });
        self.needed_by.push(None);
        self.known.insert(self.key.as_slice().into(), next);
        next
    }

    /// All that `build` needs, directly or not, sorted; `needs` are its direct ones.
    fn closure(&mut self, build: BuildId, needs: &[BuildId]) -> Vec<BuildId> {
        let below = needs.iter().flat_map(|need| &self.drafts[need.index()].closure);
        let all = needs.iter().chain(below).copied();
        let mut closure: Vec<BuildId> =
            all.filter(|need| self.needed_by[need.index()].replace(build) != Some(build)).collect();
        closure.sort_unstable();
        closure
    }
}
