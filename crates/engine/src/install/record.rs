//! The record of what a package has installed in a prefix, by which it is listed, replaced and removed again.
//!
//! It lies in the prefix, so that it moves with it. What it names is removed only where it is still what larder put
//! there, and no other package's record names it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use larder_project::path::BuildPath;
use larder_trace::{ContentHash, atomic, describe_io};
use serde::{Deserialize, Serialize};

use super::InstallError;

/// Where records are, below a prefix.
const DIRECTORY: &str = "share/larder";

/// The version of the format.
const SCHEMA: u32 = 1;

/// What a package has installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    schema_version: u32,
    package: String,
    /// Sorted. While something is being installed, what is there and what comes.
    pub entries: BTreeSet<Entry>,
    /// Directories that were made for it, below the prefix; sorted.
    pub directories: BTreeSet<String>,
}

/// A file that was installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Where, below the prefix.
    pub path: String,
    /// Its content, or where it leads.
    #[serde(flatten)]
    pub is: Is,
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Is {
    /// A file with this content.
    Hash(ContentHash),
    /// A symbolic link to this.
    Link(String),
}

/// What came of taking files away.
#[derive(Debug, Default)]
pub struct Removed {
    /// The files that are gone, below the prefix.
    pub removed: Vec<String>,
    /// Those that stay, and why.
    pub kept: Vec<(String, &'static str)>,
}

impl Entry {
    /// Whether this is what is there.
    fn is_there(&self, prefix: &Path) -> bool {
        let path = prefix.join(&self.path);
        match &self.is {
            Is::Hash(hash) => {
                path.symlink_metadata().is_ok_and(|found| found.is_file())
                    && fs::read(&path).is_ok_and(|found| ContentHash::of_bytes(&found) == *hash)
            }
            Is::Link(to) => fs::read_link(&path).is_ok_and(|found| found == Path::new(to)),
        }
    }
}

impl Record {
    /// A record of nothing.
    pub fn new(package: &str) -> Self {
        Self { schema_version: SCHEMA, package: package.to_owned(), ..Self::default() }
    }

    fn place(prefix: &Path, package: &str) -> PathBuf {
        prefix.join(DIRECTORY).join(format!("{package}.json"))
    }

    /// Reads the record of a package, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(prefix: &Path, package: &str) -> Result<Option<Self>, InstallError> {
        let path = Self::place(prefix, package);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(InstallError::Record { path, reason: describe_io(&error) });
            }
        };
        let odd = |reason: String| InstallError::Record { path: path.clone(), reason };
        let record: Self =
            serde_json::from_slice(&text).map_err(|error| odd(format!("{error}")))?;
        if record.schema_version != SCHEMA {
            return Err(odd(format!("its schema version is {}", record.schema_version)));
        }
        let paths = record.entries.iter().map(|entry| &entry.path).chain(&record.directories);
        match paths.into_iter().find(|path| BuildPath::new(path).is_err()) {
            Some(path) => Err(odd(format!("`{path}` is no path below the prefix"))),
            None => Ok(Some(record)),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, prefix: &Path) -> Result<(), InstallError> {
        let path = Self::place(prefix, &self.package);
        let written =
            serde_json::to_vec_pretty(self).map_err(io::Error::other).and_then(|mut it| {
                it.push(b'\n');
                atomic::write_if_changed(&path, &it)
            });
        written.map(drop).map_err(|source| InstallError::Io { path, source })
    }

    /// The paths of its files.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| &*entry.path).collect()
    }

    /// Takes note of the directories that have to be made for `path`, and for the record itself.
    pub fn note_directories(&mut self, prefix: &Path, path: &str) {
        let record = format!("{DIRECTORY}/x");
        for path in [path, &record] {
            let above = Path::new(path).ancestors().skip(1);
            let missing = above.take_while(|it| *it != Path::new("") && !prefix.join(it).exists());
            self.directories.extend(missing.map(|it| it.to_string_lossy().into_owned()));
        }
    }

    /// Removes those of its files that `goes` chooses, and directories that are empty then. What others have put
    /// in their places stays, and what another record names.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(
        &mut self,
        prefix: &Path,
        goes: impl Fn(&str) -> bool,
    ) -> Result<Removed, InstallError> {
        let others = self.others(prefix);
        let whole = prefix.canonicalize().unwrap_or_else(|_| prefix.to_owned());
        let is_inside = |place: &Path| {
            let above = place.parent().and_then(|above| above.canonicalize().ok());
            above.is_none_or(|above| above.starts_with(&whole))
        };
        let mut done = Removed::default();
        let going: BTreeSet<String> =
            self.paths().into_iter().filter(|path| goes(path)).map(str::to_owned).collect();
        for path in going {
            let place = prefix.join(&path);
            let mut own = self.entries.iter().filter(|entry| entry.path == path);
            if others.contains(&path) {
                done.kept.push((path.clone(), "another package has installed it, too"));
            } else if !is_inside(&place) {
                done.kept.push((path.clone(), "a symbolic link leads out of the prefix to it"));
            } else if own.any(|entry| entry.is_there(prefix)) {
                fs::remove_file(&place)
                    .map_err(|source| InstallError::Remove { path: place, source })?;
                done.removed.push(path.clone());
            } else if place.symlink_metadata().is_ok() {
                done.kept.push((path.clone(), "it is not what larder installed"));
            }
            self.entries.retain(|entry| entry.path != path);
        }
        if self.entries.is_empty() {
            let own = Self::place(prefix, &self.package);
            atomic::remove_if_there(&own)
                .map_err(|source| InstallError::Remove { path: own, source })?;
        }
        // Inner ones first. One that is not empty, or is a link, stays.
        for directory in std::mem::take(&mut self.directories).into_iter().rev() {
            let path = prefix.join(&directory);
            if fs::remove_dir(&path).is_err() && path.is_dir() {
                self.directories.insert(directory);
            }
        }
        Ok(done)
    }

    /// The files that records of other packages name. One that cannot be read names none.
    fn others(&self, prefix: &Path) -> BTreeSet<String> {
        let records = fs::read_dir(prefix.join(DIRECTORY)).into_iter().flatten().flatten();
        let names = records.filter_map(|it| it.file_name().into_string().ok());
        let packages = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned));
        let others = packages.filter(|package| *package != self.package);
        let found = others.filter_map(|package| Self::read(prefix, &package).ok().flatten());
        found.flat_map(|record| record.entries).map(|entry| entry.path).collect()
    }
}
