//! Reading and listing files that others may have put there.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

pub use larder_trace::open_regular;
use larder_trace::{ContentHash, atomic};

use crate::StoreError;

/// Whether the file at `path` is on its way to another name, or was left so: it has a temporary name
/// or lies in a directory that has one.
pub fn is_temporary(path: &Path) -> bool {
    // Names that began with `.tmp-` are an older larder's.
    let old = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b".tmp-")
    };
    let is = |path: &Path| atomic::is_temporary(path) || old(path);
    is(path) || path.parent().is_some_and(is)
}

/// Removes whatever is at `path`.
pub fn remove_any(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// No small file of a store is longer, in bytes. One that is was put there by somebody else.
const LONGEST: u64 = 256 << 20;

/// Reads a small file of the store, if it is a regular one.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    larder_trace::read_regular(path, LONGEST).map(|(content, _)| content)
}

/// The hash and length of what `reader` yields.
pub fn hash_reader(reader: impl Read) -> io::Result<(ContentHash, u64)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(reader)?;
    Ok((hasher.finalize().into(), hasher.count()))
}

/// Calls `visit` with every regular file below `directory` (none where it does not exist), in
/// no particular order. Symlinks are not followed.
pub fn walk(
    directory: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("list", directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", directory))?;
        let path = entry.path();
        // Others may be removing what we list.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path, &metadata)?;
        }
    }
    Ok(())
}
