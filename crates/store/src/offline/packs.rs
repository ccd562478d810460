//! Reading read-only stores: plain ones and baked ones.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use larder_trace::{ContentHash, OutputFile, Outputs, atomic::write_new, host_platform};

use super::{Bake, index, is_baked};
use crate::{
    How, Layout, Mappings, Miss, Scope, Store,
    artifacts::Artifacts,
    candidates::{self, Found},
    pack::{self, Pack},
    packing::mappings_of,
};

/// How much decoded content is kept for the next artifact that is read, in bytes: outputs that were
/// built side by side share a block.
const KEPT: usize = 64 << 20;

/// A read-only store behind the user's.
#[derive(Debug)]
pub(crate) enum Offline {
    /// Laid out as a store.
    Plain(Artifacts),
    /// Packs.
    Baked(Baked),
}

impl Offline {
    /// The store at `directory`, whichever it is. Its packs are opened at the first question.
    pub fn new(directory: PathBuf) -> Self {
        if is_baked(&directory) {
            Self::Baked(Baked { directory, bakes: OnceLock::new() })
        } else {
            Self::Plain(Artifacts::new(Layout::new(directory), false, SystemTime::now()))
        }
    }

    pub fn shelf(&self) -> Shelf<'_> {
        match self {
            Self::Plain(artifacts) => Shelf::Files(artifacts),
            Self::Baked(baked) => Shelf::Packs(baked),
        }
    }
}

/// One of the places where a store looks, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shelf<'a> {
    /// Loose files.
    Files(&'a Artifacts),
    /// Packs.
    Packs(&'a Baked),
}

impl Shelf<'_> {
    /// The records under `dep_hash`. A baked store belongs, whole, to whoever set it up, and is
    /// not divided into scopes.
    pub fn candidates(&self, scope: &Scope, dep_hash: &ContentHash) -> Found {
        match self {
            Self::Files(artifacts) => {
                let path = artifacts.layout.candidates(scope, dep_hash);
                let found = candidates::read(&path, dep_hash);
                if let Found::Corrupt(error) = &found {
                    tracing::info!(path = %path.display(), error, "corrupt mapping: treated as absent");
                    artifacts.quarantine(&path);
                }
                found
            }
            Self::Packs(baked) => match baked.candidates(dep_hash) {
                candidates if candidates.is_empty() => Found::Nothing,
                candidates => Found::Candidates(candidates),
            },
        }
    }

    /// Marks a mapping as used.
    pub fn touch(&self, scope: &Scope, dep_hash: &ContentHash) {
        if let Self::Files(artifacts) = self {
            artifacts.touch_path(&artifacts.layout.candidates(scope, dep_hash));
        }
    }

    /// Whether the artifact is there, intact or not.
    pub fn holds(&self, hash: &ContentHash) -> bool {
        match self {
            Self::Files(artifacts) => artifacts.holds(hash),
            Self::Packs(baked) => baked.find(hash).is_some(),
        }
    }

    /// [`holds`](Self::holds), and marks it as used.
    pub fn uses(&self, hash: &ContentHash) -> bool {
        match self {
            Self::Files(artifacts) => artifacts.uses(hash),
            Self::Packs(baked) => baked.find(hash).is_some(),
        }
    }

    /// Makes sure of the artifact by reading all of it, and marks it as used; a corrupt entry of the
    /// store is moved away.
    pub fn is_intact(&self, hash: &ContentHash, size: u64) -> bool {
        match self {
            Self::Files(artifacts) => artifacts.is_intact(hash, size),
            Self::Packs(baked) => baked.is_intact(hash, size),
        }
    }

    /// Restores `file` at `destination`, verified, replacing what is there in one step.
    pub fn restore(&self, file: &OutputFile, destination: &Path) -> Result<How, Miss> {
        match self {
            Self::Files(artifacts) => artifacts.restore(file, destination),
            Self::Packs(baked) => baked.restore(file, destination),
        }
    }

    /// Opens an artifact for reading, for whoever verifies what is read. What is in a pack is put into
    /// `store` for that.
    pub fn open(&self, file: &OutputFile, store: &Store) -> Result<File, Miss> {
        let artifacts = match self {
            Self::Files(artifacts) => artifacts,
            Self::Packs(baked) => {
                baked.import(file, store.local())?;
                store.local()
            }
        };
        artifacts.open(&file.hash, file.size)
    }
}

/// A baked store.
#[derive(Debug)]
pub(crate) struct Baked {
    directory: PathBuf,
    bakes: OnceLock<Vec<Opened>>,
}

/// One pack of it.
#[derive(Debug)]
struct Opened {
    bake: Bake,
    pack: Pack,
    mappings: OnceLock<Mappings>,
    /// Blocks decoded lately, by number.
    kept: Mutex<VecDeque<(usize, Arc<Vec<u8>>)>>,
    said_corrupt: AtomicBool,
}

