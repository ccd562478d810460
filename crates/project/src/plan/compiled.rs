//! Libraries and executables.

use std::time::Duration;

use super::{Argument, BuiltIn, Input, Language, Made, PackageId, Part, TargetId};
use crate::{
    diagnostic::Located,
    manifest::Module,
    manifest::{Arguments, Precompiled, SourceArgs},
    path::{BuildPath, PackagePath, concat},
};

/// The objects of a library or an executable.
#[derive(Debug, Clone)]
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
    /// Those of [`Self::includes`] that are for its own sources only.
    pub private_includes: Vec<Directory>,
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
    /// Arguments of single sources, after these.
    pub source_args: Vec<SourceArgs>,
    /// Libraries of the system that its own sources and the libraries that it links with use, each once.
    pub system: Vec<SystemLibrary>,
    /// The arguments among these that have placeholders in them, by what is written.
    pub filled_args: Vec<ToolArgument>,
    /// Whether a shared library will hold them.
    pub position_independent: bool,
    /// Headers that are compiled once for all of them.
    pub precompiled: Precompiled,
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
    /// An object that a command makes. It is linked as it is.
    Object {
        /// The command and which of its outputs.
        made: Made,
    },
    /// Sources in a directory that a command makes.
    Directory {
        /// The command and which of its outputs.
        made: Made,
        /// Which of the files in it: a glob that starts there.
        pattern: String,
        /// The language of all of them, where the pattern tells it.
        language: Option<Language>,
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

/// A library of headers only: nothing is made, and its users get what it says.
#[derive(Debug)]
pub struct Headers {
    /// The libraries that it names itself, in the manifest's order: needed by whoever links with it.
    pub libraries: Vec<TargetId>,
    /// Own `inputs`: files that must be there before its users are compiled.
    pub inputs: Vec<Input>,
    /// *Reads*: commands that make headers of it and of the libraries that it names.
    pub reads: Vec<TargetId>,
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
    /// The file that is linked in the place of a shared library, where that is another.
    pub import: Option<BuildPath>,
    /// *Sources from*: the objects.
    pub objects: TargetId,
    /// *Links with*: all libraries on its command line, each before those it needs itself.
    pub libraries: Vec<TargetId>,
    /// The libraries among them that it names itself, in the manifest's order.
    pub direct_libraries: Vec<TargetId>,
    /// Linker arguments: its own, then those of its libraries in link order.
    pub link_args: Vec<ToolArgument>,
    /// Linker arguments of its own that are not traced.
    pub weak_link_args: Vec<ToolArgument>,
    /// Libraries of the system: its own, then those of its libraries in link order, each once.
    pub system: Vec<SystemLibrary>,
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

/// An argument for a tool that works for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolArgument {
    /// The package whose manifest says so: relative paths start in its directory.
    pub package: PackageId,
    /// Its parts, and where it stands in that manifest.
    pub argument: Argument,
    /// The argument as it is written.
    pub text: String,
}

impl ToolArgument {
    /// Returns its text with `.` for the package's directory, and nothing for what is made.
    pub fn plain(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::BuiltIn(BuiltIn::Package) => ".".to_owned(),
            Part::BuiltIn(_) | Part::Made(_) => String::new(),
        };
        self.argument.parts.iter().map(text).collect()
    }
}

/// A library of the system that something is compiled for or linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemLibrary {
    /// The package whose manifest says so.
    pub package: PackageId,
    /// The library, and where it stands in that manifest.
    pub module: Located<Module>,
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

impl Source {
    /// What a command makes of it, if one does.
    pub fn made(&self) -> Option<Made> {
        match self {
            Self::Files { .. } => None,
            Self::Output { made, .. } | Self::Object { made } | Self::Directory { made, .. } => {
                Some(*made)
            }
        }
    }
}

impl Objects {
    /// No objects, in `directory`.
    pub(super) fn none(directory: BuildPath) -> Self {
        Self {
            directory,
            sources: Vec::new(),
            exclude: Vec::new(),
            includes: Vec::new(),
            private_includes: Vec::new(),
            system_includes: Vec::new(),
            inputs: Vec::new(),
            reads: Vec::new(),
            weak_args: Vec::new(),
            arguments: Arguments::default(),
            source_args: Vec::new(),
            system: Vec::new(),
            filled_args: Vec::new(),
            position_independent: false,
            precompiled: Precompiled::default(),
        }
    }

    /// Returns where the object of a source of the package goes.
    pub fn object(&self, source: &PackagePath) -> BuildPath {
        BuildPath(concat(&[self.directory.as_str(), "/", source.as_str(), ".o"]))
    }

    /// Returns where the precompiled header for sources of `language` goes.
    pub fn precompiled(&self, language: Language) -> BuildPath {
        let name = if language == Language::Cxx { "c++" } else { "c" };
        BuildPath(concat(&[self.directory.as_str(), "/_precompiled/", name, ".h.gch"]))
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
