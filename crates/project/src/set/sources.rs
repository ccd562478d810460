//! The sources of the packages that a set file describes.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    io,
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use larder_trace::describe_io;

use super::{Entry, PackageSet};
use crate::{
    dependencies::{ArchivePlace, Dependencies, Origin, Reach, Requirement, Resolution, Update},
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{ArchiveSource, DependencySource},
    parallel,
    repository::Repository,
    workspace::{canonical, lock_alone, write_lockfile},
};

/// The absolute directories with the sources of packages, by name, or why they cannot be had.
pub type Sources = BTreeMap<String, Result<PathBuf, Diagnostic>>;

/// Returns the sources of all packages that the set file describes. Directories of the set are looked for; commits and
/// archives are found as dependencies of a workspace are, with `larder.lock` beside the set file to pin them, and
/// fetched where they are not there. What the set file says otherwise than when it was pinned is pinned anew.
///
/// # Errors
/// When `larder.lock` is broken, or cannot be written.
pub fn obtain(
    set: &PackageSet,
    root: &Path,
    resolution: &Resolution,
) -> Result<Sources, Diagnostics> {
    let root = canonical(root)?;
    let (mut found, elsewhere) = here(set, &root);
    if elsewhere.is_empty() {
        return Ok(found);
    }
    let mut resolution = resolution.clone();
    let base = base(set, &root);
    let new = |resolution: &Resolution, reach| {
        Dependencies::new(&root, resolution.clone(), reach).map(|it| it.based_on(base.clone()))
    };
    let look = new(&resolution, Reach::Look)?;
    let moved: Vec<String> = look.pinned_otherwise(&elsewhere);
    let look = match moved.is_empty() || resolution.locked {
        true => look,
        false => {
            resolution.update = Update::Only(moved);
            new(&resolution, Reach::Look)?
        }
    };
    let (dependencies, failed) = match all(look, &elsewhere) {
        (dependencies, failed) if resolution.only_look || !dependencies.is_incomplete() => {
            (dependencies, failed)
        }
        _ => fetch(&root, &elsewhere, || new(&resolution, Reach::Fetch))?,
    };
    for Requirement { name, .. } in elsewhere {
        let obtained = match dependencies.directory(&name) {
            Some(directory) => Ok(directory.to_owned()),
            None if resolution.only_look => Err(not_here(&name)),
            None => Err(why(&failed, &name, resolution.locked)),
        };
        found.insert(name, obtained);
    }
    Ok(found)
}

fn not_here(name: &str) -> Diagnostic {
    Diagnostic::new(format!("the sources of {name} are not here: a run fetches them first"))
        .failed()
}

/// Why the sources of a package cannot be had.
fn why(failed: &[(String, Diagnostic)], name: &str, locked: bool) -> Diagnostic {
    let Some((_, failed)) = failed.iter().find(|(of, _)| of == name) else {
        return Diagnostic::new(format!("the sources of {name} could not be had")).failed();
    };
    match locked && !failed.failed {
        // `larder update` is for packages.
        true => failed.clone().help("run it once without --locked"),
        false => failed.clone(),
    }
}

/// The packages that are directories of the set, and what the others require.
fn here(set: &PackageSet, root: &Path) -> (Sources, Vec<Requirement>) {
    let places = Places::default();
    let entries: Vec<(&String, &Entry)> = set.entries.iter().collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let looked = parallel::map(&entries, threads, |(_, entry)| match origin(set, root, entry) {
        Ok(None) => match &entry.source {
            DependencySource::Path(path) => Place::Here(directory(set, &places, root, entry, path)),
            _ => Place::Nowhere,
        },
        Ok(Some(origin)) => Place::Elsewhere(origin),
        Err(wrong) => Place::Here(Err(wrong.at(&set.source, entry.span.clone()))),
    });
    let mut found = Vec::with_capacity(entries.len());
    let mut elsewhere = Vec::new();
    for ((name, entry), place) in entries.into_iter().zip(looked) {
        match place {
            Place::Here(directory) => found.push((name.clone(), directory)),
            Place::Elsewhere(origin) => elsewhere.push(Requirement {
                name: name.clone(),
                origin,
                user: "the set".to_owned(),
                source: set.source.clone(),
                span: entry.span.clone(),
            }),
            Place::Nowhere => {}
        }
    }
    (found.into_iter().collect(), elsewhere)
}

