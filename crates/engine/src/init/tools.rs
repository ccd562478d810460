//! Running the tools of build systems.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use larder_trace::describe_io;
use serde_json::Value;

use crate::environment::Environment;

/// Runs a tool that is on `PATH` to its end. Returns what it printed on standard output.
///
/// # Errors
/// Why it came to nothing, with the last that it said.
pub fn run(
    program: &str,
    arguments: &[&str],
    directory: &Path,
    environment: &Environment,
) -> Result<String, String> {
    let is_there = |path: std::path::PathBuf| path.join(program).is_file();
    if !environment.directories().any(is_there) {
        return Err(format!("there is no {program} on PATH"));
    }
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(environment.iter())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {program}: {}", describe_io(&error)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().position(|line| {
        line.contains("ERROR") || line.contains("Error") || line.contains("error:")
    });
    let told = match error {
        Some(at) => &lines[at..lines.len().min(at + 3)],
        None => &lines[lines.len().saturating_sub(3)..],
    };
    Err(format!("{program} failed: {}", told.join("; ")))
}

/// The text of a value, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The entries of an array, or none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
