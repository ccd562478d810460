//! Packs: many artifacts, and optionally a mappings file, in one compressed file.
//!
//! Artifacts that resemble each other are laid side by side and cut into blocks, each compressed on
//! its own, so small objects share what they have in common and one artifact can still be read by
//! decoding one block. The index stands at the end, found through a trailer of fixed length, as in
//! ZIP and Parquet: a reader over HTTP asks for the trailer, the index, then the blocks it wants.
//! `docs/formats-pack.md` describes every byte.
//!
//! The index gives only lengths. Offsets are their running sums, and the sums must come out at
//! exactly the length of the file, so entries that overlap, leave gaps or reach outside cannot be
//! written down at all. Names are raw hashes, so neither can a name that is a path.
//!
//! - [`write()`] and [`create`] make a pack; equal content makes equal bytes.
//! - [`Pack`] reads a local file: one artifact, the mappings, or everything.
//! - [`Trailer`], [`Index`] and [`Block`] do no I/O, for readers that fetch ranges themselves.

mod index;
mod read;
mod write;

use std::io;

use larder_trace::ContentHash;

use crate::MappingsError;

pub use index::{Block, Index, Member, Piece, Trailer};
pub use read::Pack;
pub use write::{Compression, Entry, Options, create, write};

/// The version of the format written, and the only one read.
pub const VERSION: u32 = 1;

/// Length in bytes of the fixed part at the front: the signature and the version.
pub const HEADER_LEN: usize = 12;

/// Length in bytes of the fixed part at the end, which says where the index is.
pub const TRAILER_LEN: usize = 52;

/// The most content one block may hold, in bytes (16 MiB): what reading a block may cost in memory.
pub const MAX_BLOCK: usize = 16 << 20;

/// First and last in the file. Not text, so that a transfer that rewrites line ends is noticed.
const SIGNATURE: [u8; 8] = *b"\x89LARDER\n";

/// The 12 bytes every pack begins with.
pub(crate) fn header() -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..8].copy_from_slice(&SIGNATURE);
    bytes[8..].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// The most a pack may declare, all in bytes. Checked before anything is allocated or decoded;
/// whatever then decodes to more than was declared is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The index (default 256 MiB, or 6.7 million artifacts).
    pub index: u64,
    /// The content of one artifact (default 64 GiB).
    pub artifact: u64,
    /// The content of the mappings file (default 256 MiB), which is read into memory whole.
    pub mappings: u64,
    /// The content of everything together (default 1 TiB).
    pub total: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { index: 256 << 20, artifact: 64 << 30, mappings: 256 << 20, total: 1 << 40 }
    }
}

/// The work done since the last report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handled {
    /// Artifacts finished.
    pub artifacts: u64,
    /// Bytes of content, uncompressed.
    pub bytes: u64,
}

/// Why bytes are not a pack that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature is missing at one end.
    #[error(
        "it does not {0} like a pack: it is cut short, has something appended, or is another kind of file"
    )]
    Signature(&'static str),
    /// Written by another version of larder.
    #[error("it has pack format version {0}, and this larder reads version {VERSION}")]
    Version(u32),
    /// The index reaches outside the file or is not as long as its own counts say.
    #[error("its index is declared {declared} bytes long, but {actual}")]
    IndexLength {
        /// The length in bytes that the trailer says.
        declared: u64,
        /// The length found, or why there is none, as the end of a sentence.
        actual: String,
    },
    /// The bytes of the index are not those that were written.
    #[error("its index does not match its checksum")]
    IndexChecksum,
    /// Something declared is larger than [`Limits`] or the format allow.
    #[error("{what} is declared {declared} bytes long, and the limit is {limit}")]
    TooLarge {
        /// The part that is too large.
        what: String,
        /// Its declared length in bytes.
        declared: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A block that declares no content, or no stored bytes.
    #[error("the block at byte {0} is declared empty")]
    EmptyBlock(u64),
    /// The blocks do not fill the file.
    #[error("its blocks end at byte {blocks}, and its index begins at byte {index}")]
    BlocksLength {
        /// Where the last block ends.
        blocks: u64,
        /// Where the index begins.
        index: u64,
    },
    /// The artifacts do not fill the blocks.
    #[error("its artifacts are {artifacts} bytes together, and its blocks hold {blocks}")]
    ContentLength {
        /// Sum of the declared artifact sizes, mappings included.
        artifacts: u64,
        /// Sum of the declared block contents.
        blocks: u64,
    },
    /// One artifact is listed twice.
    #[error("artifact {0} is listed twice")]
    Duplicate(ContentHash),
    /// The stored bytes of a block are not those that were written.
    #[error("the block at byte {0} does not match its checksum")]
    BlockChecksum(u64),
    /// A block decompresses to something other than it declares, or not at all.
    #[error("the block at byte {offset} does not decompress to the {declared} bytes it declares")]
    BlockContent {
        /// Where the block begins in the file.
        offset: u64,
        /// The content it declares, in bytes.
        declared: u32,
    },
    /// Content that does not hash to the name it is listed under.
    #[error("the content listed as artifact {0} has a different hash")]
    ArtifactHash(ContentHash),
    /// The mappings file is not the one that was written.
    #[error("its mappings file does not match its hash")]
    MappingsHash,
    /// The mappings file is the one that was written, and is refused itself.
    #[error("its mappings file is refused: {0}")]
    Mappings(#[from] MappingsError),
    /// A mapping mentions an artifact that the pack does not hold.
    #[error("its mappings mention artifact {0}, which it does not hold")]
    NotHeld(ContentHash),
    /// An artifact that no mapping mentions, in a pack with mappings.
    #[error("no mapping mentions artifact {0}, which it holds")]
    NotMentioned(ContentHash),
    /// The mappings give an artifact another size than it has.
    #[error("artifact {hash} is {actual} bytes long, but its mappings say {expected}")]
    WrongSize {
        /// The artifact.
        hash: ContentHash,
        /// Bytes that the mappings say.
        expected: u64,
        /// Bytes that the artifact has.
        actual: u64,
    },
}

/// An operation on a pack that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pack is not to be trusted, and nothing of it may be kept.
    #[error("pack {pack} refused: {reason}; fetch or make it again")]
    Refused {
        /// The pack's path.
        pack: String,
        /// Why.
        reason: Refusal,
    },
    /// An artifact to be packed is not what its name says.
    #[error("cannot pack artifact {hash}: {reason}; run `larder cache verify`")]
    Artifact {
        /// The artifact.
        hash: ContentHash,
        /// Why it is refused.
        reason: String,
    },
    /// More than the format can hold.
    #[error("cannot pack {0}")]
    Capacity(String),
    /// Reading or writing failed.
    #[error("cannot {action}: {}", larder_trace::describe_io(source))]
    Io {
        /// The action that failed, with the file.
        action: String,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
