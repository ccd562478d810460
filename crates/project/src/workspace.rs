//! A package and the packages it depends on.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::describe_io;

use crate::{
    dependencies::{Dependencies, Reach, Requirement, Resolution, Update},
    diagnostic::{Diagnostic, Diagnostics, suggest},
    leftovers,
    lock::lock_build,
    lockfile::{self, Lockfile},
    manifest::{self, Dependency, DependencySource, Manifest},
    packages::{Checkout, Packages},
    place::Place,
    repository::Repository,
};

/// Where larder keeps what it makes, below the root package's directory.
pub const LARDER_DIR: &str = ".larder";

/// The root package and everything it depends on.
#[derive(Debug)]
pub struct Workspace {
    /// The root package's directory, absolute.
    pub root: PathBuf,
    /// All packages; the root package is the first, and a package comes after whoever needs it first.
    pub packages: Vec<Arc<Package>>,
    /// The checkouts that packages from Git are in, sorted by name.
    pub checkouts: Vec<Checkout>,
}

/// One package of a workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name and where it is.
    pub place: Arc<Place>,
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether it is the root package.
    pub is_root: bool,
}

impl Workspace {
    /// Finds the package that `start` is in: the nearest directory upwards with a manifest.
    pub fn find_root(start: &Path) -> Result<PathBuf, Diagnostics> {
        let absolute = std::path::absolute(start).map_err(|error| {
            Diagnostic::new(format!(
                "cannot tell where {} is: {}",
                start.display(),
                describe_io(&error)
            ))
        })?;
        let found =
            absolute.ancestors().find(|directory| directory.join(manifest::FILE_NAME).exists());
        found.map(Path::to_owned).ok_or_else(|| {
            let message =
                format!("there is no {} in {} or above", manifest::FILE_NAME, absolute.display());
            Diagnostic::new(message)
                .help("`larder init` writes one; -C names another directory")
                .into()
        })
    }

    /// Reads the manifest of the package at `root` and those of its dependencies. What comes from
    /// Git and is not there is fetched; what `larder.lock` does not pin yet is added to it.
    ///
    /// # Errors
    /// Everything wrong with any of them.
    pub fn load(root: &Path, resolution: &Resolution) -> Result<Self, Diagnostics> {
        let root = canonical(root)?;
        let here = Dependencies::new(&root, resolution.clone(), Reach::Look)?;
        if let Some((workspace, _)) = find_packages(&root, here)? {
            return Ok(workspace);
        }
        let (workspace, dependencies) = Self::fetch(&root, resolution)?;
        let (old, new) = dependencies.lockfiles();
        if old != new {
            write_lockfile(&root, &new)?;
        }
        Ok(workspace)
    }

    /// Resolves anew what `resolution` says, and writes that to `larder.lock`. Returns what the lock
    /// file was and what it is.
    ///
    /// # Errors
    /// Everything wrong with any manifest, and names that no Git dependency has. The lock file is
    /// then as it was.
    pub fn update(
        root: &Path,
        resolution: &Resolution,
    ) -> Result<(Lockfile, Lockfile), Diagnostics> {
        let root = canonical(root)?;
        let (_, dependencies) = Self::fetch(&root, resolution)?;
        if let Update::Only(names) = &resolution.update {
            let unknown = names.iter().filter(|name| !dependencies.has(name));
            let errors: Vec<Diagnostic> = unknown
                .map(|name| {
                    let message = format!("there is no Git dependency called `{name}`");
                    match suggest(name, dependencies.names()) {
                        Some(known) => {
                            Diagnostic::new(message).help(format!("did you mean `{known}`?"))
                        }
                        None => Diagnostic::new(message)
                            .help("only `{ git = \"…\" }` dependencies are pinned"),
                    }
                })
                .collect();
            if !errors.is_empty() {
                return Err(Diagnostics(errors));
            }
        }
        let (old, new) = dependencies.lockfiles();
        if old != new && resolution.locked {
            let message = format!("{} is not up to date", lockfile::FILE_NAME);
            return Err(Diagnostic::new(message).failed().into());
        }
        if old != new {
            write_lockfile(&root, &new)?;
        }
        Ok((old, new))
    }

