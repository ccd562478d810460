//! The configuration of services: a file that is named, else `larder/config.toml` in the user's
//! configuration directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use larder_store::Scope;
use serde::Deserialize;

use crate::Credentials;

/// The user's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The file that it was read from, there or not.
    #[serde(skip)]
    pub path: PathBuf,
    /// The `[cache]` table.
    #[serde(default)]
    pub cache: CacheConfig,
}

/// The `[cache]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CacheConfig {
    /// The service that reads go to when none is named. When absent, the only one.
    pub default_service: Option<String>,
    /// The service that uploads go to when none is named. When absent, the one for reads.
    pub default_upload_service: Option<String>,
    /// The `[[cache.service]]` tables.
    #[serde(default, rename = "service")]
    pub services: Vec<ServiceConfig>,
    /// The `[[cache.dependency]]` tables.
    #[serde(default, rename = "dependency")]
    pub dependencies: Vec<DependencyConfig>,
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

/// One `[[cache.service]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceConfig {
    /// How the command line calls it.
    pub name: String,
    /// `s3://bucket/prefix`, `gs://…`, `az://container/…`, `https://…`, `http://…` or `file:///…`.
    pub url: String,
    /// The server, where the URL does not tell: for S3-compatible stores and Azure emulators.
    pub endpoint: Option<String>,
    /// The S3 region; `us-east-1` or `$AWS_REGION` when absent.
    pub region: Option<String>,
    /// Read without credentials.
    #[serde(default)]
    pub anonymous_reads: bool,
    /// A file of PEM certificates to trust besides the system's.
    pub ca_certificates: Option<PathBuf>,
    /// Seconds after which a connection that yields nothing is given up (default 30).
    pub timeout_seconds: Option<u64>,
    /// How many requests run at once (default 16).
    pub connections: Option<usize>,
    /// The credentials that it is opened with: not from the file, but from [`Config::with_credentials`].
    #[serde(skip)]
    pub credentials: Arc<Credentials>,
}

impl ServiceConfig {
    /// After how long a connection that yields nothing is given up.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.unwrap_or(30).max(1))
    }

    /// How many requests run at once.
    pub fn connections(&self) -> usize {
        self.connections.unwrap_or(16).clamp(1, 256)
    }
}

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        reason: String,
    },
    /// No service has the name.
    #[error("no service is named {name:?}; {}", known(known_names))]
    UnknownService {
        /// The name asked for.
        name: String,
        /// The names there are.
        known_names: Vec<String>,
    },
    /// No service is named, and none is the default.
    #[error(
        "no service: name one with --service, or configure `default-service` and \
         `[[cache.service]]` in {}",
        path.display()
    )]
    NoService {
        /// The configuration file, there or not.
        path: PathBuf,
    },
    /// A service's own settings are wrong.
    #[error("service {name}: {reason}")]
    Service {
        /// The service.
        name: String,
        /// The mistake.
        reason: String,
    },
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        "none is configured".to_owned()
    } else {
        format!("configured are: {}", names.join(", "))
    }
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
        let mut config: Self =
            toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        config.path = path.to_owned();
        let mut names = std::collections::BTreeSet::new();
        for service in &mut config.cache.services {
            if !names.insert(service.name.clone()) {
                return Err(malformed(format!("two services are named {:?}", service.name)));
            }
            if let (Some(file), Some(directory)) = (&mut service.ca_certificates, path.parent()) {
                *file = directory.join(&file);
            }
        }
        Ok(config)
    }

    /// The same services, to be opened with `credentials`.
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Arc<Credentials>) -> Self {
        for service in &mut self.cache.services {
            service.credentials = credentials.clone();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::read(file.path())
    }

    const TWO: &str = r#"
        [cache]
        default-service = "team"
        default-upload-service = "ci"
        [[cache.service]]
        name = "team"
        url = "s3://bucket/prefix"
        endpoint = "http://127.0.0.1:9000"
        anonymous-reads = true
        [[cache.service]]
        name = "ci"
        url = "file:///srv/cache"
    "#;

    #[test]
    fn services_are_found_by_name_and_by_default() {
        let config = read(TWO).unwrap();
        assert_eq!(config.service(None).unwrap().name, "team");
        assert_eq!(config.upload_service(None).unwrap().name, "ci");
        assert_eq!(config.upload_service(Some("team")).unwrap().name, "team");
        let error = config.service(Some("taem")).unwrap_err().to_string();
        assert_eq!(error, "no service is named \"taem\"; configured are: team, ci");
        let none = Config::read(Path::new("/nonexistent/config.toml")).unwrap();
        assert!(matches!(none.service(None), Err(ConfigError::NoService { .. })));
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let error = read("[cache]\ndefault-sevice = 'x'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("default-service"), "{error}");
        assert!(read(&TWO.replace("\"ci\"\n        url", "\"team\"\n        url")).is_err());
    }
}