/// Where the sources of a package are.
enum Place {
    /// In this directory, or why not.
    Here(Result<PathBuf, Diagnostic>),
    /// They are to be fetched from there.
    Elsewhere(Origin),
    /// It has none.
    Nowhere,
}

/// A directory of the set.
fn directory(
    set: &PackageSet,
    places: &Places,
    root: &Path,
    entry: &Entry,
    path: &str,
) -> Result<PathBuf, Diagnostic> {
    let wrong = |message: String, help: &str| {
        Diagnostic::new(message).help(help).at(&set.source, entry.span.clone())
    };
    let (directory, is_directory) = places.find(&root.join(path)).map_err(|error| {
        wrong(
            format!("cannot find the sources at {path}: {}", describe_io(&error)),
            "put them there",
        )
    })?;
    if !directory.starts_with(root) {
        return Err(wrong(
            format!("the sources at {path} are outside the set"),
            "copy them to where the link leads from",
        ));
    }
    if !is_directory {
        let help = "name a directory; an archive has a sha256 or blake3 beside its path";
        return Err(wrong(format!("{path} is no directory"), help));
    }
    Ok(directory)
}

/// Where directories are without links. Most packages lie side by side: what is above them is looked up once.
#[derive(Default)]
struct Places {
    known: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl Places {
    /// Returns where something is without links, and whether it is a directory.
    fn find(&self, path: &Path) -> io::Result<(PathBuf, bool)> {
        // One that ends in `..` has no name.
        if let (Some(above), Some(name)) = (path.parent(), path.file_name()) {
            let place = self.below(above, name)?;
            let metadata = place.symlink_metadata()?;
            if !metadata.is_symlink() {
                return Ok((place, metadata.is_dir()));
            }
        }
        let place = path.canonicalize()?;
        let is_directory = place.is_dir();
        Ok((place, is_directory))
    }

    /// Returns where `name` is, in a directory without links.
    fn below(&self, directory: &Path, name: &OsStr) -> io::Result<PathBuf> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match known.get(directory) {
            Some(known) => known.join(name),
            None => {
                known.entry(directory.to_owned()).or_insert(directory.canonicalize()?).join(name)
            }
        })
    }
}

/// The directory that paths to repositories start from: that of the set file, which may have been read elsewhere.
fn base(set: &PackageSet, root: &Path) -> PathBuf {
    let base = set.source.path.parent().unwrap_or(root);
    base.canonicalize().unwrap_or_else(|_| root.to_owned())
}

/// Where an entry's sources come from; `None` for a directory.
fn origin(set: &PackageSet, root: &Path, entry: &Entry) -> Result<Option<Origin>, Diagnostic> {
    Ok(match &entry.source {
        DependencySource::Git { url, rev, submodules } => {
            let repository = Repository::parse(url, &base(set, root))
                .map_err(|error| Diagnostic::new(error.to_string()))?;
            let (spelled, rev, submodules) = (url.clone(), rev.clone(), *submodules);
            Some(Origin::Git { repository, spelled, rev, submodules })
        }
        DependencySource::Archive { from, hash, strip } => {
            let from = match from {
                ArchiveSource::Url(url) => ArchivePlace::Url(url.clone()),
                ArchiveSource::Path(path) => ArchivePlace::File(root.join(path)),
            };
            Some(Origin::Archive { from, hash: hash.clone(), strip: *strip })
        }
        DependencySource::Path(_) | DependencySource::Version(_) => None,
    })
}

/// Finds what is required, as far as `dependencies` may. Returns what went wrong with which.
fn all(
    mut dependencies: Dependencies,
    required: &[Requirement],
) -> (Dependencies, Vec<(String, Diagnostic)>) {
    let mut failed = Vec::new();
    for requirement in required {
        let wanted = dependencies.want(requirement.clone());
        failed.extend(wanted.err().map(|wrong| (requirement.name.clone(), wrong)));
    }
    failed.extend(dependencies.obtain_each());
    (dependencies, failed)
}

/// Finds what is required, fetches what is not there, and pins what is not pinned.
fn fetch(
    root: &Path,
    required: &[Requirement],
    dependencies: impl FnOnce() -> Result<Dependencies, Diagnostics>,
) -> Result<(Dependencies, Vec<(String, Diagnostic)>), Diagnostics> {
    let _lock = lock_alone(root)?;
    let (dependencies, failed) = all(dependencies()?, required);
    if let Some(lockfile) = dependencies.grown_lockfile() {
        write_lockfile(root, &lockfile)?;
    }
    Ok((dependencies, failed))
}
