//! Which names are in which directory, looked up once for a whole build.

use std::{
    fs,
    hash::{BuildHasher, BuildHasherDefault},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use hashbrown::{HashMap, HashTable};
use rustc_hash::FxHasher;

/// The names in directories, each directory listed at most once until [`Listings::forget`]. Directories
/// are named by absolute paths, which are resolved as the kernel does: `a/link/..` is where the link
/// leads.
#[derive(Default)]
pub struct Listings {
    known: RwLock<HashMap<Box<str>, Arc<OnceLock<Listing>>>>,
    /// By directory: where it is without links. A build makes no link that a search goes through: outputs
    /// are none.
    real: RwLock<HashMap<PathBuf, Option<Arc<Path>>>>,
}

/// The content of one directory.
pub(super) enum Listing {
    /// There is no such directory.
    Missing,
    /// It is there and may not be listed: what is in it is asked one by one.
    Closed,
    /// Its names.
    Open(HashTable<Entry>),
}

pub(super) struct Entry {
    hash: u64,
    pub name: Box<str>,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A link or something unusual, to be looked at when it matters.
    Other,
}

/// The hash under which a name is in a listing.
pub(super) fn hash_of(name: &str) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(name)
}

impl Listings {
    /// Nothing listed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was listed and is no longer so when `path`, absolute, was made or removed.
    pub fn forget(&self, path: &Path) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (child, directory) in path.ancestors().zip(path.ancestors().skip(1)) {
            // The directory itself may have been made, or removed, with the file.
            child.to_str().map(|child| known.remove(child));
            let Some(directory) = directory.to_str() else { return };
            let name = child.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let there = known.get(directory).and_then(|listing| listing.get());
            match there.map(|listing| listing.find(hash_of(name), name).is_some()) {
                Some(true) if child != path => return,
                Some(_) => _ = known.remove(directory),
                None => {}
            }
        }
    }

    /// Returns where `directory` is without links; `None` for one that is not there. Looked up once.
    pub(crate) fn real(&self, directory: &Path) -> Option<Arc<Path>> {
        let known = self.real.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(real) = known.get(directory) {
            return real.clone();
        }
        drop(known);
        let real: Option<Arc<Path>> = directory.canonicalize().ok().map(Into::into);
        let mut known = self.real.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(directory.to_owned(), real.clone());
        real
    }

    /// The listing of `directory`.
    pub(super) fn get(&self, directory: &str) -> Arc<OnceLock<Listing>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let listing = known.get(directory).cloned();
        drop(known);
        let listing = listing.unwrap_or_else(|| {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.entry_ref(directory).or_default().clone()
        });
        listing.get_or_init(|| Listing::read(Path::new(directory)));
        listing
    }
}

impl Listing {
    fn read(directory: &Path) -> Self {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(_) if directory.is_dir() => return Self::Closed,
            Err(_) => return Self::Missing,
        };
        let mut table = HashTable::new();
        for entry in entries {
            let Ok(entry) = entry else { return Self::Closed };
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_dir() => Kind::Directory,
                _ => Kind::Other,
            };
            // No path that is traced has a name that is not UTF-8.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let hash = hash_of(&name);
            let entry = Entry { hash, name: name.into(), kind };
            table.insert_unique(hash, entry, |entry| entry.hash);
        }
        Self::Open(table)
    }

    /// The entry `name`, whose hash is `hash`.
    pub fn find(&self, hash: u64, name: &str) -> Option<&Entry> {
        match self {
            Self::Open(table) => table.find(hash, |entry| *entry.name == *name),
            Self::Missing | Self::Closed => None,
        }
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }
}
