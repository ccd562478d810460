//! Names of tools: what they say of themselves, for packages that count their toolchain by name.
//!
//! A package with `fixed-toolchain = true` says that its outputs are the same whoever built the
//! toolchain, as long as it has the same name and version. A tool that says neither has no name, and is
//! refused.

use std::process::{Command, Stdio};

use larder_trace::{BuildTrace, StatIndex};

use super::{Compiler, ToolError, program::Program, script};
use crate::environment::Environment;

/// The programs of a Lean installation that commands run: they count as Lean does.
const OF_LEAN: [&str; 3] = ["lean", "leanc", "lake"];

/// Whether a command that runs `program` runs Lean.
pub fn is_of_lean(program: &str) -> bool {
    OF_LEAN.contains(&program)
}

/// The trace of `compiler` by name, as the tool for `key`.
///
/// # Errors
/// When it does not say all of it.
pub fn of_compiler(compiler: &Compiler, key: &'static str) -> Result<BuildTrace, ToolError> {
    compiler.by_name.clone().ok_or_else(|| ToolError::NoName {
        name: compiler.name.clone(),
        lacks: "its version, its target and the version of its linker (`-v`, `-dumpmachine`, `-Wl,--version`)",
        key: key.to_owned(),
    })
}

/// The trace of the archiver by name: all that it says when it is asked for its version.
///
/// # Errors
/// When it does not say any.
pub fn of_archiver(
    archiver: &Program,
    index: &StatIndex,
    environment: &Environment,
) -> Result<BuildTrace, ToolError> {
    let said = said(archiver, index, environment).ok_or_else(|| ToolError::NoName {
        name: archiver.name.clone(),
        lacks: "its version (`--version`)",
        key: "ar".to_owned(),
    })?;
    Ok(BuildTrace::nil("ar").mix(BuildTrace::text("name", said)))
}

/// The answer to `--version`, remembered for as long as the program is the same. A script may have
/// another program answer, so it is asked every time.
pub(super) fn said(
    program: &Program,
    index: &StatIndex,
    environment: &Environment,
) -> Option<String> {
    let key = format!("says {} {}", program.path.display(), program.trace.hash());
    let is_script = script::text_of(&program.path).is_some();
    if let Some(said) = index.note(&key).filter(|_| !is_script) {
        return Some(said);
    }
    let mut command = Command::new(&program.path);
    command.arg("--version").stdin(Stdio::null()).env_clear().env("LC_ALL", "C.UTF-8");
    for name in ["PATH", "HOME"] {
        command.envs(environment.get(name).map(|value| (name, value)));
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    if said.is_empty() {
        return None;
    }
    index.set_note(&key, &said);
    Some(said)
}
