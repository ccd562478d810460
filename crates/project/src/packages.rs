//! The directory of packages that come from Git repositories and archives.
//!
//! A workspace's own, `.larder/packages`, has one commit or archive of each package: `NAME/`. One that
//! workspaces share, `$LARDER_PKG_DIR`, may have several: `NAME/COMMIT/`. A commit's name is the hash
//! of its content, so it does not matter which repository it came from. Archives themselves are kept
//! in `.archives` beside what was made of them.
//!
//! A checkout is made under a temporary name and renamed when it is complete. One that is there is
//! only read.

mod checked_out;
mod form;
mod unpacked;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{atomic::temporary_name, describe_io};

pub use checked_out::missing_submodule;
pub use form::{Content, Form};
pub(crate) use unpacked::ARCHIVE_MARK;

use crate::{
    archive::{Fetcher, UnpackError},
    git::GitError,
    lock::FileLock,
    repository::Repository,
    workspace::LARDER_DIR,
};

/// Where packages are checked out.
#[derive(Debug, Clone)]
pub struct Packages {
    directory: PathBuf,
    shared: bool,
}

/// The content of a dependency from elsewhere, which is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The dependency's name.
    pub name: String,
    /// The content.
    pub content: Content,
    /// Where that can be had, absolute: the directory in which a commit is checked out, or the archive.
    pub path: PathBuf,
    /// Whether the submodules of a commit are there and belong to it.
    pub submodules: bool,
}

/// Commits and archives that are kept elsewhere than where they come from: an offline store.
pub trait Baked: fmt::Debug + Send + Sync {
    /// Where that is.
    fn directory(&self) -> &Path;

    /// Whether `content` is there, intact or not.
    ///
    /// # Errors
    /// Why nothing there can be used.
    fn has(&self, content: &Content) -> Result<bool, String>;

    /// Writes `content` to a file: an archive as it is, of a commit what [`git::take_objects`] writes.
    ///
    /// # Errors
    /// Why it cannot be used. What has been written is then worth nothing.
    fn copy(&self, content: &Content, to: &fs::File) -> Result<(), String>;
}

/// Where the checkout of a package may come from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The offline store, if it has the content: it comes first.
    pub baked: Option<&'a dyn Baked>,
    /// Where it comes from; `None` where nothing is fetched.
    pub from: Option<Remote<'a>>,
}

