//! States: one package with all that decides its build.
//!
//! A state is plain data and knows nothing of revisions: two revisions that give the package the same build hash have
//! the same state. Between two states lie those that have some of the changes and not the others.

use std::collections::{BTreeMap, BTreeSet};

use larder_project::version::Answer;
use larder_runs::name::{HashName, PackageName};
use serde::Serialize;

use crate::{
    catalogue::{Catalogue, Compiler, CompilerId, PackageVersion, VersionId},
    graph::{BuildId, Builds, Surroundings},
    run::Prepared,
    solve::{self, Solution, Solutions},
};

/// A package with the versions of all that it needs and a compiler.
#[derive(Debug, Clone)]
pub struct State {
    /// The name of the package.
    pub name: String,
    /// The compiler.
    pub compiler: Compiler,
    /// The identity of its tools.
    pub identity: HashName,
    /// The package and all that it needs, directly or not, by name.
    pub versions: BTreeMap<String, PackageVersion>,
    /// The build hash.
    pub hash: HashName,
}

/// The package that a state is of, as people call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ground {
    /// The package version.
    pub package: PackageName,
    /// The compiler.
    pub compiler: PackageName,
    /// The build.
    pub build_hash: HashName,
}

/// Why there is no such state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoState(pub String);

impl State {
    /// The state that a solution stands for.
    pub fn of(
        catalogue: &Catalogue,
        around: &Surroundings,
        solution: &Solution,
    ) -> Result<State, NoState> {
        let chosen = solution.chosen.iter().map(|id| catalogue.get(*id));
        let chosen: BTreeMap<&str, &PackageVersion> =
            chosen.map(|version| (version.name.as_str(), version)).collect();
        let compiler = Tool {
            compiler: catalogue.compiler(solution.compiler),
            identity: &around.identities[solution.compiler.index()],
        };
        let name = &catalogue.get(solution.target).name;
        // Its requirements are met, or it were no solution.
        State::made(name, compiler, &around.platform, |name| chosen.get(name).copied(), |_, _| true)
    }

    /// Makes a state of the versions that `pick` gives, as far as they are needed; `admits` says which of them fit.
    fn made<'v>(
        name: &str,
        Tool { compiler, identity }: Tool<'_>,
        platform: &str,
        pick: impl Fn(&str) -> Option<&'v PackageVersion>,
        admits: impl Fn(&PackageVersion, &PackageVersion) -> bool,
    ) -> Result<State, NoState> {
        let mut versions = BTreeMap::new();
        let mut open = vec![name.to_owned()];
        while let Some(next) = open.pop() {
            if versions.contains_key(&next) {
                continue;
            }
            let version =
                pick(&next).ok_or_else(|| NoState(format!("{next} is needed and not there")))?;
            if version.fault.is_some() {
                return Err(NoState(format!("{} cannot be read", version.id)));
            }
            if version.compilers.as_ref().is_some_and(|of| !of.contains(&compiler.name)) {
                return Err(NoState(format!("{} is not for {}", version.id, compiler.name)));
            }
            open.extend(version.needs.keys().cloned());
            versions.insert(next, version.clone());
        }
        for user in versions.values() {
            let needs = user.needs.keys().filter_map(|need| versions.get(need));
            if let Some(need) = needs.into_iter().find(|need| !admits(user, need)) {
                let reason = format!("{} does not do for {}", need.id, user.id);
                return Err(NoState(reason));
            }
        }
        if let Some(name) = in_a_circle(&versions) {
            return Err(NoState(format!("{name} needs itself")));
        }
        let tool = Tool { compiler, identity };
        let prepared = prepared(&versions, name, tool, platform);
        let hash = own(&prepared).map(|own| prepared.builds.get(own).hash.clone());
        let hash = hash.ok_or_else(|| NoState(format!("{name} is not there")))?;
        let (compiler, identity) = (compiler.clone(), identity.clone());
        Ok(State { name: name.to_owned(), compiler, identity, versions, hash })
    }

    /// The package version that it is of.
    pub fn target(&self) -> &PackageVersion {
        &self.versions[&self.name]
    }

    /// What it is of, for people.
    pub fn ground(&self) -> Ground {
        Ground {
            package: self.target().id.clone(),
            compiler: self.compiler.name.clone(),
            build_hash: self.hash.clone(),
        }
    }

    /// The same as a run takes it: a set of just these packages, and their builds. No build of it is blessed.
    pub fn prepared(&self, platform: &str) -> Prepared {
        let tool = Tool { compiler: &self.compiler, identity: &self.identity };
        prepared(&self.versions, &self.name, tool, platform)
    }
}

