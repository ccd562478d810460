//! Why builds fail, as data.

use std::{io, path::Path};

use larder_engine::process::{self, Limit};
use larder_runs::{Category, result::Exit};
use larder_trace::describe_io;

use super::Failure;
use crate::layer::Damage;

impl Failure {
    /// Something that larder had to do did not work.
    pub fn of_larder(error: String) -> Self {
        Self { exit: None, limit: None, category: None, error }
    }

    /// A file could not be read or written.
    pub fn of_io(what: &str, path: &Path, error: &io::Error) -> Self {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let message = format!("{what}: {}: {}", path.display(), describe_io(error));
        Self { category: full.then_some(Category::DiskFull), ..Self::of_larder(message) }
    }

    /// What was installed cannot be a layer.
    pub fn of_layer(damage: Damage) -> Self {
        Self::of_larder(format!("what was installed cannot be kept: {damage}"))
    }

    /// A command ended so.
    pub fn of_exit(what: &str, exit: process::Exit) -> Self {
        let failure =
            Self { exit: Some(recorded(exit)), ..Self::of_larder(format!("{what} {exit}")) };
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
            .replace("was ended because the build", "was ended because it");
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
