//! The files of an archive on their way to disk, each checked before it is written.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

use crate::links;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Nothing that larder unpacks.
    #[error("it is no archive that larder unpacks: tar (plain or by gzip, xz, zstd, bzip2) or zip")]
    Format,
    /// It is damaged, or not what it looks like.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// An entry is refused.
    #[error("{name:?} in it is refused: {reason}")]
    Entry {
        /// The entry.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// It has more in it than is bearable.
    #[error("it has more than {0} in it")]
    TooMuch(String),
    /// The number of directories that are stripped does not fit.
    #[error("`strip = {strip}` does not fit: {reason}")]
    Strip {
        /// The directories that were to be stripped.
        strip: u32,
        /// The reason.
        reason: String,
    },
    /// A symbolic link leads out of it.
    #[error("the symbolic link {link:?} in it leads out of it, to {target:?}")]
    LinkOutside {
        /// The link.
        link: String,
        /// Where it leads.
        target: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The bounds of what is unpacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes in all files together.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 30, entries: 500_000 }
    }
}

/// The longest path, in bytes.
const LONGEST_PATH: usize = 1024;

/// The kinds of things that have been unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

/// A tree of files that is being unpacked.
pub(super) struct Tree<'a> {
    directory: &'a Path,
    limits: Limits,
    bytes: u64,
    made: HashMap<String, Kind>,
}

impl<'a> Tree<'a> {
    /// One in `directory`, which is there and empty.
    pub fn new(directory: &'a Path, limits: Limits) -> Self {
        Self { directory, limits, bytes: 0, made: HashMap::new() }
    }

    /// Makes a directory.
    pub fn directory(&mut self, name: &[u8]) -> Result<(), UnpackError> {
        let path = checked(name)?;
        match path.is_empty() {
            true => Ok(()),
            false => self.make_directories(&path, &path),
        }
    }

