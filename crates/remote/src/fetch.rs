//! Fetching artifacts out of packs: many ranged reads at once, each going on from where it broke,
//! every block and every artifact verified before it is in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use larder_store::{
    Scope, Store, Unfetched,
    pack::{Block, Refusal},
    published::{PublishedPack, paths},
};
use larder_trace::ContentHash;
use tokio::sync::oneshot;

use crate::{
    Service,
    plan::{Chunk, Wanted, plan},
    retry::{Attempts, describe, is_denial, is_transient},
};

/// A change in a transfer since the last one that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// So much lies ahead, more than was said before.
    Planned {
        /// Artifacts to transfer.
        artifacts: u64,
        /// Bytes to transfer, compressed.
        bytes: u64,
    },
    /// So much was transferred.
    Done {
        /// Artifacts.
        artifacts: u64,
        /// Bytes, compressed.
        bytes: u64,
    },
}

/// A fetch from one service into one store.
pub struct Fetch<'a> {
    pub service: &'a Service,
    pub scope: &'a Scope,
    pub store: &'a Store,
    pub wanted: &'a Wanted,
    pub progress: &'a (dyn Fn(Transfer) + Sync),
}

/// For each artifact that was tried, whether it arrived.
type Outcomes = Mutex<BTreeMap<ContentHash, Result<(), Unfetched>>>;

impl Fetch<'_> {
    /// Fetches what is wanted out of `packs`. What arrives is in the store; the rest is returned.
    pub fn run(&self, packs: &[PublishedPack]) -> BTreeMap<ContentHash, Unfetched> {
        let nowhere = || Unfetched::Lost("the service does not have it".to_owned());
        let mut missing: BTreeMap<_, _> =
            self.wanted.keys().map(|hash| (*hash, nowhere())).collect();
        // Empty artifacts need no transfer, and are in no block.
        missing.retain(|hash, _| match self.wanted.get(hash) {
            Some(artifact) if artifact.size == 0 => {
                !matches!(self.store.import(hash, 0, artifact.executable, io::empty()), Ok(true))
            }
            _ => true,
        });
        let mut tried = BTreeSet::new();
        loop {
            let wanted = missing
                .keys()
                .filter_map(|hash| Some((*hash, self.wanted.get(hash)?.clone())))
                .collect();
            let chunks = plan(packs, &wanted, &tried);
            if chunks.is_empty() || self.service.health.is_hopeless() {
                return missing;
            }
            for chunk in &chunks {
                tried.extend(chunk.artifacts.iter().map(|artifact| (chunk.pack.id, artifact.hash)));
            }
            for (hash, outcome) in self.round(&chunks) {
                match outcome {
                    Ok(()) => _ = missing.remove(&hash),
                    Err(reason) => _ = missing.insert(hash, reason),
                }
            }
        }
    }

    fn round(&self, chunks: &[Chunk<'_>]) -> BTreeMap<ContentHash, Result<(), Unfetched>> {
        (self.progress)(Transfer::Planned {
            artifacts: chunks.iter().map(|chunk| chunk.artifacts.len() as u64).sum(),
            bytes: chunks.iter().map(Chunk::stored_len).sum(),
        });
        let outcomes = Outcomes::default();
        self.read_all(chunks, &outcomes);
        outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self, chunks: &[Chunk<'_>], outcomes: &Outcomes) {
        let (blocks, queue) = mpsc::channel::<Arrived<'_>>();
        let queue = Mutex::new(queue);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    loop {
                        let block = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(block) = block else { return };
                        block.run(self, outcomes);
                    }
                });
            }
            let reads =
                stream::iter(chunks).for_each_concurrent(self.service.connections, |chunk| {
                    let reading = Reading { fetch: self, chunk, blocks: blocks.clone(), outcomes };
                    reading.run()
                });
            self.service.block_on(reads);
            drop(blocks);
        });
    }
}

/// One chunk being read.
struct Reading<'a> {
    fetch: &'a Fetch<'a>,
    chunk: &'a Chunk<'a>,
    blocks: Sender<Arrived<'a>>,
    outcomes: &'a Outcomes,
}

/// Why a chunk broke off.
enum Broken {
    /// The service or the network.
    Transport { reason: Unfetched, transient: bool },
    /// A block was not what the index says. With the hash of what came in its place.
    Block(Refusal, ContentHash),
}

