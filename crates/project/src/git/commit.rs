//! Names of commits, and what else can name one.

use std::{fmt, str::FromStr};

/// A commit's name: 40 lowercase hex digits (SHA-1) or 64 (SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(String);

impl Commit {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first of the digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// The digits.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commit is 40 or 64 lowercase hex digits")]
pub struct ParseCommitError;

impl FromStr for Commit {
    type Err = ParseCommitError;

    fn from_str(text: &str) -> Result<Self, ParseCommitError> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let whole = matches!(text.len(), 40 | 64);
        (hex && whole).then(|| Self(text.to_owned())).ok_or(ParseCommitError)
    }
}

/// Whether `text` can name a commit, tag or branch (the rules of `git check-ref-format`).
pub fn is_revision(text: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.'])
            && !part.ends_with(".lock")
    };
    text.len() <= 255
        && text != "@"
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(bad)
        && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_and_revisions() {
        assert!("a".repeat(40).parse::<Commit>().is_ok());
        assert!("0".repeat(64).parse::<Commit>().is_ok());
        for bad in ["", "abc", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert_eq!(bad.parse::<Commit>(), Err(ParseCommitError));
        }
        for good in
            ["main", "v1.3.1", "release/2.x", "refs/tags/a", "user+x@y", "añadir", "1234567"]
        {
            assert!(is_revision(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a/",
            "/a",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a\nb",
            "@",
            "a@{1}",
            "*",
            "a\\b",
            "--upload-pack=x",
        ] {
            assert!(!is_revision(bad), "{bad:?}");
        }
    }
}
