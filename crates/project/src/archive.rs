//! Archives of sources: known by the hash of the file, unpacked by strict rules.

mod formats;
mod tree;

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    str::FromStr,
};

use sha2::Digest;

pub use formats::unpack;
pub use tree::UnpackError;

/// A hash of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveHash {
    /// The function that it is of.
    pub algorithm: Algorithm,
    /// 64 lowercase hex digits.
    digits: String,
}

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Blake3];

    /// Its name, which is also the key that a hash stands under.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }
}

impl ArchiveHash {
    /// The hash with these digits; `None` when they are not 64 hex digits.
    pub fn new(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| Self { algorithm, digits: digits.to_ascii_lowercase() })
    }

    /// The hash of what `file` holds, from its beginning to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(algorithm: Algorithm, mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        let digits = match algorithm {
            Algorithm::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                io::copy(&mut file, &mut hasher)?;
                hasher.finalize().to_hex().to_string()
            }
            Algorithm::Sha256 => {
                let mut hasher = sha2::Sha256::new();
                let mut piece = vec![0; 64 << 10];
                loop {
                    match file.read(&mut piece)? {
                        0 => break,
                        length => hasher.update(&piece[..length]),
                    }
                }
                hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        file.rewind()?;
        Ok(Self { algorithm, digits })
    }

    /// Makes sure that `file` has this hash. Returns what it has, if that is another.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn check(&self, file: &File) -> io::Result<Result<(), Self>> {
        let found = Self::of(self.algorithm, file)?;
        Ok(if found == *self { Ok(()) } else { Err(found) })
    }

    /// Opens an archive and makes sure that it has this hash.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub fn open(&self, path: &Path) -> Result<File, String> {
        let reason = |error: io::Error| larder_trace::describe_io(&error);
        let (file, _) = larder_trace::open_regular(path).map_err(reason)?;
        match self.check(&file).map_err(reason)? {
            Ok(()) => Ok(file),
            Err(found) => Err(mismatch(self, &found)),
        }
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The first of the digits, for people.
    pub fn short(&self) -> &str {
        &self.digits[..12]
    }
}

/// `ALGORITHM-DIGITS`.
impl fmt::Display for ArchiveHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algorithm.name(), self.digits)
    }
}

/// Why a text is no hash of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is `sha256-` or `blake3-` and 64 hex digits")]
pub struct ParseHashError;

impl FromStr for ArchiveHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let (name, digits) = text.split_once('-').ok_or(ParseHashError)?;
        let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == name);
        Self::new(algorithm.ok_or(ParseHashError)?, digits).ok_or(ParseHashError)
    }
}

/// Fetches files from the web, for whoever cannot.
pub trait Fetcher: fmt::Debug + Send + Sync {
    /// Writes what is at `url` to a file that is empty: at most `limit` bytes.
    ///
    /// # Errors
    /// Why it cannot be had, in words that hold no secret of the URL. What has been written is then worth
    /// nothing.
    fn fetch(&self, url: &str, to: &File, limit: u64) -> Result<(), String>;
}

/// The most that an archive may be long, in bytes.
pub const LONGEST: u64 = 2 << 30;

/// Why a text is no URL of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is a user or a password in it, which is not repeated here.
    #[error(
        "the URL holds a user or a password, which would be readable for everybody; archives are \
         fetched without"
    )]
    Password,
    /// It has another scheme or form.
    #[error("`{0}` is no URL of an archive: https://HOST/PATH or http://HOST/PATH")]
    Form(String),
}

/// Makes sure that `url` is one that archives are fetched from.
///
/// # Errors
/// Why it is not.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(UrlError::Password);
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    match authority {
        Some(host) if !host.is_empty() && !url.contains(odd) => Ok(()),
        _ => Err(UrlError::Form(crate::repository::without_password(shown(url)))),
    }
}

/// `url` for people: without a query, which may hold a secret.
pub fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// The words for an archive that is another one.
pub(crate) fn mismatch(wanted: &ArchiveHash, found: &ArchiveHash) -> String {
    let (name, wanted, found) = (wanted.algorithm.name(), wanted.digits(), found.digits());
    format!("its {name} is {found}, and not {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let digits = "0123456789abcdef".repeat(4);
        for algorithm in Algorithm::ALL {
            let hash = ArchiveHash::new(algorithm, &digits.to_uppercase()).unwrap();
            assert_eq!(hash.to_string().parse(), Ok(hash));
        }
        for bad in ["", "sha256", "sha256-", "md5-00", &digits, &format!("sha1-{digits}")] {
            assert!(bad.parse::<ArchiveHash>().is_err(), "{bad}");
        }
        let file = tempfile::tempfile().unwrap();
        let empty = |algorithm| ArchiveHash::of(algorithm, &file).unwrap().to_string();
        assert!(empty(Algorithm::Sha256).starts_with("sha256-e3b0c44298fc1c14"));
        assert!(empty(Algorithm::Blake3).starts_with("blake3-af1349b9f5f9a1a6"));
    }

    #[test]
    fn urls_are_plain() {
        for good in ["https://a.org/b.tar.gz", "http://127.0.0.1:80/x?y=1", "https://[::1]/@x"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["https://u:secret@a.org/b", "http://secret@a.org/b", "ftp://u:secret@a/b"] {
            let said = check_url(bad).unwrap_err().to_string();
            assert!(!said.contains("secret"), "{said}");
        }
        for bad in ["", "a.tar.gz", "file:///a", "https://", "https:///a", "https://a.org/ b"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        assert_eq!(shown("https://a.org/b?token=secret#x"), "https://a.org/b");
    }
}
