//! Under which circumstances a log was written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done for a package, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its dependencies' versions are chosen.
    Solve,
    /// It is built.
    Build,
    /// Its tests run.
    Test,
    /// Its documentation is made.
    Doc,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stage::Solve => "solve",
            Stage::Build => "build",
            Stage::Test => "test",
            Stage::Doc => "doc",
        })
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was stopped because it took too long.
    pub timed_out: bool,
    /// Whether it was stopped because memory ran out.
    pub out_of_memory: bool,
}
