//! Globs of files inside a package.

mod listing;

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use fast_glob::glob_match;
use larder_trace::{StatIndex, describe_io};

use self::listing::{Kind, Listing};
use crate::{
    path::{PackagePath, concat},
    place::Place,
};

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
        /// The system's error.
        source: io::Error,
    },
}

/// Lists files of one package; each directory is read once.
pub struct Globber<'i> {
    root: PathBuf,
    canonical_root: Option<PathBuf>,
    directories: HashMap<String, Listing>,
    /// By path from the package: whether it is a symbolic link.
    links: HashMap<String, bool>,
    /// What remembers listings from one run to the next.
    memory: Option<(&'i StatIndex, Arc<Place>)>,
}

/// Whether `path` matches `pattern`. A name that starts with a dot matches none.
pub fn matches(pattern: &str, path: &str) -> bool {
    !path.split('/').any(|name| name.starts_with('.')) && glob_match(pattern, path)
}

/// Whether `pattern` has anything but literal characters.
pub fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// Whether `path` is relative and stays where it starts.
pub fn is_inside(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| part != "..") && !path.contains('\0')
}

impl<'i> Globber<'i> {
    /// For the package at `root`.
    pub fn new(root: PathBuf) -> Self {
        let canonical_root = root.canonicalize().ok();
        let (directories, links) = Default::default();
        Self { root, canonical_root, directories, links, memory: None }
    }

    /// Returns the same for the package at `place`, with an index that remembers listings: a directory that has not
    /// changed is not read again.
    #[must_use]
    pub fn remembering(self, index: &'i StatIndex, place: Arc<Place>) -> Self {
        Self { memory: Some((index, place)), ..self }
    }

    /// Returns the files that `pattern` matches, relative to the package and sorted. `*` and `?` do not
    /// match `/`, `**` does; names that start with a dot are matched only when spelled out. A pattern
    /// without wildcards is given back as it is, whether or not there is such a file.
    ///
    /// # Errors
    /// The first thing that is wrong; [`Self::collect`] finds all.
    pub fn expand(&mut self, pattern: &str) -> Result<Vec<PackagePath>, GlobError> {
        let mut errors = Vec::new();
        let found = self.collect(pattern, &mut errors);
        errors.into_iter().next().map_or(Ok(found), Err)
    }

    /// The same, with everything that is wrong added to `errors`, and what matches besides.
    pub fn collect(&mut self, pattern: &str, errors: &mut Vec<GlobError>) -> Vec<PackagePath> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        if !is_inside(pattern) {
            errors.push(GlobError::Outside(pattern.to_owned()));
            return Vec::new();
        }
        let fixed: Vec<&str> = pattern.split('/').take_while(|part| !is_pattern(part)).collect();
        let base = fixed.join("/");
        if !base.is_empty()
            && let Err(error) = self.check_links(&base)
        {
            errors.push(error);
            return Vec::new();
        }
        if !is_pattern(pattern) {
            return vec![PackagePath(pattern.into())];
        }
        let depth = if pattern.contains("**") {
            usize::MAX
        } else {
            pattern.split('/').count() - fixed.len()
        };
        let mut found = Vec::new();
        self.walk(&base, pattern, depth, &mut found, errors);
        found.sort_unstable();
        found
    }

    /// Returns the directories that were listed, absolute.
    pub fn listed(&self) -> impl Iterator<Item = PathBuf> {
        self.directories.keys().map(|directory| self.root.join(directory))
    }

    fn walk(
        &mut self,
        directory: &str,
        pattern: &str,
        depth: usize,
        found: &mut Vec<PackagePath>,
        errors: &mut Vec<GlobError>,
    ) {
        if let Err(error) = self.list(directory) {
            errors.push(error);
            return;
        }
        let Some(listing) = self.directories.get(directory) else { return };
        let not_utf8 = listing.not_utf8.iter();
        let matched = not_utf8.filter(|path| glob_match(pattern, &*path.to_string_lossy()));
        errors.extend(matched.map(|path| GlobError::NotUtf8(path.clone())));
        let mut below = Vec::new();
        for (name, kind) in listing.entries() {
            let between = if directory.is_empty() { "" } else { "/" };
            let path = PackagePath(concat(&[directory, between, name]));
            match kind {
                Kind::Directory if depth > 1 => below.push(path),
                Kind::Directory => {}
                Kind::File | Kind::Link if !glob_match(pattern, path.as_str()) => {}
                Kind::File => found.push(path),
                Kind::Link => match self.check_link(path.as_str()) {
                    Ok(()) => found.push(path),
                    Err(error) => errors.push(error),
                },
            }
        }
        for path in below {
            self.walk(path.as_str(), pattern, depth - 1, found, errors);
        }
    }

    /// Reads a directory, once. One that is not there has no files.
    fn list(&mut self, directory: &str) -> Result<(), GlobError> {
        if self.directories.contains_key(directory) {
            return Ok(());
        }
        let path = || PackagePath(directory.into());
        let memory = self.memory.as_ref();
        let memory = memory.map(|(index, place)| (*index, place.package_directory(&path())));
        let known = memory.as_ref().and_then(|(index, path)| index.listing(path.as_str()));
        let listing = match known {
            Some(entries) => Listing::remembered(entries),
            None => {
                let listing = Listing::read(&self.root, directory)?;
                if let Some((index, path)) = memory.filter(|_| listing.is_plain()) {
                    index.set_listing(path.as_str(), &listing.entries);
                }
                listing
            }
        };
        self.directories.insert(directory.to_owned(), listing);
        Ok(())
    }

    /// Refuses a path that leads out of the package by a symbolic link on its way.
    fn check_links(&mut self, path: &str) -> Result<(), GlobError> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let mut links = ends.map(|end| &path[..end]).filter(|above| {
            let known = self.links.get(*above).copied();
            known.unwrap_or_else(|| {
                let found = self.root.join(above).symlink_metadata();
                let is_link = found.is_ok_and(|metadata| metadata.is_symlink());
                self.links.insert((*above).to_owned(), is_link);
                is_link
            })
        });
        match links.next() {
            Some(_) => self.check_link(path),
            None => Ok(()),
        }
    }

    /// Refuses a path that leads out of the package.
    fn check_link(&self, path: &str) -> Result<(), GlobError> {
        let Some(root) = &self.canonical_root else { return Ok(()) };
        match self.root.join(path).canonicalize() {
            Ok(real) if !real.starts_with(root) => Err(GlobError::LinkOutside(path.to_owned())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn every_pattern_is_checked_and_all_mistakes_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let package = directory.path().join("p");
        fs::create_dir(&package).unwrap();
        fs::write(directory.path().join("out.c"), "").unwrap();
        fs::write(package.join("a.h"), "").unwrap();
        fs::write(package.join("a.c"), "").unwrap();
        symlink("../out.c", package.join("x.c")).unwrap();
        symlink("../out.c", package.join("y.c")).unwrap();
        let mut globber = Globber::new(package);
        assert_eq!(globber.expand("*.h").unwrap(), [PackagePath("a.h".into())]);
        let mut errors = Vec::new();
        // The directory was listed for the headers before.
        assert_eq!(globber.collect("*.c", &mut errors), [PackagePath("a.c".into())]);
        assert!(globber.collect("../*.c", &mut errors).is_empty());
        let mut said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        said.sort();
        assert_eq!(
            said,
            [
                "`../*.c` is outside the package",
                "`x.c` is a symbolic link that leads outside the package",
                "`y.c` is a symbolic link that leads outside the package",
            ]
        );
    }
}
