//! What a change of the set can affect.

use std::{collections::HashSet, sync::Arc};

use larder_engine::session::Session;
use larder_runs::name::{HashName, PackageName};
use larder_trace::ContentHash;

use crate::{
    catalogue::VersionId,
    docs,
    graph::Build,
    hashes::Fields,
    revision::Revision,
    run::{BatchError, Memory, Prepared, Request, prepare},
    solve::Solved,
};

/// Prepares a run about what is not as it was at a revision of the set: exactly the package versions, of those that are
/// asked for, that have with any compiler a build, lines for its documentation, or a missing solution which the revision's set does not
/// give. Hashes decide: nothing depends on when or where a file was changed.
///
/// # Errors
/// What is wrong with either set, or with the packages asked for.
pub fn prepare_since(
    session: &Arc<Session>,
    request: &Request,
    revision: &Revision,
    memory: Memory,
) -> Result<Prepared, BatchError> {
    let mut now = prepare(session, request, memory)?;
    let mut before = Request { packages: Vec::new(), ..revision.request(request) };
    // Nothing is built with others, and they need not be there any more.
    before.set.compilers.retain(|name, _| request.set.compilers.contains_key(name));
    let then = prepare(session, &before, memory)?;
    let changed = changed(&now, &then);
    let targets = now.targets.iter().copied().filter(|id| changed.contains(id)).collect();
    now.aim_at(targets);
    Ok(now)
}

/// The package versions of which a build, how its documentation is made, or that there is no solution, is not as it was.
pub fn changed(now: &Prepared, then: &Prepared) -> HashSet<VersionId> {
    let builds: HashSet<(&HashName, ContentHash)> =
        documented(then).map(|(build, lines)| (&build.hash, lines)).collect();
    let unsolved: HashSet<Unsolved<'_>> = unsolved(then).map(|(_, unsolved)| unsolved).collect();
    let new = documented(now).filter(|(build, lines)| !builds.contains(&(&build.hash, *lines)));
    let new = new.map(|(build, _)| build.package);
    let missing = self::unsolved(now).filter(|(_, it)| !unsolved.contains(it)).map(|(id, _)| id);
    new.chain(missing).collect()
}

/// All builds, each with the hash of the lines that make its documentation, and that which is read there. Those of a larder package
/// are not in its build hash.
fn documented(prepared: &Prepared) -> impl Iterator<Item = (&Build, ContentHash)> {
    let Prepared { catalogue, builds, .. } = prepared;
    let mut hashes: Vec<ContentHash> = Vec::with_capacity(builds.len());
    for (_, build) in builds.iter() {
        let mut fields = Fields::of("lines of documentation");
        catalogue.get(build.package).docs.trace(&mut fields);
        for read in docs::read_by(build, builds, catalogue) {
            fields.hash(&hashes[read.index()]);
        }
        hashes.push(fields.finish());
    }
    builds.iter().map(|(_, build)| build).zip(hashes)
}

/// A package version, what it is made from, and a compiler with which there is no solution for it. Why there is none is
/// no part of it: nothing is built either way.
type Unsolved<'p> = (&'p PackageName, &'p HashName, &'p PackageName);

fn unsolved(prepared: &Prepared) -> impl Iterator<Item = (VersionId, Unsolved<'_>)> {
    prepared.solutions.iter().filter_map(|solved| {
        let Solved::NoSolution { target, compiler, .. } = solved else { return None };
        let version = prepared.catalogue.get(*target);
        let compiler = &prepared.catalogue.compiler(*compiler).name;
        Some((*target, (&version.id, &version.digest, compiler)))
    })
}