    /// Finds all packages, fetching what is not there. No build runs meanwhile.
    fn fetch(root: &Path, resolution: &Resolution) -> Result<(Self, Dependencies), Diagnostics> {
        let larder = root.join(LARDER_DIR);
        let waiting = |holder: Option<u32>| {
            let holder =
                holder.map_or_else(|| "another process".into(), |id| format!("process {id}"));
            tracing::info!("waiting for {holder}, which builds in {}", root.display());
        };
        let lock = lock_build(&larder, &|| false, waiting).map_err(|error| {
            Diagnostic::new(format!("cannot use {}: {}", larder.display(), describe_io(&error)))
                .failed()
        })?;
        if lock.holder_died {
            leftovers::remove(&larder);
        }
        find_all(root, Dependencies::new(root, resolution.clone(), Reach::Fetch)?)
    }

    /// The package called `name`.
    pub fn package_named(&self, name: &str) -> Option<usize> {
        self.packages.iter().position(|package| package.place.name == name)
    }

    /// `.larder` of the root package, absolute.
    pub fn larder_dir(&self) -> PathBuf {
        self.root.join(LARDER_DIR)
    }
}

pub(crate) fn canonical(root: &Path) -> Result<PathBuf, Diagnostics> {
    root.canonicalize().map_err(|error| {
        Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error))).into()
    })
}

fn write_lockfile(root: &Path, lockfile: &Lockfile) -> Result<(), Diagnostics> {
    lockfile.write(root).map(drop).map_err(|error| {
        let path = root.join(lockfile::FILE_NAME);
        Diagnostic::new(format!("cannot write {}: {}", path.display(), describe_io(&error)))
            .failed()
            .into()
    })
}

/// A package on its way into the workspace.
struct Needed {
    directory: PathBuf,
    /// The package that needs it first, by index, and what that calls it.
    by: Option<(usize, String)>,
    /// For what came from Git: the checkout that it must stay in.
    checkout: Option<PathBuf>,
}

/// The packages whose files belong to the workspace at `root`, which is canonical: the root package
/// first, and its path dependencies. Returns the lock file, which pins all that comes from Git, as
/// well. Nothing is fetched and nothing written.
///
/// # Errors
/// Everything wrong with their manifests, and Git dependencies that the lock file does not pin.
pub(crate) fn pinned(root: &Path) -> Result<(Vec<Arc<Package>>, Lockfile), Diagnostics> {
    let (workspace, dependencies) = find_all(root, Dependencies::pinned(root)?)?;
    Ok((workspace.packages, dependencies.into_lockfile()))
}

/// [`find_packages`] where nothing can stay to be done.
fn find_all(
    root: &Path,
    dependencies: Dependencies,
) -> Result<(Workspace, Dependencies), Diagnostics> {
    let found = find_packages(root, dependencies)?;
    found.ok_or_else(|| Diagnostic::new("the dependencies could not be found").failed().into())
}

