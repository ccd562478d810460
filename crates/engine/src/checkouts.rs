//! Checkouts of packages from Git in offline stores: baked with their artifacts, and made from there
//! where a build needs them.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use larder_project::{
    git::{self, Commit},
    packages::{self, Baked},
};
use larder_store::{
    StoreError,
    offline::{self, Checkout, Objects},
};
use larder_trace::describe_io;

use crate::cache::StoreSettings;

/// The checkouts of the offline store that `settings` name, if they name one.
pub fn baked(settings: &StoreSettings) -> Option<Arc<dyn Baked>> {
    let directory = settings.offline_store.clone()?;
    Some(Arc::new(OfflineStore { directory, checkouts: OnceLock::new() }))
}

/// A baked store, read at the first question.
#[derive(Debug)]
struct OfflineStore {
    directory: PathBuf,
    checkouts: OnceLock<Result<Vec<Checkout>, String>>,
}

impl OfflineStore {
    /// All that claim to be of `commit`. Packages may be called differently and have one repository.
    fn of(&self, commit: &Commit) -> Result<impl Iterator<Item = &Checkout>, String> {
        let checkouts = self.checkouts.get_or_init(|| match offline::is_baked(&self.directory) {
            true => offline::checkouts(&self.directory).map_err(|error| error.to_string()),
            false => Ok(Vec::new()),
        });
        let checkouts = checkouts.as_ref().map_err(String::clone)?.iter();
        Ok(checkouts.filter(|checkout| checkout.commit.as_str() == commit.as_str()))
    }
}

impl Baked for OfflineStore {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn has(&self, commit: &Commit) -> Result<bool, String> {
        Ok(self.of(commit)?.next().is_some())
    }

    fn copy(&self, commit: &Commit, to: &File) -> Result<(), String> {
        let mut wrong = "it is not there".to_owned();
        for checkout in self.of(commit)? {
            to.set_len(0).map_err(|error| describe_io(&error))?;
            match offline::copy_checkout(&self.directory, checkout, to) {
                Ok(()) => return Ok(()),
                Err(reason) => wrong = reason,
            }
        }
        Err(wrong)
    }
}

/// Proves that what is baked as `checkout` in the store at `directory` is the commit.
///
/// # Errors
/// Why it is not, for people.
pub fn check(directory: &Path, checkout: &Checkout) -> Result<(), String> {
    let commit: Commit = checkout.commit.as_str().parse().map_err(|_| "it names no commit")?;
    let file = temporary().map_err(|error| error.to_string())?;
    offline::copy_checkout(directory, checkout, &file)?;
    git::check_objects(&file, checkout.package.as_str(), &commit).map_err(|error| error.to_string())
}

/// What there is of some checkouts.
#[derive(Debug, Default)]
pub struct Taken {
    /// The objects of those that are whole.
    pub objects: Vec<Objects>,
    /// The others, and what is wrong with each.
    pub missing: Vec<(String, String)>,
}

/// Takes the objects of all `checkouts`, to be baked.
///
/// # Errors
/// When no temporary file can be made.
pub fn take(checkouts: &[packages::Checkout]) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    for checkout in checkouts {
        let file = temporary()?;
        match git::take_objects(&checkout.directory, &checkout.commit, &file) {
            Ok(()) => taken.objects.push(Objects {
                package: checkout.name.parse()?,
                commit: checkout.commit.as_str().parse()?,
                file,
            }),
            Err(error) => {
                let what = format!("the checkout of {} at {}", checkout.name, checkout.commit);
                taken.missing.push((what, error.to_string()));
            }
        }
    }
    Ok(taken)
}

/// A file without a name.
fn temporary() -> Result<File, StoreError> {
    tempfile::tempfile().map_err(|source: io::Error| StoreError::Io {
        action: "make a temporary file in",
        path: std::env::temp_dir(),
        source,
    })
}
