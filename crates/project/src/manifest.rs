//! `larder.toml`: a package's targets, dependencies and toolchain.
//!
//! Text is decoded to a [`Document`], which says what people wrote, with all mistakes found in one go. A
//! document is settled to a [`Manifest`], which has plain lists for each target: nobody after that knows of
//! defaults or conditions.

mod arguments;
mod ci;
mod condition;
pub mod config;
mod cross;
mod decode;
mod dependencies;
mod document;
mod flags;
mod keys;
mod linking;
mod options;
mod precompiled;
mod profile;
mod shared;
mod template;

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

pub use arguments::{refused_argument, refused_link_argument};
pub use ci::{Ci, CiJob};
pub use config::Config;
pub use cross::{CrossToolchain, Toolchains};
pub(crate) use decode::toolchain;
pub(crate) use dependencies::source;
pub use dependencies::{ArchiveSource, Dependency, DependencySource};
pub use document::Document;
pub use flags::Arguments;
pub use keys::{Lists, SourceArgs};
pub use linking::{Linking, Module};
pub use options::{OptionDeclaration, OptionValue, Options};
pub use precompiled::Precompiled;
pub use profile::Profiles;
pub use shared::{Exports, Shared};
pub use template::{Piece, Template};

use larder_trace::describe_io;
use serde::Serialize;

use crate::{
    diagnostic::{Diagnostic, Located, SourceText},
    name::TargetName,
    path::{BuildPath, RootPath},
};

/// The manifest's file name.
pub const FILE_NAME: &str = "larder.toml";

/// A manifest, checked as far as it can be by itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file, to point into.
    pub source: SourceText,
    /// `[package]`
    pub package: Package,
    /// `[toolchain]`
    pub toolchain: Toolchain,
    /// `[dependencies]`
    pub dependencies: BTreeMap<String, Dependency>,
    /// `[[library]]`
    pub libraries: Vec<Library>,
    /// `[[executable]]`
    pub executables: Vec<Executable>,
    /// `[[command]]`
    pub commands: Vec<Command>,
    /// `[[config]]`
    pub configs: Vec<Config>,
    /// `[ci]`
    pub ci: Ci,
    /// The conditions of targets that do not hold, by the targets' names.
    pub absent: BTreeMap<String, Vec<String>>,
}

/// `[package]`
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name: letters, digits, `_`, `-`, `+`, `.`.
    pub name: Located<String>,
    /// Its version, as it likes.
    pub version: String,
    /// The targets that `larder build` builds when it is given none; everything, when absent.
    pub default_targets: Option<Vec<Located<TargetName>>>,
    /// The platform is not traced.
    pub platform_independent: bool,
    /// Restore every intermediate from a cache, not only what is asked for.
    pub restore_all_artifacts: bool,
    /// Whether the store is used; as the environment says, when absent.
    pub artifact_cache: Option<bool>,
}

/// `[toolchain]`
#[derive(Debug, Clone, Default)]
pub struct Toolchain {
    /// Where the tools come from.
    pub kind: ToolchainKind,
    /// How the tools count in traces (`fixed-toolchain` under `[package]`).
    pub known_by: KnownBy,
    /// The C compiler.
    pub cc: Option<String>,
    /// The C++ compiler.
    pub cxx: Option<String>,
    /// The archiver.
    pub ar: Option<String>,
    /// The assembler of `.asm` and `.nasm` sources with its first arguments; never empty.
    pub asm: Option<Located<Vec<String>>>,
    /// More programs and files that the toolchain consists of, traced by content: names on `PATH`,
    /// paths from the package, or absolute paths.
    pub parts: Vec<Located<String>>,
}

/// How a toolchain's tools count in traces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum KnownBy {
    /// By the content of all that they run.
    #[default]
    Content,
    /// By the toolchain's name and version, as the tools say them.
    Name,
}

/// Where tools come from that the manifest does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolchainKind {
    /// `cc`, `c++` and `ar` on `PATH`.
    #[default]
    C,
    /// `leanc` and the `ar` of the Lean installation.
    Lean,
}

