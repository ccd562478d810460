//! Writing packs.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use larder_trace::{ContentHash, atomic::write_new};

use super::{Error, Handled, header, index::Draft};

/// Artifacts below this many bytes are grouped by size rather than by hint: the smallest object
/// files are mostly headers and symbol tables, alike where their sizes are alike. Measured on the
/// objects of glibc (3 % smaller) and of OpenSSL, libgit2, curl and others (no difference).
const SMALL: u64 = 4 << 10;

/// An artifact to be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The artifact's name: the hash of its content.
    pub hash: ContentHash,
    /// Length in bytes.
    pub size: u64,
    /// Artifacts with similar hints are compressed together. The path of the output in the mappings
    /// does well; it isn't stored.
    pub hint: String,
}

/// How hard to compress: 1 is fastest, 19 smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compression(i32);

impl Compression {
    /// The fastest, 1.
    pub const FASTEST: Self = Self(1);
    /// The smallest, 19.
    pub const SMALLEST: Self = Self(19);

    /// A level from 1 to 19.
    pub fn new(level: i32) -> Option<Self> {
        (Self::FASTEST.0..=Self::SMALLEST.0).contains(&level).then_some(Self(level))
    }

    /// How much content a block takes, in bytes, in a pack of `total` bytes. Larger blocks compress
    /// better and make reading one artifact slower: 1/64 keeps that below 1/50 of unpacking all.
    fn block(self, total: u64) -> usize {
        const SMALLEST: u64 = 512 << 10;
        const LARGEST: u64 = 2 << 20;
        if self.0 < 10 { (total / 64).clamp(SMALLEST, LARGEST) as usize } else { 4 << 20 }
    }
}

impl Default for Compression {
    /// 5: on two cores as fast as `tar | zstd -3`, and smaller.
    fn default() -> Self {
        Self(5)
    }
}

/// How to write a pack. Only the level has a say in the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How hard to compress.
    pub level: Compression,
    /// How many threads compress, besides the one that reads.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { level: Compression::default(), threads }
    }
}

/// Writes a pack to `path`, which appears only when the pack is complete and on disk, and replaces
/// what was there. Returns its length in bytes. Otherwise as [`write()`].
///
/// # Errors
/// As [`write()`]; nothing is left at `path` then that was not there before.
pub fn create<R: Read>(
    path: &Path,
    entries: Vec<Entry>,
    open: impl FnMut(&Entry) -> io::Result<R>,
    mappings: Option<&[u8]>,
    options: &Options,
    progress: impl FnMut(Handled),
) -> Result<u64, Error> {
    write_new(path, 0o666, |mut file| {
        let length = write(&mut file, entries, open, mappings, options, progress)?;
        file.sync_data()?;
        Ok(length)
    })
    .map_err(|error| match error {
        Failed::Pack(error) => error,
        Failed::File(error) => Error::io(format!("write pack {}", path.display()))(error),
    })
}

