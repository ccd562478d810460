//! Finding executables, and what can be wrong with them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{Content, Hashed, StatIndex, describe_io};

use crate::environment::Environment;

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No such executable.
    #[error(
        "`{name}` was not found{where_}; install it, or name another with `{key}` under [toolchain]"
    )]
    NotFound {
        /// The tool as it was asked for.
        name: String,
        /// Where it was looked for.
        where_: &'static str,
        /// The manifest's key for it.
        key: String,
    },
    /// No such executable, and a variable of the environment names it.
    #[error(
        "`{name}` was not found{where_}, and the environment variable {variable} names it; install it, or set \
         {variable} to another"
    )]
    NotAsNamed {
        /// The tool as it was asked for.
        name: String,
        /// Where it was looked for.
        where_: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// No such executable, and `[target.TRIPLE]` names it.
    #[error(
        "`{name}` was not found{where_}; install it, or name another with `{key}` under [target.{triple}]"
    )]
    NotForTarget {
        /// The tool as it was asked for.
        name: String,
        /// Where it was looked for.
        where_: &'static str,
        /// The key for it.
        key: &'static str,
        /// The target.
        triple: String,
    },
    /// No tool for a target has one of the usual names.
    #[error(
        "there is no tool for {triple}: {tried} not found on PATH; install {package}, or name a tool with `{key}` \
         under [target.{triple}]{clang}"
    )]
    NoneForTarget {
        /// The target.
        triple: String,
        /// The names that were tried.
        tried: String,
        /// What brings it.
        package: String,
        /// The key for it.
        key: &'static str,
        /// A further way, where there is one.
        clang: &'static str,
    },
    /// The compiler makes programs for another machine.
    #[error(
        "`{name}` compiles for {made}, and not for {triple}; name another with `{key}` under [target.{triple}]{variable}"
    )]
    OtherMachine {
        /// The compiler as it was asked for.
        name: String,
        /// The machine that it compiles for.
        made: String,
        /// The target.
        triple: String,
        /// The key for it.
        key: &'static str,
        /// A further way, where there is one.
        variable: String,
    },
    /// There is no program that runs those of the target.
    #[error(
        "the runner `{0}` was not found; install it, or name another with `runner` under [target.TRIPLE]"
    )]
    NoRunner(String),
    /// Lean compiles for this machine only.
    #[error(
        "the toolchain of Lean compiles for this machine, and not for {0}; leave out kind = \"lean\", or --target"
    )]
    LeanForTarget(String),
    /// Nobody knows the libraries of the target's system.
    #[error(
        "nobody knows the libraries of the system of {triple}: {tried} not found on PATH, and `pkg-config` would \
         name those of this machine; name a program with `pkg-config`, or the directories of its .pc files with \
         `pkg-config-libdir`, under [target.{triple}]"
    )]
    NoPkgConfigForTarget {
        /// The target.
        triple: String,
        /// The names that were tried.
        tried: String,
    },
    /// No such executable for a command.
    #[error(
        "`{0}` was not found on PATH; install it, or name a file of the package by a path with a `/`"
    )]
    NoProgram(String),
    /// It does not say who it is, and is to be known by that.
    #[error(
        "`{name}` does not say {lacks}, so that it has no name for `fixed-toolchain = true` to go by; leave \
         that out, or name another with `{key}` under [toolchain]"
    )]
    NoName {
        /// The tool as it was asked for.
        name: String,
        /// The answers that it does not give, and to which questions.
        lacks: &'static str,
        /// The manifest's key for it.
        key: String,
    },
    /// It does not say that it is an assembler which tells what it reads.
    #[error(
        "`{name} --version` says neither NASM nor GNU assembler, and of no other larder knows how it tells which files \
         it reads; yasm's sources are NASM's"
    )]
    NoAssembler {
        /// The tool as it was asked for.
        name: String,
    },
    /// There is no such library of the system.
    #[error("the system has no library `{module}`: {said}")]
    NoModule {
        /// The library.
        module: String,
        /// The words of `pkg-config`.
        said: String,
    },
    /// Nobody knows the libraries of the system.
    #[error(
        "`pkg-config`, which knows the libraries of the system, was not found on PATH; install it"
    )]
    NoPkgConfig,
    /// There is no Lean.
    #[error(
        "there is no Lean toolchain: LEAN_SYSROOT is not set, and no `lean` on PATH says where it is \
         (`lean --print-prefix`); install Lean, or set LEAN_SYSROOT to where it is"
    )]
    NoLean,
    /// There is no place for the temporary files of a compiler.
    #[error("cannot make a temporary directory in `{}`: {}", path.display(), describe_io(source))]
    Scratch {
        /// Where it was tried.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is there and cannot be read.
    #[error("cannot read `{}`: {}", path.display(), describe_io(source))]
    Io {
        /// The executable.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Finds executable `name`: a path with a `/` as it is, else the first on `PATH`. `key` is what the
/// manifest calls it, for the message.
///
/// # Errors
/// [`ToolError::NotFound`].
pub fn find_tool(name: &str, key: &str, environment: &Environment) -> Result<PathBuf, ToolError> {
    let (found, where_) = if name.contains('/') {
        (Some(PathBuf::from(name)).filter(|path| is_executable(path)), "")
    } else {
        (on_path(name, environment), " on PATH")
    };
    found.ok_or_else(|| ToolError::NotFound { name: name.to_owned(), where_, key: key.to_owned() })
}

/// The first executable `name` on `PATH`.
pub(super) fn on_path(name: &str, environment: &Environment) -> Option<PathBuf> {
    environment.directories().map(|directory| directory.join(name)).find(|path| is_executable(path))
}

pub(super) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// A tool's file with its hash, byte for byte.
pub(super) fn hash_tool(path: &Path, index: &StatIndex) -> Result<Hashed, ToolError> {
    index
        .file(&path.to_string_lossy(), Content::Binary)
        .map_err(|source| ToolError::Io { path: path.to_owned(), source })
}
