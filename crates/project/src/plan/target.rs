//! Targets: what can be built, with edges by role.
//!
//! Names and placeholders were resolved when the plan was made. Code that makes actions follows ids
//! and looks at no template.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Range,
    sync::Arc,
};

use super::language::Language;
pub use crate::manifest::Output;
use crate::{
    diagnostic::Located,
    name::Facet,
    path::{BuildPath, PackagePath, RootPath, concat},
};

/// A package, as an index into the packages of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub(super) u32);

impl PackageId {
    /// The root package.
    pub const ROOT: Self = Self(0);

    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A target, as an index into the targets of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(super) u32);

impl TargetId {
    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The entry of the manifest that a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Declared {
    /// `[[library]]`, by index.
    Library(usize),
    /// `[[executable]]`, by index.
    Executable(usize),
    /// `[[command]]`, by index.
    Command(usize),
}

/// Something that can be built.
#[derive(Debug)]
pub struct Target {
    /// Its package.
    pub package: PackageId,
    /// Where it is declared.
    pub declared: Declared,
    /// The name in the manifest.
    pub name: String,
    /// How it is shown and asked for: with its package, unless that is the root.
    pub label: Arc<str>,
    /// How it is made, and from what.
    pub kind: Kind,
}

/// How a target is made.
#[derive(Debug)]
pub enum Kind {
    /// Sources are compiled, one object each.
    Objects(Objects),
    /// Objects are put into a static library.
    Archive(Archive),
    /// Objects are linked to a shared library or an executable.
    Linked(Linked),
    /// A command of the manifest is run.
    Command(Command),
}

/// One output of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Made {
    /// The target.
    pub target: TargetId,
    /// Which of its outputs, in the order of the manifest; 0 for what has only one.
    pub position: usize,
}

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
    /// Own `inputs`: files that must be there before anything is compiled.
    pub inputs: Vec<Input>,
    /// *Reads*: commands whose outputs must exist before anything is compiled, such as generated
    /// headers: its own and those of the libraries it links with, each once. Commands that make
    /// sources only are not among them.
    pub reads: Vec<TargetId>,
    /// Compiler arguments that are not traced.
    pub weak_args: Vec<Located<String>>,
    /// Compiler arguments that are traced.
    pub trace_args: Vec<Located<String>>,
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

/// Files that something needs.
#[derive(Debug, Clone)]
pub struct Input {
    /// The package whose manifest says so: patterns start in its directory, and `span` is in its
    /// manifest.
    pub package: PackageId,
    /// The files.
    pub files: Files,
    /// Whether they are hashed as text, with line ends made one. Otherwise byte for byte.
    pub text: bool,
    /// Where the manifest says so.
    pub span: Range<usize>,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Files and directories of the package: a glob, or a path without wildcards.
    Pattern(String),
    /// One output of a target.
    Output(Made),
    /// All outputs of a target.
    Outputs(TargetId),
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
    /// *Runs*: shared libraries of the workspace that it, and executables among the arguments, load.
    pub loads: Vec<TargetId>,
}

/// `[[command]]`, resolved.
#[derive(Debug, Clone)]
pub struct Command {
    /// Declared inputs: what `{in}` stands for. A command's `text` is part of each.
    pub inputs: Vec<Input>,
    /// Its outputs; none for a test that makes nothing.
    pub outputs: Vec<Output>,
    /// The program.
    pub program: Program,
    /// The arguments after the program.
    pub arguments: Vec<Argument>,
    /// `run` as written: what is traced of the command line.
    pub run: Vec<Located<String>>,
    /// *Runs*: shared libraries of the workspace that the program loads, and those that executables
    /// and shared libraries among inputs and arguments load, each once.
    pub loads: Vec<TargetId>,
    /// Environment variables and their values, traced.
    pub env: BTreeMap<String, String>,
    /// Environment variables passed through, traced by value.
    pub pass_env: Vec<String>,
    /// Programs on `PATH` that it may run, traced by content.
    pub tools: Vec<Located<String>>,
    /// Absolute paths of files and directories of the system, traced by content.
    pub system_files: Vec<Located<RootPath>>,
    /// Commands that are run before; their output and exit code are traced. Each has a program.
    pub probes: Vec<Located<Vec<String>>>,
    /// Whether it runs in each build.
    pub always: bool,
    /// Whether `larder test` runs it.
    pub test: bool,
}

/// The program of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program on `PATH`.
    Tool(Located<String>),
    /// A file of the package, without a leading `./`; or one of the system, by its absolute path.
    File(Located<String>),
    /// *Runs*: an output that is run by itself, mostly an executable.
    Made(Made),
    /// Something else with placeholders, such as `{toolchain}/bin/tool`.
    Argument(Argument),
}

/// An argument, in parts that are put together without anything between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The parts. One that is alone and has several values stands for as many arguments.
    pub parts: Vec<Part>,
    /// Where the manifest says so.
    pub span: Range<usize>,
}

/// A part of an argument. Outputs of targets are given by `M`: in a plan by those targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<M = Vec<TargetId>> {
    /// Stands for itself.
    Text(String),
    /// Stands for something of the command.
    BuiltIn(BuiltIn),
    /// *Reads*: all outputs of some targets: `{TARGET}`.
    Made(M),
}

