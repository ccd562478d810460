//! What a run would do, and why, without doing anything.

use std::fmt;

use larder_runs::{
    Category,
    name::PackageName,
    result::{Entry, Origin, Stage},
};

use super::{BatchError, Prepared, Request, job::build_task};
use crate::{
    event::TaskName,
    graph::{Build, BuildId},
    hashes,
    layer::Layers,
    past::Past,
};

/// A build that a run would have to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The build.
    pub task: TaskName,
    /// Why it is not done already.
    pub because: Because,
}

/// Why a build is not done already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// It was never built with this compiler.
    New,
    /// Its sources, how it is built, or the compiler are other ones.
    Changed,
    /// It needs other packages than before.
    OtherNeeds,
    /// It needs this package, which would be built.
    Needs(PackageName),
    /// It worked, and what it installed is not there any more.
    Gone,
    /// It failed for a reason that may have passed.
    Weather(Category),
    /// A limit stopped it that is another one now.
    OtherLimits(Category),
    /// Just the same has failed.
    FailedBefore(Category),
    /// Something that it needs has failed before.
    Blocked(PackageName),
}

impl Because {
    /// What would become of the build: `built`, `failed` or `blocked`, unless something else does.
    pub fn verb(&self) -> &'static str {
        match self {
            Because::FailedBefore(_) => "failed",
            Because::Blocked(_) => "blocked",
            _ => "built",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::New => f.write_str("it was never built"),
            Because::Changed => {
                f.write_str("its sources, how it is built, or the compiler changed")
            }
            Because::OtherNeeds => f.write_str("what it needs changed"),
            Because::Needs(package) => write!(f, "it needs {package}"),
            Because::Gone => f.write_str("what it installed is gone"),
            Because::Weather(category) => write!(f, "it failed for the weather: {category}"),
            Because::OtherLimits(category) => {
                write!(f, "its limits changed, and one had stopped it: {category}")
            }
            Because::FailedBefore(category) => write!(f, "just the same has failed: {category}"),
            Because::Blocked(package) => write!(f, "{package} has failed before"),
        }
    }
}

/// The builds of a run that are not done already, needs first. A build of which only the needs changed may come to
/// the same as before, and is then not built after all.
///
/// # Errors
/// When run data cannot be read.
pub fn outlook(request: &Request, prepared: &Prepared) -> Result<Vec<Outlook>, BatchError> {
    let layers = Layers::new(request.data.layers());
    let package = |id: BuildId| &prepared.catalogue.get(prepared.builds.get(id).package).id;
    let past = Past::new(&request.data, request.kind, None);
    // Of each build so far, why it is not done.
    let mut open: Vec<Option<Because>> = vec![None; prepared.builds.len()];
    let mut found = Vec::new();
    for id in prepared.wanted() {
        let build = prepared.builds.get(id);
        if layers.find(&build.hash).is_some() {
            continue;
        }
        let compiler = &prepared.catalogue.compiler(build.compiler).name;
        let because = match by_needs(build, &open, package) {
            Some(because) => because,
            None => {
                let task = build_task(request, prepared, &layers, id);
                let known = task.map(|task| {
                    let dep_hash = hashes::name(&task.dep_hash(&prepared.surroundings.platform));
                    let hashes = hashes::of_results(&dep_hash, &task.allowance);
                    past.result(&task.package, Stage::Build, &hashes)
                });
                let known = known.transpose()?.flatten();
                let last = past.last(package(id), Stage::Build, compiler)?;
                let again = request.again && prepared.targets.binary_search(&build.package).is_ok();
                by_itself(build, last.as_ref(), known.as_ref(), again)
            }
        };
        let task = TaskName {
            package: package(id).clone(),
            compiler: compiler.clone(),
            build_hash: build.hash.clone(),
            stage: Stage::Build,
        };
        open[id.index()] = Some(because.clone());
        found.push(Outlook { task, because });
    }
    Ok(found)
}

/// Why a build is not done because of what it needs.
fn by_needs<'p>(
    build: &Build,
    open: &[Option<Because>],
    package: impl Fn(BuildId) -> &'p PackageName,
) -> Option<Because> {
    let needs = || build.needs.iter().filter_map(|&id| Some((id, open[id.index()].as_ref()?)));
    let failed = needs().find(|(_, because)| because.verb() != "built");
    failed
        .map(|(id, _)| Because::Blocked(package(id).clone()))
        .or_else(|| needs().next().map(|(id, _)| Because::Needs(package(id).clone())))
}

/// Why a build is not done because of itself, given the last result of its package with its compiler, and what is known of one
/// that depended on just the same.
fn by_itself(build: &Build, last: Option<&Entry>, known: Option<&Entry>, again: bool) -> Because {
    let failed = known.map(|entry| &entry.result).filter(|result| !result.is_success() && !again);
    if let Some(failed) = failed {
        return Because::FailedBefore(failed.category.clone());
    }
    let Some(last) = last.map(|entry| &entry.result) else { return Because::New };
    let same = last.build_hash.as_ref() == Some(&build.hash);
    match &last.category {
        _ if !same && last.universe.as_ref() != Some(&build.universe) => Because::OtherNeeds,
        _ if !same => Because::Changed,
        _ if last.is_success() => Because::Gone,
        // What blocked it is gone.
        _ if last.origin == Origin::Skipped => Because::New,
        category if category.is_weather() || again => Because::Weather(category.clone()),
        category @ (Category::Timeout | Category::LogLimit) => {
            Because::OtherLimits(category.clone())
        }
        // What it needs came to something else.
        _ => Because::OtherNeeds,
    }
}