/// Reads all manifests, those of one distance from the root at a time, so that what a distance needs
/// from elsewhere is fetched at once. `None` when something has to be fetched and may not be.
fn find_packages(
    root: &Path,
    mut dependencies: Dependencies,
) -> Result<Option<(Workspace, Dependencies)>, Diagnostics> {
    let mut workspace =
        Workspace { root: root.to_owned(), packages: Vec::new(), checkouts: Vec::new() };
    let mut checkouts: Vec<Option<PathBuf>> = Vec::new();
    // Where the package of a name is, and, in words, why.
    let mut by_name: HashMap<String, (PathBuf, String)> = HashMap::new();
    let mut wave = vec![Needed { directory: root.to_owned(), by: None, checkout: None }];
    let mut errors = Vec::new();
    while !wave.is_empty() {
        let first = workspace.packages.len();
        for needed in wave.drain(..) {
            match read_package(&workspace, &needed) {
                Ok(package) => {
                    if needed.by.is_none() {
                        let name = package.place.name.clone();
                        by_name.insert(name, (needed.directory, "this package is".to_owned()));
                    }
                    workspace.packages.push(Arc::new(package));
                    checkouts.push(needed.checkout);
                }
                Err(found) => errors.extend(found.0),
            }
        }
        let users = first..workspace.packages.len();
        for user in users.clone() {
            let package = &workspace.packages[user];
            for (name, declared) in &package.manifest.dependencies {
                if let DependencySource::Git { url, rev } = &declared.from {
                    let required = requirement(
                        root,
                        package,
                        &checkouts[user],
                        name,
                        url,
                        rev.as_deref(),
                        declared,
                    );
                    errors.extend(required.and_then(|required| dependencies.want(required)).err());
                }
            }
        }
        errors.extend(dependencies.obtain());
        if dependencies.is_incomplete() && errors.is_empty() {
            return Ok(None);
        }
        for user in users {
            let package = workspace.packages[user].clone();
            let source = &package.manifest.source;
            for (name, declared) in &package.manifest.dependencies {
                let found = match &declared.from {
                    DependencySource::Path(path) => {
                        locate(&package.place.directory, name, path, checkouts[user].as_deref())
                            .map(|directory| (directory, checkouts[user].clone()))
                    }
                    DependencySource::Git { .. } => match dependencies.directory(name) {
                        Some(directory) => Ok((directory.to_owned(), Some(directory.to_owned()))),
                        // What is wrong with it has been said, or its files are not needed.
                        None => continue,
                    },
                    DependencySource::Version(_) => match dependencies.packages() {
                        Some(packages) => in_set(name, packages).map(|directory| (directory, None)),
                        None => continue,
                    },
                };
                let (directory, checkout) = match found {
                    Ok(found) => found,
                    Err(diagnostic) => {
                        errors.push(diagnostic.at(source, declared.span.clone()));
                        continue;
                    }
                };
                match by_name.get(name) {
                    Some((known, _)) if *known == directory => {}
                    Some((known, other)) => {
                        let message = format!(
                            "two packages are called `{name}`: {other} {}, and `{}` needs {}",
                            known.display(),
                            package.place.name,
                            directory.display()
                        );
                        errors.push(Diagnostic::new(message).at(source, declared.span.clone()));
                    }
                    None => {
                        let user_needs = format!("`{}` needs", package.place.name);
                        by_name.insert(name.clone(), (directory.clone(), user_needs));
                        wave.push(Needed { directory, by: Some((user, name.clone())), checkout });
                    }
                }
            }
        }
    }
    workspace.checkouts = dependencies.checkouts();
    if errors.is_empty() { Ok(Some((workspace, dependencies))) } else { Err(Diagnostics(errors)) }
}

fn read_package(workspace: &Workspace, needed: &Needed) -> Result<Package, Diagnostics> {
    if needed.directory.to_str().is_none() {
        let message = format!("the path {} is not UTF-8", needed.directory.display());
        return Err(Diagnostic::new(message)
            .help("move the package, or rename what it is in")
            .into());
    }
    let manifest = Manifest::read(&needed.directory)?;
    let name = &manifest.package.name.value;
    if let Some((user, expected)) = &needed.by
        && name != expected
    {
        let user = &workspace.packages[*user].manifest;
        let span = user.dependencies[expected].span.clone();
        let message = format!(
            "the dependency `{expected}` is called `{name}` by its own manifest, {}",
            manifest.source.path.display()
        );
        return Err(Diagnostic::new(message).at(&user.source, span).into());
    }
    let place = Arc::new(Place::new(&workspace.root, name, &needed.directory));
    Ok(Package { place, manifest, is_root: needed.by.is_none() })
}

/// Returns the requirement that a Git dependency of `package` makes.
fn requirement(
    root: &Path,
    package: &Package,
    checkout: &Option<PathBuf>,
    name: &str,
    url: &str,
    rev: Option<&str>,
    declared: &Dependency,
) -> Result<Requirement, Diagnostic> {
    let source = &package.manifest.source;
    let repository = Repository::parse(url, &package.place.directory)
        .map_err(|error| Diagnostic::new(error.to_string()).at(source, declared.span.clone()))?;
    let is_relative = repository.is_local() && !url.starts_with('/') && !url.contains("://");
    if is_relative && checkout.is_some() {
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
fn locate(
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
fn in_set(name: &str, packages: &Packages) -> Result<PathBuf, Diagnostic> {
    let packages = packages.directory();
    packages.join(name).canonicalize().map_err(|_| {
        let message = format!("the dependency `{name}` is not in {}", packages.display());
        Diagnostic::new(message).help("check it out there, or use { path = \"…\" }")
    })
}
