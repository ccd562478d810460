//! A first manifest for a package that has none.
//!
//! What the sources or a build system say becomes a [`Package`], plain data, of which [`Package::manifest`]
//! makes the text. This crate reads the sources; `engine` runs the tools of build systems.

mod cmake;
pub mod config;
pub mod declared;
mod describe;
pub mod flags;
mod headers;
mod meson;
mod reading;
mod resolve;
mod sources;
mod system;
mod tree;
mod write;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use cmake::{Commands as CmakeCommands, describe as from_cmake_text, words as cmake_words};
pub use describe::{Flags, Kind, LeftOut, Package, Target, Text};
pub use headers::InstalledHeaders;
pub use meson::{Said as MesonSaid, describe as from_meson_text};
pub use reading::Reading;
pub use sources::describe as from_sources;
pub use tree::{Tree, is_other_platform};
pub use write::literal;
pub(crate) use write::quoted;

use crate::{manifest::FILE_NAME, name::is_name, scaffold::ScaffoldError};

/// Where a manifest is to be written.
#[derive(Debug, Clone)]
pub struct Place {
    /// The package's directory, absolute.
    pub directory: PathBuf,
    /// The package's name, unless what is read there says another.
    pub name: String,
    /// Whether somebody asked for the name: nothing else counts then.
    pub is_named: bool,
}

impl Place {
    /// The directory `directory`. The package is called `name`, or as what is read there says, or like its directory. To write there, the directory
    /// is made if it is missing, and must have no manifest.
    ///
    /// # Errors
    /// When there is a manifest already, or no name.
    pub fn new(directory: &Path, name: Option<&str>, write: bool) -> Result<Self, ScaffoldError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| ScaffoldError::Io { path, source }
        };
        if write {
            fs::create_dir_all(directory).map_err(at(directory))?;
        }
        let directory = directory.canonicalize().map_err(at(directory))?;
        let manifest = directory.join(FILE_NAME);
        if write && manifest.symlink_metadata().is_ok() {
            return Err(ScaffoldError::Exists(manifest));
        }
        let own = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_named = name.is_some();
        let name = name.unwrap_or(&own).to_owned();
        match is_name(&name) {
            true => Ok(Self { directory, name, is_named }),
            false => Err(ScaffoldError::Name(name)),
        }
    }

    /// Writes the manifest of `package`. Returns where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, package: &Package) -> Result<PathBuf, ScaffoldError> {
        self.put(FILE_NAME, &package.manifest())
    }

    /// Writes a first source, where there is none at all. Returns it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_first_source(&self) -> Result<PathBuf, ScaffoldError> {
        let directory = self.directory.join("src");
        let made = match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        made.map_err(|source| ScaffoldError::Io { path: directory, source })?;
        self.put("src/main.c", MAIN)
    }

    fn put(&self, name: &str, text: &str) -> Result<PathBuf, ScaffoldError> {
        let path = self.directory.join(name);
        let written = larder_trace::atomic::write(&path, text.as_bytes());
        written.map_err(|source| ScaffoldError::Io { path: path.clone(), source })?;
        Ok(path)
    }
}

const MAIN: &str =
    "#include <stdio.h>\n\nint main(void) {\n    puts(\"Hello from larder\");\n    return 0;\n}\n";

/// Returns the path of `path`, which is absolute or counts from `base`, in `directory`; `None` outside.
pub fn inside(path: &str, base: &Path, directory: &Path) -> Option<String> {
    let absolute = base.join(path);
    // What is not there has no canonical path.
    let absolute = absolute.canonicalize().unwrap_or(absolute);
    let below = absolute.strip_prefix(directory).ok()?.to_str()?;
    match below {
        "" => Some(".".to_owned()),
        below => Some(below.to_owned()),
    }
}
