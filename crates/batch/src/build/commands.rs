//! Packages that are built by lines for a shell: one action.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_engine::{
    action::{Action, Argument, Discovery, Output, Piece, Program, RunsIn, Variable, text},
    environment::Environment,
    executor::{Bench, ExecuteError, Execution, ToolPaths},
    pool::Lane,
    process::Budget,
    sandbox::{self, Permissions, Sandbox},
    toolchain::find_tool,
};
use larder_project::{
    path::{BuildPath, PortablePath},
    place::{Place, Places},
};
use larder_runs::result::Origin;
use larder_trace::ContentHash;

use super::{
    BuildTask, Failure, Log, Workshop, environment,
    pages::Documentation,
    said,
    script::{DocsMeanings, Lines, Meanings, Prefix, below, script, use_jobs},
    work::{EPOCH, HTML, PREFIX, SOURCES, Work, copy_sources},
};
use crate::layer::Layer;

/// The shell.
const SHELL: &str = "/bin/sh";

/// Builds a package by these lines, and leaves what it installed in the work directory.
///
/// # Errors
/// Why there is nothing.
pub(super) fn build(
    shop: &Workshop,
    task: &BuildTask,
    lines: &[String],
    work: &Work,
    budget: &Arc<Budget>,
    log: &Log,
) -> Result<Origin, Failure> {
    let lines = Lines { lines, prefix: Prefix::Work };
    let script = Script { task, lines: vec![lines], layer: None, docs: None };
    script.run_to_success(shop, work, budget, "its build", log)?;
    let installed = fs::read_dir(work.prefix());
    let empty = installed.is_ok_and(|mut entries| entries.next().is_none());
    if empty {
        let message = "its build succeeded, but installed nothing into {prefix}";
        return Err(Failure::of_package(message.to_owned()));
    }
    Ok(Origin::Built)
}

/// Lines to run for a package.
pub(super) struct Script<'a> {
    pub task: &'a BuildTask,
    pub lines: Vec<Lines<'a>>,
    /// The package's own layer, once there is one: programs that are run find its libraries.
    pub layer: Option<&'a Layer>,
    /// The documentation that is made.
    pub docs: Option<&'a Documentation>,
}

