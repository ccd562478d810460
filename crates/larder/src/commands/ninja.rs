//! `ninja`: builds what a `build.ninja` describes, with the options of Ninja.

mod show;
mod tools;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::Arc,
};

use clap::Args;
use larder_engine::{
    context::{Mode, Options},
    event::Reporter,
    ninja::{self, CommandSettings, NinjaReport, NinjaRequest},
};
use larder_project::ninja::{Graph, VERSION};
use larder_trace::describe_io;
use serde_json::json;

use self::show::Show;
use super::{App, confinement::SandboxArgs};
use crate::{
    exit::{Exit, Failure},
    ui::seconds,
};

/// Build what a build.ninja describes, as CMake, Meson and GN write it
///
/// The options are those of Ninja. Started by the name `ninja`, larder does this and nothing else.
#[derive(Args)]
// Of an option given twice, the last counts, as with Ninja: CMake and editors add their own to those of users.
#[command(args_override_self = true)]
pub struct Ninja {
    /// Targets; SOURCE^ is what is made from SOURCE [default: the defaults of the build file]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// The build file
    #[arg(short, value_name = "FILE", default_value = "build.ninja")]
    file: String,
    /// How many commands may run at once; 0 for many [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<u16>,
    /// Keep going until N commands have failed; 0 for any number
    #[arg(short, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    keep_going: isize,
    /// Start no command while the load of the system is above N
    #[arg(short = 'l', value_name = "N", allow_negative_numbers = true)]
    load: Option<f64>,
    /// Say what would be run, and touch nothing
    #[arg(short = 'n')]
    dry_run: bool,
    /// Turn on a mode: explain, stats, keepdepfile, keeprsp, or list
    #[arg(short, value_name = "MODE")]
    debug: Vec<Debug>,
    /// What a doubtful build file is: phonycycle=err or phonycycle=warn, or list
    #[arg(short = 'w', value_name = "FLAG")]
    warnings: Vec<Flag>,
    /// Run a tool, with all that follows as its arguments; `-t list` names them
    #[arg(short, value_name = "TOOL", num_args = 1.., allow_hyphen_values = true)]
    tool: Vec<String>,
    /// Trust no saved hash: read and hash every file
    #[arg(short = 'H', long)]
    rehash: bool,
    /// Neither take artifacts from the cache nor put any into it
    #[arg(long)]
    no_cache: bool,
    /// What commands see.
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// Print the version of Ninja whose build files are understood
    #[arg(long)]
    version: bool,
}

/// A mode for whoever looks closely.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Debug {
    /// Say why each command is run
    Explain,
    /// Say what was done
    Stats,
    /// Keep depfiles
    #[value(name = "keepdepfile")]
    KeepDepfile,
    /// Keep response files
    #[value(name = "keeprsp")]
    KeepRsp,
    /// Name these modes
    List,
}

/// How strictly a build file is read.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Flag {
    /// An alias of itself is a mistake
    #[value(name = "phonycycle=err")]
    PhonyCycleIsError,
    /// An alias of itself is warned of
    #[value(name = "phonycycle=warn")]
    PhonyCycleIsWarning,
    /// What two edges make is always a mistake
    #[value(name = "dupbuild=err")]
    DoubleIsError,
    /// Name these flags
    List,
}

/// The arguments of larder, where it was started by the name of Ninja.
pub fn as_ninja(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| [OsStr::new("ninja"), OsStr::new("samu")].contains(&name)) {
        arguments.splice(0..1, ["larder".into(), "ninja".into()]);
    }
    arguments
}

