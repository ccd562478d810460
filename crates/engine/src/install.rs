//! `larder install`: programs, libraries, headers, and files that tell other build systems of them.
//!
//! What is installed can be moved: nothing names the prefix. Programs find the shared libraries of the
//! workspace by a run path that begins where they are; they are linked for it once more where the one that
//! they were built with would not do.

mod cmake;
mod collect;
mod headers;
mod link_args;
mod pkg_config;
mod record;

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    name::TargetName,
    path::BuildPath,
    plan::{Declared, Form, Kind, PackageId, Plan, Target, TargetId},
    setting::BuiltFor,
};
use larder_trace::{ContentHash, atomic, describe_io};

pub use record::Removed;
use record::{Entry, Is, Record};

use crate::{build, build::BuildReport};

/// Where things are installed.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The directory that everything is put below, absolute.
    pub prefix: PathBuf,
    /// Where libraries are below it, such as `lib`.
    pub libraries: String,
    /// A directory to put before the prefix, for packaging (`DESTDIR`).
    pub stage: Option<PathBuf>,
}

/// A file to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where, below the prefix.
    pub path: PathBuf,
    /// Whether it may be executed.
    pub executable: bool,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// That of a file.
    File(PathBuf),
    Text(String),
    /// A symbolic link to a file beside it.
    Link(String),
}

/// Why something was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Two files would be installed in one place.
    #[error("{} and {} would both be installed as {}", one.display(), other.display(), path.display())]
    Twice {
        /// The one.
        one: PathBuf,
        /// The other.
        other: PathBuf,
        /// The place, below the prefix.
        path: PathBuf,
    },
    /// The record of what is installed cannot be read.
    #[error("cannot read {}, which says what is installed: {reason}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing of a package is installed.
    #[error("nothing of `{package}` is installed in {}, as far as larder knows", prefix.display())]
    Nothing {
        /// The package.
        package: String,
        /// Where it is not.
        prefix: PathBuf,
    },
    /// A file could not be removed.
    #[error("cannot remove {}: {}", path.display(), describe_io(source))]
    Remove {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("cannot install {}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Layout {
    /// Checks a layout that somebody asks for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self) -> Result<Self, String> {
        if !self.prefix.is_absolute() {
            return Err(format!("the prefix {} is not an absolute path", self.prefix.display()));
        }
        let plain = self.libraries.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if BuildPath::new(&self.libraries).is_err() || !plain {
            return Err(format!("`{}` is not a directory below the prefix", self.libraries));
        }
        Ok(self)
    }

    /// Returns the run path of programs: where libraries are, seen from them.
    pub fn run_path(&self) -> String {
        format!("../{}", self.libraries)
    }

    /// Returns the directory that the prefix is, or is to become.
    pub fn directory(&self) -> PathBuf {
        match &self.stage {
            None => self.prefix.clone(),
            Some(stage) => stage.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix)),
        }
    }
}

/// Returns the names of what is installed when `names` are asked for, or those of the root package's default targets
/// that are to be installed; and the libraries that these need at run time or to be linked with.
///
/// # Errors
/// Names that mean nothing, or nothing that can be installed.
pub fn targets(plan: &Plan, names: &[TargetName]) -> Result<Vec<TargetName>, Diagnostics> {
    let mut found = Vec::new();
    for id in build::resolve(plan, names)? {
        let target = plan.target(id);
        let is_wanted = !names.is_empty() || is_to_be_installed(plan, target);
        match is_installable(target) && plan.side(target.package) == BuiltFor::Target {
            true if is_wanted => found.push(id),
            false if !names.is_empty() => {
                let message = format!("`{}` cannot be installed", target.label);
                let help = match plan.side(target.package) {
                    BuiltFor::Host => "it is a tool of the build, made for this machine",
                    BuiltFor::Target => "libraries and executables can",
                };
                return Err(Diagnostic::new(message).help(help).into());
            }
            _ => {}
        }
    }
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        next += 1;
        let target = plan.target(id);
        // A program needs what it loads; a library, also what its users are linked with or include. What is part of a shared
        // library need not be there besides.
        let needs: Vec<TargetId> = match &target.kind {
            Kind::Linked(linked) => {
                let is_library = linked.form == Form::SharedLibrary;
                let direct = linked.direct_libraries.iter();
                let direct =
                    direct.filter(|&&id| is_library && is_to_be_installed(plan, plan.target(id)));
                let loaded = linked.libraries.iter().filter(|id| is_shared(plan.target(**id)));
                direct.chain(loaded).copied().collect()
            }
            _ => target.direct_libraries().to_vec(),
        };
        let new: Vec<TargetId> = needs.into_iter().filter(|id| !found.contains(id)).collect();
        found.extend(new);
    }
    // Each label of what is for the target is a name.
    Ok(found.iter().filter_map(|&id| plan.target(id).label.parse().ok()).collect())
}

/// Whether the manifest has it installed with the package.
fn is_to_be_installed(plan: &Plan, target: &Target) -> bool {
    let manifest = &plan.package_of(target).manifest;
    match target.declared {
        Declared::Library(index) => manifest.libraries[index].install,
        Declared::Executable(index) => manifest.executables[index].install,
        _ => false,
    }
}

fn is_installable(target: &Target) -> bool {
    matches!(target.kind, Kind::Archive(_) | Kind::Linked(_) | Kind::Headers(_))
}

