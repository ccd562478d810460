//! Where the mappings in a store came from, and what to forget when a key is no longer trusted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use larder_store::{Layout, Mappings, Revision, Scope, Store, StoreError};
use larder_trace::{ContentHash, Outputs, atomic};
use serde::{Deserialize, Serialize};

use crate::{KeyId, Signer, kept};

/// Where a mappings file in a store came from. Stands beside it, as `<rev>.provenance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The service's name in the configuration.
    pub service: String,
    /// The scope on the service.
    pub scope: Scope,
    /// The revision there.
    pub revision: Revision,
    /// The scope under which builds look it up.
    pub local_scope: Scope,
    /// Who signed it, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

/// How the name of the file ends.
const ENDING: &str = ".provenance";

/// What was forgotten when a key was revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The revisions that the key had signed.
    pub revisions: Vec<Provenance>,
    /// The outputs that are mentioned in nothing else.
    pub outputs: BTreeSet<String>,
}

impl Provenance {
    /// Writes it beside the mappings file that it is about.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), StoreError> {
        let path = kept::beside(&layout.revision(&self.scope, &self.revision), ENDING);
        let failed = |error: io::Error| StoreError::Io {
            action: "write",
            path: path.clone(),
            source: error,
        };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        atomic::write_if_changed(&path, &json).map(|_| ()).map_err(failed)
    }

    /// Everything that is known in a store, with the paths of the mappings files.
    pub fn all(layout: &Layout) -> Vec<(PathBuf, Self)> {
        let files = kept::ending_in(layout, ENDING).into_iter();
        let read = files.filter_map(|file| {
            let provenance = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
            Some((kept::beside(&file, kept::MAPPINGS), provenance))
        });
        read.collect()
    }
}

/// Returns where the mapping of each of some dep hashes came from; those that came from nowhere are
/// left out.
pub fn origins_of(
    layout: &Layout,
    dep_hashes: &BTreeSet<ContentHash>,
) -> BTreeMap<ContentHash, Vec<Provenance>> {
    let mut origins = BTreeMap::<_, Vec<_>>::new();
    for (file, provenance) in Provenance::all(layout) {
        let Ok(mappings) = Mappings::read(&file) else { continue };
        for dep_hash in dep_hashes.iter().filter(|it| mappings.get(it).is_some()) {
            origins.entry(*dep_hash).or_default().push(provenance.clone());
        }
    }
    origins
}

/// Returns the keys that were revoked on this machine.
///
/// # Errors
/// When the list is there and cannot be read: nobody knows then what it says.
pub fn revoked(layout: &Layout) -> io::Result<BTreeSet<KeyId>> {
    let text = match fs::read_to_string(layout.revoked()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        read => read?,
    };
    let keys = text.lines().map(|line| line.trim().parse());
    keys.collect::<Result<_, _>>().map_err(io::Error::other)
}

/// Revokes `key` for everything that uses this store: nothing that it signed counts any more, and
/// what the store took over from it is forgotten, unless a revision says the same that another key signed,
/// or none.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke(store: &Store, key: KeyId) -> Result<Forgotten, StoreError> {
    let layout = store.layout();
    let list = layout.revoked();
    let failed = |source: io::Error| StoreError::Io { action: "write", path: list.clone(), source };
    let mut keys = revoked(layout).map_err(failed)?;
    keys.insert(key);
    let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
    atomic::write_if_changed(&list, text.as_bytes()).map_err(failed)?;

    let is_revoked = |provenance: &Provenance| {
        provenance.signer.as_ref().is_some_and(|signer| keys.contains(&signer.key))
    };
    let (theirs, others): (Vec<_>, Vec<_>) =
        Provenance::all(layout).into_iter().partition(|(_, provenance)| is_revoked(provenance));
    let kept: Vec<_> = others
        .iter()
        .filter_map(|(file, provenance)| Some((provenance, Mappings::read(file).ok()?)))
        .collect();
    let mut forgotten = Forgotten::default();
    for (file, provenance) in theirs {
        let mappings = Mappings::read_if_present(&file)?.unwrap_or_default();
        for (dep_hash, outputs) in mappings.iter() {
            let is_kept = |(other, mappings): &(&Provenance, Mappings)| {
                other.local_scope == provenance.local_scope
                    && mappings.get(dep_hash) == Some(outputs)
            };
            if kept.iter().any(is_kept) {
                continue;
            }
            store.forget(&provenance.local_scope, dep_hash, outputs)?;
            forgotten.outputs.extend(paths(outputs));
        }
        for ending in [".origin", ".packs", kept::MAPPINGS, ENDING] {
            let path = kept::beside(&file, ending);
            atomic::remove_if_there(&path).map_err(|source| StoreError::Io {
                action: "delete",
                path: path.clone(),
                source,
            })?;
        }
        forgotten.revisions.push(provenance);
    }
    Ok(forgotten)
}

fn paths(outputs: &Outputs) -> impl Iterator<Item = String> {
    outputs.outputs.iter().map(|file| file.path.clone())
}
