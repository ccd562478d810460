//! What is done with a layer: tests, and documentation.

use std::{path::Path, sync::Arc, time::Instant};

use larder_engine::{
    build as engine,
    event::Reporter,
    process::Budget,
    testing::{TestOptions, TestRequest},
};
use larder_trace::ContentHash;

use super::{
    BuildTask, Costs, Failure, Log, Workshop,
    commands::Script,
    package::{self, Ready},
    pages::Documentation,
    said::{self, Told},
    script::{Lines, Prefix, use_layer},
    work::Work,
};
use crate::{
    catalogue::Recipe,
    hashes::Fields,
    layer::{self, Layer},
};

/// What came of a stage after the build.
#[derive(Debug)]
pub struct Staged {
    /// The hash of all that it depended on.
    pub dep_hash: ContentHash,
    /// How it ended.
    pub ended: StageEnd,
    /// The time and memory that it took.
    pub costs: Costs,
}

/// How a stage after the build ended.
#[derive(Debug)]
pub enum StageEnd {
    /// It worked.
    Worked,
    /// The package has nothing for this stage.
    Nothing,
    /// It failed, and this is why.
    Failed(Failure),
    /// Whoever runs it wants it to end: nothing is to be said of the package.
    Interrupted,
}

/// A stage after the build.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'d> {
    /// The package is tested.
    Test,
    /// Its documentation is made.
    Docs(&'d Documentation),
}

impl Kind<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Docs(_) => "docs",
        }
    }
}

/// Tests a package that was built: by `larder test`, or by its `test` lines. These are run with its layer where they name
/// `{prefix}`; otherwise they are about the directory that it was built in, and its `build` lines are run there first.
pub fn test(shop: &Workshop, task: &BuildTask, layer: &Layer, log: &Log) -> Staged {
    stage(shop, task, layer, Kind::Test, log, |work, budget| match &task.recipe {
        Recipe::Manifest => test_package(shop, task, work, budget, log),
        Recipe::Commands { test, .. } if test.is_empty() => Ok(false),
        Recipe::Commands { build, test, .. } => {
            let mut lines = vec![Lines { lines: test, prefix: Prefix::Layer }];
            if !use_layer(test) {
                lines.insert(0, Lines { lines: build, prefix: Prefix::Work });
            }
            let script = Script { task, lines, layer: Some(layer), docs: None };
            script.run_to_success(shop, work, budget, "its test", log).map(|()| true)
        }
    })
}

/// Makes the documentation of a package that was built, by its `docs` lines, and hands the directory with it to `keep`.
pub fn document(
    shop: &Workshop,
    task: &BuildTask,
    layer: &Layer,
    docs: &Documentation,
    log: &Log,
    keep: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Staged {
    stage(shop, task, layer, Kind::Docs(docs), log, |work, budget| {
        if task.docs.lines.is_empty() {
            return Ok(false);
        }
        let lines = vec![Lines { lines: &task.docs.lines, prefix: Prefix::Layer }];
        let script = Script { task, lines, layer: Some(layer), docs: Some(docs) };
        script.run_to_success(shop, work, budget, "its documentation", log)?;
        let made = work.documentation(&docs.place);
        let found = layer::check_tree(&made).map_err(Failure::of_layer)?;
        if found == 0 {
            let message = "its documentation succeeded, but wrote nothing into {docs}";
            return Err(Failure::of_package(message.to_owned()));
        }
        keep(&made).map(|()| true)
    })
}

/// Runs a stage in a work directory of its own, within the limits of a build. `work` says whether there was anything to do.
fn stage(
    shop: &Workshop,
    task: &BuildTask,
    layer: &Layer,
    kind: Kind<'_>,
    log: &Log,
    work: impl FnOnce(&Work, &Arc<Budget>) -> Result<bool, Failure>,
) -> Staged {
    let started = Instant::now();
    let dep_hash = dep_hash(&shop.platform, task, layer, kind);
    let name = format!("{}.{}", task.build_hash.as_str(), kind.name());
    let heard = log.clone();
    let budget = Budget::new(task.allowance).writing_in(vec![shop.work().join(&name)]);
    let budget = Arc::new(match (&task.recipe, kind) {
        // What its tests print is told when they have ended.
        (Recipe::Manifest, Kind::Test) => budget,
        _ => budget.heard_by(Box::new(move |bytes: &[u8]| said::raw(&heard, bytes))),
    });
    let done = shop.claim(&name).and_then(|claimed| {
        let Some(directory) = claimed else { return Ok(None) };
        let done = work(&directory, &budget);
        task.check_sources()?;
        done.map(Some)
    });
    let ended = match done {
        Ok(Some(true)) => StageEnd::Worked,
        Ok(Some(false)) => StageEnd::Nothing,
        Ok(None) => StageEnd::Interrupted,
        Err(_) if shop.session.processes.interrupted() => StageEnd::Interrupted,
        Err(failure) => {
            let failure = budget.reached().map_or(failure.clone(), |limit| failure.by(limit));
            said::line(log, &failure.error);
            StageEnd::Failed(failure)
        }
    };
    let spent = budget.spent();
    let costs = Costs { wall: started.elapsed(), cpu: spent.cpu, peak_memory: spent.peak_memory };
    Staged { dep_hash, ended, costs }
}

/// The hash of all that a stage depends on: all that the build does, what that made, the lines, and the documentation that these
/// read.
pub fn dep_hash(platform: &str, task: &BuildTask, layer: &Layer, kind: Kind<'_>) -> ContentHash {
    let mut fields = Fields::of(kind.name());
    fields.hash(&task.dep_hash(platform)).hash(&layer.record.digest);
    if let Recipe::Commands { build, .. } = &task.recipe {
        fields.texts(build.iter().map(String::as_str));
    }
    match (kind, &task.recipe) {
        (Kind::Test, Recipe::Manifest) => {}
        (Kind::Test, Recipe::Commands { test, .. }) => {
            fields.texts(test.iter().map(String::as_str));
        }
        (Kind::Docs(docs), _) => {
            task.docs.trace(&mut fields);
            docs.trace(&mut fields);
        }
    }
    fields.finish()
}

/// Runs the tests of a larder package; tells whether it has any.
fn test_package(
    shop: &Workshop,
    task: &BuildTask,
    work: &Work,
    budget: &Arc<Budget>,
    log: &Log,
) -> Result<bool, Failure> {
    let Ready { session, request, plan } = package::prepare(shop, task, work, budget)?;
    let all = plan.tests(&[]).map_err(|error| Failure::of_package(error.to_string()))?;
    if all.is_empty() {
        return Ok(false);
    }
    let options = TestOptions { timeout: task.allowance.time, ..TestOptions::default() };
    let tests = Some(TestRequest { options, ..TestRequest::default() });
    let request = engine::BuildRequest { tests, ..request };
    let reporter: Arc<dyn Reporter> = Arc::new(Told::new(log));
    let report = engine::build(&session, &request, &reporter).map_err(Failure::of_engine)?;
    if report.succeeded() {
        return Ok(true);
    }
    let passed = |tested: &Option<larder_engine::testing::Tested>| {
        tested.as_ref().is_some_and(|it| it.outcome.success())
    };
    let failed = report.tests.iter().filter(|(_, tested)| !passed(tested)).count();
    Err(Failure::of_package(match failed {
        0 => "its tests could not be built".to_owned(),
        _ => format!("{failed} of {} tests failed", report.tests.len()),
    }))
}
