//! What a run is about: packages, solutions and builds, before anything is done.

use std::sync::Arc;

use larder_engine::session::Session;
use larder_project::diagnostic::{Diagnostic, Diagnostics, suggest};
use larder_runs::name::{Named, PackageName};

use super::{BatchError, Request};
use crate::{
    catalogue::{Catalogue, Reading, VersionId},
    compilers,
    event::TaskName,
    graph::{Build, BuildId, Builds, Surroundings},
    solve::{Solutions, Solved, Solver},
    tasks::Part,
};

/// Everything that is known of a run before anything is done.
#[derive(Debug)]
pub struct Prepared {
    /// The packages of the set.
    pub catalogue: Catalogue,
    /// The compilers, in the catalogue's order, and the platform.
    pub surroundings: Surroundings,
    /// The solutions of all packages: which build counts first does not depend on what was asked for.
    pub solutions: Solutions,
    /// The builds of all solutions.
    pub builds: Builds,
    /// The package versions that are asked for, in the catalogue's order.
    pub targets: Vec<VersionId>,
    /// Of each build, whether a target needs it or is it.
    pub(crate) wanted: Vec<bool>,
}

impl Prepared {
    /// The builds that are asked for, and all that they need: needs first.
    pub fn wanted(&self) -> impl Iterator<Item = BuildId> {
        self.builds.iter().map(|(id, _)| id).filter(|id| self.wanted[id.index()])
    }

    /// The name of a part.
    pub(crate) fn name(&self, part: Part) -> TaskName {
        let build = self.builds.get(part.build);
        TaskName {
            package: self.catalogue.get(build.package).id.clone(),
            compiler: self.catalogue.compiler(build.compiler).name.clone(),
            build_hash: build.hash.clone(),
            stage: part.stage,
        }
    }

    /// Whether a build is of a package version that is asked for, and not only needed.
    pub(crate) fn is_asked_for(&self, build: BuildId) -> bool {
        self.targets.binary_search(&self.builds.get(build).package).is_ok()
    }

    /// Takes these package versions, sorted, for what is asked for.
    pub fn aim_at(&mut self, targets: Vec<VersionId>) {
        self.targets = targets;
        let is_target = |build: &Build| self.targets.binary_search(&build.package).is_ok();
        let asked = self.builds.iter().filter(|(_, build)| is_target(build));
        self.wanted = wanted(&self.builds, asked.map(|(id, _)| id));
    }

    /// Takes these builds, and what they need, for what is asked for: other builds of the same package versions are not.
    pub fn aim_at_builds(&mut self, builds: impl Iterator<Item = BuildId> + Clone) {
        self.targets = builds.clone().map(|id| self.builds.get(id).package).collect();
        self.targets.sort_unstable();
        self.targets.dedup();
        self.wanted = wanted(&self.builds, builds);
    }

    /// What came of solving for the targets.
    pub fn of_targets(&self) -> impl Iterator<Item = &Solved> {
        let asked = |solved: &&Solved| self.targets.binary_search(&solved.of().0).is_ok();
        self.solutions.iter().filter(asked)
    }

    /// The targets without a solution: the package version, the compiler, and why.
    pub fn unsolved(&self) -> impl Iterator<Item = (&PackageName, &PackageName, &str)> {
        self.of_targets().filter_map(|solved| match solved {
            Solved::Found(_) => None,
            Solved::NoSolution { target, compiler, explanation } => {
                let package = &self.catalogue.get(*target).id;
                Some((package, &self.catalogue.compiler(*compiler).name, explanation.as_str()))
            }
        })
    }

    /// How many targets, with each of the compilers, have a solution, and how many have none.
    pub fn solved(&self) -> (usize, usize) {
        let found = self.of_targets().filter(|solved| matches!(solved, Solved::Found(_))).count();
        (found, self.of_targets().count() - found)
    }
}

/// What becomes of what was learned on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It is kept in the data directory for the next time.
    Kept,
    /// Nothing is written.
    Lost,
}

/// Reads the packages of a set, chooses versions, and lists the builds. Nothing is built, and no run begins.
///
/// # Errors
/// What is wrong with the set, or with the packages asked for; compilers that are not there.
pub fn prepare(
    session: &Arc<Session>,
    request: &Request,
    memory: Memory,
) -> Result<Prepared, BatchError> {
    let catalogue = read(request, memory)?;
    prepare_catalogue(session, request, catalogue, memory)
}

