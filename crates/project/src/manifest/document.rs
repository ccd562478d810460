//! A manifest as it is written.

use std::{collections::BTreeMap, path::Path};

use super::{
    Ci, Command, Compiled, Dependency, Executable, FILE_NAME, Library, Manifest, Package,
    Toolchain, decode, keys::Keys, read_text,
};
use crate::diagnostic::{Diagnostics, SourceText};

/// A manifest as it is written, checked as far as it can be by itself.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file, to point into.
    pub source: SourceText,
    /// `[package]`
    pub package: Package,
    /// `[toolchain]`
    pub toolchain: Toolchain,
    /// `[dependencies]`
    pub dependencies: BTreeMap<String, Dependency>,
    /// `[ci]`
    pub ci: Ci,
    /// `[defaults]`
    pub(super) defaults: Keys,
    /// `[[library]]`
    pub(super) libraries: Vec<Written<Library>>,
    /// `[[executable]]`
    pub(super) executables: Vec<Written<Executable>>,
    /// `[[command]]`
    pub(super) commands: Vec<Command>,
}

/// A library or an executable, of which nothing but the name is settled yet, with its keys.
#[derive(Debug, Clone)]
pub(super) struct Written<T> {
    pub target: T,
    pub keys: Keys,
}

impl Document {
    /// Reads and checks the manifest of the package in `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(directory: &Path) -> Result<Self, Diagnostics> {
        Self::parse(read_text(directory.join(FILE_NAME))?)
    }

    /// Checks a manifest's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: SourceText) -> Result<Self, Diagnostics> {
        decode::document(source)
    }

    /// Returns the manifest with plain lists for each target.
    pub fn settle(self) -> Manifest {
        let Self { source, package, toolchain, dependencies, ci, defaults, .. } = self;
        let library = |written: Written<Library>| {
            let compiled = settled(written.target.compiled, &defaults, written.keys);
            Library { compiled, ..written.target }
        };
        let executable = |written: Written<Executable>| {
            let compiled = settled(written.target.compiled, &defaults, written.keys);
            Executable { compiled, ..written.target }
        };
        Manifest {
            libraries: self.libraries.into_iter().map(library).collect(),
            executables: self.executables.into_iter().map(executable).collect(),
            commands: self.commands,
            source,
            package,
            toolchain,
            dependencies,
            ci,
        }
    }
}

/// How a target is compiled: what the defaults say, then what it says itself.
fn settled(named: Compiled, defaults: &Keys, own: Keys) -> Compiled {
    let mut keys = defaults.clone();
    keys.append(own);
    let arguments = keys.flags.arguments(&keys.lists.public_defines);
    Compiled { lists: keys.lists, arguments, ..named }
}
