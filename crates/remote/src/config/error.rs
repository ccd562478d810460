//! Why there is no usable configuration.

use std::{io, path::PathBuf};

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
    /// Several servers run actions, and none is the default.
    #[error(
        "actions could run on several services: name one with --remote, or configure `default-remote` in {}",
        path.display()
    )]
    NoRemote {
        /// The configuration file.
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
