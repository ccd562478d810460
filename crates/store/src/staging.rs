//! Staging directories: mappings and artifacts copied out of a store, for a job that holds the key
//! to upload without running any of the project's code.
//!
//! A staging directory is flat: `outputs.jsonl`, and regular files named by
//! [`ArtifactName`]. Whoever reads one does not trust whoever wrote it, nor that it stays as it is:
//! files are opened below an open directory, never through a symlink, looked at through the open
//! file, and their content is verified at each use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use larder_trace::{ContentHash, OutputFile, atomic};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, open, openat, statat};

use crate::{
    ArtifactName, Mappings, MappingsError, Miss, NameError, Revision, Scope, Store, StoreError,
    files,
};

/// The name of the mappings file in a staging directory.
pub const MAPPINGS_NAME: &str = "outputs.jsonl";

/// The name of the file that names the revision whose artifacts were left out, if any were.
pub const SINCE_NAME: &str = "since";

/// The result of [`stage`] and [`unstage`].
#[derive(Debug, Default)]
pub struct StagingReport {
    /// Mapping entries carried over, all of whose artifacts are there.
    pub mappings: usize,
    /// Artifacts carried over.
    pub artifacts: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Artifacts that a service has, and that were left out for that.
    pub left_out: usize,
    /// Files that were not carried over, and why.
    pub missing: Vec<Refusal>,
}

/// A revision that a service has, and its artifacts.
#[derive(Debug, Clone)]
pub struct Since {
    /// The revision.
    pub revision: Revision,
    /// The artifacts that need not be carried.
    pub artifacts: BTreeSet<ContentHash>,
}

/// Copies `mappings` and their artifacts from `store` to `directory`, except the artifacts that
/// `since` has. An entry that lacks an artifact is left out and reported; artifacts that an earlier
/// staging left there and that are no longer mentioned are deleted.
pub fn stage(
    store: &Store,
    mappings: &Mappings,
    since: Option<&Since>,
    directory: &Path,
) -> Result<StagingReport, StoreError> {
    fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
    let mut report = StagingReport::default();
    let mut staged = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for (hash, artifact) in mappings.artifacts() {
        if since.is_some_and(|since| since.artifacts.contains(&hash)) {
            left_out.insert(hash);
            continue;
        }
        let name = artifact.name.to_string();
        let file = OutputFile {
            path: name.clone(),
            hash,
            size: artifact.size,
            executable: artifact.executable,
        };
        match store.restore(&file, &directory.join(&name)) {
            Ok(_) => {
                report.artifacts += 1;
                report.bytes += artifact.size;
                staged.insert(hash, artifact.name);
            }
            Err(Miss::Unwritable { path, source }) => {
                return Err(StoreError::Io { action: "write", path, source });
            }
            Err(miss) => report.missing.push(Refusal { name, reason: Reason::NotStored(miss) }),
        }
    }
    let complete = mappings.filtered(|_, outputs| {
        let carried = |hash| staged.contains_key(hash) || left_out.contains(hash);
        outputs.outputs.iter().all(|file| carried(&file.hash))
    });
    report.mappings = complete.len();
    report.left_out = left_out.len();
    let listing = fs::read_dir(directory).map_err(StoreError::io("list", directory))?;
    for entry in listing {
        let entry = entry.map_err(StoreError::io("list", directory))?;
        let name = entry.file_name().to_str().and_then(|name| name.parse::<ArtifactName>().ok());
        if name.is_some_and(|name| staged.get(&name.hash) != Some(&name)) {
            fs::remove_file(entry.path()).map_err(StoreError::io("delete", entry.path()))?;
        }
    }
    let note = directory.join(SINCE_NAME);
    match since.filter(|_| !left_out.is_empty()) {
        Some(since) => atomic::write(&note, since.revision.as_str().as_bytes())
            .map_err(StoreError::io("write", &note))?,
        None => atomic::remove_if_there(&note).map_err(StoreError::io("delete", &note))?,
    }
    complete.write(&directory.join(MAPPINGS_NAME))?;
    Ok(report)
}

/// Brings what was staged in `directory` into `store`, under `scope`. One bad file costs itself and
/// the mappings that mention it.
pub fn unstage(
    store: &Store,
    scope: &Scope,
    directory: &Path,
) -> Result<StagingReport, StoreError> {
    let staging = StagingDirectory::open(directory)?;
    let mut contents = staging.list()?;
    let mut report = StagingReport { missing: contents.refusals, ..StagingReport::default() };
    contents.artifacts.retain(|hash, artifact| {
        let imported = staging.open_artifact(artifact).and_then(|file| {
            store
                .import(hash, artifact.size, artifact.executable, file)
                .map_err(|error| Reason::Unreadable(error.to_string()))
        });
        let reason = match imported {
            Ok(true) => return true,
            Ok(false) => Reason::WrongHash,
            Err(reason) => reason,
        };
        report.missing.push(Refusal { name: artifact.name.to_string(), reason });
        false
    });
    for (dep_hash, outputs) in contents.mappings.iter() {
        let is_here = |file: &OutputFile| {
            contents.artifacts.contains_key(&file.hash)
                || contents.left_out.contains(&file.hash) && store.holds(&file.hash)
        };
        if outputs.outputs.iter().all(is_here) {
            store.record(scope, dep_hash, outputs)?;
            report.mappings += 1;
        }
    }
    report.artifacts = contents.artifacts.len();
    report.bytes = contents.artifacts.values().map(|artifact| artifact.size).sum();
    Ok(report)
}

