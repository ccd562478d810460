//! Git as a process, with nothing of the surroundings but what it needs to reach a repository.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::Path,
    process::{Command, Stdio},
};

use super::GitError;
use crate::repository::without_password;

pub(super) fn failed(action: &'static str, subject: &str, said: &str) -> GitError {
    GitError::Failed { action, url: without_password(subject), said: said.to_owned() }
}

/// Variables that a surrounding `git` may have set for its own repository (`git rev-parse --local-env-vars`).
const REPOSITORY_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    "GIT_DEFAULT_HASH",
    "GIT_EXTERNAL_DIFF",
    "GIT_CEILING_DIRECTORIES",
    "GIT_ATTR_SOURCE",
];

const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.sparseCheckout=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    // A collection in the background would still be at work when the checkout is moved.
    "gc.auto=0",
    "maintenance.auto=false",
    // A server that sends nothing for a minute is not waited for any longer.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

/// Files that Git reads from and writes to; without them, nothing and the text that is returned.
#[derive(Default)]
pub(super) struct Streams<'a> {
    /// Its standard input, from where the file stands.
    pub input: Option<&'a File>,
    /// Its standard output.
    pub output: Option<&'a File>,
}

/// Runs `git` in `directory`. Errors say that it was to do `action` with `subject`, a repository.
pub(super) fn run<S: AsRef<OsStr>>(
    action: &'static str,
    subject: &str,
    directory: Option<&Path>,
    arguments: &[S],
) -> Result<String, GitError> {
    run_with(&Streams::default(), action, subject, directory, arguments)
}

/// [`run`] with files to read from and to write to.
pub(super) fn run_with<S: AsRef<OsStr>>(
    streams: &Streams<'_>,
    action: &'static str,
    subject: &str,
    directory: Option<&Path>,
    arguments: &[S],
) -> Result<String, GitError> {
    let mut command = Command::new("git");
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "https:ssh:git:file")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C");
    if let Some(directory) = directory {
        command.arg("-C").arg(directory);
        // Never a repository further up, should this one be gone.
        command.env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
    }
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    let stream = |file: Option<&File>, otherwise: fn() -> Stdio| -> io::Result<Stdio> {
        file.map_or_else(|| Ok(otherwise()), |file| Ok(file.try_clone()?.into()))
    };
    let output = stream(streams.input, Stdio::null)
        .and_then(|input| Ok((input, stream(streams.output, Stdio::piped)?)))
        .and_then(|(input, output)| command.args(arguments).stdin(input).stdout(output).output())
        .map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = without_password(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = match lines.is_empty() {
        true => format!("git ended with {}", output.status),
        false => lines.iter().take(6).copied().collect::<Vec<_>>().join("; "),
    };
    Err(failed(action, subject, &said))
}
