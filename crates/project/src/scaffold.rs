//! `init` and `clean`: the beginning and the end of a package's build directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

use crate::{
    leftovers::build_directories, lock::lock_build, manifest::FILE_NAME, name::is_name,
    workspace::LARDER_DIR,
};

/// Why a package was not set up or cleaned.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// There is a manifest already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// No name can be made from the directory's.
    #[error("`{0}` cannot name a package; give one with --name")]
    Name(String),
    /// A file could not be written or removed.
    #[error("{}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Writes a manifest for the sources found in `directory`, and a first source where there are none.
/// The package is called `name`, or like its directory. Returns the files written.
pub fn init(directory: &Path, name: Option<&str>) -> Result<Vec<PathBuf>, ScaffoldError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io { path, source }
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    let directory = directory.canonicalize().map_err(at(directory))?;
    let manifest = directory.join(FILE_NAME);
    if manifest.symlink_metadata().is_ok() {
        return Err(ScaffoldError::Exists(manifest));
    }
    let own = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.unwrap_or(&own);
    if !is_name(name) {
        return Err(ScaffoldError::Name(name.to_owned()));
    }
    let mut written = Vec::new();
    let mut write = |path: PathBuf, text: &str| {
        larder_trace::atomic::write(&path, text.as_bytes()).map_err(at(&path))?;
        written.push(path);
        Ok(())
    };
    let sources = directory.join("src");
    if !sources.exists() {
        fs::create_dir(&sources).map_err(at(&sources))?;
        write(sources.join("main.c"), MAIN)?;
    }
    let ignore = directory.join(".gitignore");
    if ignore.symlink_metadata().is_err() {
        write(ignore, "/.larder/\n")?;
    }
    let text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n\n[[executable]]\nname = \"{name}\"\nsources = [\"src/*.c\"]\ntrace-args = [\"-O2\", \"-Wall\"]\n"
    );
    write(manifest, &text)?;
    Ok(written)
}

const MAIN: &str =
    "#include <stdio.h>\n\nint main(void) {\n    puts(\"Hello from larder\");\n    return 0;\n}\n";

/// Removes everything built in the package at `root`: the build directories, the stat index and what is
/// left of interrupted builds. Fetched packages stay. Waits for a build that is running.
pub fn clean(root: &Path, waiting: impl FnOnce(Option<u32>)) -> Result<(), ScaffoldError> {
    let larder = root.join(LARDER_DIR);
    if !larder.exists() {
        return Ok(());
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io { path, source }
    };
    let _lock = lock_build(&larder, &|| false, waiting).map_err(failed(&larder))?;
    let others = ["index", "tmp", "tests", "failed"].map(|name| larder.join(name));
    for path in build_directories(&larder).into_iter().chain(others) {
        let removed = match path.ends_with("index") {
            true => fs::remove_file(&path),
            false => fs::remove_dir_all(&path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
