//! Builds what is asked for.

mod directory;
mod loading;
mod skipped;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_store::{Mappings, offline::Tool};
use larder_trace::{BuildTrace, ContentHash, Level, describe_io};

use crate::{
    artifact::Artifact,
    cache::{Cache, CacheOptions},
    compdb,
    context::{Context, Options},
    event::{Event, Reporter, Status, StepCounts},
    job::{Built, Job, settle},
    lookups::Lookups,
    sandbox::{self, Permissions, Sandbox, SandboxError},
    session::Session,
    targets::Maker,
    testing::{TestRequest, Tested, Testing},
    timeline::Kind,
};
use larder_project::{
    dependencies::Resolution,
    diagnostic::Diagnostics,
    name::TargetName,
    plan::{PackageId, Plan, TargetId},
    setting::Choices,
};

pub(crate) use directory::BuildDirectory;
use loading::load_to_build;
pub use loading::{Loading, cross, load};

/// A request to build: which targets, and how.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// A directory in the root package.
    pub directory: PathBuf,
    /// Targets; the package's defaults when there are none.
    pub targets: Vec<TargetName>,
    /// How to build.
    pub options: Options,
    /// How to use the artifact cache.
    pub cache: CacheOptions,
    /// Permissions for commands besides what manifests declare; not confined at all when absent.
    pub sandbox: Option<Permissions>,
    /// How dependencies are resolved.
    pub resolution: Resolution,
    /// The choices that decide what of the manifests holds.
    pub choices: Choices,
    /// The user's configuration, which may declare tools for targets.
    pub configuration: Option<PathBuf>,
    /// Where shared libraries will be found, seen from programs, if these are linked to be installed.
    pub run_path: Option<String>,
    /// The tests to run, in the place of targets to build.
    pub tests: Option<TestRequest>,
}

/// The result of a build.
pub struct BuildReport {
    /// The graph it was built from.
    pub plan: Plan,
    /// Each target that was asked for, with its outputs if it is up to date.
    pub targets: Vec<(TargetId, Option<Vec<Artifact>>)>,
    /// Each test that was to be run, with its result if it was.
    pub tests: Vec<(TargetId, Option<Tested>)>,
    /// How each source is compiled, where that was asked for.
    pub compile_commands: compdb::Commands,
    /// The mappings of all targets touched, where they were to be collected.
    pub mappings: Option<Mappings>,
    /// The targets that these belong to, by dep hash.
    pub owners: HashMap<ContentHash, String>,
    /// The tools that it was built with, sorted.
    pub tools: Vec<Tool>,
    /// Steps by how they ended.
    pub counts: StepCounts,
    /// What the cache was asked, where that was to be noted and a service could have answered.
    pub lookups: Option<Arc<Lookups>>,
    /// How long it took.
    pub took: Duration,
    /// How many targets were left alone because others had failed, though they need none of them.
    pub untried: usize,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
}

/// Why a build did not begin.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Something is wrong with a manifest or with the targets asked for.
    #[error(transparent)]
    Manifest(#[from] Diagnostics),
    /// Commands cannot be confined here.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It was interrupted while it waited for another build in its directory.
    #[error("interrupted while waiting for another larder in this build directory")]
    Interrupted,
    /// The build directory cannot be used.
    #[error("cannot use {}: {}", path.display(), describe_io(source))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl BuildReport {
    /// Whether everything asked for is up to date.
    pub fn succeeded(&self) -> bool {
        self.targets.iter().all(|(_, outputs)| outputs.is_some())
            && self
                .tests
                .iter()
                .all(|(_, tested)| matches!(tested, Some(it) if it.outcome.success()))
    }
}

