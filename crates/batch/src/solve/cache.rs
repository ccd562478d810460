//! Solutions that were found before, in `DATA/solutions/solved`, by the hash of what they were made from.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use crate::kept;

/// The file in the directory of solutions.
const FILE: &str = "solved";

/// The version of the file's form.
const FORMAT: u32 = 1;

/// The most solutions that are kept. Those that were of use last are kept first.
const MOST: usize = 200_000;

/// What came of solving, in words that mean the same in any catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kept {
    /// The chosen package versions, by their places in the list of names.
    Chosen(Vec<u32>),
    /// Why there is no solution.
    Explanation(String),
}

/// The solutions of earlier runs.
#[derive(Debug, Default)]
pub(super) struct Cache {
    names: Vec<String>,
    kept: HashMap<ContentHash, Kept>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    names: Vec<String>,
    solved: Vec<(ContentHash, Kept)>,
}

impl Cache {
    /// Reads the solutions kept in `directory`; none where there are none that can be used.
    pub fn read(directory: &Path) -> Self {
        match kept::read::<File>(&directory.join(FILE)).filter(|file| file.format == FORMAT) {
            Some(file) => Self { names: file.names, kept: file.solved.into_iter().collect() },
            None => Self::default(),
        }
    }

    /// The names of package versions that solutions speak of.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What came of what has this key; `None` where that is not known.
    pub fn get(&self, key: &ContentHash) -> Option<&Kept> {
        self.kept.get(key)
    }

    /// Writes `solved` and, of those that were read, as many others as there is room for.
    pub fn write<'s>(
        &self,
        directory: &Path,
        solved: impl Iterator<Item = (ContentHash, Result<Vec<&'s str>, &'s str>)>,
    ) {
        let mut file = File { format: FORMAT, names: Vec::new(), solved: Vec::new() };
        let mut places = HashMap::new();
        let mut add = |key: ContentHash, came: Result<Vec<&str>, &str>| {
            let mut place = |name: &str| {
                *places.entry(name.to_owned()).or_insert_with(|| {
                    file.names.push(name.to_owned());
                    file.names.len() as u32 - 1
                })
            };
            let kept = match came {
                Ok(chosen) => Kept::Chosen(chosen.into_iter().map(&mut place).collect()),
                Err(text) => Kept::Explanation(text.to_owned()),
            };
            file.solved.push((key, kept));
        };
        let mut used = HashSet::new();
        for (key, came) in solved {
            if used.insert(key) {
                add(key, came);
            }
        }
        let mut others: Vec<&ContentHash> =
            self.kept.keys().filter(|key| !used.contains(*key)).collect();
        others.sort_unstable();
        for key in others.into_iter().take(MOST.saturating_sub(used.len())) {
            match &self.kept[key] {
                Kept::Explanation(text) => add(*key, Err(text)),
                Kept::Chosen(places) => {
                    let name = |place: &u32| self.names.get(*place as usize).map(String::as_str);
                    if let Some(names) = places.iter().map(name).collect::<Option<_>>() {
                        add(*key, Ok(names));
                    }
                }
            }
        }
        kept::write(&directory.join(FILE), &file);
    }
}