impl Baked {
    /// The packs that can be used here. Says once which cannot, and why.
    fn bakes(&self) -> &[Opened] {
        self.bakes.get_or_init(|| {
            let said = self.directory.display();
            let bakes = index::read(&self.directory).unwrap_or_else(|error| {
                tracing::info!("offline store {said} treated as absent: {error}");
                Vec::new()
            });
            let open = |bake: Bake| {
                if let Some(platform) = bake.platform.as_ref().filter(|it| *it != host_platform()) {
                    tracing::info!(
                        "offline store {said}: {} was baked for platform {platform:?}, but this is \
                         {}, so it is not used",
                        bake.package,
                        host_platform()
                    );
                    return None;
                }
                match bake.open(&self.directory) {
                    Ok(pack) => Some(Opened {
                        bake,
                        pack,
                        mappings: OnceLock::new(),
                        kept: Mutex::default(),
                        said_corrupt: AtomicBool::new(false),
                    }),
                    Err(error) => {
                        tracing::info!(
                            "offline store {said}: {} treated as absent: {error}",
                            bake.package
                        );
                        None
                    }
                }
            };
            bakes.into_iter().filter_map(open).collect()
        })
    }

    /// The bakes that can be used on this platform, with their packs.
    pub fn usable(&self) -> impl Iterator<Item = (&Bake, &Pack)> {
        self.bakes().iter().map(|opened| (&opened.bake, &opened.pack))
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn candidates(&self, dep_hash: &ContentHash) -> Vec<Outputs> {
        self.bakes().iter().filter_map(|opened| opened.mappings().get(dep_hash).cloned()).collect()
    }

    fn find(&self, hash: &ContentHash) -> Option<(&Opened, &pack::Member)> {
        self.bakes().iter().find_map(|opened| Some((opened, opened.pack.index().find(hash)?)))
    }

    fn restore(&self, file: &OutputFile, destination: &Path) -> Result<How, Miss> {
        let mode = if file.executable { 0o777 } else { 0o666 };
        self.read(file, |opened, artifact| {
            write_new(destination, mode, |target| opened.copy(artifact, target))
        })
        .map_err(|error| match error {
            Miss::Unwritable { source, .. } => {
                Miss::Unwritable { path: destination.to_owned(), source }
            }
            other => other,
        })?;
        Ok(How::Copy)
    }

    fn is_intact(&self, hash: &ContentHash, size: u64) -> bool {
        self.find(hash).is_some_and(|(opened, artifact)| {
            artifact.size() == size && opened.pack.read(hash).is_ok()
        })
    }

    fn import(&self, file: &OutputFile, into: &Artifacts) -> Result<(), Miss> {
        self.read(file, |opened, artifact| {
            let entry = into.layout.artifact(&file.hash);
            let mode = if file.executable { 0o555 } else { 0o444 };
            write_new(&entry, mode, |target| opened.copy(artifact, target))
        })
    }

    /// Finds the artifact and lets `write` write it somewhere.
    fn read(
        &self,
        file: &OutputFile,
        write: impl Fn(&Opened, &pack::Member) -> io::Result<()>,
    ) -> Result<(), Miss> {
        let (opened, artifact) = self.find(&file.hash).ok_or(Miss::Absent)?;
        if artifact.size() != file.size {
            return Err(Miss::WrongSize { expected: file.size, actual: artifact.size() });
        }
        write(opened, artifact).map_err(|error| match error.downcast::<pack::Error>() {
            Ok(error) => {
                if opened.said_corrupt.swap(true, Ordering::Relaxed) {
                    tracing::debug!("{error}");
                } else {
                    tracing::info!(
                        "corrupt offline store; the damaged parts are treated as absent: {error}"
                    );
                }
                Miss::Corrupt
            }
            Err(source) => Miss::Unwritable { path: self.directory.clone(), source },
        })
    }
}

impl Opened {
    fn mappings(&self) -> &Mappings {
        self.mappings.get_or_init(|| {
            mappings_of(&self.pack).unwrap_or_else(|error| {
                tracing::info!(
                    "corrupt offline store; its mappings are treated as absent: {error}"
                );
                Mappings::default()
            })
        })
    }

    /// Writes one artifact to `out`. A pack's error is the source of the one that is returned.
    fn copy(&self, artifact: &pack::Member, mut out: &File) -> io::Result<()> {
        let index = self.pack.index();
        let numbers = index.blocks_of(artifact);
        let alone = numbers.len() == 1;
        let mut hasher = blake3::Hasher::new();
        for number in numbers {
            let Some(block) = index.blocks().get(number) else { continue };
            // What fills blocks of its own has no neighbours to be kept for.
            let content = if alone { self.block(number, block) } else { self.decode(block) };
            let content = content.map_err(io::Error::other)?;
            let pieces = index.pieces(block);
            for piece in pieces.filter(|piece| piece.artifact.content == artifact.content) {
                let bytes = &content[piece.range];
                hasher.update(bytes);
                out.write_all(bytes)?;
            }
        }
        if ContentHash::from(hasher.finalize()) == artifact.hash {
            return Ok(());
        }
        Err(io::Error::other(self.pack.refused(pack::Refusal::ArtifactHash(artifact.hash))))
    }

    fn decode(&self, block: &pack::Block) -> Result<Arc<Vec<u8>>, pack::Error> {
        let mut content = Vec::new();
        self.pack.decode(block, &mut content)?;
        Ok(Arc::new(content))
    }

    /// A decoded block, from memory when it was used lately.
    fn block(&self, number: usize, block: &pack::Block) -> Result<Arc<Vec<u8>>, pack::Error> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, content)) = lock().iter().find(|(kept, _)| *kept == number) {
            return Ok(content.clone());
        }
        // Not under the lock: two threads may decode two blocks, or, rarely, the same one.
        let content = self.decode(block)?;
        let mut kept = lock();
        kept.push_front((number, content.clone()));
        let mut total = 0;
        kept.retain(|(_, content)| {
            total += content.len();
            total <= KEPT
        });
        Ok(content)
    }
}
