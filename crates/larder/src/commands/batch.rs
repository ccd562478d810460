//! `batch`, `rerun` and `cascade`: building a package set.

mod compare;
mod show;
mod tally;

use std::{
    collections::BTreeSet,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use clap::Args;
use larder_batch::{
    event::Reporter,
    revision::Repository,
    run::{self, Memory, Prepared, Request},
    since::prepare_since,
};
use larder_engine::{process, session::Session};
use larder_notify::Kind;
use larder_project::{dependencies::Resolution, set::PackageSet};
use larder_runs::{
    name::Named,
    result::RunKind,
    status_index::{self, RootState},
};
use serde_json::json;

use self::compare::{WhatIf, perform_compare, perform_what_if};
pub use self::show::Show;
use super::{
    App, here, notify,
    records::{Data, event, plural},
    remote::RemoteArgs,
    runs,
};
use crate::{
    describe,
    exit::{Exit, Failure},
    report::{Report, ReportFile},
};

/// The options of every command that builds packages of a set.
#[derive(Args)]
pub struct BatchOptions {
    #[command(flatten)]
    data: Data,
    /// How many commands, and how many packages, may be built at once [default: one per processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Say what would be built and why, and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not confine the commands of packages: they see, and may change, all that you can
    #[arg(long)]
    no_sandbox: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Write a report to FILE: .md, .json, or .xml for JUnit; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    report: Vec<ReportFile>,
}

impl BatchOptions {
    /// Options that were given to another command.
    pub fn new(data: Data, jobs: Option<u16>, no_sandbox: bool, report: Vec<ReportFile>) -> Self {
        Self { data, jobs, dry_run: false, no_sandbox, remote: RemoteArgs::default(), report }
    }
}

/// Build a package set, and record what came of it
#[derive(Args)]
pub struct Batch {
    /// Packages, <name>.<version> or all versions of a <name> [default: all of the set]
    #[arg(value_name = "PKG")]
    packages: Vec<Named>,
    /// Build only what is not as it was at a revision of the set, such as main or HEAD~1
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Say what regressed, and what was fixed, between two compilers or two revisions of the set
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "since")]
    compare: Vec<String>,
    /// Say what would regress with the checkout at PATH in the place of a package, NAME or NAME.VERSION
    #[arg(long, value_name = "NAME=PATH", conflicts_with_all = ["since", "compare"])]
    what_if: Vec<WhatIf>,
    #[command(flatten)]
    options: BatchOptions,
}

/// Build packages of the set again, also those that failed before
#[derive(Args)]
pub struct Rerun {
    /// Packages, <name>.<version> or all versions of a <name>
    #[arg(value_name = "PKG", required = true)]
    packages: Vec<Named>,
    #[command(flatten)]
    options: BatchOptions,
}

/// Build what was blocked by packages that work again
#[derive(Args)]
pub struct Cascade {
    #[command(flatten)]
    options: BatchOptions,
}

/// Runs `larder batch`.
pub fn batch(app: &App, arguments: &Batch) -> Result<Exit, Failure> {
    let Batch { packages, since, compare, what_if, options } = arguments;
    match (since, &compare[..], &what_if[..]) {
        (Some(revision), ..) => perform_since(app, options, packages, revision),
        (_, [base, candidate], _) => perform_compare(app, options, packages, [base, candidate]),
        (_, _, [_, ..]) => perform_what_if(app, options, packages, what_if),
        _ => {
            // Some packages say nothing of the whole set.
            let kind = if packages.is_empty() { RunKind::Full } else { RunKind::Rerun };
            perform(app, options, request(app, options, kind, packages)?)
        }
    }
}

/// Does a run about what is not as it was at a revision of the set.
fn perform_since(
    app: &App,
    options: &BatchOptions,
    packages: &[Named],
    revision: &str,
) -> Result<Exit, Failure> {
    let request = request(app, options, RunKind::Since, packages)?;
    let repository = Repository::required(&request.directory)?;
    let revision = repository.check_out(&request.data, revision)?;
    app.ends_commands()?;
    let session = options.remote.session(app, app.session(options.jobs))?;
    let prepared = prepare_since(&session, &request, &revision, memory(options))?;
    if session.processes.interrupted() {
        return Ok(Exit::Interrupted);
    }
    let (count, short) = (prepared.targets.len(), revision.commit.short());
    let packages: Vec<&str> =
        prepared.targets.iter().map(|&id| prepared.catalogue.get(id).id.as_str()).collect();
    app.ui.event_json(&json!({
        "event": "changed",
        "since": revision.asked,
        "commit": revision.commit.as_str(),
        "packages": packages,
    }));
    if count == 0 {
        app.ui.status(&format!("nothing has changed since {} ({short})", revision.asked));
        return Ok(Exit::Done);
    }
    let changed = plural(count as u64, "package");
    let has = if count == 1 { "has" } else { "have" };
    app.ui.status(&format!("{changed} {has} changed since {} ({short})", revision.asked));
    carry_out(app, options, &request, &session, &prepared)
}

/// Runs `larder rerun`.
pub fn rerun(app: &App, arguments: &Rerun) -> Result<Exit, Failure> {
    let Rerun { packages, options } = arguments;
    let request = request(app, options, RunKind::Rerun, packages)?;
    perform(app, options, Request { again: true, ..request })
}

