//! One module a command group; each turns arguments into one library call and prints its result.

pub mod build;
pub mod cache;
pub mod ci;
pub mod graph;
pub mod log;
mod records;
pub mod runs;
pub mod scaffold;
pub mod status;
pub mod update;
pub mod upkeep;

use std::{env, path::Path, process::ExitCode, sync::Arc, thread};

use larder_engine::{
    cache::StoreSettings,
    environment::Environment,
    process::Processes,
    session::{Session, Settings},
};
use larder_project::{dependencies::Resolution, diagnostic::Diagnostics};
use larder_trace::describe_io;

use crate::{
    cli::{Cli, Command, Global},
    diagnostics,
    ui::Ui,
};

/// Something asked for failed.
pub const FAILED: u8 = 1;
/// Wrong usage, or something wrong with a manifest.
pub const WRONG: u8 = 2;
/// `--no-build` found something out of date.
pub const OUT_OF_DATE: u8 = 3;

/// The directory that commands work in, wherever `-C` has put that.
pub fn here() -> &'static Path {
    Path::new(".")
}

/// Ended by a signal, as a shell says it of Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// What every command has at hand.
pub struct App {
    /// Options that every command takes.
    pub global: Global,
    /// Prints.
    pub ui: Arc<Ui>,
    /// The environment that larder was started in, read once.
    pub environment: Arc<Environment>,
    /// How dependencies are resolved, and whether the network is forbidden.
    pub resolution: Resolution,
    /// How the store is opened.
    pub store: StoreSettings,
}

impl App {
    /// Begins a session in which at most `commands` run at once: as many as there are processors, when
    /// absent. `processes` are those that a signal ends.
    pub fn session(&self, commands: Option<u16>, processes: Arc<Processes>) -> Arc<Session> {
        let processors = || thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            commands: commands.map_or_else(processors, usize::from),
            environment: self.environment.clone(),
            store: self.store.clone(),
        };
        Session::new(settings, processes)
    }

    /// Says what is wrong with a workspace. Returns the exit code for it.
    pub fn refuse(&self, diagnostics: &Diagnostics) -> ExitCode {
        self.ui.diagnostics(diagnostics);
        ExitCode::from(code_of(diagnostics))
    }
}

/// 2 for what people wrote wrong, 1 where only something that was tried has failed.
pub fn code_of(diagnostics: &Diagnostics) -> u8 {
    if diagnostics.failed() { FAILED } else { WRONG }
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

/// Runs the command that was asked for. Exit codes: 0 done, 1 something failed, 2 wrong usage or
/// manifest, 3 `--no-build` found something out of date.
pub fn run(cli: Cli) -> ExitCode {
    let ui = Ui::new(&cli.global);
    let environment = Arc::new(Environment::of_process());
    let resolution = resolution(&cli.global, &environment);
    let store = StoreSettings::of(&environment, resolution.offline);
    let app = App { ui: Arc::new(ui), global: cli.global, environment, resolution, store };
    diagnostics::install(app.ui.clone(), app.global.verbose);
    if let Some(directory) = &app.global.directory
        && let Err(error) = env::set_current_dir(directory)
    {
        app.ui.error(&format!("cannot work in {}: {}", directory.display(), describe_io(&error)));
        return ExitCode::from(WRONG);
    }
    let code = match cli.command {
        Command::Init(init) => scaffold::init(&app, &init),
        Command::Clean(clean) => scaffold::clean(&app, &clean),
        Command::Graph(graph) => graph::graph(&app, &graph),
        Command::Build(build) => build::build(&app, &build),
        Command::Query(query) => build::query(&app, &query),
        Command::Exec(exec) => build::exec(&app, &exec),
        Command::Test(test) => build::test(&app, &test),
        Command::Why(why) => build::why(&app, &why),
        Command::Cache(command) => cache::run(&app, command),
        Command::Runs(arguments) => runs::runs(&app, &arguments),
        Command::Status(arguments) => status::status(&app, &arguments),
        Command::Changes(arguments) => status::changes(&app, &arguments),
        Command::Failures(arguments) => status::failures(&app, &arguments),
        Command::History(arguments) => status::history(&app, &arguments),
        Command::Log(arguments) => log::log(&app, &arguments),
        Command::Locks(arguments) => upkeep::locks(&app, &arguments),
        Command::Gc(arguments) => upkeep::gc(&app, &arguments),
        Command::Notify(arguments) => upkeep::notify(&app, &arguments),
        Command::Ci(command) => ci::run(&app, &command),
        Command::Update(update) => update::update(&app, &update),
    };
    if app.ui.finish() { code } else { ExitCode::from(FAILED) }
}
