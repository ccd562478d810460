//! Git dependencies: which commit each of them is, and where that is checked out.
//!
//! `larder.lock` decides. What it pins stays as it is until [`Update`] says otherwise; what it does
//! not pin yet is resolved once and added. Only the root package's lock file counts.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, SourceText},
    git::{self, Commit},
    lockfile::{self, Lockfile, Pinned},
    packages::{Baked, Checkout, PackageError, Packages, Sources},
    parallel,
    repository::Repository,
};

/// How dependencies are resolved.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// The lock file must not change: what it does not pin is an error.
    pub locked: bool,
    /// Nothing is fetched: what is not there is an error.
    pub offline: bool,
    /// The pinned packages that are to be resolved anew.
    pub update: Update,
    /// The directory of packages that workspaces share; the workspace's own, when absent.
    pub packages: Option<PathBuf>,
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

/// A dependency that a manifest requires.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    /// The dependency's name.
    pub name: String,
    /// The repository.
    pub repository: Repository,
    /// The repository as the lock file spells it.
    pub spelled: String,
    /// The commit, tag or branch; `None` is the default branch.
    pub rev: Option<String>,
    /// The package that asks.
    pub user: String,
    /// Its manifest.
    pub source: SourceText,
    /// Where it asks.
    pub span: Range<usize>,
}

impl Requirement {
    fn wrong(&self, message: String) -> Diagnostic {
        Diagnostic::new(message).at(&self.source, self.span.clone())
    }

    fn asked(&self) -> String {
        asked(self.repository.url(), self.rev.as_deref())
    }

    /// What is asked for and pinned, for people.
    fn pinned(&self, commit: &Commit) -> String {
        let (name, url, commit) = (&self.name, self.repository.url(), commit.short());
        format!("the dependency `{name}` ({url}, commit {commit})")
    }

    /// Whether what `other` asks for is the same, or a commit that is pinned for `other`.
    fn agrees(&self, repository: &Repository, rev: Option<&str>, commit: &Commit) -> bool {
        let rev_agrees = self.rev.as_deref() == rev || self.rev.as_deref() == Some(commit.as_str());
        self.repository.is(repository) && rev_agrees
    }
}

fn asked(url: &str, rev: Option<&str>) -> String {
    format!("{url} at {}", rev.unwrap_or("its default branch"))
}

