//! `larder ci`: keys of results, and which jobs they let skip.

mod init;
mod results;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use larder_engine::toolchain::machine;
use larder_project::{
    ci::{
        key::{Image, Ingredients, Keyed, Keys, key},
        plan::{PlannedJob, github_outputs, job_key, json, left_out, plan_of, uses_tools},
        variant::{ArgumentValue, BuildArgument, Matrix, Pair},
    },
    diagnostic::{Diagnostics, Located},
    workspace::Workspace,
};
use larder_trace::{BuildTrace, describe_io};
use serde_json::json;

use self::results::ServiceArgs;
use super::{App, here};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
    table::{Cell, Table, Tone},
};

/// The commands of the group.
#[derive(Subcommand)]
pub enum Command {
    Init(init::Init),
    Key(Key),
    Probe(results::ProbeKey),
    Done(results::Done),
    Undone(results::Undone),
    Plan(Plan),
}

/// Print one key made from everything that decides a result
///
/// Manifests, larder.lock, pinned commits, path dependencies, tools and platform count; with the
/// options, also files of the package and the build context of an image.
#[derive(Args)]
pub struct Key {
    /// The key of a job under [ci.jobs]
    #[arg(long, value_name = "JOB", conflicts_with_all = ["input", "exclude", "context", "build_arg", "no_toolchain"])]
    job: Option<String>,
    /// Files or directories of the package that count too; may be repeated
    #[arg(long, value_name = "GLOB")]
    input: Vec<String>,
    /// Files or directories among these that do not count; may be repeated
    #[arg(long, value_name = "GLOB", requires = "input")]
    exclude: Vec<String>,
    /// The build context of an image, without what its ignore file excludes
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// The image's recipe [default: Containerfile or Dockerfile in the context]
    #[arg(long, value_name = "FILE", requires = "context")]
    containerfile: Option<PathBuf>,
    /// A build argument of the image; NAME alone takes the environment's value; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "context")]
    build_arg: Vec<BuildArgument>,
    #[command(flatten)]
    matrix: MatrixArgs,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Leave this machine's tools out, as for a result made in an image
    #[arg(long)]
    no_toolchain: bool,
    /// Say what the key is made from
    #[arg(long)]
    explain: bool,
}

/// Print which jobs of the manifest can be skipped; with --json, all that is known of them
///
/// A job with a matrix is planned where --matrix has its values, and else left out.
#[derive(Args)]
pub struct Plan {
    /// Only this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    #[command(flatten)]
    matrix: MatrixArgs,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Also append outputs for GitHub Actions to FILE [default: $GITHUB_OUTPUT]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    github_output: Option<Option<PathBuf>>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Which values of a matrix.
#[derive(Args)]
struct MatrixArgs {
    /// A value of the matrix that this runs for, part of every key; may be repeated
    #[arg(long = "matrix", value_name = "NAME=VALUE")]
    values: Vec<Pair>,
}

impl MatrixArgs {
    fn matrix(&self) -> Result<Matrix, Failure> {
        let mut matrix = Matrix::new();
        for Pair { name, value } in &self.values {
            if matrix.insert(name.clone(), value.clone()).is_some() {
                return Err(Failure::wrong(format!("--matrix has two values for `{name}`")));
            }
        }
        Ok(matrix)
    }
}

/// Runs a command of the group.
pub fn run(app: &App, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::init(app, arguments),
        Command::Key(arguments) => print_key(app, arguments),
        Command::Probe(arguments) => results::probe(app, arguments),
        Command::Done(arguments) => results::done(app, arguments),
        Command::Undone(arguments) => results::undone(app, arguments),
        Command::Plan(arguments) => print_plan(app, arguments),
    }
}

fn print_key(app: &App, arguments: &Key) -> Result<Exit, Failure> {
    let root = Workspace::find_root(here())?;
    let keyed = make_key(app, &root, arguments)?;
    if arguments.explain {
        explain(app, &keyed.trace, 0);
    }
    app.ui.result(&keyed.key);
    let mut event = json!({ "event": "key", "key": keyed.key, "near": keyed.near });
    if arguments.explain {
        event["parts"] = json!(keyed.trace.parts());
    }
    app.ui.event_json(&event);
    Ok(Exit::Done)
}

fn make_key(app: &App, root: &Path, arguments: &Key) -> Result<Keyed, Failure> {
    let keys = read_keys(app, root, &arguments.matrix, &arguments.choices)?;
    if let Some(job) = &arguments.job {
        let uses = uses_tools(&keys, Some(job));
        return Ok(job_key(&on_machine(app, keys, uses)?, job)?);
    }
    let mut build_args = BTreeMap::new();
    for BuildArgument { name, value } in &arguments.build_arg {
        let value = match value {
            Some(value) => ArgumentValue::Given(value.clone()),
            None => ArgumentValue::Taken(app.environment.get(name).map(Into::into)),
        };
        if build_args.insert(name.clone(), value).is_some() {
            return Err(Failure::wrong(format!("--build-arg has two values for `{name}`")));
        }
    }
    let unplaced = |texts: &[String]| -> Vec<Located<String>> {
        texts.iter().map(|text| Located { value: text.clone(), span: 0..0 }).collect()
    };
    let ingredients = Ingredients {
        inputs: unplaced(&arguments.input),
        exclude: unplaced(&arguments.exclude),
        image: arguments.context.as_ref().map(|context| Image {
            context: context.clone(),
            containerfile: arguments.containerfile.clone(),
        }),
        build_args,
        toolchain: !arguments.no_toolchain,
        needs: Vec::new(),
    };
    Ok(key(&on_machine(app, keys, ingredients.toolchain)?, &ingredients)?)
}

