//! Failures of a service as a whole. One artifact that does not arrive is no such error.

use larder_store::{Revision, Scope, StoreError};

use crate::{ConfigError, Distrust, KeyError};

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
    /// A revision cannot be used as it is.
    #[error(
        "service {service}: revision {revision} of {scope} cannot be used: {reason}; whoever may write there can \
         replace it with `larder cache put --force-overwrite`"
    )]
    Revision {
        /// The service's name.
        service: String,
        /// The scope.
        scope: Scope,
        /// The revision.
        revision: Revision,
        /// Why.
        reason: String,
    },
    /// A revision does not count.
    #[error("service {service}: revision {revision} of {scope} does not count: {distrust}")]
    Untrusted {
        /// The service's name.
        service: String,
        /// The scope.
        scope: Scope,
        /// The revision.
        revision: Revision,
        /// Why.
        distrust: Distrust,
    },
    /// Nothing could be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no mapping to put, so that a revision would say nothing.
    #[error("there is no mapping to upload, and a revision without any is not written")]
    NoMappings,
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something local other than the store failed.
    #[error("cannot {action}: {}", larder_trace::describe_io(source))]
    Local {
        /// The action that failed.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl RemoteError {
    /// Why one revision is of no use, where it is no more than that: another may be.
    pub(crate) fn of_one_revision(&self) -> Option<String> {
        match self {
            Self::Revision { reason, .. } => Some(reason.clone()),
            Self::Untrusted { distrust, .. } => Some(distrust.to_string()),
            _ => None,
        }
    }
}
