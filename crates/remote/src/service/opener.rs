//! Opens services by their URLs.

use std::{fs, path::PathBuf, str::FromStr, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, http::HttpBuilder, local::LocalFileSystem, path::Path,
};
use reqwest::{Certificate, Url, header::HeaderValue};

use super::{
    Access,
    denial::Denials,
    transport::{Connector, Dialect},
};
use crate::{
    ServiceConfig, address,
    credentials::{Credentials, Key},
    retry::{Health, describe},
    throttle::Throttle,
};

/// Everything that it takes to open a service.
pub(super) struct Opener<'a> {
    config: &'a ServiceConfig,
    access: Access,
    key: Option<&'a Key>,
    credentials: &'a Credentials,
    /// How the service is talked to; `None` of a directory.
    connector: Option<Connector>,
}

/// An object store, and the path in it below which everything lies.
type Opened = (Arc<dyn ObjectStore>, Path);

impl<'a> Opener<'a> {
    /// Checks what the configuration and the environment say.
    pub fn new(
        config: &'a ServiceConfig,
        access: Access,
        throttle: &Throttle,
        health: &Health,
    ) -> Result<Self, String> {
        for url in [Some(&config.url), config.endpoint.as_ref()].into_iter().flatten() {
            if let Some(refusal) = address::refusal(url) {
                return Err(format!("{}: {refusal}", address::shown(url)));
            }
        }
        let credentials = &*config.credentials;
        let key = credentials.key().map_err(|_| {
            let form = if address::is_http(&config.url) { "user:password" } else { "id:secret" };
            format!("LARDER_CACHE_KEY is not of the form {form}")
        })?;
        let mut opener = Self { config, access, key, credentials, connector: None };
        let dialect = match config.url.split_once("://") {
            Some(("s3" | "gs", _)) => Dialect::S3,
            Some(("az", _)) => Dialect::Azure,
            Some(("http" | "https", _)) => Dialect::Http,
            _ => return Ok(opener),
        };
        let authorization = match dialect {
            Dialect::Http => opener.authorization()?,
            Dialect::S3 | Dialect::Azure => None,
        };
        opener.connector = Some(Connector {
            service: config.name.clone(),
            dialect,
            throttle: throttle.clone(),
            denials: Denials::default(),
            collections: Arc::default(),
            health: health.clone(),
            answer: config.answer(),
            stall: config.stall(),
            authorization,
            certificates: opener.certificates()?,
        });
        Ok(opener)
    }

    /// How the service is talked to; `None` of a directory.
    pub fn dialect(&self) -> Option<Dialect> {
        self.connector.as_ref().map(|connector| connector.dialect)
    }

    /// Opens the service, which retries requests as `retry` says.
    pub fn build(&self, retry: RetryConfig) -> Result<Opened, String> {
        // A URL that has none was refused.
        let (scheme, rest) = self.config.url.split_once("://").unwrap_or_default();
        match scheme {
            "s3" => self.s3(rest, retry),
            "gs" => self.gcs(rest, retry),
            "az" => self.azure(rest, retry),
            "http" | "https" => {
                let store = HttpBuilder::new()
                    .with_url(self.url()?)
                    .with_retry(retry)
                    .with_client_options(self.client())
                    .with_http_connector(self.connector()?)
                    .build()
                    .map_err(|error| describe(&error))?;
                Ok((Arc::new(store), Path::default()))
            }
            "file" => self.directory(rest),
            _ => Err(format!(
                "{scheme}:// is not supported; use s3://, gs://, az://, https://, http:// or file:///"
            )),
        }
    }

    fn url(&self) -> Result<Url, String> {
        self.config.url.parse().map_err(|error| format!("the URL is not valid: {error}"))
    }

    /// The header that says to a plain HTTP server who asks: a token or a password, where there is one.
    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let token = self.credentials.token();
        let token = token.map_err(|_| "LARDER_CACHE_TOKEN has characters that no token has")?;
        let value = match (token, self.key) {
            _ if self.is_anonymous() => return Ok(None),
            (Some(token), _) => format!("Bearer {token}"),
            (None, Some(key)) => {
                let pair = format!("{}:{}", key.id, key.secret);
                format!("Basic {}", BASE64_STANDARD.encode(pair))
            }
            (None, None) => return Ok(None),
        };
        if !address::is_private(&self.url()?) && !self.config.allow_unencrypted_credentials {
            return Err(
                "anyone on the way could read the key, which http:// does not encrypt; use \
                        https://, or set `allow-unencrypted-credentials = true`"
                    .to_owned(),
            );
        }
        // Both are ASCII.
        let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The settings of a provider that variables beginning with `prefix` make; the other ones are not for it.
    fn settings<S: FromStr>(&self, prefix: &'static str) -> impl Iterator<Item = (S, &str)> {
        let all = self.credentials.settings(prefix);
        all.filter_map(|(name, value)| Some((name.parse().ok()?, value)))
    }

