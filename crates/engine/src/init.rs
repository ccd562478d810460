//! A first manifest from what another build system says.
//!
//! Build systems are asked in a temporary directory; nothing is written to the package. That runs what the
//! package has for them: its `CMakeLists.txt` or `meson.build`.

mod cmake;
mod compdb;
mod compilers;
mod made;
mod meson;
mod submodules;
mod systems;
mod tools;

use std::{collections::HashSet, io, path::PathBuf};

use larder_project::{
    init::{Package, Place, Target, Tree, from_cmake_text, from_meson_text, from_sources},
    scaffold::ScaffoldError,
};
use larder_trace::describe_io;

pub use compilers::installed as installed_compilers;

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
    /// Whether there is a tool to ask.
    fn has_tool(self) -> bool {
        matches!(self, Self::Cmake | Self::Meson)
    }

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

/// Tells people that a tool is asked now, by its name: it may take a minute.
pub type Asking<'a> = &'a dyn Fn(&str);

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
    asking: Asking<'_>,
) -> Result<Made, InitError> {
    let mut package = describe(place, wanted, environment, asking)?;
    let mut written = Vec::new();
    if package.sources.is_empty() && package.targets.is_empty() && !dry {
        written.push(place.write_first_source()?);
        package = describe(place, Some(Source::Sources), environment, asking)?;
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
    asking: Asking<'_>,
) -> Result<Package, InitError> {
    let directory = &place.directory;
    let tree = Tree::read(directory).map_err(|source| InitError::Unreadable {
        directory: directory.display().to_string(),
        source,
    })?;
    let mut passed: Vec<(Way, String)> = Vec::new();
    for way in Way::ALL {
        let is_there = directory.join(way.of.file()).exists();
        if wanted.map_or(!is_there, |wanted| wanted != way.of) {
            continue;
        }
        match way.describe(place, &tree, environment, asking) {
            Ok(mut package) => {
                if place.is_named {
                    package.rename(&place.name);
                }
                finish(&mut package, &tree);
                systems::name(&mut package, directory, environment);
                submodules::say(&mut package, directory);
                let is_asked = |other: &Way| way.how == How::Read && other.of == way.of;
                for (other, reason) in passed {
                    match other.how {
                        _ if is_asked(&other) => package.cautions.push(read_only(&other, &reason)),
                        // Why its tool said nothing is said already.
                        How::Read if other.of.has_tool() => {}
                        _ => package.leave_out(other.of.file(), reason),
                    }
                }
                return Ok(package);
            }
            Err(reason) => passed.push((way, reason)),
        }
    }
    match (wanted, passed.into_iter().next()) {
        (Some(wanted), Some((_, reason))) => {
            Err(InitError::Unusable { file: wanted.file().to_owned(), reason })
        }
        _ => Err(InitError::Unusable {
            file: directory.display().to_string(),
            reason: "there is nothing to read".to_owned(),
        }),
    }
}

/// How something is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By the tool that it is for.
    Asked,
    /// From its text alone.
    Read,
}

/// A way to find out what a package consists of.
#[derive(Debug, Clone, Copy)]
struct Way {
    of: Source,
    how: How,
}

impl Way {
    /// In the order in which they are tried: what is certain first.
    const ALL: [Self; 6] = [
        Self { of: Source::Cmake, how: How::Asked },
        Self { of: Source::Meson, how: How::Asked },
        Self { of: Source::Compdb, how: How::Read },
        Self { of: Source::Cmake, how: How::Read },
        Self { of: Source::Meson, how: How::Read },
        Self { of: Source::Sources, how: How::Read },
    ];

    fn describe(
        self,
        place: &Place,
        tree: &Tree,
        environment: &Environment,
        asking: Asking<'_>,
    ) -> Result<Package, String> {
        let (directory, name) = (&place.directory, &place.name);
        let package = match (self.of, self.how) {
            (Source::Cmake, How::Asked) => cmake::describe(place, environment, asking)?,
            (Source::Meson, How::Asked) => meson::describe(place, environment, asking)?,
            (Source::Cmake, How::Read) => from_cmake_text(directory, name, tree)?,
            (Source::Meson, How::Read) => from_meson_text(directory, name, tree)?,
            (Source::Compdb, _) => compdb::describe(place)?,
            (Source::Sources, _) => from_sources(directory, name, tree),
        };
        match package.targets.is_empty() && self.of != Source::Sources {
            true => Err("it has nothing that is built from sources that are here".to_owned()),
            false => Ok(package),
        }
    }
}

/// What has to be known of a package that was read from a text alone.
fn read_only(asked: &Way, reason: &str) -> String {
    let (tool, file) = match asked.of {
        Source::Meson => ("Meson", "meson.build"),
        _ => ("CMake", "CMakeLists.txt"),
    };
    format!(
        "{tool} could not be asked ({reason}), so this is what the text of {file} says by itself. \
         What only {tool} can tell is left out."
    )
}

/// Says which sources are in no target, and takes out what is none of the package.
fn finish(package: &mut Package, tree: &Tree) {
    package.sources = tree.all_sources.union(&tree.assembly).cloned().collect();
    package.headers = tree.headers.clone();
    package.drop_empty_headers();
    package.targets.iter_mut().for_each(Target::keep_link_args);
    let used = package.targets.iter().flat_map(|target| &target.sources);
    let said = package.left_out.iter().map(|it| &it.what);
    let known: HashSet<String> = used.chain(said).cloned().collect();
    for path in &tree.sources {
        if !known.contains(path) {
            let why = format!("{} has it in no target", package.from);
            package.leave_out(path.clone(), why);
        }
    }
}
