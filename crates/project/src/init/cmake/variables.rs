//! Commands of CMake that set variables.

use super::{run::Reader, scope::Word, syntax::Command};
use crate::init::config::Asks;

/// Commands that change nothing that is read here.
const WITHOUT_EFFECT: &[&str] = &[
    "cmake_minimum_required",
    "cmake_policy",
    "message",
    "mark_as_advanced",
    "include_guard",
    "export",
    "enable_language",
    "source_group",
    "write_basic_package_version_file",
    "configure_package_config_file",
];

impl Reader<'_> {
    /// Does what a command says of variables. Returns whether it is known.
    pub(super) fn variable_command(&mut self, command: &Command, words: &[Word]) -> bool {
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        if words.iter().all(|word| word.known) {
            self.targets.checks.extend(Asks::of_cmake(&command.name, &texts));
        }
        match (&*command.name, &*texts) {
            ("set", [name, ..]) => self.set(name, &words[1..]),
            ("unset", [name, ..]) => self.scope_mut().unset(name),
            ("option", [name, rest @ ..]) => {
                let help = rest.first().copied().unwrap_or_default();
                let value = words.get(2).cloned().unwrap_or_else(|| Word::known("OFF"));
                if self.scope().is_set(name) == Some(false) {
                    let shown = (help.to_owned(), value.text.clone());
                    self.options.insert((*name).to_owned(), shown);
                    self.scope_mut().set(name, value);
                }
            }
            ("project", [name, rest @ ..]) => self.project(name, rest, words),
            ("list", [operation, name, ..]) => self.list(operation, name, &words[2..]),
            ("string", [operation, ..]) => return self.string(operation, words),
            ("get_filename_component", [name, path, part, ..]) if words[1].known => {
                let file = path.rsplit('/').next().unwrap_or(path);
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                let value = match *part {
                    "NAME" => file,
                    "NAME_WE" => file.split('.').next().unwrap_or(file),
                    "NAME_WLE" => file.rsplit_once('.').map_or(file, |(stem, _)| stem),
                    "DIRECTORY" | "PATH" => directory,
                    "ABSOLUTE" | "REALPATH" if path.starts_with('/') => path,
                    _ => return false,
                };
                self.scope_mut().set(name, Word::known(value));
            }
            ("find_package", [name, rest @ ..]) => {
                for form in [(*name).to_owned(), name.to_ascii_uppercase()] {
                    self.scope_mut().forget_all(&format!("{form}_"));
                    // Whatever asks for it by all means has it, or gives up.
                    if rest.contains(&"REQUIRED") || *name == "Threads" {
                        self.scope_mut().set(&format!("{form}_FOUND"), Word::known("TRUE"));
                    }
                }
            }
            ("pkg_check_modules" | "pkg_search_module", [prefix, rest @ ..]) => {
                let is_module = |word: &&&str| !word.chars().any(|c| c.is_ascii_uppercase());
                let modules: Vec<String> =
                    rest.iter().filter(is_module).map(|word| requirement(word)).collect();
                self.targets.modules.insert((*prefix).to_owned(), modules);
                self.scope_mut().forget_all(&format!("{prefix}_"));
                if rest.contains(&"REQUIRED") {
                    self.scope_mut().set(&format!("{prefix}_FOUND"), Word::known("1"));
                }
            }
            ("find_library", [variable, rest @ ..]) => {
                let name = rest.iter().find(|word| **word != "NAMES");
                if let Some(name) = name.filter(|_| words.iter().all(|word| word.known)) {
                    self.targets.searched.insert((*variable).to_owned(), (*name).to_owned());
                }
                self.scope_mut().forget(variable);
            }
            ("cmake_parse_arguments", [prefix, ..]) if *prefix != "PARSE_ARGV" => {
                self.parse_arguments(prefix, command);
            }
            (name, _) => return WITHOUT_EFFECT.contains(&name),
        }
        true
    }

    fn set(&mut self, name: &str, values: &[Word]) {
        if name.starts_with("ENV{") {
            return;
        }
        let is_cache = values.iter().position(|word| word.text == "CACHE");
        let above = values.last().is_some_and(|word| word.text == "PARENT_SCOPE");
        let values = &values[..is_cache.unwrap_or(values.len() - usize::from(above))];
        // A cache entry does not win over a variable.
        if is_cache.is_some() && self.scope().is_set(name) != Some(false) {
            return;
        }
        let value = joined(values);
        self.assign(name, (!values.is_empty()).then_some(value), above);
    }

    fn project(&mut self, name: &str, rest: &[&str], words: &[Word]) {
        let version = rest.iter().position(|word| *word == "VERSION");
        let version = version.and_then(|at| words.get(at + 2)).filter(|word| word.known);
        let version = version.map(|word| word.text.clone()).unwrap_or_default();
        let is_first = self.version.is_empty() && self.directory.is_empty();
        if self.directory.is_empty() && words[0].known {
            name.clone_into(&mut self.name);
        }
        if is_first {
            self.version.clone_from(&version);
            self.scope_mut().set("CMAKE_PROJECT_NAME", Word::known(name));
        }
        for (ours, own) in
            [("CMAKE_CURRENT_SOURCE_DIR", "SOURCE_DIR"), ("CMAKE_CURRENT_BINARY_DIR", "BINARY_DIR")]
        {
            let value = self.scope().get(ours);
            for prefix in ["PROJECT", name] {
                self.scope_mut().set(&format!("{prefix}_{own}"), value.clone());
            }
        }
        self.scope_mut().set("PROJECT_NAME", Word::known(name));
        let is_top = if self.directory.is_empty() { "ON" } else { "OFF" };
        self.scope_mut().set("PROJECT_IS_TOP_LEVEL", Word::known(is_top));
        let parts: Vec<&str> = version.split('.').collect();
        for prefix in ["PROJECT", name] {
            self.scope_mut().set(&format!("{prefix}_VERSION"), Word::known(&*version));
            for (at, part) in ["MAJOR", "MINOR", "PATCH", "TWEAK"].into_iter().enumerate() {
                let value = Word::known(parts.get(at).copied().unwrap_or_default());
                self.scope_mut().set(&format!("{prefix}_VERSION_{part}"), value);
            }
        }
    }

    fn list(&mut self, operation: &str, name: &str, values: &[Word]) {
        let before = self.scope().get(name);
        let mut entries: Vec<Word> = before.entries().collect();
        let is_given = |entry: &Word| values.iter().any(|value| value.text == entry.text);
        match operation {
            "APPEND" => entries.extend(values.iter().cloned()),
            "INSERT" => {
                let Some((at, values)) = values.split_first() else { return };
                let count = entries.len();
                let from_end =
                    at.text.strip_prefix('-').and_then(|it| count.checked_sub(it.parse().ok()?));
                match from_end.or_else(|| at.text.parse().ok()).filter(|at| *at <= count) {
                    Some(at) => _ = entries.splice(at..at, values.iter().cloned()),
                    None => return self.scope_mut().forget(name),
                }
            }
            "PREPEND" => entries = values.iter().cloned().chain(entries).collect(),
            "REMOVE_ITEM" => entries.retain(|entry| !is_given(entry)),
            "REMOVE_DUPLICATES" => {
                let mut seen = Vec::new();
                entries.retain(|entry| {
                    let is_new = !seen.contains(&entry.text);
                    seen.push(entry.text.clone());
                    is_new
                });
            }
            "SORT" => entries.sort_by(|one, other| one.text.cmp(&other.text)),
            "REVERSE" => entries.reverse(),
            "TRANSFORM" => match values {
                [how, with] if matches!(&*how.text, "PREPEND" | "APPEND") => {
                    for entry in &mut entries {
                        entry.known &= with.known;
                        entry.text = match &*how.text {
                            "PREPEND" => format!("{}{}", with.text, entry.text),
                            _ => format!("{}{}", entry.text, with.text),
                        };
                    }
                }
                _ => return self.scope_mut().forget(name),
            },
            _ => {
                // It sets the variable that is named last, if any, and nobody knows to what.
                if !matches!(operation, "LENGTH" | "GET" | "JOIN" | "SUBLIST" | "FIND") {
                    self.scope_mut().forget(name);
                }
                if let Some(last) = values.last() {
                    let last = last.text.clone();
                    self.scope_mut().forget(&last);
                }
                return;
            }
        }
        let value = joined(&entries);
        self.scope_mut().set(name, value);
    }

    fn string(&mut self, operation: &str, words: &[Word]) -> bool {
        let rest = &words[1..];
        let known =
            |text: String, from: &[Word]| Word { text, known: from.iter().all(|it| it.known) };
        let (name, value) = match (operation, rest) {
            ("TOUPPER", [of, name]) => (name, known(of.text.to_ascii_uppercase(), rest)),
            ("TOLOWER", [of, name]) => (name, known(of.text.to_ascii_lowercase(), rest)),
            ("STRIP", [of, name]) => (name, known(of.text.trim().to_owned(), rest)),
            ("APPEND", [name, more @ ..]) => {
                let before = self.scope().get(&name.text);
                let whole = [std::slice::from_ref(&before), more].concat();
                (name, known(concatenated(&whole), &whole))
            }
            ("CONCAT", [name, more @ ..]) => (name, known(concatenated(more), more)),
            ("REPLACE", [from, to, name, of @ ..]) => {
                (name, known(concatenated(of).replace(&from.text, &to.text), rest))
            }
            _ => return false,
        };
        let name = name.text.clone();
        self.scope_mut().set(&name, value);
        true
    }

    /// `cmake_parse_arguments(PREFIX options one-value multi-value argument…)`.
    fn parse_arguments(&mut self, prefix: &str, command: &Command) {
        // Lists may be empty, so each argument counts by itself.
        let list = |at: usize| -> Vec<String> {
            let argument = command.arguments.get(at).map(std::slice::from_ref).unwrap_or_default();
            let words = self.scope().expand(argument);
            words.iter().flat_map(Word::entries).map(|word| word.text).collect()
        };
        let (options, one, many) = (list(1), list(2), list(3));
        let given = self.scope().expand(command.arguments.get(4..).unwrap_or_default());
        let mut values: Vec<(String, Vec<Word>)> = Vec::new();
        let mut current: Option<(String, bool)> = None;
        for word in given {
            let is = |names: &[String]| names.contains(&word.text);
            if is(&options) {
                values.push((word.text, vec![Word::known("TRUE")]));
                current = None;
            } else if is(&one) || is(&many) {
                values.push((word.text.clone(), Vec::new()));
                current = Some((word.text.clone(), is(&one)));
            } else {
                let name =
                    current.as_ref().map_or("UNPARSED_ARGUMENTS", |(name, _)| name).to_owned();
                match values.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, list)) => list.push(word),
                    None => values.push((name, vec![word])),
                }
                current = current.filter(|(_, is_one)| !is_one);
            }
        }
        let names = options.iter().chain(&one).chain(&many).map(String::as_str);
        for name in names.chain(["UNPARSED_ARGUMENTS"]) {
            let value =
                values.iter().find(|(known, _)| known == name).map(|(_, list)| joined(list));
            let value =
                value.or_else(|| options.iter().any(|it| it == name).then(|| Word::known("FALSE")));
            self.assign(&format!("{prefix}_{name}"), value, false);
        }
    }
}

/// A module of `pkg-config` as a manifest names it: CMake writes `zlib>=1.2`.
fn requirement(word: &str) -> String {
    match word.find(['<', '>', '=']) {
        Some(at) => {
            let (name, rest) = word.split_at(at);
            let version = rest.trim_start_matches(['<', '>', '=']);
            format!("{name} {} {version}", &rest[..rest.len() - version.len()])
        }
        None => word.to_owned(),
    }
}

/// Words as a list.
fn joined(words: &[Word]) -> Word {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    // Each entry is known or not by itself: one that is not shows what it lacks.
    Word { text: texts.join(";"), known: words.iter().all(|word| word.known) }
}

fn concatenated(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect()
}
