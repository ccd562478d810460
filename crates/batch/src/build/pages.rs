//! The published documentation that a package's own is made with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_runs::name::PackageName;
use larder_trace::ContentHash;

use super::{
    Failure,
    work::{Work, copy_files},
};
use crate::{
    catalogue::{SourceError, Sources},
    hashes::Fields,
};

/// Where a package's documentation is published, and what it is made with.
#[derive(Debug, Clone)]
pub struct Documentation {
    /// Its place, a path below `DATA/html`.
    pub place: String,
    /// The documentation of needs that its lines name, in the order of the packages.
    pub reads: Vec<Pages>,
}

/// The published documentation of a need.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The package.
    pub package: PackageName,
    /// Its place, a path below `DATA/html`.
    pub place: String,
    /// Its directory, absolute; it need not be there.
    directory: PathBuf,
    /// The hash of all that is in it.
    hash: ContentHash,
}

impl Documentation {
    /// Adds all that decides the pages to a hash: what is read, and from where to where, since links say that. Where nothing
    /// is read, places are no part of it.
    pub(super) fn trace(&self, fields: &mut Fields) {
        if self.reads.is_empty() {
            return;
        }
        fields.text(&self.place).number(self.reads.len() as u64);
        for Pages { package, place, hash, .. } in &self.reads {
            fields.text(package.as_str()).text(place).hash(hash);
        }
    }
}

impl Pages {
    /// The pages that are in a place below `html` now.
    pub fn read(html: &Path, package: &PackageName, place: String) -> Self {
        let directory = html.join(&place);
        let hash = hash(&directory).unwrap_or_else(|error| {
            // Whoever goes on to use them is told.
            tracing::info!("{error}");
            Fields::of("no documentation").finish()
        });
        Self { package: package.clone(), place, directory, hash }
    }

    /// Copies them into a work directory: others may publish new ones meanwhile.
    ///
    /// # Errors
    /// When they are not those that were read before.
    pub(super) fn copy(&self, work: &Work) -> Result<(), Failure> {
        let copy = work.documentation(&self.place);
        let failed = |error: SourceError| Failure::of_machine(error.to_string());
        fs::create_dir_all(&copy).map_err(|error| Failure::of_io("cannot make", &copy, &error))?;
        if self.directory.is_dir() {
            copy_files(&self.directory, &copy)?;
        }
        match hash(&copy).map_err(failed)? == self.hash {
            true => Ok(()),
            false => Err(Failure::of_machine(format!(
                "the documentation of {} changed during the run",
                self.package
            ))),
        }
    }
}

/// The hash of pages. Those that are not there are as good as an empty directory.
fn hash(directory: &Path) -> Result<ContentHash, SourceError> {
    match directory.is_dir() {
        true => Sources::read(directory, None).map(|pages| pages.hash),
        false => Ok(Sources::none(directory.to_owned()).hash),
    }
}