/// A file of a staging directory, or one that should be there, with what is wrong with it.
#[derive(Debug)]
pub struct Refusal {
    /// The file's name, as far as it can be printed.
    pub name: String,
    /// Why it is refused.
    pub reason: Reason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.escape_debug(), self.reason)
    }
}

/// Why a file of a staging directory is refused.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// A symbolic link, wherever it points.
    #[error("is a symbolic link; only regular files are accepted")]
    Symlink,
    /// A named pipe.
    #[error("is a FIFO; only regular files are accepted")]
    Fifo,
    /// A character or block device.
    #[error("is a device; only regular files are accepted")]
    Device,
    /// A socket, or something the platform has beyond that.
    #[error("is a socket or other special file; only regular files are accepted")]
    Special,
    /// A directory.
    #[error("is a directory; a staging directory is flat")]
    Directory,
    /// The name breaks the grammar.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is not even text.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// The mappings do not mention it.
    #[error("no mapping in {MAPPINGS_NAME} mentions it")]
    Unlisted,
    /// The mappings mention it, and it is not there.
    #[error("mentioned in {MAPPINGS_NAME}, but not in the directory")]
    Missing,
    /// Another file claims to be the same artifact.
    #[error("the same artifact as {0}")]
    Duplicate(ArtifactName),
    /// Of another size than the mappings say.
    #[error("{actual} bytes long, but {MAPPINGS_NAME} says {expected}")]
    WrongSize {
        /// Bytes that the mappings say.
        expected: u64,
        /// Bytes that the file has.
        actual: u64,
    },
    /// Its content does not hash to its name.
    #[error("its content does not hash to its name")]
    WrongHash,
    /// The note of a revision names none.
    #[error("names no revision")]
    Since,
    /// There is no mappings file.
    #[error("missing, so this is not a staging directory")]
    NoMappings,
    /// The mappings file is not one.
    #[error(transparent)]
    Mappings(#[from] MappingsError),
    /// It could not be opened or read, for the given reason.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// To be staged, but not to be had from the store.
    #[error(transparent)]
    NotStored(Miss),
}

/// A file of a staging directory that is what its name and the mappings say, as far as can be told
/// without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// Length in bytes.
    pub size: u64,
    /// Whether some output with this content is executable, by the mappings.
    pub executable: bool,
}

/// The contents of a staging directory.
#[derive(Debug, Default)]
pub struct Contents {
    /// The mappings; none when they were refused.
    pub mappings: Mappings,
    /// The files that are in order, their content not yet verified.
    pub artifacts: BTreeMap<ContentHash, StagedArtifact>,
    /// The revision that holds what was left out, where anything was.
    pub since: Option<Revision>,
    /// The artifacts that were left out.
    pub left_out: BTreeSet<ContentHash>,
    /// All that is not in order.
    pub refusals: Vec<Refusal>,
}

/// An open staging directory.
#[derive(Debug)]
pub struct StagingDirectory {
    path: PathBuf,
    directory: OwnedFd,
}

