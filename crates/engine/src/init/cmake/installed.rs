//! What CMake installs.

use std::{collections::BTreeSet, path::Path};

use larder_project::init::{InstalledHeaders, inside};
use serde_json::Value;

use crate::init::tools::{list, text};

/// What is installed of a project.
#[derive(Debug, Default)]
pub struct Installed {
    pub headers: Vec<InstalledHeaders>,
    /// The ids of targets.
    targets: BTreeSet<String>,
    /// Files of the build directory.
    made: BTreeSet<String>,
}

impl Installed {
    /// Reads what the directories of the project in `source` say, which is built in `build`.
    pub fn read(directories: impl Iterator<Item = Value>, source: &Path, build: &Path) -> Self {
        let mut found = Self::default();
        for directory in directories {
            for installer in list(&directory["installers"]) {
                match text(&installer["type"]) {
                    "target" => _ = found.targets.insert(text(&installer["targetId"]).to_owned()),
                    "export" => {
                        let targets = list(&installer["exportTargets"]).iter();
                        found.targets.extend(targets.map(|it| text(&it["id"]).to_owned()));
                    }
                    "file" | "fileSet" => {
                        found.headers.extend(headers(installer, "", source, build));
                        let paths = list(&installer["paths"]).iter().filter_map(Value::as_str);
                        found.made.extend(paths.filter_map(|path| inside(path, source, build)));
                    }
                    "directory" => found.headers.extend(headers(installer, "/", source, build)),
                    _ => {}
                }
            }
        }
        found
    }

    /// Whether others are told of the target called `name`.
    pub fn exports(&self, name: &str) -> bool {
        let start = format!("{name}::@");
        self.targets.iter().any(|id| id.starts_with(&start))
    }

    /// Whether the target is installed: by its name, or as a file that it makes.
    pub fn has(&self, id: &str, target: &Value) -> bool {
        let mut made = list(&target["artifacts"]).iter().map(|it| text(&it["path"]));
        self.targets.contains(id) || made.any(|path| self.made.contains(path))
    }
}

/// The headers among the paths of `installer`, all of which are of files, or with the `end` of a slash, of directories.
fn headers(installer: &Value, end: &str, source: &Path, build: &Path) -> Vec<InstalledHeaders> {
    let destination = text(&installer["destination"]);
    let found = list(&installer["paths"]).iter().filter_map(|entry| {
        // An entry is a path from the project's directory, or one with what it becomes.
        let from = entry.as_str().unwrap_or_else(|| text(&entry["from"]));
        let to = entry["to"].as_str().or_else(|| from.rsplit('/').next()).unwrap_or_default();
        let directory = match end {
            "" => to.rsplit_once('/').map_or("", |(directory, _)| directory),
            _ => to,
        };
        let path = match inside(from, source, build) {
            Some(path) => format!("{{build}}/{path}"),
            None => inside(from, source, source)?,
        };
        InstalledHeaders::new(&format!("{path}{end}"), Some(&format!("{destination}/{directory}")))
    });
    found.collect()
}
