//! Reading packs that are local files.

use std::{
    fs::{self, File},
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use larder_trace::ContentHash;

use super::{
    Block, Error, HEADER_LEN, Handled, Index, Limits, Member, Refusal, TRAILER_LEN, Trailer,
    index::check_header,
};

/// A pack in a local file, its index read and checked.
#[derive(Debug)]
pub struct Pack {
    path: PathBuf,
    file: File,
    length: u64,
    id: ContentHash,
    index: Index,
}

impl Pack {
    /// Opens a pack and reads its index.
    ///
    /// # Errors
    /// When the file cannot be read, or is refused; see [`Refusal`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let failed = || Error::io(format!("read pack {}", path.display()));
        // Asked first: opening a FIFO would wait for a writer.
        if !fs::metadata(path).map_err(failed())?.is_file() {
            return Err(failed()(io::Error::other("it is not a regular file")));
        }
        let file = File::open(path).map_err(failed())?;
        let length = file.metadata().map_err(failed())?.len();
        let refused = |reason| Error::Refused { pack: path.display().to_string(), reason };
        let Some(trailer_at) =
            length.checked_sub(TRAILER_LEN as u64).filter(|&at| at >= HEADER_LEN as u64)
        else {
            return Err(refused(Refusal::Signature("end")));
        };
        let (mut header, mut trailer) = ([0; HEADER_LEN], [0; TRAILER_LEN]);
        file.read_exact_at(&mut header, 0).map_err(failed())?;
        file.read_exact_at(&mut trailer, trailer_at).map_err(failed())?;
        check_header(&header).map_err(refused)?;
        let trailer = Trailer::parse(&trailer, length, limits).map_err(refused)?;
        // No longer than the file is, and within the limit: the trailer was checked for that.
        let index_length = (trailer.index.end - trailer.index.start) as usize;
        let mut tail = vec![0; index_length + TRAILER_LEN];
        file.read_exact_at(&mut tail, trailer.index.start).map_err(failed())?;
        let index = Index::parse(&tail[..index_length], &trailer, limits).map_err(refused)?;
        let id = ContentHash::of_bytes(&tail);
        Ok(Self { path: path.to_owned(), file, length, id, index })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The hash of the index and the trailer, and so of all that the pack holds: its name wherever
    /// packs are kept by content.
    pub fn id(&self) -> ContentHash {
        self.id
    }

    /// The index of the pack.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Reads and verifies one artifact, or `None` when the pack doesn't hold it. The artifact is held
    /// in memory; use [`Self::unpack`] for those that may be too large for that.
    ///
    /// # Errors
    /// When the file cannot be read, or the artifact's blocks are corrupt.
    pub fn read(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, Error> {
        self.index.find(hash).map(|artifact| self.extract(artifact)).transpose()
    }

    /// Reads and verifies the mappings file, or `None` when the pack carries none.
    ///
    /// # Errors
    /// When the file cannot be read, or the blocks of the mappings file are corrupt.
    pub fn mappings(&self) -> Result<Option<Vec<u8>>, Error> {
        self.index.mappings().map(|mappings| self.extract(mappings)).transpose()
    }

    /// Reads, verifies and decodes one block of [`Index::blocks`] into `content`.
    ///
    /// # Errors
    /// When the file cannot be read, or the block is corrupt.
    pub fn decode(&self, block: &Block, content: &mut Vec<u8>) -> Result<(), Error> {
        let mut stored = vec![0; block.stored_len()];
        self.read_at(&mut stored, block.stored.start)?;
        block.decode(&stored, content).map_err(|reason| self.refused(reason))
    }

    fn extract(&self, artifact: &Member) -> Result<Vec<u8>, Error> {
        let range = self.index.stored_range(self.index.blocks_of(artifact));
        // The sum of lengths that add up to the length of the file.
        let mut stored = vec![0; (range.end - range.start) as usize];
        self.read_at(&mut stored, range.start)?;
        self.index.extract(artifact, &stored).map_err(|reason| self.refused(reason))
    }

    /// Reads and verifies everything, and writes the artifacts to where `place` says: to a temporary
    /// file, or nowhere (`None`) when the artifact is already at hand. `place` is called for each
    /// artifact once, from several threads. Memory is two blocks a thread.
    ///
    /// Only when all of the pack has proved right does this return `Ok`; then, and not before, give
    /// the files their names. The mappings file is verified, and read with [`Self::mappings`].
    ///
    /// # Errors
    /// When the pack is refused, cannot be read, or a file cannot be written. What was placed may
    /// then be incomplete and belongs to a pack not to be trusted: remove it.
    pub fn unpack<W: Write>(
        &self,
        threads: NonZeroUsize,
        place: impl Fn(&Member) -> io::Result<Option<W>> + Sync,
        progress: impl Fn(Handled) + Sync,
    ) -> Result<(), Error> {
        for artifact in self.index.artifacts().iter().filter(|artifact| artifact.size() == 0) {
            place(artifact).map_err(unwritable(artifact))?;
            progress(Handled { artifacts: 1, bytes: 0 });
        }
        let segments = self.segments();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut worker = Worker { pack: self, stored: Vec::new(), content: Vec::new() };
            while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = worker.unpack(segment, &place, &progress) {
                    // The others stop at the end of their segments.
                    next.store(segments.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            // A thread that is not to be had makes it slower.
            let others = (1..threads.get().min(segments.len()))
                .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok());
            let others: Vec<_> = others.collect();
            let mut result = work();
            for other in others {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(other);
            }
            result
        })
    }

    /// Reads and verifies everything, and keeps nothing.
    ///
    /// # Errors
    /// When the pack is refused or cannot be read.
    pub fn verify(
        &self,
        threads: NonZeroUsize,
        progress: impl Fn(Handled) + Sync,
    ) -> Result<(), Error> {
        self.unpack(threads, |_| Ok(None::<io::Sink>), progress)
    }

    /// Runs of blocks that no artifact straddles: what one thread can do on its own.
    fn segments(&self) -> Vec<&[Block]> {
        let goes_on =
            |block: &Block| self.index.pieces(block).last().is_some_and(|piece| !piece.is_last());
        self.index.blocks().chunk_by(|block, _| goes_on(block)).collect()
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        let action = || format!("read pack {}", self.path.display());
        self.file.read_exact_at(bytes, at).map_err(|error| Error::io(action())(error))
    }

    pub(crate) fn refused(&self, reason: Refusal) -> Error {
        Error::Refused { pack: self.path.display().to_string(), reason }
    }
}

/// One thread's work on a pack, with its buffers.
struct Worker<'a> {
    pack: &'a Pack,
    stored: Vec<u8>,
    content: Vec<u8>,
}