impl StagingDirectory {
    /// Opens the directory at `path`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let directory = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| StoreError::io("open staging directory", path)(error.into()))?;
        Ok(Self { path: path.to_owned(), directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the directory and holds it against its mappings. Reads no artifact.
    pub fn list(&self) -> Result<Contents, StoreError> {
        let failed = |error: rustix::io::Errno| StoreError::io("list", &self.path)(error.into());
        let mut contents = Contents::default();
        let mut found = Vec::new();
        let mut refuse = |name: &[u8], reason: Reason| {
            let name = String::from_utf8_lossy(name).into_owned();
            contents.refusals.push(Refusal { name, reason });
        };
        match self.read_mappings() {
            Ok(mappings) => contents.mappings = mappings,
            Err(Reason::Missing) => refuse(MAPPINGS_NAME.as_bytes(), Reason::NoMappings),
            Err(reason) => refuse(MAPPINGS_NAME.as_bytes(), reason),
        }
        match self.read_since() {
            Ok(since) => contents.since = since,
            Err(reason) => refuse(SINCE_NAME.as_bytes(), reason),
        }
        for entry in Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            let own = [MAPPINGS_NAME.as_bytes(), SINCE_NAME.as_bytes()];
            if matches!(name, b"." | b"..") || own.contains(&name) {
                continue;
            }
            match self.look_at(name) {
                Ok((artifact, size)) => found.push((artifact, size)),
                Err(reason) => refuse(name, reason),
            }
        }
        // No order of the directory's own shows in the result.
        found.sort();
        let listed = contents.mappings.artifacts();
        for (name, actual) in found {
            let refuse = |reason| Refusal { name: name.to_string(), reason };
            let Some(artifact) = listed.get(&name.hash) else {
                contents.refusals.push(refuse(Reason::Unlisted));
                continue;
            };
            if let Some(other) = contents.artifacts.get(&name.hash) {
                contents.refusals.push(refuse(Reason::Duplicate(other.name.clone())));
            } else if artifact.size != actual {
                let expected = artifact.size;
                contents.refusals.push(refuse(Reason::WrongSize { expected, actual }));
            } else {
                let executable = artifact.executable;
                let hash = name.hash;
                contents.artifacts.insert(hash, StagedArtifact { name, size: actual, executable });
            }
        }
        let refused = |name: &ArtifactName| {
            let hash = name.hash.to_string();
            contents.refusals.iter().any(|refusal| refusal.name.starts_with(&hash))
        };
        let missing: Vec<_> = listed
            .into_values()
            .map(|artifact| artifact.name)
            .filter(|name| !contents.artifacts.contains_key(&name.hash) && !refused(name))
            .collect();
        match contents.since {
            Some(_) => contents.left_out.extend(missing.iter().map(|name| name.hash)),
            None => contents.refusals.extend(
                missing
                    .iter()
                    .map(|name| Refusal { name: name.to_string(), reason: Reason::Missing }),
            ),
        }
        contents.refusals.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(contents)
    }

    /// [`list`](Self::list), and hashes every artifact.
    pub fn verify(&self) -> Result<Contents, StoreError> {
        let mut contents = self.list()?;
        contents.artifacts.retain(|hash, artifact| {
            let hashed = self.open_artifact(artifact).and_then(|file| {
                files::hash_reader(file).map_err(|error| Reason::Unreadable(error.to_string()))
            });
            let reason = match hashed {
                Ok((actual, size)) if actual == *hash && size == artifact.size => return true,
                Ok(_) => Reason::WrongHash,
                Err(reason) => reason,
            };
            contents.refusals.push(Refusal { name: artifact.name.to_string(), reason });
            false
        });
        contents.refusals.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(contents)
    }

    /// Opens one artifact. What it yields is to be verified at each use: whoever wrote the
    /// directory may still be writing.
    pub fn open_artifact(&self, artifact: &StagedArtifact) -> Result<File, Reason> {
        let (file, actual) = self.open_file(artifact.name.to_string().as_bytes())?;
        if actual == artifact.size {
            Ok(file)
        } else {
            Err(Reason::WrongSize { expected: artifact.size, actual })
        }
    }

    fn read_mappings(&self) -> Result<Mappings, Reason> {
        let (mut file, _) = self.open_file(MAPPINGS_NAME.as_bytes())?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| Reason::Unreadable(error.to_string()))?;
        Ok(Mappings::parse(&text)?)
    }

    /// The revision that the note names; `None` where there is no note.
    fn read_since(&self) -> Result<Option<Revision>, Reason> {
        const LONGEST: u64 = 1024;
        let file = match self.open_file(SINCE_NAME.as_bytes()) {
            Err(Reason::Missing) => return Ok(None),
            opened => opened?.0,
        };
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).map_err(|_| Reason::Since)?;
        text.parse().map(Some).map_err(|_| Reason::Since)
    }

    fn look_at(&self, name: &[u8]) -> Result<(ArtifactName, u64), Reason> {
        let (_, size) = self.stat(name)?;
        let text = std::str::from_utf8(name).map_err(|_| Reason::NotUtf8)?;
        Ok((text.parse()?, size))
    }

    /// The file's identity and size, if it is regular.
    fn stat(&self, name: &[u8]) -> Result<((u64, u64), u64), Reason> {
        let stat = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
        regular(&stat)
    }

    /// Opens a regular file for reading, without following a symlink, waiting for a FIFO's writer
    /// or waking a device: what was looked at must be what was opened.
    fn open_file(&self, name: &[u8]) -> Result<(File, u64), Reason> {
        let (before, _) = self.stat(name)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::empty()).map_err(unreadable)?;
        let (after, size) = regular(&fstat(&file).map_err(unreadable)?)?;
        if before == after {
            Ok((file.into(), size))
        } else {
            Err(Reason::Unreadable("it is being replaced".to_owned()))
        }
    }
}

fn unreadable(error: rustix::io::Errno) -> Reason {
    let error = io::Error::from(error);
    if error.kind() == io::ErrorKind::NotFound {
        Reason::Missing
    } else {
        Reason::Unreadable(error.to_string())
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between platforms")]
fn regular(stat: &rustix::fs::Stat) -> Result<((u64, u64), u64), Reason> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            Ok(((stat.st_dev as u64, stat.st_ino as u64), stat.st_size as u64))
        }
        FileType::Symlink => Err(Reason::Symlink),
        FileType::Fifo => Err(Reason::Fifo),
        FileType::CharacterDevice | FileType::BlockDevice => Err(Reason::Device),
        FileType::Directory => Err(Reason::Directory),
        _ => Err(Reason::Special),
    }
}
