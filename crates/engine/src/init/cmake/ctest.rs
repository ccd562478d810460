//! The tests that CTest runs.

use std::{collections::BTreeMap, fs, path::Path};

use larder_project::init::{
    Package,
    declared::{self, Declared},
};
use serde_json::Value;

use super::Reply;
use crate::init::tools::{list, text};

impl Reply<'_> {
    /// Marks the programs that CTest runs.
    pub(super) fn tests(&self, names: &BTreeMap<String, String>, package: &mut Package) {
        let mut declared = Vec::new();
        found(&self.build, &mut declared);
        let program = |file: &str| {
            let is_it = |value: &&Value| {
                let artifacts = list(&value["artifacts"]).iter();
                artifacts
                    .map(|it| self.build.join(text(&it["path"])))
                    .any(|it| it == Path::new(file))
            };
            let id = self.targets.iter().find(|(_, value)| is_it(value))?.0;
            names.get(id).cloned()
        };
        declared::mark(package, &declared, self.directory, &self.build, program);
    }
}

/// The tests that `CTestTestfile.cmake` in `directory` and below declares. CTest itself tells the commands of
/// those only whose programs are built.
fn found(directory: &Path, tests: &mut Vec<Declared>) {
    let text = fs::read_to_string(directory.join("CTestTestfile.cmake")).unwrap_or_default();
    for line in text.lines() {
        let Some((command, rest)) = line.split_once('(') else { continue };
        let mut words = words(rest);
        match command {
            "subdirs" => words.iter().for_each(|it| found(&directory.join(it), tests)),
            "add_test" if !words.is_empty() => {
                let name = words.remove(0);
                // Tests run in the directory of the build that declares them, and programs are looked for there.
                if let Some(program) = words.first_mut() {
                    *program = directory.join(&*program).to_string_lossy().into_owned();
                }
                tests.push(Declared { name, words, directory: None });
            }
            "set_tests_properties" => {
                let at = words.iter().position(|word| word == "WORKING_DIRECTORY");
                let value = at.and_then(|at| words.get(at + 1)).cloned();
                let name = words.first();
                let test = tests.iter_mut().rev().find(|test| Some(&test.name) == name);
                if let (Some(test), Some(_)) = (test, &value) {
                    test.directory = value;
                }
            }
            _ => {}
        }
    }
}

/// The arguments of a command of CMake up to its closing parenthesis: quoted, in brackets, or bare.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with(')') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut word = String::new();
            let mut chars = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => word.extend(chars.next().map(|(_, c)| c)),
                    c => word.push(c),
                }
            }
            words.push(word);
            rest = &quoted[end..];
        } else if let Some(level) = bracket(rest) {
            let inner = &rest[level + 2..];
            let close = format!("]{}]", "=".repeat(level));
            let (word, after) = inner.split_once(&close).unwrap_or((inner, ""));
            words.push(word.to_owned());
            rest = after;
        } else {
            let end = rest.find([' ', ')']).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    words
}

/// How many `=` are in the opening bracket that a text begins with: `[[`, `[=[`.
fn bracket(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('[')?;
    let level = rest.len() - rest.trim_start_matches('=').len();
    rest[level..].starts_with('[').then_some(level)
}

#[cfg(test)]
mod words_of_cmake {
    use super::words;

    #[test]
    fn are_split_as_cmake_writes_them() {
        let line = r#"[=[a b]=] "/x/y" "a\"b;c\\" bare [[x]])"#;
        assert_eq!(words(line), ["a b", "/x/y", "a\"b;c\\", "bare", "x"]);
        assert_eq!(words(r#"a "/open"#), ["a", "/open"]);
        assert!(words(")").is_empty());
    }
}
