//! Layers in the store: as the files that they are made of, and a list of these.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use larder_store::{Lookup, Scope, Store};
use larder_trace::{ContentHash, OutputFile, Outputs, atomic};

use super::{
    Collected, FILES,
    listing::{Entry, Listing},
    spots::Spots,
};

/// The keys of a layer in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Of one that is good anywhere: the hash of all that it depends on.
    pub movable: ContentHash,
    /// Of a fixed one: that, and the place where it is.
    pub fixed: ContentHash,
}

impl Keys {
    /// The keys of a layer at `directory` that depends on `dep_hash`, with the layers that it was built with.
    pub fn new(dep_hash: ContentHash, directory: &Path, needs: &[(String, PathBuf)]) -> Self {
        let mut place = format!("fixed layer\n{dep_hash}\n{}\n", directory.display());
        for (name, path) in needs {
            place += &format!("{name} {}\n", path.display());
        }
        Self { movable: dep_hash, fixed: ContentHash::of_bytes(place.as_bytes()) }
    }
}

/// Puts a layer into the store. A store that cannot take it is no failure.
pub fn keep(
    store: &Store,
    scope: &Scope,
    keys: Keys,
    directory: &Path,
    collected: &Collected,
    spots: &Spots,
    milliseconds: u64,
) {
    let key = if collected.fixed { keys.fixed } else { keys.movable };
    let kept = put(store, directory, &collected.listing, spots).and_then(|outputs| {
        let outputs = Outputs { outputs, milliseconds: Some(milliseconds), ..Outputs::default() };
        store.record(scope, &key, &outputs).map_err(|error| error.to_string())
    });
    if let Err(error) = kept {
        tracing::info!("a layer is not kept in the store: {error}");
    }
}

fn put(
    store: &Store,
    directory: &Path,
    listing: &Listing,
    spots: &Spots,
) -> Result<Vec<OutputFile>, String> {
    let mut files = Vec::new();
    for (path, entry) in &listing.entries {
        let &Entry::File { hash, size, executable, named } = entry else { continue };
        let source = directory.join(path);
        if named {
            let content = fs::read(&source).map_err(|error| error.to_string())?;
            let content = spots.named(&content).unwrap_or_default();
            match store.import(&hash, size, executable, &content[..]) {
                Ok(true) => {}
                Ok(false) => return Err(format!("{} has changed", source.display())),
                Err(error) => return Err(error.to_string()),
            }
        } else {
            store.insert(&source, &hash, executable).map_err(|error| error.to_string())?;
        }
        files.push(OutputFile { path: path.clone(), hash, size, executable });
    }
    let text = listing.to_text();
    let (hash, size) = (listing.digest(), text.len() as u64);
    store.import(&hash, size, false, text.as_bytes()).map_err(|error| error.to_string())?;
    files.push(OutputFile { path: FILES.to_owned(), hash, size, executable: false });
    Ok(files)
}

/// A layer that the store had.
#[derive(Debug)]
pub struct Restored {
    /// What it is.
    pub collected: Collected,
    /// How long its build took, in milliseconds, where that is known.
    pub milliseconds: Option<u64>,
}

/// Makes `directory`, which is not there, the layer that the store has under one of these keys. `spots` are as seen
/// from where it will be. `None` when there is none, or not all of it; what is in `directory` then is of no use.
pub fn restore(
    store: &Store,
    scope: &Scope,
    keys: Keys,
    directory: &Path,
    spots: &Spots,
) -> Option<Restored> {
    [(keys.movable, false), (keys.fixed, true)].into_iter().find_map(|(key, fixed)| {
        let Lookup::Hit(hit) = store.lookup(scope, &key, |_| true) else { return None };
        match bring(store, &hit.outputs, directory, spots) {
            Ok(listing) => Some(Restored {
                collected: Collected { listing, fixed },
                milliseconds: hit.outputs.milliseconds,
            }),
            Err(error) => {
                tracing::info!("a layer is not taken from the store: {error}");
                let _ = super::remove_tree(directory);
                None
            }
        }
    })
}

fn bring(
    store: &Store,
    outputs: &Outputs,
    directory: &Path,
    spots: &Spots,
) -> Result<Listing, String> {
    let list = outputs.outputs.iter().find(|file| file.path == FILES);
    let list = list.ok_or("it has no list of files")?;
    let listing = Listing::parse(&read(store, list)?)?;
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    for (path, entry) in &listing.entries {
        let target = directory.join(path);
        let made = |result: std::io::Result<()>| {
            result.map_err(|error| format!("{}: {error}", target.display()))
        };
        match entry {
            Entry::Directory => made(fs::create_dir_all(&target))?,
            Entry::Link { to } => {
                made(fs::create_dir_all(target.parent().unwrap_or(directory)))?;
                made(std::os::unix::fs::symlink(to, &target))?;
            }
            &Entry::File { hash, size, executable, named } => {
                let file = OutputFile { path: path.clone(), hash, size, executable };
                if named {
                    let content = spots.placed(&read(store, &file)?);
                    let mode = if executable { 0o755 } else { 0o644 };
                    let write = |mut new: &fs::File| std::io::Write::write_all(&mut new, &content);
                    made(atomic::write_new(&target, mode, write))?;
                } else {
                    made(fs::create_dir_all(target.parent().unwrap_or(directory)))?;
                    store.restore(&file, &target).map_err(|miss| format!("{path}: {miss}"))?;
                }
            }
        }
    }
    Ok(listing)
}

/// Reads an artifact, and checks that it is what its hash says.
fn read(store: &Store, file: &OutputFile) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let opened = store.open_artifact(file).map_err(|miss| miss.to_string())?;
    opened.take(file.size + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    match ContentHash::of_bytes(&content) == file.hash {
        true => Ok(content),
        false => Err(format!("{} is damaged in the store", file.path)),
    }
}
