//! Files of what was found out before: a hash of the rest in hex, then JSON.
//!
//! They are written whole or not at all. A damaged one, or one of another form, is none: what it knew is found out anew.

use std::{fs, io, path::Path};

use larder_trace::{ContentHash, atomic};
use serde::{Serialize, de::DeserializeOwned};

/// Reads what is kept at `path`; nothing where that is not there or cannot be used.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::info!("cannot read {}, which is made anew: {error}", path.display());
            return None;
        }
    };
    let found = checked(&text).and_then(|body| serde_json::from_slice(body).ok());
    if found.is_none() {
        tracing::info!("{} is damaged or of another form, and is made anew", path.display());
    }
    found
}

/// Keeps `value` at `path`. Where that cannot be written, it is said, and the next run takes longer.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) {
    if let Err(error) = try_write(path, value) {
        tracing::info!("cannot write {}: {error}", path.display());
    }
}

fn try_write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let body = serde_json::to_vec(value)?;
    let mut text = format!("{}\n", ContentHash::of_bytes(&body)).into_bytes();
    text.extend(body);
    atomic::write(path, &text)
}

/// What follows the hash, if it has that.
fn checked(text: &[u8]) -> Option<&[u8]> {
    let (hash, rest) = text.split_at_checked(64)?;
    let body = rest.strip_prefix(b"\n")?;
    let hash: ContentHash = str::from_utf8(hash).ok()?.parse().ok()?;
    (hash == ContentHash::of_bytes(body)).then_some(body)
}