/// A dependency that was found.
struct Found {
    requirement: Requirement,
    commit: Commit,
    /// Its checkout, where files are needed.
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

/// The Git dependencies of a workspace, while they are being found.
pub(crate) struct Dependencies {
    resolution: Resolution,
    reach: Reach,
    root: PathBuf,
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
                let rev = other.rev.as_deref();
                (other, requirement.agrees(&other.repository, rev, &found.commit))
            }
            (None, Some(other)) => (
                other,
                requirement.repository.is(&other.repository) && requirement.rev == other.rev,
            ),
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
            other.asked(),
            requirement.user,
            requirement.asked()
        );
        Err(requirement.wrong(message).help("let both name the same repository and `rev`"))
    }

    /// Finds everything that is wanted, at once. Returns what went wrong.
    pub fn obtain(&mut self) -> Vec<Diagnostic> {
        let wanted = std::mem::take(&mut self.wanted);
        let obtained = parallel::map(&wanted, SERVERS, |requirement| self.obtain_one(requirement));
        let mut errors = Vec::new();
        for (requirement, obtained) in wanted.into_iter().zip(obtained) {
            match obtained {
                Ok(Some((commit, directory))) => {
                    self.found
                        .insert(requirement.name.clone(), Found { requirement, commit, directory });
                }
                Ok(None) => self.incomplete = true,
                Err(diagnostic) => errors.push(diagnostic),
            }
        }
        errors
    }

    /// The commit and, where files are needed, its checkout; `None` when something would have to be
    /// written and may not be.
    fn obtain_one(
        &self,
        requirement: &Requirement,
    ) -> Result<Option<(Commit, Option<PathBuf>)>, Diagnostic> {
        let Some(commit) = self.pin(requirement)? else { return Ok(None) };
        if self.reach == Reach::Pins {
            return Ok(Some((commit, None)));
        }
        let canonical = |directory: PathBuf| Some(directory.canonicalize().unwrap_or(directory));
        if let Some(directory) = self.packages.find(&requirement.name, &commit) {
            return Ok(Some((commit, canonical(directory))));
        }
        let baked = self.resolution.baked.as_deref();
        let has = baked.map_or(Ok(false), |baked| baked.has(&commit));
        let baked = baked.filter(|_| has == Ok(true));
        if self.resolution.offline && baked.is_none() {
            return Err(self.out_of_reach(requirement, &commit, has.err()));
        }
        if self.reach != Reach::Fetch {
            return Ok(None);
        }
        let repository = (!self.resolution.offline).then_some(&requirement.repository);
        match self.packages.obtain(&requirement.name, &commit, &Sources { baked, repository }) {
            Ok(directory) => Ok(Some((commit, canonical(directory)))),
            Err(error) => {
                let message = format!("cannot get {}: {error}", requirement.pinned(&commit));
                let wrong = requirement.wrong(message).failed();
                let is_baked = matches!(error, PackageError::Baked { .. });
                Err(if is_baked { wrong.help(OFFLINE_STORE) } else { wrong })
            }
        }
    }

    /// The error for a checkout that is nowhere, where nothing is fetched. `unusable` says why the
    /// offline store is none.
    fn out_of_reach(
        &self,
        requirement: &Requirement,
        commit: &Commit,
        unusable: Option<String>,
    ) -> Diagnostic {
        let store = self.resolution.baked.as_ref().map(|baked| baked.directory().display());
        let packages = self.packages.directory().display();
        let places = match &store {
            Some(store) => format!("neither in {packages} nor in the offline store {store}"),
            None => format!("not in {packages}"),
        };
        let unusable = unusable.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let pinned = requirement.pinned(commit);
        let message = format!("{pinned} is {places}{unusable}, and nothing is fetched offline");
        let help = if store.is_some() { OFFLINE_STORE } else { OFFLINE };
        requirement.wrong(message).help(help).failed()
    }

    /// The commit that a requirement means: what the lock file pins, else what the repository says;
    /// `None` when the lock file would have to be written and may not be.
    fn pin(&self, requirement: &Requirement) -> Result<Option<Commit>, Diagnostic> {
        let name = &requirement.name;
        if !self.resolution.update.includes(name) {
            if let Some(pinned) = self.lockfile.packages.get(name) {
                check_pinned(requirement, pinned, &self.root)?;
                return Ok(Some(pinned.commit.clone()));
            }
            if self.resolution.locked {
                return Err(unpinned(requirement));
            }
        }
        let is_commit = requirement.rev.as_ref().is_some_and(|rev| rev.parse::<Commit>().is_ok());
        if self.resolution.offline && !is_commit {
            let message = format!(
                "which commit the dependency `{name}` is ({}) cannot be found out offline",
                requirement.asked()
            );
            return Err(requirement.wrong(message).help(OFFLINE).failed());
        }
        if self.reach != Reach::Fetch {
            return Ok(None);
        }
        let resolved = git::resolve(&requirement.repository, requirement.rev.as_deref());
        resolved.map(Some).map_err(|error| {
            let message = format!("cannot resolve the dependency `{name}`: {error}");
            requirement.wrong(message).failed()
        })
    }

    /// Whether a Git dependency called `name` was found.
    pub fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// The names of all that were found.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// All that were obtained as files, sorted by name.
    pub fn checkouts(&self) -> Vec<Checkout> {
        let found = self.found.iter().filter_map(|(name, found)| {
            let (name, commit) = (name.clone(), found.commit.clone());
            Some(Checkout { name, commit, directory: found.directory.clone()? })
        });
        found.collect()
    }

    /// The lock file as it was.
    pub fn into_lockfile(self) -> Lockfile {
        self.lockfile
    }

    /// The lock file before, and after everything was found. An update forgets what nobody needs.
    pub fn lockfiles(self) -> (Lockfile, Lockfile) {
        let mut new = match self.resolution.update {
            Update::Nothing => self.lockfile.clone(),
            _ => Lockfile::default(),
        };
        for (name, found) in self.found {
            let Requirement { spelled, rev, .. } = found.requirement;
            let entry = Pinned { git: spelled, rev, commit: found.commit };
            let kept = self.lockfile.packages.get(&name).filter(|old| {
                // Another spelling of the same repository is no change.
                old.commit == entry.commit && old.rev == entry.rev && same(old, &entry, &self.root)
            });
            let entry = match (kept, self.resolution.update.includes(&name)) {
                (Some(old), _) => old.clone(),
                (None, false) => self.lockfile.packages.get(&name).cloned().unwrap_or(entry),
                (None, true) => entry,
            };
            new.packages.insert(name, entry);
        }
        (self.lockfile, new)
    }
}

/// How many fetches run at once: each waits for a server most of its time.
const SERVERS: usize = 8;

const OFFLINE: &str = "run it once without --offline and LARDER_OFFLINE";

const OFFLINE_STORE: &str = "bake the store anew with this larder.lock (`larder cache bake DIR --dependencies`), or \
                             run it once without --offline and LARDER_OFFLINE";

fn same(a: &Pinned, b: &Pinned, root: &Path) -> bool {
    let repository = |pinned: &Pinned| Repository::parse(&pinned.git, root);
    matches!((repository(a), repository(b)), (Ok(a), Ok(b)) if a.is(&b))
}

/// Whether the lock file's entry is for what a manifest asks for.
fn check_pinned(requirement: &Requirement, pinned: &Pinned, root: &Path) -> Result<(), Diagnostic> {
    let repository = Repository::parse(&pinned.git, root);
    let rev = pinned.rev.as_deref();
    if repository.is_ok_and(|repository| requirement.agrees(&repository, rev, &pinned.commit)) {
        return Ok(());
    }
    let message = format!(
        "`{}` needs `{}` from {}, but {} pins it from {}",
        requirement.user,
        requirement.name,
        requirement.asked(),
        lockfile::FILE_NAME,
        asked(&pinned.git, rev),
    );
    Err(requirement
        .wrong(message)
        .help(format!("`larder update {}` pins it anew", requirement.name)))
}

/// The error when the lock file has no entry for a requirement and may not get one.
fn unpinned(requirement: &Requirement) -> Diagnostic {
    let message = format!("{} does not pin `{}`", lockfile::FILE_NAME, requirement.name);
    requirement.wrong(message).help(format!("`larder update {}` pins it", requirement.name))
}
