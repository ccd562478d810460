//! Files made from what the compiler answers.

use super::{Input, Objects};
use crate::{manifest, path::BuildPath};

/// `[[config]]`, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The entry of the manifest: its checks and its values.
    pub declared: manifest::Config,
    /// *Reads*: the template.
    pub template: Option<Input>,
    /// How its checks are compiled: as objects without sources. Answers lie in their directory.
    pub checks: Objects,
}

impl Config {
    /// The file that it makes.
    pub fn file(&self) -> &BuildPath {
        &self.declared.output
    }
}
