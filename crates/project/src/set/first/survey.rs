//! Looking for packages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use larder_trace::describe_io;

use super::{
    FirstSet,
    tree::{BuildSystem, SourceTree, beginning, id, looks_for},
};
use crate::{
    glob::is_pattern,
    init::LeftOut,
    manifest::{self, Document},
    scaffold::ScaffoldError,
    set::names::is_package_version,
};

/// So deep below the set's directory packages are looked for.
const DEPTH: usize = 4;

/// Names of directories in which there are no packages, but what builds made.
const NOT_LOOKED_INTO: &[&str] = &["target", "build", "node_modules", "__pycache__"];

/// Looks for packages below `directory`: larder packages, and source trees of others. What is in one of these belongs to it.
/// No link is followed, and names that begin with a dot are left out.
///
/// # Errors
/// When the directory cannot be read.
pub fn survey(directory: &Path, name: &str) -> Result<FirstSet, ScaffoldError> {
    let failed = |source| ScaffoldError::Io { path: directory.to_owned(), source };
    fs::read_dir(directory).map_err(failed)?;
    let mut found = Found::default();
    match directory.join(manifest::FILE_NAME).is_file() {
        true => found.packages.push(".".to_owned()),
        false => found.look(directory, "", DEPTH),
    }
    let mut set =
        FirstSet { name: name.to_owned(), left_out: found.left_out, ..FirstSet::default() };
    let mut taken = BTreeMap::new();
    set.packages = packages(directory, &found.packages, &mut taken, &mut set.left_out);
    set.trees = trees(directory, &found.trees, &mut taken, &mut set.left_out);
    Ok(set)
}

/// The directories with packages, from the set's.
#[derive(Default)]
struct Found {
    packages: Vec<String>,
    trees: Vec<String>,
    left_out: Vec<LeftOut>,
}

impl Found {
    fn look(&mut self, root: &Path, below: &str, depth: usize) {
        let entries = match fs::read_dir(root.join(below)) {
            Ok(entries) => entries,
            Err(error) => return self.leave_out(below, &describe_io(&error)),
        };
        let directories =
            entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<_> = directories.map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let Some(name) = name.to_str() else {
                self.leave_out(&name.to_string_lossy(), "its name is no UTF-8");
                continue;
            };
            if name.starts_with('.') || NOT_LOOKED_INTO.contains(&name) {
                continue;
            }
            let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            let directory = root.join(&path);
            if directory.join(manifest::FILE_NAME).is_file() {
                self.packages.push(path);
            } else if BuildSystem::of(&directory).is_some() {
                self.trees.push(path);
            } else if depth > 1 {
                self.look(root, &path, depth - 1);
            }
        }
    }

    fn leave_out(&mut self, what: &str, why: &str) {
        self.left_out.push(LeftOut { what: what.to_owned(), why: why.to_owned() });
    }
}

/// Returns globs for those of the larder packages that can be in a set. `taken` gets the directory of each by its name
/// and version.
fn packages(
    root: &Path,
    found: &[String],
    taken: &mut BTreeMap<String, String>,
    left_out: &mut Vec<LeftOut>,
) -> Vec<String> {
    let mut good: BTreeSet<&str> = BTreeSet::new();
    for directory in found {
        let why = match name_of(&root.join(directory)) {
            Ok(id) => match taken.get(&id) {
                None => {
                    taken.insert(id, directory.clone());
                    good.insert(directory);
                    continue;
                }
                Some(other) => format!("{other} is {id}, too"),
            },
            Err(why) => why,
        };
        left_out.push(LeftOut { what: directory.clone(), why });
    }
    let mut globs = BTreeSet::new();
    for directory in &good {
        let above = parent(directory);
        let beside = |path: &&String| self::parent(path) == above;
        let all = found.iter().filter(beside).all(|path| good.contains(path.as_str()));
        let several = found.iter().filter(beside).count() > 1;
        let glob = match above.is_empty() {
            true => "*".to_owned(),
            false => format!("{above}/*"),
        };
        if all && several && !is_pattern(above) {
            globs.insert(glob);
        } else if is_pattern(directory) {
            let why = "its name has a character that means something in a glob".to_owned();
            left_out.push(LeftOut { what: (*directory).to_owned(), why });
        } else {
            globs.insert((*directory).to_owned());
        }
    }
    globs.into_iter().collect()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The name and version of the larder package in a directory, or why it cannot be in a set.
fn name_of(directory: &Path) -> Result<String, String> {
    let document = Document::read(directory)
        .map_err(|_| "its larder.toml has a mistake; `larder build` there says which".to_owned())?;
    let (name, version) = (&document.package.name.value, &document.package.version);
    let id = format!("{name}.{version}");
    match (version.is_empty(), name.contains('.') || !is_package_version(&id)) {
        (true, _) => {
            Err("its larder.toml has no version, and every package of a set has one".to_owned())
        }
        (_, true) => Err(format!("{id} cannot name a package of a set")),
        _ => Ok(id),
    }
}

/// The source trees that are no larder packages.
fn trees(
    root: &Path,
    found: &[String],
    taken: &mut BTreeMap<String, String>,
    left_out: &mut Vec<LeftOut>,
) -> Vec<SourceTree> {
    let mut trees = Vec::new();
    let mut texts = Vec::new();
    for directory in found {
        let place = root.join(directory);
        let Some((system, file)) = BuildSystem::of(&place) else { continue };
        let text = beginning(&place.join(file));
        let called = directory.rsplit('/').next().unwrap_or(directory);
        let id = id(called, system, &text);
        if let Some(other) = taken.get(&id) {
            let why = format!("{other} is {id}, too");
            left_out.push(LeftOut { what: directory.clone(), why });
            continue;
        }
        taken.insert(id.clone(), directory.clone());
        trees.push(SourceTree { directory: directory.clone(), id, system, looks_for: Vec::new() });
        texts.push(text);
    }
    let name_of = |id: &str| id.split('.').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = taken.keys().map(|id| name_of(id)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (tree, text) in trees.iter_mut().zip(&texts) {
        tree.looks_for = looks_for(text, &name_of(&tree.id), &names);
    }
    trees.sort_by(|a, b| a.id.cmp(&b.id));
    trees
}
