//! The directories of a set's packages.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    diagnostic::{Diagnostic, Located},
    glob::{is_pattern, matches},
    manifest,
    set::PackageSet,
};

/// Returns the directories with a manifest that the set's globs match, as paths from its own, sorted.
///
/// As with globs in manifests, names that begin with a dot are matched only when spelled out, and no symbolic link is
/// followed.
///
/// # Errors
/// Directories that are named and have no manifest.
pub(super) fn directories(
    set: &PackageSet,
    root: &Path,
) -> Result<BTreeSet<String>, Vec<Diagnostic>> {
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for pattern in &set.packages {
        let matched = expand(root, pattern);
        match (matched.is_empty(), is_pattern(pattern)) {
            (true, false) => wrong.push(missing(set, pattern)),
            (true, true) => {
                let file = set.source.path.display();
                tracing::warn!(
                    "{file}: `{}` matches no directory with a {}",
                    **pattern,
                    manifest::FILE_NAME
                );
            }
            _ => found.extend(matched),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn missing(set: &PackageSet, pattern: &Located<String>) -> Diagnostic {
    let message = format!("there is no {} in {}", manifest::FILE_NAME, **pattern);
    Diagnostic::new(message)
        .help("write one, name another directory, or describe the package in the set: [package.\"NAME.VERSION\"]")
        .at(&set.source, pattern.span.clone())
}

fn expand(root: &Path, pattern: &str) -> Vec<String> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let mut found = Vec::new();
    below(root, String::new(), &parts, &mut found);
    found
}

/// Adds the packages in `directory`, a path from `root`, that the rest of a pattern matches.
fn below(root: &Path, directory: String, parts: &[&str], found: &mut Vec<String>) {
    let Some((first, rest)) = parts.split_first() else {
        if root.join(&directory).join(manifest::FILE_NAME).is_file() {
            found.push(directory);
        }
        return;
    };
    let join = |name: &str| match directory.is_empty() {
        true => name.to_owned(),
        false => format!("{directory}/{name}"),
    };
    if *first == "**" {
        below(root, directory.clone(), rest, found);
    } else if !is_pattern(first) {
        return below(root, join(first), rest, found);
    }
    for name in subdirectories(&root.join(&directory)) {
        match *first {
            "**" => below(root, join(&name), parts, found),
            pattern if matches(pattern, &name) => below(root, join(&name), rest, found),
            _ => {}
        }
    }
}

/// The directories in a directory but those whose names start with a dot; links are none.
fn subdirectories(directory: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}
