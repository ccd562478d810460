//! A directory to build in, builds in it, and what they said.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use larder_engine::{
    action::{Argument, Piece, text},
    artifact::Artifact,
    builds::*,
    cache::Cache,
    context::{Context, Options},
    environment::Environment,
    event::{Event, Reporter, Status, StepCounts},
    executor::{LocalExecutor, RecordingExecutor},
    job::{Built, Failed, Finished, Job, Scheduler},
    pool::Slots,
    process::Processes,
    session::{Session, Settings},
    step::{Work, Workplace},
    toolchain::find_tool,
};
use larder_project::{
    path::{BuildPath, PackagePath, PortablePath},
    place::Place,
    plan::{BuiltIn, Part},
};
use larder_trace::BuildTrace;
use tempfile::TempDir;

/// The commands that builds here may run at once.
pub const SLOTS: usize = 4;

/// A directory to build in.
pub struct Here {
    directory: TempDir,
    pub root: PathBuf,
}

/// The events of a build as lines: how each output ended, and errors.
#[derive(Default)]
pub struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        let said = match event {
            Event::Ended { step, ended, .. } => {
                let error = ended.error.map_or(String::new(), |error| format!(": {error}"));
                let log = ended.log.iter().filter(|_| ended.error.is_some());
                let log: String = log.map(|entry| format!("\n{}", entry.message)).collect();
                format!("{:?} {}{error}{log}", ended.status, step.output)
            }
            Event::Note { message, .. } => (*message).to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(said);
    }

    fn wants_everything(&self) -> bool {
        true
    }
}

impl Heard {
    /// Everything that was said, sorted.
    pub fn said(&self) -> Vec<String> {
        let mut said = self.0.lock().unwrap().clone();
        said.sort();
        said
    }
}

/// One build.
pub struct Build {
    pub cx: Arc<Context>,
    pub owner: Owner,
    pub heard: Arc<Heard>,
}

/// The settings of a session with no store.
pub fn settings(commands: usize) -> Settings {
    Settings { slots: local(commands), environment: environment().into(), ..Settings::default() }
}

/// Slots for so many commands of this machine.
pub fn local(commands: usize) -> Slots {
    Slots { local: commands, ..Slots::default() }
}

pub fn environment() -> Environment {
    Environment::of_process()
}

pub fn session() -> Arc<Session> {
    Session::new(settings(SLOTS), Arc::default())
}

/// A session whose actions are noted, and the notes.
pub fn recorded() -> (Arc<Session>, Arc<RecordingExecutor>) {
    let processes: Arc<Processes> = Arc::default();
    let local = LocalExecutor::new(processes.clone(), Arc::new(environment()));
    let executor = Arc::new(RecordingExecutor::new(Arc::new(local)));
    (Session::with_executor(settings(SLOTS), processes, executor.clone()), executor)
}

impl Here {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        Self { directory, root }
    }

    pub fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn script(&self, path: &str, text: &str) -> &Self {
        self.file(path, &format!("#!/bin/sh\n{text}"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(self.root.join(path), mode).unwrap();
        self
    }

    pub fn output(&self, path: &str) -> PathBuf {
        self.root.join(".larder/build").join(path)
    }

    pub fn read(&self, output: &str) -> String {
        fs::read_to_string(self.output(output)).unwrap()
    }

    pub fn build(&self) -> Build {
        self.build_with(Options::default())
    }

    pub fn build_with(&self, options: Options) -> Build {
        let heard = Arc::new(Heard::default());
        self.build_in(&session(), options, heard.clone(), heard)
    }

    /// A build as part of `session`, which tells `reporter`.
    pub fn build_in(
        &self,
        session: &Arc<Session>,
        options: Options,
        reporter: Arc<dyn Reporter>,
        heard: Arc<Heard>,
    ) -> Build {
        let place = Place::new(&self.root, "p", &self.root);
        let (session, places) = (session.clone(), vec![place.clone()]);
        let root = self.root.clone();
        let cx =
            Context::new(session, root, places, options, Cache::none(), None, reporter).unwrap();
        let owner = Owner { cx: cx.clone(), place: place.into(), target: "t".into(), keep: true };
        Build { cx, owner, heard }
    }
}

impl Build {
    pub fn owner(&self) -> Owner {
        self.owner.clone()
    }

    pub fn run<T: Send + Sync + 'static>(&self, job: &Job<T>) -> Result<Arc<Built<T>>, Failed> {
        self.cx.decide(true);
        let finished = finish(&self.cx.scheduler, job);
        self.cx.close_counts();
        self.cx.index.save().unwrap();
        self.cx.clean_up();
        finished
    }

    /// Everything that was said, sorted.
    pub fn said(&self) -> Vec<String> {
        self.heard.said()
    }

    /// The outputs that ended with a status, with their errors.
    pub fn with(&self, status: Status) -> Vec<String> {
        let start = format!("{status:?} ");
        self.said().iter().filter_map(|line| Some(line.strip_prefix(&start)?.to_owned())).collect()
    }

    /// How many steps ended in which way, which must be all of them.
    pub fn counts(&self) -> StepCounts {
        let counts = self.cx.counts();
        assert_eq!(counts.ended(), counts.total, "{counts:?}");
        counts
    }
}

