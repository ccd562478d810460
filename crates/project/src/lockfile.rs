//! `larder.lock`: the commits that Git dependencies are built from.
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
//! `git` and `rev` are what a manifest asked for; without `rev`, the repository's default branch.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use larder_trace::{atomic, describe_io};
use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    git::{Commit, is_revision},
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

/// One `[[package]]`: what was asked for, and the commit that this was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The repository, as a manifest spells it; a relative path is relative to the lock file.
    pub git: String,
    /// The commit, tag or branch asked for; `None` is the default branch.
    pub rev: Option<String>,
    /// The commit that `rev` named when it was pinned.
    pub commit: Commit,
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
            write!(f, "\n[[package]]\nname = {}\ngit = {}\n", quoted(name), quoted(&pinned.git))?;
            if let Some(rev) = &pinned.rev {
                writeln!(f, "rev = {}", quoted(rev))?;
            }
            writeln!(f, "commit = {}", quoted(pinned.commit.as_str()))?;
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
    fields.finish();
    let pinned = Pinned { git: git.value, rev: rev.map(|rev| rev.value), commit: parsed.ok()? };
    Some((name, pinned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Lockfile, Diagnostics> {
        Lockfile::parse(&SourceText { path: "/w/larder.lock".into(), text: text.into() })
    }

    fn pinned(git: &str, rev: Option<&str>, digit: char) -> Pinned {
        let commit = digit.to_string().repeat(40).parse().unwrap();
        Pinned { git: git.to_owned(), rev: rev.map(str::to_owned), commit }
    }

    #[test]
    fn what_is_written() {
        let packages = [
            ("zlib", pinned("https://github.com/madler/zlib", Some("v1.3.1"), '1')),
            ("lua", pinned("../a \"b\\", None, 'a')),
        ];
        let packages = packages.map(|(name, pinned)| (name.to_owned(), pinned)).into();
        let lockfile = Lockfile { packages };
        insta::assert_snapshot!(lockfile, @r#"
        # Written by larder; only `larder update` moves an entry. Check it in.
        version = 1

        [[package]]
        name = "lua"
        git = "../a \"b\\"
        commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

        [[package]]
        name = "zlib"
        git = "https://github.com/madler/zlib"
        rev = "v1.3.1"
        commit = "1111111111111111111111111111111111111111"
        "#);
        assert_eq!(read(&lockfile.to_string()).unwrap(), lockfile);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        insta::assert_snapshot!(said("version = 2\nnew = true\n"), @r"
        /w/larder.lock:1:11: the lock file has version 2, and this larder reads version 1: a newer larder wrote it
           |
         1 | version = 2
           |           ^
           = help: restore it from version control, or delete it and let `larder update` write it anew
        ");
        insta::assert_snapshot!(said("packages = []"), @r"
        /w/larder.lock:1:1: the lock file has no version
           |
         1 | packages = []
           | ^
           = help: restore it from version control, or delete it and let `larder update` write it anew
        ");
        insta::assert_snapshot!(said("version = 1\n<<<<<<< HEAD\n"), @r"
        /w/larder.lock:2:9: key with no value, expected `=`
           |
         2 | <<<<<<< HEAD
           |         ^
           = help: restore it from version control, or delete it and let `larder update` write it anew
        ");
        let text = "version = 1\n[[package]]\nname = \"../x\"\n[[package]]\nname = \"a\"\n\
                    git = \"ext::sh\"\nrev = \"-x\"\ncommit = \"HEAD\"\nhash = 1\n";
        insta::assert_snapshot!(said(text), @r#"
        /w/larder.lock:3:8: `../x` is not a name
           |
         3 | name = "../x"
           |        ^^^^^^
           = help: names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit
        /w/larder.lock:6: `ext::sh` is no URL of a repository, but something for Git to run
          help: restore it from version control, or delete it and let `larder update` write it anew
        /w/larder.lock:7:7: `-x` is no revision
           |
         7 | rev = "-x"
           |       ^^^^
           = help: restore it from version control, or delete it and let `larder update` write it anew
        /w/larder.lock:8:10: `HEAD` is no commit
           |
         8 | commit = "HEAD"
           |          ^^^^^^
           = help: a commit is 40 or 64 lowercase hex digits
        /w/larder.lock:9:1: unknown key `hash` in the entry of `a`
           |
         9 | hash = 1
           | ^^^^
           = help: the keys are name, git, rev, commit
        "#);
        let one = "[[package]]\nname = \"a\"\ngit = \"/r\"\ncommit = \"1111111111111111111111111111111111111111\"\n";
        insta::assert_snapshot!(said(&format!("version = 1\n{one}{one}")), @r#"
        /w/larder.lock:7:8: there are two entries for `a`
           |
         7 | name = "a"
           |        ^^^
           = help: restore it from version control, or delete it and let `larder update` write it anew
        "#);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}", at in 0usize..200, byte in " -~") {
            let _ = read(&text);
            let mut text = Lockfile {
                packages: [("a".to_owned(), pinned("/r", Some("v1"), '3'))].into(),
            }
            .to_string();
            let at = at.min(text.len());
            text.replace_range(at..(at + 1).min(text.len()), &byte);
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_is_read(
            names in prop::collection::btree_set("[a-z][a-z0-9_.+-]{0,5}", 0..5),
            git in "/[ -~]{0,12}",
            rev in prop::option::of("[a-z](/?[a-z0-9]){0,5}"),
        ) {
            let packages = names.into_iter().map(|name| (name, pinned(&git, rev.as_deref(), 'c')));
            let lockfile = Lockfile { packages: packages.collect() };
            prop_assert_eq!(read(&lockfile.to_string()).unwrap(), lockfile);
        }
    }
}
