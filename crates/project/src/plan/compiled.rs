//! Libraries and executables.

use std::time::Duration;

use super::{Argument, Input, Language, Made, PackageId, TargetId};
use crate::{
    diagnostic::Located,
    manifest::Arguments,
    path::{BuildPath, PackagePath, concat},
};

/// The objects of a library or an executable.
#[derive(Debug)]
pub struct Objects {
    /// Where the objects go: `obj/NAME` or `obj/libNAME`.
    pub directory: BuildPath,
    /// The sources, in the manifest's order.
    pub sources: Vec<Located<Source>>,
    /// Patterns of source files that are left out.
    pub exclude: Vec<Located<String>>,
    /// Include directories in the order of the search: its own first, then those of the libraries it
    /// links with, transitively, each once.
    pub includes: Vec<Directory>,
    /// Directories of headers of others, in the same order, each once. They are searched after all
    /// [`Self::includes`].
    pub system_includes: Vec<Directory>,
    /// Own `inputs`: files that must be there before anything is compiled.
    pub inputs: Vec<Input>,
    /// *Reads*: commands whose outputs must exist before anything is compiled, such as generated
    /// headers: its own and those of the libraries it links with, each once. Commands that make
    /// sources only are not among them.
    pub reads: Vec<TargetId>,
    /// Compiler arguments that are not traced.
    pub weak_args: Vec<Located<String>>,
    /// Compiler arguments that are traced, with the macros that its libraries define for it.
    pub arguments: Arguments,
    /// Whether a shared library will hold them.
    pub position_independent: bool,
}

/// Where sources come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files of the package.
    Files {
        /// A glob, or a path without wildcards.
        pattern: String,
    },
    /// A file that a command makes.
    Output {
        /// The command and which of its outputs.
        made: Made,
        /// Its language, by its extension.
        language: Language,
    },
}

/// A directory that headers are looked for in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Directory {
    /// The package it belongs to.
    pub package: PackageId,
    /// Where in the package.
    pub at: DirectoryAt,
}

/// Where a directory of a package lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DirectoryAt {
    /// In the package's directory, or absolute; empty for that directory itself. Never ends in `/`.
    Package(String),
    /// In its build directory; empty for that directory itself. Never ends in `/`.
    Build(String),
    /// In a directory that a command makes.
    Output {
        /// The command and which of its outputs.
        made: Made,
        /// The path in the build directory, never ending in `/`: that of the output, and below it.
        path: String,
    },
}

/// A static library.
#[derive(Debug)]
pub struct Archive {
    /// The file.
    pub file: BuildPath,
    /// *Sources from*: the objects.
    pub objects: TargetId,
    /// The libraries that it names itself, in the manifest's order. They are needed by whoever links
    /// with it, not to make it.
    pub libraries: Vec<TargetId>,
}

/// A shared library or an executable.
#[derive(Debug)]
pub struct Linked {
    /// Which of them.
    pub form: Form,
    /// The file.
    pub file: BuildPath,
    /// *Sources from*: the objects.
    pub objects: TargetId,
    /// *Links with*: all libraries on its command line, each before those it needs itself.
    pub libraries: Vec<TargetId>,
    /// The libraries among them that it names itself, in the manifest's order.
    pub direct_libraries: Vec<TargetId>,
    /// Linker arguments: its own, then those of its libraries in link order.
    pub link_args: Vec<LinkArgument>,
    /// Own `inputs`, then those of its libraries in link order: what linker arguments may name.
    pub inputs: Vec<Input>,
    /// For an executable that is a test: how it is run.
    pub test: Option<Test>,
}

/// The product of linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A shared library.
    SharedLibrary,
    /// An executable.
    Executable,
}

/// An argument for the linker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkArgument {
    /// The package whose manifest says so.
    pub package: PackageId,
    /// The argument, and where it stands in that manifest.
    pub text: Located<String>,
}

/// How an executable is run as a test.
#[derive(Debug)]
pub struct Test {
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// How long it may run; for ever, when absent.
    pub timeout: Option<Duration>,
    /// *Runs*: shared libraries of the workspace that it, and executables among the arguments, load.
    pub loads: Vec<TargetId>,
}

impl Objects {
    /// Returns where the object of a source of the package goes.
    pub fn object(&self, source: &PackagePath) -> BuildPath {
        BuildPath(concat(&[self.directory.as_str(), "/", source.as_str(), ".o"]))
    }

    /// Returns where the object of a source that a command makes goes.
    pub fn object_of_output(&self, source: &BuildPath) -> BuildPath {
        BuildPath(concat(&[self.directory.as_str(), "/_build/", source.as_str(), ".o"]))
    }
}

impl Directory {
    /// Returns what tells it from all others: its package, whether it is below the build directory, and
    /// its path there.
    pub fn place(&self) -> (PackageId, bool, &str) {
        let (built, path) = match &self.at {
            DirectoryAt::Package(path) => (false, path),
            DirectoryAt::Build(path) | DirectoryAt::Output { path, .. } => (true, path),
        };
        (self.package, built, path)
    }
}
