//! One module a command group; each turns arguments into one library call and prints its result.

pub mod batch;
pub mod bisect;
pub mod build;
pub mod cache;
pub mod changes;
pub mod ci;
pub mod compdb;
mod confinement;
pub mod failures;
pub mod graph;
pub mod history;
pub mod install;
pub mod log;
pub mod ninja;
pub mod notify;
pub mod records;
mod remote;
pub mod run;
pub mod runs;
pub mod scaffold;
pub mod serve;
mod showing;
pub mod status;
pub mod test;
pub mod update;
pub mod upkeep;
pub mod watch;
pub mod why;

pub use self::{records::nearest, showing::describe_diagnostics};

use std::{env, path::Path, process::ExitCode, sync::Arc, thread};

use larder_engine::{
    cache::StoreSettings,
    checkouts,
    environment::Environment,
    interrupt,
    jobserver::Jobserver,
    pool::Slots,
    process::Processes,
    session::{Session, Settings},
    timeline::Timeline,
};
use larder_project::dependencies::Resolution;
use larder_trace::{Level, describe_io};

use crate::{
    cli::{Cli, Command, Global},
    diagnostics,
    exit::{Exit, Failure},
    mistake,
    ui::Ui,
};

/// The directory that commands work in, wherever `-C` has put that.
pub fn here() -> &'static Path {
    Path::new(".")
}

/// The things that every command has at hand.
pub struct App {
    /// Options that every command takes.
    pub global: Global,
    /// Prints.
    pub ui: Arc<Ui>,
    /// The environment that larder was started in, read once.
    pub environment: Arc<Environment>,
    /// The command as it was given.
    pub command_line: Vec<String>,
    /// How dependencies are resolved, and whether the network is forbidden.
    pub resolution: Resolution,
    /// How the store is opened.
    pub store: StoreSettings,
    /// The jobserver above this process, if there is one.
    jobserver: Option<Arc<Jobserver>>,
    /// The commands that run, for whoever has to end them: a signal, or a panic.
    pub processes: Arc<Processes>,
    /// Why signals end larder as they end any program, if they do.
    signals: Result<(), String>,
}

impl App {
    /// Makes sure that signals end the commands of a build, which are in process groups of their own.
    ///
    /// # Errors
    /// When they do not.
    pub fn ends_commands(&self) -> Result<(), Failure> {
        self.signals.clone().map_err(Failure::failed)
    }

    /// Begins a session in which at most `commands` run at once: as many as there are processors, when
    /// absent.
    pub fn session(&self, commands: Option<u16>) -> Arc<Session> {
        self.timed_session(commands, None)
    }

    /// The same, which takes note of where the time goes.
    pub fn timed_session(
        &self,
        commands: Option<u16>,
        timeline: Option<Arc<Timeline>>,
    ) -> Arc<Session> {
        let processors = || thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            slots: Slots {
                local: commands.map_or_else(processors, usize::from),
                ..Slots::default()
            },
            environment: self.environment.clone(),
            store: self.store.clone(),
            here: std::path::absolute(here()).ok(),
            jobserver: self.jobserver.clone(),
            timeline,
        };
        Session::new(settings, self.processes.clone())
    }
}

/// How dependencies are resolved, as options, `LARDER_OFFLINE` and `LARDER_PKG_DIR` say.
fn resolution(global: &Global, environment: &Environment) -> Resolution {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    Resolution {
        offline: global.offline || set("LARDER_OFFLINE").is_some_and(|value| value != "0"),
        locked: global.locked,
        packages: set("LARDER_PKG_DIR").map(Into::into),
        ..Resolution::default()
    }
}

