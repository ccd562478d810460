//! Uploads in parts.
//!
//! ```text
//! parts/<upload>/upload.json       what it will be
//! parts/<upload>/<number>-<md5>    a part
//! ```

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::atomic;
use s3s::crypto::{Checksum, Md5};
use serde::{Deserialize, Serialize};

use super::{
    directory::{Directory, Incoming},
    keys::random_text,
    names::Name,
    record::Record,
    upload::{Upload, hex},
};

/// How long an upload's id is.
const ID: usize = 32;
const ABOUT: &str = "upload.json";

/// What an upload will be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    /// The name of the object.
    pub name: String,
    /// What is known of it.
    pub record: Record,
}

/// An upload in parts that is under way.
#[derive(Debug)]
pub struct Parts {
    directory: Arc<Directory>,
    path: PathBuf,
    /// What it will be.
    pub draft: Draft,
}

/// The parts of an upload, put together.
pub struct Joined {
    /// The content.
    pub incoming: Incoming,
    /// Its length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: String,
}

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A part is not there, or is another.
    #[error("part {0} is not there, or has another tag")]
    Part(u32),
    /// Parts are not in order.
    #[error("the parts are not in order, or there are none")]
    Order,
    /// The files cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Parts {
    /// Begins an upload, and returns its id.
    pub fn begin(directory: &Directory, draft: &Draft) -> io::Result<String> {
        let id = random_text(ID)?;
        let path = directory.parts().join(&id);
        fs::create_dir(&path)?;
        atomic::write(&path.join(ABOUT), &serde_json::to_vec(draft)?)?;
        Ok(id)
    }

    /// The upload `id` of `key` to `name`; `None` where there is none.
    pub fn find(
        directory: &Arc<Directory>,
        id: &str,
        name: &Name,
        key: &str,
    ) -> io::Result<Option<Self>> {
        if id.len() != ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let path = directory.parts().join(id);
        let about = match fs::read(path.join(ABOUT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let draft: Draft = serde_json::from_slice(&about)?;
        let is_theirs = draft.name == name.as_str() && draft.record.key == key;
        Ok(is_theirs.then(|| Self { directory: directory.clone(), path, draft }))
    }

    /// Waits until nobody else puts the parts together; false where they are gone then.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = match File::open(self.path.join(ABOUT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        file.lock()?;
        Ok(self.path.join(ABOUT).exists().then_some(file))
    }

    /// Adds a part, which replaces one of the same number. Returns its tag.
    pub fn add(&self, number: u32, upload: Upload) -> io::Result<String> {
        let tag = hex(&upload.md5);
        let place = self.path.join(format!("{number}-{tag}"));
        let mut before = Vec::new();
        for (path, other, length) in self.list()? {
            if other == number {
                before.push((path, length));
            }
        }
        upload.incoming.place(&place)?;
        self.directory.used().uploads += upload.size;
        for (path, length) in before {
            if path != place {
                atomic::remove_if_there(&path)?;
            }
            self.directory.forget_upload(length);
        }
        Ok(tag)
    }

    /// The length of all parts.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.list()?.into_iter().map(|(_, _, length)| length).sum())
    }

    fn list(&self) -> io::Result<Vec<(PathBuf, u32, u64)>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
            if let Some(number) = number {
                parts.push((entry.path(), number, entry.metadata()?.len()));
            }
        }
        Ok(parts)
    }

    /// Puts the parts with these numbers and tags together.
    pub fn join(&self, wanted: &[(u32, String)]) -> Result<Joined, JoinError> {
        if wanted.is_empty() || !wanted.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(JoinError::Order);
        }
        let mut incoming = self.directory.incoming()?;
        let mut size = 0;
        for (number, tag) in wanted {
            let part = self.open(*number, tag)?;
            size += io::copy(&mut &part, &mut incoming.file)?;
        }
        let etag = joint_tag(wanted).ok_or(JoinError::Order)?;
        Ok(Joined { incoming, size, etag })
    }

    fn open(&self, number: u32, tag: &str) -> Result<File, JoinError> {
        // It becomes a part of a path.
        if bytes_of(tag).is_none() {
            return Err(JoinError::Part(number));
        }
        match File::open(self.path.join(format!("{number}-{tag}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(JoinError::Part(number)),
            opened => Ok(opened?),
        }
    }

    /// Ends the upload and removes its parts.
    pub fn end(&self) -> io::Result<()> {
        let length = self.length()?;
        // From here on it is not there.
        atomic::remove_if_there(&self.path.join(ABOUT))?;
        remove(&self.path)?;
        self.directory.forget_upload(length);
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The tag of an object that came in parts; `None` where a part's is none.
pub fn joint_tag(parts: &[(u32, String)]) -> Option<String> {
    let mut md5 = Md5::new();
    for (_, tag) in parts {
        md5.update(&bytes_of(tag)?);
    }
    Some(format!("{}-{}", hex(&md5.finalize()), parts.len()))
}

/// The MD5 that a tag says.
fn bytes_of(tag: &str) -> Option<[u8; 16]> {
    let is_tag = tag.len() == 32 && tag.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    is_tag.then(|| u128::from_str_radix(tag, 16).ok().map(u128::to_be_bytes))?
}

/// Reads what an upload of such a size would be made of, for a copy.
pub fn copy(directory: &Directory, from: File, size: u64) -> io::Result<Incoming> {
    let mut incoming = directory.incoming()?;
    let copied = io::copy(&mut from.take(size), &mut incoming.file)?;
    match copied == size {
        true => Ok(incoming),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
