//! The object of a revision: one line that says what follows, and the section.
//!
//! ```text
//! {"schemaVersion":"2","hash":"<hash of what follows the line>"}
//! <section>
//! ```

use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use super::section::SCHEMA;

/// No first line is longer, in bytes.
const LONGEST_LINE: usize = 64 << 10;

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
    #[error("schema version {0:?}; this larder reads {SCHEMA:?}")]
    Schema(String),
    /// What follows the first line is not what that says.
    #[error("it is damaged")]
    Damaged,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    schema_version: String,
    /// The hash of what follows.
    pub hash: ContentHash,
}

impl Envelope {
    /// The object: an envelope around `section`.
    pub fn seal(section: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let hash = ContentHash::of_bytes(section);
        let mut object = serde_json::to_vec(&Self { schema_version: SCHEMA.to_owned(), hash })?;
        object.push(b'\n');
        object.extend_from_slice(section);
        Ok(object)
    }

    /// Splits an object into its envelope and the section, which is what the envelope says.
    pub fn open(object: &[u8]) -> Result<(Self, &[u8]), EnvelopeError> {
        if object.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let line = object.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n');
        let (line, section) = object.split_at(line.ok_or(EnvelopeError::NotOne)?);
        let section = section.get(1..).unwrap_or_default();
        let version: Version = serde_json::from_slice(line).map_err(|_| EnvelopeError::NotOne)?;
        if version.schema_version != SCHEMA {
            return Err(EnvelopeError::Schema(version.schema_version));
        }
        let envelope: Self = serde_json::from_slice(line).map_err(|_| EnvelopeError::NotOne)?;
        match envelope.hash == ContentHash::of_bytes(section) {
            true => Ok((envelope, section)),
            false => Err(EnvelopeError::Damaged),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let good = Envelope::seal(b"what a revision says").unwrap();
        assert!(Envelope::open(&good).is_ok());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Envelope::open(&bad).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(Envelope::open(&good[..length]).is_err(), "{length} bytes");
        }
    }
}