/// Runs jobs until this one is done.
pub fn finish<T: Send + Sync + 'static>(scheduler: &Arc<Scheduler>, job: &Job<T>) -> Finished<T> {
    let Ok(job) = scheduler.run(|| Ok::<_, Infallible>(job.clone()));
    job.finished().expect("no job waits for itself")
}

pub fn tool(name: &str) -> ToolUse {
    tool_at(find_tool(name, name, &environment()).unwrap())
}

pub fn tool_at(path: PathBuf) -> ToolUse {
    let identity = BuildTrace::text("tool", path.to_string_lossy());
    ToolUse::new(path, &identity)
}

pub fn compile(weak: &[&str], traced: &[&str]) -> Arc<Compile> {
    let weak: Vec<Argument> = weak.iter().map(|&value| text(value)).collect();
    let traced = traced.iter().map(|&value| TracedArgument::from(value)).collect();
    Compile::new(tool("cc"), Dialect::Gcc, weak, traced, BuildTrace::nil("object")).into()
}

pub fn link() -> Link {
    Link {
        search: Default::default(),
        linker: tool("cc"),
        writes_depfile: false,
        weak_args: Vec::new(),
        trace_args: Vec::new(),
        link_args: Vec::new(),
        last_args: Vec::new(),
        depends_on: BuildTrace::nil("link"),
        kind: LinkKind::default(),
        format: Default::default(),
        import: None,
    }
}

pub fn archive() -> Archive {
    Archive { archiver: tool("ar"), depends_on: BuildTrace::nil("archive") }
}

pub fn object(build: &Build, source: &str, compile: &Arc<Compile>) -> Job<Artifact> {
    let input = input_text_file(&build.owner, own(source));
    build_o(build.owner(), out(&format!("{source}.o")), &input, compile.clone(), None)
}

/// Work in this process.
pub fn function(work: impl Fn(&Workplace) -> Result<(), String> + Send + Sync + 'static) -> Work {
    Work::Function(Box::new(work))
}

/// Work that writes what the only input holds, changed by `change`, to the only output.
pub fn rewrite(change: impl Fn(String) -> String + Send + Sync + 'static) -> Work {
    function(move |place| {
        let text = fs::read_to_string(&place.inputs[0]).map_err(|error| error.to_string())?;
        fs::write(&place.outputs[0], change(text)).map_err(|error| error.to_string())
    })
}

/// A shell command: `$0` is its first output, and its inputs are the arguments.
pub fn shell(script: &str) -> CommandBuild {
    let word = |text: &str| vec![Part::Text(text.to_owned())];
    CommandBuild {
        program: CommandProgram::Tool(tool("sh")),
        arguments: vec![
            word("-c"),
            word(script),
            vec![Part::BuiltIn(BuiltIn::Out)],
            vec![Part::BuiltIn(BuiltIn::In)],
        ],
        environment: Default::default(),
        settings: Default::default(),
        declared_inputs: usize::MAX,
        tools: Vec::new(),
        always: false,
        depends_on: BuildTrace::text("command", script),
        runs_in: Default::default(),
        machine: larder_engine::builds::Machine::Here,
    }
}

/// The path of something in the package.
pub fn own(path: &str) -> PackagePath {
    PackagePath::new(path).unwrap()
}

/// The path of something in the build directory.
pub fn out(path: &str) -> BuildPath {
    BuildPath::new(path).unwrap()
}

/// One argument: the path that a name stands for.
pub fn path(name: PortablePath) -> Argument {
    vec![Piece::Path(name)]
}

/// Returns a trace that does not change.
pub fn nothing() -> BuildTrace {
    BuildTrace::nil("extra")
}

/// Waits until the times of all files tell that they were written before whatever comes next.
pub fn settle() {
    let written = Instant::now();
    while written.elapsed() < Duration::from_millis(25) {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a file is there.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Tasks that wait for one another: each says when it runs, and ends when so many do.
#[derive(Default)]
pub struct Meeting {
    there: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    /// Waits until `wanted` are there at once; gives up when they do not come.
    pub fn join(&self, wanted: usize) -> bool {
        let mut there = self.there.lock().unwrap();
        *there += 1;
        self.changed.notify_all();
        let (_there, waited) = self
            .changed
            .wait_timeout_while(there, Duration::from_secs(60), |there| *there < wanted)
            .unwrap();
        !waited.timed_out()
    }
}
