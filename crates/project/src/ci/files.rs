//! Files as parts of a key: by name, content and whether they can be executed.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};

use larder_trace::{BuildTrace, Content, ContentHash, MTime, compute_file_hash, describe_io};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    parallel,
};

/// A file or a symbolic link that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in keys; what is above that does not count.
    pub name: String,
    /// Where it is here.
    pub path: PathBuf,
    /// The ways in which it counts.
    pub kind: Kind,
}

/// The ways in which an [`Entry`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// By content and whether it can be executed.
    File,
    /// By where it leads.
    Link(String),
    /// By where it leads, and as the file that is there.
    LinkToFile(String),
}

/// The trace of `entries`, sorted by their names, of which each stands there once.
///
/// # Errors
/// Each file that cannot be read.
pub fn trace(name: &'static str, mut entries: Vec<Entry>) -> Result<BuildTrace, Diagnostics> {
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries.dedup_by(|a, b| a.name == b.name);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts = parallel::map(&entries, threads, part);
    let mut trace = BuildTrace::nil(name);
    let mut errors = Vec::new();
    for (entry, part) in entries.iter().zip(parts) {
        match part {
            Ok(part) => trace = trace.mix(part),
            Err(error) => {
                let message =
                    format!("cannot read {}: {}", entry.path.display(), describe_io(&error));
                errors.push(Diagnostic::new(message).failed());
            }
        }
    }
    if errors.is_empty() { Ok(trace) } else { Err(Diagnostics(errors)) }
}

/// Which of the kinds it is counts, so that none can pass for another.
fn part(entry: &Entry) -> io::Result<BuildTrace> {
    let nil = BuildTrace::nil(entry.name.clone());
    let content = || -> io::Result<BuildTrace> {
        let (kind, hash) = file(&entry.path)?;
        Ok(BuildTrace::leaf(kind, hash, MTime::NONE))
    };
    Ok(match &entry.kind {
        Kind::File => nil.mix(content()?),
        Kind::Link(target) => nil.mix(BuildTrace::text("link", target.as_str())),
        Kind::LinkToFile(target) => {
            nil.mix(BuildTrace::text("link", target.as_str())).mix(content()?)
        }
    })
}

/// Whether a regular file can be executed, and its content, byte for byte.
pub fn file(path: &Path) -> io::Result<(&'static str, ContentHash)> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let is_executable = metadata.permissions().mode() & 0o111 != 0;
    let kind = if is_executable { "executable" } else { "file" };
    Ok((kind, compute_file_hash(path, Content::Binary)?))
}