/// Reads the packages of a set.
///
/// # Errors
/// What is wrong with the set as a whole.
pub fn read(request: &Request, memory: Memory) -> Result<Catalogue, Diagnostics> {
    Catalogue::read(&request.set, &request.directory, &reading(request, memory))
}

/// How packages of a set are read.
pub fn reading(request: &Request, memory: Memory) -> Reading<'_> {
    Reading {
        resolution: &request.resolution,
        data: &request.notes,
        threads: request.jobs,
        remember: memory == Memory::Kept,
    }
}

/// The same as [`prepare`] with these packages: those of the set, maybe with others in the place of some.
///
/// # Errors
/// As there.
pub fn prepare_catalogue(
    session: &Arc<Session>,
    request: &Request,
    catalogue: Catalogue,
    memory: Memory,
) -> Result<Prepared, BatchError> {
    let targets = targets(&catalogue, &request.packages)?;
    let surroundings = surroundings(session, request, &catalogue, memory)?;
    let all = catalogue.iter().map(|(id, _)| id);
    let solutions = solve(session, request, &catalogue, all, memory);
    let builds = Builds::new(&catalogue, &solutions, &surroundings);
    let mut prepared = Prepared {
        catalogue,
        surroundings,
        solutions,
        builds,
        targets: Vec::new(),
        wanted: Vec::new(),
    };
    prepared.aim_at(targets);
    Ok(prepared)
}

/// The compilers of a set, each with what it consists of, and the platform.
///
/// # Errors
/// Compilers that are not there.
pub(crate) fn surroundings(
    session: &Session,
    request: &Request,
    catalogue: &Catalogue,
    memory: Memory,
) -> Result<Surroundings, Diagnostics> {
    let environment = &session.settings.environment;
    let remember = memory == Memory::Kept;
    let identities =
        compilers::identities(catalogue, &request.directory, environment, &request.notes, remember);
    let platform = larder_trace::host_platform().to_string();
    Ok(Surroundings { identities: identities?, platform })
}

/// Solutions for these package versions, with each compiler that they are for: fewer where it is told to stop.
pub(crate) fn solve(
    session: &Session,
    request: &Request,
    catalogue: &Catalogue,
    targets: impl IntoIterator<Item = VersionId>,
    memory: Memory,
) -> Solutions {
    let kept = request.data.root().join("solutions");
    let stop = || session.processes.ending();
    let remember = memory == Memory::Kept;
    let solver = Solver { kept: Some(&kept), remember, threads: request.jobs, stop: &stop };
    solver.solve(catalogue, targets)
}

/// Of each build, whether it is one of these or needed by one.
fn wanted(builds: &Builds, asked: impl Iterator<Item = BuildId>) -> Vec<bool> {
    let mut wanted = vec![false; builds.len()];
    for id in asked {
        wanted[id.index()] = true;
        builds.get(id).closure.iter().for_each(|need| wanted[need.index()] = true);
    }
    wanted
}

/// The package versions that are asked for: all, when nothing is.
pub(crate) fn targets(
    catalogue: &Catalogue,
    asked: &[Named],
) -> Result<Vec<VersionId>, Diagnostics> {
    if asked.is_empty() {
        return Ok(catalogue.iter().map(|(id, _)| id).collect());
    }
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for asked in asked {
        let before = found.len();
        found.extend(catalogue.named(asked));
        if found.len() == before {
            errors.push(unknown(catalogue, asked));
        }
    }
    found.sort_unstable();
    found.dedup();
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

/// The error for a package that is not in the set.
pub fn unknown(catalogue: &Catalogue, named: &Named) -> Diagnostic {
    let name = named.name();
    let known: Vec<&str> =
        catalogue.versions(name).map(|id| catalogue.get(id).version.as_str()).collect();
    let help = match known.is_empty() {
        true => suggest(name, catalogue.names()).map(|known| format!("did you mean {known}?")),
        false => Some(format!("the set has {name} {}", known.join(", "))),
    };
    let diagnostic = Diagnostic::new(format!("there is no {named} in the set"));
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
