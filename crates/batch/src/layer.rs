//! Layers: what one package build installed.
//!
//! `DATA/layers/<build hash>/` is whole or absent. It has what was installed, `.larder-layer.files` with the name and
//! hash of each file, and `.larder-layer.json`, which says what it is.
//!
//! A layer is known by the hash of its content, which is the same wherever it lies. Programs write the
//! directory that they are installed in into files. In texts it has a name there: `.pc` files and scripts of a
//! restored layer name the place where it is now. A layer with such a path in any other file is *fixed*: nobody
//! can change it safely, so it is never taken to another place.

mod collect;
mod listing;
mod spots;
mod stored;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use larder_runs::name::{HashName, PackageName};
use larder_trace::{ContentHash, atomic, describe_io};
use serde::{Deserialize, Serialize};

pub use self::{
    collect::{Collected, Moving, check_tree, collect},
    listing::{Entry, Listing},
    spots::Spots,
    stored::{Keys, keep, restore},
};

/// The name of a layer's record.
pub const RECORD: &str = ".larder-layer.json";

/// The name of the list of a layer's files.
pub const FILES: &str = ".larder-layer.files";

/// The version of the record.
pub const SCHEMA_VERSION: u32 = 1;

/// A layer's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The package.
    pub package: PackageName,
    /// The layer's name.
    pub build_hash: HashName,
    /// The hash of all that it was made from.
    pub dep_hash: ContentHash,
    /// The hash of its content.
    pub digest: ContentHash,
    /// The compiler.
    pub compiler: PackageName,
    /// When it was put here, in RFC 3339.
    pub made: String,
    /// The directory of layers that its files name; none where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
    /// How long its build took, in milliseconds.
    pub wall_ms: u64,
    /// The processor time of its build, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that its build held at once, in bytes.
    pub peak_memory_bytes: u64,
}

/// A layer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its record.
    pub record: LayerRecord,
}

/// The directory of layers.
#[derive(Debug)]
pub struct Layers {
    directory: PathBuf,
    /// Those that were found to be whole.
    verified: Mutex<HashSet<HashName>>,
}

/// Why a layer is not what its record says.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Damage {
    fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into() }
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, describe_io(error))
    }
}

impl Layers {
    /// The layers in `directory`, absolute; it need not be there yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, verified: Mutex::default() }
    }

    /// Returns the directory of layers.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns where a layer is, or is to be.
    pub fn path(&self, build_hash: &HashName) -> PathBuf {
        self.directory.join(build_hash.as_str())
    }

    /// Whether a layer is there; its record is not read.
    pub fn has(&self, build_hash: &HashName) -> bool {
        self.path(build_hash).join(RECORD).exists()
    }

    /// Returns a layer by its record; its files are not looked at.
    pub fn find(&self, build_hash: &HashName) -> Option<Layer> {
        let directory = self.path(build_hash);
        let text = fs::read(directory.join(RECORD)).ok()?;
        let record: LayerRecord = serde_json::from_slice(&text).ok()?;
        let fits = record.schema_version == SCHEMA_VERSION
            && record.build_hash == *build_hash
            && record.home.as_ref().is_none_or(|home| *home == self.directory);
        fits.then_some(Layer { directory, record })
    }

    /// Returns a layer whose files are what its list says: each is hashed, once in the life of this. One that is
    /// damaged counts as absent, which is said at info.
    pub fn verified(&self, build_hash: &HashName, needs: &[(String, PathBuf)]) -> Option<Layer> {
        let layer = self.find(build_hash)?;
        let known = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(build_hash) {
            return Some(layer);
        }
        match layer.verify(&Spots::new(&layer.directory, needs)) {
            Ok(()) => {
                known().insert(build_hash.clone());
                Some(layer)
            }
            Err(damage) => {
                tracing::info!("layer {build_hash} is made again: {damage}");
                None
            }
        }
    }

    /// Makes `prefix` the layer that `record` describes. Whatever was there under its name goes away.
    ///
    /// # Errors
    /// When it cannot be put there; then it is not.
    pub fn publish(
        &self,
        prefix: &Path,
        listing: &Listing,
        record: LayerRecord,
    ) -> io::Result<Layer> {
        atomic::write(&prefix.join(FILES), listing.to_text().as_bytes())?;
        atomic::write(&prefix.join(RECORD), &serde_json::to_vec(&record)?)?;
        let directory = self.path(&record.build_hash);
        fs::create_dir_all(&self.directory)?;
        self.take_away(&directory)?;
        fs::rename(prefix, &directory)?;
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.insert(record.build_hash.clone());
        Ok(Layer { directory, record })
    }

    /// Removes a layer that is damaged, so that it is made again. One that cannot be removed is said at info.
    pub fn remove(&self, layer: &Layer) {
        if let Err(error) = self.take_away(&layer.directory) {
            tracing::info!("cannot remove {}: {}", layer.directory.display(), describe_io(&error));
        }
    }

    /// Takes away what is there under a layer's name, in one step.
    fn take_away(&self, directory: &Path) -> io::Result<()> {
        let aside = atomic::temporary_name(directory);
        match fs::rename(directory, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.and_then(|()| remove_tree(&aside)),
        }
    }
}

impl Layer {
    /// Returns the list of its files.
    ///
    /// # Errors
    /// When it is not the one that the record means.
    pub fn listing(&self) -> Result<Listing, Damage> {
        let path = self.directory.join(FILES);
        let text = fs::read(&path).map_err(|error| Damage::io(&path, &error))?;
        if ContentHash::of_bytes(&text) != self.record.digest {
            return Err(Damage::new(&path, "is not what the record says"));
        }
        Listing::parse(&text).map_err(|reason| Damage::new(&path, reason))
    }

    /// Checks that its files are what their list says, and that there are no others. `spots` are the paths that
    /// have names in its texts.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn verify(&self, spots: &Spots) -> Result<(), Damage> {
        let listing = self.listing()?;
        let found = collect::look(&self.directory, spots)?;
        for (path, entry) in &listing.entries {
            if found.entries.get(path) != Some(entry) {
                return Err(Damage::new(&self.directory.join(path), "is not what was installed"));
            }
        }
        match found.entries.keys().find(|path| !listing.entries.contains_key(*path)) {
            Some(path) => Err(Damage::new(&self.directory.join(path), "was not installed")),
            None => Ok(()),
        }
    }
}

/// Removes a directory with all that is in it, though directories below it be read-only.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut stack = vec![path.to_owned()];
            while let Some(directory) = stack.pop() {
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
                for entry in fs::read_dir(&directory)? {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        stack.push(entry.path());
                    }
                }
            }
            fs::remove_dir_all(path)
        }
        result => result,
    }
}
