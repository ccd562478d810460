//! `cache pack`, `unpack` and `bake`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use clap::Args;
use larder_engine::{
    bake::{BakeError, BakeRequest, Source, bake as bake_offline},
    cache::open_store,
    context::Mode,
};
use larder_project::name::TargetName;
use larder_remote::{Transfer, git};
use larder_store::{
    Mappings, Revision,
    pack::{self, Compression, Limits, Options, Pack as OpenPack},
    packing,
};
use serde_json::json;

use super::{
    super::{
        App,
        build::{self, BuildOptions},
        here,
    },
    PackageArgs, Place, ScopeArgs,
    local::{self, refused},
    report::{Bar, Reporter, bytes, count},
    scopes,
};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
};

/// Put mappings and their artifacts into one file.
#[derive(Args)]
#[command(override_usage = "larder cache pack [OPTIONS] [--rev REV | MAPPINGS | TARGET...] FILE")]
pub struct Pack {
    #[command(flatten)]
    choices: ChoiceArgs,
    /// A mappings file that `larder build -o` wrote, or targets, which are built first [default: the
    /// package's default targets]; last, the file to write
    #[arg(required = true, value_name = "MAPPINGS|TARGET... FILE")]
    what: Vec<String>,
    /// Pack this revision, which `larder cache get` has fetched
    #[arg(long, value_name = "REV")]
    rev: Option<Revision>,
    #[command(flatten)]
    level: LevelArgs,
    /// How many commands may run at once while targets are built
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    package: PackageArgs,
}

/// Bring what a pack holds into the store.
#[derive(Args)]
pub struct Unpack {
    /// The pack that `larder cache pack` wrote
    file: PathBuf,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    package: PackageArgs,
}

/// Fill an offline store with all that a build of the package touches.
#[derive(Args)]
pub struct Bake {
    #[command(flatten)]
    choices: ChoiceArgs,
    /// The offline store, for LARDER_OFFLINE_STORE
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// Targets [default: the package's default targets]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    /// Only what the targets need from dependencies, not the package's own outputs
    #[arg(long)]
    dependencies: bool,
    /// The revision to ask the service for [default: the Git commit, or the nearest before it]
    #[arg(long, value_name = "REV")]
    rev: Option<Revision>,
    /// How many commits to walk back; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_revs: usize,
    #[command(flatten)]
    level: LevelArgs,
    /// How many commands may run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    place: Place,
}

/// How hard to compress.
#[derive(Args)]
pub struct LevelArgs {
    /// How hard to compress, from 1 to 19 [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: Option<i32>,
    /// As fast as it gets: --level 1
    #[arg(long, conflicts_with = "level")]
    fast: bool,
    /// As small as it gets: --level 19
    #[arg(long, conflicts_with_all = ["level", "fast"])]
    small: bool,
}

impl LevelArgs {
    fn options(&self) -> Options {
        let level = match (self.level, self.fast, self.small) {
            (_, true, _) => Compression::FASTEST,
            (_, _, true) => Compression::SMALLEST,
            (Some(level), ..) => Compression::new(level).unwrap_or_default(),
            (None, ..) => Compression::default(),
        };
        Options { level, ..Options::default() }
    }
}

/// `cache pack`.
pub fn pack(app: &App, reporter: &Reporter<'_>, mut args: Pack) -> Result<Exit, Failure> {
    let file = PathBuf::from(args.what.pop().unwrap_or_default());
    let mappings = mappings(app, &args)?;
    let store = open_store(&app.store)?;
    let bar = PackBar::new(reporter);
    let progress = |progress| bar.advance(&mappings, progress);
    let report = packing::pack(&store, &mappings, &file, &args.level.options(), progress)?;
    bar.bar.finish();
    let text = format!(
        "packed {} and {} ({}) into {} ({})",
        count(report.mappings, "mapping"),
        count(report.artifacts, "artifact"),
        bytes(report.bytes),
        file.display(),
        bytes(report.packed),
    );
    reporter.done(text, event("packed", &report));
    Ok(refused(reporter, "not packed", &report.missing))
}

/// The mappings that are to be packed.
fn mappings(app: &App, args: &Pack) -> Result<Mappings, Failure> {
    match (&args.rev, args.what.as_slice()) {
        (Some(rev), []) => {
            let scope = scopes(&args.scope, &args.package)?.remote;
            let store = larder_engine::cache::user_store(&app.store)?;
            Mappings::read_if_present(&store.layout().revision(&scope, rev))?.ok_or_else(|| {
                Failure::failed(format!(
                    "revision {rev} of {scope} is not in the store; `larder cache get --rev {rev}` \
                     fetches it"
                ))
            })
        }
        (Some(_), _) => Err(Failure::wrong("with --rev, name only the file to write")),
        (None, [only]) if is_mappings(Path::new(only)) => Ok(Mappings::read(Path::new(only))?),
        (None, targets) => {
            let targets: Result<Vec<TargetName>, _> =
                targets.iter().map(|target| target.parse()).collect();
            let targets = targets.map_err(Failure::wrong)?;
            let options = BuildOptions::with_jobs(args.jobs).choosing(&args.choices);
            let mut request = build::request(app, &targets, &options, Mode::Build);
            request.cache.collect = true;
            match build::run(app, &options, &request)? {
                (report, Exit::Done) => Ok(report.mappings.unwrap_or_default()),
                (_, exit) => {
                    Err(Failure::new(exit, "nothing was packed: the build did not succeed"))
                }
            }
        }
    }
}

