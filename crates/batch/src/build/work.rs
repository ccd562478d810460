//! The directory in which a package is built.

use std::{
    fs::{self, File, FileTimes, TryLockError},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder_engine::process::end_those_in;
use larder_project::manifest;
use larder_runs::name::PackageName;

use super::Failure;
use crate::{
    catalogue::{Kind, SourceFile, Sources, files},
    layer::remove_tree,
};

/// The time of everything that is built from, in seconds: 1980-01-01, the oldest that archives can tell. All files
/// have the same, since some build systems make files anew whose sources seem to be newer.
pub const EPOCH: u64 = 315_532_800;

/// A directory in which one package is built, gone when this is. Nobody else builds there, in whatever process: it is
/// locked, and the lock ends with its holder, however that ends.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    _lock: File,
}

impl Work {
    /// Makes an empty directory at `path`; `None` while somebody else builds there. What a larder left there that was
    /// killed is ended and removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn claim(path: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(path)?;
        let lock = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // Whoever had it before may have removed it meanwhile.
        let mine = lock.metadata()?;
        let is_there = |now: fs::Metadata| (now.dev(), now.ino()) == (mine.dev(), mine.ino());
        if !path.symlink_metadata().is_ok_and(is_there) {
            return Ok(None);
        }
        let mut left = fs::read_dir(path)?.peekable();
        if left.peek().is_some() {
            end_those_in(path);
        }
        for entry in left {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => remove_tree(&entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the package is installed. `work/HASH/p` is as long as `layers/HASH`, which it becomes: so paths in
    /// programs can be changed.
    pub fn prefix(&self) -> PathBuf {
        self.path.join(PREFIX)
    }

    /// Where documentation is that has this place below `DATA/html`: there is the same tree here.
    pub fn documentation(&self, place: &str) -> PathBuf {
        self.path.join(HTML).join(place)
    }

    /// Where the sources are.
    pub fn sources(&self) -> PathBuf {
        self.path.join(SOURCES)
    }
}

/// The names of the directories with the sources, with what is installed, and with documentation.
pub const SOURCES: &str = "src";
pub const PREFIX: &str = "p";
pub const HTML: &str = "html";

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::info!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Copies a package's sources, so that a build can write among them. Links stay links. The copy is what the sources' hash says, whoever
/// edits them meanwhile.
///
/// # Errors
/// When something cannot be read or written, or the sources are not any more what they were.
pub fn copy_sources(package: &PackageName, sources: &Sources, to: &Path) -> Result<(), Failure> {
    copy_files(&sources.directory, to)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Failure::of_io("cannot copy sources", &path, &error)
    };
    let staged = sources.overlay.as_ref().map(|overlay| {
        let staged = to.with_extension("manifest");
        copy_file(overlay, &staged).map_err(failed(overlay)).map(|()| staged)
    });
    let staged = staged.transpose()?;
    let copied = Sources::read(to, staged.as_deref());
    let copied = copied.map_err(|error| Failure::of_machine(error.to_string()))?;
    if copied.hash != sources.hash {
        return Err(Failure::of_changed_sources(package));
    }
    if let Some(staged) = staged {
        let place = to.join(manifest::FILE_NAME);
        let put = remove_link(&place).and_then(|()| fs::rename(&staged, &place));
        put.map_err(failed(&place))?;
    }
    Ok(())
}

/// Copies all that is in a directory into another.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy_files(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::of_io("cannot copy", path, &error);
    fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    for SourceFile { path, kind } in
        files(from).map_err(|error| failed(&error.path, error.source))?
    {
        let (source, target) = (from.join(&path), to.join(&path));
        let copied = match kind {
            Kind::Directory => fs::create_dir(&target),
            Kind::File => copy_file(&source, &target),
            Kind::Link => fs::read_link(&source).and_then(|to| symlink(to, &target)),
        };
        copied.map_err(|error| failed(&source, error))?;
    }
    Ok(())
}

/// Removes a link, so that nothing is written where it leads.
fn remove_link(path: &Path) -> io::Result<()> {
    match path.is_symlink() {
        true => fs::remove_file(path),
        false => Ok(()),
    }
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let executable = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH);
    File::options().write(true).open(to)?.set_times(FileTimes::new().set_modified(time))
}