impl Script<'_> {
    /// Runs the lines, `what` they are for people. What they were refused is said.
    ///
    /// # Errors
    /// When one of them fails, or they were not run.
    pub fn run_to_success(
        &self,
        shop: &Workshop,
        work: &Work,
        budget: &Arc<Budget>,
        what: &str,
        log: &Log,
    ) -> Result<(), Failure> {
        let execution = self.run(shop, work, budget)?;
        execution.refusals.iter().for_each(|refusal| said::line(log, refusal));
        if execution.exit.success() {
            return Ok(());
        }
        let mut failure = Failure::of_exit(what, execution.exit);
        if failure.limit.is_none() {
            let refusals = execution.refusals.iter().filter_map(|it| it.lines().next());
            refusals.for_each(|refusal| failure.error += &format!("; {refusal}"));
        }
        Err(failure)
    }

    /// Runs the lines among a copy of the sources.
    ///
    /// # Errors
    /// When they were not run.
    fn run(
        &self,
        shop: &Workshop,
        work: &Work,
        budget: &Arc<Budget>,
    ) -> Result<Execution, Failure> {
        check_path(work.path())?;
        copy_sources(&self.task.package, &self.task.sources, &work.sources())?;
        self.docs.into_iter().flat_map(|docs| &docs.reads).try_for_each(|it| it.copy(work))?;
        let system = shop.session.settings.environment.clone();
        let mut variables = environment::of_layers(self.task, &system);
        let path = variables.remove("PATH").unwrap_or_default();
        let home = system.get("HOME").map(|home| ("HOME".into(), home.to_owned()));
        let own = [(OsString::from("PATH"), path)].into_iter().chain(home);
        let own: Arc<Environment> = Arc::new(own.collect());
        let sandbox = self.sandbox(&own, work)?;
        let tools = ToolPaths::default();
        // Whatever it runs at once by itself is part of what all packages may.
        let several = self.lines.iter().any(|it| use_jobs(it.lines));
        let mut spare = shop.session.spare_tokens(if several { self.task.jobs } else { 0 });
        let jobs = spare.len().max(1);
        let action = self.action(&own, variables, &tools, jobs)?;
        spare.pop();
        let session = shop.session.in_environment(own).within(budget.clone());
        let (executor, places) = (session.executor(sandbox), self.places(work));
        let (staging, package) = (work.path().to_owned(), self.task.package.to_string());
        // The executor runs it in the place of the thread that a task of the pool has.
        let done = session.in_slot(move || {
            let place = Place::new(places.root(), &package, places.root());
            let bench = Bench {
                places: &places,
                place: &place,
                target: &package,
                tools: &tools,
                staging: &staging,
                flat: false,
                lane: Lane::Local,
                patience: None,
            };
            executor.execute(&action, &bench)
        });
        drop(spare);
        match done {
            Ok(Ok(execution)) => Ok(execution),
            Ok(Err(ExecuteError::Interrupted)) => {
                Err(Failure::of_package("interrupted".to_owned()))
            }
            Ok(Err(ExecuteError::Failed(error) | ExecuteError::Declined(error))) => {
                Err(Failure::of_package(error))
            }
            Err(panic) => Err(Failure::of_package(format!(
                "larder itself failed: {panic}; please report this"
            ))),
        }
    }

    /// The layers that are there, by name: those of the needs, and the package's own.
    fn layers(&self) -> impl Iterator<Item = (&str, &Layer)> {
        let needs = self.task.needs.iter().map(|need| (need.package.name(), &need.layer));
        needs.chain(self.layer.map(|layer| (self.task.package.name(), layer)))
    }

    /// The package, and the layers that it is built with.
    fn places(&self, work: &Work) -> Places {
        let root = work.path();
        let own = Place::new(root, self.task.package.as_str(), root);
        let layers = self.layers().map(|(name, layer)| Place::new(root, name, &layer.directory));
        Places::new(root.to_owned(), [own].into_iter().chain(layers).collect())
    }

    fn sandbox(
        &self,
        environment: &Arc<Environment>,
        work: &Work,
    ) -> Result<Option<Arc<Sandbox>>, Failure> {
        if !self.task.sandbox {
            return Ok(None);
        }
        let layers = self.layers();
        let layers = layers.map(|(name, layer)| (name.to_owned(), layer.directory.clone()));
        let own = (self.task.package.to_string(), work.path().to_owned());
        let packages = sandbox::Packages {
            directories: [own].into_iter().chain(layers).collect(),
            declarations: Vec::new(),
        };
        let permissions =
            Permissions { surroundings: environment.clone(), ..Permissions::default() };
        let made = Sandbox::new(packages, &permissions);
        Ok(Some(Arc::new(made.map_err(|error| Failure::of_package(error.to_string()))?)))
    }

    fn action(
        &self,
        environment: &Environment,
        variables: BTreeMap<String, OsString>,
        tools: &ToolPaths,
        jobs: usize,
    ) -> Result<Action, Failure> {
        let task = self.task;
        let needs: Vec<String> =
            task.needs.iter().map(|need| need.package.name().to_owned()).collect();
        let name = task.package.name().to_owned();
        let docs = self.docs.map(|docs| DocsMeanings {
            own: docs.place.clone(),
            needs: (docs.reads.iter())
                .map(|pages| (pages.package.name().to_owned(), pages.place.clone()))
                .collect(),
        });
        let largest = task.allowance.disk;
        let meanings = Meanings { jobs, needs, docs, name, largest };
        let lines = script(&self.lines, &meanings).map_err(Failure::of_package)?;
        let tool = |name: &str, path: PathBuf| {
            let identity = ContentHash::of_bytes(path.as_os_str().as_encoded_bytes());
            tools.insert(name, identity, path);
            Program::Tool { name: name.to_owned(), identity }
        };
        let mut all: BTreeMap<String, Variable> = variables
            .into_iter()
            .map(|(name, value)| (name, Variable::Text(value.to_string_lossy().into_owned())))
            .collect();
        let mut compilers = Vec::new();
        for (variable, named) in environment::compilers(&task.compiler.toolchain) {
            let Some(named) = named else { continue };
            // A package may need no compiler, or not this one.
            if let Ok(path) = find_tool(named, variable, environment) {
                compilers.push(tool(named, path));
            }
            all.insert(variable.to_owned(), Variable::Pieces(call(variable, named)));
        }
        // What a layer's programs load has to be found by them. What a build runs is the system's.
        let prefixes: Vec<PathBuf> = match self.layer {
            Some(_) => self.layers().map(|(_, layer)| layer.directory.clone()).collect(),
            None => Vec::new(),
        };
        all.extend(environment::libraries(&prefixes).map(|list| {
            ("LD_LIBRARY_PATH".to_owned(), Variable::Text(list.to_string_lossy().into_owned()))
        }));
        all.insert("HOME".to_owned(), Variable::Pieces(vec![Piece::OutputDirectory]));
        all.insert("SOURCE_DATE_EPOCH".to_owned(), Variable::Text(EPOCH.to_string()));
        let docs = self.docs.map(|docs| format!("{HTML}/{}", docs.place));
        let places = [PREFIX.to_owned()].into_iter().chain(docs);
        let outputs = places.map(|name| {
            let path =
                BuildPath::new(&name).map_err(|error| Failure::of_package(error.to_string()))?;
            Ok(Output { path, directory: true })
        });
        let inputs = self.layers().map(|(name, layer)| {
            (PortablePath::recorded(&format!("@{name}/")), layer.record.digest)
        });
        Ok(Action {
            package: task.package.to_string(),
            runs_in: RunsIn::Scratch,
            program: tool("sh", SHELL.into()),
            tools: compilers,
            arguments: vec![text("-e"), text("-c"), lines],
            environment: all,
            inputs: inputs.collect(),
            searched: Vec::new(),
            may_read: Default::default(),
            outputs: outputs.collect::<Result<_, Failure>>()?,
            discovery: Discovery::None,
            response_file: None,
            limits: Default::default(),
            in_place: None,
        })
    }
}

/// A compiler as a variable has it. What it is given has names for the directory that it works in, so that it makes
/// the same anywhere.
fn call(variable: &str, named: &str) -> Argument {
    let mut call = text(named);
    if variable != "AR" && environment::is_usual(named) {
        call.push(Piece::Text(" -ffile-prefix-map=".to_owned()));
        call.extend(below(SOURCES));
        call.push(Piece::Text("=.".to_owned()));
    }
    call
}

/// Checks that a path stands for itself in a shell.
fn check_path(path: &Path) -> Result<(), Failure> {
    let plain = |c: char| c.is_alphanumeric() || "/_-+=.,:@%~".contains(c);
    match path.to_str().is_some_and(|path| path.chars().all(plain)) {
        true => Ok(()),
        false => Err(Failure::of_package(format!(
            "{} cannot be used in shell commands as it is: keep data in a directory without blanks and the like",
            path.display()
        ))),
    }
}
