//! `build` and `query`, and what the commands have in common that build first.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use larder_engine::{
    artifact::Form,
    build::{self, BuildReport, BuildRequest},
    cache::CacheOptions,
    compdb,
    context::{Mode, Options},
    event::Reporter,
    lookups::ServiceCounts,
};
use larder_project::{name::TargetName, plan::Plan};
use larder_trace::{Content, Level, save_file_hash};
use serde_json::json;

use super::{
    App,
    confinement::SandboxArgs,
    here,
    remote::RemoteArgs,
    showing::{Showing, count, describe_diagnostics},
};
use crate::{
    choices::ChoiceArgs,
    describe::counted,
    exit::{Exit, Failure},
    ui::{Shown, seconds},
};

/// The options of every command that builds.
#[derive(Args, Default)]
pub struct BuildOptions {
    /// What is chosen.
    #[command(flatten)]
    choices: ChoiceArgs,
    /// How many commands may run at once [default: one per processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Build nothing; exit with 3 if something is out of date
    #[arg(long)]
    no_build: bool,
    /// Keep building whatever does not need what failed
    #[arg(short, long)]
    keep_going: bool,
    /// Trust no saved hash: read and hash every file
    #[arg(short = 'H', long)]
    rehash: bool,
    /// Accept outputs that are newer than their inputs, even if their traces differ
    #[arg(long)]
    old: bool,
    /// What commands see.
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// Say why each target is not up to date
    #[arg(long)]
    explain: bool,
    /// Neither take artifacts from the cache nor put any into it
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Show build output of this level and above [default: info, and of what is up to date warning; with -v trace]
    #[arg(long, value_name = "L", value_enum)]
    log_level: Option<LogLevel>,
    /// Fail when there is build output of this level or above
    #[arg(long, value_name = "L", value_enum)]
    fail_level: Option<LogLevel>,
    /// Fail when there are warnings: --fail-level warning
    #[arg(long, conflicts_with = "fail_level")]
    wfail: bool,
    /// Fail when anything is printed: --fail-level info
    #[arg(long, conflicts_with_all = ["fail_level", "wfail"])]
    iofail: bool,
    #[command(flatten)]
    showing: Showing,
}

impl BuildOptions {
    /// The defaults, with at most `jobs` commands at once.
    pub fn with_jobs(jobs: Option<u16>) -> Self {
        Self { jobs, ..Self::default() }
    }

    /// The same with other choices.
    #[must_use]
    pub fn choosing(self, choices: &ChoiceArgs) -> Self {
        Self { choices: choices.clone(), ..self }
    }

    /// The way to treat what is out of date.
    pub fn mode(&self) -> Mode {
        if self.no_build { Mode::NoBuild } else { Mode::Build }
    }
}

/// How much build output matters.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Trace,
    Info,
    Warning,
    Error,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Info => Self::Info,
            LogLevel::Warning => Self::Warning,
            LogLevel::Error => Self::Error,
        }
    }
}

/// Build what is out of date
#[derive(Args)]
pub struct Build {
    /// Targets, [@PACKAGE/]TARGET[:FACET] [default: the package's default targets]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    #[command(flatten)]
    options: BuildOptions,
    /// Say what would be built, and touch nothing
    #[arg(long, conflicts_with = "no_build")]
    dry_run: bool,
    /// Write the mappings of all targets touched, for `larder cache stage` and `put`
    #[arg(short, long = "outputs", value_name = "FILE", conflicts_with = "dry_run")]
    outputs: Option<PathBuf>,
}

/// Build targets and print where their outputs are
#[derive(Args)]
pub struct Query {
    /// Targets, [@PACKAGE/]TARGET[:FACET] [default: the package's default targets]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    #[command(flatten)]
    options: BuildOptions,
}