/// A placeholder that names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// The first output: `{out}`.
    Out,
    /// All outputs: `{outs}`.
    Outs,
    /// The directory that the outputs are written below: `{outdir}`.
    OutDir,
    /// All declared inputs: `{in}`.
    In,
    /// A file that lists the declared inputs, one a line: `{inlist}`.
    InList,
    /// The package's build directory: `{build}`.
    Build,
    /// The package's directory: `{package}`.
    Package,
    /// A directory for whatever is needed for a while: `{tmp}`.
    Tmp,
}

impl BuiltIn {
    /// Returns the placeholder called `name`, if that names no target.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "out" => Self::Out,
            "outs" => Self::Outs,
            "outdir" => Self::OutDir,
            "in" => Self::In,
            "inlist" => Self::InList,
            "build" => Self::Build,
            "package" => Self::Package,
            "tmp" => Self::Tmp,
            _ => return None,
        })
    }
}

impl Target {
    /// Which of the outputs of its name it is; commands have no facets.
    pub fn facet(&self) -> Option<Facet> {
        match &self.kind {
            Kind::Objects(_) => Some(Facet::O),
            Kind::Archive(_) => Some(Facet::Static),
            Kind::Linked(Linked { form: Form::SharedLibrary, .. }) => Some(Facet::Shared),
            Kind::Linked(Linked { form: Form::Executable, .. }) => Some(Facet::Exe),
            Kind::Command(_) => None,
        }
    }

    /// The file that a library or an executable is.
    pub fn file(&self) -> Option<&BuildPath> {
        match &self.kind {
            Kind::Archive(archive) => Some(&archive.file),
            Kind::Linked(linked) => Some(&linked.file),
            Kind::Objects(_) | Kind::Command(_) => None,
        }
    }

    /// The libraries that something linked, or a static library, names itself.
    pub fn direct_libraries(&self) -> &[TargetId] {
        match &self.kind {
            Kind::Archive(archive) => &archive.libraries,
            Kind::Linked(linked) => &linked.direct_libraries,
            Kind::Objects(_) | Kind::Command(_) => &[],
        }
    }

    /// Returns the targets that must be made before, by any role, each once.
    pub fn needs(&self) -> Vec<TargetId> {
        let mut found = Vec::new();
        match &self.kind {
            Kind::Objects(objects) => {
                found.extend(objects.sources.iter().filter_map(|source| match &source.value {
                    Source::Output { made, .. } => Some(made.target),
                    Source::Files { .. } => None,
                }));
                found.extend(&objects.reads);
            }
            Kind::Archive(archive) => found.push(archive.objects),
            Kind::Linked(linked) => {
                found.push(linked.objects);
                found.extend(&linked.libraries);
                found.extend(linked.inputs.iter().filter_map(Input::target));
            }
            Kind::Command(command) => {
                found.extend(command.inputs.iter().filter_map(Input::target));
                found.extend(command.program.targets());
                found.extend(command.arguments.iter().flat_map(Argument::targets));
                found.extend(&command.loads);
            }
        }
        each_once(found)
    }

    /// Returns the targets that must be made before it is run as a test; none for what is no test.
    pub fn test_needs(&self, own: TargetId) -> Vec<TargetId> {
        match &self.kind {
            Kind::Linked(Linked { test: Some(test), .. }) => {
                let named = test.arguments.iter().flat_map(Argument::targets);
                each_once(std::iter::once(own).chain(named).chain(test.loads.clone()).collect())
            }
            Kind::Command(command) if command.test => self.needs(),
            _ => Vec::new(),
        }
    }

    /// Whether `larder test` runs it.
    pub fn is_test(&self) -> bool {
        match &self.kind {
            Kind::Linked(linked) => linked.test.is_some(),
            Kind::Command(command) => command.test,
            Kind::Objects(_) | Kind::Archive(_) => false,
        }
    }
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

impl Input {
    /// The target that makes the files, if one does.
    pub fn target(&self) -> Option<TargetId> {
        match self.files {
            Files::Pattern(_) => None,
            Files::Output(made) => Some(made.target),
            Files::Outputs(target) => Some(target),
        }
    }
}

impl Program {
    /// The targets that it names.
    pub fn targets(&self) -> Vec<TargetId> {
        match self {
            Self::Tool(_) | Self::File(_) => Vec::new(),
            Self::Made(made) => vec![made.target],
            Self::Argument(argument) => argument.targets().collect(),
        }
    }
}

impl Argument {
    /// The targets that it names.
    pub fn targets(&self) -> impl Iterator<Item = TargetId> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Made(targets) => targets.as_slice(),
                _ => &[],
            })
            .copied()
    }
}

/// The same without repetitions, in the order of first mention.
pub(super) fn each_once(mut ids: Vec<TargetId>) -> Vec<TargetId> {
    if ids.len() > 1 {
        let mut seen = HashSet::with_capacity(ids.len());
        ids.retain(|id| seen.insert(*id));
    }
    ids
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
