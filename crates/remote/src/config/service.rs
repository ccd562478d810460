//! One service of the configuration.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;

use crate::{Credentials, Trust, address, retry::Outlook};

/// The work of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It keeps artifacts.
    #[default]
    Cache,
    /// It runs actions, and keeps their results: a server of the Remote Execution API.
    Reapi,
}

/// One `[[cache.service]]` table. `docs/services.md` says of each key what it does.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceConfig {
    /// How the command line calls it.
    pub name: String,
    /// `s3://bucket/prefix`, `gs://…`, `az://container/…`, `https://…`, `http://…` or `file:///…`; of a cluster
    /// `grpc://…`, `grpcs://…` or `unix:…`.
    pub url: String,
    /// What it does.
    #[serde(default)]
    pub kind: Kind,
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
    /// Of a cluster: the instance that is asked (default: the one without a name).
    pub instance: Option<String>,
    /// Of a cluster: headers that every request has.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Of a cluster: files of the PEM certificate and key by which it knows whoever asks.
    pub client_certificate: Option<PathBuf>,
    /// See above.
    pub client_key: Option<PathBuf>,
    /// Of a cluster: whether results of commands that ran here are written to its action cache.
    #[serde(default)]
    pub upload: bool,
    /// Of a cluster: whether commands run there (default), or results are only looked for.
    pub execute: Option<bool>,
    /// Of a cluster: whether tools of this machine are sent to workers that have others, or none.
    #[serde(default)]
    pub upload_toolchain: bool,
    /// Of a cluster: properties that workers must have.
    #[serde(default)]
    pub platform: BTreeMap<String, String>,
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

    /// Sees that the keys of a service are those of its kind.
    pub(super) fn check_kind(&self) -> Result<(), String> {
        let of_cluster = [
            ("instance", self.instance.is_some()),
            ("headers", !self.headers.is_empty()),
            ("client-certificate", self.client_certificate.is_some()),
            ("client-key", self.client_key.is_some()),
            ("upload", self.upload),
            ("execute", self.execute.is_some()),
            ("upload-toolchain", self.upload_toolchain),
            ("platform", !self.platform.is_empty()),
        ];
        let of_cache = [
            ("endpoint", self.endpoint.is_some()),
            ("region", self.region.is_some()),
            ("anonymous-reads", self.anonymous_reads),
            ("connections", self.connections.is_some()),
        ];
        let (others, kind) = match self.kind {
            Kind::Cache => (&of_cluster[..], "of kind \"reapi\" only"),
            Kind::Reapi => (&of_cache[..], "not of kind \"reapi\""),
        };
        if let Some((key, _)) = others.iter().find(|(_, is_set)| *is_set) {
            return Err(format!("service {}: `{key}` is for services {kind}", self.name));
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            let reason = "`client-certificate` and `client-key` belong together";
            return Err(format!("service {}: {reason}", self.name));
        }
        Ok(())
    }

    fn seconds(&self, own: Option<u64>) -> Duration {
        Duration::from_secs(own.or(self.timeout_seconds).unwrap_or(PATIENCE).max(1))
    }

    /// How many requests run at once.
    pub fn connections(&self) -> usize {
        self.connections.unwrap_or(16).clamp(1, 256)
    }
}
