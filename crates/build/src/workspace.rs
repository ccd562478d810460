//! A package and the packages it depends on.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::describe_io;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{self, DependencySource, Manifest},
    place::Place,
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
}

/// One package of a workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name and where it is.
    pub place: Arc<Place>,
    /// What it is made of.
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

    /// Reads the manifest of the package at `root` and those of its dependencies.
    ///
    /// # Errors
    /// Everything wrong with any of them.
    pub fn load(root: &Path) -> Result<Self, Diagnostics> {
        let root = root.canonicalize().map_err(|error| {
            Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
        })?;
        let mut workspace = Self { packages: Vec::new(), root };
        let mut by_name: HashMap<String, PathBuf> = HashMap::new();
        let mut queue = vec![(workspace.root.clone(), None::<(usize, String)>)];
        let mut errors = Vec::new();
        let mut next = 0;
        while let Some((directory, needed_by)) = queue.get(next).cloned() {
            next += 1;
            if directory.to_str().is_none() {
                let message = format!("the path {} is not UTF-8", directory.display());
                errors.push(
                    Diagnostic::new(message).help("move the package, or rename what it is in"),
                );
                continue;
            }
            let manifest = match Manifest::read(&directory) {
                Ok(manifest) => manifest,
                Err(found) => {
                    errors.extend(found.0);
                    continue;
                }
            };
            let name = manifest.package.name.value.clone();
            if let Some((user, expected)) = needed_by {
                let user: &Package = &workspace.packages[user];
                let span = user.manifest.dependencies[&expected].span.clone();
                if name != expected {
                    let message = format!(
                        "the dependency `{expected}` is called `{name}` by its own manifest, {}",
                        manifest.source.path.display()
                    );
                    errors.push(Diagnostic::new(message).at(&user.manifest.source, span));
                    continue;
                }
            }
            by_name.insert(name.clone(), directory.clone());
            let user = workspace.packages.len();
            let place = Arc::new(Place::new(&workspace.root, &name, &directory));
            let package = Package { place, manifest, is_root: directory == workspace.root };
            for (dependency, declared) in &package.manifest.dependencies {
                let source = &package.manifest.source;
                let directory = match locate(&package.place.directory, dependency, &declared.from) {
                    Ok(directory) => directory,
                    Err(diagnostic) => {
                        errors.push(diagnostic.at(source, declared.span.clone()));
                        continue;
                    }
                };
                match by_name.get(dependency) {
                    Some(known) if *known == directory => {}
                    Some(known) => {
                        let message = format!(
                            "two packages are called `{dependency}`: {} and {}",
                            known.display(),
                            directory.display()
                        );
                        errors.push(Diagnostic::new(message).at(source, declared.span.clone()));
                    }
                    None => {
                        by_name.insert(dependency.clone(), directory.clone());
                        queue.push((directory, Some((user, dependency.clone()))));
                    }
                }
            }
            workspace.packages.push(Arc::new(package));
        }
        if errors.is_empty() { Ok(workspace) } else { Err(Diagnostics(errors)) }
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

fn locate(from: &Path, name: &str, source: &DependencySource) -> Result<PathBuf, Diagnostic> {
    match source {
        DependencySource::Path(path) => from.join(path).canonicalize().map_err(|error| {
            Diagnostic::new(format!(
                "cannot find the dependency `{name}` at {path}: {}",
                describe_io(&error)
            ))
        }),
        DependencySource::Git { .. } | DependencySource::Version(_) => {
            let packages = env::var_os("LARDER_PKG_DIR").map(PathBuf::from);
            let packages = packages.unwrap_or_else(|| from.join(LARDER_DIR).join("packages"));
            packages.join(name).canonicalize().map_err(|_| {
                let message = format!("the dependency `{name}` is not in {}", packages.display());
                Diagnostic::new(message).help("check it out there, or use { path = \"…\" }")
            })
        }
    }
}