/// Whether a file looks like mappings, and not by chance like a target's name.
fn is_mappings(path: &Path) -> bool {
    let mut first = [0];
    path.extension().is_some_and(|extension| extension == "jsonl")
        || (path.is_file()
            && File::open(path).is_ok_and(|mut file| file.read_exact(&mut first).is_ok())
            && first == *b"\"")
}

/// `cache unpack`.
pub fn unpack(app: &App, reporter: &Reporter<'_>, args: Unpack) -> Result<Exit, Failure> {
    let scopes = scopes(&args.scope, &args.package)?;
    let pack = OpenPack::open(&args.file, &Limits::default())?;
    let bar = local::bar_for(reporter, &pack);
    let store = larder_engine::cache::user_store(&app.store)?;
    let report = packing::unpack(&store, &scopes.local, &pack, |progress| advance(&bar, progress))?;
    bar.finish();
    say_unpacked(reporter, &report);
    Ok(Exit::Done)
}

/// Says what came out of a pack.
pub fn say_unpacked(reporter: &Reporter<'_>, report: &packing::PackingReport) {
    let text = format!(
        "unpacked {} and {} ({})",
        count(report.mappings, "mapping"),
        count(report.artifacts, "artifact"),
        bytes(report.bytes),
    );
    reporter.done(text, event("unpacked", report));
}

fn event(done: &str, report: &packing::PackingReport) -> serde_json::Value {
    json!({
        "event": done,
        "mappings": report.mappings,
        "artifacts": report.artifacts,
        "bytes": report.bytes,
        "packedBytes": report.packed,
        "missing": report.missing.len(),
    })
}

/// Moves a bar by what was packed or unpacked.
pub fn advance(bar: &Bar, progress: pack::Handled) {
    bar.advance(Transfer::Done { artifacts: progress.artifacts, bytes: progress.bytes });
}

/// A bar that learns at the first step what is going to be packed.
struct PackBar {
    bar: Bar,
    planned: OnceLock<()>,
}

impl PackBar {
    fn new(reporter: &Reporter<'_>) -> Self {
        Self { bar: reporter.bar(), planned: OnceLock::new() }
    }

    fn advance(&self, mappings: &Mappings, progress: pack::Handled) {
        self.planned.get_or_init(|| {
            let artifacts = mappings.artifacts();
            let bytes = artifacts.values().map(|artifact| artifact.size).sum();
            self.bar.advance(Transfer::Planned { artifacts: artifacts.len() as u64, bytes });
        });
        advance(&self.bar, progress);
    }
}

/// `cache bake`.
pub fn bake(app: &App, reporter: &Reporter<'_>, args: Bake) -> Result<Exit, Failure> {
    let source = source(app, &args)?;
    let options = BuildOptions::default().choosing(&args.choices);
    app.ends_commands()?;
    let session = app.session(args.jobs);
    let (fetching, packing) = (reporter.bar(), PackBar::new(reporter));
    let bake = BakeRequest {
        build: build::request(app, &args.targets, &options, Mode::Build),
        dependencies_only: args.dependencies,
        source,
        directory: args.store.clone(),
        options: args.level.options(),
        fetched: &|progress| fetching.advance(progress),
        packed: &|mappings, progress| packing.advance(mappings, progress),
    };
    let events: Arc<dyn larder_engine::event::Reporter> = app.ui.clone();
    let baked = bake_offline(&session, bake, &events);
    fetching.finish();
    packing.bar.finish();
    app.ui.clear();
    if let Err(BakeError::Incomplete { missing }) = &baked {
        reporter.failures("missing", missing);
    }
    let baked = baked?;
    let packed: u64 = baked.bake.checkouts.iter().map(|checkout| checkout.length).sum();
    let text = format!(
        "baked {} and {} ({}) of {}{} into {} ({})",
        count(baked.bake.mappings, "mapping"),
        count(baked.bake.artifacts, "artifact"),
        bytes(baked.report.bytes),
        baked.bake.package,
        and_checkouts(baked.bake.checkouts.len() as u64),
        args.store.display(),
        bytes(baked.bake.length + packed),
    );
    let mut event = event("baked", &baked.report);
    if let Some(event) = event.as_object_mut() {
        event.insert("bake".to_owned(), json!(baked.bake));
    }
    reporter.done(text, event);
    Ok(Exit::Done)
}

/// The end of a list that counts what a baked store has.
pub fn and_checkouts(checkouts: u64) -> String {
    if checkouts == 0 { String::new() } else { format!(" and {}", count(checkouts, "checkout")) }
}

/// The service to ask, where one is configured or named, and for what.
fn source(app: &App, args: &Bake) -> Result<Option<Source>, Failure> {
    if app.resolution.offline {
        return Ok(None);
    }
    let config = app.store.services()?;
    if args.place.service.is_none() && config.cache.services.is_empty() {
        return Ok(None);
    }
    let service = super::read_service(&config, &args.place)?;
    let scope = scopes(&args.place.scope, &PackageArgs { package: None })?.remote;
    let revisions = match &args.rev {
        Some(rev) => vec![rev.clone()],
        // In an image there may be no history; dependencies are asked for all the same.
        None => git::history(here(), args.max_revs).unwrap_or_default(),
    };
    if args.rev.is_none()
        && let Some(cut) = git::shallow(here(), &revisions, args.max_revs)
    {
        tracing::info!("{cut}; {}", git::Shallow::ADVICE);
    }
    Ok(Some(Source { service, scope, revisions }))
}
