//! Dependencies from Git and from archives: which content each of them is, and where that is unpacked.
//!
//! `larder.lock` decides. What it pins stays as it is until [`Update`] says otherwise; what it does
//! not pin yet is resolved once and added. Only the root package's lock file counts.

mod pinning;
mod requirement;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    archive::Fetcher,
    diagnostic::{Diagnostic, Diagnostics},
    git::{self, Commit},
    lockfile::Lockfile,
    packages::{Baked, Checkout, Content, Form, PackageError, Packages, Remote, Sources},
    parallel,
};
use pinning::{check_pinned, unpinned};
pub(crate) use requirement::{ArchivePlace, Origin, Requirement};
use requirement::{asked, asked_archive};

/// How dependencies are resolved.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// The lock file must not change: what it does not pin is an error.
    pub locked: bool,
    /// Nothing is fetched: what is not there is an error.
    pub offline: bool,
    /// Of a package set, nothing is fetched and nothing written: what is not there is an error of its own package.
    pub only_look: bool,
    /// The pinned packages that are to be resolved anew.
    pub update: Update,
    /// The directory of packages that workspaces share; the workspace's own, when absent.
    pub packages: Option<PathBuf>,
    /// Whoever fetches archives.
    pub fetcher: Option<Arc<dyn Fetcher>>,
    /// The offline store, whose checkouts are used rather than fetched.
    pub baked: Option<Arc<dyn Baked>>,
}

/// Which entries of the lock file are resolved anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Update {
    /// None.
    #[default]
    Nothing,
    /// Those of these packages.
    Only(Vec<String>),
    /// All.
    Everything,
}

impl Update {
    fn includes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Only(names) => names.iter().any(|chosen| chosen == name),
            Self::Everything => true,
        }
    }
}

/// A dependency that was found.
struct Found {
    requirement: Requirement,
    form: Form,
    /// Where it is, where files are needed.
    directory: Option<PathBuf>,
}

/// How far dependencies are followed out of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Their commits are known and nothing else of them: none of their files is looked for.
    Pins,
    /// Their files are looked for; nothing is fetched and nothing written.
    Look,
    /// Packages that are not there are fetched, and those that are not pinned are added to the lock
    /// file.
    Fetch,
}

/// The dependencies of a workspace from elsewhere, while they are being found.
pub(crate) struct Dependencies {
    resolution: Resolution,
    reach: Reach,
    root: PathBuf,
    /// The directory that the lock file's paths to repositories start from: its own, unless it is read elsewhere.
    base: PathBuf,
    packages: Packages,
    lockfile: Lockfile,
    wanted: Vec<Requirement>,
    found: BTreeMap<String, Found>,
    incomplete: bool,
}

impl Dependencies {
    /// Those of the workspace at `root`.
    pub fn new(root: &Path, resolution: Resolution, reach: Reach) -> Result<Self, Diagnostics> {
        let packages = match &resolution.packages {
            Some(directory) => Packages::shared(directory),
            None => Packages::of(root),
        };
        if reach == Reach::Fetch {
            packages.clean_up();
        }
        Ok(Self {
            resolution,
            reach,
            lockfile: Lockfile::read(root)?,
            packages,
            root: root.to_owned(),
            base: root.to_owned(),
            wanted: Vec::new(),
            found: BTreeMap::new(),
            incomplete: false,
        })
    }

    /// Those of the workspace at `root` by what its lock file pins: what it does not pin is an error.
    pub fn pinned(root: &Path) -> Result<Self, Diagnostics> {
        let resolution = Resolution { locked: true, ..Resolution::default() };
        Self::new(root, resolution, Reach::Pins)
    }

    /// The same with a lock file whose paths to repositories start from `base`.
    #[must_use]
    pub fn based_on(self, base: PathBuf) -> Self {
        Self { base, ..self }
    }

    /// The directory of packages, unless none of their files is looked for.
    pub fn packages(&self) -> Option<&Packages> {
        (self.reach != Reach::Pins).then_some(&self.packages)
    }

