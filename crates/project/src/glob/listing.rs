//! The entries of a directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::GlobError;

/// The entries of a directory but those that start with a dot.
#[derive(Default)]
pub(super) struct Listing {
    /// Of each entry the letter of its kind, its name and a `/`.
    pub entries: String,
    /// Paths from the package of names that are not UTF-8.
    pub not_utf8: Vec<PathBuf>,
    /// Whether it depends on what a link leads to.
    has_links: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// A symbolic link to anything but a directory.
    Link,
}

impl Kind {
    const LETTERS: [(Self, char); 3] =
        [(Self::Directory, 'd'), (Self::File, 'f'), (Self::Link, 'l')];
}

impl Listing {
    /// The listing that was remembered by its `entries`.
    pub fn remembered(entries: String) -> Self {
        Self { entries, ..Self::default() }
    }

    /// Reads `directory` of the package at `root`. One that is not there has no entries.
    pub fn read(root: &Path, directory: &str) -> Result<Self, GlobError> {
        let path = root.join(directory);
        let unreadable = |source| GlobError::Unreadable { directory: path.clone(), source };
        let mut listing = Self::default();
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let name = match entry.file_name().into_string() {
                Ok(name) if name.starts_with('.') => continue,
                Ok(name) => name,
                Err(name) => {
                    listing.not_utf8.push(Path::new(directory).join(name));
                    continue;
                }
            };
            let kind = entry.file_type().map_err(unreadable)?;
            listing.has_links |= kind.is_symlink();
            listing.add(
                &name,
                match (kind.is_dir(), kind.is_symlink()) {
                    (true, _) => Kind::Directory,
                    // A link to a directory is not walked into: it may lead to where it stands.
                    (_, true) if fs::metadata(path.join(&name)).is_ok_and(|m| m.is_dir()) => {
                        continue;
                    }
                    (_, true) => Kind::Link,
                    (_, false) => Kind::File,
                },
            );
        }
        Ok(listing)
    }

    fn add(&mut self, name: &str, kind: Kind) {
        let letter = Kind::LETTERS.iter().find(|(one, _)| *one == kind);
        self.entries.extend(letter.map(|(_, letter)| letter));
        self.entries.push_str(name);
        self.entries.push('/');
    }

    /// Whether the names and kinds of the entries decide it, and `entries` is all that there is to say.
    pub fn is_plain(&self) -> bool {
        !self.has_links && self.not_utf8.is_empty()
    }

    /// Returns each entry with its kind.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.entries.split_terminator('/').filter_map(|entry| {
            let (kind, letter) =
                Kind::LETTERS.iter().find(|(_, letter)| entry.starts_with(*letter))?;
            Some((&entry[letter.len_utf8()..], *kind))
        })
    }
}
