//! A first manifest from what another build system says.
//!
//! Build systems are asked in a temporary directory; nothing is written to the package. That runs what the
//! package has for them: its `CMakeLists.txt` or `meson.build`.

mod cmake;
mod compdb;
mod flags;
mod meson;
mod tests;
mod tools;

use std::{
    io,
    path::{Path, PathBuf},
};

use larder_project::{
    init::{Package, Place, Tree, from_sources},
    scaffold::ScaffoldError,
};
use larder_trace::describe_io;

use crate::environment::Environment;

/// What a manifest is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// CMake's project.
    Cmake,
    /// Meson's project.
    Meson,
    /// `compile_commands.json`.
    Compdb,
    /// The sources alone.
    Sources,
}

impl Source {
    const ALL: [Self; 4] = [Self::Cmake, Self::Meson, Self::Compdb, Self::Sources];

    /// The file that says that there is such a thing.
    fn file(self) -> &'static str {
        match self {
            Self::Cmake => "CMakeLists.txt",
            Self::Meson => "meson.build",
            Self::Compdb => "compile_commands.json",
            Self::Sources => ".",
        }
    }
}

/// Why a package cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A directory could not be read.
    #[error("cannot look through {directory}: {}", describe_io(source))]
    Unreadable {
        /// The directory.
        directory: String,
        /// The system's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Scaffold(#[from] ScaffoldError),
    /// What was to be read is of no use.
    #[error("cannot read {file}: {reason}")]
    Unusable {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
    },
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The package.
    pub package: Package,
    /// The files that were written.
    pub written: Vec<PathBuf>,
}

/// Describes the package at `place` as [`describe`] does, and writes its manifest, and where there is nothing at all,
/// a first source. A dry run writes neither.
///
/// # Errors
/// When nothing can be read, or not what is wanted, or nothing written.
pub fn make(
    place: &Place,
    wanted: Option<Source>,
    environment: &Environment,
    dry: bool,
) -> Result<Made, InitError> {
    let mut package = describe(place, wanted, environment)?;
    let mut written = Vec::new();
    if package.sources.is_empty() && package.targets.is_empty() && !dry {
        written.push(place.write_first_source()?);
        package = describe(place, Some(Source::Sources), environment)?;
    }
    if !dry {
        written.push(place.write(&package)?);
    }
    Ok(Made { package, written })
}

/// Describes the package at `place`, from `wanted`, or from the first of these that is there and says
/// something.
///
/// # Errors
/// When nothing can be read, or not what is wanted.
pub fn describe(
    place: &Place,
    wanted: Option<Source>,
    environment: &Environment,
) -> Result<Package, InitError> {
    let directory = &place.directory;
    let tree = Tree::read(directory).map_err(|source| InitError::Unreadable {
        directory: directory.display().to_string(),
        source,
    })?;
    let mut passed = Vec::new();
    for source in Source::ALL {
        let is_there = directory.join(source.file()).exists();
        if wanted.map_or(!is_there, |wanted| wanted != source) {
            continue;
        }
        match describe_from(source, place, &tree, environment) {
            Ok(mut package) => {
                finish(&mut package, &tree);
                for (file, reason) in passed {
                    package.leave_out(file, reason);
                }
                return Ok(package);
            }
            Err(reason) if wanted.is_some() => {
                return Err(InitError::Unusable { file: source.file().to_owned(), reason });
            }
            Err(reason) => passed.push((source.file(), reason)),
        }
    }
    Ok(from_sources(directory, &place.name, &tree))
}

fn describe_from(
    source: Source,
    place: &Place,
    tree: &Tree,
    environment: &Environment,
) -> Result<Package, String> {
    let package = match source {
        Source::Cmake => cmake::describe(place, environment)?,
        Source::Meson => meson::describe(place, environment)?,
        Source::Compdb => compdb::describe(place)?,
        Source::Sources => from_sources(&place.directory, &place.name, tree),
    };
    match package.targets.is_empty() && source != Source::Sources {
        true => Err("it has nothing that is built from sources that are here".to_owned()),
        false => Ok(package),
    }
}

/// Says which sources are in no target, and takes out what is none of the package.
fn finish(package: &mut Package, tree: &Tree) {
    package.sources = tree.all_sources.clone();
    let used: Vec<String> =
        package.targets.iter().flat_map(|target| &target.sources).cloned().collect();
    for path in &tree.sources {
        let is_said = package.left_out.iter().any(|it| it.what == *path);
        if !used.contains(path) && !is_said {
            let why = format!("{} has it in no target", package.from);
            package.leave_out(path.clone(), why);
        }
    }
}

/// The path of `path`, which is absolute or counts from `base`, in `directory`; `None` outside.
fn inside(path: &str, base: &Path, directory: &Path) -> Option<String> {
    let absolute = base.join(path);
    // What is not there has no canonical path.
    let absolute = absolute.canonicalize().unwrap_or(absolute);
    let below = absolute.strip_prefix(directory).ok()?.to_str()?;
    match below {
        "" => Some(".".to_owned()),
        below => Some(below.to_owned()),
    }
}
