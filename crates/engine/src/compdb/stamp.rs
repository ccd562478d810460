//! What a `compile_commands.json` was made from, so that a build with nothing to do need not make it again.
//!
//! What a build reads of files is in the stat index, which is written only when something is new. So as long as
//! the index is the same file, and with it the manifests, the choices, the environment and the names in all
//! directories that were looked into, the commands are the same. A source that no build has
//! looked at since it was changed counts when one does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use larder_project::{plan::Plan, workspace::LARDER_DIR};
use larder_trace::{BuildTrace, Content, FileStat, Moment, atomic};
use rustix::fs::CWD;
use serde::{Deserialize, Serialize};

use super::{FILE_NAME, WANTED};
use crate::{build::BuildRequest, environment::Environment, flags};

/// The version of the format.
const VERSION: u32 = 1;

/// The status of a file or directory.
type Seen = (u64, i64, i64, u64);

/// What decides the commands, as `.larder/compdb` holds it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stamp {
    schema_version: u32,
    /// A hash of the manifests, the choices and the environment.
    facts: String,
    /// The stat index.
    index: Seen,
    /// The file itself.
    file: Seen,
    /// The directories that were looked into.
    directories: BTreeMap<PathBuf, Seen>,
}

/// What is known before commands are looked for.
pub(super) struct Before {
    root: PathBuf,
    facts: String,
    index: Seen,
    begun: Moment,
}

impl Before {
    /// Looks at what decides the commands of `plan`.
    pub fn look(request: &BuildRequest, plan: &Plan, environment: &Environment) -> Self {
        let root = plan.workspace.root.clone();
        let index = of_file(&root.join(LARDER_DIR).join("index"));
        Self { facts: facts(request, plan, environment), index, begun: Moment::now(), root }
    }

    /// Whether the file that is there was made from the same.
    pub fn is_current(&self) -> bool {
        let stamp = || serde_json::from_slice(&fs::read(self.place()).ok()?).ok();
        let Some(Stamp { schema_version, facts, index, file, directories }) = stamp() else {
            return false;
        };
        schema_version == VERSION
            && facts == self.facts
            && index == self.index
            && file == of_file(&self.root.join(FILE_NAME))
            && directories.iter().all(|(path, then)| seen(&of_directory(path)) == *then)
    }

    /// Writes down what the file was made from, for which these directories were looked into. Where one of them
    /// may have changed meanwhile, it says only that somebody wants the file.
    pub fn stamp(&self, directories: &BTreeSet<PathBuf>) -> std::io::Result<()> {
        let found = directories.iter().map(|path| (path, of_directory(path)));
        let found: Vec<(&PathBuf, FileStat)> = found.collect();
        let settled = |stat: &FileStat| *stat == FileStat::ABSENT || stat.is_older_than(self.begun);
        let text = match found.iter().all(|(_, stat)| settled(stat)) {
            false => Vec::new(),
            true => {
                let stamp = Stamp {
                    schema_version: VERSION,
                    facts: self.facts.clone(),
                    index: self.index,
                    file: of_file(&self.root.join(FILE_NAME)),
                    directories: found
                        .into_iter()
                        .map(|(path, stat)| (path.clone(), seen(&stat)))
                        .collect(),
                };
                serde_json::to_vec(&stamp).unwrap_or_default()
            }
        };
        atomic::write_if_changed(&self.place(), &text).map(|_| ())
    }

    fn place(&self) -> PathBuf {
        self.root.join(LARDER_DIR).join(WANTED)
    }
}

/// Returns a hash of what decides the commands besides files that are built from.
fn facts(request: &BuildRequest, plan: &Plan, environment: &Environment) -> String {
    let mut packages = Vec::new();
    for package in &plan.workspace.packages {
        let directory = package.place.directory.to_string_lossy().into_owned();
        let text = package.manifest.source.text.to_string();
        packages.extend([package.place.name.clone(), directory, text]);
    }
    let variables = environment.iter().filter(|(name, _)| flags::decides_commands(name));
    let variables = variables.map(|(name, value)| format!("{name:?}={value:?}"));
    BuildTrace::text("larder", env!("CARGO_PKG_VERSION"))
        .mix(BuildTrace::list("packages", &packages))
        .mix(BuildTrace::text("choices", format!("{:?}", request.choices)))
        .mix(BuildTrace::text("cross", format!("{:?}", plan.workspace.cross)))
        .mix(BuildTrace::text("sandbox", request.sandbox.is_some().to_string()))
        .mix(BuildTrace::list("variables", &variables.collect::<Vec<_>>()))
        .hash()
        .to_string()
}

fn of_file(path: &Path) -> Seen {
    seen(&FileStat::at(CWD, path, Content::Binary).unwrap_or(FileStat::ABSENT))
}

fn of_directory(path: &Path) -> FileStat {
    FileStat::at(CWD, path, Content::Names).unwrap_or(FileStat::ABSENT)
}

/// Returns a status as it is written down.
fn seen(stat: &FileStat) -> Seen {
    (stat.size, stat.mtime.0, stat.ctime.0, stat.inode)
}
