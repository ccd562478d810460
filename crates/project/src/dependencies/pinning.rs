//! What `larder.lock` pins, and what it is to pin.

use std::path::Path;

use super::{Dependencies, Requirement, Update, asked, asked_archive};
use crate::{
    diagnostic::Diagnostic,
    lockfile::{self, Lockfile, Pinned},
    repository::Repository,
};

impl Dependencies {
    /// The names of those that the lock file has pinned for something else than what is required.
    pub fn pinned_otherwise(&self, required: &[Requirement]) -> Vec<String> {
        let otherwise = required.iter().filter(|requirement| {
            let pinned = self.lockfile.packages.get(&requirement.name);
            let pinned = pinned.filter(|_| requirement.origin.is_pinned());
            pinned.is_some_and(|pinned| check_pinned(requirement, pinned, &self.base).is_err())
        });
        otherwise.map(|requirement| requirement.name.clone()).collect()
    }

    /// The lock file with what was found and is not pinned yet, or was pinned anew; `None` where that is nothing.
    pub fn grown_lockfile(&self) -> Option<Lockfile> {
        let mut grown = self.lockfile.clone();
        for (name, found) in &self.found {
            let is_known = grown.packages.contains_key(name);
            if let Some(entry) = found.requirement.origin.entry(&found.form.content)
                && (!is_known || self.resolution.update.includes(name))
            {
                grown.packages.insert(name.clone(), entry);
            }
        }
        (grown != self.lockfile).then_some(grown)
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
            let Some(entry) = found.requirement.origin.entry(&found.form.content) else { continue };
            let kept = self.lockfile.packages.get(&name).filter(|old| {
                // Another spelling of the same repository is no change.
                **old == entry || same(old, &entry, &self.root)
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

/// Whether both are one commit, by one `rev` of one repository.
fn same(a: &Pinned, b: &Pinned, root: &Path) -> bool {
    let (
        Pinned::Git { git: a_git, rev: a_rev, commit: a },
        Pinned::Git { git: b_git, rev: b_rev, commit: b },
    ) = (a, b)
    else {
        return false;
    };
    let repository = |git: &str| Repository::parse(git, root);
    a == b
        && a_rev == b_rev
        && matches!((repository(a_git), repository(b_git)), (Ok(a), Ok(b)) if a.is(&b))
}

/// Whether the lock file's entry is for what a manifest asks for.
pub(super) fn check_pinned(
    requirement: &Requirement,
    pinned: &Pinned,
    root: &Path,
) -> Result<(), Diagnostic> {
    let origin = &requirement.origin;
    let (is_same, of) = match pinned {
        Pinned::Git { git, rev, commit } => {
            let rev = rev.as_deref();
            let repository = Repository::parse(git, root);
            (repository.is_ok_and(|it| origin.is_commit(&it, rev, Some(commit))), asked(git, rev))
        }
        Pinned::Archive { url, hash } => (origin.hash() == Some(hash), asked_archive(url, hash)),
    };
    if is_same {
        return Ok(());
    }
    let (user, name, lock) = (&requirement.user, &requirement.name, lockfile::FILE_NAME);
    let asked = origin.asked();
    let message = format!("`{user}` needs `{name}` from {asked}, but {lock} pins it from {of}");
    Err(requirement.wrong(message).help(format!("`larder update {name}` pins it anew")))
}

/// The error when the lock file has no entry for a requirement and may not get one.
pub(super) fn unpinned(requirement: &Requirement) -> Diagnostic {
    let message = format!("{} does not pin `{}`", lockfile::FILE_NAME, requirement.name);
    requirement.wrong(message).help(format!("`larder update {}` pins it", requirement.name))
}