    /// Whether something has to be fetched or added to the lock file, and may not be.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Where a dependency is that was wanted and obtained as files.
    pub fn directory(&self, name: &str) -> Option<&Path> {
        self.found.get(name)?.directory.as_deref()
    }

    /// Takes note of what a manifest asks for, to be obtained with the rest.
    ///
    /// # Errors
    /// When another package asks for something else by the same name.
    pub fn want(&mut self, requirement: Requirement) -> Result<(), Diagnostic> {
        let other = self.wanted.iter().find(|other| other.name == requirement.name);
        let (other, agrees) = match (self.found.get(&requirement.name), other) {
            (Some(found), _) => {
                let other = &found.requirement;
                (other, requirement.origin.is(&other.origin, Some(&found.form.content)))
            }
            (None, Some(other)) => (other, requirement.origin.is(&other.origin, None)),
            (None, None) => {
                self.wanted.push(requirement);
                return Ok(());
            }
        };
        if agrees {
            return Ok(());
        }
        let message = format!(
            "two packages need different `{}`: `{}` needs {}, and `{}` needs {}",
            requirement.name,
            other.user,
            other.origin.asked(),
            requirement.user,
            requirement.origin.asked()
        );
        let help = "let both name the same repository and `rev`, or the same archive";
        Err(requirement.wrong(message).help(help))
    }

