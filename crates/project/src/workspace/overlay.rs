//! Manifests that a package keeps for its dependencies.

use std::path::{Path, PathBuf};

use larder_trace::describe_io;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    glob::is_inside,
    manifest::{self, Dependency, Document},
};

/// A manifest that one package keeps for another, and that stands in for the other's own.
#[derive(Debug, Clone)]
pub(super) struct Overlay {
    /// The manifest.
    pub source: SourceText,
    /// Where it names manifests for dependencies of its own.
    shelf: Shelf,
}

/// Where the things are that a manifest names beside itself: manifests for dependencies, and
/// repositories by relative paths.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    /// The directory from which their paths count.
    pub start: PathBuf,
    /// The directory of the package that the manifest is part of.
    keeper: PathBuf,
    /// Whether that package came from elsewhere, and nothing around it.
    pub alone: bool,
}

impl Shelf {
    /// Where they are for the own manifest of the package in `directory`.
    pub fn of_package(directory: &Path, alone: bool) -> Self {
        Self { start: directory.to_owned(), keeper: directory.to_owned(), alone }
    }

    /// Returns the manifest that a dependency declares; `None` where it has its own.
    ///
    /// # Errors
    /// When it cannot be read, or is not part of the package.
    pub fn take(&self, declared: &Dependency) -> Result<Option<Overlay>, Diagnostic> {
        declared.manifest.as_ref().map(|path| self.read(path)).transpose()
    }

    fn read(&self, path: &Located<String>) -> Result<Overlay, Diagnostic> {
        let outside = || {
            let message = format!("the manifest `{}` is outside the package", **path);
            Diagnostic::new(message)
                .help("a manifest for a dependency is a file of the package that needs it")
        };
        if !is_inside(path) || path.is_empty() {
            return Err(outside());
        }
        let file = self.start.join(&**path);
        let missing = |error| {
            let (file, reason) = (file.display(), describe_io(&error));
            Diagnostic::new(format!("cannot find the manifest {file}: {reason}"))
                .help("write one there for the dependency, or name another file")
        };
        let real = file.canonicalize().map_err(missing)?;
        let keeper = self.keeper.canonicalize().map_err(missing)?;
        if !real.starts_with(keeper) {
            return Err(outside());
        }
        let start = file.parent().unwrap_or(&self.start).to_owned();
        let shelf = Self { start, ..self.clone() };
        Ok(Overlay { source: manifest::read_text(file)?, shelf })
    }
}

impl Overlay {
    /// Where it names manifests for dependencies of its own.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether a package has the same manifest by `other`: it is the same file, or says the same and
    /// depends on no file beside it.
    pub fn is(&self, other: &Self) -> bool {
        let alone = || {
            let manifest = Document::parse(self.source.clone());
            manifest.is_ok_and(|it| it.dependencies.values().all(|it| it.manifest.is_none()))
        };
        self.source.path == other.source.path || (self.source.text == other.source.text && alone())
    }

    /// Adds this manifest, that of the package `name`, to `found`, and all that it names in turn.
    ///
    /// # Errors
    /// Everything wrong with any of them.
    pub fn collect(
        &self,
        name: &str,
        found: &mut Vec<(String, SourceText)>,
    ) -> Result<(), Diagnostics> {
        if found.iter().any(|(_, known)| known.path == self.source.path) {
            return Ok(());
        }
        let manifest = Document::parse(self.source.clone())?;
        found.push((name.to_owned(), self.source.clone()));
        for (name, declared) in &manifest.dependencies {
            let taken = self.shelf.take(declared);
            let at = |wrong: Diagnostic| wrong.at(&self.source, declared.span.clone());
            if let Some(overlay) = taken.map_err(at)? {
                overlay.collect(name, found)?;
            }
        }
        Ok(())
    }
}
