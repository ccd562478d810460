//! `watch`.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Instant,
};

use clap::Args;
use larder_engine::watch::{Wanted, Watcher};
use larder_project::workspace::Workspace;
use larder_trace::describe_io;
use serde_json::json;

use super::{
    App,
    build::{BuildOptions, load},
    here,
};
use crate::{
    cli::ColorChoice,
    exit::{Exit, Failure},
    ui::seconds,
};

/// Build whenever a file of the package, or of one it depends on by path, changes
#[derive(Args)]
pub struct Watch {
    /// Run tests whose inputs have changed: test --cached
    #[arg(long, conflicts_with = "words")]
    test: bool,
    /// The command to run, build or test, with its arguments [default: build]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

/// Files that change while so many rounds in a row run are taken for what the rounds write.
const ROUNDS: usize = 3;

/// Runs `larder watch`.
pub fn watch(app: &App, arguments: &Watch) -> Result<Exit, Failure> {
    let words = command_words(arguments)?;
    let root = Workspace::find_root(here())?;
    let larder = env::current_exe().map_err(|error| {
        Failure::failed(format!("cannot find larder itself: {}", describe_io(&error)))
    })?;
    let mut watcher = Watcher::new().map_err(Failure::failed)?;
    let mut packages = vec![root.clone()];
    // The files that changed while each of the last rounds in a row ran.
    let mut own: Vec<BTreeSet<PathBuf>> = Vec::new();
    let mut changed = BTreeSet::new();
    for number in 1.. {
        // With a mistake in a manifest, those that were known are watched on.
        if let Ok(plan) = load(app, &BuildOptions::default()) {
            packages =
                plan.workspace.packages.iter().map(|it| it.place.directory.clone()).collect();
        }
        // The user's configuration says where artifacts come from.
        let elsewhere =
            app.environment.get("LARDER_CONFIG").map(PathBuf::from).into_iter().collect();
        let wanted = Wanted { packages: packages.clone(), elsewhere };
        watcher.watch(wanted.clone().with_read(&root)).map_err(Failure::failed)?;
        let started = Instant::now();
        let status = round(app, &larder, &words)?;
        if app.processes.interrupted() {
            return Ok(Exit::Interrupted);
        }
        // What it has read outside of packages is known only now.
        watcher.watch(wanted.with_read(&root)).map_err(Failure::failed)?;
        // Before anybody hears that the round is over: what comes later is not its own.
        let meanwhile = watcher.changed_meanwhile().map_err(Failure::failed)?;
        tell(app, number, status, started, &changed, &root);
        if !app.ui.is_written() {
            return Ok(Exit::Failed);
        }
        // What changes in each round, and nothing else does, the rounds change themselves.
        let is_own = own.len() >= ROUNDS
            && own.iter().rev().take(ROUNDS).all(|before| meanwhile.is_subset(before));
        if meanwhile.is_empty() || is_own {
            own.clear();
            changed = watcher.changes(|| app.processes.interrupted()).map_err(Failure::failed)?;
        } else {
            own.push(meanwhile.clone());
            changed = meanwhile;
        }
        if app.processes.interrupted() {
            break;
        }
    }
    Ok(Exit::Interrupted)
}

fn command_words(arguments: &Watch) -> Result<Vec<OsString>, Failure> {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect();
    match arguments.words.first() {
        None if arguments.test => Ok(words(&["test", "--cached"])),
        None => Ok(words(&["build"])),
        Some(first) if first == "build" || first == "test" => Ok(arguments.words.clone()),
        Some(first) => {
            let first = first.to_string_lossy();
            Err(Failure::wrong(format!("`{first}` cannot be watched"))
                .hint("larder watch, larder watch --test, or larder watch -- build|test ARGUMENT…"))
        }
    }
}

/// Runs the command once, as a larder of its own: whatever becomes of it, watching goes on.
fn round(app: &App, larder: &Path, words: &[OsString]) -> Result<ExitStatus, Failure> {
    let global = &app.global;
    let mut command = Command::new(larder);
    let color = match global.color {
        ColorChoice::Auto => "auto",
        ColorChoice::Always => "always",
        ColorChoice::Never => "never",
    };
    command.args(["--color", color]);
    let flags = [
        (global.quiet, "--quiet"),
        (global.offline, "--offline"),
        (global.locked, "--locked"),
        (global.json, "--json"),
    ];
    command.args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    command.args((0..global.verbose).map(|_| "-v")).args(words);
    // It ends by itself when this process is interrupted, and says so.
    let _heeding = app.processes.heed();
    command.status().map_err(|error| {
        Failure::failed(format!("cannot run {}: {}", larder.display(), describe_io(&error)))
    })
}

/// Says how a round went, and what it was for.
fn tell(
    app: &App,
    number: u32,
    status: ExitStatus,
    started: Instant,
    changed: &BTreeSet<PathBuf>,
    root: &Path,
) {
    let shown = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let files: Vec<String> = changed.iter().map(shown).collect();
    app.ui.event_json(&json!({
        "event": "round",
        "number": number,
        "exitCode": status.code(),
        "changed": files,
    }));
    let why = match &files[..] {
        [] => String::new(),
        [only] => format!(", for {only}"),
        [first, rest @ ..] => format!(", for {first} and {} more", rest.len()),
    };
    let how = if status.success() { "done" } else { "failed" };
    let took = seconds(started.elapsed());
    app.ui.status(&format!("round {number} {how} in {took}{why}; waiting for changes"));
}
