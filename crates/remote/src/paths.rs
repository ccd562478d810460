//! Where everything lies on a service.

use larder_store::{Revision, Scope};
use larder_trace::ContentHash;
use object_store::path::Path;

use crate::ResultKey;

/// A revision. Written last: who sees it may rely on the rest.
pub fn revision(scope: &Scope, revision: &Revision) -> String {
    format!("revisions/{scope}/{revision}{REVISION}")
}

/// The directory of a scope's revisions.
pub fn revisions(scope: &Scope) -> String {
    format!("revisions/{scope}")
}

/// How the name of a revision's object ends.
pub const REVISION: &str = ".jsonl";

/// The catalogue of a revision of the old layout: which packs hold its artifacts, and where in them.
pub fn old_catalogue(scope: &Scope, revision: &Revision) -> String {
    format!("revisions/{scope}/{revision}{OLD_CATALOGUE}")
}

/// How the name of a catalogue ends.
pub const OLD_CATALOGUE: &str = ".packs";

/// A snapshot, named by its hash.
pub fn snapshot(scope: &Scope, hash: &ContentHash) -> String {
    format!("snapshots/{scope}/{hash}{SNAPSHOT}")
}

/// How the name of a snapshot ends.
pub const SNAPSHOT: &str = ".snap";

/// The directory of a scope's snapshots.
pub fn snapshots(scope: &Scope) -> String {
    format!("snapshots/{scope}")
}

/// The newest revisions of a scope.
pub fn recent(scope: &Scope) -> String {
    format!("recent/{scope}.json")
}

/// A note that somebody is uploading.
pub fn upload(scope: &Scope, id: &str) -> String {
    format!("uploads/{scope}/{id}{UPLOAD}")
}

/// The directory of such notes.
pub fn uploads(scope: &Scope) -> String {
    format!("uploads/{scope}")
}

/// How the name of such a note ends.
pub const UPLOAD: &str = ".json";

/// A pack, named by the hash of its index and trailer.
pub fn pack(scope: &Scope, id: &ContentHash) -> String {
    format!("packs/{scope}/{id}{PACK}")
}

/// The directory of a scope's packs.
pub fn packs(scope: &Scope) -> String {
    format!("packs/{scope}")
}

/// How the name of a pack ends.
pub const PACK: &str = ".pack";

/// The mark of a result.
pub fn result(key: &ResultKey) -> String {
    format!("keys/{key}")
}

/// The object at `relative` below `prefix`.
pub fn below(prefix: &Path, relative: &str) -> Path {
    relative.split('/').fold(prefix.clone(), |path, part| path.join(part))
}
