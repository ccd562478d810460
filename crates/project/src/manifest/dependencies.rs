//! `[dependencies]`: where other packages come from.

use std::{collections::BTreeMap, ops::Range, path::Path};

use toml::de::DeValue;

use super::OptionValue;
use crate::{
    diagnostic::Located, git::is_revision, name::is_name, repository::Repository, table::Fields,
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
    },
    /// A version requirement, resolved inside a package set.
    Version(String),
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
            DeValue::String(version) => {
                let from = DependencySource::Version(version.to_string());
                Some(Dependency { span, from, manifest: None, options: BTreeMap::new() })
            }
            DeValue::Table(_) => {
                let at = value.span();
                let DeValue::Table(table) = value.into_inner() else { continue };
                let what = format!("dependency `{name}`");
                dependency(span, Fields::new(fields.errors, &what, at, table))
            }
            _ => {
                let help = "write NAME = { path = \"…\" } or { git = \"…\", rev = \"…\" }";
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
    let path = fields.string("path").map(|path| path.value);
    let git = fields.string("git");
    if let Some(url) = &git {
        // Relative to anything: that is for whoever knows where the package is.
        if let Err(error) = Repository::parse(url, Path::new("/")) {
            fields.errors.push_secret(url.span.clone(), error.to_string());
        }
    }
    let git = git.map(|url| url.value);
    let rev = fields.string("rev");
    if let Some(rev) = &rev
        && !is_revision(rev)
    {
        fields.errors.push(
            rev.span.clone(),
            format!("`{}` is no commit, tag or branch", **rev),
            None,
        );
    }
    let rev = rev.map(|rev| rev.value);
    let version = fields.string("version").map(|version| version.value);
    let span = fields.span.clone();
    let from = match (path, git, version) {
        (Some(path), None, None) if rev.is_none() => Some(DependencySource::Path(path)),
        (None, Some(url), None) => Some(DependencySource::Git { url, rev }),
        (None, None, Some(version)) if rev.is_none() => Some(DependencySource::Version(version)),
        _ => {
            let message = format!("{} needs exactly one of path, git and version", fields.what);
            fields.errors.push(span, message, Some("`rev` goes with `git`".into()));
            None
        }
    };
    fields.finish();
    from.map(|from| Dependency { span: at, from, manifest, options })
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
