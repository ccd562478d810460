//! Baking: an offline store with everything that a build of this package touches.
//!
//! A build uses what is baked, so that is found out by building: whatever services still serve
//! comes from them, the rest is made from source, and the mappings of all targets touched say what
//! belongs into the offline store. With it go the checkouts of all packages that come from Git, so that
//! a build elsewhere has their sources. It is complete, or it is left as it was.

use std::{path::PathBuf, sync::Arc};

use larder_remote::{Access, Get, Service, ServiceConfig, Transfer};
use larder_store::{
    Mappings, Revision, Scope, Store, StoreError,
    offline::{self, Bake, Recipe},
    pack, packing,
};
use larder_trace::host_platform;

use crate::{
    build::{self, BuildReport, BuildRequest, EngineError},
    cache::{self, CacheOptions},
    checkouts,
    event::Reporter,
    session::Session,
};
use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    lockfile::Lockfile,
    plan::{Plan, TargetId},
    setting::BuiltFor,
};

/// A request to bake: which targets, and from where.
pub struct BakeRequest<'a> {
    /// The build whose results are baked.
    pub build: BuildRequest,
    /// Only what that build needs of dependencies: what stays as it is while the package changes.
    pub dependencies_only: bool,
    /// The service to ask first.
    pub source: Option<Source>,
    /// The offline store.
    pub directory: PathBuf,
    /// How to pack.
    pub options: pack::Options,
    /// Called while artifacts are fetched, from many threads.
    pub fetched: &'a (dyn Fn(Transfer) + Sync),
    /// Called before packing with what is going to be packed, and while it is.
    pub packed: &'a dyn Fn(&Mappings, pack::Handled),
}

/// A service that may serve what is to be baked.
pub struct Source {
    /// The service.
    pub service: ServiceConfig,
    /// Under which scope it files this package.
    pub scope: Scope,
    /// The revisions that will do, the best first. Dependencies from Git are asked for by the commit
    /// that the lock file pins.
    pub revisions: Vec<Revision>,
}

/// The result of baking.
#[derive(Debug)]
pub struct Baked {
    /// The offline store's record of it.
    pub bake: Bake,
    /// The packs.
    pub report: packing::PackingReport,
}

/// Why an offline store was not made.
#[derive(Debug, thiserror::Error)]
pub enum BakeError {
    /// The build did not begin.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The user's store or the offline store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not everything could be had. The offline store is as it was.
    #[error("the offline store would not be complete; it is as it was")]
    Incomplete {
        /// The missing outputs and checkouts, and why each is.
        missing: Vec<(String, String)>,
    },
}

/// Fills the offline store.
///
/// # Errors
/// When the build did not begin, or when not all of it could be had: from services or from source.
pub fn bake(
    session: &Arc<Session>,
    request: BakeRequest<'_>,
    reporter: &Arc<dyn Reporter>,
) -> Result<Baked, BakeError> {
    let plan = build::load(&request.build.loading(&session.settings.environment))?;
    let asked = asked_for(&plan, &request)?;
    let checkouts = checkouts::take(&plan.workspace.checkouts)?;
    if !checkouts.missing.is_empty() {
        return Err(BakeError::Incomplete { missing: checkouts.missing });
    }
    let mut session = session.clone();
    let mut store = cache::open_store(&session.settings.store)?;
    let package: Scope = plan.workspace.packages[0].place.name.parse().map_err(StoreError::Name)?;
    if let Some(source) = &request.source
        && !request.build.resolution.offline
    {
        fetch(&plan, &package, source, &store, request.fetched);
    }
    let label = |id: TargetId| plan.target(id).label.to_string();
    let targets: Vec<String> = asked.iter().map(|id| label(*id)).collect();
    let mut build = request.build;
    build.targets = targets
        .iter()
        .map(|label| label.parse().map_err(Diagnostic::new))
        .collect::<Result<_, _>>()
        .map_err(|wrong| EngineError::from(Diagnostics::from(wrong)))?;
    build.cache = CacheOptions { collect: true, only_kept: true, ..build.cache };
    let portable = plan
        .closure(&asked)
        .into_iter()
        .all(|id| plan.package_of(plan.target(id)).manifest.package.platform_independent);
    let mut recipe = Recipe {
        package,
        platform: (!portable).then(|| host_platform().to_owned()),
        targets,
        toolchain: Vec::new(),
    };
    let mut missing = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut mappings = Mappings::default();
        // Without a target, the default ones would be built.
        if !build.targets.is_empty() {
            let built = build::build(&session, &build, reporter)?;
            if !built.succeeded() {
                return Err(BakeError::Incomplete { missing: not_built(&built) });
            }
            mappings = built.mappings.unwrap_or_default();
            recipe.toolchain = built.tools;
        }
        let progress = |progress| (request.packed)(&mappings, progress);
        let (directory, options) = (&request.directory, &request.options);
        let recipe = recipe.clone();
        let (report, bake) = offline::add(
            &store,
            &mappings,
            &checkouts.objects,
            directory,
            recipe,
            options,
            progress,
        )?;
        if let Some(bake) = bake {
            return Ok(Baked { bake, report });
        }
        let listed = report.missing.into_iter();
        missing = listed.map(|it| (it.name, it.reason.to_string())).collect();
        // What was to be fetched on demand, or was found damaged just now, is made from source.
        build.resolution.offline = true;
        let mut settings = session.settings.clone();
        settings.store.offline = true;
        session = Session::new(settings, session.processes.clone());
        store = cache::open_store(&session.settings.store)?;
    }
    Err(BakeError::Incomplete { missing })
}