/// Runs `larder ninja`.
pub fn ninja(app: &App, arguments: &Ninja) -> Result<Exit, Failure> {
    if arguments.version {
        app.ui.result(VERSION);
        return Ok(Exit::Done);
    }
    if arguments.debug.contains(&Debug::List) {
        let modes = [
            "explain      say why each command is run",
            "stats        say what was done",
            "keepdepfile  keep depfiles",
            "keeprsp      keep response files",
        ];
        modes.iter().for_each(|mode| app.ui.result(mode));
        return Ok(Exit::Done);
    }
    if arguments.warnings.contains(&Flag::List) {
        app.ui.result("phonycycle={err,warn}  an alias of itself is a mistake, or is warned of");
        app.ui.result("dupbuild=err           what two edges make is a mistake; it always is");
        return Ok(Exit::Done);
    }
    let directory = std::env::current_dir().map_err(|error| {
        Failure::failed(format!("cannot tell the current directory: {}", describe_io(&error)))
    })?;
    if let [tool, rest @ ..] = &arguments.tool[..] {
        let call = tools::Call {
            directory: &directory,
            file: &arguments.file,
            arguments: rest,
            dry: arguments.dry_run,
        };
        return tools::run(app, tool, &call);
    }
    if let Some(directory) = &app.global.directory
        && !app.global.quiet
    {
        app.ui.result(&format!("ninja: Entering directory `{}'", directory.display()));
    }
    build(app, arguments, &directory)
}

fn build(app: &App, arguments: &Ninja, directory: &Path) -> Result<Exit, Failure> {
    let has = |mode| arguments.debug.contains(&mode);
    app.ends_commands()?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from) as u16;
    let jobs = match arguments.jobs {
        Some(0) => Some(processors().saturating_mul(16)),
        jobs => jobs,
    };
    let session = app.session(jobs);
    let request = NinjaRequest {
        directory: directory.to_owned(),
        file: arguments.file.clone(),
        targets: arguments.targets.clone(),
        options: Options {
            mode: if arguments.dry_run { Mode::DryRun } else { Mode::Build },
            keep_going: arguments.keep_going != 1,
            failures: usize::try_from(arguments.keep_going).ok().filter(|most| *most > 1),
            rehash: arguments.rehash,
            ..Options::default()
        },
        no_cache: arguments.no_cache,
        strict: arguments.warnings.iter().rev().find(|flag| **flag != Flag::DoubleIsError)
            == Some(&Flag::PhonyCycleIsError),
        commands: CommandSettings {
            keep_depfiles: has(Debug::KeepDepfile),
            keep_response_files: has(Debug::KeepRsp),
            load: arguments.load.filter(|load| *load > 0.0),
        },
        sandbox: arguments.sandbox.permissions(app),
    };
    let show = Arc::new(Show::new(app, has(Debug::Explain)));
    let reporter: Arc<dyn Reporter> = match app.ui.json() {
        true => app.ui.clone(),
        false => show.clone(),
    };
    let loaded = |graph: &Arc<Graph>| show.graph(graph);
    let report = ninja::build(&session, &request, &reporter, &loaded);
    show.end();
    let report = report?;
    let exit = match &report {
        report if report.interrupted => Exit::Interrupted,
        _ if arguments.dry_run => Exit::Done,
        report if report.succeeded => Exit::Done,
        _ => Exit::Failed,
    };
    if arguments.dry_run {
        show.plan(&report.graph, &report.planned);
    }
    summarize(app, &report, exit, has(Debug::Stats));
    // The process ends: the system takes back what it had in one piece faster than it is taken apart here.
    std::mem::forget(report);
    Ok(exit)
}

fn summarize(app: &App, report: &NinjaReport, exit: Exit, stats: bool) {
    let counts = &report.counts;
    app.ui.event_json(&json!({
        "event": "finished",
        "exitCode": exit.code(),
        "progress": counts,
        "milliseconds": report.took.as_millis() as u64,
    }));
    let worked = counts.built + counts.restored + counts.failed > 0 || !report.planned.is_empty();
    match exit {
        Exit::Done if !worked && !app.global.quiet => app.ui.result("ninja: no work to do."),
        Exit::Failed if counts.failed == 1 => {
            app.ui.result("ninja: build stopped: subcommand failed.");
        }
        Exit::Failed => app.ui.result("ninja: build stopped: subcommands failed."),
        Exit::Interrupted => app.ui.result("ninja: build stopped: interrupted by user."),
        _ => {}
    }
    if stats || app.global.verbose > 0 {
        let parts = [
            (counts.built, "built"),
            (counts.restored, "restored"),
            (counts.failed, "failed"),
            (report.graph.edges().count(), "edges"),
            (report.graph.node_count(), "files"),
        ];
        let parts: Vec<String> =
            parts.iter().map(|(count, word)| format!("{count} {word}")).collect();
        app.ui.status(&format!("{} in {}", parts.join(", "), seconds(report.took)));
    }
}
