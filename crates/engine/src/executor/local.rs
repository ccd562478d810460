//! Runs actions as processes of this machine.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use larder_project::path::RootPath;
use rustix::fs::OFlags;

use super::{Bench, ExecuteError, Execution, Executor, Ran, in_place, render, shown};
use crate::{
    action::{Action, Discovery, RunsIn},
    depfile,
    environment::Environment,
    jobserver::{Jobs, Jobserver},
    process::{Budget, ProcessError, Processes, ResponseFile, Spec},
    sandbox::{Sandbox, View},
    timeline::{Kind, Timeline},
};

/// The variable by which commands find a jobserver.
const MAKEFLAGS: &str = "MAKEFLAGS";

/// Runs actions as processes of this machine, which see all that the user sees.
pub struct LocalExecutor {
    processes: Arc<Processes>,
    environment: Arc<Environment>,
    /// The slots that its commands share with what they run, if they do.
    jobs: Option<Arc<Jobs>>,
    timeline: Option<Arc<Timeline>>,
    budget: Option<Arc<Budget>>,
}

impl LocalExecutor {
    /// Runs actions as some of `processes`, in a minimal part of `environment`.
    pub fn new(processes: Arc<Processes>, environment: Arc<Environment>) -> Self {
        Self { processes, environment, jobs: None, timeline: None, budget: None }
    }

    /// Has each command hold a token of a jobserver, and says so to those that are not tools. Waiting for
    /// one is noted in `timeline`.
    #[must_use]
    pub fn sharing(self, jobs: Arc<Jobs>, timeline: Option<Arc<Timeline>>) -> Self {
        Self { jobs: Some(jobs), timeline, ..self }
    }

    /// Has its commands share an allowance.
    #[must_use]
    pub fn within(self, budget: Option<Arc<Budget>>) -> Self {
        Self { budget, ..self }
    }

    fn jobserver(&self) -> Option<&Jobserver> {
        self.jobs.as_ref()?.get()
    }

    /// Returns the process that `action` is here.
    pub(super) fn spec(&self, action: &Action, bench: &Bench<'_>) -> Result<Spec, ExecuteError> {
        Ok(Spec {
            program: render::program(action, bench)?,
            arguments: render::arguments(action, bench)?,
            directory: match action.runs_in {
                RunsIn::Package => bench.place.directory.clone(),
                RunsIn::Scratch => bench.staging.to_owned(),
            },
            environment: render::environment(action, bench, &self.environment)?,
            response_file: action
                .response_file
                .map(|first| ResponseFile { path: bench.staging.join("arguments.rsp"), first }),
            limits: action.limits,
            budget: self.budget.clone(),
            terminal: action.in_place.as_ref().is_some_and(|own| own.terminal),
        })
    }

    /// Makes the directories that an action writes in, and the files that it is given.
    pub(super) fn prepare(&self, action: &Action, bench: &Bench<'_>) -> Result<(), ExecuteError> {
        match &action.in_place {
            Some(own) => in_place::prepare(action, bench, own),
            None => make_room(action, bench),
        }
    }

    /// Runs a process for which all is prepared, with nothing but a view of the sandbox to see where there is one.
    pub(super) fn run(
        &self,
        action: &Action,
        bench: &Bench<'_>,
        spec: &Spec,
        confined: Option<(&Sandbox, &View)>,
    ) -> Result<Execution, ExecuteError> {
        let token = self.jobserver().map(|jobserver| {
            let name = format!("a token for {}", bench.target);
            let _waiting = self.timeline.as_ref().map(|timeline| timeline.span(Kind::Wait, name));
            jobserver.acquire(|| self.processes.interrupted()).ok_or(ExecuteError::Interrupted)
        });
        let _token = token.transpose()?;
        let ended = match self.processes.run(spec, confined) {
            Ok(ended) => ended,
            Err(ProcessError::Interrupted) => return Err(ExecuteError::Interrupted),
            Err(error) => return Err(ExecuteError::Failed(error.to_string())),
        };
        if let Some(own) = &action.in_place {
            return in_place::finish(action, bench, own, ended);
        }
        let discovered = discovered(action.discovery, bench, ended.exit.success())?;
        Ok(Execution {
            ran: Ran::Local,
            exit: ended.exit,
            printed: ended.output,
            discovered,
            silent: false,
            refusals: Vec::new(),
            cost: ended.cost,
            command_line: shown::command_line(action, bench)?,
        })
    }
}