/// How often what turns out not to be in the store is made again.
const ATTEMPTS: usize = 3;

/// The targets that could not be had.
fn not_built(built: &BuildReport) -> Vec<(String, String)> {
    let reason = match built.interrupted {
        true => "interrupted",
        false => "no cache has it, and it could not be built",
    };
    let failed = built.targets.iter().filter(|(_, outputs)| outputs.is_none());
    failed.map(|(id, _)| (built.plan.target(*id).label.to_string(), reason.to_owned())).collect()
}

/// The targets whose results are wanted.
fn asked_for(plan: &Plan, request: &BakeRequest<'_>) -> Result<Vec<TargetId>, EngineError> {
    let asked = build::resolve(plan, &request.build.targets)?;
    if !request.dependencies_only {
        return Ok(asked);
    }
    let needed: Vec<TargetId> = plan
        .closure(&asked)
        .into_iter()
        .filter(|id| {
            let package = plan.package_of(plan.target(*id));
            !package.is_root && package.place.built_for == BuiltFor::Target
        })
        .collect();
    match needed.is_empty() && plan.workspace.checkouts.is_empty() {
        false => Ok(needed),
        true => Err(Diagnostics::from(
            Diagnostic::new("these targets need nothing from any dependency")
                .help("without --dependencies, the package's own outputs are baked"),
        )
        .into()),
    }
}

/// Gets what the service has of this package's revision, and of the commits that dependencies are
/// pinned to. Whatever does not arrive is built.
fn fetch(
    plan: &Plan,
    package: &Scope,
    source: &Source,
    store: &Store,
    progress: &(dyn Fn(Transfer) + Sync),
) {
    let service = match Service::open(&source.service, Access::Read) {
        Ok(service) => service,
        Err(error) => return tracing::info!("building from source: {error}"),
    };
    let mut wanted = vec![(source.scope.clone(), package.clone(), source.revisions.clone())];
    let lock = Lockfile::read(&plan.workspace.root).map(|lock| lock.packages).unwrap_or_default();
    wanted.extend(lock.iter().filter_map(|(name, pinned)| {
        let scope: Scope = name.parse().ok()?;
        Some((scope.clone(), scope, vec![pinned.content().to_string().parse().ok()?]))
    }));
    for (scope, local_scope, revisions) in wanted {
        let request = Get {
            service: &service,
            store,
            scope: &scope,
            local_scope: &local_scope,
            mappings_only: false,
            force: false,
            progress,
        };
        let search = larder_remote::get(&request, &revisions);
        for (revision, reason) in search.iter().flat_map(|search| &search.passed) {
            tracing::info!("service {}: {revision} of {scope}: {reason}", service.name());
        }
        match search.map(|search| search.report) {
            Ok(Some(report)) if report.missing.is_empty() => {}
            Ok(Some(report)) => tracing::info!(
                "{} of {scope} did not arrive from service {}; what is missing will be built",
                match report.missing.len() {
                    1 => "1 artifact".to_owned(),
                    several => format!("{several} artifacts"),
                },
                service.name()
            ),
            Ok(None) => tracing::info!(
                "service {} does not have {scope}; building from source",
                service.name()
            ),
            // It would be no better for the next one.
            Err(error) => return tracing::info!("building from source: {error}"),
        }
    }
}
