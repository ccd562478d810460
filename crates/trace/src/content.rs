//! Hashing what a file holds, as text or byte for byte, and the names in a directory.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    path::Path,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType};

use crate::{ContentHash, look::look};

/// The kinds of content that a path can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// The bytes of a file, where CRLF reads as LF, so that a checkout with other line endings
    /// rebuilds nothing.
    Text,
    /// The bytes of a file, one for one.
    Binary,
    /// The names in a directory, and which of them are directories: whether anything appeared in it
    /// or vanished. A path without a directory has the hash of no names, [`NO_NAMES`].
    Names,
}

/// The hash, as [`Content::Names`], of a path where there is no directory. No directory has it.
pub const NO_NAMES: ContentHash = ContentHash::from_bytes([0; 32]);

impl Content {
    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Binary, Self::Names];

    /// How the file at `path` counts when a build found it by itself: text if its extension is one
    /// that compilers of the C family read as source code. Anything else counts byte for byte: a
    /// program may have read it with `#embed`, `.incbin` or in ways of its own.
    pub fn of_source(path: &str) -> Self {
        const TEXT: &[&str] = &[
            "c", "h", "cc", "hh", "cpp", "hpp", "cxx", "hxx", "c++", "h++", "C", "H", "inl", "ipp",
            "tcc", "s", "S",
        ];
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        if TEXT.contains(&extension) { Self::Text } else { Self::Binary }
    }
}

/// Large enough for BLAKE3 to use its widest vectors and to keep system calls rare.
const CHUNK: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// The hash of what is at `path`. A file is read once, in pieces, whatever its size.
///
/// # Errors
/// When the file cannot be opened or read. A directory is an error, except with [`Content::Names`].
pub fn compute_file_hash(path: &Path, content: Content) -> io::Result<ContentHash> {
    look(CWD, path, content).map(|hashed| hashed.hash)
}

/// The hash of an open file or directory.
pub(crate) fn hash_open(file: &File, content: Content) -> io::Result<ContentHash> {
    match content {
        Content::Text => hash_reader(file, true),
        Content::Binary => hash_reader(file, false),
        Content::Names => hash_names(file),
    }
}

fn hash_reader(mut reader: impl Read, text: bool) -> io::Result<ContentHash> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut hasher = TextHasher::default();
        loop {
            match reader.read(buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) if text => hasher.text(&buffer[..length]),
                Ok(length) => {
                    hasher.hasher.update(&buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
}

/// The names in a directory, sorted; each ends in a character that no name has: `/` if it is itself a
/// directory, else a zero byte.
fn hash_names(directory: &File) -> io::Result<ContentHash> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let mut name = entry.file_name().to_bytes().to_vec();
        if name == b"." || name == b".." {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => is_directory(directory, entry.file_name())?,
            kind => kind.is_dir(),
        };
        name.push(if is_directory { b'/' } else { 0 });
        names.push(name);
    }
    names.sort_unstable();
    Ok(ContentHash::of_bytes(&names.concat()))
}

/// For file systems that do not say so while listing. A name that vanished meanwhile is none.
fn is_directory(directory: &File, name: &std::ffi::CStr) -> io::Result<bool> {
    match rustix::fs::statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode).is_dir()),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The hash of `text` as [`Content::Text`].
pub fn hash_text(text: &[u8]) -> ContentHash {
    let mut hasher = TextHasher::default();
    hasher.text(text);
    hasher.finish()
}

#[derive(Default)]
struct TextHasher {
    hasher: blake3::Hasher,
    /// The last piece ended in CR, which is held back until the next byte is known.
    held: bool,
}

impl TextHasher {
    fn text(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held) && piece[0] != b'\n' {
            self.hasher.update(b"\r");
        }
        let mut rest = piece;
        while let Some(at) = memchr::memchr(b'\r', rest) {
            match rest.get(at + 1) {
                Some(b'\n') => self.hasher.update(&rest[..at]),
                Some(_) => self.hasher.update(&rest[..=at]),
                None => {
                    self.held = true;
                    self.hasher.update(&rest[..at])
                }
            };
            rest = &rest[at + 1..];
        }
        self.hasher.update(rest);
    }

    fn finish(mut self) -> ContentHash {
        if self.held {
            self.hasher.update(b"\r");
        }
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, fs};

    /// Gives its bytes in pieces of the lengths asked for.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    proptest! {
        #[test]
        fn text_is_the_binary_of_its_lf_form(text in "[a\r\n]{0,40}", piece in 1usize..9) {
            let lf = text.replace("\r\n", "\n");
            let expected = ContentHash::of_bytes(lf.as_bytes());
            prop_assert_eq!(hash_text(text.as_bytes()), expected);
            prop_assert_eq!(hash_reader(Pieces(text.as_bytes(), piece), true).unwrap(), expected);
        }

        #[test]
        fn binary_is_byte_for_byte(bytes: Vec<u8>, piece in 1usize..9) {
            let hash = hash_reader(Pieces(&bytes, piece), false).unwrap();
            prop_assert_eq!(hash, ContentHash::of_bytes(&bytes));
        }

        #[test]
        fn names_are_equal_exactly_when_the_entries_are(a in entries(), b in entries()) {
            prop_assert_eq!(names_of(&a) == names_of(&b), a == b);
        }
    }

    /// Names, and which of them are directories.
    fn entries() -> impl Strategy<Value = BTreeMap<String, bool>> {
        prop::collection::btree_map("[ab]{1,2}", any::<bool>(), 0..4)
    }

    fn names_of(entries: &BTreeMap<String, bool>) -> ContentHash {
        let directory = tempfile::tempdir().unwrap();
        for (name, is_directory) in entries {
            let path = directory.path().join(name);
            if *is_directory { fs::create_dir(path) } else { fs::write(path, name) }.unwrap();
        }
        compute_file_hash(directory.path(), Content::Names).unwrap()
    }

    #[test]
    fn no_directory_has_no_names() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [place.path().join("gone"), file.join("below"), file] {
            assert_eq!(compute_file_hash(&path, Content::Names).unwrap(), NO_NAMES);
        }
        assert_ne!(names_of(&BTreeMap::new()), NO_NAMES);
    }

    #[test]
    fn only_what_compilers_read_as_source_code_is_text() {
        for path in ["a.c", "d.x/a.hpp", "a.S", "a.s", "a.C", "a.inl", "a.b.h++"] {
            assert_eq!(Content::of_source(path), Content::Text, "{path}");
        }
        for path in
            ["a", "c", "a.txt", "a.inc", "a.def", "a.py", "a.md", "a.CPP", "a.c/b", "a.o", "a."]
        {
            assert_eq!(Content::of_source(path), Content::Binary, "{path}");
        }
    }
}
