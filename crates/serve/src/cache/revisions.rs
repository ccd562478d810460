//! The revisions that a server has: what its clients can ask for by name.

use std::{cmp::Reverse, io};

use larder_runs::time::format_millis;
use larder_store::published::paths::{FILED_BY_SCOPE, Filed, Kind};
use schemars::JsonSchema;
use serde::Serialize;

use super::{directory::Directory, keys::KeyInfo, names::Name};

/// How many revisions are named, the newest.
const NAMED: usize = 50;

/// The revisions that a server has.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// How many there are.
    pub total: usize,
    /// The newest, at most 50.
    pub newest: Vec<Revision>,
}

/// A revision that a server has.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The object's name: `[<directory>/]revisions/<scope>/<rev>.jsonl`.
    pub name: String,
    /// When it was written: RFC 3339, UTC.
    pub written: String,
    /// Who has the key that wrote it, or the key's id.
    pub writer: String,
    /// Its mappings' length, in bytes.
    pub bytes: u64,
}

/// Returns the revisions in a server's directory.
pub fn revisions(directory: &Directory, keys: &[KeyInfo]) -> io::Result<Served> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        for path in directory.names_in(&at)? {
            let is_revision = |it: Filed| matches!(it.kind, Kind::Revision);
            if path.ends_with('/') {
                // There are most objects in the others.
                let own = path[at.len()..].trim_end_matches('/');
                if own == "revisions" || !FILED_BY_SCOPE.contains(&own) {
                    open.push(path);
                }
            } else if Filed::parse(&path).is_some_and(is_revision)
                && let Ok(name) = Name::parse(&path)
                && let Some(object) = directory.find(&name)?
            {
                found.push((path, object.record));
            }
        }
    }
    found.sort_by_key(|(_, record)| Reverse(record.written));
    let total = found.len();
    let revision = |(name, record): (String, super::record::Record)| {
        let holder = keys.iter().find(|key| key.id == record.key).and_then(|key| key.name.clone());
        Revision {
            name,
            written: format_millis(record.written),
            writer: holder.unwrap_or(record.key),
            bytes: record.size,
        }
    };
    Ok(Served { total, newest: found.into_iter().take(NAMED).map(revision).collect() })
}
