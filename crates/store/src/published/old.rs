//! Revisions as larder wrote them before there were snapshots: a mappings file, and beside it a catalogue
//! of packs. They are read, and not written any more.
//!
//! ```text
//! "1"                                             the schema version
//! {"mappings":"<hash of the mappings file>"}
//! {"id":"<hash>","length":N,"tail":"<base64>"}    for each pack
//! ```

use larder_trace::ContentHash;
use serde::Deserialize;

use super::{
    packs::{Description, PackError, PublishedPack},
    section::Content,
};
use crate::{Mappings, MappingsError};

/// Why a revision of the old layout is refused.
#[derive(Debug, thiserror::Error)]
pub enum OldError {
    /// A line of the catalogue is not what it should be.
    #[error("its catalogue, line {0}: {1}")]
    Malformed(usize, String),
    /// A pack is not described well.
    #[error("its catalogue: {0}")]
    Pack(#[from] PackError),
    /// The two files are of different uploads.
    #[error("it does not match its catalogue")]
    NotAPair,
    /// The mappings file is refused.
    #[error("mappings, {0}")]
    Mappings(#[from] MappingsError),
}

#[derive(Deserialize)]
struct Head {
    mappings: ContentHash,
}

/// The content of the mappings file `text` and the catalogue that goes with it.
pub fn parse(text: &[u8], catalogue: &[u8]) -> Result<Content, OldError> {
    let mut lines = catalogue.split(|byte| *byte == b'\n').zip(1..);
    let mut next = || lines.next().unwrap_or((&[], 0)).0;
    let malformed =
        |line| move |error: serde_json::Error| OldError::Malformed(line, error.to_string());
    if serde_json::from_slice::<&str>(next()).map_err(malformed(1))? != "1" {
        return Err(OldError::Malformed(1, "not of schema version \"1\"".to_owned()));
    }
    let head: Head = serde_json::from_slice(next()).map_err(malformed(2))?;
    if head.mappings != ContentHash::of_bytes(text) {
        return Err(OldError::NotAPair);
    }
    let mut content = Content { mappings: Mappings::parse(text)?, ..Content::default() };
    for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
        let described: Description = serde_json::from_slice(line).map_err(malformed(number))?;
        let pack = PublishedPack::try_from(described)?;
        content.packs.insert(pack.id, pack);
    }
    Ok(content)
}