/// Where a package comes from.
#[derive(Debug, Clone, Copy)]
pub enum Remote<'a> {
    /// A repository.
    Repository(&'a Repository),
    /// An archive on the web.
    Url {
        /// Its URL.
        url: &'a str,
        /// Whoever fetches it.
        fetcher: &'a dyn Fetcher,
    },
    /// An archive that is here.
    File(&'a Path),
}

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Git could not fetch or check it out.
    #[error(transparent)]
    Git(#[from] GitError),
    /// An archive cannot be fetched, or is not the one.
    #[error("cannot fetch {url}: {reason}")]
    Fetch {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// An archive that is here cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// An archive cannot be unpacked.
    #[error("cannot unpack the archive: {0}")]
    Unpack(#[from] UnpackError),
    /// Something else is where the checkout should be.
    #[error(
        "{} was changed by hand: {what}; move your work elsewhere and remove the directory, or use \
         it with {{ path = \"…\" }}",
        path.display()
    )]
    Changed {
        /// The directory.
        path: PathBuf,
        /// The evidence.
        what: String,
    },
    /// What the offline store has cannot be used, and nothing is fetched.
    #[error("what the offline store {} has of it cannot be used: {reason}", store.display())]
    Baked {
        /// The offline store.
        store: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// The directory cannot be written.
    #[error("cannot write {}: {}", path.display(), describe_io(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Packages {
    /// Those of the workspace at `root` alone.
    pub fn of(root: &Path) -> Self {
        Self { directory: root.join(LARDER_DIR).join("packages"), shared: false }
    }

    /// Those in `directory`, which many workspaces share. A relative one is meant from the current
    /// directory, not from a workspace.
    pub fn shared(directory: &Path) -> Self {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self { directory, shared: true }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn place(&self, name: &str, form: &Form) -> PathBuf {
        let place = self.directory.join(name);
        if self.shared { place.join(form.to_string()) } else { place }
    }

    /// The package `name` in this form, if it is there.
    pub fn find(&self, name: &str, form: &Form) -> Option<PathBuf> {
        let place = self.place(name, form);
        let is_there = match &form.content {
            Content::Commit(commit) => checked_out::is_checked_out(&place, form, commit),
            Content::Archive(_) => unpacked::is_unpacked(&place, form),
        };
        is_there.then_some(place)
    }

    /// Where the content of the package `name` can be had once that is there in this form.
    pub fn content(&self, name: &str, form: &Form) -> PathBuf {
        let place = self.place(name, form);
        match &form.content {
            Content::Commit(_) => place,
            Content::Archive(hash) => {
                unpacked::kept(place.parent().unwrap_or(&self.directory), hash)
            }
        }
    }

    /// Removes what processes that were killed left in a workspace's own directory, to be called
    /// with its build lock held.
    pub fn clean_up(&self) {
        if !self.shared {
            sweep(&self.directory);
            sweep(&self.directory.join(unpacked::ARCHIVES));
        }
    }

    /// The package `name` in this form, made if it is not there.
    ///
    /// Among processes that want the same package of a shared directory, one makes it while the
    /// others wait. A workspace's own directory is to be changed only with its
    /// build lock held.
    ///
    /// # Errors
    /// Why it cannot be had; what was there before is left as it was.
    pub fn obtain(
        &self,
        name: &str,
        form: &Form,
        sources: &Sources<'_>,
    ) -> Result<PathBuf, PackageError> {
        let place = self.place(name, form);
        let parent = place.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent).map_err(unwritable(parent))?;
        let waiting = |holder: Option<u32>| {
            let holder =
                holder.map_or_else(|| "another process".into(), |id| format!("process {id}"));
            tracing::info!(
                "waiting for {holder}, which fetches `{name}` into {}",
                parent.display()
            );
        };
        let lock = parent.join("lock");
        let _lock = match self.shared {
            true => Some(FileLock::take(&lock, &|| false, waiting).map_err(unwritable(&lock))?),
            false => None,
        };
        if let Some(there) = self.find(name, form) {
            return Ok(there);
        }
        if self.shared {
            sweep(parent);
        }
        if place.symlink_metadata().is_ok() {
            check_unchanged(name, &place)?;
        }
        let temporary = temporary_name(&place);
        let made = make(name, form, sources, &temporary).and_then(|made| {
            sync(&made).and_then(|()| replace(&made, &place)).map_err(unwritable(&place))
        });
        // The sources of an archive may have been further down.
        if temporary.exists() {
            let _ = fs::remove_dir_all(&temporary);
        }
        let is_commit = matches!(form.content, Content::Commit(_));
        if made.is_ok() && is_commit && !form.submodules && place.join(".gitmodules").exists() {
            tracing::info!(
                "`{name}` has Git submodules, which are fetched with `submodules = true` only"
            );
        }
        made.map(|()| place)
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::Io { path, source }
}

/// Makes a package at `temporary`, or below it. Returns where it is.
fn make(
    name: &str,
    form: &Form,
    sources: &Sources<'_>,
    temporary: &Path,
) -> Result<PathBuf, PackageError> {
    match &form.content {
        Content::Commit(commit) => {
            checked_out::make(name, form, commit, sources, temporary)?;
            Ok(temporary.to_owned())
        }
        Content::Archive(hash) => unpacked::unpack(name, hash, form.strip, sources, temporary),
    }
}

/// Removes what processes that were killed left unfinished. Those that are alive hold the lock.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            // A `git` that outlived its larder may be writing there still; there is a next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes sure that nothing of anybody's own work is in the package at `place`.
fn check_unchanged(name: &str, place: &Path) -> Result<(), PackageError> {
    let what = match place.join(ARCHIVE_MARK).exists() {
        true => {
            let changed = unpacked::first_change(place).map_err(unwritable(place))?;
            changed.map(|file| format!("{file} is not as it was unpacked"))
        }
        false => checked_out::change(name, place)?,
    };
    match what {
        Some(what) => Err(PackageError::Changed { path: place.to_owned(), what }),
        None => Ok(()),
    }
}

/// After a loss of power, what has its final name has its content too.
fn sync(directory: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(fs::File::open(directory)?)?;
    #[cfg(not(target_os = "linux"))]
    let _ = directory;
    Ok(())
}

/// Moves the finished checkout to its place. One that is there before goes away first, so that
/// there is a moment with none, but never one with half of one.
fn replace(temporary: &Path, place: &Path) -> io::Result<()> {
    if place.symlink_metadata().is_ok() {
        let old = temporary_name(place);
        fs::rename(place, &old)?;
        let renamed = fs::rename(temporary, place);
        if renamed.is_err() {
            fs::rename(&old, place)?;
        }
        let _ = fs::remove_dir_all(&old);
        return renamed;
    }
    fs::rename(temporary, place)
}
