//! Where dependencies are.

use std::path::{Path, PathBuf};

use larder_trace::describe_io;

use crate::{
    dependencies::{ArchivePlace, Origin, Requirement},
    diagnostic::Diagnostic,
    manifest::{ArchiveSource, Dependency, DependencySource, Document},
    packages::Packages,
    repository::Repository,
    version,
    workspace::{Package, overlay::Shelf},
};

/// A package that asks for others.
pub(super) struct Asks<'a> {
    /// The root package's directory.
    pub root: &'a Path,
    /// The package.
    pub package: &'a Package<Document>,
    /// Where the things are that its manifest names beside itself.
    pub shelf: &'a Shelf,
    /// Where it came from elsewhere: the directory that it must stay in.
    pub checkout: Option<&'a Path>,
}

impl Asks<'_> {
    /// Returns what a dependency requires from elsewhere; `None` where it is here.
    pub fn requirement(
        &self,
        name: &str,
        declared: &Dependency,
    ) -> Result<Option<Requirement>, Diagnostic> {
        let source = &self.package.manifest.source;
        let origin = match &declared.from {
            DependencySource::Git { url, rev, submodules } => {
                self.repository(url, rev.clone(), *submodules)
            }
            DependencySource::Archive { from, hash, strip } => self
                .archive(name, from)
                .map(|from| Origin::Archive { from, hash: hash.clone(), strip: *strip }),
            DependencySource::Path(_) | DependencySource::Version(_) => return Ok(None),
        };
        Ok(Some(Requirement {
            name: name.to_owned(),
            origin: origin.map_err(|wrong| wrong.at(source, declared.span.clone()))?,
            user: self.package.place.name.clone(),
            source: source.clone(),
            span: declared.span.clone(),
        }))
    }

    fn repository(
        &self,
        url: &str,
        rev: Option<String>,
        submodules: bool,
    ) -> Result<Origin, Diagnostic> {
        let repository = Repository::parse(url, &self.shelf.start)
            .map_err(|error| Diagnostic::new(error.to_string()))?;
        let is_relative = repository.is_local() && !url.starts_with('/') && !url.contains("://");
        let name = &self.package.place.name;
        if is_relative && self.shelf.alone {
            let message = format!("`{url}` leads out of the repository that `{name}` is in");
            return Err(Diagnostic::new(message)
                .help("a package that comes from Git names its dependencies by whole URLs"));
        }
        let spelled = match is_relative && !self.package.is_root {
            true => relative(self.root, Path::new(repository.url())),
            false => url.to_owned(),
        };
        Ok(Origin::Git { repository, spelled, rev, submodules })
    }

    fn archive(&self, name: &str, from: &ArchiveSource) -> Result<ArchivePlace, Diagnostic> {
        match from {
            ArchiveSource::Url(url) => Ok(ArchivePlace::Url(url.clone())),
            ArchiveSource::Path(path) => {
                let directory = &self.package.place.directory;
                locate(directory, name, path, self.checkout).map(ArchivePlace::File)
            }
        }
    }
}

/// The way from directory `from` to `to`, both absolute.
fn relative(from: &Path, to: &Path) -> String {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".as_ref());
    let way: PathBuf =
        up.chain(to.components().skip(shared).map(|part| part.as_os_str())).collect();
    way.to_string_lossy().into_owned()
}

/// The directory of a dependency by path; one of a package that came from Git stays in its checkout.
pub(super) fn locate(
    from: &Path,
    name: &str,
    path: &str,
    checkout: Option<&Path>,
) -> Result<PathBuf, Diagnostic> {
    let found = from.join(path).canonicalize().map_err(|error| {
        Diagnostic::new(format!(
            "cannot find the dependency `{name}` at {path}: {}",
            describe_io(&error)
        ))
    })?;
    match checkout.and_then(|checkout| checkout.canonicalize().ok()) {
        Some(checkout) if !found.starts_with(&checkout) => {
            let message = format!("the dependency `{name}` at {path} is outside the repository");
            Err(Diagnostic::new(message).help(
                "a package that comes from Git has its path dependencies inside its repository",
            ))
        }
        _ => Ok(found),
    }
}

/// The directory of a package that is known by its version: it is put there by whoever has a package set.
pub(super) fn in_set(
    name: &str,
    required: &version::Requirement,
    packages: &Packages,
) -> Result<PathBuf, Diagnostic> {
    let packages = packages.directory();
    packages.join(name).canonicalize().map_err(|_| {
        let place = packages.join(name);
        let message =
            format!("the dependency `{name}` {required} is not there: no {}", place.display());
        Diagnostic::new(message).help(
            "larder looks up no versions: put the package there, or say where it comes from, by path, git or url",
        )
    })
}
