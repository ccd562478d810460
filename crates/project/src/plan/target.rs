//! Targets: what can be built, with edges by role.
//!
//! Names and placeholders were resolved when the plan was made. Code that makes actions follows ids
//! and looks at no template.

use std::{collections::HashSet, fmt, ops::Range, sync::Arc};

use super::{Archive, Argument, Command, Config, Form, Headers, Linked, Objects};
use crate::{diagnostic::Located, name::Facet, path::BuildPath};

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
    /// `[[config]]`, by index.
    Config(usize),
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
    /// Nothing is made: a library of headers.
    Headers(Headers),
    /// Objects are put into a static library.
    Archive(Archive),
    /// Objects are linked to a shared library or an executable.
    Linked(Linked),
    /// A command of the manifest is run.
    Command(Command),
    /// A file is made from what the compiler answers.
    Config(Box<Config>),
}

/// One output of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Made {
    /// The target.
    pub target: TargetId,
    /// Which of its outputs, in the order of the manifest; 0 for what has only one.
    pub position: usize,
}

/// Files that something needs.
#[derive(Debug, Clone)]
pub struct Input {
    /// The package whose manifest says so: patterns start in its directory, and `span` is in its
    /// manifest.
    pub package: PackageId,
    /// The files.
    pub files: Files,
    /// Patterns of files that are left out.
    pub exclude: Vec<Located<String>>,
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

impl Target {
    /// Which of the outputs of its name it is; commands, configs and libraries of headers have no facets.
    pub fn facet(&self) -> Option<Facet> {
        match &self.kind {
            Kind::Objects(_) => Some(Facet::O),
            Kind::Archive(_) => Some(Facet::Static),
            Kind::Linked(Linked { form: Form::SharedLibrary, .. }) => Some(Facet::Shared),
            Kind::Linked(Linked { form: Form::Executable, .. }) => Some(Facet::Exe),
            Kind::Headers(_) | Kind::Command(_) | Kind::Config(_) => None,
        }
    }

    /// The file that a library, an executable or a config is.
    pub fn file(&self) -> Option<&BuildPath> {
        match &self.kind {
            Kind::Archive(archive) => Some(&archive.file),
            Kind::Linked(linked) => Some(&linked.file),
            Kind::Config(config) => Some(config.file()),
            Kind::Objects(_) | Kind::Headers(_) | Kind::Command(_) => None,
        }
    }

    /// The libraries that something linked, or a static library, names itself.
    pub fn direct_libraries(&self) -> &[TargetId] {
        match &self.kind {
            Kind::Headers(headers) => &headers.libraries,
            Kind::Archive(archive) => &archive.libraries,
            Kind::Linked(linked) => &linked.direct_libraries,
            Kind::Objects(_) | Kind::Command(_) | Kind::Config(_) => &[],
        }
    }

    /// Returns the targets that must be made before, by any role, each once.
    pub fn needs(&self) -> Vec<TargetId> {
        let mut found = Vec::new();
        match &self.kind {
            Kind::Objects(objects) => {
                let made = objects.sources.iter().filter_map(|source| source.made());
                found.extend(made.map(|made| made.target));
                found.extend(&objects.reads);
                let filled = objects.filled_args.iter();
                found.extend(filled.flat_map(|argument| argument.argument.targets()));
            }
            Kind::Headers(headers) => {
                found.extend(headers.inputs.iter().filter_map(Input::target));
                found.extend(&headers.reads);
            }
            Kind::Archive(archive) => found.push(archive.objects),
            Kind::Linked(linked) => {
                found.push(linked.objects);
                found.extend(&linked.libraries);
                found.extend(linked.inputs.iter().filter_map(Input::target));
                let arguments = linked.link_args.iter().chain(&linked.weak_link_args);
                found.extend(arguments.flat_map(|said| said.argument.targets()));
            }
            Kind::Command(command) => {
                found.extend(command.inputs.iter().filter_map(Input::target));
                found.extend(command.program.targets());
                found.extend(command.words().flat_map(Argument::targets));
                found.extend(&command.loads);
            }
            Kind::Config(config) => {
                found.extend(config.template.iter().filter_map(Input::target));
                found.extend(&config.checks.reads);
                let filled = config.checks.filled_args.iter();
                found.extend(filled.flat_map(|argument| argument.argument.targets()));
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
            Kind::Objects(_) | Kind::Headers(_) | Kind::Archive(_) | Kind::Config(_) => false,
        }
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
