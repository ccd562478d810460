//! The directory that objects lie in.
//!
//! ```text
//! objects/a/b/c.object   the object `a/b/c` (record.rs); its modification time says when it was last read
//! incoming/              uploads on their way in
//! parts/<upload>/        uploads in parts
//! lock                   shared by who commits, exclusive to who removes what others may be about to name
//! serving                held by the server
//! ```
//!
//! The files say everything; nothing is kept in memory that another process could change. A path is resolved
//! by the kernel, below `objects` and without following any link.

mod tree;

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use larder_trace::atomic;
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use self::tree::path_of;
use super::{names::Name, record::Record};

/// How many locks guard commits; two names rarely share one.
const STRIPES: usize = 64;

/// The directory of a cache server.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    objects: OwnedFd,
    /// Each guards the commits of some names.
    stripes: Vec<Mutex<()>>,
    /// The bytes that are taken, as far as this process knows.
    used: Mutex<Used>,
}

/// The bytes that are taken in a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// By objects.
    pub objects: u64,
    /// By parts, and by uploads that are under way.
    pub uploads: u64,
}

impl Used {
    /// All of them.
    pub fn sum(self) -> u64 {
        self.objects.saturating_add(self.uploads)
    }
}

/// An object, opened.
#[derive(Debug)]
pub struct Object {
    /// Its content, and behind that the record.
    pub file: File,
    /// What is known of it.
    pub record: Record,
    /// The bytes it takes.
    pub length: u64,
    /// When it was last read or written.
    pub read: SystemTime,
}

/// A file that was found where objects are.
#[derive(Debug)]
pub struct Found {
    /// The object's name.
    pub name: Name,
    /// The bytes it takes.
    pub length: u64,
    /// When it was last read or written.
    pub read: SystemTime,
    /// What is known of it; `None` where the file is damaged.
    pub record: Option<Record>,
}

/// On what a write depends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: what is there is replaced.
    #[default]
    None,
    /// Nothing of that name is there.
    Absent,
    /// The object that is there has this tag, or any where there is none.
    Present(Option<String>),
}

/// Why an object was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The condition does not hold.
    #[error("what is there is not what the request expects")]
    Condition,
    /// There is nothing of that name, and something was expected.
    #[error("there is no object of that name")]
    Absent,
    /// It names what is not here.
    #[error("it names {0}, which is not here")]
    Missing(String),
    /// The key was revoked meanwhile.
    #[error("the key was revoked")]
    Revoked,
    /// The directory cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file on its way in; it goes away unless it is committed.
#[derive(Debug)]
pub struct Incoming {
    pub path: PathBuf,
    pub file: File,
    committed: bool,
}

