//! Where dependencies are.

use std::path::{Path, PathBuf};

use larder_trace::describe_io;

use crate::{
    dependencies::Requirement,
    diagnostic::Diagnostic,
    manifest::Dependency,
    packages::Packages,
    repository::Repository,
    workspace::{Package, overlay::Shelf},
};

/// Returns the requirement that a Git dependency of `package` makes.
pub(super) fn requirement(
    root: &Path,
    package: &Package,
    shelf: &Shelf,
    name: &str,
    url: &str,
    rev: Option<&str>,
    declared: &Dependency,
) -> Result<Requirement, Diagnostic> {
    let source = &package.manifest.source;
    let repository = Repository::parse(url, &shelf.start)
        .map_err(|error| Diagnostic::new(error.to_string()).at(source, declared.span.clone()))?;
    let is_relative = repository.is_local() && !url.starts_with('/') && !url.contains("://");
    if is_relative && shelf.alone {
        let message =
            format!("`{url}` leads out of the repository that `{}` is in", package.place.name);
        return Err(Diagnostic::new(message)
            .at(source, declared.span.clone())
            .help("a package that comes from Git names its dependencies by whole URLs"));
    }
    let spelled = match is_relative && !package.is_root {
        true => relative(root, Path::new(repository.url())),
        false => url.to_owned(),
    };
    Ok(Requirement {
        name: name.to_owned(),
        repository,
        spelled,
        rev: rev.map(str::to_owned),
        user: package.place.name.clone(),
        source: source.clone(),
        span: declared.span.clone(),
    })
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

/// The directory of a package of a package set.
pub(super) fn in_set(name: &str, packages: &Packages) -> Result<PathBuf, Diagnostic> {
    let packages = packages.directory();
    packages.join(name).canonicalize().map_err(|_| {
        let message = format!("the dependency `{name}` is not in {}", packages.display());
        Diagnostic::new(message).help("check it out there, or use { path = \"…\" }")
    })
}
