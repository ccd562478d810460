//! Opens services by their URLs.

use std::{fs, path::PathBuf, str::FromStr, sync::Arc};

use object_store::{
    Certificate, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, http::HttpBuilder,
    local::LocalFileSystem, path::Path,
};

use super::Access;
use crate::{
    ServiceConfig,
    credentials::{Credentials, Key},
    retry::describe,
    throttle::{Connector, Throttle},
};

/// Everything that it takes to open a service.
pub(super) struct Opener<'a> {
    pub config: &'a ServiceConfig,
    pub access: Access,
    pub key: Option<&'a Key>,
    pub credentials: &'a Credentials,
    pub throttle: Throttle,
}

/// An object store, and the path in it below which everything lies.
type Opened = (Arc<dyn ObjectStore>, Path);

impl Opener<'_> {
    /// Opens the service, which retries requests as `retry` says.
    pub fn build(&self, retry: RetryConfig) -> Result<Opened, String> {
        let url = &self.config.url;
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| format!("{url:?} is not a URL"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err("the URL contains credentials; put them in LARDER_CACHE_KEY".to_owned());
        }
        match scheme {
            "s3" => self.s3(rest, retry),
            "gs" => self.gcs(rest, retry),
            "az" => self.azure(rest, retry),
            "http" | "https" => {
                let store = HttpBuilder::new()
                    .with_url(url)
                    .with_retry(retry)
                    .with_client_options(self.client()?)
                    .with_http_connector(self.connector())
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
            .with_client_options(self.client()?)
            .with_http_connector(self.connector());
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
            .with_client_options(self.client()?)
            .with_http_connector(self.connector());
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
            .with_client_options(self.client()?)
            .with_http_connector(self.connector());
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

    fn connector(&self) -> Connector {
        Connector { throttle: self.throttle.clone() }
    }

    fn client(&self) -> Result<ClientOptions, String> {
        let timeout = self.config.timeout();
        let mut options = ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(timeout)
            .with_connect_timeout(timeout.min(std::time::Duration::from_secs(10)))
            .with_pool_max_idle_per_host(self.config.connections())
            .with_allow_http(self.config.url.starts_with("http://"));
        if let Some(file) = &self.config.ca_certificates {
            let pem = fs::read(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("{}: {}", file.display(), describe(&error)))?;
            if certificates.is_empty() {
                return Err(format!("{} contains no PEM certificate", file.display()));
            }
            for certificate in certificates {
                options = options.with_root_certificate(certificate);
            }
        }
        Ok(options)
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
