//! `compile_commands.json`: for editors and whatever else wants to know how each file is compiled.
//!
//! Commands are those that a build runs, by absolute paths and without what concerns larder only. Headers
//! have entries too: each with the command of a source that includes it.

mod entries;
mod headers;
mod includes;
mod stamp;
mod way;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    name::{Facet, TargetName},
    path::{BuildPath, PortablePath},
    place::Place,
    plan::{Language, Plan},
    setting::BuiltFor,
};
use larder_trace::{atomic, describe_io};

use crate::{
    build::{BuildReport, BuildRequest, EngineError, build, load},
    builds::Compile,
    cache::CacheOptions,
    context::{Mode, Options},
    event::{Event, Reporter},
    session::Session,
};

use self::stamp::Before;
pub use entries::Entry;
pub(crate) use entries::entries;

/// The name of the file, in the root package's directory.
pub const FILE_NAME: &str = "compile_commands.json";

/// The file in `.larder` that says that somebody wants [`FILE_NAME`].
const WANTED: &str = "compdb";

/// A source and how it is compiled.
pub(crate) struct Unit {
    /// Its package.
    pub place: Arc<Place>,
    /// The source, as the package calls it.
    pub source: PortablePath,
    /// The object.
    pub object: BuildPath,
    pub language: Language,
    pub compile: Arc<Compile>,
    /// The include directories that others see, too.
    pub public: Arc<[PortablePath]>,
}

/// What one build notes for it.
#[derive(Default)]
pub(crate) struct Noted {
    pub units: Vec<Unit>,
    /// The directories that patterns of sources were looked up in.
    pub listed: BTreeSet<PathBuf>,
}

/// How everything is compiled, and what says so.
#[derive(Debug, Default)]
pub struct Commands {
    /// An entry for each source and header.
    pub entries: Vec<Entry>,
    /// The directories whose names decided which there are.
    pub directories: BTreeSet<PathBuf>,
}

/// Why there is no list of commands.
#[derive(Debug, thiserror::Error)]
pub enum CompdbError {
    /// The targets could not be looked at.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The file could not be written.
    #[error("cannot write {}: {}", path.display(), describe_io(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Returns the commands of all sources of a workspace, and of its headers, as JSON. Nothing is built. The
/// targets of `request` do not matter.
///
/// # Errors
/// When the targets cannot be looked at.
pub fn commands(session: &Arc<Session>, request: &BuildRequest) -> Result<Vec<u8>, EngineError> {
    let plan = load(&request.loading(&session.settings.environment))?;
    Ok(text(&find(session, request, &plan)?))
}

fn find(
    session: &Arc<Session>,
    request: &BuildRequest,
    plan: &Plan,
) -> Result<Commands, EngineError> {
    let request = BuildRequest {
        targets: objects(plan),
        tests: None,
        cache: CacheOptions { off: true, ..CacheOptions::default() },
        options: Options {
            mode: Mode::DryRun,
            compile_commands: true,
            check_traces: false,
            ..request.options
        },
        ..request.clone()
    };
    let nobody: Arc<dyn Reporter> = Arc::new(Nobody);
    Ok(build(session, &request, &nobody)?.compile_commands)
}

fn text(commands: &Commands) -> Vec<u8> {
    // Plain data with string keys always serialises.
    let mut text = serde_json::to_vec_pretty(&commands.entries).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Writes the commands into the root package's directory, and has every build keep them current from then
/// on. Returns where they are.
///
/// # Errors
/// When the targets cannot be looked at, or the file cannot be written.
pub fn write(session: &Arc<Session>, request: &BuildRequest) -> Result<PathBuf, CompdbError> {
    let plan = load(&request.loading(&session.settings.environment))?;
    let before = Before::look(request, &plan, &session.settings.environment);
    make(session, request, &plan, &before)
}

/// Brings the file up to date after a build if somebody wants it and it is still there. One that would not change
/// is left alone, and nothing is looked at where nothing has changed that decides it.
///
/// # Errors
/// As of [`write`].
pub fn keep_current(
    session: &Arc<Session>,
    request: &BuildRequest,
    report: &BuildReport,
) -> Result<(), CompdbError> {
    let workspace = &report.plan.workspace;
    let wanted = workspace.larder_dir().join(WANTED).exists()
        && workspace.root.join(FILE_NAME).symlink_metadata().is_ok();
    if !wanted || request.options.mode == Mode::DryRun {
        return Ok(());
    }
    let before = Before::look(request, &report.plan, &session.settings.environment);
    match before.is_current() {
        true => Ok(()),
        false => make(session, request, &report.plan, &before).map(|_| ()),
    }
}

/// Finds the commands and writes them down, with what they were made from.
fn make(
    session: &Arc<Session>,
    request: &BuildRequest,
    plan: &Plan,
    before: &Before,
) -> Result<PathBuf, CompdbError> {
    let commands = find(session, request, plan)?;
    let file = plan.workspace.root.join(FILE_NAME);
    put(&file, &text(&commands))?;
    let stamped = before.stamp(&commands.directories);
    let place = plan.workspace.larder_dir().join(WANTED);
    stamped.map_err(|source| CompdbError::Write { path: place, source })?;
    Ok(file)
}

fn put(path: &Path, text: &[u8]) -> Result<(), CompdbError> {
    let same = || fs::read(path).is_ok_and(|there| there == text);
    let written = if same() { Ok(()) } else { atomic::write(path, text) };
    written.map_err(|source| CompdbError::Write { path: path.to_owned(), source })
}

/// The names of all objects of a workspace.
fn objects(plan: &Plan) -> Vec<TargetName> {
    let objects = plan.targets.iter().filter(|target| {
        target.facet() == Some(Facet::O) && plan.side(target.package) == BuiltFor::Target
    });
    let name = |target: &larder_project::plan::Target| {
        let package = plan.package_of(target);
        TargetName {
            package: (!package.is_root).then(|| package.place.name.clone()),
            target: Some(target.name.clone()),
            facet: Some(Facet::O),
        }
    };
    objects.map(name).collect()
}

/// Listens to a build that nobody is to hear of.
struct Nobody;

impl Reporter for Nobody {
    fn event(&self, _: &Event<'_>) {}
}
