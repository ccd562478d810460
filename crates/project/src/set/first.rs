//! A first `larder-set.toml`, for what is there.

mod survey;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use std::path::{Path, PathBuf};

use larder_trace::atomic;

use super::FILE_NAME;
use crate::{init::LeftOut, scaffold::ScaffoldError};

pub use survey::survey;
pub use tree::{BuildSystem, SourceTree};

/// What a first set file is made from.
#[derive(Debug, Clone, Default)]
pub struct FirstSet {
    /// Its name, for people.
    pub name: String,
    /// Globs of directories with larder packages.
    pub packages: Vec<String>,
    /// Other source trees, by name and version.
    pub trees: Vec<SourceTree>,
    /// The compilers that are here: those of one family newest first.
    pub compilers: Vec<InstalledCompiler>,
    /// What cannot be in it as it is.
    pub left_out: Vec<LeftOut>,
}

/// A compiler of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstalledCompiler {
    /// Its family, such as `gcc`.
    pub family: String,
    /// The first number of its version.
    pub version: u32,
    /// What it is called on `PATH`.
    pub cc: String,
    /// What the one for C++ is called, where there is one.
    pub cxx: Option<String>,
}

impl FirstSet {
    /// Writes the set file into `directory`, where there is none. Returns where it is.
    ///
    /// # Errors
    /// When there is one, or it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, ScaffoldError> {
        let path = place(directory)?;
        let written = atomic::write(&path, self.text().as_bytes());
        written.map_err(|source| ScaffoldError::Io { path: path.clone(), source })?;
        Ok(path)
    }
}

/// Returns where a set file of `directory` would be written.
///
/// # Errors
/// When there is one.
pub fn place(directory: &Path) -> Result<PathBuf, ScaffoldError> {
    let path = directory.join(FILE_NAME);
    match path.symlink_metadata() {
        Ok(_) => Err(ScaffoldError::Exists(path)),
        Err(_) => Ok(path),
    }
}
