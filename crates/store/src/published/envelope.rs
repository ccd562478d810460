//! The object of a revision: two lines of JSON, of which the second carries the section.
//!
//! ```text
//! "2"                                                          the schema version
//! {"hash":"<hash of the section>","signature":{…},"section":"<base64>"}
//! ```

use base64::{Engine, prelude::BASE64_STANDARD};
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use super::section::SCHEMA;
use crate::Ref;

/// Why the object of a revision is refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It does not begin as revisions do.
    #[error("it is not a revision")]
    NotOne,
    /// It was written by another version.
    #[error("schema version {0:?}; this larder reads {SCHEMA:?} and {OLD_SCHEMA:?}")]
    Schema(String),
    /// It is cut short, or the section is not what was written.
    #[error("it is damaged")]
    Damaged,
}

/// The schema version of the layout before this one, whose revisions are mappings files.
const OLD_SCHEMA: &str = "1";

/// The object of a revision, opened.
pub enum Opened {
    /// A section, as it was written, and what is said to be a signature of it.
    Section(Sealed),
    /// A mappings file: a revision of the layout before this one.
    Old,
}

/// A section in its envelope.
#[derive(Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The hash of the section.
    pub hash: ContentHash,
    /// The section.
    pub section: Vec<u8>,
    /// A signature; whether it is one of this section is not checked here.
    pub signature: Option<Signature>,
}

/// A signature as it is stored beside what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The ref that was built, such as a branch.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
    /// The signature of the statement, as minisign writes it.
    pub minisign: String,
}

/// The second line.
#[derive(Serialize, Deserialize)]
struct Envelope {
    hash: ContentHash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
    section: String,
}

/// Returns the object that carries `section`.
pub fn seal(section: &[u8], signature: Option<Signature>) -> Result<Vec<u8>, serde_json::Error> {
    let hash = ContentHash::of_bytes(section);
    let mut object = serde_json::to_vec(SCHEMA)?;
    object.push(b'\n');
    let section = BASE64_STANDARD.encode(section);
    serde_json::to_writer(&mut object, &Envelope { hash, signature, section })?;
    object.push(b'\n');
    Ok(object)
}

/// Opens an object: the section is what was sealed.
pub fn open(object: &[u8]) -> Result<Opened, EnvelopeError> {
    if object.is_empty() {
        return Err(EnvelopeError::Empty);
    }
    let mut lines = object.splitn(2, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let version: String = serde_json::from_slice(next()).map_err(|_| EnvelopeError::NotOne)?;
    match version.as_str() {
        SCHEMA => {}
        OLD_SCHEMA => return Ok(Opened::Old),
        _ => return Err(EnvelopeError::Schema(version)),
    }
    let line = next().strip_suffix(b"\n").ok_or(EnvelopeError::Damaged)?;
    let Envelope { hash, signature, section } =
        serde_json::from_slice(line).map_err(|_| EnvelopeError::Damaged)?;
    let section = BASE64_STANDARD.decode(section).map_err(|_| EnvelopeError::Damaged)?;
    match hash == ContentHash::of_bytes(&section) {
        true => Ok(Opened::Section(Sealed { hash, section, signature })),
        false => Err(EnvelopeError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let good = seal(b"what a revision says", None).unwrap();
        assert!(
            matches!(open(&good), Ok(Opened::Section(it)) if it.section == b"what a revision says")
        );
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(open(&bad), Ok(Opened::Section(_))), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(open(&good[..length]).is_err(), "{length} bytes");
        }
    }
}
