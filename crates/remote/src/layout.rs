//! What an object on a service has to be, by its name: for those who keep services, and believe no upload.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    path::Path,
};

use larder_store::{
    Scope,
    pack::{Limits, Pack},
};
use larder_trace::ContentHash;

use crate::{
    paths,
    revision::{Content, Opened, Sealed, Section, open_revision},
};

/// An object that larder files on a service, as its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Below which directory of the bucket the service lies: empty, or with a `/` at its end.
    pub service: String,
    /// Under which scope it is filed.
    pub scope: Scope,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of objects whose content can be held against their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pack, named by the hash of its index and trailer.
    Pack(ContentHash),
    /// A snapshot, named by its hash.
    Snapshot(ContentHash),
    /// A revision, which names packs and perhaps a snapshot.
    Revision,
}

/// The things without which a revision cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The snapshot that it leans on.
    pub snapshot: Option<ContentHash>,
    /// Its packs, with their lengths in bytes.
    pub packs: BTreeMap<ContentHash, u64>,
}

/// The directories of a service under which objects are filed by scope.
pub const FILED_BY_SCOPE: [&str; 5] = ["packs", "recent", "revisions", "snapshots", "uploads"];

impl Filed {
    /// Parses the name of an object; `None` where it is not one of these.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let (file, directories) = parts.split_last()?;
        let named = |ending: &str| file.strip_suffix(ending)?.parse::<ContentHash>().ok();
        directories.iter().enumerate().find_map(|(at, word)| {
            let kind = match *word {
                "packs" => Kind::Pack(named(paths::PACK)?),
                "snapshots" => Kind::Snapshot(named(paths::SNAPSHOT)?),
                "revisions" if file.ends_with(paths::REVISION) => Kind::Revision,
                _ => return None,
            };
            let scope = directories[at + 1..].join("/").parse().ok()?;
            let service = directories[..at].iter().map(|part| format!("{part}/")).collect();
            Some(Self { service, scope, kind })
        })
    }

    /// The name of a pack of the same scope.
    pub fn pack(&self, id: &ContentHash) -> String {
        format!("{}{}", self.service, paths::pack(&self.scope, id))
    }

    /// The name of a snapshot of the same scope.
    pub fn snapshot(&self, hash: &ContentHash) -> String {
        format!("{}{}", self.service, paths::snapshot(&self.scope, hash))
    }
}

/// Reads all of the pack in `file` and verifies it: it is the one called `id`, and holds what its index says.
///
/// # Errors
/// Why it is not.
pub fn verify_pack(file: &Path, id: &ContentHash) -> Result<(), String> {
    // The path is where the file lies for now, and tells nobody anything.
    let wrong = |error: larder_store::pack::Error| match error {
        larder_store::pack::Error::Refused { reason, .. } => reason.to_string(),
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
    let Sealed { section, .. } = match open_revision(bytes).map_err(|error| error.to_string())? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_an_object_is() {
        let hash = ContentHash::of_bytes(b"content");
        let parse = |name: &str| Filed::parse(name).map(|it| (it.service, it.scope, it.kind));
        let scope = |text: &str| text.parse::<Scope>().unwrap();
        for (name, expected) in [
            (format!("packs/zlib/{hash}.pack"), ("", "zlib", Kind::Pack(hash))),
            (format!("a/b/packs/o/r/{hash}.pack"), ("a/b/", "o/r", Kind::Pack(hash))),
            (format!("snapshots/o/r/{hash}.snap"), ("", "o/r", Kind::Snapshot(hash))),
            ("x/revisions/o/r/main.jsonl".to_owned(), ("x/", "o/r", Kind::Revision)),
            // The first that fits counts.
            (format!("packs/packs/{hash}.pack"), ("", "packs", Kind::Pack(hash))),
            (format!("revisions/x/packs/s/{hash}.pack"), ("revisions/x/", "s", Kind::Pack(hash))),
        ] {
            let (service, of, kind) = expected;
            assert_eq!(parse(&name), Some((service.to_owned(), scope(of), kind)), "{name}");
        }
        for other in [
            format!("packs/{hash}.pack"),
            format!("packs/zlib/{hash}.snap"),
            format!("packs/zlib/{hash}"),
            "packs/zlib/x.pack".to_owned(),
            "recent/zlib.json".to_owned(),
            "site/index.html".to_owned(),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