#[derive(Clone, Copy)]
struct Tool<'t> {
    compiler: &'t Compiler,
    identity: &'t HashName,
}

fn prepared(
    versions: &BTreeMap<String, PackageVersion>,
    name: &str,
    tool: Tool<'_>,
    platform: &str,
) -> Prepared {
    let identities = vec![tool.identity.clone()];
    let around = Surroundings { identities, platform: platform.to_owned() };
    let versions = versions.values().cloned().collect();
    // No name is in it twice.
    let catalogue = Catalogue::of(versions, vec![tool.compiler.clone()]).unwrap_or_default();
    let chosen: Vec<VersionId> = catalogue.iter().map(|(id, _)| id).collect();
    let target = catalogue.versions(name).next().unwrap_or(VersionId(0));
    let solution = solve::solution(&catalogue, target, CompilerId(0), chosen);
    let solutions = Solutions::of(vec![solution]);
    let builds = Builds::new(&catalogue, &solutions, &around).without_blessings();
    let (targets, wanted) = (Vec::new(), Vec::new());
    let mut prepared =
        Prepared { catalogue, surroundings: around, solutions, builds, targets, wanted };
    prepared.aim_at(vec![target]);
    prepared
}

/// The build of what is asked for, which is one.
pub(super) fn own(prepared: &Prepared) -> Option<BuildId> {
    let mut builds = prepared.builds.iter();
    builds.find(|(_, build)| prepared.targets.contains(&build.package)).map(|(id, _)| id)
}

/// A package that needs itself, if there is one.
fn in_a_circle(versions: &BTreeMap<String, PackageVersion>) -> Option<&str> {
    let mut open: BTreeMap<&str, usize> = versions
        .iter()
        .map(|(name, version)| {
            let needs = version.needs.keys().filter(|need| versions.contains_key(*need));
            (name.as_str(), needs.count())
        })
        .collect();
    while let Some(free) = open.iter().find(|(_, needs)| **needs == 0).map(|(name, _)| *name) {
        open.remove(free);
        let users = versions.iter().filter(|(_, version)| version.needs.contains_key(free));
        for (user, _) in users {
            if let Some(needs) = open.get_mut(user.as_str()) {
                *needs -= 1;
            }
        }
    }
    open.keys().next().copied()
}

/// One thing that is another one in another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What it is.
    pub kind: ChangeKind,
    /// The name of the package, or of the compiler before.
    pub name: String,
    /// What was: `<name>.<version>`.
    pub from: PackageName,
    /// What is: the same where only its content is another.
    pub to: PackageName,
}

/// What can be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The compiler.
    Compiler,
    /// Something that the package needs.
    Dependency,
    /// The package itself.
    Package,
}

/// The change in a few words: `zlib 1.2.13 → 1.3.1`.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Change { kind, from, to, .. } = self;
        match kind {
            ChangeKind::Compiler if from == to => write!(f, "the tools of the compiler {from}"),
            ChangeKind::Compiler => write!(f, "the compiler {from} → {to}"),
            _ if from == to => write!(f, "{from}: its sources, or how it is built"),
            _ => write!(f, "{} {} → {}", from.name(), from.version(), to.version()),
        }
    }
}

