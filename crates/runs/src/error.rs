//! Errors, in words that say on which file, why, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate. Its text is complete: the action, the file, the reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {}", path.display(), reason(source))]
    Io {
        /// The action that was attempted: a verb, such as `read` or `rename`.
        action: &'static str,
        /// The file it was attempted on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A name from outside does not follow its grammar, so no file is ever named after it.
    #[error("{what} {name:?} is refused: {reason}")]
    Name {
        /// The kind of name: `package name`, `run id`.
        what: &'static str,
        /// The name as it came.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A progress phase was to follow one it does not follow.
    #[error(
        "phase {to} cannot follow {from}: the order is solving, blessings, building, gc, completed"
    )]
    PhaseOrder {
        /// The phase the run is in.
        from: crate::progress::Phase,
        /// The phase that was asked for.
        to: crate::progress::Phase,
    },
    /// A file of classification rules cannot be used.
    #[error("cannot use the classification rules in {}: {reason}", path.display())]
    Rules {
        /// The rules file.
        path: PathBuf,
        /// The mistake and its place.
        reason: String,
    },
    /// A word that is none of those that are known.
    #[error("{word:?} is none of {}", known.join(", "))]
    Word {
        /// The word as it came.
        word: String,
        /// Those that are known.
        known: &'static [&'static str],
    },
    /// A result that says what cannot be, so that it is not recorded.
    #[error("the {stage} of {package} is not recorded: {reason}")]
    Result {
        /// Whose result.
        package: crate::name::PackageName,
        /// Of which stage.
        stage: crate::result::Stage,
        /// The thing that cannot be.
        reason: String,
    },
    /// The numbers of a run do not add up: its results contradict each other.
    #[error("the numbers of run {run} do not add up: {reason}")]
    Sums {
        /// The run.
        run: crate::name::RunId,
        /// Which sum is not that of its parts.
        reason: String,
    },
    /// A log is not a regular file.
    #[error("cannot read the log {}: it is not a regular file (links are not followed)", path.display())]
    NotAFile {
        /// The log's path.
        path: PathBuf,
    },
}

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the cause is a file or directory that does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A system error in words, without its number, and with the remedy where there is one.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match error.kind() {
        io::ErrorKind::StorageFull => {
            format!("{text}: free some space (`larder gc`) and try again")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{text}: check the owner and mode of the data directory")
        }
        _ => text.to_owned(),
    }
}

/// Attaches the action and the file to a system error.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(io::Error::from).context(action, path)
    }
}
