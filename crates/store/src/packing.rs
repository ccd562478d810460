//! Mappings and their artifacts, from a store into one pack and back.

use std::{
    fs::{self, File},
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use larder_trace::{ContentHash, OutputFile, atomic};

use crate::{
    MappedArtifact, Mappings, Miss, Scope, Store, StoreError,
    pack::{self, Entry, Handled, Options, Pack},
    staging::{Reason, Refusal},
};

/// The result of [`pack`] and [`unpack`].
#[derive(Debug, Default)]
pub struct PackingReport {
    /// Mapping entries carried over, all of whose artifacts are there.
    pub mappings: usize,
    /// Artifacts carried over.
    pub artifacts: usize,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// Bytes of the pack.
    pub packed: u64,
    /// Artifacts that were left out of the pack, and why. Unpacking leaves nothing out.
    pub missing: Vec<Refusal>,
}

/// Packs `mappings` and their artifacts from `store` into `file`, which appears when it is whole. An
/// entry that lacks an artifact is left out and reported.
///
/// # Errors
/// When `file` cannot be written; it is then as it was before.
pub fn pack(
    store: &Store,
    mappings: &Mappings,
    file: &Path,
    options: &Options,
    progress: impl Fn(Handled),
) -> Result<PackingReport, StoreError> {
    let mut missing = Vec::new();
    let mut mappings = mappings.clone();
    let mut refuse = |mappings: &mut Mappings, artifact: MappedArtifact, miss: Miss| {
        mappings.retain(|outputs| {
            outputs.outputs.iter().all(|output| output.hash != artifact.name.hash)
        });
        let name = artifact.name.to_string();
        missing.push(Refusal { name, reason: Reason::NotStored(miss) });
    };
    for (hash, artifact) in mappings.artifacts() {
        if let Err(miss) = store.open_artifact(&described(hash, &artifact)) {
            refuse(&mut mappings, artifact, miss);
        }
    }
    let mut checked = false;
    loop {
        let artifacts = mappings.artifacts();
        let open = |entry: &Entry| match artifacts.get(&entry.hash) {
            Some(artifact) => {
                store.open_artifact(&described(entry.hash, artifact)).map_err(io::Error::other)
            }
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let text = mappings.to_text();
        match pack::create(file, entries(&mappings), open, Some(&text), options, &progress) {
            Ok(packed) => {
                let bytes = artifacts.values().map(|artifact| artifact.size).sum();
                let (mappings, artifacts) = (mappings.len(), artifacts.len());
                return Ok(PackingReport { mappings, artifacts, bytes, packed, missing });
            }
            // Damaged in the store. It may not be the only one; all others can be packed, and those
            // too of which there is another copy.
            Err(pack::Error::Artifact { hash: damaged, .. })
                if artifacts.contains_key(&damaged) =>
            {
                for (hash, artifact) in artifacts {
                    if hash == damaged && checked || !store.is_available(&hash, artifact.size) {
                        refuse(&mut mappings, artifact, Miss::Corrupt);
                    }
                }
                checked = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn described(hash: ContentHash, artifact: &MappedArtifact) -> OutputFile {
    let (size, executable) = (artifact.size, artifact.executable);
    OutputFile { path: artifact.name.to_string(), hash, size, executable }
}

/// The entries of the pack. Each hint is a path, so that outputs that were built side by side are
/// compressed together.
fn entries(mappings: &Mappings) -> Vec<Entry> {
    let files = mappings.iter().flat_map(|(_, outputs)| &outputs.outputs);
    let entry =
        |file: &OutputFile| Entry { hash: file.hash, size: file.size, hint: file.path.clone() };
    files.map(entry).collect()
}

/// The mappings that `pack` carries, held against its index: every artifact that they mention is
/// there and of the right size, and there is no other. None in a pack without mappings.
///
/// # Errors
/// When the pack cannot be read or is refused.
pub fn mappings_of(pack: &Pack) -> Result<Mappings, pack::Error> {
    let refused = |reason| pack.refused(reason);
    let Some(text) = pack.mappings()? else { return Ok(Mappings::default()) };
    let mappings = Mappings::parse(&text).map_err(|error| refused(error.into()))?;
    let listed = mappings.artifacts();
    for (hash, artifact) in &listed {
        let (expected, hash) = (artifact.size, *hash);
        match pack.index().find(&hash).map(pack::Member::size) {
            Some(actual) if actual == expected => {}
            Some(actual) => {
                return Err(refused(pack::Refusal::WrongSize { hash, expected, actual }));
            }
            None => return Err(refused(pack::Refusal::NotHeld(hash))),
        }
    }
    match pack.index().artifacts().iter().find(|artifact| !listed.contains_key(&artifact.hash)) {
        Some(artifact) => Err(refused(pack::Refusal::NotMentioned(artifact.hash))),
        None => Ok(mappings),
    }
}

/// Brings everything that `pack` holds into `store`, its mappings under `scope`. All of the pack is
/// verified first; of one that is refused, nothing is kept.
///
/// # Errors
/// When the pack is refused, or the store cannot be written.
pub fn unpack(
    store: &Store,
    scope: &Scope,
    pack: &Pack,
    progress: impl Fn(Handled) + Sync,
) -> Result<PackingReport, StoreError> {
    let mappings = mappings_of(pack)?;
    let listed = mappings.artifacts();
    let directory = Scratch::new(&store.layout().artifacts())?;
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let place = |artifact: &pack::Member| -> io::Result<Option<File>> {
        if store.is_intact(&artifact.hash, artifact.size()) {
            return Ok(None);
        }
        let executable = listed.get(&artifact.hash).is_some_and(|listed| listed.executable);
        let mode = if executable { 0o555 } else { 0o444 };
        atomic::create_new(&directory.path(&artifact.hash), mode).map(Some)
    };
    pack.unpack(threads, place, progress)?;
    for artifact in pack.index().artifacts() {
        let path = directory.path(&artifact.hash);
        match store.local().admit(&path, &artifact.hash) {
            // It was in the store already.
            Err(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !path.exists() => {}
            admitted => admitted?,
        }
    }
    store.record_all(scope, &mappings)?;
    Ok(PackingReport {
        mappings: mappings.len(),
        artifacts: pack.index().artifacts().len(),
        bytes: pack.index().artifacts().iter().map(pack::Member::size).sum(),
        packed: pack.length(),
        missing: Vec::new(),
    })
}

/// A directory for what is not verified yet; gone with all it holds when it is dropped.
struct Scratch {
    path: PathBuf,
    /// The directory it is in, where there was none before.
    made: Option<PathBuf>,
}

impl Scratch {
    fn new(parent: &Path) -> Result<Self, StoreError> {
        let made = (!parent.exists()).then(|| parent.to_owned());
        atomic::make_temporary(&parent.join("unpacked"), |path| fs::create_dir(path))
            .map(|(path, ())| Self { path, made })
            .map_err(StoreError::io("create a directory in", parent))
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.path.join(hash.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.path);
        if let Some(made) = &self.made {
            // Fails, as it should, when something has been put there.
            _ = fs::remove_dir(made);
        }
    }
}