impl Worker<'_> {
    fn unpack<W: Write>(
        &mut self,
        segment: &[Block],
        place: &impl Fn(&Member) -> io::Result<Option<W>>,
        progress: &impl Fn(Handled),
    ) -> Result<(), Error> {
        let index = &self.pack.index;
        let mut hasher = blake3::Hasher::new();
        let mut out = None;
        for block in segment {
            self.stored.resize(block.stored_len(), 0);
            self.pack.read_at(&mut self.stored, block.stored.start)?;
            block
                .decode(&self.stored, &mut self.content)
                .map_err(|reason| self.pack.refused(reason))?;
            for piece in index.pieces(block) {
                let is_mappings =
                    index.mappings().is_some_and(|it| std::ptr::eq(it, piece.artifact));
                let bytes = &self.content[piece.range.clone()];
                hasher.update(bytes);
                if piece.is_last() {
                    // Before anything is written, where the artifact is in one block.
                    let hash = hasher.finalize().into();
                    index
                        .check(piece.artifact, hash)
                        .map_err(|reason| self.pack.refused(reason))?;
                    hasher.reset();
                }
                if piece.at == 0 {
                    out = match is_mappings {
                        true => None,
                        false => place(piece.artifact).map_err(unwritable(piece.artifact))?,
                    };
                }
                if let Some(out) = &mut out {
                    out.write_all(bytes).map_err(unwritable(piece.artifact))?;
                }
                if piece.is_last()
                    && let Some(mut out) = out.take()
                {
                    out.flush().map_err(unwritable(piece.artifact))?;
                }
                let artifacts = u64::from(piece.is_last() && !is_mappings);
                progress(Handled { artifacts, bytes: bytes.len() as u64 });
            }
        }
        Ok(())
    }
}

fn unwritable(artifact: &Member) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("write artifact {}", artifact.hash))
}
