//! Hashing what a file holds, as text or byte for byte.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::ContentHash;

/// How the bytes of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// CRLF reads as LF, so that a checkout with other line endings rebuilds nothing.
    Text,
    /// Byte for byte.
    Binary,
}

impl Content {
    /// How the file at `path` counts when a build found it: the sources and headers of C, C++ and
    /// assembly are text, anything else may be anything.
    pub fn of_source(path: &str) -> Self {
        const TEXT: &[&str] = &[
            "c", "h", "cc", "hh", "cpp", "hpp", "cxx", "hxx", "c++", "h++", "C", "H", "s", "S",
            "asm", "inc", "inl", "ipp", "tcc", "def", "y", "l", "py", "sh", "lean", "ml", "mli",
            "md", "txt",
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

/// The hash of the file at `path`. Reads it once, in pieces, whatever its size.
///
/// # Errors
/// Whatever opening or reading the file gives; a directory is an error.
pub fn compute_file_hash(path: &Path, content: Content) -> io::Result<ContentHash> {
    hash_reader(File::open(path)?, content)
}

/// The hash of all that `reader` gives.
pub fn hash_reader(mut reader: impl Read, content: Content) -> io::Result<ContentHash> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut hasher = TextHasher::default();
        loop {
            match reader.read(buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) if content == Content::Text => hasher.text(&buffer[..length]),
                Ok(length) => {
                    hasher.hasher.update(&buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
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
            prop_assert_eq!(hash_reader(Pieces(text.as_bytes(), piece), Content::Text).unwrap(), expected);
        }

        #[test]
        fn binary_is_byte_for_byte(bytes: Vec<u8>, piece in 1usize..9) {
            let hash = hash_reader(Pieces(&bytes, piece), Content::Binary).unwrap();
            prop_assert_eq!(hash, ContentHash::of_bytes(&bytes));
        }
    }
}
