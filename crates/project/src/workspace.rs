//! A package and the packages it depends on.

mod find;
mod locate;
mod overlay;
mod settle;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::describe_io;

use crate::{
    dependencies::{Dependencies, Reach, Resolution, Update},
    diagnostic::{Diagnostic, Diagnostics, SourceText, suggest},
    leftovers,
    lock::{FileLock, lock_build},
    lockfile::{self, Lockfile},
    manifest::{self, Document, Manifest},
    packages::Checkout,
    place::Place,
    setting::{BuiltFor, Cross, Platform},
};
use find::find_packages;

/// Where larder keeps what it makes, below the root package's directory.
pub const LARDER_DIR: &str = ".larder";

/// The root package and everything it depends on, with manifests as they are written ([`Document`]) or settled
/// ([`Manifest`]).
#[derive(Debug)]
pub struct Workspace<M = Manifest> {
    /// The root package's directory, absolute.
    pub root: PathBuf,
    /// All packages; the root package is the first, and a package comes after whoever needs it first. Where a
    /// target is chosen, all of them come once more after these, as they are built for the host.
    pub packages: Vec<Arc<Package<M>>>,
    /// The checkouts that packages from Git are in, sorted by name.
    pub checkouts: Vec<Checkout>,
    /// The manifests that are kept here for packages whose files are not looked for, by package.
    pub(crate) overlays: Vec<(String, SourceText)>,
    /// The tools for the target, where one is chosen.
    pub cross: Option<Arc<Cross>>,
}

/// One package of a workspace.
#[derive(Debug, Clone)]
pub struct Package<M = Manifest> {
    /// Its name and where it is.
    pub place: Arc<Place>,
    /// Its manifest.
    pub manifest: M,
    /// Whether it is the root package.
    pub is_root: bool,
    /// The platform that it is built for.
    pub platform: Platform,
}

impl Workspace<Document> {
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
    pub fn read(root: &Path, resolution: &Resolution) -> Result<Self, Diagnostics> {
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
            let unknown =
                names.iter().filter(|name| dependencies.names().all(|known| known != *name));
            let errors: Vec<Diagnostic> = unknown
                .map(|name| {
                    let message = format!("there is no pinned dependency called `{name}`");
                    match suggest(name, dependencies.names()) {
                        Some(known) => {
                            Diagnostic::new(message).help(format!("did you mean `{known}`?"))
                        }
                        None => Diagnostic::new(message).help(
                            "only `{ git = \"…\" }` and `{ url = \"…\" }` dependencies are pinned",
                        ),
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
        let _lock = lock_alone(root)?;
        find_all(root, Dependencies::new(root, resolution.clone(), Reach::Fetch)?)
    }
}

impl<M> Workspace<M> {
    /// The package called `name`.
    pub fn package_named(&self, name: &str) -> Option<usize> {
        self.package_built(name, BuiltFor::Target)
    }

    /// The package called `name`, as it is built for one side.
    pub fn package_built(&self, name: &str, side: BuiltFor) -> Option<usize> {
        self.packages
            .iter()
            .position(|package| package.place.name == name && package.place.built_for == side)
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

/// Waits until no other larder works at `root`, and removes what one has left there that was killed.
pub(crate) fn lock_alone(root: &Path) -> Result<FileLock, Diagnostic> {
    let larder = root.join(LARDER_DIR);
    let waiting = |holder: Option<u32>| {
        let holder = holder.map_or_else(|| "another process".into(), |id| format!("process {id}"));
        tracing::info!("waiting for {holder}, which works in {}", root.display());
    };
    let lock = lock_build(&larder, &|| false, waiting).map_err(|error| {
        Diagnostic::new(format!("cannot use {}: {}", larder.display(), describe_io(&error)))
            .failed()
    })?;
    if lock.holder_died {
        leftovers::remove(&larder);
    }
    Ok(lock)
}

pub(crate) fn write_lockfile(root: &Path, lockfile: &Lockfile) -> Result<(), Diagnostic> {
    lockfile.write(root).map(drop).map_err(|error| {
        let path = root.join(lockfile::FILE_NAME);
        Diagnostic::new(format!("cannot write {}: {}", path.display(), describe_io(&error)))
            .failed()
    })
}

/// The packages whose files belong to the workspace at `root`, which is canonical: the root package
/// first, and its path dependencies; manifests that these keep for others; and the lock file, which pins
/// all that comes from elsewhere. Nothing is fetched and nothing written.
///
/// # Errors
/// Everything wrong with their manifests, and dependencies that the lock file does not pin.
pub(crate) fn pinned(root: &Path) -> Result<(Workspace<Document>, Lockfile), Diagnostics> {
    let (workspace, dependencies) = find_all(root, Dependencies::pinned(root)?)?;
    Ok((workspace, dependencies.into_lockfile()))
}

/// [`find_packages`] where nothing can stay to be done.
fn find_all(
    root: &Path,
    dependencies: Dependencies,
) -> Result<(Workspace<Document>, Dependencies), Diagnostics> {
    let found = find_packages(root, dependencies)?;
    found.ok_or_else(|| Diagnostic::new("the dependencies could not be found").failed().into())
}