    /// Writes a file with all that `content` gives.
    pub fn file(
        &mut self,
        name: &[u8],
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let path = self.new_entry(name, Kind::File)?;
        let full = self.directory.join(&path);
        let mode = if executable { 0o777 } else { 0o666 };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&full)
            .map_err(unwritable(&full))?;
        let left = self.limits.bytes.saturating_sub(self.bytes);
        let mut content = Content { inner: content.take(left.saturating_add(1)), failed: None };
        let copied = io::copy(&mut content, &mut file);
        if let Some(reason) = content.failed {
            return Err(UnpackError::Damaged(reason));
        }
        let copied = copied.map_err(unwritable(&full))?;
        self.bytes += copied;
        match copied > left {
            true => Err(UnpackError::TooMuch(format!("{} bytes", self.limits.bytes))),
            false => Ok(()),
        }
    }

    /// Makes a symbolic link. Where it leads is looked at when everything is there.
    pub fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let path = self.new_entry(name, Kind::Link)?;
        let refused = |reason| UnpackError::Entry { name: path.clone(), reason };
        let target = std::str::from_utf8(target).map_err(|_| refused("its target is not UTF-8"))?;
        if target.is_empty() || target.contains(char::is_control) {
            return Err(refused("it has no plain target"));
        }
        let full = self.directory.join(&path);
        symlink(target, &full).map_err(unwritable(&full))
    }

    /// Writes a file with the content of another that is there.
    pub fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let target = checked(target)?;
        if self.made.get(&target) != Some(&Kind::File) {
            let name = String::from_utf8_lossy(name).into_owned();
            let reason = "it is a hard link to something that is no file before it";
            return Err(UnpackError::Entry { name, reason });
        }
        let source = self.directory.join(&target);
        let mut content = File::open(&source).map_err(unwritable(&source))?;
        let metadata = content.metadata().map_err(unwritable(&source))?;
        let executable =
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0;
        self.file(name, executable, &mut content)
    }

    fn new_entry(&mut self, name: &[u8], kind: Kind) -> Result<String, UnpackError> {
        let path = checked(name)?;
        let refused = |reason| UnpackError::Entry { name: path.clone(), reason };
        if path.is_empty() {
            return Err(refused("it has no name"));
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.make_directories(above, &path)?;
        }
        if self.made.contains_key(&path) {
            return Err(refused("it is there twice"));
        }
        self.note(path.clone(), kind)?;
        Ok(path)
    }

    fn note(&mut self, path: String, kind: Kind) -> Result<(), UnpackError> {
        if self.made.len() >= self.limits.entries {
            return Err(UnpackError::TooMuch(format!("{} files", self.limits.entries)));
        }
        self.made.insert(path, kind);
        Ok(())
    }

    /// Makes the directory at `path` and those above it, for the entry `name`.
    fn make_directories(&mut self, path: &str, name: &str) -> Result<(), UnpackError> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for end in ends {
            let directory = &path[..end];
            match self.made.get(directory) {
                Some(Kind::Directory) => {}
                Some(_) => {
                    let reason = "what is above it is no directory";
                    return Err(UnpackError::Entry { name: name.to_owned(), reason });
                }
                None => {
                    let full = self.directory.join(directory);
                    fs::create_dir(&full).map_err(unwritable(&full))?;
                    self.note(directory.to_owned(), Kind::Directory)?;
                }
            }
        }
        Ok(())
    }

    /// The directory that the sources are in: below `strip` directories, of which each is the only thing
    /// where it is; below the one that holds everything, if there is such a one, when absent.
    ///
    /// # Errors
    /// When there are no such directories, or a link leads out of it.
    pub fn finish(self, strip: Option<u32>) -> Result<PathBuf, UnpackError> {
        let mut root = self.directory.to_owned();
        for level in 0..strip.unwrap_or(1) {
            let mut entries = fs::read_dir(&root).map_err(unwritable(&root))?;
            let only = match (entries.next(), entries.next()) {
                (Some(Ok(only)), None) if only.file_type().is_ok_and(|kind| kind.is_dir()) => only,
                _ if strip.is_none() => break,
                _ => {
                    let reason = match level {
                        0 => "not all of it is in one directory".to_owned(),
                        _ => format!("only {level} have all of it below them"),
                    };
                    return Err(UnpackError::Strip { strip: strip.unwrap_or(1), reason });
                }
            };
            root = only.path();
        }
        match links::leading_out(&root) {
            Ok(None) => Ok(root),
            Ok(Some((link, target))) => Err(UnpackError::LinkOutside { link, target }),
            Err((path, source)) => Err(UnpackError::Io { path, source }),
        }
    }
}

/// The content of an entry, which notes why it could not be read: that is the archive's fault.
struct Content<R> {
    inner: R,
    failed: Option<String>,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.failed = Some(error.to_string());
        }
        read
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_owned();
    move |source| UnpackError::Io { path, source }
}

/// The path of an entry without `.` and final slashes; empty for the top.
fn checked(name: &[u8]) -> Result<String, UnpackError> {
    let refused = |reason| {
        Err(UnpackError::Entry { name: String::from_utf8_lossy(name).into_owned(), reason })
    };
    let Ok(text) = std::str::from_utf8(name) else { return refused("its name is not UTF-8") };
    if text.starts_with('/') {
        return refused("its path is absolute");
    }
    if text.contains(char::is_control) {
        return refused("there are control characters in its name");
    }
    if text.len() > LONGEST_PATH {
        return refused("its path is too long");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refused("there is `..` in its path");
    }
    let kept = |part: &&&str| {
        [".git", ".larder", crate::packages::ARCHIVE_MARK]
            .iter()
            .any(|name| part.eq_ignore_ascii_case(name))
    };
    if parts.iter().find(kept).is_some() {
        return refused("that name is for what Git and larder keep");
    }
    Ok(parts.join("/"))
}