impl Reading<'_> {
    async fn run(self) {
        let health = &self.fetch.service.health;
        let end = self.chunk.blocks.end;
        let mut next = self.chunk.blocks.start;
        let mut attempts = Attempts::default();
        let mut refused = None;
        let mut partial = self.resume(&mut next);
        while next < end {
            let Err(broken) = self.read(&mut next, &mut partial, &mut attempts).await else {
                return;
            };
            let (reason, transient) = match &broken {
                Broken::Transport { reason, transient } => (reason.clone(), *transient),
                // The same wrong bytes twice were not made wrong on the way.
                Broken::Block(refusal, came) => {
                    let reason = Unfetched::Refused(format!("corrupt on the service: {refusal}"));
                    (reason, refused.replace(*came) != Some(*came))
                }
            };
            tracing::debug!(pack = %self.chunk.pack.id, block = next, %reason, "read broke off");
            if transient && attempts.failed(health).await {
                continue;
            }
            match broken {
                // Given up for good: the blocks after it may yet be read.
                Broken::Block(..) if !health.is_hopeless() => {
                    self.fail(next..next + 1, &reason);
                    next += 1;
                    partial = None;
                    attempts = Attempts::default();
                }
                _ => return self.fail(next..end, &reason),
            }
        }
    }

    /// Where an earlier run, or process, left a large artifact half-fetched, goes on from there.
    fn resume(&self, next: &mut usize) -> Option<Partial> {
        let index = &self.chunk.pack.index;
        let first = self.chunk.artifacts.first()?;
        if index.blocks_of(first).len() < 2 {
            return None;
        }
        let partial = Partial::open(self.fetch.store, first.hash).ok()?;
        let have = first.content.start + partial.length;
        while index.blocks().get(*next).is_some_and(|block| block.content.end <= have)
            && *next + 1 < index.blocks_of(first).end
        {
            *next += 1;
        }
        Some(partial)
    }

    /// Reads blocks from `next` on, in one request, until all are in or something breaks.
    async fn read(
        &self,
        next: &mut usize,
        partial: &mut Option<Partial>,
        attempts: &mut Attempts,
    ) -> Result<(), Broken> {
        let transport = |error: object_store::Error| Broken::Transport {
            reason: match is_denial(&error) {
                true => Unfetched::Refused(describe(&error)),
                false => Unfetched::Lost(describe(&error)),
            },
            transient: is_transient(&error),
        };
        let pack = self.chunk.pack;
        let service = self.fetch.service;
        let object = paths::pack(self.fetch.scope, &pack.id);
        let range = pack.index.stored_range(*next..self.chunk.blocks.end);
        let mut content = service.stream(&object, range).await.map_err(transport)?;
        let mut buffer = BytesMut::new();
        while *next < self.chunk.blocks.end {
            let Some(block) = pack.index.blocks().get(*next) else { return Ok(()) };
            while buffer.len() < block.stored_len() {
                match content.next().await {
                    Some(more) => buffer.extend_from_slice(&more.map_err(transport)?),
                    None => {
                        let reason = Unfetched::Lost("the response was cut short".to_owned());
                        return Err(Broken::Transport { reason, transient: true });
                    }
                }
            }
            let stored = buffer.split_to(block.stored_len()).freeze();
            let (reply, replied) = oneshot::channel();
            let came = stored.clone();
            let arrived =
                Arrived { chunk: self.chunk, block, stored, partial: partial.take(), reply };
            // Fails only when the threads that take blocks are gone, and they outlive us.
            _ = self.blocks.send(arrived);
            let Ok(absorbed) = replied.await else { return Ok(()) };
            *partial = absorbed.partial;
            let artifacts = absorbed
                .artifacts
                .map_err(|refusal| Broken::Block(refusal, ContentHash::of_bytes(&came)))?;
            let bytes = block.stored_len() as u64;
            (self.fetch.progress)(Transfer::Done { artifacts, bytes });
            *next += 1;
            attempts.succeeded(&service.health);
        }
        Ok(())
    }

    /// Gives up the artifacts in `blocks` that are not in yet.
    fn fail(&self, blocks: Range<usize>, reason: &Unfetched) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        for artifact in &self.chunk.artifacts {
            let held = self.chunk.pack.index.blocks_of(artifact);
            if held.start < blocks.end && blocks.start < held.end {
                outcomes.entry(artifact.hash).or_insert_with(|| Err(reason.clone()));
            }
        }
    }
}

