//! `larder cache stage`: what a service lacks, copied out of the store.

use larder_engine::{
    cache::user_store,
    published::{self, Publisher},
};
use larder_project::{lockfile::Lockfile, workspace::Workspace};
use larder_remote::{Config, Service, git};
use larder_store::{
    Mappings, Revision, Scope, Store,
    staging::{self, Since},
};

use super::{
    super::{App, here},
    Stage,
    local::carried,
    package_name, read_service,
    report::{Reporter, count},
};
use crate::exit::{Exit, Failure};

/// Runs the command.
pub fn stage(app: &App, reporter: &Reporter<'_>, args: Stage) -> Result<Exit, Failure> {
    let mut mappings = Mappings::read(&args.mappings)?;
    let store = user_store(&app.store)?;
    leave_out_published(app, &mut mappings, &store)?;
    let since = match &args.since {
        None => None,
        Some(revision) => since(app, &args, revision.as_ref(), &store)?,
    };
    let report = staging::stage(&store, &mappings, since.as_ref(), &args.staged)?;
    carried(reporter, "staged", &report)
}

/// Finds out which artifacts the service has of a revision: of the one that was named, or else of
/// the nearest commit. A service that cannot tell has none.
fn since(
    app: &App,
    args: &Stage,
    named: Option<&Revision>,
    store: &Store,
) -> Result<Option<Since>, Failure> {
    let scope: Scope = match args.place.scope.spelled_out()? {
        Some(scope) => scope,
        None => package_name()?,
    };
    let service = Service::open_for_a_build(&read_service(&app.store.services()?, &args.place)?)?;
    let found = match named {
        Some(revision) => Ok(Some(revision.clone())),
        None => {
            let commits = git::history(here(), 100)?;
            larder_remote::newest_of(&service, &scope, &commits).map(|it| it.cloned())
        }
    };
    let held = found.and_then(|revision| match &revision {
        Some(name) => Ok(larder_remote::held(&service, &scope, name, store)?.zip(revision)),
        None => Ok(None),
    });
    match held {
        Ok(Some((held, revision))) => Ok(Some(Since { revision, artifacts: held.artifacts })),
        Ok(None) => {
            let name = service.name();
            tracing::info!("service {name} has no such revision of {scope}: staging everything");
            Ok(None)
        }
        Err(error) => {
            tracing::info!("{error}: staging everything");
            Ok(None)
        }
    }
}

/// Leaves out of `mappings` what dependencies publish by themselves.
pub fn leave_out_published(
    app: &App,
    mappings: &mut Mappings,
    store: &Store,
) -> Result<(), Failure> {
    if app.resolution.offline {
        return Ok(());
    }
    let publishers = publishers(&app.store.services()?)?;
    let left_out = published::leave_out(mappings, &publishers, store);
    if left_out > 0 {
        tracing::info!("left out {} that dependencies publish", count(left_out, "mapping"));
    }
    Ok(())
}

/// Where the dependencies of the package here publish what they build. Nowhere, where there is no
/// package.
pub fn publishers(config: &Config) -> Result<Vec<Publisher>, Failure> {
    if config.cache.dependencies.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(root) = Workspace::find_root(here()) else { return Ok(Vec::new()) };
    let lock = Lockfile::read(&root).map_err(Failure::wrong)?;
    published::publishers(config, &lock).map_err(Failure::wrong)
}
