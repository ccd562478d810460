//! Commands and their arguments.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use super::{Input, Made, Output, TargetId};
use crate::{diagnostic::Located, path::RootPath};

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
    pub env: BTreeMap<String, Setting>,
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
    /// Whether its outputs count only where a tool tells that it read them.
    pub stamp: bool,
    /// Whether `larder test` runs it.
    pub test: bool,
    /// How long it may run as a test; for ever, when absent.
    pub timeout: Option<Duration>,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value as written: what is traced of it.
    pub text: String,
    /// The value.
    pub value: Argument,
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

impl Command {
    /// All that may name targets: the arguments, and the values of variables.
    pub fn words(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().chain(self.env.values().map(|setting| &setting.value))
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
