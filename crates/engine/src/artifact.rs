//! Artifacts: files and directories that jobs pass on.

use std::sync::Arc;

use larder_project::{path::RootPath, place::Place};
use larder_trace::{BuildTrace, Content, ContentHash, Hashed, MTime, OutputFile};

use crate::{action::Output, step::Elided};

/// A file, or a directory as a whole, that an input job found or a step made.
#[derive(Clone)]
pub struct Artifact {
    /// Where it is.
    pub path: RootPath,
    /// The hash of its content; of a directory, of the names and contents of all files in it.
    pub hash: ContentHash,
    /// When it was last changed.
    pub mtime: MTime,
    /// How its hash was taken.
    pub form: Form,
    /// Set while it is known by its hash only and has been left in the store.
    pub elided: Option<Arc<Elided>>,
}

/// How an artifact's hash was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// From one file.
    File(Content),
    /// From a directory of a package: names and contents of what does not start with a dot.
    Directory(Content),
    /// From a directory that a step made: names, contents and permissions of all files in it.
    OutputDirectory,
}

impl Artifact {
    /// The trace of the artifact, as a part named `name`.
    pub fn trace(&self, name: impl Into<String>) -> BuildTrace {
        BuildTrace::leaf(name.into(), self.hash, self.mtime)
    }

    /// A file that is on disk.
    pub(crate) fn on_disk(path: RootPath, hashed: &Hashed, content: Content) -> Self {
        let form = Form::File(content);
        Self { path, hash: hashed.hash, mtime: hashed.stat.mtime, form, elided: None }
    }

    /// The artifact for an output, from all the files that its step made.
    pub(crate) fn of_output(output: &Output, place: &Place, made: &[Made<'_>]) -> Self {
        let path = place.build_path(&output.path);
        if !output.directory {
            let own = made.iter().find(|made| made.path == output.path.as_str());
            let (hash, mtime) = own
                .map_or((BuildTrace::nil("").hash(), MTime::NONE), |made| (made.hash, made.mtime));
            let form = Form::File(Content::Binary);
            return Self { path, hash, mtime, form, elided: None };
        }
        let inside = made.iter().filter_map(|made| {
            let inside = made.path.strip_prefix(output.path.as_str())?.strip_prefix('/')?;
            Some((inside, *made))
        });
        let tree = tree_trace(inside);
        let form = Form::OutputDirectory;
        Self { path, hash: tree.hash(), mtime: tree.mtime(), form, elided: None }
    }
}

/// Returns the trace of a directory that a step made, from its files in order: paths inside it, and what
/// is there.
pub(crate) fn tree_trace<'m>(files: impl Iterator<Item = (&'m str, Made<'m>)>) -> BuildTrace {
    let mut tree = BuildTrace::nil("directory");
    for (inside, made) in files {
        let name = format!("{inside}{}", if made.executable { "*" } else { "" });
        tree = tree.mix(BuildTrace::leaf(name, made.hash, made.mtime));
    }
    tree
}

/// One file among the outputs of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made<'a> {
    /// Path in the build directory.
    pub path: &'a str,
    pub hash: ContentHash,
    pub executable: bool,
    pub mtime: MTime,
}

impl<'a> Made<'a> {
    /// An output as a record describes it, last changed at `mtime`.
    pub fn of(file: &'a OutputFile, mtime: MTime) -> Self {
        Self { path: &file.path, hash: file.hash, executable: file.executable, mtime }
    }
}
