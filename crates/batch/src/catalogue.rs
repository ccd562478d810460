//! Every package version of a set: what it is made from, what it needs, and how it is built.
//!
//! A package that cannot be read is in the catalogue all the same, with its [`Fault`]: it is that package's
//! failure, and nobody else's.

mod find;
mod instead;
mod join;
mod read;
mod sources;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use larder_project::{
    diagnostic::Diagnostics, manifest::Toolchain, set::Limits, version::Requirement,
};
use larder_runs::name::{HashName, Named, PackageName};
use larder_trace::ContentHash;

pub use instead::Replacement;
pub use join::Shift;
pub use read::Reading;
pub use sources::{Kind, SourceError, SourceFile, Sources, files};

use crate::hashes::Fields;

/// A package version's position in its catalogue: by name, then newest first. Of two versions of one package,
/// the smaller id is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u32);

impl VersionId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A compiler's position in its catalogue: as the set file lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompilerId(pub u32);

impl CompilerId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A compiler of the set.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// Its name, as in run data.
    pub name: PackageName,
    /// Its tools. Paths among its parts are relative to the set's directory.
    pub toolchain: Toolchain,
}

/// One version of a package.
#[derive(Debug, Clone)]
pub struct PackageVersion {
    /// `<name>.<version>`
    pub id: PackageName,
    /// The part before the first dot.
    pub name: String,
    /// The rest.
    pub version: String,
    /// What it is made from.
    pub sources: Sources,
    /// How it is built.
    pub recipe: Recipe,
    /// How its documentation is made.
    pub docs: Docs,
    /// The requirements of versions of other packages of the set, by name.
    pub needs: BTreeMap<String, Requirement>,
    /// The compilers that it is built with; all, when absent.
    pub compilers: Option<Vec<PackageName>>,
    /// The limits of its build.
    pub limits: Limits,
    /// The hash of all that the set decides about it: its files, how it is built, its manifest. How the documentation of a
    /// larder package is made is no part of it: nothing is built by that.
    pub digest: HashName,
    /// Why it cannot be built at all. Where there is a fault, only the names count besides.
    pub fault: Option<Fault>,
}

/// How a package is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// As a larder package.
    Manifest,
    /// By commands, each list a script for `sh -e` line by line.
    Commands {
        /// Builds and installs it.
        build: Vec<String>,
        /// Tests it.
        test: Vec<String>,
    },
}

impl Recipe {
    /// Whether the package may have tests. Of a larder package only its plan says.
    pub fn has_tests(&self) -> bool {
        match self {
            Recipe::Commands { test, .. } => !test.is_empty(),
            Recipe::Manifest => true,
        }
    }
}

/// How a package's documentation is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    /// A script for `sh -e` line by line; empty, when there is no documentation.
    pub lines: Vec<String>,
    /// The hash of what the set says of the machine, if it does: nobody knows what commands read of that.
    pub system: Option<ContentHash>,
}

impl Docs {
    /// Adds all of it to a hash.
    pub fn trace(&self, fields: &mut Fields) {
        fields.texts(self.lines.iter().map(String::as_str));
        if let Some(system) = &self.system {
            fields.text("system").hash(system);
        }
    }
}

/// Why a package cannot be read.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The mistakes, each with its place where that is known.
    pub diagnostics: Diagnostics,
}

/// Every package version of a set, and its compilers.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    versions: Vec<PackageVersion>,
    names: BTreeMap<String, std::ops::Range<u32>>,
    compilers: Vec<Compiler>,
}

impl Catalogue {
    /// A package version.
    pub fn get(&self, id: VersionId) -> &PackageVersion {
        &self.versions[id.index()]
    }

    /// All package versions with their ids, in the order of these.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (VersionId, &PackageVersion)> {
        self.versions.iter().enumerate().map(|(index, version)| (VersionId(index as u32), version))
    }

    /// How many package versions there are.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The versions of the package `name`, newest first; none where there is no such package.
    pub fn versions(
        &self,
        name: &str,
    ) -> impl ExactSizeIterator<Item = VersionId> + DoubleEndedIterator + use<> {
        self.names.get(name).cloned().unwrap_or(0..0).map(VersionId)
    }

    /// The versions of the packages that `named` names, newest first.
    pub fn named<'c>(&'c self, named: &'c Named) -> impl Iterator<Item = VersionId> + use<'c> {
        self.versions(named.name()).filter(|id| named.is(&self.get(*id).id))
    }

    /// The names of all packages, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The package version of this name.
    pub fn find(&self, package: &PackageName) -> Option<VersionId> {
        self.versions(package.name()).find(|id| self.get(*id).version == package.version())
    }

    /// A compiler.
    pub fn compiler(&self, id: CompilerId) -> &Compiler {
        &self.compilers[id.index()]
    }

    /// All compilers with their ids, as the set file lists them.
    pub fn compilers(&self) -> impl ExactSizeIterator<Item = (CompilerId, &Compiler)> {
        self.compilers
            .iter()
            .enumerate()
            .map(|(index, compiler)| (CompilerId(index as u32), compiler))
    }

    /// Whether a package version is to be built with a compiler.
    pub fn is_for(&self, version: VersionId, compiler: CompilerId) -> bool {
        let wanted = self.get(version).compilers.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(&self.compiler(compiler).name))
    }
}
