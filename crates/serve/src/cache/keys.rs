//! Keys: who may sign requests, and what each may write.
//!
//! A signature of AWS (version 4) is an HMAC: who checks one needs the secret that it was made with, or keys for single
//! days that sign as well as that. So the file holds secrets, for nobody's eyes but the server's.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use larder_trace::{atomic, describe_io, open_regular};
use s3s::auth::SecretKey;
use serde::{Deserialize, Serialize};

use super::{
    Error,
    names::{Name, Scope},
};

const SCHEMA: &str = "1";
/// A larger file is no list of keys.
const LARGEST: u64 = 16 << 20;

/// A key as others may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Its id, with which requests name it.
    pub id: String,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may write.
    pub scopes: Vec<Scope>,
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
    /// When it was revoked, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

/// A key that was just made.
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// Its secret, which is shown once.
    pub secret: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    info: KeyInfo,
    /// None where the key was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    schema_version: String,
    keys: Vec<Entry>,
}

/// The keys in a file. What the file says is believed anew whenever it changes.
pub struct Keys {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Known>)>>,
}

type Known = BTreeMap<String, Entry>;

/// By what a changed file is told.
type Stamp = (u64, u64, i64, i64, u32);

impl KeyInfo {
    /// Whether it may write an object.
    pub fn may_write(&self, name: &Name) -> bool {
        self.revoked.is_none() && self.scopes.iter().any(|scope| scope.covers(name))
    }
}

impl Keys {
    /// The keys in the file at `path`. One that is not there has none.
    ///
    /// # Errors
    /// When others can read it, or it is not what [`init_key`] writes.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let keys = Self { path: path.to_owned(), read: Mutex::new(None) };
        keys.known()?;
        Ok(keys)
    }

    /// A key that counts, and its secret.
    pub fn find(&self, id: &str) -> Result<Option<(KeyInfo, SecretKey)>, Error> {
        let known = self.known()?;
        let entry = known.get(id).filter(|entry| entry.info.revoked.is_none());
        Ok(entry.and_then(|entry| {
            Some((entry.info.clone(), SecretKey::from(entry.secret.as_deref()?)))
        }))
    }

    /// What is known of all keys but their secrets.
    pub fn list(&self) -> Result<Vec<KeyInfo>, Error> {
        Ok(self.known()?.values().map(|entry| entry.info.clone()).collect())
    }

    /// Whether a key counts and may write an object.
    pub fn may_write(&self, id: &str, name: &Name) -> Result<bool, Error> {
        Ok(self.known()?.get(id).is_some_and(|entry| entry.info.may_write(name)))
    }

    fn known(&self) -> Result<Arc<Known>, Error> {
        let failed = |error: io::Error| Error::keys(&self.path, describe_io(&error));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match fs::metadata(&self.path) {
            Ok(metadata) => stamp(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Arc::default());
            }
            Err(error) => return Err(failed(error)),
        };
        if let Some((seen, known)) = &*read
            && *seen == stamp
        {
            return Ok(known.clone());
        }
        let known = read_file(&self.path)?;
        let known = known.into_iter().map(|entry| (entry.info.id.clone(), entry)).collect();
        let known = Arc::new(known);
        *read = Some((stamp, Arc::clone(&known)));
        Ok(known)
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    (metadata.ino(), metadata.len(), changed.0, changed.1, metadata.mode())
}

/// Reads a file of keys, which only its owner can read.
fn read_file(path: &Path) -> Result<Vec<Entry>, Error> {
    let failed = |error: io::Error| Error::keys(path, describe_io(&error));
    let (file, metadata) = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(failed)?,
    };
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        let reason = format!("others may use it (mode {mode:o}); it has to have mode 600");
        return Err(Error::keys(path, reason));
    }
    let mut text = Vec::new();
    Read::take(file, LARGEST).read_to_end(&mut text).map_err(failed)?;
    // What a parser says could quote a secret.
    let wrong = || Error::keys(path, "it is not a list of keys of this larder".to_owned());
    let listed: Listed = serde_json::from_slice(&text).map_err(|_| wrong())?;
    if listed.schema_version != SCHEMA {
        return Err(wrong());
    }
    Ok(listed.keys)
}