impl Executor for LocalExecutor {
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError> {
        let mut spec = self.spec(action, bench)?;
        // Tools take no tokens. What the command asks for by itself counts, and what is sandboxed has none.
        let tells = !bench.flat && !action.environment.contains_key(MAKEFLAGS);
        let told = self.jobserver().filter(|_| tells);
        if let Some(jobserver) = told {
            let flags = jobserver.makeflags(&spec.program);
            spec.environment.push((MAKEFLAGS.to_owned(), flags.into()));
        }
        let _lent = told.map(Jobserver::lend);
        self.prepare(action, bench)?;
        self.run(action, bench, &spec, None)
    }
}

/// Makes the directories that outputs are staged in.
fn make_room(action: &Action, bench: &Bench<'_>) -> Result<(), ExecuteError> {
    for output in &action.outputs {
        let path = bench.staged(output);
        let parent = if output.directory { Some(path.as_path()) } else { path.parent() };
        if let Some(parent) = parent.filter(|parent| *parent != bench.staging) {
            fs::create_dir_all(parent).map_err(|error| ExecuteError::io(parent, &error))?;
        }
    }
    Ok(())
}

/// Returns the further inputs that a command told of.
pub(super) fn discovered(
    discovery: Discovery,
    bench: &Bench<'_>,
    success: bool,
) -> Result<Vec<RootPath>, ExecuteError> {
    let depfile = bench.depfile();
    match discovery {
        Discovery::None => Ok(Vec::new()),
        Discovery::Headers => listed(bench, &depfile, depfile::parse, true),
        Discovery::Compiler => listed(bench, &depfile, depfile::parse, success),
        Discovery::Linker => listed(bench, &depfile, depfile::parse_linker, success),
        Discovery::CompilerAndLinker => {
            let mut all = listed(bench, &depfile, depfile::parse, success)?;
            let linker = bench.linker_depfile();
            all.extend(listed(bench, &linker, depfile::parse_linker, success)?);
            Ok(all)
        }
    }
}

/// Returns what a tool wrote into a depfile. One that is `wanted` must be there.
fn listed(
    bench: &Bench<'_>,
    depfile: &Path,
    parse: fn(&str) -> Vec<String>,
    wanted: bool,
) -> Result<Vec<RootPath>, ExecuteError> {
    let bytes = take(depfile).unwrap_or_default();
    if bytes.is_empty() && !wanted {
        return Ok(Vec::new());
    }
    if bytes.is_empty() {
        return Err(ExecuteError::Failed(
            "it wrote no depfile, so larder cannot tell which files it read (does something remove the \
             argument -MF, or what it names, away?)"
                .to_owned(),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let said = String::from_utf8_lossy(error.as_bytes());
        let names = parse(&said);
        let name = names.iter().find(|name| name.contains(char::REPLACEMENT_CHARACTER));
        let name = name.map_or("a file", String::as_str);
        ExecuteError::Failed(format!("it includes {name}, whose name is not UTF-8; rename it"))
    })?;
    let names = parse(&text);
    let paths = names.iter().map(|name| bench.places.opened(bench.place, name));
    // A linker lists its own temporary files as well.
    let temporary = |path: &RootPath| bench.places.absolute(path).starts_with(bench.staging);
    Ok(paths.filter(|path| !temporary(path)).collect())
}

/// Reads a depfile and empties it, so that the next action on this bench is not taken for its writer. It is not
/// removed: some file systems are slow to make a file where others have just been removed, and a compiler
/// would make it again.
fn take(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    file.read_to_end(&mut bytes)?;
    file.set_len(0)?;
    Ok(bytes)
}
