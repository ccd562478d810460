//! The sources of a package from elsewhere, to the last byte.

use std::{fmt, str::FromStr};

use crate::{
    archive::ArchiveHash,
    git::{Commit, ParseCommitError},
};

/// The content that a package is made from, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// A commit.
    Commit(Commit),
    /// An archive.
    Archive(ArchiveHash),
}

impl Content {
    /// The first of the digits, for people.
    pub fn short(&self) -> &str {
        match self {
            Self::Commit(commit) => commit.short(),
            Self::Archive(hash) => hash.short(),
        }
    }
}

/// The digits of a commit; `ALGORITHM-DIGITS` of an archive.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => commit.fmt(f),
            Self::Archive(hash) => hash.fmt(f),
        }
    }
}

impl FromStr for Content {
    type Err = ParseCommitError;

    fn from_str(text: &str) -> Result<Self, ParseCommitError> {
        match text.parse() {
            Ok(hash) => Ok(Self::Archive(hash)),
            Err(_) => text.parse().map(Self::Commit),
        }
    }
}

/// A content, and what of it is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The content.
    pub content: Content,
    /// Of an archive, the directories above its sources, where the manifest says how many.
    pub strip: Option<u32>,
    /// Of a commit, whether its submodules are checked out with it.
    pub submodules: bool,
}

/// The content and what makes it another tree than it is by itself: also the name of a directory.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.content.fmt(f)?;
        if self.submodules {
            f.write_str("+submodules")?;
        }
        self.strip.map_or(Ok(()), |strip| write!(f, "+strip{strip}"))
    }
}
