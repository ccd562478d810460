//! `run`, also called `exec`.

use std::{env, ffi::OsString, os::unix::process::CommandExt, process::Command};

use clap::Args;
use larder_engine::runner::{RunsAs, kernel_runs};
use larder_project::name::{Facet, TargetName};
use larder_trace::describe_io;

use super::{
    App,
    build::{BuildOptions, load, request, run as build_and_tell, summarize_work},
};
use crate::exit::{Exit, Failure};

/// Build an executable and run it in the current directory
#[derive(Args)]
#[command(
    override_usage = "larder run [OPTIONS] [TARGET [ARGUMENT]...]\n       larder run [OPTIONS] -- [ARGUMENT]..."
)]
pub struct Run {
    /// The executable [default: the package's, where it has one], and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "TARGET")]
    words: Vec<OsString>,
    #[command(flatten)]
    options: BuildOptions,
}

impl Run {
    /// The executable, if one is named, and its arguments. `all` is the whole command line, which ends with
    /// the words: with `--` before them, all are arguments.
    fn command(&self, all: &[OsString]) -> Result<(Option<TargetName>, &[OsString]), Failure> {
        let before = all.len().checked_sub(self.words.len() + 1).and_then(|at| all.get(at));
        let [name, arguments @ ..] = &self.words[..] else { return Ok((None, &[])) };
        if before.is_some_and(|word| word == "--") {
            return Ok((None, &self.words));
        }
        let target = name.to_string_lossy().parse::<TargetName>().map_err(Failure::wrong)?;
        let arguments = match arguments {
            [separator, rest @ ..] if separator == "--" => rest,
            all => all,
        };
        Ok((Some(target), arguments))
    }
}

/// Runs `larder run`.
pub fn run(app: &App, arguments: &Run) -> Result<Exit, Failure> {
    let all: Vec<OsString> = env::args_os().collect();
    let (named, given) = arguments.command(&all)?;
    let mut target = match named {
        Some(target) => target,
        None => load(app, &arguments.options)?.only_executable()?,
    };
    target.facet.get_or_insert(Facet::Exe);
    let targets = [target];
    let request = request(app, &targets, &arguments.options, arguments.options.mode());
    let (report, exit) = build_and_tell(app, &arguments.options, &request)?;
    summarize_work(app, &report, exit);
    if exit != Exit::Done {
        return Ok(exit);
    }
    let outputs = report.targets.iter().flat_map(|(_, outputs)| outputs.iter().flatten());
    let Some(program) =
        outputs.map(|artifact| report.plan.workspace.root.join(artifact.path.as_str())).next()
    else {
        return Err(Failure::wrong(format!("`{}` is not an executable", targets[0])));
    };
    // Whoever reads what larder prints is to know what runs.
    if !app.ui.is_written() {
        return Ok(Exit::Failed);
    }
    let runs_as = report
        .targets
        .first()
        .map_or(RunsAs::Itself, |(id, _)| RunsAs::of_target(&report.plan, *id));
    let words = runs_as.words(&app.environment).map_err(Failure::failed)?;
    let mut command = match words.split_first() {
        None => Command::new(&program),
        Some((runner, arguments)) => {
            let mut command = Command::new(runner);
            command.args(arguments).arg(&program);
            command
        }
    };
    if let RunsAs::Foreign { advice } = runs_as
        && !kernel_runs(&program)
    {
        return Err(Failure::failed(format!("cannot run {}", program.display())).hint(advice));
    }
    // Only comes back when it could not start.
    let error = command.args(given).exec();
    Err(Failure::failed(format!("cannot run {}: {}", program.display(), describe_io(&error))))
}
