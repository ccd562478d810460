//! Files as parts of a key: by path, content and whether they can be executed.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, thread};

use larder_trace::{BuildTrace, Content, ContentHash, MTime, compute_file_hash, describe_io};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    glob::{Globber, is_pattern},
    parallel,
};

/// How symbolic links count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// By the file that they lead to, as whoever opens them sees it.
    Followed,
    /// By where they lead, as whoever copies a tree sees them.
    Kept,
}

/// The trace of the files `paths` below `root`, sorted by their paths. A path counts as it is
/// spelled here; what it is below does not count.
///
/// # Errors
/// Each file that cannot be read.
pub fn trace(
    name: &'static str,
    root: &Path,
    mut paths: Vec<String>,
    links: Links,
) -> Result<BuildTrace, Diagnostics> {
    paths.sort_unstable();
    paths.dedup();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts = parallel::map(&paths, threads, |path| entry(root, path, links));
    let mut trace = BuildTrace::nil(name);
    let mut errors = Vec::new();
    for (path, part) in paths.iter().zip(parts) {
        match part {
            Ok(part) => trace = trace.mix(part),
            Err(error) => {
                let path = root.join(path);
                let message = format!("cannot read {}: {}", path.display(), describe_io(&error));
                errors.push(Diagnostic::new(message).failed());
            }
        }
    }
    if errors.is_empty() { Ok(trace) } else { Err(Diagnostics(errors)) }
}

/// A file or a link: which of these it is counts, so that none can pass for another.
fn entry(root: &Path, path: &str, links: Links) -> io::Result<BuildTrace> {
    let full = root.join(path);
    if links == Links::Kept && full.symlink_metadata()?.is_symlink() {
        let target = fs::read_link(&full)?;
        let target = target.to_str().ok_or_else(|| io::Error::other("a link that is not UTF-8"))?;
        return Ok(BuildTrace::nil(path.to_owned()).mix(BuildTrace::text("link", target)));
    }
    let (kind, hash) = file(&full)?;
    Ok(BuildTrace::nil(path.to_owned()).mix(BuildTrace::leaf(kind, hash, MTime::NONE)))
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

/// The files of the package at `root` that `inputs` match and `exclude` does not.
///
/// # Errors
/// The error for a pattern that matches nothing: it would make a key that never changes.
pub fn select(
    root: &Path,
    inputs: &[Located<String>],
    exclude: &[Located<String>],
    source: Option<&SourceText>,
) -> Result<Vec<String>, Diagnostics> {
    let mut globber = Globber::new(root.to_owned());
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for input in inputs {
        let pattern = input.trim_end_matches('/');
        let is_directory = !is_pattern(pattern) && root.join(pattern).is_dir();
        let expanded = match is_directory {
            true => globber.expand(&format!("{pattern}/**")),
            false => globber.expand(pattern),
        };
        let at = |diagnostic: Diagnostic| match source {
            Some(source) => diagnostic.at(source, input.span.clone()),
            None => diagnostic,
        };
        match expanded {
            Ok(paths) if paths.is_empty() || !root.join(paths[0].as_str()).exists() => {
                let message = format!("the input `{}` matches no file", **input);
                let help = "names that start with a dot are matched only when spelled out";
                errors.push(at(Diagnostic::new(message).help(help)));
            }
            Ok(paths) => found.extend(paths.iter().map(ToString::to_string)),
            Err(error) => errors.push(at(Diagnostic::new(error.to_string()))),
        }
    }
    found.retain(|path| !exclude.iter().any(|pattern| leaves_out(pattern, path)));
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

fn leaves_out(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let below = path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/'));
    below || fast_glob::glob_match(pattern, path)
}
