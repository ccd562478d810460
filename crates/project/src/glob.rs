//! Globs of files inside a package.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use fast_glob::glob_match;
use larder_trace::describe_io;

/// Why a glob does not give a list of files.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// It is absolute or leaves the package by `..`.
    #[error("`{0}` is outside the package")]
    Outside(String),
    /// A symbolic link leads out of the package.
    #[error("`{0}` is a symbolic link that leads outside the package")]
    LinkOutside(String),
    /// A name that is not UTF-8 matches.
    #[error("the file name {0:?} is not UTF-8; rename it, or exclude it")]
    NotUtf8(PathBuf),
    /// A directory could not be listed.
    #[error("cannot list {}: {}", directory.display(), describe_io(source))]
    Unreadable {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Lists files of one package; each directory is read once.
pub struct Globber {
    root: PathBuf,
    canonical_root: Option<PathBuf>,
    directories: HashMap<String, Listing>,
}

/// Names in a directory, and whether each is a directory.
type Listing = Vec<(String, bool)>;

/// Whether `pattern` has anything but literal characters.
pub fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// Whether `path` is relative and stays where it starts.
pub fn is_inside(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| part != "..") && !path.contains('\0')
}

impl Globber {
    /// For the package at `root`.
    pub fn new(root: PathBuf) -> Self {
        let canonical_root = root.canonicalize().ok();
        Self { root, canonical_root, directories: HashMap::new() }
    }

    /// The files that `pattern` matches, relative to the package and sorted. `*` and `?` do not match
    /// `/`, `**` does; names that start with a dot are matched only when spelled out. A pattern
    /// without wildcards is given back as it is, whether or not there is such a file.
    pub fn expand(&mut self, pattern: &str) -> Result<Vec<String>, GlobError> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        if !is_inside(pattern) {
            return Err(GlobError::Outside(pattern.to_owned()));
        }
        if !is_pattern(pattern) {
            self.check_link(pattern)?;
            return Ok(vec![pattern.to_owned()]);
        }
        let fixed: Vec<&str> = pattern.split('/').take_while(|part| !is_pattern(part)).collect();
        let depth = if pattern.contains("**") {
            usize::MAX
        } else {
            pattern.split('/').count() - fixed.len()
        };
        let base = fixed.join("/");
        if !base.is_empty() {
            self.check_link(&base)?;
        }
        let mut found = Vec::new();
        self.walk(&base, pattern, depth, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    fn walk(
        &mut self,
        directory: &str,
        pattern: &str,
        depth: usize,
        found: &mut Vec<String>,
    ) -> Result<(), GlobError> {
        self.list(directory, pattern)?;
        let mut below = Vec::new();
        for (name, is_directory) in self.directories.get(directory).into_iter().flatten() {
            let path =
                if directory.is_empty() { name.clone() } else { [directory, "/", name].concat() };
            if *is_directory {
                if depth > 1 {
                    below.push(path);
                }
            } else if glob_match(pattern, &path) {
                found.push(path);
            }
        }
        for path in below {
            self.walk(&path, pattern, depth - 1, found)?;
        }
        Ok(())
    }

    /// Reads a directory, once. One that is not there has no files.
    fn list(&mut self, directory: &str, pattern: &str) -> Result<(), GlobError> {
        if self.directories.contains_key(directory) {
            return Ok(());
        }
        let path = self.root.join(directory);
        let unreadable = |source| GlobError::Unreadable { directory: path.clone(), source };
        let mut listing = Listing::new();
        match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(error)),
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(unreadable)?;
                    let name = match entry.file_name().into_string() {
                        Ok(name) if name.starts_with('.') => continue,
                        Ok(name) => name,
                        Err(name) => {
                            let name = Path::new(directory).join(name);
                            if glob_match(pattern, &*name.to_string_lossy()) {
                                return Err(GlobError::NotUtf8(name));
                            }
                            continue;
                        }
                    };
                    let kind = entry.file_type().map_err(unreadable)?;
                    let mut is_directory = kind.is_dir();
                    if kind.is_symlink() {
                        let path = Path::new(directory).join(&name);
                        // A link to a directory is not walked into: it may lead to where it stands.
                        if fs::metadata(self.root.join(&path)).is_ok_and(|m| m.is_dir()) {
                            continue;
                        }
                        is_directory = false;
                        if glob_match(pattern, &*path.to_string_lossy()) {
                            self.check_link(&path.to_string_lossy())?;
                        }
                    }
                    listing.push((name, is_directory));
                }
            }
        }
        self.directories.insert(directory.to_owned(), listing);
        Ok(())
    }

    /// Refuses a path that leads out of the package by a symbolic link.
    fn check_link(&self, path: &str) -> Result<(), GlobError> {
        let Some(root) = &self.canonical_root else { return Ok(()) };
        match self.root.join(path).canonicalize() {
            Ok(real) if !real.starts_with(root) => Err(GlobError::LinkOutside(path.to_owned())),
            _ => Ok(()),
        }
    }
}
