//! Programs that are scripts: what reads them, and what they may run.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::find::{is_executable, on_path};
use crate::environment::Environment;

/// Scripts are looked through up to this length, in bytes; no wrapper of a compiler is longer.
const LIMIT: u64 = 256 * 1024;

/// Words that a shell does not look for on `PATH`.
const BUILT_IN: &[&str] =
    &["[", "echo", "exec", "false", "kill", "printf", "pwd", "test", "time", "true"];

/// The text of the program at `path` when that is a script: a file that begins with `#!`.
pub fn text_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut text = vec![0; 2];
    file.read_exact(&mut text).ok()?;
    if text != b"#!" {
        return None;
    }
    file.take(LIMIT).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The programs that the first line of a script names: its interpreter, and with `env` the program
/// that this finds on `PATH`. Absolute paths and bare names.
pub fn interpreters(script: &str) -> Vec<&str> {
    let line = script.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("");
    let mut words = line.split_whitespace();
    let Some(interpreter) = words.next() else { return Vec::new() };
    let by_name = interpreter.ends_with("/env");
    let found = by_name.then(|| words.find(|word| !word.starts_with('-') && !word.contains('=')));
    [Some(interpreter), found.flatten()].into_iter().flatten().collect()
}

/// Every executable that the text of a script may run: each of its words that is the path of one, or
/// a name that is found on `PATH`. More than it runs, so that nothing it runs by a plain name is
/// missed. A program whose name the script computes is not found.
pub fn mentioned(script: &str, environment: &Environment) -> Vec<PathBuf> {
    let lines = script.lines().skip(1).filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split(|c: char| !is_part_of_path(c)));
    let mut words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.dedup();
    let found = words.into_iter().filter_map(|word| match word.contains('/') {
        true => Some(PathBuf::from(word)).filter(|path| path.is_absolute() && is_executable(path)),
        false if BUILT_IN.contains(&word) => None,
        false => on_path(word, environment),
    });
    found.collect()
}

fn is_part_of_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '@' | '[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        assert_eq!(interpreters("#!/bin/sh\nexit\n"), ["/bin/sh"]);
        assert_eq!(interpreters("#! /usr/bin/perl -w\n"), ["/usr/bin/perl"]);
        assert_eq!(interpreters("#!/usr/bin/env -S A=1 python3 -u\n"), ["/usr/bin/env", "python3"]);
        assert_eq!(interpreters("#!\n"), [""; 0]);
    }
}
