//! Artifacts: files and directories that jobs pass on.

use std::sync::Arc;

use larder_trace::{BuildTrace, ContentHash, Hashed, MTime, OutputFile};

use crate::step::Pending;
use larder_project::place::Place;

/// A file, or a directory as a whole, that an input job found or a step made.
#[derive(Clone)]
pub struct Artifact {
    /// Where it is, from the root (see [`Place`]).
    pub path: Arc<str>,
    /// The hash of its content; of a directory, of the names and contents of all files in it.
    pub hash: ContentHash,
    /// When it was last changed.
    pub mtime: MTime,
    /// Set while it is known by its hash only and has been left in the store; see
    /// [`crate::step::materialize`].
    pub pending: Option<Arc<Pending>>,
}

impl Artifact {
    /// The trace of the artifact, as a part named `name`.
    pub fn trace(&self, name: impl Into<String>) -> BuildTrace {
        BuildTrace::leaf(name.into(), self.hash, self.mtime)
    }

    /// An artifact that is on disk.
    pub(crate) fn on_disk(path: &str, hashed: &Hashed) -> Self {
        Self { path: path.into(), hash: hashed.hash, mtime: hashed.stat.mtime, pending: None }
    }
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

/// An output that a step promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its path in the build directory.
    pub path: String,
    /// Whether it is a directory, with whatever files the build writes into it.
    pub directory: bool,
}

impl Output {
    /// A file.
    pub fn file(path: impl Into<String>) -> Self {
        Self { path: path.into(), directory: false }
    }

    /// The artifact for this output, from all the files that its step made.
    pub(crate) fn artifact(
        &self,
        place: &Place,
        made: &[Made<'_>],
        pending: Option<&Arc<Pending>>,
    ) -> Artifact {
        let path: Arc<str> = place.output(&self.path).into();
        let pending = pending.cloned();
        if !self.directory {
            let own = made.iter().find(|made| made.path == self.path);
            let (hash, mtime) = own
                .map_or((BuildTrace::nil("").hash(), MTime::NONE), |made| (made.hash, made.mtime));
            return Artifact { path, hash, mtime, pending };
        }
        let mut tree = BuildTrace::nil("directory");
        for made in made {
            let inside = made.path.strip_prefix(&self.path).and_then(|p| p.strip_prefix('/'));
            if let Some(inside) = inside {
                let name = format!("{inside}{}", if made.executable { "*" } else { "" });
                tree = tree.mix(BuildTrace::leaf(name, made.hash, made.mtime));
            }
        }
        Artifact { path, hash: tree.hash(), mtime: tree.mtime(), pending }
    }
}