/// The keys that libraries and executables have in common.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The target's name.
    pub name: Located<String>,
    /// Its sources, directories, libraries and other lists.
    pub lists: Lists,
    /// The traced arguments of the compiler.
    pub arguments: Arguments,
}

/// An entry of `inputs`: a string, or `{ path = "…", text = true }`.
#[derive(Debug, Clone)]
pub struct Input {
    /// A glob, a directory, or `{TARGET}` for the outputs of another target.
    pub path: Located<Template>,
    /// Whether the files are hashed as text. Otherwise they are hashed byte for byte.
    pub text: bool,
}

/// `[[library]]`
#[derive(Debug, Clone)]
pub struct Library {
    /// How it is compiled.
    pub compiled: Compiled,
    /// Globs of the headers that are for its users.
    pub headers: Vec<Located<String>>,
    /// Whether there is a static library. A library of headers only is neither static nor shared.
    pub is_static: bool,
    /// Whether there is a shared library.
    pub is_shared: bool,
    /// What that is called and offers.
    pub shared: Shared,
    /// Whether it is installed with the package.
    pub install: bool,
}

/// `[[executable]]`
#[derive(Debug, Clone)]
pub struct Executable {
    /// How it is compiled.
    pub compiled: Compiled,
    /// Whether it is a tool of the build: made for the host, whatever the target.
    pub host: bool,
    /// Whether `larder test` runs it.
    pub test: bool,
    /// Its arguments as a test.
    pub test_args: Vec<Located<Template>>,
    /// How long it may run as a test; for ever, when absent.
    pub timeout: Option<Duration>,
    /// Whether it is installed with the package.
    pub install: bool,
}

/// `[[command]]`
#[derive(Debug, Clone)]
pub struct Command {
    /// The target's name.
    pub name: Located<String>,
    /// Globs of files, directories, or `{TARGET}` for the outputs of another target.
    pub inputs: Vec<Input>,
    /// Globs of files that `inputs` matches and that are left out.
    pub exclude: Vec<Located<String>>,
    /// Whether all inputs are hashed as text, also those that other targets make.
    pub text: bool,
    /// The files and directories that it writes.
    pub outputs: Vec<Located<Output>>,
    /// The command and its arguments.
    pub run: Vec<Located<Template>>,
    /// Environment variables, traced.
    pub env: BTreeMap<String, Located<Template>>,
    /// Environment variables passed through, traced by value.
    pub pass_env: Vec<String>,
    /// Names of programs on `PATH` that it may run, traced by content.
    pub tools: Vec<Located<String>>,
    /// Absolute paths of files and directories of the system that it may read, traced by content.
    pub system_files: Vec<Located<RootPath>>,
    /// Commands that are run before it: a program and its arguments. Their output and exit code are
    /// traced.
    pub probes: Vec<Located<Vec<String>>>,
    /// Whether it runs in each build.
    pub always: bool,
    /// Whether what it makes counts only where it is read. Such a command runs in each build, too.
    pub stamp: bool,
    /// Whether `larder test` runs it. A test needs no outputs and is run every time.
    pub test: bool,
    /// How long it may run as a test; for ever, when absent.
    pub timeout: Option<Duration>,
}

/// A file or directory that a command makes. The names of directories are declared with a final `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Its path in the package's build directory, without a final `/`.
    pub path: BuildPath,
    /// Whether it is a directory, with whatever files the command writes into it.
    pub directory: bool,
}

impl Output {
    /// A file.
    pub fn file(path: BuildPath) -> Self {
        Self { path, directory: false }
    }
}

/// Reads the text of the manifest at `path`.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn read_text(path: PathBuf) -> Result<SourceText, Diagnostic> {
    let text = fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::new(format!("there is no {}", path.display()))
            .help("`larder init` writes one; -C names another directory"),
        io::ErrorKind::IsADirectory => {
            Diagnostic::new(format!("{} is a directory, not a manifest", path.display()))
                .help("move it away; `larder init` then writes a manifest")
        }
        _ => Diagnostic::new(format!("cannot read {}: {}", path.display(), describe_io(&error))),
    })?;
    SourceText::new(path, text)
}