/// Runs `larder cascade`.
pub fn cascade(app: &App, arguments: &Cascade) -> Result<Exit, Failure> {
    let index = status_index::current(&arguments.options.data.open()?)?;
    let roots = index.roots();
    let mended = roots.roots.iter().filter(|root| root.state == RootState::Mended);
    let blocked: BTreeSet<&String> = mended.flat_map(|root| &root.blocked).collect();
    let packages: Vec<Named> = blocked.into_iter().filter_map(|name| name.parse().ok()).collect();
    if packages.is_empty() {
        app.ui.status("nothing waits for a package that works again");
        return Ok(Exit::Done);
    }
    let options = &arguments.options;
    let request = request(app, options, RunKind::Rerun, &packages)?;
    perform(app, options, Request { again: true, ..request })
}

/// Prepares a run and does it.
fn perform(app: &App, options: &BatchOptions, request: Request) -> Result<Exit, Failure> {
    app.ends_commands()?;
    let session = options.remote.session(app, app.session(options.jobs))?;
    // Nothing comes after it but the end of the process, which takes a set of thousands apart at once.
    let request = ManuallyDrop::new(request);
    let prepared = ManuallyDrop::new(run::prepare(&session, &request, memory(options))?);
    carry_out(app, options, &request, &session, &prepared)
}

/// What becomes of what is learned on the way.
fn memory(options: &BatchOptions) -> Memory {
    if options.dry_run { Memory::Lost } else { Memory::Kept }
}

/// Does the run that was prepared, or says what it would do.
fn carry_out(
    app: &App,
    options: &BatchOptions,
    request: &Request,
    session: &Arc<Session>,
    prepared: &Prepared,
) -> Result<Exit, Failure> {
    if options.dry_run {
        show::show_outlook(app, request, prepared)?;
        return Ok(Exit::Done);
    }
    let show = Arc::new(Show::new(app.ui.clone()));
    let reporter: Arc<dyn Reporter> = show.clone();
    let channels = channels(&request.set)?;
    let report = run::run(session, request, prepared, &reporter);
    show.finish();
    let report = report?;
    let exit = summarize(app, &report)?;
    write_report(app, options, || runs::report(&request.data, &report.run))?;
    if exit == Exit::Interrupted || channels.is_empty() {
        return Ok(exit);
    }
    // A channel that cannot be told is an error, and no package's.
    let told = notify::after_run(app, &request.data, channels)?;
    Ok(if told == Exit::Done { exit } else { told })
}

/// Writes the report of a run where it is asked for; GitHub asks by itself.
pub fn write_report(
    app: &App,
    options: &BatchOptions,
    report: impl FnOnce() -> Result<Report, Failure>,
) -> Result<(), Failure> {
    let job_summary = app.environment.get("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    match options.report.is_empty() && job_summary.is_none() {
        true => Ok(()),
        false => report()?.write(&options.report, job_summary.map(Path::new)),
    }
}

/// The channels that are told after each run of a set.
fn channels(set: &PackageSet) -> Result<Vec<Kind>, Failure> {
    let parsed = set.channels.iter().map(|name| name.parse::<Kind>());
    parsed.collect::<Result<_, _>>().map_err(|error| {
        Failure::wrong(format!("{}: [notify]: {error}", set.source.path.display()))
    })
}

/// The request for the set that is worked in.
///
/// # Errors
/// When there is none, or it is wrong.
pub fn request(
    app: &App,
    options: &BatchOptions,
    kind: RunKind,
    packages: &[Named],
) -> Result<Request, Failure> {
    let data = options.data.find()?;
    let path = data.set(here()).ok_or_else(|| {
        Failure::wrong("there is no larder-set.toml here or above")
            .hint("`larder init --template set` writes one")
    })?;
    let set = PackageSet::read(&path)?;
    let directory = path.parent().map_or_else(PathBuf::new, PathBuf::from);
    let repository = Repository::of(&directory).ok().flatten();
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    Ok(Request {
        set,
        directory,
        notes: data.root().to_owned(),
        set_revision: repository.and_then(|repository| repository.current(&data)),
        data,
        kind,
        packages: packages.to_vec(),
        again: false,
        resolution: Resolution { only_look: options.dry_run, ..app.resolution.clone() },
        jobs: options.jobs.map_or_else(processors, usize::from),
        // An eighth is for larder, and for whatever else there is.
        memory: process::memory() / 8 * 7,
        sandbox: !options.no_sandbox,
        command_line: app.command_line.clone(),
        larder_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    })
}

/// Says what came of a run, and gives the exit code for it.
fn summarize(app: &App, report: &run::Report) -> Result<Exit, Failure> {
    let summary = &report.summary;
    let exit = match report.interrupted {
        true => Exit::Interrupted,
        false if summary.is_good() => Exit::Done,
        false => Exit::Failed,
    };
    let mut object = event("finished", summary);
    object["exitCode"] = json!(exit.code());
    app.ui.event_json(&object);
    app.ui.status(&describe::run::in_a_line(summary));
    Ok(exit)
}
