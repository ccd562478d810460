//! Running the tools of build systems.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use larder_trace::describe_io;
use serde_json::Value;

use crate::environment::Environment;

/// Makes sure that a tool is on `PATH`.
///
/// # Errors
/// It is not.
pub fn find(program: &str, environment: &Environment) -> Result<(), String> {
    let is_there = |path: PathBuf| path.join(program).is_file();
    match environment.directories().any(is_there) {
        true => Ok(()),
        false => Err(format!("there is no {program} on PATH")),
    }
}

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
    find(program, environment)?;
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
    Err(format!("{program} failed: {}", reason(&String::from_utf8_lossy(&said))))
}

/// So many lines of an error are told.
const MOST_LINES: usize = 6;

/// The first error in what a tool printed, in one line, or the last that it said.
fn reason(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error =
        |line: &&str| ["CMake Error", "ERROR", "error:"].iter().any(|it| line.contains(it));
    let told = match lines.iter().position(is_error) {
        Some(at) => {
            let rest = &lines[at + 1..];
            let begins = |line: &&str| {
                let others = ["CMake ", "Call Stack", "-- ", "See also", "A full log"];
                others.iter().any(|it| line.starts_with(it))
            };
            let more = rest.iter().position(begins).unwrap_or(rest.len());
            &lines[at..at + 1 + more.min(MOST_LINES - 1)]
        }
        None => &lines[lines.len().saturating_sub(3)..],
    };
    told.join(" ")
}

/// Reads a file of JSON.
///
/// # Errors
/// Why that is not possible.
pub fn read(path: &Path) -> Result<Value, String> {
    let text = fs::read(path).map_err(|error| describe_io(&error))?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// The text of a value, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The entries of an array, or none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_first_error_is_told_whole() {
        let cmake = "-- Looking for x\n-- Configuring incomplete, errors occurred!\nSee also \"/b/CMakeError.log\".\n\
                     CMake Error at CMakeLists.txt:3 (add_subdirectory):\n  The source directory\n\n    /p/sub\n\n  \
                     does not contain a CMakeLists.txt file.\n\nCall Stack (most recent call first):\n  x\n";
        assert_eq!(
            reason(cmake),
            "CMake Error at CMakeLists.txt:3 (add_subdirectory): The source directory /p/sub does not contain a \
             CMakeLists.txt file."
        );
        let meson = "Project name: x\n\nmeson.build:2:0: ERROR: Dependency \"y\" not found\n\nA full log can be found at /b\n";
        assert_eq!(reason(meson), "meson.build:2:0: ERROR: Dependency \"y\" not found");
        assert_eq!(reason("a\nb\n\nc\nd\n"), "b c d");
        assert_eq!(reason(""), "");
    }
}