/// Runs the command that was asked for and says why it failed, if it did: the one place where that
/// is said and becomes an exit code.
pub fn run(cli: Cli) -> ExitCode {
    // The one place where the environment of the process is read.
    let environment = Arc::new(Environment::of_process());
    mistake::note_panics(&environment);
    // Before anything is opened: the descriptors that it names may be closed.
    let makeflags = environment.get("MAKEFLAGS").and_then(|flags| flags.to_str());
    let jobserver = Jobserver::inherited(makeflags.unwrap_or_default());
    let ui = Ui::new(&cli.global, &environment);
    let builds = matches!(
        cli.command,
        Command::Build(_) | Command::Query(_) | Command::Run(_) | Command::Test(_)
    );
    if let Err(unusable) = &jobserver
        && builds
    {
        ui.note(Level::Warning, &unusable.to_string());
    }
    let jobserver = jobserver.ok().flatten().map(Arc::new);
    let mut resolution = resolution(&cli.global, &environment);
    let store = StoreSettings::of(&environment, resolution.offline);
    resolution.baked = checkouts::baked(&store);
    resolution.fetcher = Some(Arc::new(checkouts::Web));
    let mut app = App {
        ui: Arc::new(ui),
        global: cli.global,
        environment,
        command_line: env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        resolution,
        store,
        jobserver: jobserver.clone(),
        processes: Arc::default(),
        signals: Ok(()),
    };
    diagnostics::install(app.ui.clone(), app.global.verbose);
    // Nothing half-made is ever visible, so that ending here is safe; and printing could block.
    let held = jobserver.clone();
    let overdue = move || {
        held.iter().for_each(|jobserver| jobserver.give_all_back());
        std::process::exit(i32::from(Exit::Interrupted.code()))
    };
    app.signals = interrupt::end_on_signals(app.processes.clone(), overdue)
        .map_err(|error| format!("cannot wait for signals: {}", describe_io(&error)));
    let ended = mistake::contained(&app.processes, || run_command(&app, cli.command));
    // What failed then failed for that: git, say, was ended before this process.
    let ended = match ended {
        Err(_) if app.processes.interrupted() => Ok(Exit::Interrupted),
        ended => ended,
    };
    mistake::print(ended.as_ref().err(), &app.ui);
    // A thread that hangs holds one still.
    jobserver.iter().for_each(|jobserver| jobserver.give_all_back());
    let exit = ended.unwrap_or_else(|failure| failure.exit);
    if app.ui.is_written() { exit.into() } else { Exit::Failed.into() }
}

/// Refuses an offline store that cannot be one, where `command` would look into it. The one that a bake is
/// going to make need not be there.
fn check_offline_store(app: &App, command: &Command) -> Result<(), Failure> {
    let looks = match command {
        Command::Build(_)
        | Command::Query(_)
        | Command::Run(_)
        | Command::Test(_)
        | Command::Ninja(_)
        | Command::Compdb(_)
        | Command::Install(_)
        | Command::Watch(_)
        | Command::Why(_)
        | Command::Batch(_)
        | Command::Rerun(_)
        | Command::Cascade(_)
        | Command::Bisect(_)
        | Command::Ci(_) => true,
        Command::Cache(command) => {
            let made = command.makes_offline_store();
            made.is_none_or(|made| app.store.offline_store.as_deref() != Some(made))
        }
        _ => false,
    };
    if !looks {
        return Ok(());
    }
    app.store.check_offline_store().map_err(|error| {
        let error = match app.store.offline_store.as_deref() {
            Some(path) if path.as_os_str().is_empty() => "it is set to nothing".to_owned(),
            _ => error.to_string(),
        };
        Failure::wrong(format!("LARDER_OFFLINE_STORE: {error}")).hint("unset it to do without one")
    })
}

fn run_command(app: &App, command: Command) -> Result<Exit, Failure> {
    if let Some(directory) = &app.global.directory {
        env::set_current_dir(directory).map_err(|error| {
            let directory = directory.display();
            Failure::wrong(format!("cannot work in {directory}: {}", describe_io(&error)))
        })?;
    }
    check_offline_store(app, &command)?;
    match command {
        Command::Init(arguments) => scaffold::init(app, &arguments),
        Command::Clean(arguments) => scaffold::clean(app, &arguments),
        Command::Graph(arguments) => graph::graph(app, &arguments),
        Command::Build(arguments) => build::build(app, &arguments),
        Command::Query(arguments) => build::query(app, &arguments),
        Command::Run(arguments) => run::run(app, &arguments),
        Command::Test(arguments) => test::test(app, &arguments),
        Command::Why(arguments) => why::why(app, &arguments),
        Command::Ninja(arguments) => ninja::ninja(app, &arguments),
        Command::Watch(arguments) => watch::watch(app, &arguments),
        Command::Install(arguments) => install::install(app, &arguments),
        Command::Compdb(arguments) => compdb::compdb(app, &arguments),
        Command::Update(arguments) => update::update(app, &arguments),
        Command::Cache(command) => cache::run(app, command),
        Command::Ci(command) => ci::run(app, &command),
        Command::Batch(arguments) => batch::batch(app, &arguments),
        Command::Rerun(arguments) => batch::rerun(app, &arguments),
        Command::Cascade(arguments) => batch::cascade(app, &arguments),
        Command::Bisect(arguments) => bisect::bisect(app, arguments),
        Command::Runs(arguments) => runs::runs(app, &arguments),
        Command::Status(arguments) => status::status(app, &arguments),
        Command::Changes(arguments) => changes::changes(app, &arguments),
        Command::Failures(arguments) => failures::failures(app, &arguments),
        Command::History(arguments) => history::history(app, &arguments),
        Command::Log(arguments) => log::log(app, &arguments),
        Command::Locks(arguments) => upkeep::locks(app, &arguments),
        Command::Gc(arguments) => upkeep::gc(app, &arguments),
        Command::Notify(arguments) => notify::notify(app, &arguments),
        Command::Serve(arguments) => serve::serve(app, &arguments),
    }
}
