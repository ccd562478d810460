//! Revisions of a set: the set as it was at a commit of the repository that it is in.
//!
//! A revision is checked out under `DATA/revisions`, by its commit, as dependencies from Git are: whole or not at all,
//! whoever else wants it at the same time. It is only read. `larder gc` removes those that nobody has used for
//! [some days](larder_runs::gc).

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use larder_project::{
    dependencies::Resolution,
    diagnostic::{Diagnostic, Diagnostics},
    git::{Commit, WorkTree},
    packages::{Content, Form, Packages, Remote, Sources},
    set::{self, PackageSet},
};
use larder_runs::DataDir;

use crate::run::Request;

/// The set as it was at a commit.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The commit.
    pub commit: Commit,
    /// What it was asked for by.
    pub asked: String,
    /// The set's directory in the checkout, absolute.
    pub directory: PathBuf,
    /// The set.
    pub set: PackageSet,
}

/// A set in its repository.
#[derive(Debug, Clone)]
pub struct Repository {
    tree: WorkTree,
    /// The set's directory, from the uppermost one.
    below: PathBuf,
}

/// What stands after a commit that the set differs from.
const CHANGED: &str = "+changes";

/// The directory in the data with what revisions have from elsewhere.
const ELSEWHERE: &str = "revisions/packages";

impl Repository {
    /// Returns the repository of the set in `directory`; `None` where it is in none.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn of(directory: &Path) -> io::Result<Option<Self>> {
        let directory = directory.canonicalize()?;
        Ok(WorkTree::around(&directory).and_then(|tree| {
            let below = directory.strip_prefix(tree.root()).ok()?.to_owned();
            Some(Self { tree, below })
        }))
    }

    /// The same, where revisions of the set are asked for.
    ///
    /// # Errors
    /// When it is in none.
    pub fn required(directory: &Path) -> Result<Self, Diagnostics> {
        Self::of(directory).ok().flatten().ok_or_else(|| {
            let message = format!("the set in {} is in no Git repository", directory.display());
            let help = "revisions are commits of the repository that the set is in: make one with `git init`";
            Diagnostic::new(message).help(help).into()
        })
    }

    /// Returns the work tree.
    pub fn tree(&self) -> &WorkTree {
        &self.tree
    }

    /// Returns the set's directory as a path from the uppermost directory of the repository; empty where it is that.
    pub fn below(&self) -> &Path {
        &self.below
    }

    /// Returns the commit that the set is at, for the record: with a mark, where it differs from that. `None` where the commit
    /// does not have the set. `data` is no part of the set.
    pub fn current(&self, data: &DataDir) -> Option<String> {
        let commit = self.tree.commit("HEAD").ok()??;
        if !self.tree.has(&commit, &self.below.join(set::FILE_NAME)) {
            return None;
        }
        let data = data.root().canonicalize().unwrap_or_else(|_| data.root().to_owned());
        Some(match self.tree.first_change(&self.below, &data).ok()? {
            None => commit.to_string(),
            Some(_) => format!("{commit}{CHANGED}"),
        })
    }

    /// Returns the commit that a revision means.
    ///
    /// # Errors
    /// When it means none.
    pub fn commit(&self, revision: &str) -> Result<Commit, Diagnostics> {
        let found = self.tree.commit(revision);
        let found = found.map_err(|error| Diagnostic::new(error.to_string()).failed())?;
        found.ok_or_else(|| {
            let root = self.tree.root().display();
            let help = "`git log --oneline` lists commits; a clone that was made with --depth has only the \
                        newest, and `git fetch --unshallow` brings the rest";
            Diagnostic::new(format!("there is no revision `{revision}` in {root}")).help(help).into()
        })
    }

    /// Checks out a revision of the set.
    ///
    /// # Errors
    /// When there is no such revision, it cannot be checked out, it has no set, or a broken one.
    pub fn check_out(&self, data: &DataDir, revision: &str) -> Result<Revision, Diagnostics> {
        let commit = self.commit(revision)?;
        let file = self.below.join(set::FILE_NAME);
        if !self.tree.has(&commit, &file) {
            let (file, short) = (file.display(), commit.short());
            let message = format!("the revision `{revision}` ({short}) has no {file}");
            let help = format!("`git log --oneline -- {file}` lists the commits that changed it");
            return Err(Diagnostic::new(message).help(help).into());
        }
        let failed = |reason: String| {
            Diagnostic::new(format!("cannot check out `{revision}`: {reason}")).failed()
        };
        let repository = self.tree.repository().map_err(|error| failed(error.to_string()))?;
        let form =
            Form { content: Content::Commit(commit.clone()), strip: None, submodules: false };
        let place = data.revisions();
        let (parent, name) = (place.parent().unwrap_or(&place), place.file_name());
        let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Whoever collects old ones sees from here on that it is in use.
        use_now(&place.join(form.to_string()));
        let sources = Sources { baked: None, from: Some(Remote::Repository(&repository)) };
        let checkout = Packages::shared(parent)
            .obtain(&name, &form, &sources)
            .map_err(|error| failed(error.to_string()))?;
        use_now(&checkout);
        let directory = checkout.join(&self.below);
        let directory = directory.canonicalize().map_err(|error| failed(error.to_string()))?;
        let mut set = PackageSet::read(&directory.join(set::FILE_NAME)).map_err(|wrong| {
            Diagnostics(wrong.0.into_iter().map(|wrong| at(revision, wrong)).collect())
        })?;
        // Repositories that it names by their path from there are where they are from here.
        set.source.path = self.tree.root().join(file);
        Ok(Revision { commit, asked: revision.to_owned(), directory, set })
    }
}

/// A mistake in a revision of the set.
fn at(revision: &str, wrong: Diagnostic) -> Diagnostic {
    Diagnostic { message: format!("at the revision `{revision}`: {}", wrong.message), ..wrong }
}

/// Notes at a directory that it is used now.
fn use_now(directory: &Path) {
    let noted = fs::File::open(directory).and_then(|it| it.set_modified(SystemTime::now()));
    if let Err(error) = noted
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::info!("cannot note that {} is used: {error}", directory.display());
    }
}

impl Revision {
    /// Returns the same request for this revision of its set. What its packages have from elsewhere is what its own
    /// `larder.lock` says.
    pub fn request(&self, of: &Request) -> Request {
        let packages = of.resolution.packages.clone();
        let packages = packages.unwrap_or_else(|| of.data.root().join(ELSEWHERE));
        Request {
            set: self.set.clone(),
            directory: self.directory.clone(),
            notes: self.directory.join(".larder/data"),
            resolution: Resolution {
                locked: true,
                packages: Some(packages),
                ..of.resolution.clone()
            },
            set_revision: Some(self.commit.to_string()),
            ..of.clone()
        }
    }
}

#[cfg(test)]
mod tests;
