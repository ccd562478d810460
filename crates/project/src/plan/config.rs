//! Files made from what the compiler answers.

use super::{Directory, DirectoryAt, Input, TargetId};
use crate::{manifest, path::BuildPath};

/// `[[config]]`, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The entry of the manifest: its checks, its values, and how they are compiled.
    pub declared: manifest::Config,
    /// *Reads*: the template.
    pub template: Option<Input>,
    /// Include directories of its checks, in the order of the search.
    pub includes: Vec<Directory>,
    /// Files that must be there before its checks are compiled.
    pub inputs: Vec<Input>,
}

impl Config {
    /// The file that it makes.
    pub fn file(&self) -> &BuildPath {
        &self.declared.output
    }

    /// The directory of the build directory that answers lie in.
    pub fn answers(&self) -> BuildPath {
        BuildPath(format!("checks/{}", *self.declared.name).into())
    }

    /// The targets that make what checks read.
    pub fn reads(&self) -> impl Iterator<Item = TargetId> {
        let made = |directory: &Directory| match directory.at {
            DirectoryAt::Output { made, .. } => Some(made.target),
            DirectoryAt::Package(_) | DirectoryAt::Build(_) => None,
        };
        self.inputs.iter().filter_map(Input::target).chain(self.includes.iter().filter_map(made))
    }
}
