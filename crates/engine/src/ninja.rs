//! Builds what a `build.ninja` describes.
//!
//! The graph is read by [`larder_project::ninja`]. Here its edges become steps, whose commands write where their
//! text says; everything else is as for targets of manifests: traces, records, the store, jobs, executors.

mod clean;
mod edge;
mod fact;
mod gate;
mod known;
mod missing;
mod reach;
mod regenerate;
mod roots;
mod run;
mod scan;
mod shell;
mod told;
mod tools;
mod words;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{EdgeId, Graph, NodeId},
    workspace::LARDER_DIR,
};

pub use self::{
    clean::{Removed, clean, clean_dead},
    missing::{Missing, missing},
    shell::{Sharing, Shell},
    told::{logs, told},
};
use self::{regenerate::Manifest, roots::Roots, run::Run};
use crate::{
    build::{BuildDirectory, EngineError},
    cache::{Cache, CacheOptions},
    context::{Context, Mode, Options},
    event::{Reporter, StepCounts},
    sandbox::{self, Permissions, Sandbox},
    session::Session,
};

/// How often a build file may be made anew, one time after the other.
const MOST_RELOADS: usize = 10;

/// A request to build what a `build.ninja` describes.
#[derive(Debug, Clone)]
pub struct NinjaRequest {
    /// The build directory, absolute.
    pub directory: PathBuf,
    /// The build file, relative to it.
    pub file: String,
    /// Targets; the defaults of the file when there are none.
    pub targets: Vec<String>,
    /// How to build.
    pub options: Options,
    /// Whether the artifact cache is left alone.
    pub no_cache: bool,
    /// Whether what is warned of in the build file is a mistake.
    pub strict: bool,
    /// Settings of single commands.
    pub commands: CommandSettings,
    /// What commands may see besides what their build statements declare, where they are confined.
    pub sandbox: Option<Permissions>,
}

/// How commands are started, and what is kept of what they leave.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandSettings {
    /// Depfiles stay where they would be removed (`-d keepdepfile`).
    pub keep_depfiles: bool,
    /// Response files stay (`-d keeprsp`).
    pub keep_response_files: bool,
    /// No further command starts while the load of the system is higher (`-l`).
    pub load: Option<f64>,
}

/// What came of it.
pub struct NinjaReport {
    /// The graph, as it was in the end.
    pub graph: Arc<Graph>,
    /// Whether everything asked for is up to date.
    pub succeeded: bool,
    /// Edges that would have to be built, in a dry run.
    pub planned: Vec<EdgeId>,
    /// Steps by how they ended.
    pub counts: StepCounts,
    /// How long it took.
    pub took: Duration,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
}

/// Builds what `request` asks for as a part of `session`. `loaded` is told of the graph each time that it is read.
///
/// # Errors
/// Why it did not begin, or that the build file could not be made anew.
pub fn build(
    session: &Arc<Session>,
    request: &NinjaRequest,
    reporter: &Arc<dyn Reporter>,
    loaded: &dyn Fn(&Arc<Graph>),
) -> Result<NinjaReport, EngineError> {
    let started = Instant::now();
    let _heeding = session.processes.heed();
    let larder = request.directory.join(LARDER_DIR);
    let directory = BuildDirectory::take(larder, request.options.mode, session, reporter)?;
    for _ in 0..MOST_RELOADS {
        let graph = Graph::load(&request.directory, &request.file).map_err(Diagnostics::from)?;
        let graph = Arc::new(graph);
        if let Some(doubt) = graph.warnings.first().filter(|_| request.strict) {
            return Err(Diagnostics::from(Diagnostic::new(doubt.clone())).into());
        }
        loaded(&graph);
        let roots = Arc::new(Roots::find(&graph));
        let cache = CacheOptions { off: request.no_cache, ..CacheOptions::default() };
        let cache = Cache::of_package(session, roots::BUILD, &cache);
        let places = roots.places();
        let confined = |permissions| Sandbox::new(confined_trees(&roots), permissions);
        let sandbox = request.sandbox.as_ref().map(confined).transpose()?.map(Arc::new);
        let (root, options) = (request.directory.clone(), request.options);
        let cx =
            Context::new(session.clone(), root, places, options, cache, sandbox, reporter.clone())
                .map_err(|error| directory.unusable(error))?;
        cx.decide(true);
        let mut run = Run::new(&cx, graph, &roots, request.commands);
        let ended = finish(&mut run, request);
        directory.leave(&cx);
        let (succeeded, planned) = match ended? {
            Ended::Reload => continue,
            Ended::Built { succeeded, planned } => (succeeded, planned),
        };
        return Ok(NinjaReport {
            graph: run.graph().clone(),
            succeeded,
            planned,
            counts: cx.counts(),
            took: started.elapsed(),
            interrupted: session.processes.interrupted(),
        });
    }
    let message = format!(
        "{} is out of date still after it was made {MOST_RELOADS} times; is the time of an input in the future?",
        request.file
    );
    Err(Diagnostics::from(Diagnostic::new(message).failed()).into())
}

/// Returns the trees of a build, as a sandbox is to know them.
fn confined_trees(roots: &Roots) -> sandbox::Packages {
    let directories = roots.places().into_iter().map(|place| (place.name, place.directory));
    sandbox::Packages { directories: directories.collect(), declarations: Vec::new() }
}

/// How a build with one graph ended.
enum Ended {
    /// The build file has been made anew.
    Reload,
    /// Everything was tried.
    Built { succeeded: bool, planned: Vec<EdgeId> },
}

/// Brings the build file up to date, and then what was asked for.
fn finish(run: &mut Run, request: &NinjaRequest) -> Result<Ended, Diagnostics> {
    if request.options.mode == Mode::DryRun {
        regenerate::assume(run, &request.file)?;
    } else {
        match regenerate::bring(run, &request.file)? {
            Manifest::UpToDate => {}
            Manifest::Remade => return Ok(Ended::Reload),
            Manifest::Failed => return Ok(Ended::Built { succeeded: false, planned: Vec::new() }),
        }
    }
    let graph = run.graph().clone();
    let targets: Vec<NodeId> = match &request.targets[..] {
        [] => graph.default_targets()?,
        names => names.iter().map(|name| graph.target(name)).collect::<Result<_, _>>()?,
    };
    if !run.load_dyndeps(&targets)? {
        return Ok(Ended::Built { succeeded: false, planned: run.left() });
    }
    let order = run.graph().closure(&targets)?;
    let missing = run.missing(&targets);
    if let Some(missing) = missing {
        return Err(missing.into());
    }
    let succeeded = run.bring(&order)?;
    Ok(Ended::Built { succeeded, planned: run.left() })
}
