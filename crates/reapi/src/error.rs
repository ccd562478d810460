//! Why a server was of no use. No build fails of it: what it was asked for is done here.

use std::path::PathBuf;

use tonic::{Code, Status};

use crate::digest::Digest;

/// Why something could not be had of a server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It does not answer, or says again and again that it cannot at the moment.
    #[error("{0}")]
    Unavailable(String),
    /// It has given too little for too long: nobody asks it any more in this build.
    #[error("it was given up: {0}")]
    GivenUp(String),
    /// It does not let whoever asks, or does not take what it is asked for.
    #[error("{0}")]
    Refused(String),
    /// It does not have some contents.
    #[error("{} of the contents are not there", .0.len())]
    Missing(Vec<Digest>),
    /// It has sent other bytes than those of this name.
    #[error("it sent other bytes than {0}")]
    Corrupt(Digest),
    /// A file has changed since it was hashed.
    #[error("{} has changed", .0.display())]
    Changed(PathBuf),
    /// The build is being ended.
    #[error("interrupted")]
    Interrupted,
}

/// What an answer means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The same may work a moment later.
    Passing,
    /// What was asked for is not there.
    Absent,
    /// It will not work.
    Final,
}

/// Returns the meaning of a status that is no success.
pub fn meaning(status: &Status) -> Meaning {
    match status.code() {
        Code::Unavailable
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unknown
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::DataLoss => Meaning::Passing,
        Code::NotFound => Meaning::Absent,
        _ => Meaning::Final,
    }
}

/// Returns a status in a few words, for people.
pub fn describe(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.chars().filter(|letter| !letter.is_control()).take(300).collect(),
    };
    // Why a connection failed is behind the words for that.
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    match status.code() {
        Code::Unauthenticated => format!("not authenticated: {text}"),
        Code::PermissionDenied => format!("access denied: {text}"),
        _ => text,
    }
}
