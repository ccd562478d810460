//! What dependencies publish by themselves: their own artifacts need not travel with a package's.

use std::collections::BTreeSet;

use larder_project::lockfile::Lockfile;
use larder_remote::{Config, ConfigError, RemoteError, Service, ServiceConfig};
use larder_store::{Mappings, NameError, Revision, Scope, Store};

/// Where a pinned dependency publishes what it builds.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The dependency.
    pub package: Scope,
    /// The service.
    pub service: ServiceConfig,
    /// The scope there.
    pub scope: Scope,
    /// The revision there: the commit that the lock pins.
    pub revision: Revision,
}

/// Why it is not known where dependencies publish.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The configuration names a service that it does not have.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A package's name is no scope.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Returns where those dependencies publish that `lock` pins and `config` has a
/// `[[cache.dependency]]` for.
///
/// # Errors
/// When the configuration names a service that it does not have.
pub fn publishers(config: &Config, lock: &Lockfile) -> Result<Vec<Publisher>, PublisherError> {
    let mut publishers = Vec::new();
    for dependency in &config.cache.dependencies {
        let Some(pinned) = lock.packages.get(dependency.package.as_str()) else { continue };
        publishers.push(Publisher {
            package: dependency.package.clone(),
            service: config.service(dependency.service.as_deref())?.clone(),
            scope: dependency.scope.clone().unwrap_or_else(|| dependency.package.clone()),
            revision: pinned.content().to_string().parse()?,
        });
    }
    Ok(publishers)
}

/// Leaves out of `mappings` what `publishers` have: returns how many were left out. A publisher that
/// cannot be asked is said, and leaves everything in.
pub fn leave_out(mappings: &mut Mappings, publishers: &[Publisher], store: &Store) -> usize {
    let mut theirs = BTreeSet::new();
    for publisher in publishers {
        match published(publisher, store) {
            Ok(Some(mappings)) => theirs.extend(mappings.iter().map(|(dep_hash, _)| *dep_hash)),
            Ok(None) => tracing::info!(
                "service {} does not have {} of {}",
                publisher.service.name,
                publisher.revision,
                publisher.scope
            ),
            Err(error) => tracing::info!("{error}"),
        }
    }
    let before = mappings.len();
    *mappings = mappings.filtered(|dep_hash, _| !theirs.contains(dep_hash));
    before - mappings.len()
}

fn published(publisher: &Publisher, store: &Store) -> Result<Option<Mappings>, RemoteError> {
    let service = Service::open_for_a_build(&publisher.service)?;
    let held = larder_remote::held(&service, &publisher.scope, &publisher.revision, store)?;
    Ok(held.map(|held| held.mappings))
}
