//! Packs on a service: where in them artifacts lie is known before anything of them is read.

use std::{fs::File, io, os::unix::fs::FileExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use crate::pack::{Index, Limits, Refusal, TRAILER_LEN, Trailer};

/// Why the description of a pack is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The tail is not base64.
    #[error("pack {0}: its index is not base64")]
    NotBase64(ContentHash),
    /// The tail does not hash to the pack's id.
    #[error("pack {0}: its index does not hash to its id")]
    WrongId(ContentHash),
    /// The tail is not that of a pack.
    #[error("pack {0}: {1}")]
    Refused(ContentHash, Refusal),
}

/// A pack on a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPack {
    /// The hash of its index and trailer.
    pub id: ContentHash,
    /// Its length in bytes.
    pub length: u64,
    /// The pack's index: the artifacts that it holds.
    pub index: Index,
    tail: Vec<u8>,
}

impl PublishedPack {
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

/// A pack as a revision describes it: its tail is its index and trailer as they stand at its end, in
/// base64, and its id the tail's hash.
#[derive(Serialize, Deserialize)]
pub struct Description {
    id: ContentHash,
    length: u64,
    tail: String,
}

impl From<&PublishedPack> for Description {
    fn from(pack: &PublishedPack) -> Self {
        Self { id: pack.id, length: pack.length, tail: BASE64_STANDARD.encode(&pack.tail) }
    }
}

impl TryFrom<Description> for PublishedPack {
    type Error = PackError;

    fn try_from(described: Description) -> Result<Self, PackError> {
        let id = described.id;
        let tail = BASE64_STANDARD.decode(described.tail).map_err(|_| PackError::NotBase64(id))?;
        let pack = Self::of_tail(tail, described.length)
            .map_err(|refusal| PackError::Refused(id, refusal))?;
        if pack.id == id { Ok(pack) } else { Err(PackError::WrongId(id)) }
    }
}