/// Two states, and what lies between them.
#[derive(Debug, Clone)]
pub struct Pair {
    good: State,
    bad: State,
    changes: Vec<Change>,
    platform: String,
}

impl Pair {
    /// The way from one state to another.
    pub fn new(good: State, bad: State, platform: &str) -> Pair {
        let changes = changes(&good, &bad);
        Pair { good, bad, changes, platform: platform.to_owned() }
    }

    /// All that is another one in the second, in a fixed order: the compiler; what the package needs, each after what
    /// it needs itself; the package. What came or went with a change of what needs it is no change of its own.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The state that has some of the changes, given by their places, and not the others.
    ///
    /// # Errors
    /// Why there is none: versions of both sides need not fit together.
    pub fn with(&self, places: &BTreeSet<usize>) -> Result<State, NoState> {
        if places.is_empty() {
            return Ok(self.good.clone());
        }
        if places.len() == self.changes.len() {
            return Ok(self.bad.clone());
        }
        let changed = |kind, name: &str| {
            let mut changed = places.iter().map(|place| &self.changes[*place]);
            changed.any(|change| {
                change.kind == kind && (kind == ChangeKind::Compiler || change.name == name)
            })
        };
        let pick = |name: &str| {
            let (good, bad) = (self.good.versions.get(name), self.bad.versions.get(name));
            match changed(ChangeKind::Dependency, name) || changed(ChangeKind::Package, name) {
                true => bad.or(good),
                false => good.or(bad),
            }
        };
        let side = if changed(ChangeKind::Compiler, "") { &self.bad } else { &self.good };
        let tool = Tool { compiler: &side.compiler, identity: &side.identity };
        // What a package requires is no part of what it is: one that is on both sides may be with what either says.
        let admits = |user: &PackageVersion, need: &PackageVersion| {
            let sides = [&self.good, &self.bad].map(|state| state.versions.get(&user.name));
            let sides = sides.into_iter().flatten().filter(|side| is_same(side, user));
            let mut required = sides.filter_map(|side| side.needs.get(&need.name));
            required.any(|required| required.admits(&need.version) == Answer::Satisfied)
        };
        State::made(&self.good.name, tool, &self.platform, pick, admits)
    }
}

fn is_same(a: &PackageVersion, b: &PackageVersion) -> bool {
    a.id == b.id && a.digest == b.digest
}

fn changes(good: &State, bad: &State) -> Vec<Change> {
    let mut found = Vec::new();
    if good.compiler.name != bad.compiler.name || good.identity != bad.identity {
        found.push(Change {
            kind: ChangeKind::Compiler,
            name: good.compiler.name.name().to_owned(),
            from: good.compiler.name.clone(),
            to: bad.compiler.name.clone(),
        });
    }
    for name in needs_first(good, bad) {
        let (Some(from), Some(to)) = (good.versions.get(name), bad.versions.get(name)) else {
            continue;
        };
        if !is_same(from, to) {
            let own = name == good.name;
            found.push(Change {
                kind: if own { ChangeKind::Package } else { ChangeKind::Dependency },
                name: name.to_owned(),
                from: from.id.clone(),
                to: to.id.clone(),
            });
        }
    }
    found
}

/// The names of both states, each after what it needs in either, as far as that is possible.
fn needs_first<'s>(good: &'s State, bad: &'s State) -> Vec<&'s str> {
    let mut order: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    // A name is done when it is met for the second time: all that it needs was met in between.
    let mut way = vec![good.name.as_str()];
    while let Some(&name) = way.last() {
        if !seen.insert(name) {
            way.pop();
            if !order.contains(&name) {
                order.push(name);
            }
            continue;
        }
        let sides = [good.versions.get(name), bad.versions.get(name)];
        let needs = sides.into_iter().flatten().flat_map(|version| version.needs.keys());
        let needs: BTreeSet<&str> = needs.map(String::as_str).collect();
        way.extend(needs.into_iter().rev().filter(|need| !seen.contains(need)));
    }
    order
}
