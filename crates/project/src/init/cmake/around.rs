//! Commands of CMake about what is around targets: tests, what is installed, what is made from templates.

use std::fs;

use super::{building::Test, condition, run::Reader, scope::Word};
use crate::init::{
    InstalledHeaders,
    config::{self, Config, Value},
};

impl Reader<'_> {
    /// `add_test(NAME name COMMAND …)`, or the old `add_test(name …)`.
    pub(super) fn test(&mut self, words: &[Word]) {
        let at = |wanted: &str| words.iter().position(|word| word.text == wanted);
        let (name, command) = match (at("NAME"), at("COMMAND")) {
            (Some(name), Some(command)) => (words.get(name + 1), &words[command + 1..]),
            _ => (words.first(), &words[1..]),
        };
        let ends = ["WORKING_DIRECTORY", "CONFIGURATIONS", "COMMAND_EXPAND_LISTS"];
        let end =
            command.iter().position(|word| ends.contains(&&*word.text)).unwrap_or(command.len());
        let directory = at("WORKING_DIRECTORY").and_then(|at| words.get(at + 1)).cloned();
        if let Some(name) = name {
            let command = command[..end].to_vec();
            self.targets.tests.push(Test { name: name.text.clone(), command, directory });
        }
    }

    /// `install(TARGETS …)`, and `install(FILES …)` and `install(DIRECTORY …)` of headers.
    pub(super) fn install(&mut self, what: &str, rest: &[Word]) {
        let after = |key: &str| {
            let at = rest.iter().position(|word| word.text == key)?;
            rest.get(at + 1)
        };
        if what == "TARGETS" {
            for word in rest {
                match self.targets.building(&word.text) {
                    Some(building) => building.target.is_installed = Some(true),
                    None => self.targets.installs_more |= !word.known,
                }
            }
        }
        let to = match (after("TYPE"), after("DESTINATION")) {
            (Some(kind), _) => Some(if kind.text == "INCLUDE" { "include" } else { "" }),
            (_, Some(place)) if place.known => Some(&*place.text),
            _ => None,
        };
        let own = |word: &&Word| !matches!(&*word.text, "DESTINATION" | "TYPE");
        for word in rest.iter().take_while(own).filter(|word| word.known) {
            let Some(path) = self.path(&word.text) else { continue };
            let found = match what {
                "FILES" if path.starts_with("{build}") || self.tree.headers.contains(&path) => {
                    InstalledHeaders::new(&path, to)
                }
                // Without a slash at its end, the directory keeps its name.
                "DIRECTORY" => {
                    let name = word.text.rsplit('/').next().unwrap_or_default();
                    let to = to.map(|to| format!("{to}/{name}"));
                    InstalledHeaders::new(&format!("{path}/"), to.as_deref())
                }
                _ => None,
            };
            self.targets.headers.extend(found);
        }
    }

    pub(super) fn template(&mut self, words: &[Word]) {
        let [from, to, ..] = words else { return };
        if !(from.known && to.known) || words.iter().any(|word| word.text == "COPYONLY") {
            return;
        }
        let to = match to.text.starts_with('/') {
            true => to.text.clone(),
            false => format!("{}/{}", self.scope().get("CMAKE_CURRENT_BINARY_DIR").text, to.text),
        };
        let (Some(from), Some(to)) = (self.path(&from.text), self.path(&to)) else { return };
        let Some(output) = to.strip_prefix("{build}/").map(str::to_owned) else { return };
        let Ok(text) = fs::read_to_string(self.root.join(&from)) else { return };
        let braces = !words.iter().any(|word| word.text == "@ONLY") && text.contains("${");
        let mut config = Config { output, template: Some(from), braces, ..Config::default() };
        for (name, must) in config::names(&text) {
            let value = self.scope().get(&name);
            match self.targets.checks.get(&name) {
                _ if value.known => {
                    let value = match condition::constant(&value.text) {
                        Some(constant) if !must => Value::Boolean(constant),
                        _ => Value::Text(value.text),
                    };
                    config.values.insert(name, value);
                }
                Some(asks) => _ = config.checks.insert(name, asks.clone()),
                None if must => {
                    let why = format!(
                        "its template has @{name}@, which only CMake knows: write a [[config]]"
                    );
                    return self.leave_out(config.output, why);
                }
                None => config.unknown.push(name),
            }
        }
        self.targets.configs.push(config);
    }
}
