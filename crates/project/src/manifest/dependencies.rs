//! `[dependencies]`: where other packages come from.

use std::{collections::BTreeMap, ops::Range, path::Path};

use toml::de::DeValue;

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
                Some((DependencySource::Version(version.to_string()), None))
            }
            DeValue::Table(_) => {
                let span = value.span();
                let DeValue::Table(table) = value.into_inner() else { continue };
                dependency(Fields::new(fields.errors, &format!("dependency `{name}`"), span, table))
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
        if let Some((from, manifest)) = declared {
            found.insert(name, Dependency { span, from, manifest });
        }
    }
    found
}

fn dependency(mut fields: Fields<'_, '_>) -> Option<(DependencySource, Option<Located<String>>)> {
    let manifest = fields.string("manifest");
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
    from.map(|from| (from, manifest))
}
