//! Larder packages: the engine builds and installs them.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use larder_engine::{
    build::{self, BuildRequest},
    cache::CacheOptions,
    context::Options,
    environment::Environment,
    event::Reporter,
    install::{self, Extent, Layout},
    process::Budget,
    sandbox::Permissions,
    session::Session,
};
use larder_project::{
    dependencies::Resolution,
    plan::{PackageId, Plan},
    setting::Choices,
};
use larder_runs::result::Origin;

use super::{
    BuildTask, Failure, Log, Workshop, environment,
    said::{self, Told},
    work::{Work, copy_sources},
};

/// The name of the directory with the packages that a package is built with.
const PACKAGES: &str = "packages";

/// Builds a larder package, and installs it into the work directory. Tells whether a command ran for that.
///
/// # Errors
/// Why there is nothing.
pub(super) fn build(
    shop: &Workshop,
    task: &BuildTask,
    work: &Work,
    budget: &Arc<Budget>,
    log: &Log,
) -> Result<Origin, Failure> {
    let Ready { session, request, plan } = prepare(shop, task, work, budget)?;
    let targets =
        install::targets(&plan, &[]).map_err(|error| Failure::of_package(error.to_string()))?;
    let layout = Layout { prefix: work.prefix(), libraries: "lib".to_owned(), stage: None };
    fs::create_dir_all(&layout.prefix)
        .map_err(|error| Failure::of_io("cannot install", &layout.prefix, &error))?;
    if targets.is_empty() {
        // A package of tests or of documentation alone has an empty layer.
        return Ok(Origin::Built);
    }
    let request = BuildRequest { targets, run_path: Some(layout.run_path()), ..request };
    let reporter: Arc<dyn Reporter> = Arc::new(Told::new(log));
    let report = build::build(&session, &request, &reporter).map_err(Failure::of_engine)?;
    if !report.succeeded() {
        let counts = report.counts;
        let message = format!("its build failed: {} of {} steps", counts.failed, counts.total);
        return Err(Failure::of_package(message));
    }
    let failed = |error: install::InstallError| match &error {
        install::InstallError::Io { path, source } => {
            Failure::of_io("cannot install", path, source)
        }
        _ => Failure::of_package(error.to_string()),
    };
    let contents = install::contents(&report, &layout).map_err(failed)?;
    contents.notes.iter().for_each(|note| said::line(log, note));
    let name = &report.plan.package(PackageId::ROOT).place.name;
    install::put(name, &contents.files, &layout, Extent::Whole).map_err(failed)?;
    said::line(log, &format!("installed {} files", contents.files.len()));
    let worked = report.counts.built > 0 || report.counts.restored == 0;
    Ok(if worked { Origin::Built } else { Origin::Restored })
}

/// A larder package with its sources in place.
pub(super) struct Ready {
    /// What it is built in: tools of the system, layers, and the compiler, within the build's limits.
    pub session: Arc<Session>,
    /// How it is built.
    pub request: BuildRequest,
    /// What there is to build.
    pub plan: Plan,
}

/// Puts sources in place, and reads what is to be built of them.
///
/// # Errors
/// What is wrong with the package, or with the place.
pub(super) fn prepare(
    shop: &Workshop,
    task: &BuildTask,
    work: &Work,
    budget: &Arc<Budget>,
) -> Result<Ready, Failure> {
    let sources = work.sources();
    copy_sources(&task.package, &task.sources, &sources)?;
    let packages = work.path().join(PACKAGES);
    gather(shop, task, &packages)?;
    let request = BuildRequest {
        directory: sources,
        targets: Vec::new(),
        options: Options::default(),
        cache: CacheOptions { off: shop.trials.is_some(), ..CacheOptions::default() },
        sandbox: task.sandbox.then(|| Permissions {
            read: task.needs.iter().map(|need| need.layer.directory.clone()).collect(),
            environment: Vec::new(),
            surroundings: shop.session.settings.environment.clone(),
        }),
        resolution: Resolution { packages: Some(packages), ..shop.resolution.clone() },
        choices: Choices::default(),
        configuration: None,
        run_path: None,
        tests: None,
    };
    let environment = environment_of(shop, task);
    let session = shop.session.in_environment(environment).within(budget.clone());
    let loading = request.loading(&session.settings.environment);
    let plan = build::load(&loading).map_err(Failure::of_engine)?;
    Ok(Ready { session, request, plan })
}

/// Puts the packages that a package is built with beside each other, by name.
fn gather(shop: &Workshop, task: &BuildTask, packages: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::of_io("cannot make", packages, &error);
    fs::create_dir_all(packages).map_err(failed)?;
    for need in &task.needs {
        let Some(sources) = &need.sources else { continue };
        // A copy of its own: whoever edits the sources meanwhile changes nothing of what is built.
        copy_sources(&need.package, sources, &packages.join(need.package.name()))?;
    }
    // What it has from elsewhere is fetched once.
    let shared = shop.resolution.packages.as_deref();
    for entry in shared.and_then(|shared| fs::read_dir(shared).ok()).into_iter().flatten().flatten()
    {
        let place = packages.join(entry.file_name());
        if place.symlink_metadata().is_err() {
            symlink(entry.path(), place).map_err(failed)?;
        }
    }
    Ok(())
}

/// The environment of the build: tools of the system, layers, and the compiler.
fn environment_of(shop: &Workshop, task: &BuildTask) -> Arc<Environment> {
    let system = &shop.session.settings.environment;
    let mut all = environment::of_layers(task, system);
    let home = system.get("HOME").map(|home| ("HOME".to_owned(), home.to_owned()));
    all.extend(home);
    let compilers = environment::compilers(&task.compiler.toolchain);
    all.extend(
        compilers
            .into_iter()
            .filter_map(|(variable, named)| Some((variable.to_owned(), named?.to_owned().into()))),
    );
    Arc::new(all.into_iter().collect())
}
