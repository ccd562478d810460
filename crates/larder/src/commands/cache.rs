//! `larder cache`: carries artifacts between stores, staging directories and services.

mod audit;
mod collect;
mod local;
mod measure;
mod packs;
mod report;
mod server;
mod services;
mod stage;
mod travel;
mod trust;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use larder_project::{manifest::Document, workspace::Workspace};
use larder_remote::{Config, ServiceConfig};
use larder_store::{Ref, Revision, Scope};

use super::{App, here};
use crate::exit::{Exit, Failure};
use report::Reporter;

/// The commands of the group.
#[derive(Subcommand)]
pub enum Command {
    /// Fetch a revision's mappings and artifacts from a service
    Get(Get),
    /// Upload mappings and their artifacts from the store to a service
    Put(Put),
    /// Record mappings whose artifacts a build then fetches on demand
    Add(Add),
    /// Copy mappings and their artifacts from the store into a flat directory
    Stage(Stage),
    /// Bring what was staged in a directory into the store
    Unstage(Unstage),
    /// Upload a staging directory, reading no manifest and running nothing
    PutStaged(PutStaged),
    /// Put mappings and their artifacts into one file
    Pack(packs::Pack),
    /// Bring what a pack holds into the store
    Unpack(packs::Unpack),
    /// Fill an offline store with all that a build of the package touches
    Bake(packs::Bake),
    /// Check every entry of a store, offline store, staging directory or pack
    Verify(Verify),
    /// Build some targets again elsewhere, and say which do not come out the same
    Audit(audit::Audit),
    /// Remove what was least recently used; with --service, old revisions there
    Gc(Gc),
    /// Delete everything in the store
    Clean,
    /// Say who built targets, and from which revision
    Blame(trust::Blame),
    /// Make a key that uploads are signed with
    Keygen(trust::Keygen),
    /// Believe nothing any more that a key signed, and forget what came from it
    Revoke(trust::Revoke),
    /// Write down where the artifacts of a fetched revision came from
    Export(trust::Export),
    /// Show sizes, hit rates and the reasons for misses
    Stats,
    /// List the configured services, and with --check what they can do
    Services(services::Services),
}

impl Command {
    /// The offline store that it makes, if it makes one.
    pub fn makes_offline_store(&self) -> Option<&Path> {
        match self {
            Self::Bake(bake) => Some(&bake.store),
            _ => None,
        }
    }
}

