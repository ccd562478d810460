//! The digests of files of this machine.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    blobs::{Blob, Source},
    digest::Digest,
    tree::File,
};

/// Remembers the digests of files for one build, for as long as they look the same.
#[derive(Default)]
pub struct Files(Mutex<HashMap<PathBuf, (Look, Digest)>>);

/// How a file looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file that was written less than this before it was read may change and look the same.
const GRACE: Duration = Duration::from_secs(2);

impl Files {
    /// Returns the file at `path`, by its digest.
    ///
    /// # Errors
    /// It is no file, or cannot be read.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let look = Look {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known().get(path).filter(|(then, _)| *then == look).map(|it| it.1);
        let digest = match remembered {
            Some(digest) => digest,
            None => {
                let settled = is_settled(look.modified.0.max(look.changed.0));
                let digest = Digest::of_file(path)?;
                if settled {
                    known().insert(path.to_owned(), (look, digest));
                }
                digest
            }
        };
        let executable = metadata.mode() & 0o111 != 0;
        Ok(File { blob: Blob { digest, source: Source::File(path.to_owned()) }, executable })
    }
}

fn is_settled(seconds: i64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let written = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    written + GRACE < now
}