    fn s3(&self, rest: &str, retry: RetryConfig) -> Result<Opened, String> {
        let (bucket, prefix) = bucket_and_prefix(rest)?;
        let mut builder = AmazonS3Builder::new();
        for (setting, value) in self.settings("AWS_") {
            builder = builder.with_config(setting, value);
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_client_options(self.client())
            .with_http_connector(self.connector()?);
        if let Some(region) = &self.config.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(true);
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        } else if let Some(key) = self.key {
            builder = builder.with_access_key_id(&key.id).with_secret_access_key(&key.secret);
        }
        Ok((Arc::new(builder.build().map_err(|error| describe(&error))?), prefix))
    }

    fn gcs(&self, rest: &str, retry: RetryConfig) -> Result<Opened, String> {
        let (bucket, prefix) = bucket_and_prefix(rest)?;
        let mut builder = GoogleCloudStorageBuilder::new();
        if let Some(path) = self.credentials.variable("SERVICE_ACCOUNT") {
            builder = builder.with_service_account_path(path);
        }
        for (setting, value) in self.settings("GOOGLE_") {
            builder = builder.with_config(setting, value);
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_client_options(self.client())
            .with_http_connector(self.connector()?);
        if let Some(endpoint) = &self.config.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        }
        Ok((Arc::new(builder.build().map_err(|error| describe(&error))?), prefix))
    }

    fn azure(&self, rest: &str, retry: RetryConfig) -> Result<Opened, String> {
        let (container, prefix) = bucket_and_prefix(rest)?;
        let mut builder = MicrosoftAzureBuilder::new();
        for (setting, value) in self.settings("AZURE_") {
            builder = builder.with_config(setting, value);
        }
        if let Some(endpoint) = self.credentials.variable("IDENTITY_ENDPOINT") {
            builder = builder.with_msi_endpoint(endpoint);
        }
        builder = builder
            .with_container_name(container)
            .with_retry(retry)
            .with_client_options(self.client())
            .with_http_connector(self.connector()?);
        if let Some(endpoint) = &self.config.endpoint {
            builder = builder.with_endpoint(endpoint.clone()).with_allow_http(true);
        }
        if let Some(key) = self.key {
            builder = builder.with_account(&key.id).with_access_key(&key.secret);
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        }
        Ok((Arc::new(builder.build().map_err(|error| describe(&error))?), prefix))
    }

    fn directory(&self, rest: &str) -> Result<Opened, String> {
        let directory = PathBuf::from(rest);
        if !directory.is_absolute() {
            return Err("file:// needs an absolute path: file:///srv/cache".to_owned());
        }
        if self.access == Access::Write {
            fs::create_dir_all(&directory)
                .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        }
        let store = LocalFileSystem::new_with_prefix(&directory)
            .map_err(|error| format!("{}: {}", directory.display(), describe(&error)))?;
        Ok((Arc::new(store), Path::default()))
    }

    fn is_anonymous(&self) -> bool {
        self.config.anonymous_reads && self.access == Access::Read
    }

    fn connector(&self) -> Result<Connector, String> {
        self.connector.clone().ok_or_else(|| "a directory is not connected to".to_owned())
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new()
            .with_pool_max_idle_per_host(self.config.connections())
            .with_allow_http(self.config.url.starts_with("http://"))
    }

    fn certificates(&self) -> Result<Vec<Certificate>, String> {
        let Some(file) = &self.config.ca_certificates else { return Ok(Vec::new()) };
        let pem =
            fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        if certificates.is_empty() {
            return Err(format!("{} contains no PEM certificate", file.display()));
        }
        Ok(certificates)
    }
}

fn bucket_and_prefix(rest: &str) -> Result<(&str, Path), String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("the URL names no bucket".to_owned());
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| error.to_string())?;
    Ok((bucket, prefix))
}
