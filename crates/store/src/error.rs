//! Errors of a store itself. A single entry that is absent or corrupt is not an error
//! but a [`Miss`](crate::Miss).

use std::{io, path::PathBuf};

use larder_trace::ContentHash;

use crate::{MappingsError, NameError, pack};

/// An operation on a store or staging directory that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}: {}", path.display(), larder_trace::describe_io(source))]
    Io {
        /// The action that failed, as a verb: "read", "write", "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that was to be stored is not what it was when it was hashed.
    #[error("cannot store {}: it changed after it was hashed (expected {hash})", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The hash that its content was to have.
        hash: ContentHash,
    },
    /// No store directory was named and the platform names no cache directory.
    #[error("no directory for the store: set LARDER_CACHE_DIR")]
    NoDirectory,
    /// A name from outside broke its grammar.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A mappings file was refused.
    #[error("{}: {source}", path.display())]
    Mappings {
        /// The mappings file.
        path: PathBuf,
        /// Why it was refused, with the line.
        source: MappingsError,
    },
    /// A pack was refused, or could not be read or written.
    #[error(transparent)]
    Pack(#[from] pack::Error),
    /// An offline store cannot be used.
    #[error("{}: {reason}", path.display())]
    Offline {
        /// Its directory, or a file in it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// For `map_err`: an I/O error with what was being done to which file.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
