//! Who wrote what, and what becomes of it when a key is not to be believed any more.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

use super::{
    Error,
    directory::{Directory, Found},
    keys::{self, KeyInfo},
    names::Name,
};

/// An object, and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object's name.
    pub name: String,
    /// The id of the key.
    pub key: String,
    /// Who has the key, where that is known.
    pub holder: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// An object that named others which were removed, and was removed with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// The object, and who wrote it.
    pub object: Written,
    /// The objects that it named.
    pub named: Vec<String>,
}

/// What was removed with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The key.
    pub key: KeyInfo,
    /// The objects that it had written.
    pub removed: Vec<Written>,
    /// The objects of other keys that named some of those.
    pub dependents: Vec<Dependent>,
}

/// Where the keys of a directory lie, unless the configuration says otherwise.
pub fn keys_of(directory: &Path) -> PathBuf {
    directory.join("keys.json")
}

/// Returns who wrote the objects in a server's directory: those called `name`, or below it, or all.
///
/// # Errors
/// When there is no such directory, or it cannot be read.
pub fn blame(directory: &Path, keys: &Path, name: Option<&str>) -> Result<Vec<Written>, Error> {
    let opened = open(directory)?;
    let failed = |error: io::Error| Error::directory(directory, describe_io(&error));
    let keys = keys::list_keys(keys)?;
    let is_meant = |found: &Name| match name {
        Some(name) => {
            let rest = found.as_str().strip_prefix(name.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        None => true,
    };
    let mut written = Vec::new();
    let visit = &mut |found: Found| {
        if is_meant(&found.name) {
            written.extend(written_by(&found, &keys));
        }
    };
    opened.walk(visit).map_err(failed)?;
    written.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(written)
}

/// Revokes a key, given by its id or its name, and removes all that it wrote, and what other keys wrote that names
/// some of it. A server may run meanwhile. Done again, it goes on where it was broken off.
///
/// # Errors
/// When there is no such key, or something cannot be removed.
pub fn revoke(directory: &Path, keys: &Path, key: &str) -> Result<Revoked, Error> {
    let opened = open(directory)?;
    let failed = |error: io::Error| Error::directory(directory, describe_io(&error));
    let key = keys::revoke_key(keys, key)?;
    let known = keys::list_keys(keys)?;
    // What was under way is here or refused by now, and nothing comes after it.
    let _lock = opened.exclusive().map_err(failed)?;
    let mut objects = Vec::new();
    opened.walk(&mut |found| objects.push(found)).map_err(failed)?;
    let is_theirs = |found: &Found| found.record.as_ref().is_some_and(|it| it.key == key.id);
    let theirs: BTreeSet<&str> =
        objects.iter().filter(|it| is_theirs(it)).map(|it| it.name.as_str()).collect();
    let mut revoked = Revoked { key: key.clone(), removed: Vec::new(), dependents: Vec::new() };
    let mut last = Vec::new();
    for found in &objects {
        let Some(object) = written_by(found, &known) else { continue };
        let needs = found.record.iter().flat_map(|record| &record.needs);
        let named: Vec<String> = needs.filter(|it| theirs.contains(it.as_str())).cloned().collect();
        let needs_some = !named.is_empty();
        if is_theirs(found) {
            revoked.removed.push(object);
        } else if needs_some {
            revoked.dependents.push(Dependent { object, named });
        } else {
            continue;
        }
        match needs_some {
            true => opened.remove(&found.name).map(|_| ()).map_err(failed)?,
            false => last.push(&found.name),
        }
    }
    // Nothing that is left names them now.
    for name in last {
        opened.remove(name).map_err(failed)?;
    }
    opened.ask_to_count().map_err(failed)?;
    revoked.removed.sort_by(|a, b| a.name.cmp(&b.name));
    revoked.dependents.sort_by(|a, b| a.object.name.cmp(&b.object.name));
    Ok(revoked)
}

fn written_by(found: &Found, keys: &[KeyInfo]) -> Option<Written> {
    let record = found.record.as_ref()?;
    let holder = keys.iter().find(|key| key.id == record.key).and_then(|key| key.name.clone());
    Some(Written {
        name: found.name.to_string(),
        key: record.key.clone(),
        holder,
        at: record.written,
        size: record.size,
    })
}

/// Opens the directory of a server, which has to be one.
fn open(path: &Path) -> Result<Directory, Error> {
    if !path.join("objects").is_dir() {
        let reason = "it is not the directory of a cache server".to_owned();
        return Err(Error::directory(path, reason));
    }
    Directory::open(path).map_err(|error| Error::directory(path, describe_io(&error)))
}
