//! Digests: how servers name contents. SHA-256, the one function that all of them know.

use std::{fmt, fs::File, io, path::Path};

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::wire::re;

/// The name of a content: its SHA-256 and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    hash: [u8; 32],
    /// In bytes.
    pub size: u64,
}

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { hash: Sha256::digest(bytes).into(), size: bytes.len() as u64 }
    }

    /// Returns the digest of a message as it is sent.
    pub fn of_message(message: &impl Message) -> (Self, Vec<u8>) {
        let bytes = message.encode_to_vec();
        (Self::of_bytes(&bytes), bytes)
    }

    /// Returns the digest of what a file holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut running = Running::default();
        io::copy(&mut File::open(path)?, &mut running)?;
        Ok(running.finish())
    }

    /// Returns the digest that a message names; none where that is no SHA-256 and size.
    pub fn parse(wire: &re::Digest) -> Option<Self> {
        let size = u64::try_from(wire.size_bytes).ok()?;
        if wire.hash.len() != 64 || !wire.hash.is_ascii() {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&wire.hash[at..at + 2], 16).ok()?;
        }
        Some(Self { hash, size })
    }

    /// Returns the digest as messages have it.
    pub fn to_wire(self) -> re::Digest {
        re::Digest { hash: self.hex(), size_bytes: self.size as i64 }
    }

    /// Returns the hash alone, in hexadecimal digits.
    pub fn hex(&self) -> String {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        let mut text = String::with_capacity(64);
        text.extend(self.hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        text
    }
}

/// `HASH/SIZE`, as names of resources have it.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

/// The digest of bytes as they come.
#[derive(Default)]
pub struct Running {
    hash: Sha256,
    size: u64,
}

impl Running {
    /// Returns the digest of all that came.
    pub fn finish(self) -> Digest {
        Digest { hash: self.hash.finalize().into(), size: self.size }
    }
}

impl io::Write for Running {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_back_and_others_are_refused() {
        let digest = Digest::of_bytes(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), format!("{hex}/3"));
        assert_eq!(Digest::parse(&digest.to_wire()), Some(digest));
        for (hash, size_bytes) in [(hex, -1), (&hex[1..], 3), ("", 0), (&"é".repeat(32), 3)] {
            let wire = re::Digest { hash: hash.to_owned(), size_bytes };
            assert_eq!(Digest::parse(&wire), None, "{hash}");
        }
    }
}
