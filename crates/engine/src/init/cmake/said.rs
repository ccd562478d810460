//! What the files of a package and CMake's cache say of questions and options.

use std::{fs, path::Path};

use larder_project::init::{CmakeCommands, config::Asks};
use serde_json::Value;

use crate::init::tools::{list, text};

/// What the files of the package say, and of answers that they do not tell about, the cache.
pub fn commands(directory: &Path, files: &[String], cache: &[Value]) -> CmakeCommands {
    let mut found = CmakeCommands::default();
    for file in files.iter().filter(|it| it.ends_with("CMakeLists.txt") || it.ends_with(".cmake")) {
        let text = fs::read(directory.join(file)).unwrap_or_default();
        found.read(&String::from_utf8_lossy(&text));
    }
    for entry in cache {
        let name = |prefix: &str| {
            let name = help(entry).strip_prefix(prefix)?.trim();
            let is_one = !name.is_empty() && !name.contains([' ', ';', ',']);
            is_one.then(|| name.to_owned())
        };
        let asks = match (name("Have include "), name("Have function ")) {
            (Some(name), _) => Asks::Header { name, before: Vec::new() },
            (_, Some(name)) => Asks::Function { name, library: None },
            _ => continue,
        };
        found.checks.entry(text(&entry["name"]).to_owned()).or_insert(asks);
    }
    found
}

/// What the cache says that an entry is for.
pub fn help(entry: &Value) -> &str {
    let help = list(&entry["properties"]).iter().find(|it| it["name"] == "HELPSTRING");
    help.map_or("", |it| text(&it["value"]))
}
