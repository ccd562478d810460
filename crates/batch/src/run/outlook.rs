//! What a run would do, and why, without doing anything.

use larder_runs::{
    Category,
    name::PackageName,
    result::{Entry, Origin, Stage},
};

use super::{
    BatchError, Prepared, Request,
    job::{build_task, job},
};
use crate::{
    docs,
    event::TaskName,
    graph::{Build, BuildId},
    hashes,
    layer::Layers,
    past::Past,
    tasks::{Part, Tasks},
};

/// A stage of a build that a run would have to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The stage of the build.
    pub task: TaskName,
    /// Why it is not done already.
    pub because: Because,
}

/// Why a stage of a build is not done already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// It was never done with this compiler.
    New,
    /// Its sources, how it is built, or the compiler are other ones.
    Changed,
    /// It needs other packages than before.
    OtherNeeds,
    /// It needs this package, which would be built, or documented.
    Needs(PackageName),
    /// It worked, and what it made is not there any more.
    Gone,
    /// Somebody asks for it again.
    Again,
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
    /// Whether it would be tried.
    fn is_tried(&self) -> bool {
        !matches!(self, Because::FailedBefore(_) | Because::Blocked(_))
    }
}

impl Outlook {
    /// What would become of it, unless something else does: `built`, `tested`, `documented`, `failed` or `blocked`.
    pub fn verb(&self) -> &'static str {
        match (&self.because, self.task.stage) {
            (Because::FailedBefore(_), _) => "failed",
            (Because::Blocked(_), _) => "blocked",
            (_, stage) => done(stage),
        }
    }

    /// Why, for people.
    pub fn reason(&self) -> String {
        match &self.because {
            Because::New => format!("it was never {}", done(self.task.stage)),
            Because::Changed => "its sources, how it is built, or the compiler changed".to_owned(),
            Because::OtherNeeds => "what it needs changed".to_owned(),
            Because::Needs(package) => format!("it needs {package}"),
            Because::Gone if self.task.stage == Stage::Doc => "its pages are gone".to_owned(),
            Because::Gone => "what it installed is gone".to_owned(),
            Because::Again => "it is asked for again".to_owned(),
            Because::Weather(category) => format!("it failed for the weather: {category}"),
            Because::OtherLimits(category) => {
                format!("its limits changed, and one had stopped it: {category}")
            }
            Because::FailedBefore(category) => format!("just the same has failed: {category}"),
            Because::Blocked(package) => format!("{package} has failed before"),
        }
    }
}

/// What a stage that is over has done.
fn done(stage: Stage) -> &'static str {
    match stage {
        Stage::Solve | Stage::Build => "built",
        Stage::Test => "tested",
        Stage::Doc => "documented",
    }
}

/// The stages of builds in a run of these `stages` that are not done already, needs first. What would be built would be tested and
/// documented too: that is not said of it. A build of which only the needs changed may come to the same as before, and is then not
/// built after all.
///
/// # Errors
/// When run data cannot be read.
pub fn outlook(
    request: &Request,
    prepared: &Prepared,
    stages: &[Stage],
) -> Result<Vec<Outlook>, BatchError> {
    let mut foresight = Foresight {
        request,
        prepared,
        layers: Layers::new(request.data.layers()),
        past: Past::new(&request.data, request.kind, None),
        open: vec![None; prepared.builds.len()],
        redocumented: vec![false; prepared.builds.len()],
    };
    let mut found = Vec::new();
    let tasks = Tasks::new(&prepared.builds, prepared.wanted(), &prepared.catalogue, stages);
    for &part in tasks.parts() {
        let because = match part.stage {
            Stage::Solve | Stage::Build => foresight.of_build(part)?,
            Stage::Test | Stage::Doc => foresight.of_built(part)?,
        };
        if let Some(because) = because {
            found.push(Outlook { task: prepared.name(part), because });
        }
    }
    Ok(found)
}

/// What is foreseen, build by build.
struct Foresight<'r> {
    request: &'r Request,
    prepared: &'r Prepared,
    layers: Layers,
    past: Past,
    /// Of each build so far, why it is not done.
    open: Vec<Option<Because>>,
    /// Whether the documentation of a build may be another one then.
    redocumented: Vec<bool>,
}

impl<'r> Foresight<'r> {
    /// Why a build is not done already.
    fn of_build(&mut self, part: Part) -> Result<Option<Because>, BatchError> {
        let Part { build: id, stage } = part;
        let build = self.prepared.builds.get(id);
        if self.layers.find(&build.hash).is_some() {
            return Ok(None);
        }
        let because = match self.by_needs(build) {
            Some(because) => because,
            None => {
                let task = build_task(self.request, self.prepared, &self.layers, id);
                let known = task.map(|task| {
                    let platform = &self.prepared.surroundings.platform;
                    let dep_hash = hashes::name(&task.dep_hash(platform));
                    let hashes = hashes::of_results(&dep_hash, &task.allowance);
                    self.past.result(&task.package, stage, &hashes)
                });
                self.by_itself(part, known.transpose()?.flatten().as_ref())?
            }
        };
        self.open[id.index()] = Some(because.clone());
        Ok(Some(because))
    }