/// The targets that `names` mean in the root package; its defaults when there are none.
///
/// # Errors
/// The names that mean nothing.
pub fn resolve(plan: &Plan, names: &[TargetName]) -> Result<Vec<TargetId>, Diagnostics> {
    if names.is_empty() {
        return Ok(plan.defaults(PackageId::ROOT));
    }
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        match plan.resolve(PackageId::ROOT, name) {
            Ok(ids) => {
                found.extend(ids.into_iter().filter(|id| !found.contains(id)).collect::<Vec<_>>())
            }
            Err(diagnostic) => errors.push(diagnostic),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

/// Builds what `request` asks for as a part of `session`, telling `reporter` as it goes.
///
/// # Errors
/// Why it did not begin; a target that fails is part of the report.
pub fn build(
    session: &Arc<Session>,
    request: &BuildRequest,
    reporter: &Arc<dyn Reporter>,
) -> Result<BuildReport, EngineError> {
    let started = Instant::now();
    let _heeding = session.processes.heed();
    let timeline = session.settings.timeline.as_deref();
    let span = |kind, name: &'static str| timeline.map(|timeline| timeline.span(kind, name));
    let planning = span(Kind::Plan, "reading manifests");
    let (plan, learned) = load_to_build(&request.loading(&session.settings.environment))?;
    let mut asked = resolve(&plan, &request.targets)?;
    let mut tests = Vec::new();
    if let Some(wanted) = &request.tests {
        tests = plan.tests(&wanted.which)?;
        wanted.check_arguments(&plan, &tests)?;
        // A command that is a test makes nothing; what it needs is built because it needs it.
        asked = tests.iter().copied().filter(|&id| plan.target(id).facet().is_some()).collect();
    }
    let confined = |permissions| Sandbox::new(confined_packages(&plan), permissions);
    let sandbox = request.sandbox.as_ref().map(confined).transpose()?.map(Arc::new);
    drop(planning);
    let locking = span(Kind::Wait, "locking the build directory");
    let larder = plan.workspace.larder_dir();
    let directory = BuildDirectory::take(larder, request.options.mode, session, reporter)?;
    drop(locking);
    let opening = span(Kind::Examine, "reading what is known");
    let places = plan.workspace.packages.iter().map(|package| (*package.place).clone()).collect();
    let root = plan.workspace.root.clone();
    let cache = Cache::new(session, &plan.workspace, &request.cache);
    let (options, reporter) = (request.options, reporter.clone());
    let cx = Context::new(session.clone(), root, places, options, cache, sandbox, reporter)
        .map_err(|error| directory.unusable(error))?;
    if let Some(learned) = learned {
        cx.index.learn_from(&learned);
    }
    if let Some(run_path) = &request.run_path {
        // Nobody else has set it.
        _ = cx.run_path.set(run_path.clone());
    }
    let wanted = Asked { targets: &asked, tests: &tests, testing: request.tests.as_ref() };
    drop(opening);
    let result = run(&plan, &wanted, &cx);
    let saving = span(Kind::Store, "writing what is known");
    directory.leave(&cx);
    directory.tell_debuggers(&cx, &plan);
    drop(saving);
    let (built, results, untried) = result?;
    Ok(BuildReport {
        targets: asked.into_iter().zip(built).collect(),
        tests: tests.into_iter().zip(results).collect(),
        plan,
        compile_commands: compdb::entries(&cx, &cx.noted()),
        mappings: cx.cache.mappings(),
        owners: cx.cache.owners(),
        tools: cx.cache.tools().to_vec(),
        counts: cx.counts(),
        lookups: cx.cache.lookups(),
        took: started.elapsed(),
        untried,
        interrupted: session.processes.interrupted(),
    })
}

/// The packages of `plan`, as a sandbox is to know them.
fn confined_packages(plan: &Plan) -> sandbox::Packages {
    let places = plan.workspace.packages.iter().map(|package| &package.place);
    sandbox::Packages {
        directories: places
            .map(|place| (place.name.to_string(), place.directory.clone()))
            .collect(),
        declarations: sandbox::declarations(plan),
    }
}

/// The outputs of each target that is up to date, the result of each test that was run, and how many targets
/// were not tried.
type Outcome = (Vec<Option<Vec<Artifact>>>, Vec<Option<Tested>>, usize);

/// Everything that a build is about.
struct Asked<'a> {
    /// Targets whose outputs are asked for.
    targets: &'a [TargetId],
    tests: &'a [TargetId],
    /// How tests are run.
    testing: Option<&'a TestRequest>,
}

/// Makes the jobs for what is `asked` and everything that needs, and runs them.
fn run(plan: &Plan, asked: &Asked<'_>, cx: &Arc<Context>) -> Result<Outcome, EngineError> {
    let mut roots = asked.targets.to_vec();
    roots.extend(asked.tests.iter().flat_map(|&id| plan.target(id).test_needs(id)));
    let order = plan.closure(&roots);
    let mut made = None;
    // Other threads already look at what is there while jobs are still being made; nothing is changed
    // before all of them are.
    let everything = cx.scheduler.run(|| {
        let planning = cx.timeline().map(|timeline| timeline.span(Kind::Plan, "making jobs"));
        let jobs = make(plan, asked, &order, cx);
        drop(planning);
        cx.decide(jobs.is_ok());
        let jobs = made.insert(jobs?);
        let everything = [
            nothing_more(cx, jobs.ends.iter().map(|(_, end)| end)),
            nothing_more(cx, jobs.outputs.iter().flatten()),
            nothing_more(cx, &jobs.tests),
        ];
        Ok::<_, Diagnostics>(settle(&cx.scheduler, everything))
    })?;
    let _counting =
        cx.timeline().map(|timeline| timeline.span(Kind::Store, "counting what was done"));
    for panic in cx.scheduler.panics() {
        // A failure of its own: no step has counted it.
        cx.expect(1);
        cx.count(Status::Failed, 1);
        let message = format!("larder itself failed: {panic}; please report this");
        cx.report(&Event::Note { level: Level::Error, message: &message });
    }
    if everything.finished().is_none() {
        let message =
            "the build waits for itself; please report this with the output of `larder graph`";
        cx.report(&Event::Note { level: Level::Error, message });
    }
    let Some(Jobs { ends, outputs, tests }) = made else { return Ok(Outcome::default()) };
    let mut failed = vec![false; plan.targets.len()];
    for (id, end) in &ends {
        failed[id.index()] = !matches!(end.finished(), Some(Ok(_)));
    }
    cx.tell_left();
    cx.close_counts();
    skipped::tell(plan, &order, &failed, cx);
    let built = |job: Option<Job<Vec<Artifact>>>| Some(job?.finished()?.ok()?.value.clone());
    let result = |job: Job<Tested>| Some(job.finished()?.ok()?.value.clone());
    let results = tests.into_iter().map(result).collect();
    let untried = skipped::count_untried(plan, &order, &failed, cx);
    Ok((outputs.into_iter().map(built).collect(), results, untried))
}

/// The jobs of a build.
struct Jobs {
    /// For every target, when it has ended.
    ends: Vec<(TargetId, Job<()>)>,
    /// For what was asked for, its outputs.
    outputs: Vec<Option<Job<Vec<Artifact>>>>,
    tests: Vec<Job<Tested>>,
}

/// Makes the jobs of all targets of `order`, which has needs first.
fn make(
    plan: &Plan,
    asked: &Asked<'_>,
    order: &[TargetId],
    cx: &Arc<Context>,
) -> Result<Jobs, Diagnostics> {
    const ENOUGH_ERRORS: usize = 20;
    let mut maker = Maker::new(plan, cx, asked.targets);
    for (made, &id) in order.iter().enumerate() {
        maker.make(id);
        if made % 64 == 63 {
            cx.report(&Event::Planning { made: made + 1, of: order.len() });
        }
        if maker.errors.len() > ENOUGH_ERRORS {
            break;
        }
    }
    let mut tests = Vec::new();
    if let Some(TestRequest { no_run: false, options, .. }) = asked.testing
        && maker.errors.is_empty()
    {
        let testing = Testing::new(&cx.scheduler, options.clone());
        tests.extend(asked.tests.iter().filter_map(|&id| maker.test(id, &testing)));
    }
    cx.report(&Event::Planning { made: order.len(), of: order.len() });
    if !maker.errors.is_empty() {
        return Err(Diagnostics(maker.errors));
    }
    cx.cache.use_tools(maker.tools());
    if cx.options.compile_commands {
        cx.noted().listed.extend(maker.listed());
    }
    let made = order.iter().filter_map(|&id| Some((id, maker.job(id)?)));
    let ends = made.map(|(id, job)| (id, job.ended())).collect();
    let outputs = asked.targets.iter().map(|&id| Some(maker.job(id)?.outputs.clone())).collect();
    Ok(Jobs { ends, outputs, tests })
}

/// A job that is done when all of `jobs` are, whichever way.
fn nothing_more<'j, T: Send + Sync + 'static>(
    cx: &Context,
    jobs: impl IntoIterator<Item = &'j Job<T>>,
) -> Job<()> {
    settle(&cx.scheduler, jobs.into_iter().cloned())
        .map(|_| Ok(Built { value: (), trace: BuildTrace::nil("ended") }))
}
