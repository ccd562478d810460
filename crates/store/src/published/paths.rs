//! Where everything lies on a service.

use larder_trace::ContentHash;

use crate::{Revision, Scope};

/// The directories of a service under which objects are filed by scope.
pub const FILED_BY_SCOPE: [&str; 5] = ["packs", "recent", "revisions", "snapshots", "uploads"];

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

impl Filed {
    /// Parses the name of an object; `None` where it is not one of these.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let (file, directories) = parts.split_last()?;
        let named = |ending: &str| file.strip_suffix(ending)?.parse::<ContentHash>().ok();
        directories.iter().enumerate().find_map(|(at, word)| {
            let kind = match *word {
                "packs" => Kind::Pack(named(PACK)?),
                "snapshots" => Kind::Snapshot(named(SNAPSHOT)?),
                "revisions" if file.ends_with(REVISION) => Kind::Revision,
                _ => return None,
            };
            let scope = directories[at + 1..].join("/").parse().ok()?;
            let service = directories[..at].iter().map(|part| format!("{part}/")).collect();
            Some(Self { service, scope, kind })
        })
    }

    /// The name of a pack of the same scope.
    pub fn pack(&self, id: &ContentHash) -> String {
        format!("{}{}", self.service, pack(&self.scope, id))
    }

    /// The name of a snapshot of the same scope.
    pub fn snapshot(&self, hash: &ContentHash) -> String {
        format!("{}{}", self.service, snapshot(&self.scope, hash))
    }
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
