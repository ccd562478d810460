//! Files that are expected to be there already.

use std::{fs, io, path::Path, sync::Arc, time::Instant};

use larder_project::path::{PackagePath, RootPath};
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
pub fn input_text_file(owner: &Owner, path: PackagePath) -> Job<Artifact> {
    input_file(owner, path, true)
}

/// A file of any kind: every byte counts (Lake's `inputBinFile`).
pub fn input_bin_file(owner: &Owner, path: PackagePath) -> Job<Artifact> {
    input_file(owner, path, false)
}

/// A file at `path` (Lake's `inputFile`).
pub fn input_file(owner: &Owner, path: PackagePath, text: bool) -> Job<Artifact> {
    let from_root = owner.place.package_path(&path);
    file(owner, path.to_string(), from_root, content(text))
}

/// A file that a command of the package runs as `path`.
pub(crate) fn program_file(owner: &Owner, path: &str) -> Job<Artifact> {
    let from_root = owner.cx.places.opened(&owner.place, path);
    file(owner, path.to_owned(), from_root, Content::Binary)
}

/// A file that is called `name` in traces.
fn file(owner: &Owner, name: String, path: RootPath, content: Content) -> Job<Artifact> {
    let owner = owner.clone();
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        match owner.cx.index.file(path.as_str(), content) {
            Err(error) => unreadable(&owner, &name, &error, started),
            Ok(hashed) => {
                let value = Artifact::on_disk(path, &hashed, content);
                Flow::Ended(Ok(Built { trace: value.trace(name), value }))
            }
        }
    })
}

/// A directory with everything in it that does not start with a dot: names and contents count (Lake's
/// `inputDir`). Symbolic links count by what they lead to, and may not lead to directories.
pub fn input_dir(owner: &Owner, path: PackagePath, text: bool) -> Job<Artifact> {
    let owner = owner.clone();
    let content = content(text);
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        let from_root = owner.place.package_directory(&path);
        if let Some(link) = leads_outside(&owner, &from_root) {
            let error = io::Error::other("it is a symbolic link that leads outside the package");
            return unreadable(&owner, link.as_str(), &error, started);
        }
        match directory_trace(&owner.cx, &from_root, content, &|_| true) {
            Err((file, error)) => unreadable(&owner, file.as_str(), &error, started),
            Ok(tree) => {
                let (hash, mtime, form) = (tree.hash(), tree.mtime(), Form::Directory(content));
                let value = Artifact { path: from_root, hash, mtime, form, elided: None };
                Flow::Ended(Ok(Built { value, trace: tree.named(path.to_string()) }))
            }
        }
    })
}

/// A file or directory of the system, byte for byte; one that is not there counts as that. Gives one
/// artifact, or none.
pub(crate) fn system_file(owner: &Owner, path: &RootPath) -> Job<Vec<Artifact>> {
    let (owner, path) = (owner.clone(), path.clone());
    Job::spawn(&owner.cx.scheduler.clone(), move || {
        let started = Instant::now();
        let content = Content::Binary;
        let found = match owner.cx.index.file(path.as_str(), content) {
            Ok(hashed) => Ok(Artifact::on_disk(path.clone(), &hashed, content)),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                directory_trace(&owner.cx, &path, content, &|_| true)
                    .map(|tree| {
                        let (hash, mtime, form) =
                            (tree.hash(), tree.mtime(), Form::Directory(content));
                        Artifact { path: path.clone(), hash, mtime, form, elided: None }
                    })
                    .map_err(|(_, error)| error)
            }
            Err(error) => Err(error),
        };
        let group = BuildTrace::nil("system");
        Flow::Ended(Ok(match found {
            Ok(artifact) => {
                let trace = group.mix(artifact.trace(path.as_str()));
                Built { value: vec![artifact], trace }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Built {
                value: Vec::new(),
                trace: group.mix(BuildTrace::text(path.to_string(), "absent")),
            },
            Err(error) => return unreadable(&owner, path.as_str(), &error, started),
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
        // What a service has is not read here; its text is that, unless there are line ends of another kind.
        if artifact.form == Form::File(Content::Binary) && cx.cache.uploads().is_none() {
            let hashed = cx.index.file(artifact.path.as_str(), Content::Text);
            let hashed = hashed.map_err(|_| Failed)?;
            *artifact = Artifact::on_disk(artifact.path.clone(), &hashed, Content::Text);
        }
        trace = trace.mix(artifact.trace(part.name()));
    }
    Ok(Built { value: made.value, trace })
}

/// Returns the trace of a directory of a package: its files and those below it, sorted, by path and
/// content. Each must be `current`.
pub(crate) fn directory_trace(
    cx: &Context,
    directory: &RootPath,
    content: Content,
    current: &dyn Fn(&RootPath) -> bool,
) -> Result<BuildTrace, (RootPath, io::Error)> {
    let mut tree = BuildTrace::nil("directory");
    let mut stack = vec![(directory.clone(), String::new(), true)];
    while let Some((path, inside, is_directory)) = stack.pop() {
        if !is_directory {
            let hashed = cx.index.file(path.as_str(), content);
            let hashed = hashed.map_err(|error| (path.clone(), error))?;
            if !current(&path) {
                return Err((path, io::Error::other("it has changed")));
            }
            tree = tree.mix(BuildTrace::leaf(inside, hashed.hash, hashed.stat.mtime));
            continue;
        }
        let below = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let names = names(cx, &path).map_err(|error| (path.clone(), error))?;
        // The first name is on top of the stack.
        let entries = names
            .into_iter()
            .rev()
            .map(|(name, is_directory)| (path.join(&name), format!("{below}{name}"), is_directory));
        stack.extend(entries);
    }
    Ok(tree)
}

/// Returns the names in a directory that do not start with a dot, sorted, and whether each is a
/// directory.
fn names(cx: &Context, directory: &RootPath) -> io::Result<Vec<(String, bool)>> {
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
fn leads_outside(owner: &Owner, from_root: &RootPath) -> Option<RootPath> {
    let package = owner.place.directory.canonicalize().ok()?;
    let mut stack = vec![from_root.clone()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(owner.cx.absolute(&directory)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
            let path = directory.join(name);
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
pub(crate) fn unreadable<T: Send + Sync + 'static>(
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