    /// Finds everything that is wanted, at once. Returns what went wrong.
    pub fn obtain(&mut self) -> Vec<Diagnostic> {
        self.obtain_each().into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    /// The same, with the name of each that went wrong.
    pub fn obtain_each(&mut self) -> Vec<(String, Diagnostic)> {
        let wanted = std::mem::take(&mut self.wanted);
        let obtained = parallel::map(&wanted, SERVERS, |requirement| self.obtain_one(requirement));
        let mut errors = Vec::new();
        for (requirement, obtained) in wanted.into_iter().zip(obtained) {
            match obtained {
                Ok(Some((form, directory))) => {
                    self.found
                        .insert(requirement.name.clone(), Found { requirement, form, directory });
                }
                Ok(None) => self.incomplete = true,
                Err(diagnostic) => errors.push((requirement.name, diagnostic)),
            }
        }
        errors
    }

    /// The content and, where files are needed, the directory it is in; `None` when something would
    /// have to be written and may not be.
    fn obtain_one(
        &self,
        requirement: &Requirement,
    ) -> Result<Option<(Form, Option<PathBuf>)>, Diagnostic> {
        let Some(form) = self.pin(requirement)? else { return Ok(None) };
        if self.reach == Reach::Pins {
            return Ok(Some((form, None)));
        }
        let canonical = |directory: PathBuf| Some(directory.canonicalize().unwrap_or(directory));
        if let Some(directory) = self.packages.find(&requirement.name, &form) {
            return Ok(Some((form, canonical(directory))));
        }
        let baked = self.resolution.baked.as_deref();
        let has = baked.map_or(Ok(false), |baked| baked.has(&form.content));
        let baked = baked.filter(|_| has == Ok(true));
        let from = self.remote(&requirement.origin);
        if from.is_none() && baked.is_none() {
            return Err(self.out_of_reach(requirement, &form.content, has.err()));
        }
        if self.reach != Reach::Fetch {
            return Ok(None);
        }
        match self.packages.obtain(&requirement.name, &form, &Sources { baked, from }) {
            Ok(directory) => Ok(Some((form, canonical(directory)))),
            Err(error) => {
                let message = format!("cannot get {}: {error}", requirement.pinned(&form.content));
                let wrong = requirement.wrong(message).failed();
                let is_baked = matches!(error, PackageError::Baked { .. });
                Err(if is_baked { wrong.help(OFFLINE_STORE) } else { wrong })
            }
        }
    }

    /// Where a dependency may be had from, with no more of the network than is allowed.
    fn remote<'a>(&'a self, origin: &'a Origin) -> Option<Remote<'a>> {
        match origin {
            Origin::Archive { from: ArchivePlace::File(path), .. } => Some(Remote::File(path)),
            _ if self.resolution.offline => None,
            Origin::Git { repository, .. } => Some(Remote::Repository(repository)),
            Origin::Archive { from: ArchivePlace::Url(url), .. } => {
                let fetcher = self.resolution.fetcher.as_deref()?;
                Some(Remote::Url { url, fetcher })
            }
        }
    }

    /// The error for a content that is nowhere, where nothing is fetched. `unusable` says why the
    /// offline store is none.
    fn out_of_reach(
        &self,
        requirement: &Requirement,
        content: &Content,
        unusable: Option<String>,
    ) -> Diagnostic {
        let store = self.resolution.baked.as_ref().map(|baked| baked.directory().display());
        let packages = self.packages.directory().display();
        let places = match &store {
            Some(store) => format!("neither in {packages} nor in the offline store {store}"),
            None => format!("not in {packages}"),
        };
        let unusable = unusable.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let pinned = requirement.pinned(content);
        let message = format!("{pinned} is {places}{unusable}, and nothing is fetched offline");
        let help = if store.is_some() { OFFLINE_STORE } else { OFFLINE };
        requirement.wrong(message).help(help).failed()
    }

    /// The content that a requirement means: what the lock file pins, else what the repository says;
    /// `None` when the lock file would have to be written and may not be.
    fn pin(&self, requirement: &Requirement) -> Result<Option<Form>, Diagnostic> {
        let (name, origin) = (&requirement.name, &requirement.origin);
        let (strip, submodules) = (origin.strip(), origin.submodules());
        let form = |content| Some(Form { content, strip, submodules });
        if origin.is_pinned() && !self.resolution.update.includes(name) {
            if let Some(pinned) = self.lockfile.packages.get(name) {
                check_pinned(requirement, pinned, &self.base)?;
                return Ok(form(pinned.content()));
            }
            if self.resolution.locked {
                return Err(unpinned(requirement));
            }
        }
        let (repository, rev) = match origin {
            Origin::Git { repository, rev, .. } => (repository, rev.as_deref()),
            Origin::Archive { hash, .. } if !origin.is_pinned() || self.reach == Reach::Fetch => {
                return Ok(form(Content::Archive(hash.clone())));
            }
            Origin::Archive { .. } => return Ok(None),
        };
        let is_commit = rev.is_some_and(|rev| rev.parse::<Commit>().is_ok());
        if self.resolution.offline && !is_commit {
            let message = format!(
                "which commit the dependency `{name}` is ({}) cannot be found out offline",
                origin.asked()
            );
            return Err(requirement.wrong(message).help(OFFLINE).failed());
        }
        if self.reach != Reach::Fetch {
            return Ok(None);
        }
        match git::resolve(repository, rev) {
            Ok(commit) => Ok(form(Content::Commit(commit))),
            Err(error) => {
                let message = format!("cannot resolve the dependency `{name}`: {error}");
                Err(requirement.wrong(message).failed())
            }
        }
    }

    /// The names of all that were found and are pinned.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let found = self.found.iter();
        let pinned = found.filter(|(_, found)| found.requirement.origin.is_pinned());
        pinned.map(|(name, _)| name.as_str())
    }

    /// The contents of all that were obtained as files, sorted by name. An archive that is part of a
    /// package is none of them.
    pub fn checkouts(&self) -> Vec<Checkout> {
        let found = self.found.iter().filter_map(|(name, found)| {
            let is_there = found.directory.is_some() && found.requirement.origin.is_pinned();
            let path = match &found.form.content {
                Content::Commit(_) => found.directory.clone()?,
                Content::Archive(_) => self.packages.content(name, &found.form),
            };
            let content = found.form.content.clone();
            let submodules = found.form.submodules;
            is_there.then(|| Checkout { name: name.clone(), content, path, submodules })
        });
        found.collect()
    }
}

/// How many fetches run at once: each waits for a server most of its time.
const SERVERS: usize = 8;

const OFFLINE: &str = "run it once without --offline and LARDER_OFFLINE";

const OFFLINE_STORE: &str = "bake the store anew with this larder.lock (`larder cache bake DIR --dependencies`), or \
                             run it once without --offline and LARDER_OFFLINE";
