//! Programs that are not compilers: archivers, and whatever commands run.

use std::path::{Path, PathBuf};

use larder_trace::{BuildTrace, ContentHash, MTime, StatIndex};

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
    /// The files that its identity is made from, each with what it is and its content.
    pub parts: Vec<Part>,
}

/// A file that belongs to a program: what it is, where, and its content.
pub type Part = (String, PathBuf, ContentHash);

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
        let parts = parts(&path, key, index, environment)?;
        Ok(Self { name: name.to_owned(), trace: Self::trace_of(&parts), path, parts })
    }

    /// Returns the identity of a program that is made of `parts`, itself first.
    pub fn trace_of(parts: &[Part]) -> BuildTrace {
        let mut leaves =
            parts.iter().map(|(key, _, hash)| BuildTrace::leaf(key.clone(), *hash, MTime::NONE));
        let own = leaves.next().unwrap_or_else(|| BuildTrace::nil("program"));
        own.mix_all(leaves)
    }
}

/// The content of an executable and, for a script, of its interpreters.
fn parts(
    path: &Path,
    key: &str,
    index: &StatIndex,
    environment: &Environment,
) -> Result<Vec<Part>, ToolError> {
    let hash = hash_tool(path, index)?.hash;
    // The first line is part of the content, so what it says is known by the content's hash.
    let note = format!("interpreters {hash}");
    let interpreters = index.note(&note).unwrap_or_else(|| {
        let text = script::text_of(path).unwrap_or_default();
        let found = script::interpreters(&text).join("\n");
        index.set_note(&note, &found);
        found
    });
    let mut parts = vec![(key.to_owned(), path.to_owned(), hash)];
    for name in interpreters.lines() {
        // One that is not there is for the command to fail on.
        if let Ok(path) = find_tool(name, "interpreter", environment) {
            let hash = hash_tool(&path, index)?.hash;
            parts.push(("interpreter".to_owned(), path, hash));
        }
    }
    Ok(parts)
}
