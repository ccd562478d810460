//! Mapping entries on disk: for one dep hash, what builds with different discovered inputs left.

use std::{io, path::Path};

use larder_trace::{ContentHash, Outputs, atomic};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{MAPPINGS_SCHEMA, StoreError, check_outputs, files};

/// How many candidates are kept for one dep hash.
const MOST: usize = 16;

/// `outputs/<scope>/<dep hash>.json`. The checksum covers the dep hash and the text of `entries`,
/// so that a flipped bit in a path or a log is found as surely as one in a hash.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnDisk<'a> {
    schema_version: &'a str,
    checksum: ContentHash,
    #[serde(borrow)]
    entries: &'a RawValue,
}

fn checksum(dep_hash: &ContentHash, entries: &str) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(dep_hash.as_bytes()).update(entries.as_bytes());
    hasher.finalize().into()
}

/// The result of reading a candidates file.
pub enum Found {
    /// Intact, newest first.
    Candidates(Vec<Outputs>),
    /// There is none.
    Nothing,
    /// Damaged, or not readable, for the given reason.
    Corrupt(String),
}

/// Reads the candidates at `path`.
pub fn read(path: &Path, dep_hash: &ContentHash) -> Found {
    match files::read_regular(path) {
        Ok(text) => parse(&text, dep_hash).map_or_else(Found::Corrupt, Found::Candidates),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Corrupt(error.to_string()),
    }
}

fn parse(text: &[u8], dep_hash: &ContentHash) -> Result<Vec<Outputs>, String> {
    let file: OnDisk<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if file.schema_version != MAPPINGS_SCHEMA {
        return Err(format!("schema version {:?}", file.schema_version));
    }
    if checksum(dep_hash, file.entries.get()) != file.checksum {
        return Err("wrong checksum".to_owned());
    }
    let entries: Vec<Outputs> =
        serde_json::from_str(file.entries.get()).map_err(|error| error.to_string())?;
    for outputs in &entries {
        check_outputs(outputs).map_err(|error| error.to_string())?;
    }
    Ok(entries)
}

/// Removes `outputs` from the candidates at `path`.
pub fn forget(path: &Path, dep_hash: &ContentHash, outputs: &Outputs) -> Result<(), StoreError> {
    let Found::Candidates(mut candidates) = read(path, dep_hash) else { return Ok(()) };
    let before = candidates.len();
    candidates.retain(|candidate| candidate != outputs);
    match candidates.len() {
        0 => atomic::remove_if_there(path).map_err(StoreError::io("delete", path)),
        left if left == before => Ok(()),
        _ => write(path, dep_hash, &candidates),
    }
}

/// What recording a candidate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The same was there already, with another log perhaps.
    Known,
    /// Nothing of these inputs was there.
    New,
    /// Something else was made of the same inputs before: this. Both are kept.
    Differs(Box<Outputs>),
}

/// Puts `outputs` before the other candidates at `path`, in place of the same outputs made of the same
/// discovered inputs, found by the same search. Of others made of these, the newest is kept as well.
pub fn record(
    path: &Path,
    dep_hash: &ContentHash,
    outputs: &Outputs,
) -> Result<Recorded, StoreError> {
    let mut candidates = match read(path, dep_hash) {
        Found::Candidates(candidates) => candidates,
        Found::Nothing | Found::Corrupt(_) => Vec::new(),
    };
    if candidates.first() == Some(outputs) {
        return Ok(Recorded::Known);
    }
    let of_same = |candidate: &Outputs| {
        candidate.discovered == outputs.discovered && candidate.searched == outputs.searched
    };
    let known = candidates.iter().any(|it| of_same(it) && it.made_the_same(outputs));
    let other = candidates.iter().find(|it| of_same(it) && !it.made_the_same(outputs)).cloned();
    candidates.retain(|candidate| !of_same(candidate));
    candidates.splice(0..0, std::iter::once(outputs.clone()).chain(other.clone()));
    candidates.truncate(MOST);
    write(path, dep_hash, &candidates)?;
    Ok(match other {
        _ if known => Recorded::Known,
        Some(other) => Recorded::Differs(Box::new(other)),
        None => Recorded::New,
    })
}

fn write(path: &Path, dep_hash: &ContentHash, candidates: &[Outputs]) -> Result<(), StoreError> {
    let failed = |error: serde_json::Error| StoreError::io("write", path)(error.into());
    let entries = serde_json::value::to_raw_value(&candidates).map_err(failed)?;
    let checksum = checksum(dep_hash, entries.get());
    let file = OnDisk { schema_version: MAPPINGS_SCHEMA, checksum, entries: &entries };
    let text = serde_json::to_vec(&file).map_err(failed)?;
    atomic::write(path, &text).map_err(StoreError::io("write", path))
}
