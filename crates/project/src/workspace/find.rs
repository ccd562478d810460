//! Finding all packages of a workspace, from the root package on.

use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Package, Workspace,
    locate::{Asks, in_set, locate},
    overlay::{Overlay, Shelf},
};
use crate::{
    dependencies::Dependencies,
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{self, Dependency, DependencySource, Document},
    place::Place,
    setting::Platform,
    version::Answer,
};

/// Reads all manifests, those of one distance from the root at a time, so that what a distance needs
/// from elsewhere is fetched at once. `None` when something has to be fetched and may not be.
pub(super) fn find_packages(
    root: &Path,
    dependencies: Dependencies,
) -> Result<Option<(Workspace<Document>, Dependencies)>, Diagnostics> {
    let mut finder = Finder {
        workspace: Workspace {
            root: root.to_owned(),
            packages: Vec::new(),
            checkouts: Vec::new(),
            overlays: Vec::new(),
            cross: None,
        },
        origins: Vec::new(),
        by_name: HashMap::new(),
        dependencies,
        errors: Vec::new(),
    };
    let mut wave =
        vec![Needed { directory: root.to_owned(), by: None, checkout: None, overlay: None }];
    while !wave.is_empty() {
        let users = finder.read(wave);
        users.clone().for_each(|user| finder.want(user));
        finder.errors.extend(finder.dependencies.obtain());
        if finder.dependencies.is_incomplete() && finder.errors.is_empty() {
            return Ok(None);
        }
        wave = users.flat_map(|user| finder.needed_by(user)).collect();
    }
    finder.finish().map(Some)
}

/// A package on its way into the workspace.
struct Needed {
    directory: PathBuf,
    /// The package that needs it first, by index, and what that calls it.
    by: Option<(usize, String)>,
    /// For what came from elsewhere: the checkout that it must stay in.
    checkout: Option<PathBuf>,
    /// The manifest that stands in for its own.
    overlay: Option<Overlay>,
}

/// The things about a package of the workspace that count for its dependencies.
struct Origin {
    /// For what came from elsewhere: the checkout that it must stay in.
    checkout: Option<PathBuf>,
    /// Where it names manifests for them.
    shelf: Shelf,
}

/// The package of a name.
struct Known {
    directory: PathBuf,
    overlay: Option<Overlay>,
    /// Why it is that, in words that its directory follows.
    why: String,
    /// The package that needs it first.
    user: String,
}

struct Finder {
    workspace: Workspace<Document>,
    /// As many as there are packages.
    origins: Vec<Origin>,
    by_name: HashMap<String, Known>,
    dependencies: Dependencies,
    errors: Vec<Diagnostic>,
}

impl Finder {
    /// Reads the manifests of `wave`, and tells which packages of the workspace that makes.
    fn read(&mut self, wave: Vec<Needed>) -> Range<usize> {
        let first = self.workspace.packages.len();
        for needed in wave {
            match read_package(&self.workspace, &needed) {
                Ok(package) => {
                    let Needed { directory, by, checkout, overlay } = needed;
                    let shelf = match &overlay {
                        Some(overlay) => overlay.shelf().clone(),
                        None => Shelf::of_package(&directory, checkout.is_some()),
                    };
                    if by.is_none() {
                        let name = package.place.name.clone();
                        let (why, user) = ("this package is".to_owned(), name.clone());
                        self.by_name.insert(name, Known { directory, overlay, why, user });
                    }
                    self.workspace.packages.push(Arc::new(package));
                    self.origins.push(Origin { checkout, shelf });
                }
                Err(found) => self.errors.extend(found.0),
            }
        }
        first..self.workspace.packages.len()
    }

    /// Notes what a package needs from elsewhere.
    fn want(&mut self, user: usize) {
        let package = &self.workspace.packages[user];
        let (root, Origin { checkout, shelf }) = (&self.workspace.root, &self.origins[user]);
        let asks = Asks { root, package, shelf, checkout: checkout.as_deref() };
        for (name, declared) in &package.manifest.dependencies {
            let wanted = match asks.requirement(name, declared) {
                Ok(None) => Ok(()),
                Ok(Some(required)) => self.dependencies.want(required),
                Err(wrong) => Err(wrong),
            };
            self.errors.extend(wanted.err());
        }
    }

    /// The packages that a package needs and that no other needed before.
    fn needed_by(&mut self, user: usize) -> Vec<Needed> {
        let package = self.workspace.packages[user].clone();
        let source = &package.manifest.source;
        let mut needed = Vec::new();
        for (name, declared) in &package.manifest.dependencies {
            match self.dependency(user, name, declared) {
                Ok(new) => needed.extend(new),
                Err(wrong) => self.errors.push(match wrong.place {
                    Some(_) => wrong,
                    None => wrong.at(source, declared.span.clone()),
                }),
            }
        }
        needed
    }

    fn dependency(
        &mut self,
        user: usize,
        name: &str,
        declared: &Dependency,
    ) -> Result<Option<Needed>, Diagnostic> {
        let Origin { checkout, shelf } = &self.origins[user];
        let at_manifest = |wrong: Diagnostic| match &declared.manifest {
            Some(path) => {
                wrong.at(&self.workspace.packages[user].manifest.source, path.span.clone())
            }
            None => wrong,
        };
        let overlay = shelf.take(declared).map_err(at_manifest)?;
        let place = &self.workspace.packages[user].place;
        let (directory, checkout) = match &declared.from {
            DependencySource::Path(path) => {
                (locate(&place.directory, name, path, checkout.as_deref())?, checkout.clone())
            }
            DependencySource::Git { .. } | DependencySource::Archive { .. } => {
                match self.dependencies.directory(name) {
                    Some(directory) => (directory.to_owned(), Some(directory.to_owned())),
                    // What is wrong with it has been said, or its files are not needed.
                    None => {
                        self.keep(name, overlay);
                        return Ok(None);
                    }
                }
            }
            DependencySource::Version(required) => match self.dependencies.packages() {
                Some(packages) => (in_set(name, required, packages)?, None),
                None => {
                    self.keep(name, overlay);
                    return Ok(None);
                }
            },
        };
        let user_name = place.name.clone();
        match self.by_name.get(name) {
            Some(known) => {
                known.check(name, &directory, overlay.as_ref(), &user_name).map(|()| None)
            }
            None => {
                let known = Known {
                    directory: directory.clone(),
                    overlay: overlay.clone(),
                    why: format!("`{user_name}` needs"),
                    user: user_name,
                };
                self.by_name.insert(name.to_owned(), known);
                let by = Some((user, name.to_owned()));
                Ok(Some(Needed { directory, by, checkout, overlay }))
            }
        }
    }

