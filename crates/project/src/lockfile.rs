//! `larder.lock`: the commits and archives that dependencies from elsewhere are built from.
//!
//! TOML, sorted by package, the same bytes for the same content:
//!
//! ```toml
//! # Written by larder; only `larder update` moves an entry. Check it in.
//! version = 1
//!
//! [[package]]
//! name = "zlib"
//! git = "https://github.com/madler/zlib"
//! rev = "v1.3.1"
//! commit = "51b7f2abdade71cd9bb0e7a373ef2610ec6f9daf"
//! ```
//!
//! `git` and `rev` are what a manifest asked for; without `rev`, the repository's default branch. An
//! archive has `url` and `sha256` or `blake3` instead.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use larder_trace::{atomic, describe_io};
use toml::de::DeValue;

use crate::{
    archive::{self, ArchiveHash},
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    git::{Commit, is_revision},
    packages::Content,
    repository::Repository,
    table::{Errors, Fields, parse},
};

/// The lock file's name.
pub const FILE_NAME: &str = "larder.lock";

/// The version of the format that this larder writes, and the only one it reads.
pub const VERSION: i64 = 1;

/// A lock file larger than this, in bytes, is refused rather than read into memory.
const SIZE_LIMIT: u64 = 16 << 20;

const HEADER: &str = "# Written by larder; only `larder update` moves an entry. Check it in.\n";

/// The advice for a lock file that cannot be used.
const REPAIR: &str =
    "restore it from version control, or delete it and let `larder update` write it anew";

/// The pinned packages, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockfile {
    /// The entries.
    pub packages: BTreeMap<String, Pinned>,
}

/// One `[[package]]`: what was asked for, and what this was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinned {
    /// A commit.
    Git {
        /// The repository, as a manifest spells it; a relative path is relative to the lock file.
        git: String,
        /// The commit, tag or branch asked for; `None` is the default branch.
        rev: Option<String>,
        /// The commit that `rev` named when it was pinned.
        commit: Commit,
    },
    /// An archive.
    Archive {
        /// Its URL, as a manifest spells it.
        url: String,
        /// Its hash.
        hash: ArchiveHash,
    },
}

impl Pinned {
    /// The content that is pinned.
    pub fn content(&self) -> Content {
        match self {
            Self::Git { commit, .. } => Content::Commit(commit.clone()),
            Self::Archive { hash, .. } => Content::Archive(hash.clone()),
        }
    }
}

impl Lockfile {
    /// Reads the lock file of the package in `directory`; without one, nothing is pinned.
    ///
    /// # Errors
    /// Everything wrong with it, each with its line.
    pub fn read(directory: &Path) -> Result<Self, Diagnostics> {
        let path = directory.join(FILE_NAME);
        let unusable = |what: String| Diagnostic::new(what).help(REPAIR);
        let text = match read_bounded(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(unusable(format!(
                    "cannot read {}: {}",
                    path.display(),
                    describe_io(&error)
                ))
                .into());
            }
        };
        Self::parse(&SourceText::new(path, text).map_err(|error| error.help(REPAIR))?)
    }

    /// Reads a lock file's text.
    ///
    /// # Errors
    /// Everything wrong with it, each with its line.
    pub fn parse(source: &SourceText) -> Result<Self, Diagnostics> {
        let base = source.path.parent().unwrap_or(Path::new("/"));
        let text = source.text.clone();
        let parsed = parse(&text, source).map_err(|error| error.help(REPAIR))?;
        let mut errors = Errors::new(source);
        let mut top = Fields::new(&mut errors, "the lock file", parsed.span(), parsed.into_inner());
        if let Some(wrong) = wrong_version(&mut top) {
            return Err(wrong.help(REPAIR).into());
        }
        let entries = top.tables("package", |fields| entry(fields, base));
        top.finish();
        let mut packages = BTreeMap::new();
        for (name, pinned) in entries {
            let span = name.span.clone();
            if packages.insert(name.value.clone(), pinned).is_some() {
                errors.push(span, format!("there are two entries for `{}`", *name), None);
            }
        }
        if errors.found.is_empty() {
            return Ok(Self { packages });
        }
        for error in &mut errors.found {
            error.help.get_or_insert_with(|| REPAIR.to_owned());
        }
        Err(Diagnostics(errors.found))
    }

    /// Writes it into `directory`, unless it is there with exactly this content. Returns whether
    /// it wrote.
    ///
    /// # Errors
    /// The system's error when it cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<bool> {
        atomic::write_if_changed(&directory.join(FILE_NAME), self.to_string().as_bytes())
    }
}

