//! What is known of an object, behind its content in the same file: so the two come and go together.
//!
//! ```text
//! content | record, as JSON | BLAKE3 of the record (32 bytes) | its length (u32, little endian) | "LOb1"
//! ```
//!
//! A file without such an end was cut off, and is no object.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 4] = b"LOb1";
/// The length of what stands behind the record.
const END: usize = 32 + 4 + MAGIC.len();
/// How much is read at once: nearly every record.
const MOST_RECORDS: u64 = 2048;
/// No record is longer.
const LONGEST: u64 = 64 << 20;

/// Everything about an object but its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The length of the content in bytes.
    pub size: u64,
    /// The content's MD5 in hex; of what came in parts, as S3 makes it.
    pub etag: String,
    /// The id of the key that wrote it.
    pub key: String,
    /// When, in milliseconds since 1970.
    pub written: u64,
    /// What the client said the content is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How the client said it is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Other things that the client said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The names of the objects without which it is worth nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

impl Record {
    /// The bytes that stand behind the content.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let length = u32::try_from(bytes.len()).ok().filter(|it| u64::from(*it) <= LONGEST);
        let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
        let hash = ContentHash::of_bytes(&bytes);
        bytes.extend(hash.as_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(MAGIC);
        Ok(bytes)
    }

    /// Reads the record of a file that is `length` bytes long; `None` where there is none.
    pub fn read(file: &File, length: u64) -> io::Result<Option<Self>> {
        let some = length.min(MOST_RECORDS);
        let mut tail = vec![0; some as usize];
        file.read_exact_at(&mut tail, length - some)?;
        let Some(wanted) = whole_length(&tail).filter(|wanted| *wanted <= length) else {
            return Ok(None);
        };
        if wanted > tail.len() as u64 {
            tail = vec![0; wanted as usize];
            file.read_exact_at(&mut tail, length - wanted)?;
        }
        let record = &tail[tail.len() - wanted as usize..tail.len() - END];
        let hash = &tail[tail.len() - END..][..32];
        if ContentHash::of_bytes(record).as_bytes() != hash {
            return Ok(None);
        }
        let record: Option<Self> = serde_json::from_slice(record).ok();
        Ok(record.filter(|record| record.size.checked_add(wanted) == Some(length)))
    }
}

/// The length of the record that ends here, with its end.
fn whole_length(tail: &[u8]) -> Option<u64> {
    let end = tail.last_chunk::<END>()?;
    let (length, magic) = end[32..].split_first_chunk::<4>()?;
    let length = u64::from(u32::from_le_bytes(*length));
    (magic == MAGIC && length <= LONGEST).then_some(length + END as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_that_is_cut_or_damaged_is_no_object() {
        for needs in [Vec::new(), vec!["packs/zlib/x.pack".to_owned(); 1000]] {
            let record = Record { size: 7, key: "K".to_owned(), needs, ..Record::default() };
            let whole = [b"content".as_slice(), &record.to_bytes().unwrap()].concat();
            let read = |bytes: &[u8]| Record::read(&file_of(bytes), bytes.len() as u64).unwrap();
            assert_eq!(read(&whole), Some(record));
            for length in (0..whole.len()).step_by(1 + whole.len() / 500) {
                assert_eq!(read(&whole[..length]), None, "{length} bytes");
            }
            assert_eq!(read(&[b"more".as_slice(), &whole].concat()), None);
            for at in (7..whole.len()).step_by(1 + whole.len() / 500) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                assert_eq!(read(&damaged), None, "byte {at}");
            }
        }
    }
}