    /// Notes the manifest of a package whose files are not looked for.
    fn keep(&mut self, name: &str, overlay: Option<Overlay>) {
        if let Some(overlay) = overlay
            && let Err(wrong) = overlay.collect(name, &mut self.workspace.overlays)
        {
            self.errors.extend(wrong.0);
        }
    }

    fn finish(mut self) -> Result<(Workspace<Document>, Dependencies), Diagnostics> {
        self.errors.extend(wrong_versions(&self.workspace));
        if !self.errors.is_empty() {
            return Err(Diagnostics(self.errors));
        }
        self.workspace.checkouts = self.dependencies.checkouts();
        Ok((self.workspace, self.dependencies))
    }
}

/// The versions that do not satisfy what is required of them.
fn wrong_versions(workspace: &Workspace<Document>) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for user in &workspace.packages {
        for (name, declared) in &user.manifest.dependencies {
            let DependencySource::Version(required) = &declared.from else { continue };
            let Some(package) = workspace.package_named(name) else { continue };
            let package = &workspace.packages[package];
            let (version, file) = (&package.manifest.package.version, &package.manifest.source);
            let (user_name, file) = (&user.place.name, file.path.display());
            let why = match required.admits(version) {
                Answer::Satisfied => continue,
                _ if version.is_empty() => format!("{file} gives it no version"),
                Answer::Missed => format!("{file} says that it is {version}"),
                Answer::Incomparable => format!(
                    "{file} says that it is {version}, which is no version that could be compared"
                ),
            };
            let message = format!("`{user_name}` needs `{name}` {required}, but {why}");
            let help = "put another version there, or let the requirement admit this one; \"*\" admits any";
            let diagnostic = Diagnostic::new(message).help(help);
            wrong.push(diagnostic.at(&user.manifest.source, declared.span.clone()));
        }
    }
    wrong
}

impl Known {
    /// Makes sure that `user` means the same package by `name`.
    fn check(
        &self,
        name: &str,
        directory: &Path,
        overlay: Option<&Overlay>,
        user: &str,
    ) -> Result<(), Diagnostic> {
        if self.directory != directory {
            let (known, directory) = (self.directory.display(), directory.display());
            let message = format!(
                "two packages are called `{name}`: {} {known}, and `{user}` needs {directory}",
                self.why
            );
            return Err(Diagnostic::new(message));
        }
        let is_same = match (&self.overlay, overlay) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        let which = |overlay: Option<&Overlay>| match overlay {
            Some(overlay) => overlay.source.path.display().to_string(),
            None => "its own".to_owned(),
        };
        let message = format!(
            "two packages need `{name}` with different manifests: `{}` with {}, and `{user}` with {}",
            self.user,
            which(self.overlay.as_ref()),
            which(overlay)
        );
        Err(Diagnostic::new(message).help("a package has one manifest: let both name the same"))
    }
}

fn read_package(
    workspace: &Workspace<Document>,
    needed: &Needed,
) -> Result<Package<Document>, Diagnostics> {
    if needed.directory.to_str().is_none() {
        let message = format!("the path {} is not UTF-8", needed.directory.display());
        return Err(Diagnostic::new(message)
            .help("move the package, or rename what it is in")
            .into());
    }
    let at_user = |wrong: Diagnostic| match &needed.by {
        Some((user, name)) => {
            let user = &workspace.packages[*user].manifest;
            wrong.at(&user.source, user.dependencies[name].span.clone())
        }
        None => wrong,
    };
    let file = needed.directory.join(manifest::FILE_NAME);
    if let (Some((_, name)), None) = (&needed.by, &needed.overlay)
        && !file.exists()
    {
        let message = format!("the dependency `{name}` has no manifest: no {}", file.display());
        let help = format!(
            "write one here and name it: {name} = {{ …, manifest = \"deps/{name}.toml\" }}; its \
             paths are relative to the sources of `{name}`"
        );
        return Err(at_user(Diagnostic::new(message).help(help)).into());
    }
    let manifest = match &needed.overlay {
        Some(overlay) => Document::parse(overlay.source.clone())?,
        None => Document::read(&needed.directory)?,
    };
    let name = &manifest.package.name.value;
    if let Some((_, expected)) = &needed.by
        && name != expected
    {
        let whose = if needed.overlay.is_some() { "the manifest" } else { "its own manifest," };
        let message = format!(
            "the dependency `{expected}` is called `{name}` by {whose} {}",
            manifest.source.path.display()
        );
        return Err(at_user(Diagnostic::new(message)).into());
    }
    let mut place = Place::new(&workspace.root, name, &needed.directory);
    if needed.overlay.is_some() {
        place = place.with_manifest(&workspace.root, &manifest.source.path);
    }
    Ok(Package {
        place: Arc::new(place),
        manifest,
        is_root: needed.by.is_none(),
        platform: Platform::default(),
    })
}
