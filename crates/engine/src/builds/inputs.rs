//! Files that are expected to be there already.

use std::{fs, io, path::Path, time::Instant};

use larder_trace::{BuildTrace, Content, describe_io};

use super::Owner;
use crate::{
    artifact::Artifact,
    event::{Ended, Status, StepName},
    job::{Built, Failed, Job},
};

/// A text file, such as a source: its line endings do not count (Lake's `inputTextFile`).
pub fn input_text_file(owner: &Owner, path: impl Into<String>) -> Job<Artifact> {
    input_file(owner, path, true)
}

/// A file of any kind: every byte counts (Lake's `inputBinFile`).
pub fn input_bin_file(owner: &Owner, path: impl Into<String>) -> Job<Artifact> {
    input_file(owner, path, false)
}

/// A file at `path`, relative to the package (Lake's `inputFile`).
pub fn input_file(owner: &Owner, path: impl Into<String>, text: bool) -> Job<Artifact> {
    let (owner, path) = (owner.clone(), path.into());
    let content = if text { Content::Text } else { Content::Binary };
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let from_root = owner.place.input(&path);
        let hashed = owner.cx.index.file(&from_root, content);
        let hashed = hashed.map_err(|error| unreadable(&owner, &path, &error))?;
        let value = Artifact::on_disk(&from_root, &hashed);
        Ok(Built { trace: value.trace(path), value })
    })
}

/// A directory with everything in it that does not start with a dot: names and contents count (Lake's
/// `inputDir`). Symbolic links count by what they lead to, and may not lead to directories.
pub fn input_dir(owner: &Owner, path: impl Into<String>, text: bool) -> Job<Artifact> {
    let (owner, path) = (owner.clone(), path.into());
    let content = if text { Content::Text } else { Content::Binary };
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let from_root = owner.place.input(path.trim_end_matches('/'));
        let tree = hash_tree(&owner, &from_root, BuildTrace::nil("directory"), "", content)
            .map_err(|(file, error)| unreadable(&owner, &file, &error))?;
        let (hash, mtime) = (tree.hash(), tree.mtime());
        let value = Artifact { path: from_root.into(), hash, mtime, pending: None };
        Ok(Built { value, trace: tree.named(path) })
    })
}

fn hash_tree(
    owner: &Owner,
    directory: &str,
    mut tree: BuildTrace,
    below: &str,
    content: Content,
) -> Result<BuildTrace, (String, io::Error)> {
    let failed = |error| (directory.to_owned(), error);
    let mut names = Vec::new();
    for entry in fs::read_dir(owner.cx.absolute(directory)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            let message = format!("the file name {name:?} is not UTF-8");
            failed(io::Error::new(io::ErrorKind::InvalidFilename, message))
        })?;
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() && leads_outside(owner, &entry.path()) {
            let message = "it is a symbolic link that leads outside the package";
            return Err((format!("{directory}/{name}"), io::Error::other(message)));
        }
        names.push((name, kind.is_dir()));
    }
    names.sort();
    for (name, is_directory) in names {
        let (path, inside) = (format!("{directory}/{name}"), format!("{below}{name}"));
        if is_directory {
            tree = hash_tree(owner, &path, tree, &format!("{inside}/"), content)?;
        } else {
            let hashed = owner.cx.index.file(&path, content).map_err(|error| (path, error))?;
            tree = tree.mix(BuildTrace::leaf(inside, hashed.hash, hashed.stat.mtime));
        }
    }
    Ok(tree)
}

fn leads_outside(owner: &Owner, link: &Path) -> bool {
    let package = owner.place.directory.canonicalize();
    package.is_ok_and(|package| link.canonicalize().is_ok_and(|path| !path.starts_with(package)))
}

/// Reports that an input of the target cannot be read.
fn unreadable(owner: &Owner, path: &str, error: &io::Error) -> Failed {
    if !owner.cx.may_change() {
        // What is wrong with the manifest is said instead.
        return Failed;
    }
    let shown = Path::new(path).display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("the input {shown} is not there"),
        io::ErrorKind::IsADirectory => format!("the input {shown} is a directory, not a file"),
        _ => format!("cannot read the input {shown}: {}", describe_io(error)),
    };
    let ended = Ended {
        status: Status::Failed,
        log: &[],
        reason: None,
        error: Some(&message),
        command: None,
        took: Instant::now().elapsed(),
    };
    owner.cx.ended(StepName { target: &owner.target, output: path }, &ended);
    Failed
}