/// A block that has arrived, to be decoded and stored by one of the threads that do that.
struct Arrived<'a> {
    chunk: &'a Chunk<'a>,
    block: &'a Block,
    stored: Bytes,
    partial: Option<Partial>,
    reply: oneshot::Sender<Absorbed>,
}

struct Absorbed {
    partial: Option<Partial>,
    /// How many artifacts are in the store with this block.
    artifacts: Result<u64, Refusal>,
}

impl Arrived<'_> {
    fn run(mut self, fetch: &Fetch<'_>, outcomes: &Outcomes) {
        let artifacts = self.absorb(fetch, outcomes);
        // Fails only when nobody waits any more.
        _ = self.reply.send(Absorbed { partial: self.partial, artifacts });
    }

    fn absorb(&mut self, fetch: &Fetch<'_>, outcomes: &Outcomes) -> Result<u64, Refusal> {
        let mut content = Vec::new();
        self.block.decode(&self.stored, &mut content)?;
        let mut arrived = 0;
        for piece in self.chunk.pack.index.pieces(self.block) {
            let hash = piece.artifact.hash;
            let Some(artifact) = fetch.wanted.get(&hash) else { continue };
            let bytes = &content[piece.range.clone()];
            let stored = if piece.range.len() as u64 == piece.artifact.size() {
                fetch.store.import(&hash, artifact.size, artifact.executable, bytes)
            } else {
                let partial = match self.partial.take().filter(|partial| partial.hash == hash) {
                    Some(partial) => Ok(partial),
                    None => Partial::open(fetch.store, hash),
                };
                let written = partial.and_then(|mut partial| {
                    partial.write(bytes, piece.at)?;
                    Ok(partial)
                });
                match written {
                    Ok(partial) if piece.is_last() => {
                        partial.finish(fetch.store, artifact.executable)
                    }
                    Ok(partial) => {
                        self.partial = Some(partial);
                        continue;
                    }
                    Err(error) => {
                        let reason = Unfetched::Lost(format!("cannot be stored: {error}"));
                        record(outcomes, hash, Err(reason));
                        continue;
                    }
                }
            };
            let outcome = match stored {
                Ok(true) => {
                    arrived += 1;
                    Ok(())
                }
                Ok(false) => Err(Unfetched::Refused(
                    "corrupt on the service: its content has another hash".to_owned(),
                )),
                Err(error) => Err(Unfetched::Lost(error.to_string())),
            };
            record(outcomes, hash, outcome);
        }
        Ok(arrived)
    }
}

/// Records how an artifact fared. One that arrived stays arrived; otherwise the last word counts.
fn record(outcomes: &Outcomes, hash: ContentHash, outcome: Result<(), Unfetched>) {
    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = outcomes.entry(hash).or_insert_with(|| outcome.clone());
    if kept.is_err() {
        *kept = outcome;
    }
}

/// An artifact larger than a block on its way in: `partial/<hash>` in the store, which outlives the
/// process, so that a later one goes on where this one stopped.
#[derive(Debug)]
struct Partial {
    hash: ContentHash,
    path: PathBuf,
    file: File,
    length: u64,
}

impl Partial {
    fn open(store: &Store, hash: ContentHash) -> io::Result<Self> {
        let mut path = store.layout().partial(&hash);
        std::fs::create_dir_all(store.layout().partials())?;
        let open = |path: &PathBuf| {
            File::options().read(true).write(true).create(true).truncate(false).open(path)
        };
        let mut file = open(&path)?;
        if file.try_lock().is_err() {
            // Another process is fetching it as well; it may be the faster one, or may fail.
            path.set_extension(std::process::id().to_string());
            file = open(&path)?;
        }
        let length = file.metadata()?.len();
        Ok(Self { hash, path, file, length })
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)?;
        self.length = self.length.max(at + bytes.len() as u64);
        Ok(())
    }

    fn finish(self, store: &Store, executable: bool) -> Result<bool, larder_store::StoreError> {
        let adopted = store.adopt(&self.path, &self.hash, executable);
        if !matches!(adopted, Ok(true)) {
            // Nothing to go on from.
            _ = std::fs::remove_file(&self.path);
        }
        adopted
    }
}
