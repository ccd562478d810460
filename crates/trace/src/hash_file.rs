//! `FILE.hash`: a file's hash kept beside it, as Lake does for built files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{BuildTrace, Content, ContentHash, MTime, atomic, compute_file_hash, read_regular};

/// Where the hash of `file` is kept: the same name with `.hash` appended.
pub fn hash_file_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".hash");
    name.into()
}

/// Computes the hash of `file` and saves it to its `.hash` file (Lake's `cacheFileHash`).
pub fn cache_file_hash(file: &Path, content: Content) -> io::Result<ContentHash> {
    let hash = compute_file_hash(file, content)?;
    save_file_hash(file, hash)?;
    Ok(hash)
}

/// Saves a hash of `file` that is already known to its `.hash` file.
pub fn save_file_hash(file: &Path, hash: ContentHash) -> io::Result<()> {
    atomic::write(&hash_file_path(file), hash.to_string().as_bytes())
}

/// Removes the `.hash` file of `file` (Lake's `clearFileHash`); none there is no error.
pub fn clear_file_hash(file: &Path) -> io::Result<()> {
    atomic::remove_if_there(&hash_file_path(file))
}

/// The hash of `file`, from its `.hash` file where that can be trusted, else computed and saved
/// (Lake's `fetchFileHash`).
///
/// A `.hash` file is trusted unless `rehash` is set, and only while it is not older than `file`.
pub fn fetch_file_hash(file: &Path, content: Content, rehash: bool) -> io::Result<ContentHash> {
    let metadata = fs::metadata(file)?;
    if !rehash && let Some(hash) = trusted_hash(file, &metadata) {
        return Ok(hash);
    }
    cache_file_hash(file, content)
}

fn trusted_hash(file: &Path, metadata: &fs::Metadata) -> Option<ContentHash> {
    let path = hash_file_path(file);
    // Longer than a hash with a line ending is no hash file of ours.
    let (text, saved) = read_regular(&path, 66).ok()?;
    let newer = MTime::from(&saved) >= MTime::from(metadata);
    newer.then(|| std::str::from_utf8(&text).ok()?.trim_end().parse().ok()).flatten()
}

/// The trace of `file`: its fetched hash and its modification time (Lake's `fetchFileTrace`).
pub fn fetch_file_trace(file: &Path, content: Content, rehash: bool) -> io::Result<BuildTrace> {
    let hash = fetch_file_hash(file, content, rehash)?;
    let mtime = MTime::from(&fs::metadata(file)?);
    Ok(BuildTrace::leaf(file.to_string_lossy().into_owned(), hash, mtime))
}
