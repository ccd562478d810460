//! The configuration of services: a file that is named, else `larder/config.toml` in the user's
//! configuration directory.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use larder_store::{Ref, Scope};
use serde::{Deserialize, de::IgnoredAny};

use crate::{Credentials, KeyId, Trust, TrustedKey, address, retry::Outlook};

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
    /// The `[[cache.service]]` tables.
    #[serde(default, rename = "service")]
    pub services: Vec<ServiceConfig>,
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

/// One `[[cache.service]]` table. `docs/services.md` says of each key what it does.
#[derive(Clone, Default, Deserialize)]
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
    /// Send a password or token to an `http://` server on another machine, readable on the way.
    #[serde(default)]
    pub allow_unencrypted_credentials: bool,
    /// A file of PEM certificates to trust besides the system's.
    pub ca_certificates: Option<PathBuf>,
    /// Seconds within which an answer begins (default 10).
    pub answer_seconds: Option<u64>,
    /// Seconds in which a transfer that has begun brings at least 1 KiB each, on average (default 10).
    pub stall_seconds: Option<u64>,
    /// The default of the two above; what they were once called together.
    pub timeout_seconds: Option<u64>,
    /// How many requests run at once (default 16).
    pub connections: Option<usize>,
    /// The credentials that it is opened with: not from the file, but from [`Config::with_credentials`].
    #[serde(skip)]
    pub credentials: Arc<Credentials>,
    /// Whose revisions and results count: not from the table, but from [`Config::with_trust`].
    #[serde(skip)]
    pub trust: Arc<Trust>,
    /// Whether it answers, as all know who opened it by this configuration or a clone of it.
    #[serde(skip)]
    pub outlook: Arc<Outlook>,
}

/// Leaves out what a URL may have of a secret.
impl fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceConfig({}: {})", self.name, self.shown_url())
    }
}

/// Seconds until a service is given up, when the configuration does not say.
const PATIENCE: u64 = 10;

impl ServiceConfig {
    /// A service with no other settings.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), ..Self::default() }
    }

    /// The URL as it may be shown: without credentials and query.
    pub fn shown_url(&self) -> String {
        address::shown(&self.url)
    }

    /// The endpoint as it may be shown.
    pub fn shown_endpoint(&self) -> Option<String> {
        self.endpoint.as_deref().map(address::shown)
    }

    /// Within how long an answer begins.
    pub fn answer(&self) -> Duration {
        self.seconds(self.answer_seconds)
    }

    /// Over how long a transfer is watched for being too slow.
    pub fn stall(&self) -> Duration {
        self.seconds(self.stall_seconds)
    }

    fn seconds(&self, own: Option<u64>) -> Duration {
        Duration::from_secs(own.or(self.timeout_seconds).unwrap_or(PATIENCE).max(1))
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
    #[error("cannot read {}: {}", path.display(), larder_trace::describe_io(source))]
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
    /// The list of revoked keys cannot be read.
    #[error("cannot read {}, which keys are revoked: {}", path.display(), larder_trace::describe_io(source))]
    Revoked {
        /// The list.
        path: PathBuf,
        /// Why.
        source: io::Error,
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
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| malformed(address::scrubbed(&error.to_string())))?;
        config.path = path.to_owned();
        let mut names = BTreeSet::new();
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
    /// Each has those of its own name, else those of no name. A plain HTTP server is sent them as they
    /// are, so those of no name go to such a server only where all services are on one host.
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Arc<Credentials>) -> Self {
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
    fn every_key_is_documented() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/services.md");
        let docs = fs::read_to_string(docs).unwrap();
        let error = |table| read(&format!("{table}\nnonsense = 1\n")).unwrap_err().to_string();
        let tables = [
            "[cache]",
            "[[cache.service]]\nname = 'a'\nurl = 'file:///a'",
            "[[cache.dependency]]\npackage = 'a'",
            "[[cache.trust]]\nname = 'a'",
        ];
        for table in tables {
            let error = error(table);
            let (_, keys) = error.split_once("expected one of ").unwrap();
            let keys: Vec<_> = keys.split('`').skip(1).step_by(2).collect();
            assert!(keys.len() > 2, "{error}");
            for key in keys {
                assert!(docs.contains(&format!("\n| `{key}` |")), "docs/services.md lacks {key}");
            }
        }
    }

    #[test]
    fn patience_has_an_old_name() {
        let read = |text: &str| {
            let text = format!("[[cache.service]]\nname = 'a'\nurl = 'file:///a'\n{text}");
            let service = read(&text).unwrap().cache.services.remove(0);
            (service.answer().as_secs(), service.stall().as_secs())
        };
        assert_eq!(read(""), (10, 10));
        assert_eq!(read("timeout-seconds = 30"), (30, 30));
        assert_eq!(read("timeout-seconds = 30\nanswer-seconds = 5"), (5, 30));
        assert_eq!(read("answer-seconds = 0\nstall-seconds = 60"), (1, 60));
    }

    #[test]
    fn a_key_without_a_name_is_not_sent_to_several_hosts() {
        let credentials = Arc::new(Credentials::of([
            ("LARDER_CACHE_KEY", "id:secret"),
            ("LARDER_CACHE_TOKEN_MY_MIRROR", "token"),
        ]));
        let has = |urls: [&str; 2]| {
            let mut config = Config::default();
            for (name, url) in ["team", "my-mirror"].into_iter().zip(urls) {
                config.cache.services.push(ServiceConfig::new(name, url));
            }
            let config = config.with_credentials(&credentials);
            let has = |at: usize| config.cache.services[at].credentials.key().unwrap().is_some();
            assert_eq!(config.cache.services[1].credentials.token().unwrap(), Some("token"));
            (has(0), has(1))
        };
        assert_eq!(has(["s3://bucket", "https://a.example"]), (true, false));
        assert_eq!(has(["https://b.example", "https://a.example/x"]), (false, false));
        assert_eq!(has(["https://a.example/y", "https://a.example/x"]), (true, false));
        assert_eq!(has(["https://a.example/y", "file:///srv"]), (true, false));
    }

    #[test]
    fn no_message_has_a_part_of_a_secret_in_a_url() {
        for text in [
            "[[cache.service]]\nname = 'a'\nurl = 'https://user:hunter2@example.org/x\n",
            "[[cache.service]]\nname = 'a'\nurl = 'https://user:hun/ter2@example.org/'\nx = 1",
            "[[cache.service]]\nname = 'a'\nurl = https://user:hunter2@example.org/",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("ter2") && !error.contains("user"), "{error}");
        }
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let error = read("[cache]\ndefault-sevice = 'x'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("default-service"), "{error}");
        assert!(read(&TWO.replace("\"ci\"\n        url", "\"team\"\n        url")).is_err());
    }
}