/// Runs `larder build`.
pub fn build(app: &App, arguments: &Build) -> Result<Exit, Failure> {
    let mode = if arguments.dry_run { Mode::DryRun } else { arguments.options.mode() };
    let mut request = request(app, &arguments.targets, &arguments.options, mode);
    request.cache.collect = arguments.outputs.is_some();
    let (report, exit) = run(app, &arguments.options, &request)?;
    summarize(app, &report, exit);
    if let (Some(file), Some(mappings)) = (&arguments.outputs, &report.mappings) {
        mappings.write(file)?;
    }
    Ok(exit)
}

/// Runs `larder query`.
pub fn query(app: &App, arguments: &Query) -> Result<Exit, Failure> {
    let request = request(app, &arguments.targets, &arguments.options, arguments.options.mode());
    let (report, exit) = run(app, &arguments.options, &request)?;
    for (id, outputs) in &report.targets {
        let target = report.plan.target(*id);
        let paths = outputs
            .iter()
            .flatten()
            .map(|artifact| report.plan.workspace.root.join(artifact.path.as_str()));
        let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        paths.iter().for_each(|path| app.ui.result(path));
        let hashes: Vec<String> =
            outputs.iter().flatten().map(|artifact| artifact.hash.to_string()).collect();
        // Whoever asks for hashes may look for them beside the files.
        for (path, artifact) in paths.iter().zip(outputs.iter().flatten()) {
            if matches!(artifact.form, Form::File(Content::Binary)) {
                let _ = save_file_hash(Path::new(path), artifact.hash);
            }
        }
        app.ui.event_json(&json!({
            "event": "target",
            "target": &*target.label,
            "outputs": paths,
            "hashes": hashes,
        }));
    }
    summarize_work(app, &report, exit);
    Ok(exit)
}

/// The plan of the package here, with the choices of the command line.
pub fn load(app: &App, options: &BuildOptions) -> Result<Plan, Failure> {
    let request = request(app, &[], options, options.mode());
    Ok(build::load(&request.loading(&app.environment))?)
}

/// The build that the command line asks the engine for.
pub fn request(
    app: &App,
    targets: &[TargetName],
    options: &BuildOptions,
    mode: Mode,
) -> BuildRequest {
    BuildRequest {
        directory: here().to_owned(),
        targets: targets.to_vec(),
        options: Options {
            mode,
            keep_going: options.keep_going,
            failures: None,
            rehash: options.rehash,
            old: options.old,
            check_traces: app.global.verbose > 0,
            compile_commands: false,
        },
        cache: CacheOptions {
            off: options.no_cache,
            note_lookups: app.global.verbose > 0 || app.global.json,
            ..CacheOptions::default()
        },
        sandbox: options.sandbox.permissions(app),
        resolution: app.resolution.clone(),
        choices: options.choices.choices(),
        configuration: Some(app.store.configuration()),
        tests: None,
        run_path: None,
    }
}

/// Builds and prints how it goes. Returns what came of it, and the exit code for that.
pub fn run(
    app: &App,
    options: &BuildOptions,
    request: &BuildRequest,
) -> Result<(BuildReport, Exit), Failure> {
    let ui = &app.ui;
    ui.show(Shown { explain: options.explain, log_level: options.log_level.map(Level::from) });
    app.ends_commands()?;
    let timeline = options.showing.timeline(app);
    let session = options.remote.session(app, app.timed_session(options.jobs, timeline.clone()))?;
    let reporter: Arc<dyn Reporter> = ui.clone();
    let built = build::build(&session, request, &reporter);
    ui.clear();
    let report = built?;
    let fail_level = match (options.fail_level, options.wfail, options.iofail) {
        (_, true, _) => Some(Level::Warning),
        (_, _, true) => Some(Level::Info),
        (level, ..) => level.map(Level::from),
    };
    let loud = fail_level.map_or_else(Vec::new, |level| ui.tally.at_least(level));
    let exit = match request.options.mode {
        _ if report.interrupted => Exit::Interrupted,
        _ if report.counts.failed > 0 => Exit::Failed,
        Mode::DryRun => Exit::Done,
        Mode::NoBuild if report.counts.out_of_date > 0 => Exit::OutOfDate,
        _ if !report.succeeded() || !loud.is_empty() => Exit::Failed,
        _ => Exit::Done,
    };
    if report.succeeded()
        && let Some(level) = fail_level.filter(|_| !loud.is_empty())
    {
        let level = format!("{level:?}").to_lowercase();
        ui.error(&format!(
            "the build printed something of level {level} or above, so it counts as failed:\n  {}",
            loud.join("\n  ")
        ));
    }
    let told = options.showing.tell(app, &report, exit, timeline.as_deref());
    // Nothing of this is a part of the build that was told of.
    if !report.interrupted
        && let Err(error) = compdb::keep_current(&session, request, &report)
    {
        ui.note(Level::Warning, &error.to_string());
    }
    told?;
    Ok((report, exit))
}

