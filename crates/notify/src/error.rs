//! Why a message was not delivered.

use std::io;
use std::path::PathBuf;

/// An error of this crate. No secret is ever part of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of a channel are missing or wrong.
    #[error("{channel}: {reason}")]
    Config {
        /// The channel.
        channel: &'static str,
        /// The mistake and what to do.
        reason: String,
    },
    /// The settings file cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why, with the line where that is known.
        reason: String,
    },
    /// The server, or the way there, did not take the message.
    #[error("{channel}: not delivered: {reason}")]
    Delivery {
        /// The channel.
        channel: &'static str,
        /// The words of the server or the system.
        reason: String,
    },
    /// Standard output cannot be written.
    #[error("stdout: not delivered: {}", larder_runs::reason(.0))]
    Stdout(#[from] io::Error),
}

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The reason without the channel.
    pub(crate) fn reason(&self) -> String {
        match self {
            Error::Config { reason, .. } | Error::Delivery { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// The exit code of a program that ends with this: 2 for wrong settings, 1 for a message not delivered.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Config { .. } | Error::File { .. } => 2,
            Error::Delivery { .. } | Error::Stdout(_) => 1,
        }
    }
}