/// Which service, and where on it.
#[derive(Args)]
pub struct Place {
    /// The service, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Under which scope a service files mappings.
#[derive(Args)]
pub struct ScopeArgs {
    /// The scope on the service [default: the package's name]
    #[arg(long, conflicts_with_all = ["repo", "toolchain", "platform"])]
    scope: Option<Scope>,
    /// Use this repository as the scope
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// With --repo: the toolchain that the artifacts depend on
    #[arg(long, requires = "repo")]
    toolchain: Option<String>,
    /// With --repo: the platform that the artifacts depend on
    #[arg(long, requires = "repo")]
    platform: Option<String>,
}

/// Fetch a revision's mappings and artifacts from a service.
#[derive(Args)]
pub struct Get {
    /// Fetch the artifacts of this mappings file instead of a revision's
    mappings: Option<PathBuf>,
    /// The revision [default: the Git commit, or the nearest one before it that the service has]
    #[arg(long, value_name = "REV", conflicts_with = "mappings")]
    rev: Option<Revision>,
    /// How many commits to walk back; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_revs: usize,
    /// Take only what is signed as built from this ref, such as a branch
    #[arg(long = "ref", value_name = "REF", conflicts_with = "mappings")]
    reference: Option<Ref>,
    /// Fetch no artifacts; builds fetch those they need
    #[arg(long)]
    mappings_only: bool,
    /// Rehash what the store has, and fetch again what is not intact
    #[arg(long, conflicts_with = "mappings_only")]
    force_download: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    package: PackageArgs,
}

/// Upload mappings and their artifacts.
#[derive(Args)]
pub struct Put {
    /// The mappings file that `larder build -o` wrote
    mappings: PathBuf,
    /// The revision [default: the Git commit that is checked out]
    #[arg(long, value_name = "REV")]
    rev: Option<Revision>,
    /// The ref that was built, which is signed with it [default: the branch that is checked out]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<Ref>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    package: PackageArgs,
}

/// Options about what the service has already.
#[derive(Args)]
pub struct OverwriteArgs {
    /// Upload everything anew, replacing what the service has
    #[arg(long, conflicts_with = "no_overwrite")]
    force_overwrite: bool,
    /// Leave a revision that the service has as it is
    #[arg(long)]
    no_overwrite: bool,
}

/// Record mappings for fetching on demand.
#[derive(Args)]
pub struct Add {
    /// The mappings file
    mappings: PathBuf,
    /// The revision that the artifacts belong to [default: any of the service's newest]
    #[arg(long, value_name = "REV")]
    rev: Option<Revision>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    package: PackageArgs,
}

/// Copy out of the store.
#[derive(Args)]
pub struct Stage {
    /// The mappings file that `larder build -o` wrote
    mappings: PathBuf,
    /// The directory to make
    #[arg(value_name = "DIR")]
    staged: PathBuf,
    /// Leave out the artifacts that the service has of this revision [default: of the Git commit that is
    /// checked out, or the nearest one before it that the service has]
    #[arg(long, value_name = "REV", num_args = 0..=1)]
    since: Option<Option<Revision>>,
    #[command(flatten)]
    place: Place,
}

/// Bring back into the store.
#[derive(Args)]
pub struct Unstage {
    /// The directory that `larder cache stage` made
    #[arg(value_name = "DIR")]
    staged: PathBuf,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    package: PackageArgs,
}

/// Upload what was staged.
#[derive(Args)]
pub struct PutStaged {
    /// The directory that `larder cache stage` made
    #[arg(value_name = "DIR")]
    staged: PathBuf,
    /// The revision
    #[arg(long, value_name = "REV")]
    rev: Revision,
    /// The ref that was built, which is signed with it
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<Ref>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    place: Place,
}

/// Check every entry.
#[derive(Args)]
pub struct Verify {
    /// A store, offline store, staging directory or pack [default: the user's store]
    path: Option<PathBuf>,
    /// Has no effect: everything is hashed
    #[arg(long, hide = true)]
    rehash: bool,
}

/// Remove what was least recently used.
#[derive(Args)]
pub struct Gc {
    /// Keep at most SIZE, such as 10G
    #[arg(long, value_name = "SIZE", value_parser = larder_project::size::bytes, conflicts_with = "service")]
    max_size: Option<u64>,
    /// Remove what has not been used for AGE, such as 30d; on a service, older revisions
    #[arg(long, value_name = "AGE", value_parser = measure::age)]
    max_age: Option<Duration>,
    /// Keep all that this fetched revision mentions; may be repeated
    #[arg(long, value_name = "REV", conflicts_with = "service")]
    keep_rev: Vec<Revision>,
    /// With --service: keep the N newest revisions, however old they are [default: 1]
    #[arg(long, value_name = "N", requires = "service")]
    keep_revisions: Option<usize>,
    #[command(flatten)]
    place: Place,
}

/// Which package's builds look mappings up.
#[derive(Args)]
pub struct PackageArgs {
    /// The package that the mappings belong to [default: the one of the manifest]
    #[arg(long, value_name = "NAME")]
    package: Option<Scope>,
}

/// Runs a command of the group.
pub fn run(app: &App, command: Command) -> Result<Exit, Failure> {
    let reporter = Reporter::new(app);
    match command {
        Command::Get(args) => travel::get(app, &reporter, args),
        Command::Put(args) => travel::put(app, &reporter, args),
        Command::Add(args) => travel::add(app, &reporter, args),
        Command::PutStaged(args) => travel::put_staged(app, &reporter, args),
        Command::Services(args) => services::services(app, &reporter, &args),
        Command::Pack(args) => packs::pack(app, &reporter, args),
        Command::Unpack(args) => packs::unpack(app, &reporter, args),
        Command::Bake(args) => packs::bake(app, &reporter, args),
        Command::Blame(args) => trust::blame(app, &reporter, &args),
        Command::Keygen(args) => trust::keygen(&reporter, &args),
        Command::Revoke(args) => trust::revoke(app, &reporter, &args),
        Command::Export(args) => trust::export(app, &reporter, &args),
        Command::Stage(args) => stage::stage(app, &reporter, args),
        Command::Unstage(args) => local::unstage(app, &reporter, args),
        Command::Verify(args) => local::verify(app, &reporter, args),
        Command::Audit(args) => audit::audit(app, &reporter, args),
        Command::Gc(args) if args.place.service.is_some() => collect::gc(app, &reporter, args),
        Command::Gc(args) => local::gc(app, &reporter, args),
        Command::Clean => local::clean(app, &reporter),
        Command::Stats => local::stats(app, &reporter),
    }
}

/// The name of the package here or above. The one place where this group reads the manifest.
pub fn package_name() -> Result<Scope, Failure> {
    let failed = |error: larder_project::diagnostic::Diagnostics| {
        Failure::wrong(error).hint("run this in the package, or name it with --package")
    };
    let root = Workspace::find_root(here()).map_err(failed)?;
    let manifest = Document::read(&root).map_err(failed)?;
    Ok(manifest.package.name.value.parse()?)
}

/// The scopes on the service and in the store. A scope that is spelled out stands for the package
/// where there is no manifest.
fn scopes(scope: &ScopeArgs, package: &PackageArgs) -> Result<Scopes, Failure> {
    let remote = scope.spelled_out()?;
    let local = match (&package.package, &remote) {
        (Some(package), _) => package.clone(),
        (None, Some(scope)) => package_name().unwrap_or_else(|_| scope.clone()),
        (None, None) => package_name()?,
    };
    Ok(Scopes { remote: remote.unwrap_or_else(|| local.clone()), local })
}

/// Under which scope mappings are filed.
struct Scopes {
    /// On the service.
    remote: Scope,
    /// In the store, where builds look.
    local: Scope,
}

impl ScopeArgs {
    /// The scope that the arguments name, if they name one.
    pub fn spelled_out(&self) -> Result<Option<Scope>, Failure> {
        match (&self.scope, &self.repo) {
            (Some(scope), _) => Ok(Some(scope.clone())),
            (None, Some(repo)) => {
                let (toolchain, platform) = (self.toolchain.as_deref(), self.platform.as_deref());
                Ok(Some(Scope::of_repo(repo, toolchain, platform)?))
            }
            (None, None) => Ok(None),
        }
    }
}

impl OverwriteArgs {
    fn policy(&self) -> larder_remote::Overwrite {
        if self.force_overwrite {
            larder_remote::Overwrite::Everything
        } else if self.no_overwrite {
            larder_remote::Overwrite::Nothing
        } else {
            larder_remote::Overwrite::Mappings
        }
    }
}

/// The service to read from.
fn read_service(config: &Config, place: &Place) -> Result<ServiceConfig, Failure> {
    Ok(config.service(place.service.as_deref())?.clone())
}
