//! What an object on a service has to be, by its name: for those who keep services, and believe no upload.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    path::Path,
};

use larder_trace::ContentHash;

use super::{
    envelope::{self, Opened, Sealed},
    section::{Content, Section},
};
use crate::pack::{self, Limits, Pack};

/// The things without which a revision cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The snapshot that it leans on.
    pub snapshot: Option<ContentHash>,
    /// Its packs, with their lengths in bytes.
    pub packs: BTreeMap<ContentHash, u64>,
}

/// Reads all of the pack in `file` and verifies it: it is the one called `id`, and holds what its index says.
///
/// # Errors
/// Why it is not.
pub fn verify_pack(file: &Path, id: &ContentHash) -> Result<(), String> {
    // The path is where the file lies for now, and tells nobody anything.
    let wrong = |error: pack::Error| match error {
        pack::Error::Refused { reason, .. } => reason.to_string(),
        error => error.to_string(),
    };
    let pack = Pack::open(file, &Limits::default()).map_err(wrong)?;
    if pack.id() != *id {
        return Err(format!("it is pack {}", pack.id()));
    }
    pack.verify(NonZeroUsize::MIN, |_| ()).map_err(wrong)
}

/// Verifies a snapshot, and returns the packs that it names.
///
/// # Errors
/// Why it is not the snapshot called `hash`.
pub fn verify_snapshot(bytes: &[u8], hash: &ContentHash) -> Result<Needs, String> {
    let content = snapshot(bytes, hash)?;
    Ok(Needs { snapshot: None, packs: lengths(&content) })
}

fn snapshot(bytes: &[u8], hash: &ContentHash) -> Result<Content, String> {
    let found = ContentHash::of_bytes(bytes);
    if found != *hash {
        return Err(format!("its content hashes to {found}"));
    }
    let section = Section::parse(bytes).map_err(|error| error.to_string())?;
    section.resolve(None).map_err(|error| error.to_string())
}

/// Verifies a revision, and returns what it needs. `read` gives the snapshot that it leans on.
///
/// # Errors
/// Why it is no revision, or that it names artifacts which no pack of it holds.
pub fn verify_revision(
    bytes: &[u8],
    read: impl FnOnce(&ContentHash) -> Result<Vec<u8>, String>,
) -> Result<Needs, String> {
    let Sealed { section, .. } = match envelope::open(bytes).map_err(|error| error.to_string())? {
        Opened::Section(sealed) => sealed,
        Opened::Old => {
            return Err("it is of a layout that is not written any more".to_owned());
        }
    };
    let section = Section::parse(&section).map_err(|error| error.to_string())?;
    let id = section.snapshot.map(|id| id.hash);
    let base = match &id {
        Some(hash) => Some(snapshot(&read(hash)?, hash)?),
        None => None,
    };
    let content = section.resolve(base.as_ref()).map_err(|error| error.to_string())?;
    let packed = content.packs.values().flat_map(|pack| pack.index.artifacts());
    let held: HashSet<_> = packed.map(|artifact| artifact.hash).collect();
    match content.mappings.artifacts().iter().find(|(hash, _)| !held.contains(*hash)) {
        Some((hash, artifact)) => {
            Err(format!("no pack of it holds {hash}, which is {}", artifact.path))
        }
        None => Ok(Needs { snapshot: id, packs: lengths(&content) }),
    }
}

fn lengths(content: &Content) -> BTreeMap<ContentHash, u64> {
    content.packs.iter().map(|(id, pack)| (*id, pack.length)).collect()
}
