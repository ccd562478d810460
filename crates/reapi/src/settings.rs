//! How a server is used.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use larder_remote::ServiceConfig;

use crate::address::{Address, AddressError};

/// A server, and how it is used.
#[derive(Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// The instance of it that is asked: empty for the only one.
    pub instance: String,
    /// Headers that every request has: credentials, mostly.
    pub headers: Vec<(String, String)>,
    /// A file of PEM certificates to trust besides the system's.
    pub ca_certificates: Option<PathBuf>,
    /// Files of the PEM certificate and key by which it knows whoever asks.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether results of commands that ran here are written to its action cache.
    pub upload: bool,
    /// Whether actions run there; else the server is a cache.
    pub executes: bool,
    /// Whether tools of this machine are sent where workers have others, or none.
    pub sends_tools: bool,
    /// Properties that a worker must have.
    pub platform: BTreeMap<String, String>,
    /// Within how long an answer begins, and a stream goes on.
    pub patience: Duration,
}

/// Why a configured service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Its address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Its token cannot be sent.
    #[error("its token has a character that no header may have")]
    Token,
    /// Whoever is on the way could read its secrets.
    #[error(
        "its headers or its token would be sent unencrypted to another machine; use grpcs://, or set \
         `allow-unencrypted-credentials = true`"
    )]
    Unencrypted,
}

impl Settings {
    /// The server that a service of kind `reapi` is.
    ///
    /// # Errors
    /// When it cannot be used as it is configured.
    pub fn of_service(service: &ServiceConfig) -> Result<Self, SettingsError> {
        let address = Address::parse(&service.url)?;
        let mut headers: Vec<(String, String)> = service.headers.clone().into_iter().collect();
        if let Some(token) = service.credentials.token().map_err(|_| SettingsError::Token)? {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        if address.is_open() && !headers.is_empty() && !service.allow_unencrypted_credentials {
            return Err(SettingsError::Unencrypted);
        }
        Ok(Self {
            instance: service.instance.clone().unwrap_or_default(),
            headers,
            ca_certificates: service.ca_certificates.clone(),
            identity: service.client_certificate.clone().zip(service.client_key.clone()),
            upload: service.upload,
            executes: service.execute.unwrap_or(true),
            sends_tools: service.upload_toolchain,
            platform: service.platform.clone(),
            patience: service.answer(),
            ..Self::new(address)
        })
    }

    /// The server at `address`, with the settings that it has when nobody says anything else.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            instance: String::new(),
            headers: Vec::new(),
            ca_certificates: None,
            identity: None,
            upload: false,
            executes: true,
            sends_tools: false,
            platform: BTreeMap::new(),
            patience: Duration::from_secs(10),
        }
    }
}