fn read_keys(
    app: &App,
    root: &Path,
    matrix: &MatrixArgs,
    choices: &ChoiceArgs,
) -> Result<Keys, Failure> {
    let keys = Keys::read(root, &choices.choices())?.of_matrix(matrix.matrix()?);
    Ok(keys.passing(|name| app.environment.get(name).map(Into::into)))
}

/// Has the engine identify the packages' tools where a key needs them.
fn on_machine(app: &App, keys: Keys, uses: bool) -> Result<Keys, Diagnostics> {
    if !uses {
        return Ok(keys);
    }
    let machine = machine(&keys, &app.environment, &app.store.configuration())?;
    Ok(keys.on(machine))
}

/// One line a part: its name, the beginning of its hash and, where it is a short text, that.
fn explain(app: &App, trace: &BuildTrace, depth: usize) {
    let hash = trace.hash().to_string();
    let value = trace.value().map(|value| format!("  {value}")).unwrap_or_default();
    app.ui.status(&format!("{}{}  {}{value}", "  ".repeat(depth), trace.name(), &hash[..16]));
    trace.parts().iter().for_each(|part| explain(app, part, depth + 1));
}

fn print_plan(app: &App, arguments: &Plan) -> Result<Exit, Failure> {
    let outputs = match &arguments.github_output {
        None => None,
        Some(Some(file)) => Some(file.clone()),
        Some(None) => match app.environment.get("GITHUB_OUTPUT").filter(|file| !file.is_empty()) {
            Some(file) => Some(file.into()),
            None => {
                let message = "--github-output names no file, and GITHUB_OUTPUT is not set";
                return Err(Failure::wrong(message));
            }
        },
    };
    let probe = results::prober(app, &arguments.service)?;
    let root = Workspace::find_root(here())?;
    let keys = read_keys(app, &root, &arguments.matrix, &arguments.choices)?;
    let only = arguments.job.as_deref();
    let uses = uses_tools(&keys, only);
    let keys = on_machine(app, keys, uses)?;
    let jobs = plan_of(&keys, only, probe)?;
    if only.is_none() {
        for (job, name) in left_out(&keys) {
            let advice = format!("--matrix {name}=VALUE, with one of its values");
            app.ui
                .status(&format!("job `{job}` is left out: it has a matrix; plan it by {advice}"));
        }
    }
    for job in &jobs {
        if let Some(reason) = &job.reason {
            app.ui.status(&match job.probe {
                "unknown" => format!("could not tell whether job `{}` is done: {reason}", job.name),
                _ => format!("job `{}` {reason}", job.name),
            });
        }
    }
    show_plan(app, &jobs);
    let mut event = json(&jobs);
    event["event"] = json!("plan");
    app.ui.event_json(&event);
    if let Some(file) = outputs {
        append(&file, &github_outputs(&jobs)).map_err(|error| {
            Failure::failed(format!("cannot write {}: {}", file.display(), describe_io(&error)))
        })?;
    }
    Ok(Exit::Done)
}

/// One line a job: whether it runs, and the beginning of its key.
fn show_plan(app: &App, jobs: &[PlannedJob]) {
    if jobs.is_empty() {
        return app.ui.status("there is no job to plan: a manifest has them in [ci.jobs.NAME]");
    }
    let mut table = Table::new(["JOB", "", "BECAUSE", "NEEDS", "KEY"]).spare(&["NEEDS"]);
    for job in jobs {
        let because = match (job.skip, job.probe) {
            (true, _) => "its result is there",
            (_, "unknown") => "nobody could tell",
            _ if job.reason.is_some() => "its result counts no more",
            _ => "its result is not there",
        };
        let matrix = job.matrix.iter().map(|(name, value)| format!(" {name}={value}"));
        table.row([
            format!("{}{}", job.name, matrix.collect::<String>()).into(),
            Cell::new(
                if job.skip { "skip" } else { "run" },
                if job.skip { Tone::Good } else { Tone::Plain },
            ),
            because.into(),
            job.needs.join(", ").into(),
            Cell::new(&job.key, Tone::Faint),
        ]);
    }
    table.print(&app.ui);
    let skipped = jobs.iter().filter(|job| job.skip).count();
    app.ui.status(&format!("{skipped} to skip, {} to run", jobs.len() - skipped));
}

/// Other steps write to the same file: whatever is there stays.
fn append(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())
}
