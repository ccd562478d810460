//! What is compared: the same package version on both sides.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use larder_engine::session::Session;
use larder_project::diagnostic::Diagnostics;
use larder_runs::{
    comparison::{SideName, Subject},
    name::{Named, PackageName},
};

use crate::{
    catalogue::{CompilerId, VersionId},
    graph::{BuildId, Joined},
    run::{BatchError, Memory, Prepared, Request, prepare, unknown},
    solve::{Solution, Solved},
};

/// Two sides, and what is to be found out about them.
#[derive(Debug)]
pub struct Comparison {
    /// What was.
    pub base: SideName,
    /// What is to be.
    pub candidate: SideName,
    /// The builds of both sides, of which those of pairs that differ are wanted.
    pub prepared: Prepared,
    /// What both sides have.
    pub pairs: Vec<Pair>,
    /// Other builds of a package version that one of the pairs needs on both sides: with other dependencies than it has for
    /// itself.
    pub beside: Vec<Pair>,
    /// What only the candidate has.
    pub added: Vec<Subject>,
    /// What only the base has.
    pub removed: Vec<Subject>,
}

/// A package version on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Which it is.
    pub subject: Subject,
    /// Before.
    pub base: Place,
    /// After.
    pub candidate: Place,
}

/// What a side has for a package version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A build.
    Build(BuildId),
    /// No versions fit together, and this is why.
    Unsolved(String),
}

impl Place {
    /// Returns the build, where there is one.
    pub fn build(&self) -> Option<BuildId> {
        match self {
            Place::Build(id) => Some(*id),
            Place::Unsolved(_) => None,
        }
    }
}

impl Pair {
    /// Returns the builds of both sides where these differ: there is something to be found out then.
    pub fn builds(&self) -> Option<[BuildId; 2]> {
        let builds = [self.base.build()?, self.candidate.build()?];
        (self.base != self.candidate).then_some(builds)
    }

    /// Whether the sides may come to something else: there are builds that tell.
    pub fn may_differ(&self) -> bool {
        self.wanted().next().is_some()
    }

    /// The builds that a verdict needs: both where they differ, and the only one where the other side has no solution.
    fn wanted(&self) -> impl Iterator<Item = BuildId> + use<> {
        let differ = self.base != self.candidate;
        let sides = differ.then(|| [self.base.build(), self.candidate.build()]);
        sides.into_iter().flatten().flatten()
    }
}

/// Prepares the comparison of two compilers of a set.
///
/// # Errors
/// What is wrong with the set, or with the packages asked for.
pub fn of_compilers(
    session: &Arc<Session>,
    request: &Request,
    [base, candidate]: [&PackageName; 2],
    memory: Memory,
) -> Result<Comparison, BatchError> {
    let prepared = prepare(session, request, memory)?;
    let side = |name: &PackageName| {
        let compilers = prepared.catalogue.compilers();
        let this: BTreeSet<CompilerId> =
            compilers.filter(|(_, it)| it.name == *name).map(|(id, _)| id).collect();
        let found = places(&prepared, |_, compiler| this.contains(&compiler));
        let of = |package: PackageName| Subject { package, compiler: None };
        found.into_iter().map(|((package, _), place)| (of(package), place)).collect()
    };
    let names = [base, candidate].map(|name| SideName::Compiler { name: name.clone() });
    let sides = [side(base), side(candidate)];
    Ok(Comparison::new(names, prepared, sides))
}

/// Prepares the comparison of two sets, each with all that was prepared of it: that of the packages that are asked for, which one
/// of them has at least.
///
/// # Errors
/// Packages that neither of them has.
pub fn of_sets(
    names: [SideName; 2],
    [base, candidate]: [Prepared; 2],
    asked: &[Named],
) -> Result<Comparison, Diagnostics> {
    let has = |prepared: &Prepared, asked: &Named| prepared.catalogue.named(asked).next().is_some();
    let nowhere = asked.iter().filter(|named| !has(&base, named) && !has(&candidate, named));
    let nowhere: Vec<_> = nowhere.map(|named| unknown(&candidate.catalogue, named)).collect();
    if !nowhere.is_empty() {
        return Err(Diagnostics(nowhere));
    }
    let side = |prepared: &Prepared| {
        let is_asked = |id: VersionId, _| {
            let id = &prepared.catalogue.get(id).id;
            asked.is_empty() || asked.iter().any(|named| named.is(id))
        };
        places(prepared, is_asked)
    };
    let found = [side(&base), side(&candidate)];
    let (prepared, joined) = join(base, candidate);
    let moved = |side: BTreeMap<(PackageName, PackageName), Place>, to: &[BuildId]| {
        let at = |place| match place {
            Place::Build(id) => Place::Build(to[id.index()]),
            Place::Unsolved(why) => Place::Unsolved(why),
        };
        let of = |(package, compiler)| Subject { package, compiler: Some(compiler) };
        side.into_iter().map(|(key, place)| (of(key), at(place))).collect()
    };
    let [base, candidate] = found;
    let sides = [moved(base, &joined.base), moved(candidate, &joined.candidate)];
    Ok(Comparison::new(names, prepared, sides))
}