impl Incoming {
    /// Moves the file to `path`, which is in a directory of the server.
    pub fn place(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.committed {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// A file whose presence says that what is in the directory is to be counted.
const COUNT: &str = "count";

/// The directories that lie in the one of a server.
const INNER: [&str; 3] = ["objects", "incoming", "parts"];

impl Directory {
    /// Opens a directory, and makes it where it is missing.
    pub fn open(root: &Path) -> io::Result<Self> {
        for inner in INNER {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(inner))?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let objects = rustix::fs::open(root.join("objects"), flags, Mode::empty())?;
        Ok(Self {
            root: root.to_owned(),
            objects,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            used: Mutex::default(),
        })
    }

    /// Where all of it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where uploads in parts lie.
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// Says that this process serves the directory, for as long as the file lives; `None` while another does.
    pub fn serve(&self) -> io::Result<Option<File>> {
        let file = self.lock_file("serving")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Removes what a process that was killed had begun. Only for who serves.
    pub fn clear_incoming(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join("incoming"))? {
            atomic::remove_if_there(&entry?.path())?;
        }
        Ok(())
    }

    /// Waits until nobody commits, and lets nobody commit until the file is dropped.
    pub fn exclusive(&self) -> io::Result<File> {
        let file = self.lock_file("lock")?;
        file.lock()?;
        Ok(file)
    }

    fn shared(&self) -> io::Result<File> {
        let file = self.lock_file("lock")?;
        file.lock_shared()?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.root.join(name), flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Makes a file for an upload.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let place = self.root.join("incoming/upload");
        let (path, file) = atomic::make_temporary(&place, |path| atomic::create_new(path, 0o600))?;
        Ok(Incoming { path, file, committed: false })
    }

    /// Opens an object; `None` where there is none.
    pub fn find(&self, name: &Name) -> io::Result<Option<Object>> {
        let Some((file, length, read)) = self.open_file(&path_of(name))? else { return Ok(None) };
        let record = Record::read(&file, length)?;
        Ok(record.map(|record| Object { file, record, length, read }))
    }

    /// Gives an upload its name, once it is known that what it needs is here and that it `may` be written.
    pub fn commit(
        &self,
        name: &Name,
        mut incoming: Incoming,
        record: &Record,
        condition: &Condition,
        may: impl FnOnce() -> bool,
    ) -> Result<(), CommitError> {
        use std::io::{Seek, Write};
        incoming.file.seek(io::SeekFrom::End(0))?;
        incoming.file.write_all(&record.to_bytes()?)?;
        // After a loss of power as well, an object is whole or not there.
        incoming.file.sync_data()?;
        touch(&incoming.file)?;
        let length = incoming.file.metadata()?.len();

        let _lock = self.shared()?;
        if !may() {
            return Err(CommitError::Revoked);
        }
        for needed in &record.needs {
            let is_there =
                Name::parse(needed).is_ok_and(|it| matches!(self.find(&it), Ok(Some(_))));
            if !is_there {
                return Err(CommitError::Missing(needed.clone()));
            }
        }
        let _stripe = self.stripe(name);
        let before = self.find(name)?;
        match (condition, &before) {
            (Condition::Absent, Some(_)) => return Err(CommitError::Condition),
            (Condition::Present(_), None) => return Err(CommitError::Absent),
            (Condition::Present(Some(tag)), Some(it)) if it.record.etag != *tag => {
                return Err(CommitError::Condition);
            }
            _ => {}
        }
        self.rename(&incoming.path, name)?;
        incoming.committed = true;
        let mut used = self.used();
        let before = before.map_or(0, |before| before.length);
        used.objects = used.objects.saturating_add(length).saturating_sub(before);
        Ok(())
    }

    /// The bytes that are taken, to be looked at or changed.
    pub fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back bytes that an upload, or a part, took.
    pub fn forget_upload(&self, bytes: u64) {
        let mut used = self.used();
        used.uploads = used.uploads.saturating_sub(bytes);
    }

    /// Has whoever serves the directory count anew what is in it: another process has removed something.
    pub fn ask_to_count(&self) -> io::Result<()> {
        fs::write(self.root.join(COUNT), "")
    }

    /// Whether that was asked since the last time.
    pub fn is_asked_to_count(&self) -> bool {
        fs::remove_file(self.root.join(COUNT)).is_ok()
    }

    fn stripe(&self, name: &Name) -> MutexGuard<'_, ()> {
        let hash = name
            .as_str()
            .bytes()
            .fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.stripes[hash % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that an object is read now.
pub fn touch(file: &File) -> io::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timespec { tv_sec: now.as_secs() as i64, tv_nsec: i64::from(now.subsec_nanos()) };
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: now };
    Ok(rustix::fs::futimens(file, &times)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::fs::symlink};

    fn put(directory: &Directory, name: &str, condition: &Condition) -> Result<(), CommitError> {
        let mut incoming = directory.incoming().unwrap();
        incoming.file.write_all(b"content").unwrap();
        let record = Record { size: 7, etag: "tag".to_owned(), ..Record::default() };
        directory.commit(&Name::parse(name).unwrap(), incoming, &record, condition, || true)
    }

    #[test]
    fn an_object_and_a_directory_may_have_one_name() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        for name in ["a", "a/b", "a/b/c", "a-b", "a0"] {
            put(&directory, name, &Condition::None).unwrap();
        }
        assert_eq!(directory.names_in("").unwrap(), ["a", "a-b", "a/", "a0"]);
        assert!(directory.remove(&Name::parse("a/b/c").unwrap()).unwrap());
        assert_eq!(directory.names_in("a/").unwrap(), ["a/b"]);
        assert!(!directory.remove(&Name::parse("a/b/c").unwrap()).unwrap());
        for name in ["a", "a/b", "a-b", "a0"] {
            assert!(directory.remove(&Name::parse(name).unwrap()).unwrap(), "{name}");
        }
        assert_eq!(directory.used().sum(), 0);
        assert_eq!(fs::read_dir(root.path().join("objects")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(root.path().join("incoming")).unwrap().count(), 0);
    }

    #[test]
    fn conditions_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let present = |tag: Option<&str>| Condition::Present(tag.map(str::to_owned));
        assert!(matches!(put(&directory, "a", &present(None)), Err(CommitError::Absent)));
        put(&directory, "a", &Condition::Absent).unwrap();
        assert!(matches!(put(&directory, "a", &Condition::Absent), Err(CommitError::Condition)));
        assert!(matches!(
            put(&directory, "a", &present(Some("other"))),
            Err(CommitError::Condition)
        ));
        put(&directory, "a", &present(Some("tag"))).unwrap();
        put(&directory, "a", &present(None)).unwrap();
    }

    #[test]
    fn no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        put(&directory, "in/a", &Condition::None).unwrap();
        let objects = root.path().join("objects");
        fs::copy(objects.join("in/a.object"), outside.path().join("a.object")).unwrap();
        symlink(outside.path(), objects.join("out")).unwrap();
        symlink(outside.path().join("a.object"), objects.join("b.object")).unwrap();
        symlink("in", objects.join("inner")).unwrap();
        for name in ["out/a", "b", "inner/a"] {
            assert!(directory.find(&Name::parse(name).unwrap()).unwrap().is_none(), "{name}");
        }
        assert!(put(&directory, "out/c", &Condition::None).is_err());
        assert!(!directory.remove(&Name::parse("out/a").unwrap()).unwrap());
        assert_eq!(directory.names_in("out/").unwrap(), [""; 0]);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        let mut seen = Vec::new();
        directory.walk(&mut |found| seen.push(found.name.to_string())).unwrap();
        assert_eq!(seen, ["in/a"]);
    }
}
