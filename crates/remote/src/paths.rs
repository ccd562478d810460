//! Where everything lies on a service.

use larder_store::{Revision, Scope};
use larder_trace::ContentHash;
use object_store::path::Path;

use crate::ResultKey;

/// The mappings file of a revision. Written last: who sees it may rely on the rest.
pub fn mappings(scope: &Scope, revision: &Revision) -> String {
    format!("revisions/{scope}/{revision}.jsonl")
}

/// The catalogue of a revision: which packs hold its artifacts, and where in them.
pub fn catalogue(scope: &Scope, revision: &Revision) -> String {
    format!("revisions/{scope}/{revision}{CATALOGUE}")
}

/// How the name of a catalogue ends.
pub const CATALOGUE: &str = ".packs";

/// The directory of a scope's revisions.
pub fn revisions(scope: &Scope) -> String {
    format!("revisions/{scope}")
}

/// A pack, named by the hash of its index and trailer.
pub fn pack(scope: &Scope, id: &ContentHash) -> String {
    format!("packs/{scope}/{id}.pack")
}

/// The mark of a result.
pub fn result(key: &ResultKey) -> String {
    format!("keys/{key}")
}

/// The object at `relative` below `prefix`.
pub fn below(prefix: &Path, relative: &str) -> Path {
    relative.split('/').fold(prefix.clone(), |path, part| path.join(part))
}
