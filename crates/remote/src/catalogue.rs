//! The catalogue of a revision: the packs that hold its artifacts, with the index of each.
//!
//! With the catalogue at hand, one ranged read brings any run of artifacts: a reader needs two
//! requests, sent together, before it asks for content. It is text:
//!
//! ```text
//! "1"                                             the schema version
//! {"mappings":"<hash of the mappings file>"}
//! {"id":"<hash>","length":N,"tail":"<base64>"}    for each pack, by id
//! ```
//!
//! where the tail is the pack's index and trailer as they stand at its end, and the id their hash.
//! So every part is verified: tails by their ids, blocks and artifacts by what the tails say.

use std::{fmt::Write as _, fs::File, io, os::unix::fs::FileExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use larder_store::pack::{self, Index, Limits, Refusal, TRAILER_LEN, Trailer};
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "1";

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Line 1 is not the schema version that this larder reads.
    #[error("line 1: not a catalogue of schema version {SCHEMA:?}")]
    Schema,
    /// A line is not what it should be.
    #[error("line {0}: {1}")]
    Malformed(usize, String),
    /// A tail does not hash to its pack's id.
    #[error("line {0}: the pack's index does not hash to its id")]
    WrongId(usize),
    /// A tail is not that of a pack.
    #[error("line {0}: {1}")]
    Refused(usize, Refusal),
}

/// A pack on a service.
#[derive(Debug, Clone)]
pub struct RemotePack {
    /// The hash of its index and trailer.
    pub id: ContentHash,
    /// Its length in bytes.
    pub length: u64,
    /// The pack's index: the artifacts that it holds.
    pub index: Index,
    tail: Vec<u8>,
}

impl RemotePack {
    /// Reads the end of the pack in `file`.
    pub fn of_file(file: &File, length: u64) -> io::Result<Self> {
        let invalid = |error: Refusal| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut trailer = [0; TRAILER_LEN];
        file.read_exact_at(&mut trailer, length.saturating_sub(TRAILER_LEN as u64))?;
        let parsed = Trailer::parse(&trailer, length, &Limits::default()).map_err(invalid)?;
        let mut tail = vec![0; (length - parsed.index.start) as usize];
        file.read_exact_at(&mut tail, parsed.index.start)?;
        Self::of_tail(tail, length).map_err(invalid)
    }

    fn of_tail(tail: Vec<u8>, length: u64) -> Result<Self, Refusal> {
        let limits = Limits::default();
        let (index, trailer) =
            tail.split_last_chunk::<TRAILER_LEN>().ok_or(Refusal::Signature("end"))?;
        let trailer = Trailer::parse(trailer, length, &limits)?;
        let index = Index::parse(index, &trailer, &limits)?;
        Ok(Self { id: ContentHash::of_bytes(&tail), length, index, tail })
    }
}

/// The content of a catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The hash of the mappings file that goes with it.
    pub mappings: ContentHash,
    /// The packs, by id.
    pub packs: Vec<RemotePack>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    mappings: ContentHash,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: ContentHash,
    length: u64,
    tail: String,
}

impl Catalogue {
    /// A catalogue of `packs`.
    pub fn new(mappings: ContentHash, mut packs: Vec<RemotePack>) -> Self {
        packs.sort_by_key(|pack| pack.id);
        packs.dedup_by_key(|pack| pack.id);
        Self { mappings, packs }
    }

    /// Parses and verifies a catalogue.
    pub fn parse(text: &[u8]) -> Result<Self, CatalogueError> {
        let mut lines = text.split(|byte| *byte == b'\n').zip(1..);
        let mut next = || lines.next().unwrap_or((&[], 0)).0;
        if serde_json::from_slice::<&str>(next()).ok() != Some(SCHEMA) {
            return Err(CatalogueError::Schema);
        }
        let head: Head = serde_json::from_slice(next())
            .map_err(|error| CatalogueError::Malformed(2, error.to_string()))?;
        let mut packs = Vec::new();
        for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
            let malformed = |reason: String| CatalogueError::Malformed(number, reason);
            let line: Line =
                serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
            let tail =
                BASE64_STANDARD.decode(line.tail).map_err(|error| malformed(error.to_string()))?;
            let pack = RemotePack::of_tail(tail, line.length)
                .map_err(|refusal| CatalogueError::Refused(number, refusal))?;
            if pack.id != line.id {
                return Err(CatalogueError::WrongId(number));
            }
            packs.push(pack);
        }
        Ok(Self::new(head.mappings, packs))
    }

    /// The text of the catalogue: the same for the same packs.
    pub fn to_text(&self) -> String {
        let mut text = format!("{SCHEMA:?}\n{{\"mappings\":\"{}\"}}\n", self.mappings);
        for pack in &self.packs {
            let (id, length) = (pack.id, pack.length);
            let tail = BASE64_STANDARD.encode(&pack.tail);
            // Writing to a string cannot fail.
            _ = writeln!(text, "{{\"id\":\"{id}\",\"length\":{length},\"tail\":\"{tail}\"}}");
        }
        text
    }
}

/// How much content a pack of small artifacts holds at most, in bytes.
pub const PACK_CONTENT: u64 = 64 << 20;
/// From what size on an artifact gets a pack of its own, in bytes.
pub const LARGE: u64 = 4 << 20;
/// How hard packs for services are compressed.
pub fn level() -> pack::Compression {
    pack::Compression::default()
}