/// All that was prepared of both sides as one.
fn join(mut base: Prepared, candidate: Prepared) -> (Prepared, Joined) {
    let name = |side: &Prepared, version: VersionId, compiler: CompilerId| {
        let catalogue = &side.catalogue;
        (catalogue.get(version).id.clone(), catalogue.compiler(compiler).name.clone())
    };
    let named = |side: &Prepared| -> Vec<(PackageName, PackageName)> {
        side.builds.iter().map(|(_, build)| name(side, build.package, build.compiler)).collect()
    };
    let names = [named(&base), named(&candidate)];
    let shift = base.catalogue.join(candidate.catalogue);
    let joined = Joined::new([&base.builds, &candidate.builds], &names, shift);
    base.surroundings.identities.extend(candidate.surroundings.identities);
    base.builds = joined.builds.clone();
    // What has no solution is said with its pair.
    base.solutions = Default::default();
    (base, joined)
}

/// What there is for each package version and compiler that are looked for.
fn places(
    prepared: &Prepared,
    is_asked: impl Fn(VersionId, CompilerId) -> bool,
) -> BTreeMap<(PackageName, PackageName), Place> {
    let catalogue = &prepared.catalogue;
    let mut builds: HashMap<(VersionId, CompilerId), Vec<BuildId>> = HashMap::new();
    for (id, build) in prepared.builds.iter() {
        builds.entry((build.package, build.compiler)).or_default().push(id);
    }
    let of_solution = |solution: &Solution| {
        let same = |id: &&BuildId| {
            let needs = &prepared.builds.get(**id).closure;
            let mut needs: Vec<VersionId> =
                needs.iter().map(|need| prepared.builds.get(*need).package).collect();
            needs.sort_unstable();
            let chosen = solution.chosen.iter().filter(|version| **version != solution.target);
            chosen.eq(&needs)
        };
        builds.get(&(solution.target, solution.compiler))?.iter().find(same).copied()
    };
    let mut found = BTreeMap::new();
    for solved in prepared.of_targets() {
        let (target, compiler) = solved.of();
        if !is_asked(target, compiler) {
            continue;
        }
        let place = match solved {
            Solved::NoSolution { explanation, .. } => Place::Unsolved(explanation.clone()),
            Solved::Found(solution) => match of_solution(solution) {
                Some(build) => Place::Build(build),
                // Each solution has a build of its target.
                None => continue,
            },
        };
        let key = (catalogue.get(target).id.clone(), catalogue.compiler(compiler).name.clone());
        found.insert(key, place);
    }
    found
}

impl Comparison {
    fn new(
        [base, candidate]: [SideName; 2],
        mut prepared: Prepared,
        [before, mut after]: [BTreeMap<Subject, Place>; 2],
    ) -> Self {
        let (mut pairs, mut removed) = (Vec::new(), Vec::new());
        for (subject, base) in before {
            match after.remove(&subject) {
                Some(candidate) => pairs.push(Pair { subject, base, candidate }),
                None => removed.push(subject),
            }
        }
        let added = after.into_keys().collect();
        let builds: Vec<BuildId> = pairs.iter().flat_map(Pair::wanted).collect();
        prepared.aim_at_builds(builds.into_iter());
        let beside = beside(&prepared, &pairs);
        Self { base, candidate, prepared, pairs, beside, added, removed }
    }

    /// All pairs that are to be tried.
    pub fn all_pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().chain(&self.beside)
    }
}

/// The builds that both sides of a pair need of one package version, where they differ and are no pair already.
fn beside(prepared: &Prepared, pairs: &[Pair]) -> Vec<Pair> {
    let mut known: HashSet<[BuildId; 2]> = pairs.iter().filter_map(Pair::builds).collect();
    let mut found = Vec::new();
    for (pair, builds) in pairs.iter().filter_map(|pair| Some((pair, pair.builds()?))) {
        let needs = builds.map(|build| {
            let needs = prepared.builds.get(build).closure.iter();
            let name = |id: &BuildId| &prepared.catalogue.get(prepared.builds.get(*id).package).id;
            needs.map(|id| (name(id), *id)).collect::<BTreeMap<_, _>>()
        });
        let [base, candidate] = needs;
        for (package, base) in base {
            let Some(candidate) = candidate.get(package).copied() else { continue };
            if base != candidate && known.insert([base, candidate]) {
                let compiler = pair.subject.compiler.clone();
                found.push(Pair {
                    subject: Subject { package: package.clone(), compiler },
                    base: Place::Build(base),
                    candidate: Place::Build(candidate),
                });
            }
        }
    }
    found
}
