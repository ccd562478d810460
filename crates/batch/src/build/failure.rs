//! Why builds fail, as data.

use std::{io, path::Path};

use larder_engine::{
    build::EngineError,
    process::{self, Limit},
};
use larder_runs::{Category, name::PackageName, result::Exit};
use larder_trace::describe_io;

use super::Failure;
use crate::layer::Damage;

impl Failure {
    /// The package cannot be built so.
    pub fn of_package(error: String) -> Self {
        Self { exit: None, limit: None, category: None, error }
    }

    /// Something went wrong around it, and says nothing of the package: it may work the next time.
    pub fn of_machine(error: String) -> Self {
        Self { category: Some(Category::TransientFailure), ..Self::of_package(error) }
    }

    /// Somebody edited the sources of a package during the run.
    pub fn of_changed_sources(package: &PackageName) -> Self {
        Self::of_machine(format!("the sources of {package} changed during the run"))
    }

    /// A file could not be read or written that is larder's own affair.
    pub fn of_io(what: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("{what}: {}: {}", path.display(), describe_io(error));
        let failure = Self::of_machine(message);
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self { category: Some(Category::DiskFull), ..failure }
            }
            _ => failure,
        }
    }

    /// The engine did not build a larder package.
    pub fn of_engine(error: EngineError) -> Self {
        match error {
            EngineError::Directory { path, source } => Self::of_io("cannot use", &path, &source),
            EngineError::Manifest(_) | EngineError::Sandbox(_) | EngineError::Interrupted => {
                Self::of_package(error.to_string())
            }
        }
    }

    /// What was installed cannot be a layer.
    pub fn of_layer(damage: Damage) -> Self {
        Self::of_package(format!("what was installed cannot be kept: {damage}"))
    }

    /// A command ended so.
    pub fn of_exit(what: &str, exit: process::Exit) -> Self {
        let failure =
            Self { exit: Some(recorded(exit)), ..Self::of_package(format!("{what} {exit}")) };
        match exit {
            process::Exit::Limited(limit) => failure.by(limit),
            _ => failure,
        }
    }

    /// The same as caused by a limit.
    #[must_use]
    pub fn by(self, limit: Limit) -> Self {
        let exit = recorded(process::Exit::Limited(limit));
        let category = match limit {
            Limit::Time(_) => Category::Timeout,
            Limit::Memory(_) => Category::OutOfMemory,
            Limit::Log(_) => Category::LogLimit,
            Limit::Processes(_) => Category::Custom("process_limit".to_owned()),
            Limit::Disk(_) => Category::Custom("disk_limit".to_owned()),
        };
        let error = format!("the build {limit}")
            .replace("because the build's", "because its")
            .replace("because the build", "because it");
        Self { exit: Some(exit), limit: Some(limit), category: Some(category), error }
    }
}

/// An exit as results have it.
fn recorded(exit: process::Exit) -> Exit {
    let plain = Exit::default();
    match exit {
        process::Exit::Code(code) => Exit { code: Some(code), ..plain },
        process::Exit::Signal(signal) => Exit { signal: Some(signal), ..plain },
        process::Exit::TimedOut(_) => Exit { timed_out: true, ..plain },
        process::Exit::Limited(limit) => Exit {
            timed_out: matches!(limit, Limit::Time(_)),
            out_of_memory: matches!(limit, Limit::Memory(_)),
            log_limit: matches!(limit, Limit::Log(_)),
            // Nothing else says that it was stopped.
            signal: matches!(limit, Limit::Processes(_) | Limit::Disk(_)).then_some(KILL),
            ..plain
        },
    }
}

/// The number of the signal that ends what reaches a limit.
const KILL: i32 = 9;
