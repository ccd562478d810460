//! The ways in which a command ends.

use std::process::ExitCode;

use larder_batch::{bisect::BisectError, run::BatchError};
use larder_engine::{bake::BakeError, build::EngineError, init::InitError};
use larder_project::{diagnostic::Diagnostics, scaffold::ScaffoldError};
use larder_remote::{ConfigError, RemoteError, StagedError, git::GitError};
use larder_store::{NameError, StoreError, pack};

use crate::{commands::nearest, ui::Ui};

/// The exit code of a command that has said everything there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something asked for failed.
    Failed = 1,
    /// Wrong usage, or something wrong with a manifest or the configuration.
    Wrong = 2,
    /// `--no-build` found something out of date.
    OutOfDate = 3,
    /// Ended by a signal, as a shell says it of Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<&larder_notify::Error> for Exit {
    fn from(error: &larder_notify::Error) -> Self {
        match error.exit_code() {
            2 => Self::Wrong,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command came to nothing, not yet said.
#[derive(Debug)]
pub struct Failure {
    /// The exit code to end with.
    pub exit: Exit,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Message { text: String, hint: Option<String> },
    Diagnostics(Diagnostics),
}

impl Failure {
    /// A message, and the exit code that goes with it.
    pub fn new(exit: Exit, text: impl ToString) -> Self {
        Self { exit, reason: Reason::Message { text: text.to_string(), hint: None } }
    }

    /// Something that was tried, and failed.
    pub fn failed(text: impl ToString) -> Self {
        Self::new(Exit::Failed, text)
    }

    /// Wrong usage, manifest or configuration.
    pub fn wrong(text: impl ToString) -> Self {
        Self::new(Exit::Wrong, text)
    }

    /// The same, with advice. Diagnostics bring their own.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        if let Reason::Message { hint, .. } = &mut self.reason {
            *hint = Some(advice.into());
        }
        self
    }

    /// Says it.
    pub fn print(&self, ui: &Ui) {
        match &self.reason {
            Reason::Message { text, hint } => ui.error_with_hint(text, hint.as_deref()),
            Reason::Diagnostics(diagnostics) => ui.diagnostics(diagnostics),
        }
    }
}

/// The message alone, for a line about something else.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reason {
            Reason::Message { text, .. } => f.write_str(text),
            Reason::Diagnostics(diagnostics) => diagnostics.fmt(f),
        }
    }
}

/// Wrong is what people wrote wrong; where only something that was tried went wrong, it has failed.
impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        let exit = if diagnostics.failed() { Exit::Failed } else { Exit::Wrong };
        Self { exit, reason: Reason::Diagnostics(diagnostics) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Manifest(diagnostics) => diagnostics.into(),
            EngineError::Interrupted => Self::new(Exit::Interrupted, error),
            error => Self::failed(error),
        }
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Set(diagnostics) => diagnostics.into(),
            BatchError::Data(error) => error.into(),
            error @ BatchError::Outcome { .. } => Self::failed(error),
        }
    }
}

impl From<BisectError> for Failure {
    fn from(error: BisectError) -> Self {
        match error {
            BisectError::Batch(error) => error.into(),
            BisectError::Interrupted => Self::new(Exit::Interrupted, error),
        }
    }
}

impl From<BakeError> for Failure {
    fn from(error: BakeError) -> Self {
        match error {
            BakeError::Engine(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

impl From<ScaffoldError> for Failure {
    fn from(error: ScaffoldError) -> Self {
        match error {
            ScaffoldError::Io { .. } => Self::failed(error),
            ScaffoldError::Exists(_) => Self::wrong(error).hint(
                "`larder build` builds what it says; for a new one, move it away, or see it by `larder init --dry-run`",
            ),
            ScaffoldError::Name(_) => Self::wrong(error),
        }
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        match error {
            InitError::Scaffold(error) => error.into(),
            InitError::Unreadable { .. } | InitError::Unusable { .. } => Self::failed(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::failed(error)
    }
}

impl From<pack::Error> for Failure {
    fn from(error: pack::Error) -> Self {
        Self::failed(error)
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Config(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

impl From<StagedError> for Failure {
    fn from(error: StagedError) -> Self {
        match error {
            StagedError::Remote(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let near = match &error {
            ConfigError::UnknownService { name, known_names } => {
                nearest(name, known_names.iter().map(String::as_str)).map(str::to_owned)
            }
            _ => None,
        };
        let failure = Self::wrong(error);
        match near {
            Some(near) => failure.hint(format!("did you mean {near:?}?")),
            None => failure,
        }
    }
}

impl From<larder_runs::Error> for Failure {
    fn from(error: larder_runs::Error) -> Self {
        Self::failed(error)
    }
}

impl From<larder_notify::Error> for Failure {
    fn from(error: larder_notify::Error) -> Self {
        Self::new(Exit::from(&error), error)
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::wrong(error)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::wrong(error)
    }
}
