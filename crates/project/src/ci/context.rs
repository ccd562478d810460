//! The build context of a container image, as part of a key.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{BuildTrace, MTime, describe_io};

use super::{
    files::{self, Entry, Kind},
    ignore::{Ignore, IgnoreError},
};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Recipes that a context may bring, in the order in which they are looked for.
const RECIPES: [&str; 2] = ["Containerfile", "Dockerfile"];

/// The trace of an image's build: its recipe, and every file of its context that the ignore file
/// does not leave out, with whether it can be executed. Times, owners, the order of directories and
/// where all this is do not count; directories count by the files in them.
///
/// The ignore file is `RECIPE.containerignore` or `RECIPE.dockerignore` beside the recipe, else
/// `.containerignore` or `.dockerignore` in the context. `.git` and `.larder` are left out in any
/// case: nothing in them is the same twice.
///
/// # Errors
/// When there is no recipe, the ignore file has a pattern that is none, or a file cannot be read.
pub fn trace(directory: &Path, recipe: Option<&Path>) -> Result<BuildTrace, Diagnostics> {
    let failed = |path: &Path, error: &io::Error| {
        Diagnostics::from(
            Diagnostic::new(format!("cannot read {}: {}", path.display(), describe_io(error)))
                .failed(),
        )
    };
    if !directory.is_dir() {
        let message = format!("there is no build context {}", directory.display());
        return Err(Diagnostic::new(message).help("--context names its directory").into());
    }
    let recipe = match recipe {
        Some(recipe) => recipe.to_owned(),
        None => RECIPES
            .map(|name| directory.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                let message = format!("there is no Containerfile in {}", directory.display());
                Diagnostic::new(message).help("--containerfile names it")
            })?,
    };
    let (_, hash) = files::file(&recipe).map_err(|error| failed(&recipe, &error))?;
    let ignore = read_ignore(directory, &recipe)?;
    let mut entries = Vec::new();
    list(directory, "", &ignore, &mut entries).map_err(|(path, error)| failed(&path, &error))?;
    Ok(BuildTrace::nil("image")
        .mix(BuildTrace::leaf("containerfile", hash, MTime::NONE))
        .mix(files::trace("context", entries)?))
}

fn read_ignore(directory: &Path, recipe: &Path) -> Result<Ignore, Diagnostic> {
    let beside = |suffix: &str| {
        let mut path = recipe.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let candidates = [
        beside(".containerignore"),
        beside(".dockerignore"),
        directory.join(".containerignore"),
        directory.join(".dockerignore"),
    ];
    for path in candidates {
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), describe_io(&error));
                return Err(Diagnostic::new(message).failed());
            }
        };
        return Ignore::parse(&String::from_utf8_lossy(&text)).map_err(
            |IgnoreError { line, pattern, reason }| {
                Diagnostic::new(format!("{}:{line}: `{pattern}` {reason}", path.display()))
            },
        );
    }
    Ok(Ignore::default())
}

/// Lists files and links, and does not follow links.
fn list(
    root: &Path,
    below: &str,
    ignore: &Ignore,
    found: &mut Vec<Entry>,
) -> Result<(), (PathBuf, io::Error)> {
    let directory = root.join(below);
    let failed = |error| (directory.clone(), error);
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            let path = directory.join(&name);
            // What no pattern can name is in the context, and cannot be part of a key.
            return Err((path, io::Error::other("its name is not UTF-8")));
        };
        if matches!(name, ".git" | ".larder") {
            continue;
        }
        let path = entry.path();
        let name = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        let left_out = ignore.leaves_out(&name);
        if kind.is_dir() {
            if !left_out || !ignore.brings_nothing_back() {
                list(root, &name, ignore, found)?;
            }
        } else if left_out {
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| (path.clone(), error))?;
            let Some(target) = target.to_str() else {
                return Err((path, io::Error::other("it leads to a name that is not UTF-8")));
            };
            let kind = Kind::Link(target.to_owned());
            found.push(Entry { name, path, kind });
        } else if kind.is_file() {
            found.push(Entry { name, path, kind: Kind::File });
        } else {
            tracing::debug!("{name} is no file: it does not count");
        }
    }
    Ok(())
}