    /// Why a stage of a build that is there is not done already.
    fn of_built(&mut self, part: Part) -> Result<Option<Because>, BatchError> {
        let because = self.if_built(part)?;
        if part.stage == Stage::Doc {
            let built = self.open[part.build.index()].is_some();
            let again = because.as_ref().is_some_and(Because::is_tried);
            self.redocumented[part.build.index()] = built || again;
        }
        Ok(because)
    }

    fn if_built(&self, part: Part) -> Result<Option<Because>, BatchError> {
        let Prepared { catalogue, builds, surroundings, .. } = self.prepared;
        let build = builds.get(part.build);
        // A build that is to be made has its stages in its train.
        if self.open[part.build.index()].is_some() {
            return Ok(None);
        }
        let read = match part.stage {
            Stage::Doc => docs::read_by(build, builds, catalogue),
            _ => Vec::new(),
        };
        if let Some(read) = read.into_iter().find(|read| self.redocumented[read.index()]) {
            return Ok(Some(Because::Needs(self.package(read).clone())));
        }
        let data = &self.request.data;
        let job = build_task(self.request, self.prepared, &self.layers, part.build)
            .and_then(|task| job(self.prepared, data, part, task, self.layers.find(&build.hash)));
        let Some(job) = job else { return Ok(None) };
        let dep_hash = hashes::name(&job.dep_hash(&surroundings.platform));
        let hashes = hashes::of_results(&dep_hash, &job.task().allowance);
        let known = self.past.result(self.package(part.build), part.stage, &hashes)?;
        if let Some(known) = &known
            && known.result.is_success()
            && !self.is_wanted_again(part.build)
            && job.is_answered_by(&known.result, &self.past, build, data)?
        {
            return Ok(None);
        }
        self.by_itself(part, known.as_ref()).map(Some)
    }

    /// Why a build is not done because of what it needs.
    fn by_needs(&self, build: &Build) -> Option<Because> {
        let open = |&id: &BuildId| Some((id, self.open[id.index()].as_ref()?));
        let needs = || build.needs.iter().filter_map(open);
        let failed = needs().find(|(_, because)| !because.is_tried());
        failed
            .map(|(id, _)| Because::Blocked(self.package(id).clone()))
            .or_else(|| needs().next().map(|(id, _)| Because::Needs(self.package(id).clone())))
    }

    /// Why a stage is not done because of itself, given what is known of one that depended on just the same.
    fn by_itself(&self, part: Part, known: Option<&Entry>) -> Result<Because, BatchError> {
        let build = self.prepared.builds.get(part.build);
        let again = self.is_wanted_again(part.build);
        let failed = known.map(|entry| &entry.result).filter(|it| !it.is_success() && !again);
        if let Some(failed) = failed {
            return Ok(Because::FailedBefore(failed.category.clone()));
        }
        let compiler = &self.prepared.catalogue.compiler(build.compiler).name;
        let last = self.past.last(self.package(part.build), part.stage, compiler)?;
        let Some(last) = last.map(|entry| entry.result) else { return Ok(Because::New) };
        let same = last.build_hash.as_ref() == Some(&build.hash);
        Ok(match &last.category {
            _ if !same && last.universe.as_ref() != Some(&build.universe) => Because::OtherNeeds,
            _ if !same => Because::Changed,
            _ if last.is_success() && part.stage == Stage::Build => Because::Gone,
            _ if again => Because::Again,
            // The same was made once, and other pages, or none, are in its place.
            _ if last.is_success() && known.is_some() => Because::Gone,
            // What blocked it is gone.
            _ if last.origin == Origin::Skipped => Because::New,
            category if category.is_weather() => Because::Weather(category.clone()),
            category @ (Category::Timeout | Category::LogLimit) => {
                Because::OtherLimits(category.clone())
            }
            // What it needs came to something else.
            _ => Because::OtherNeeds,
        })
    }

    /// Whether the same result as before is not enough: somebody asked for it to be tried again.
    fn is_wanted_again(&self, build: BuildId) -> bool {
        self.request.again && self.prepared.is_asked_for(build)
    }

    fn package(&self, id: BuildId) -> &'r PackageName {
        let Prepared { catalogue, builds, .. } = self.prepared;
        &catalogue.get(builds.get(id).package).id
    }
}
