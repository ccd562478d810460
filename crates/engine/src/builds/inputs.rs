//! Files that are expected to be there already.

use std::{fs, io, path::Path, sync::Arc, time::Instant};

use larder_trace::{BuildTrace, Content, describe_io};

use super::Owner;
use crate::{
    artifact::{Artifact, Form},
    context::Context,
    event::StepName,
    job::{Built, Failed, Flow, Job},
    step::Elided,
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
    let content = content(text);
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        let from_root = owner.place.input(&path);
        match owner.cx.index.file(&from_root, content) {
            Err(error) => unreadable(&owner, &path, &error, started),
            Ok(hashed) => {
                let value = Artifact::on_disk(&from_root, &hashed, content);
                Flow::Ended(Ok(Built { trace: value.trace(path), value }))
            }
        }
    })
}

/// A directory with everything in it that does not start with a dot: names and contents count (Lake's
/// `inputDir`). Symbolic links count by what they lead to, and may not lead to directories.
pub fn input_dir(owner: &Owner, path: impl Into<String>, text: bool) -> Job<Artifact> {
    let (owner, path) = (owner.clone(), path.into());
    let content = content(text);
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        let from_root = owner.place.input(path.trim_end_matches('/'));
        if let Some(link) = leads_outside(&owner, &from_root) {
            let error = io::Error::other("it is a symbolic link that leads outside the package");
            return unreadable(&owner, &link, &error, started);
        }
        match directory_trace(&owner.cx, &from_root, content, &|_| true) {
            Err((file, error)) => unreadable(&owner, &file, &error, started),
            Ok(tree) => {
                let (hash, mtime, form) = (tree.hash(), tree.mtime(), Form::Directory(content));
                let value = Artifact { path: from_root.into(), hash, mtime, form, elided: None };
                Flow::Ended(Ok(Built { value, trace: tree.named(path) }))
            }
        }
    })
}

/// A file or directory of the system, byte for byte; one that is not there counts as that. Gives one
/// artifact, or none.
pub(crate) fn system_file(owner: &Owner, path: &str) -> Job<Vec<Artifact>> {
    let (owner, path) = (owner.clone(), path.to_owned());
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        let content = Content::Binary;
        let found = match owner.cx.index.file(&path, content) {
            Ok(hashed) => Ok(Artifact::on_disk(&path, &hashed, content)),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                directory_trace(&owner.cx, &path, content, &|_| true)
                    .map(|tree| {
                        let (hash, mtime, form) =
                            (tree.hash(), tree.mtime(), Form::Directory(content));
                        Artifact { path: path.as_str().into(), hash, mtime, form, elided: None }
                    })
                    .map_err(|(_, error)| error)
            }
            Err(error) => Err(error),
        };
        let group = BuildTrace::nil("system");
        Flow::Ended(Ok(match found {
            Ok(artifact) => {
                let trace = group.mix(artifact.trace(path));
                Built { value: vec![artifact], trace }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Built { value: Vec::new(), trace: group.mix(BuildTrace::text(path, "absent")) }
            }
            Err(error) => return unreadable(&owner, &path, &error, started),
        }))
    })
}

fn content(text: bool) -> Content {
    if text { Content::Text } else { Content::Binary }
}

/// Has what depends on a file that a job makes see it as text, where that is wanted.
pub(super) fn counting_text(owner: &Owner, made: Job<Artifact>, text: bool) -> Job<Artifact> {
    if !text {
        return made;
    }
    let cx = owner.cx.clone();
    let all = made.flow(move |made| {
        let trace = BuildTrace::nil("outputs").mix(made.trace.clone());
        as_text(&cx, &Built { value: vec![made.value.clone()], trace })
    });
    all.map(|all| {
        let (value, part) = all.value.first().zip(all.trace.parts().first()).ok_or(Failed)?;
        Ok(Built { value: value.clone(), trace: (**part).clone() })
    })
}