/// The file's text.
impl std::fmt::Display for Lockfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{HEADER}version = {VERSION}")?;
        for (name, pinned) in &self.packages {
            write!(f, "\n[[package]]\nname = {}\n", quoted(name))?;
            match pinned {
                Pinned::Git { git, rev, commit } => {
                    writeln!(f, "git = {}", quoted(git))?;
                    if let Some(rev) = rev {
                        writeln!(f, "rev = {}", quoted(rev))?;
                    }
                    writeln!(f, "commit = {}", quoted(commit.as_str()))?;
                }
                Pinned::Archive { url, hash } => {
                    writeln!(f, "url = {}", quoted(url))?;
                    writeln!(f, "{} = {}", hash.algorithm.name(), quoted(hash.digits()))?;
                }
            }
        }
        Ok(())
    }
}

/// A TOML string. Control characters are in none that is written here.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut text)?;
    match text.len() as u64 > SIZE_LIMIT {
        true => Err(io::Error::other("it is larger than any lock file")),
        false => Ok(text),
    }
}

/// A newer version may mean anything by its other keys, so this comes before them.
fn wrong_version(top: &mut Fields<'_, '_>) -> Option<Diagnostic> {
    let source = top.errors.source();
    let Some(value) = top.take("version") else {
        let message = "the lock file has no version";
        return Some(Diagnostic::new(message).at(source, 0..0));
    };
    let version = match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    let message = match version {
        Some(VERSION) => return None,
        Some(newer) if newer > VERSION => format!(
            "the lock file has version {newer}, and this larder reads version {VERSION}: a newer \
             larder wrote it"
        ),
        _ => "this is no version of a lock file".to_owned(),
    };
    Some(Diagnostic::new(message).at(source, value.span()))
}

fn entry(mut fields: Fields<'_, '_>, base: &Path) -> Option<(Located<String>, Pinned)> {
    let name = fields.name()?;
    fields.what = format!("the entry of `{}`", *name);
    let pinned = match fields.entries.contains_key("url") {
        true => archive(&mut fields),
        false => commit(&mut fields, base),
    };
    fields.finish();
    Some((name, pinned?))
}

fn archive(fields: &mut Fields<'_, '_>) -> Option<Pinned> {
    let url = fields.required("url")?;
    if let Err(error) = archive::check_url(&url) {
        fields.errors.push_secret(url.span.clone(), error.to_string());
    }
    let mut hashes = fields.hashes();
    let hash = hashes.pop();
    if hash.is_none() || !hashes.is_empty() {
        let message = format!("{} has no hash, or several", fields.what);
        fields.errors.push(fields.span.clone(), message, None);
    }
    Some(Pinned::Archive { url: url.value, hash: hash? })
}

fn commit(fields: &mut Fields<'_, '_>, base: &Path) -> Option<Pinned> {
    let git = fields.required("git")?;
    if let Err(error) = Repository::parse(&git, base) {
        fields.errors.push_secret(git.span.clone(), error.to_string());
    }
    let rev = fields.string("rev");
    if let Some(rev) = &rev
        && !is_revision(rev)
    {
        fields.errors.push(rev.span.clone(), format!("`{}` is no revision", **rev), None);
    }
    let commit = fields.required("commit")?;
    let parsed = commit.parse();
    if parsed.is_err() {
        let message = format!("`{}` is no commit", *commit);
        let help = "a commit is 40 or 64 lowercase hex digits";
        fields.errors.push(commit.span.clone(), message, Some(help.to_owned()));
    }
    Some(Pinned::Git { git: git.value, rev: rev.map(|rev| rev.value), commit: parsed.ok()? })
}

#[cfg(test)]
mod tests;
