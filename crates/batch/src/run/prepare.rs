//! What a run is about: packages, solutions and builds, before anything is done.

use std::sync::Arc;

use larder_engine::session::Session;
use larder_project::diagnostic::{Diagnostic, Diagnostics, suggest};
use larder_runs::name::Named;

use super::{BatchError, Request};
use crate::{
    catalogue::{Catalogue, Reading, VersionId},
    compilers,
    graph::{BuildId, Builds, Surroundings},
    solve::{Solutions, Solved, Solver},
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
    wanted: Vec<bool>,
}

impl Prepared {
    /// The builds that are asked for, and all that they need: needs first.
    pub fn wanted(&self) -> impl Iterator<Item = BuildId> {
        self.builds.iter().map(|(id, _)| id).filter(|id| self.wanted[id.index()])
    }

    /// What came of solving for the targets.
    pub fn of_targets(&self) -> impl Iterator<Item = &Solved> {
        let asked = |solved: &&Solved| self.targets.binary_search(&solved.of().0).is_ok();
        self.solutions.iter().filter(asked)
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
    let remember = memory == Memory::Kept;
    let reading = Reading {
        resolution: &request.resolution,
        data: request.data.root(),
        threads: request.jobs,
        remember,
    };
    let catalogue = Catalogue::read(&request.set, &request.directory, &reading)?;
    let targets = targets(&catalogue, &request.packages)?;
    let surroundings = Surroundings {
        identities: compilers::identities(
            &catalogue,
            &request.directory,
            &session.settings.environment,
            request.data.root(),
            remember,
        )
        .map_err(Diagnostics::from)?,
        platform: larder_trace::host_platform().to_string(),
    };
    let kept = request.data.root().join("solutions");
    let stop = || session.processes.closing() || session.processes.interrupted();
    let solver = Solver { kept: Some(&kept), remember, threads: request.jobs, stop: &stop };
    let solutions = solver.solve(&catalogue, catalogue.iter().map(|(id, _)| id));
    let builds = Builds::new(&catalogue, &solutions, &surroundings);
    let mut wanted = vec![false; builds.len()];
    for (id, build) in builds.iter() {
        if targets.binary_search(&build.package).is_ok() {
            wanted[id.index()] = true;
            build.closure.iter().for_each(|need| wanted[need.index()] = true);
        }
    }
    Ok(Prepared { catalogue, surroundings, solutions, builds, targets, wanted })
}

/// The package versions that are asked for: all, when nothing is.
fn targets(catalogue: &Catalogue, asked: &[Named]) -> Result<Vec<VersionId>, Diagnostics> {
    if asked.is_empty() {
        return Ok(catalogue.iter().map(|(id, _)| id).collect());
    }
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for named in asked {
        let before = found.len();
        match named {
            Named::Version(package) => found.extend(catalogue.find(package)),
            Named::Name(name) => found.extend(catalogue.versions(name)),
        }
        if found.len() == before {
            errors.push(unknown(catalogue, named));
        }
    }
    found.sort_unstable();
    found.dedup();
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

fn unknown(catalogue: &Catalogue, named: &Named) -> Diagnostic {
    let (name, versions) = match named {
        Named::Version(package) => (package.name(), catalogue.versions(package.name())),
        Named::Name(name) => (name.as_str(), catalogue.versions(name)),
    };
    let known: Vec<&str> = versions.map(|id| catalogue.get(id).version.as_str()).collect();
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