/// Makes a key that may write under `scopes` and keeps it in the file at `path`, mode 600.
///
/// # Errors
/// When there is no scope, or the file cannot be read or written.
pub fn init_key(path: &Path, name: Option<&str>, scopes: &[Scope]) -> Result<NewKey, Error> {
    if scopes.is_empty() {
        return Err(Error::keys(path, "a key without a scope can write nothing".to_owned()));
    }
    let random = |length| random_text(length).map_err(|it| Error::keys(path, describe_io(&it)));
    let key = NewKey { id: format!("LK{}", random(18)?.to_uppercase()), secret: random(40)? };
    let info = KeyInfo {
        id: key.id.clone(),
        name: name.map(str::to_owned),
        scopes: scopes.to_vec(),
        made: now(),
        revoked: None,
    };
    change(path, |keys| {
        keys.push(Entry { info, secret: Some(key.secret.clone()) });
        Ok(())
    })?;
    Ok(key)
}

/// The keys that were made, those that were revoked too.
///
/// # Errors
/// When the file cannot be read.
pub fn list_keys(path: &Path) -> Result<Vec<KeyInfo>, Error> {
    Ok(read_file(path)?.into_iter().map(|entry| entry.info).collect())
}

/// Says that a key, given by its id or its name, does not count any more, and forgets its secret.
pub fn revoke_key(path: &Path, key: &str) -> Result<KeyInfo, Error> {
    change(path, |keys| {
        let named =
            |entry: &&mut Entry| entry.info.id == key || entry.info.name.as_deref() == Some(key);
        let mut found: Vec<_> = keys.iter_mut().filter(named).collect();
        let [entry] = found.as_mut_slice() else {
            let number = if found.is_empty() { "no key" } else { "more than one key" };
            return Err(Error::keys(path, format!("it has {number} called {key:?}")));
        };
        entry.info.revoked.get_or_insert_with(now);
        entry.secret = None;
        Ok(entry.info.clone())
    })
}

/// Changes the list of keys, alone.
fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<Entry>) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |error: io::Error| Error::keys(path, describe_io(&error));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let lock = File::create(path.with_added_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut keys = read_file(path)?;
    let changed = change(&mut keys)?;
    let listed = Listed { schema_version: SCHEMA.to_owned(), keys };
    let mut text = serde_json::to_vec_pretty(&listed).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let write = |mut file: &File| {
        file.write_all(&text)?;
        file.sync_all()
    };
    atomic::write_new(path, 0o600, write).map_err(failed)?;
    Ok(changed)
}

/// Letters and digits, each as likely as another.
pub fn random_text(length: usize) -> io::Result<String> {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        let filled = rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty())?;
        rest = &mut rest[filled..];
    }
    Ok(bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect())
}

/// The time in milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_found_and_revoked() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("made/keys.json");
        let keys = Keys::open(&path).unwrap();
        let scope = || vec!["zlib".parse().unwrap()];
        let made = init_key(&path, Some("ci"), &scope()).unwrap();
        let other = init_key(&path, None, &scope()).unwrap();
        assert_ne!(made.id, other.id);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (info, secret) = keys.find(&made.id).unwrap().unwrap();
        assert_eq!(secret.expose(), made.secret);
        assert!(info.may_write(&Name::parse("zlib/a").unwrap()));
        revoke_key(&path, "ci").unwrap();
        assert!(keys.find(&made.id).unwrap().is_none());
        assert!(!fs::read_to_string(&path).unwrap().contains(&made.secret));
        assert!(keys.find(&other.id).unwrap().is_some());
        assert!(revoke_key(&path, "nobody").is_err());
        assert!(init_key(&path, None, &[]).is_err());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("keys.json");
        let made = init_key(&path, None, &[Scope::All]).unwrap();
        let keys = Keys::open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let errors = [
            Keys::open(&path).err().unwrap().to_string(),
            keys.find(&made.id).err().unwrap().to_string(),
        ];
        for error in errors {
            assert!(error.contains("600") && !error.contains(&made.secret), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(keys.find(&made.id).unwrap().is_some());
        fs::write(&path, format!("{{\"keys\": \"{}\"}}", made.secret)).unwrap();
        let error = keys.find(&made.id).err().unwrap().to_string();
        assert!(!error.contains(&made.secret), "{error}");
    }
}
