//! `[dependencies]`: where other packages come from.

use std::{collections::BTreeMap, ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::OptionValue;
use crate::{
    archive::{self, Algorithm, ArchiveHash},
    diagnostic::Located,
    git::is_revision,
    name::is_name,
    repository::Repository,
    table::Fields,
    version::{ParseRequirementError, Requirement},
};

/// One entry of `[dependencies]`.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// Where the entry stands.
    pub span: Range<usize>,
    /// Where the package comes from.
    pub from: DependencySource,
    /// The path of the manifest that is kept here for the package and stands in for its own.
    pub manifest: Option<Located<String>>,
    /// The values that are wanted of its options.
    pub options: BTreeMap<String, Located<OptionValue>>,
}

/// Where a dependency comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencySource {
    /// A directory, relative to the package's.
    Path(String),
    /// A commit of a Git repository.
    Git {
        /// The repository.
        url: String,
        /// A commit, tag or branch.
        rev: Option<String>,
        /// Whether its submodules are fetched with it.
        submodules: bool,
    },
    /// An archive.
    Archive {
        /// Where it is.
        from: ArchiveSource,
        /// Its hash.
        hash: ArchiveHash,
        /// The directories above its sources, where not one or none is to be found out.
        strip: Option<u32>,
    },
    /// A version requirement, resolved inside a package set.
    Version(Requirement),
}

/// Where an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveSource {
    /// On the web.
    Url(String),
    /// Here, relative to the package.
    Path(String),
}

/// All entries, by name.
pub(super) fn dependencies(mut fields: Fields<'_, '_>) -> BTreeMap<String, Dependency> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let span = name.span();
        let name = name.into_inner().into_owned();
        if !is_name(&name) {
            fields.errors.push(span, format!("`{name}` cannot name a package"), None);
            continue;
        }
        let declared = match value.get_ref() {
            DeValue::String(_) => {
                let text = fields.expect_string(value);
                let from = text.and_then(|text| version(&mut fields, &text));
                from.map(|from| Dependency { span, from, manifest: None, options: BTreeMap::new() })
            }
            DeValue::Table(_) => {
                let at = value.span();
                let DeValue::Table(table) = value.into_inner() else { continue };
                let what = format!("dependency `{name}`");
                dependency(span, Fields::new(fields.errors, &what, at, table))
            }
            _ => {
                let help = "write NAME = { path = \"…\" }, { git = \"…\", rev = \"…\" } or { url = \"…\", \
                            sha256 = \"…\" }";
                fields.errors.push(
                    value.span(),
                    "a dependency is a table or a version",
                    Some(help.into()),
                );
                None
            }
        };
        found.extend(declared.map(|declared| (name, declared)));
    }
    found
}

fn dependency(at: Range<usize>, mut fields: Fields<'_, '_>) -> Option<Dependency> {
    let manifest = fields.string("manifest");
    let options = fields.table("options").map(wanted).unwrap_or_default();
    let from = source(&mut fields, true);
    fields.finish();
    from.map(|from| Dependency { span: at, from, manifest, options })
}

/// Where a package comes from, as the keys of `fields` say: by path, git or url, or by a version where
/// `versions` are allowed.
pub(crate) fn source(fields: &mut Fields<'_, '_>, versions: bool) -> Option<DependencySource> {
    let given = ["path", "git", "url", "version"];
    let given = given.map(|key| (versions || key != "version") && fields.entries.contains_key(key));
    match given {
        [true, false, false, false] => match fields.string("path") {
            Some(path) if has_hash(fields) => archive(fields, ArchiveSource::Path(path.value)),
            path => path.map(|path| DependencySource::Path(path.value)),
        },
        [false, true, false, false] => git(fields),
        [false, false, true, false] => url(fields),
        [false, false, false, true] => {
            let text = fields.string("version");
            text.and_then(|text| version(fields, &text))
        }
        _ => {
            let keys = if versions { "path, git, url and version" } else { "path, git and url" };
            let message = format!("{} needs exactly one of {keys}", fields.what);
            let help = "`rev` and `submodules` go with `git`; `sha256` or `blake3` with `url`, and with the \
                        `path` of an archive";
            fields.errors.push(fields.span.clone(), message, Some(help.into()));
            // None of its keys is unknown.
            fields.entries = DeTable::default();
            None
        }
    }
}

/// The key `options`: values by name.
fn wanted(mut fields: Fields<'_, '_>) -> BTreeMap<String, Located<OptionValue>> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let span = value.span();
        if let Some(value) = OptionValue::decode(&mut fields, value) {
            found.insert(name.into_inner().into_owned(), Located { value, span });
        }
    }
    found
}

fn version(fields: &mut Fields<'_, '_>, text: &Located<String>) -> Option<DependencySource> {
    match text.parse() {
        Ok(required) => Some(DependencySource::Version(required)),
        Err(error) => {
            let help = ParseRequirementError::HELP.to_owned();
            fields.errors.push(text.span.clone(), error.to_string(), Some(help));
            None
        }
    }
}

fn git(fields: &mut Fields<'_, '_>) -> Option<DependencySource> {
    let url = fields.string("git")?;
    // Relative to anything: that is for whoever knows where the package is.
    if let Err(error) = Repository::parse(&url, Path::new("/")) {
        fields.errors.push_secret(url.span.clone(), error.to_string());
    }
    let rev = fields.string("rev");
    if let Some(rev) = &rev
        && !is_revision(rev)
    {
        let message = format!("`{}` is no commit, tag or branch", **rev);
        fields.errors.push(rev.span.clone(), message, None);
    }
    let submodules = fields.boolean("submodules").unwrap_or(false);
    Some(DependencySource::Git { url: url.value, rev: rev.map(|rev| rev.value), submodules })
}

fn url(fields: &mut Fields<'_, '_>) -> Option<DependencySource> {
    let url = fields.string("url")?;
    if let Err(error) = archive::check_url(&url) {
        fields.errors.push_secret(url.span.clone(), error.to_string());
    }
    if !has_hash(fields) {
        let message = format!("{} has no hash", fields.what);
        let help = "add sha256 = \"…\", which `curl -L URL | sha256sum` prints; or blake3 = \"…\"";
        fields.errors.push(fields.span.clone(), message, Some(help.into()));
    }
    archive(fields, ArchiveSource::Url(url.value))
}

fn has_hash(fields: &Fields<'_, '_>) -> bool {
    Algorithm::ALL.iter().any(|algorithm| fields.entries.contains_key(algorithm.name()))
}

/// The most directories that are stripped.
const DEEPEST: u32 = 16;

fn archive(fields: &mut Fields<'_, '_>, from: ArchiveSource) -> Option<DependencySource> {
    let strip = fields.number("strip", DEEPEST);
    let mut hashes = fields.hashes();
    if hashes.len() > 1 {
        let message = format!("{} has two hashes", fields.what);
        fields.errors.push(fields.span.clone(), message, Some("leave one of them out".into()));
    }
    Some(DependencySource::Archive { from, hash: hashes.pop()?, strip })
}
