//! The configuration of services: a file that is named, else `larder/config.toml` in the user's
//! configuration directory.

mod error;
mod service;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_store::{Ref, Scope};
use serde::{Deserialize, de::IgnoredAny};

pub use self::{
    error::ConfigError,
    service::{Kind, ServiceConfig},
};
use crate::{Credentials, KeyId, Trust, TrustedKey, address};

/// The user's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The file that it was read from, there or not.
    #[serde(skip)]
    pub path: PathBuf,
    /// The `[cache]` table.
    #[serde(default)]
    pub cache: CacheConfig,
    /// The `[target.TRIPLE]` tables, which are for builds to read.
    #[serde(default)]
    pub target: IgnoredAny,
}

/// The `[cache]` table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CacheConfig {
    /// The service that reads go to when none is named. When absent, the only one.
    pub default_service: Option<String>,
    /// The service that uploads go to when none is named. When absent, the one for reads.
    pub default_upload_service: Option<String>,
    /// The server that actions run on when none is named. When absent, the only one.
    pub default_remote: Option<String>,
    /// The `[[cache.service]]` tables that keep artifacts.
    #[serde(default, rename = "service")]
    pub services: Vec<ServiceConfig>,
    /// Those of kind `reapi`, which run actions.
    #[serde(skip)]
    pub clusters: Vec<ServiceConfig>,
    /// The `[[cache.dependency]]` tables.
    #[serde(default, rename = "dependency")]
    pub dependencies: Vec<DependencyConfig>,
    /// The `[[cache.trust]]` tables: whose revisions and results count. Without any, everybody's.
    #[serde(default, rename = "trust")]
    pub trusted: Vec<TrustedKey>,
}

/// One `[[cache.dependency]]` table: a dependency from Git that publishes what it builds by itself,
/// under the commits that it is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DependencyConfig {
    /// The dependency's package.
    pub package: Scope,
    /// The service that it publishes on; the default one, when absent.
    pub service: Option<String>,
    /// The scope that it publishes under; its package's name, when absent.
    pub scope: Option<Scope>,
}

impl Config {
    /// Where the configuration is looked for when nothing names it.
    pub fn default_path() -> PathBuf {
        dirs::config_dir().unwrap_or_default().join("larder/config.toml")
    }

    /// Reads the configuration at `path`; without a file there, an empty one. Relative paths in it
    /// are relative to it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        };
        let malformed = |reason| ConfigError::Malformed { path: path.to_owned(), reason };
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| malformed(address::scrubbed(&error.to_string())))?;
        config.path = path.to_owned();
        let mut names = BTreeSet::new();
        for service in &mut config.cache.services {
            if !names.insert(service.name.clone()) {
                return Err(malformed(format!("two services are named {:?}", service.name)));
            }
            service.check_kind().map_err(malformed)?;
            let files = [
                &mut service.ca_certificates,
                &mut service.client_certificate,
                &mut service.client_key,
            ];
            for file in files.into_iter().flatten() {
                if let Some(directory) = path.parent() {
                    *file = directory.join(&file);
                }
            }
        }
        let services = std::mem::take(&mut config.cache.services);
        let is_cluster = |service: &ServiceConfig| service.kind == Kind::Reapi;
        (config.cache.clusters, config.cache.services) = services.into_iter().partition(is_cluster);
        Ok(config)
    }

    /// The same services, to be opened with `credentials`.
    /// Each has those of its own name, else those of no name. A plain HTTP server is sent them as they
    /// are, so those of no name go to such a server only where all services are on one host.
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Arc<Credentials>) -> Self {
        for cluster in &mut self.cache.clusters {
            // A token without a name is for whatever keeps artifacts.
            cluster.credentials = Arc::new(credentials.of_service(&cluster.name, false));
        }
        let hosts = self.cache.services.iter().filter_map(|service| address::host(&service.url));
        let on_one_host = hosts.collect::<BTreeSet<_>>().len() <= 1;
        for service in &mut self.cache.services {
            let shares = on_one_host || !address::is_http(&service.url);
            service.credentials = Arc::new(credentials.of_service(&service.name, shares));
        }
        self
    }

    /// The same services, on which what the configured keys signed counts, unless a key is among
    /// those that are `revoked`.
    #[must_use]
    pub fn with_trust(mut self, revoked: BTreeSet<KeyId>) -> Self {
        let trust = Arc::new(Trust::new(self.cache.trusted.clone(), revoked));
        for service in &mut self.cache.services {
            service.trust = trust.clone();
        }
        self
    }

    /// The same services, on which only what was built from `reference` counts.
    #[must_use]
    pub fn for_ref(mut self, reference: Option<Ref>) -> Self {
        for service in &mut self.cache.services {
            service.trust = Arc::new(service.trust.for_ref(reference.clone()));
        }
        self
    }

    /// The service called `name`, or else the default for reads.
    pub fn service(&self, name: Option<&str>) -> Result<&ServiceConfig, ConfigError> {
        let cache = &self.cache;
        match name.or(cache.default_service.as_deref()) {
            Some(name) => self.named(name),
            None => match cache.services.as_slice() {
                [only] => Ok(only),
                _ => Err(ConfigError::NoService { path: self.path.clone() }),
            },
        }
    }

    /// The service called `name`, or else the default for uploads.
    pub fn upload_service(&self, name: Option<&str>) -> Result<&ServiceConfig, ConfigError> {
        self.service(name.or(self.cache.default_upload_service.as_deref()))
    }

    /// The server called `name` that actions run on, or else the default one; none where none is configured.
    ///
    /// # Errors
    /// There is none of that name, or several and none is the default.
    pub fn cluster(&self, name: Option<&str>) -> Result<Option<&ServiceConfig>, ConfigError> {
        let clusters = &self.cache.clusters;
        let Some(name) = name.or(self.cache.default_remote.as_deref()) else {
            return match clusters.as_slice() {
                [] => Ok(None),
                [only] => Ok(Some(only)),
                _ => Err(ConfigError::NoRemote { path: self.path.clone() }),
            };
        };
        let found = clusters.iter().find(|cluster| cluster.name == name);
        found.map(Some).ok_or_else(|| ConfigError::UnknownService {
            name: name.to_owned(),
            known_names: clusters.iter().map(|cluster| cluster.name.clone()).collect(),
        })
    }

    fn named(&self, name: &str) -> Result<&ServiceConfig, ConfigError> {
        let services = &self.cache.services;
        services.iter().find(|service| service.name == name).ok_or_else(|| {
            ConfigError::UnknownService {
                name: name.to_owned(),
                known_names: services.iter().map(|service| service.name.clone()).collect(),
            }
        })
    }
}
