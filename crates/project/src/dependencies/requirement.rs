//! What manifests ask for.

use std::{ops::Range, path::PathBuf};

use crate::{
    archive::{self, ArchiveHash},
    diagnostic::{Diagnostic, SourceText},
    git::Commit,
    lockfile::Pinned,
    packages::Content,
    repository::Repository,
};

/// A dependency from elsewhere that a manifest requires.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    /// The dependency's name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The package that asks.
    pub user: String,
    /// Its manifest.
    pub source: SourceText,
    /// Where it asks.
    pub span: Range<usize>,
}

/// Where a dependency comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A repository.
    Git {
        /// The repository.
        repository: Repository,
        /// The repository as the lock file spells it.
        spelled: String,
        /// The commit, tag or branch; `None` is the default branch.
        rev: Option<String>,
        /// Whether its submodules belong to it.
        submodules: bool,
    },
    /// An archive.
    Archive {
        /// Where it is.
        from: ArchivePlace,
        /// Its hash.
        hash: ArchiveHash,
        /// The directories above its sources, where the manifest says how many.
        strip: Option<u32>,
    },
}

/// Where an archive is.
#[derive(Debug, Clone)]
pub(crate) enum ArchivePlace {
    /// On the web.
    Url(String),
    /// Here, as part of a package.
    File(PathBuf),
}

impl Requirement {
    /// A mistake where it asks.
    pub fn wrong(&self, message: String) -> Diagnostic {
        Diagnostic::new(message).at(&self.source, self.span.clone())
    }

    /// What is asked for and pinned, for people.
    pub fn pinned(&self, content: &Content) -> String {
        let (name, short) = (&self.name, content.short());
        match &self.origin {
            Origin::Git { repository, .. } => {
                format!("the dependency `{name}` ({}, commit {short})", repository.url())
            }
            Origin::Archive { .. } => {
                format!("the dependency `{name}` ({})", self.origin.asked())
            }
        }
    }
}

impl Origin {
    /// Whether `other`, which was found as `content`, is the same.
    pub fn is(&self, other: &Self, content: Option<&Content>) -> bool {
        match other {
            Self::Git { repository, rev, .. } => {
                let commit = match content {
                    Some(Content::Commit(commit)) => Some(commit),
                    _ => None,
                };
                self.is_commit(repository, rev.as_deref(), commit)
                    && self.submodules() == other.submodules()
            }
            Self::Archive { hash, strip, .. } => {
                self.hash() == Some(hash) && self.strip() == *strip
            }
        }
    }

    /// Whether it asks for `rev` of `repository`, or for the commit that this is.
    pub fn is_commit(
        &self,
        repository: &Repository,
        rev: Option<&str>,
        commit: Option<&Commit>,
    ) -> bool {
        match self {
            Self::Git { repository: own, rev: own_rev, .. } => {
                let own_rev = own_rev.as_deref();
                let names = commit.is_some_and(|commit| own_rev == Some(commit.as_str()));
                own.is(repository) && (own_rev == rev || names)
            }
            Self::Archive { .. } => false,
        }
    }

    /// The hash of an archive.
    pub fn hash(&self) -> Option<&ArchiveHash> {
        match self {
            Self::Git { .. } => None,
            Self::Archive { hash, .. } => Some(hash),
        }
    }

    /// The directories above the sources of an archive, where the manifest says how many.
    pub fn strip(&self) -> Option<u32> {
        match self {
            Self::Git { .. } => None,
            Self::Archive { strip, .. } => *strip,
        }
    }

    /// Whether it is a repository whose submodules belong to it.
    pub fn submodules(&self) -> bool {
        matches!(self, Self::Git { submodules: true, .. })
    }

    /// Whether the lock file has an entry of it: it does not come from the package itself.
    pub fn is_pinned(&self) -> bool {
        !matches!(self, Self::Archive { from: ArchivePlace::File(_), .. })
    }

    /// The lock file's entry for it, once it was found as `content`.
    pub fn entry(&self, content: &Content) -> Option<Pinned> {
        match (self, content) {
            (Self::Git { spelled, rev, .. }, Content::Commit(commit)) => {
                Some(Pinned::Git { git: spelled.clone(), rev: rev.clone(), commit: commit.clone() })
            }
            (Self::Archive { from: ArchivePlace::Url(url), .. }, Content::Archive(hash)) => {
                Some(Pinned::Archive { url: url.clone(), hash: hash.clone() })
            }
            _ => None,
        }
    }

    /// What is asked for, for people.
    pub fn asked(&self) -> String {
        match self {
            Self::Git { repository, rev, submodules, .. } => {
                let with = if *submodules { " with submodules" } else { "" };
                asked(repository.url(), rev.as_deref()) + with
            }
            Self::Archive { from: ArchivePlace::Url(url), hash, .. } => asked_archive(url, hash),
            Self::Archive { from: ArchivePlace::File(path), hash, .. } => {
                asked_archive(&path.to_string_lossy(), hash)
            }
        }
    }
}

/// A revision of a repository, for people.
pub(super) fn asked(url: &str, rev: Option<&str>) -> String {
    format!("{url} at {}", rev.unwrap_or("its default branch"))
}

/// An archive, for people.
pub(super) fn asked_archive(url: &str, hash: &ArchiveHash) -> String {
    format!("{} with {} {}…", archive::shown(url), hash.algorithm.name(), hash.short())
}
