//! Failures of a service as a whole. One artifact that does not arrive is no such error.

use larder_store::{MappingsError, StoreError};

use crate::{CatalogueError, ConfigError};

/// An exchange with a service that failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A request failed, after retries where they made sense.
    #[error("service {service}: cannot {action} {object}: {reason}")]
    Request {
        /// The service's name.
        service: String,
        /// The action that failed: "read", "write", "list".
        action: &'static str,
        /// Path of the object below the service's URL.
        object: String,
        /// Why it failed.
        reason: String,
    },
    /// The service's mappings file was refused.
    #[error("service {service}: {object}: {source}")]
    Mappings {
        /// The service's name.
        service: String,
        /// Path of the object.
        object: String,
        /// Why, with the line.
        source: MappingsError,
    },
    /// The service's catalogue was refused.
    #[error(
        "service {service}: {object}: {source}; whoever may write there can replace it with \
         `larder cache put --force-overwrite`"
    )]
    Catalogue {
        /// The service's name.
        service: String,
        /// Path of the object.
        object: String,
        /// Why.
        source: CatalogueError,
    },
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something local other than the store failed.
    #[error("cannot {action}: {source}")]
    Local {
        /// The action that failed.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}