/// Gives artifacts the hashes of their texts, in which line ends do not count. Those that were left in
/// the store are fetched: only the bytes of a file tell what its text is.
pub(crate) fn as_text(cx: &Arc<Context>, made: &Built<Vec<Artifact>>) -> Flow<Vec<Artifact>> {
    let elided: Vec<Arc<Elided>> =
        made.value.iter().filter_map(|artifact| artifact.elided.clone()).collect();
    let made = Built { value: made.value.clone(), trace: made.trace.clone() };
    if elided.is_empty() {
        return Flow::Ended(texts(cx, made));
    }
    let context = cx.clone();
    Flow::Continued(Elided::fetch_all(cx, &elided).map(move |_| texts(&context, made)))
}

fn texts(cx: &Context, mut made: Built<Vec<Artifact>>) -> Result<Built<Vec<Artifact>>, Failed> {
    let mut trace = BuildTrace::nil(made.trace.name().to_owned());
    for (artifact, part) in made.value.iter_mut().zip(made.trace.parts()) {
        if artifact.form == Form::File(Content::Binary) {
            let hashed = cx.index.file(&artifact.path, Content::Text).map_err(|_| Failed)?;
            *artifact = Artifact::on_disk(&artifact.path, &hashed, Content::Text);
        }
        trace = trace.mix(artifact.trace(part.name()));
    }
    Ok(Built { value: made.value, trace })
}

/// Returns the trace of a directory of a package, seen from the root: its files and those below it,
/// sorted, by path and content. Each must be `current`.
pub(crate) fn directory_trace(
    cx: &Context,
    directory: &str,
    content: Content,
    current: &dyn Fn(&str) -> bool,
) -> Result<BuildTrace, (String, io::Error)> {
    let mut tree = BuildTrace::nil("directory");
    let mut stack = vec![(directory.to_owned(), String::new(), true)];
    while let Some((path, inside, is_directory)) = stack.pop() {
        if !is_directory {
            let hashed = cx.index.file(&path, content).map_err(|error| (path.clone(), error))?;
            if !current(&path) {
                return Err((path, io::Error::other("it has changed")));
            }
            tree = tree.mix(BuildTrace::leaf(inside, hashed.hash, hashed.stat.mtime));
            continue;
        }
        let below = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let names = names(cx, &path).map_err(|error| (path.clone(), error))?;
        // The first name is on top of the stack.
        let entries = names.into_iter().rev().map(|(name, is_directory)| {
            (format!("{path}/{name}"), format!("{below}{name}"), is_directory)
        });
        stack.extend(entries);
    }
    Ok(tree)
}

/// Returns the names in a directory that do not start with a dot, sorted, and whether each is a
/// directory.
fn names(cx: &Context, directory: &str) -> io::Result<Vec<(String, bool)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(cx.absolute(directory))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            let message = format!("the file name {name:?} is not UTF-8");
            io::Error::new(io::ErrorKind::InvalidFilename, message)
        })?;
        if !name.starts_with('.') {
            names.push((name, entry.file_type()?.is_dir()));
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the first symbolic link below a directory that leads out of the package.
fn leads_outside(owner: &Owner, from_root: &str) -> Option<String> {
    let package = owner.place.directory.canonicalize().ok()?;
    let mut stack = vec![from_root.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(owner.cx.absolute(&directory)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
            let path = format!("{directory}/{name}");
            if name.starts_with('.') {
            } else if kind.is_dir() {
                stack.push(path);
            } else if kind.is_symlink()
                && entry.path().canonicalize().is_ok_and(|real| !real.starts_with(&package))
            {
                return Some(path);
            }
        }
    }
    None
}

/// Reports that an input of the target cannot be read; not, when something is wrong with the manifest,
/// which is said instead.
pub(super) fn unreadable<T: Send + Sync + 'static>(
    owner: &Owner,
    path: &str,
    error: &io::Error,
    started: Instant,
) -> Flow<T> {
    let shown = Path::new(path).display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("the input {shown} is not there"),
        io::ErrorKind::IsADirectory => format!("the input {shown} is a directory, not a file"),
        _ => format!("cannot read the input {shown}: {}", describe_io(error)),
    };
    let (owner, path) = (owner.clone(), path.to_owned());
    Flow::Continued(owner.cx.go_ahead.clone().map(move |_| {
        let step = StepName { target: &owner.target, output: &path };
        owner.cx.failed_before(step, &message, started.elapsed());
        Err(Failed)
    }))
}