/// Why a pack did not appear.
enum Failed {
    Pack(Error),
    File(io::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Pack(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Writes a pack of `entries`, whose content `open` gives, and of `mappings` to `out`. Returns its
/// length in bytes. The bytes depend on the entries, the mappings and the level, on nothing else:
/// not on the order of the entries, nor on the threads. An artifact given more than once is packed
/// once. Content is streamed: memory is a few blocks a thread, whatever the sizes.
///
/// # Errors
/// When an artifact cannot be read or isn't what its name and size say, or `out` cannot be written.
pub fn write<R: Read>(
    out: impl Write,
    entries: Vec<Entry>,
    mut open: impl FnMut(&Entry) -> io::Result<R>,
    mappings: Option<&[u8]>,
    options: &Options,
    mut progress: impl FnMut(Handled),
) -> Result<u64, Error> {
    let entries = arrange(entries);
    let total = entries.iter().fold(0, |total: u64, entry| total.saturating_add(entry.size));
    let capacity = options.level.block(total);
    thread::scope(|scope| {
        let mut blocks = Blocks::start(scope, out, capacity, options)?;
        for entry in &entries {
            let wrong = |reason: String| Error::Artifact { hash: entry.hash, reason };
            if !blocks.fits(entry.size) {
                blocks.cut()?;
            }
            let content = open(entry).map_err(|error| wrong(error.to_string()))?;
            let (hash, size) =
                blocks.append(content, entry.size, &mut progress).map_err(|error| match error {
                    AppendError::Read(error) => wrong(error.to_string()),
                    AppendError::Write(error) => error,
                })?;
            if size != entry.size {
                return Err(wrong(format!("it is not {} bytes long", entry.size)));
            }
            if hash != entry.hash {
                return Err(wrong(format!("its content hashes to {hash}")));
            }
            blocks.index.push_content(size, &hash);
            progress(Handled { artifacts: 1, bytes: 0 });
        }
        if let Some(mappings) = mappings {
            blocks.cut()?;
            let size = mappings.len() as u64;
            let (hash, _) =
                blocks.append(mappings, size, &mut progress).map_err(|error| match error {
                    AppendError::Read(error) => Error::io("read mappings")(error),
                    AppendError::Write(error) => error,
                })?;
            blocks.index.push_content(size, &hash);
        }
        blocks.finish(mappings.is_some())
    })
}

/// Each artifact once, those that resemble each other side by side, in an order that depends on
/// nothing but the entries: small ones by size, then the others by hint.
fn arrange(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_unstable_by(|a, b| (a.hash, &a.hint, a.size).cmp(&(b.hash, &b.hint, b.size)));
    entries.dedup_by_key(|entry| entry.hash);
    entries.sort_by(|a, b| key(a).cmp(&key(b)));
    entries
}

fn key(entry: &Entry) -> (bool, u64, &str, u64, ContentHash) {
    let small = entry.size < SMALL;
    let size = if small { entry.size } else { 0 };
    (!small, size, &entry.hint, entry.size, entry.hash)
}

/// A block on its way to a compressor, and where to send it then.
struct Uncompressed {
    content: Vec<u8>,
    done: mpsc::Sender<io::Result<Compressed>>,
}

struct Compressed {
    stored: Vec<u8>,
    checksum: blake3::Hash,
    /// The content, given back for its allocation.
    content: Vec<u8>,
}

fn compress(content: Vec<u8>, level: Compression) -> io::Result<Compressed> {
    // A new context for every block: zstd salts the hash tables of a context used again with what it
    // saw before (`ZSTD_advanceHashSalt`), and which thread sees which blocks is left to chance.
    let stored = zstd::bulk::compress(&content, level.0)?;
    Ok(Compressed { checksum: blake3::hash(&stored), stored, content })
}

/// Content being cut into blocks, compressed by worker threads and written in order.
struct Blocks<W> {
    out: W,
    written: u64,
    index: Draft,
    current: Vec<u8>,
    capacity: usize,
    blocks: mpsc::Sender<Uncompressed>,
    pending: VecDeque<mpsc::Receiver<io::Result<Compressed>>>,
    most_pending: usize,
    spare: Vec<Vec<u8>>,
}

enum AppendError {
    Read(io::Error),
    Write(Error),
}

impl<W: Write> Blocks<W> {
    fn start<'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        mut out: W,
        capacity: usize,
        options: &Options,
    ) -> Result<Self, Error> {
        let (blocks, queue) = mpsc::channel::<Uncompressed>();
        let queue = Arc::new(Mutex::new(queue));
        let (level, threads) = (options.level, options.threads.get());
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            scope.spawn(move || {
                loop {
                    let block =
                        queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
                    let Ok(block) = block else { return };
                    // The receiver is gone only when writing has failed already.
                    let _ = block.done.send(compress(block.content, level));
                }
            });
        }
        let header = header();
        out.write_all(&header).map_err(Error::io("write the pack"))?;
        Ok(Self {
            out,
            written: header.len() as u64,
            index: Draft::default(),
            current: Vec::new(),
            capacity,
            blocks,
            pending: VecDeque::new(),
            most_pending: 2 * threads,
            spare: Vec::new(),
        })
    }

    /// Whether content of `size` bytes goes into the current block. What is larger than a block
    /// begins a new one.
    fn fits(&self, size: u64) -> bool {
        self.current.is_empty() || size <= (self.capacity - self.current.len()) as u64
    }

    /// Appends all of `content`, or one byte more than `expected` where it is longer. Returns the
    /// hash and length of what was appended.
    fn append(
        &mut self,
        content: impl Read,
        expected: u64,
        progress: &mut impl FnMut(Handled),
    ) -> Result<(ContentHash, u64), AppendError> {
        let mut content = content.take(expected.saturating_add(1));
        let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
        loop {
            let start = self.current.len();
            let room = (self.capacity - start) as u64;
            // Room for one byte more than is left: reading then meets the end without growing.
            let left = (expected - size).min(room) as usize;
            self.current.reserve(left + 1);
            let read = content.by_ref().take(room).read_to_end(&mut self.current);
            let read = read.map_err(AppendError::Read)? as u64;
            hasher.update(&self.current[start..]);
            size += read;
            progress(Handled { artifacts: 0, bytes: read });
            if read < room || size >= expected {
                break;
            }
            self.cut().map_err(AppendError::Write)?;
        }
        Ok((hasher.finalize().into(), size))
    }

    /// Ends the current block and hands it to a compressor.
    fn cut(&mut self) -> Result<(), Error> {
        if self.current.is_empty() {
            return Ok(());
        }
        let next = self.spare.pop().unwrap_or_default();
        let content = std::mem::replace(&mut self.current, next);
        let (done, compressed) = mpsc::channel();
        // Cannot fail while the workers live, and they live as long as the sender.
        let _ = self.blocks.send(Uncompressed { content, done });
        self.pending.push_back(compressed);
        while self.pending.len() > self.most_pending {
            self.write_next()?;
        }
        Ok(())
    }

    /// Writes the oldest block that is not yet written.
    fn write_next(&mut self) -> Result<(), Error> {
        let Some(compressed) = self.pending.pop_front() else {
            return Ok(());
        };
        let compressed = compressed.recv().unwrap_or_else(|gone| Err(io::Error::other(gone)));
        let Compressed { stored, checksum, mut content } =
            compressed.map_err(Error::io("compress a block"))?;
        // Blocks hold at most MAX_BLOCK, and zstd adds little to what it cannot compress.
        self.index.push_block(stored.len() as u32, content.len() as u32, &checksum);
        content.clear();
        self.spare.push(content);
        self.put(&stored)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::io("write the pack"))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self, has_mappings: bool) -> Result<u64, Error> {
        self.cut()?;
        while !self.pending.is_empty() {
            self.write_next()?;
        }
        let index = std::mem::take(&mut self.index).finish(has_mappings).ok_or_else(|| {
            Error::Capacity(
                "more than 4,294,967,295 artifacts or blocks in one file; make several".into(),
            )
        })?;
        self.put(&index)?;
        self.out.flush().map_err(Error::io("write the pack"))?;
        Ok(self.written)
    }
}