/// Says how a build went that was not what was asked for in itself: nothing, when there was nothing
/// to do.
pub fn summarize_work(app: &App, report: &BuildReport, exit: Exit) {
    let counts = &report.counts;
    let worked = exit != Exit::Done || counts.built + counts.restored > 0;
    if worked || app.global.verbose > 0 || app.global.json {
        summarize(app, report, exit);
    }
}

/// Says how a build went.
pub fn summarize(app: &App, report: &BuildReport, exit: Exit) {
    let counts = &report.counts;
    let services = report.lookups.as_ref().map(|lookups| lookups.by_service()).unwrap_or_default();
    app.ui.event_json(&json!({
        "event": "finished",
        "exitCode": exit.code(),
        "progress": counts,
        "diagnostics": app.ui.tally.counts(),
        "services": services,
        "milliseconds": report.took.as_millis() as u64,
    }));
    let remotely = |what: &str, count: usize, how: &str| match count {
        0 => what.to_owned(),
        count => format!("{what} ({count} {how})"),
    };
    let built = remotely("built", counts.remote_built, "remotely");
    let restored = remotely("restored", counts.remote_restored, "known remotely");
    let parts = [
        (counts.failed, "failed"),
        (counts.out_of_date, "out of date"),
        (counts.built, &built),
        (counts.restored, &restored),
        (counts.replayed, "up to date"),
        (counts.skipped, "skipped"),
    ];
    let parts = counted(&parts);
    let what = match (report.interrupted, parts.is_empty()) {
        (true, true) => "interrupted".to_owned(),
        (true, false) => format!("interrupted: {}", parts.join(", ")),
        (false, true) => "nothing to build".to_owned(),
        (false, false) => parts.join(", "),
    };
    let found = describe_diagnostics(app.ui.tally.counts());
    app.ui.status(&format!("{what} in {}{found}", seconds(report.took)));
    if report.untried > 0 && !report.interrupted {
        let targets = count(report.untried, "target");
        let were = if report.untried == 1 { "was" } else { "were" };
        app.ui.status(&format!(
            "{targets} {were} not tried; -k goes on with what does not need what failed"
        ));
    }
    if app.global.verbose > 0 {
        services.iter().for_each(|counts| app.ui.status(&describe_service(counts)));
    }
}

/// How a service answered, such as `service team: 398 hit, 6 missed: 4 never uploaded, 2 other inputs`.
fn describe_service(counts: &ServiceCounts) -> String {
    let reasons = [
        (counts.never_uploaded, "never uploaded"),
        (counts.other_inputs, "other inputs"),
        (counts.lost, "lost"),
        (counts.refused, "refused"),
    ];
    let reasons = reasons.iter().filter(|(count, _)| *count > 0);
    let reasons: Vec<String> = reasons.map(|(count, why)| format!("{count} {why}")).collect();
    let ServiceCounts { service, hit, missed, .. } = counts;
    let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    format!("service {service}: {hit} hit, {missed} missed{why}")
}