fn is_shared(target: &Target) -> bool {
    matches!(&target.kind, Kind::Linked(linked) if linked.form == Form::SharedLibrary)
}

/// What is installed of a build.
#[derive(Debug)]
pub struct Contents {
    /// The files, sorted.
    pub files: Vec<Installed>,
    /// What people have to know of them.
    pub notes: Vec<String>,
}

/// Returns what is installed of a build of [`targets`].
///
/// # Errors
/// When two files would be in one place, or directories cannot be read.
pub fn contents(report: &BuildReport, layout: &Layout) -> Result<Contents, InstallError> {
    collect::contents(report, layout)
}

/// What an installation is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that the package installs: what it installed before besides is removed.
    Whole,
    /// Some targets: the rest stays.
    Part,
}

/// Installs `files` of `package`, and keeps a record of them. Each is put in place when it is whole; one that is there
/// already stays as it is. Returns what was removed of an earlier installation.
///
/// # Errors
/// When one cannot be installed. Those before it are.
pub fn put(
    package: &str,
    files: &[Installed],
    layout: &Layout,
    extent: Extent,
) -> Result<Removed, InstallError> {
    let prefix = layout.directory();
    let mut record = Record::read(&prefix, package)?.unwrap_or_else(|| Record::new(package));
    let new: Vec<(Entry, &Installed)> =
        files.iter().map(|file| Ok((file.entry()?, file))).collect::<Result<_, InstallError>>()?;
    for (entry, _) in &new {
        record.note_directories(&prefix, &entry.path);
        record.entries.insert(entry.clone());
    }
    // Before anything is put in place, so that a later one knows of it.
    record.write(&prefix)?;
    for (_, file) in &new {
        file.put(&prefix)?;
    }
    let paths: BTreeSet<&str> = new.iter().map(|(entry, _)| &*entry.path).collect();
    let removed = match extent {
        Extent::Whole => record.remove(&prefix, |path| !paths.contains(path))?,
        Extent::Part => Removed::default(),
    };
    record.entries.retain(|entry| !paths.contains(&*entry.path));
    record.entries.extend(new.iter().map(|(entry, _)| entry.clone()));
    record.write(&prefix)?;
    Ok(removed)
}

/// Returns the files that `package` has installed, sorted.
///
/// # Errors
/// When there are none, or nobody can tell.
pub fn list(package: &str, layout: &Layout) -> Result<Vec<PathBuf>, InstallError> {
    let prefix = layout.directory();
    let record = recorded(package, &prefix)?;
    Ok(record.paths().into_iter().map(|path| prefix.join(path)).collect())
}

/// Removes what `package` has installed, and the directories that were made for it.
///
/// # Errors
/// When there is nothing, or something cannot be removed.
pub fn uninstall(package: &str, layout: &Layout) -> Result<Removed, InstallError> {
    let prefix = layout.directory();
    recorded(package, &prefix)?.remove(&prefix, |_| true)
}

fn recorded(package: &str, prefix: &Path) -> Result<Record, InstallError> {
    let nothing =
        || InstallError::Nothing { package: package.to_owned(), prefix: prefix.to_owned() };
    Record::read(prefix, package)?.ok_or_else(nothing)
}

impl Installed {
    /// This as a record has it.
    fn entry(&self) -> Result<Entry, InstallError> {
        let is = match &self.content {
            Content::Link(to) => Is::Link(to.clone()),
            _ => Is::Hash(ContentHash::of_bytes(&self.bytes()?)),
        };
        Ok(Entry { path: self.path.to_string_lossy().into_owned(), is })
    }

    fn bytes(&self) -> Result<Vec<u8>, InstallError> {
        match &self.content {
            Content::Text(text) | Content::Link(text) => Ok(text.clone().into_bytes()),
            Content::File(from) => {
                fs::read(from).map_err(|source| InstallError::Io { path: from.clone(), source })
            }
        }
    }

    fn put(&self, prefix: &Path) -> Result<(), InstallError> {
        let path = prefix.join(&self.path);
        let failed = |source| InstallError::Io { path: path.clone(), source };
        if let Content::Link(to) = &self.content {
            return link(&path, to).map_err(failed);
        }
        let content = self.bytes()?;
        let mode = if self.executable { 0o755 } else { 0o644 };
        if is_there(&path, &content, mode) {
            return Ok(());
        }
        atomic::write_new(&path, mode, |mut new| {
            new.write_all(&content)?;
            new.set_permissions(fs::Permissions::from_mode(mode))
        })
        .map_err(failed)
    }
}

/// Puts a symbolic link in place, unless it is there already.
fn link(path: &Path, to: &str) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|there| there == Path::new(to)) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)?;
    let place = tempfile::tempdir_in(directory)?;
    let new = place.path().join("link");
    std::os::unix::fs::symlink(to, &new)?;
    fs::rename(new, path)
}

fn is_there(path: &Path, content: &[u8], mode: u32) -> bool {
    path.symlink_metadata().is_ok_and(|found| {
        found.is_file()
            && found.len() == content.len() as u64
            && found.permissions().mode() & 0o7777 == mode
    }) && fs::read(path).is_ok_and(|there| there == content)
}

/// A library that is installed, by its entry of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Library {
    package: PackageId,
    index: usize,
}

impl Library {
    fn of(target: &Target) -> Option<Self> {
        match target.declared {
            Declared::Library(index) => Some(Self { package: target.package, index }),
            _ => None,
        }
    }
}
