//! Programs that are not compilers: archivers, and whatever commands run.

use std::path::{Path, PathBuf};

use larder_trace::{BuildTrace, MTime, StatIndex};

use super::{
    find::{ToolError, find_tool, hash_tool},
    script,
};
use crate::environment::Environment;

/// A program found on this machine.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program as it was asked for, such as `ar`.
    pub name: String,
    /// Where it was found: an absolute path.
    pub path: PathBuf,
    /// Its identity: the content of its executable and, for a script, of what interprets it.
    pub trace: BuildTrace,
}

impl Program {
    /// Finds the program `name`: a path with a `/` as it is, else the first on `PATH`. `key` names it
    /// in traces and messages.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn find(
        name: &str,
        key: &str,
        index: &StatIndex,
        environment: &Environment,
    ) -> Result<Self, ToolError> {
        let path = find_tool(name, key, environment)?;
        let trace = traced(&path, key, index, environment)?;
        Ok(Self { name: name.to_owned(), path, trace })
    }
}

/// The content of an executable and, for a script, of its interpreters.
fn traced(
    path: &Path,
    key: &str,
    index: &StatIndex,
    environment: &Environment,
) -> Result<BuildTrace, ToolError> {
    let hash = hash_tool(path, index)?.hash;
    // The first line is part of the content, so what it says is known by the content's hash.
    let note = format!("interpreters {hash}");
    let interpreters = index.note(&note).unwrap_or_else(|| {
        let text = script::text_of(path).unwrap_or_default();
        let found = script::interpreters(&text).join("\n");
        index.set_note(&note, &found);
        found
    });
    let mut trace = BuildTrace::leaf(key.to_owned(), hash, MTime::NONE);
    for name in interpreters.lines() {
        // One that is not there is for the command to fail on.
        if let Ok(path) = find_tool(name, "interpreter", environment) {
            let hash = hash_tool(&path, index)?.hash;
            trace = trace.mix(BuildTrace::leaf("interpreter", hash, MTime::NONE));
        }
    }
    Ok(trace)
}
