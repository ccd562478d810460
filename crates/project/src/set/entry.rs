//! `[package."NAME.VERSION"]`: packages that the set file describes itself.

use std::{collections::BTreeMap, ops::Range};

use toml::de::DeValue;

use super::{
    limits::{OwnLimits, limits},
    names::is_package_version,
    recipe::{self, Recipes},
};
use crate::{
    diagnostic::Located,
    glob::is_inside,
    manifest::{self, ArchiveSource, DependencySource},
    name::is_name,
    table::Fields,
    version::{ParseRequirementError, Requirement},
};

/// A package that is described in the set file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where its name stands.
    pub span: Range<usize>,
    /// Where its sources come from; never a version.
    pub source: DependencySource,
    /// How it is built.
    pub recipe: EntryRecipe,
    /// Makes its documentation: a script for `sh -e` line by line.
    pub docs: Vec<String>,
    /// The compilers that it is built with; all, when absent.
    pub compilers: Option<Vec<Located<String>>>,
    /// The limits that are its own.
    pub limits: OwnLimits,
}

/// How a package of the set file is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryRecipe {
    /// As a larder package.
    Manifest {
        /// The manifest that is kept in the set for it, relative to the set's directory; its own, when absent.
        overlay: Option<String>,
    },
    /// By commands, each list a script for `sh -e` line by line.
    Commands {
        /// The requirements of versions of other packages, by name.
        dependencies: BTreeMap<String, Requirement>,
        /// Builds and installs it; never empty.
        build: Vec<String>,
        /// Tests it.
        test: Vec<String>,
    },
}

/// All entries, by name.
pub(super) fn entries(fields: Fields<'_, '_>, recipes: &Recipes) -> BTreeMap<String, Entry> {
    let found = fields.for_each_of_many_tables("[package]", |name, mut fields| {
        if !is_package_version(&name) {
            let message = format!("`{}` names no version of a package", *name);
            let help = "a package is named `<name>.<version>`, in quotes: [package.\"zlib.1.3.1\"]";
            fields.errors.push(name.span, message, Some(help.to_owned()));
            return None;
        }
        fields.what = format!("[package.\"{}\"]", *name);
        entry(name.span, fields, recipes).map(|entry| (name.value, entry))
    });
    found.into_iter().collect()
}

fn entry(span: Range<usize>, mut fields: Fields<'_, '_>, recipes: &Recipes) -> Option<Entry> {
    let what = fields.what.clone();
    let source = source(&mut fields);
    let made = recipe(&mut fields, recipes);
    let compilers = fields.strings("compilers");
    if let Some([]) = compilers.as_deref() {
        let message = format!("{what} is built with no compiler");
        let help = "leave `compilers` out to build it with all";
        fields.errors.push(span.clone(), message, Some(help.to_owned()));
    }
    let own = fields.table("limits").map(limits).unwrap_or_default();
    fields.finish();
    let (recipe, docs) = made?;
    Some(Entry { span, source: source?, recipe, docs, compilers, limits: own })
}

/// The key `source`.
fn source(fields: &mut Fields<'_, '_>) -> Option<DependencySource> {
    if !fields.entries.contains_key("source") {
        let message = format!("{} has no `source`", fields.what);
        let help = "add source = { path = \"…\" }, { git = \"…\", rev = \"…\" } or { url = \"…\", sha256 = \"…\" }";
        fields.errors.push(fields.span.clone(), message, Some(help.to_owned()));
        return None;
    }
    let place = fields.entries.get("source").map(|value| value.span());
    let what = format!("`source` of {}", fields.what);
    let mut fields = fields.table("source")?;
    fields.what = what;
    let source = manifest::source(&mut fields, false);
    let path = match &source {
        Some(DependencySource::Path(path)) => Some(path),
        Some(DependencySource::Archive { from: ArchiveSource::Path(path), .. }) => Some(path),
        _ => None,
    };
    if let Some(path) = path.filter(|path| !is_inside(path) || path.is_empty()) {
        let message = format!("the source `{path}` is outside the set");
        let help = "sources are below the directory of larder-set.toml, or come from git or url";
        fields.errors.push(place.unwrap_or_default(), message, Some(help.to_owned()));
    }
    fields.finish();
    source
}

/// The key that says how it is built, and those that go with it; and the lines that make its documentation.
fn recipe(fields: &mut Fields<'_, '_>, recipes: &Recipes) -> Option<(EntryRecipe, Vec<String>)> {
    let ways = ["build", "recipe", "manifest"].into_iter();
    let ways: Vec<&str> = ways.filter(|key| fields.entries.contains_key(*key)).collect();
    let (span, what) = (fields.span.clone(), fields.what.clone());
    if let Some(value) = fields.entries.get("options").filter(|_| !ways.contains(&"recipe")) {
        let (place, message) = (value.span(), format!("{what} has `options`, and no `recipe`"));
        let help = "write them into `build`, or name a recipe";
        fields.take("options");
        fields.errors.push(place, message, Some(help.to_owned()));
    }
    match ways[..] {
        ["build"] => Some((commands(fields), fields.plain_strings("docs"))),
        ["recipe"] => recipe::of_package(fields, recipes),
        ["manifest"] => {
            for key in ["dependencies", "test"] {
                if let Some(value) = fields.entries.remove(key) {
                    let message = format!("`{key}` cannot stand beside `manifest` in {what}");
                    let help = "the manifest says it";
                    fields.errors.push(value.span(), message, Some(help.to_owned()));
                }
            }
            let docs = fields.plain_strings("docs");
            overlay(fields).map(|recipe| (recipe, docs))
        }
        [one, other, ..] => {
            let message = format!("{what} has both `{one}` and `{other}`");
            let help = "a larder package has a manifest, any other source tree has build commands or a recipe";
            fields.errors.push(span, message, Some(help.to_owned()));
            ignore(fields);
            None
        }
        _ => {
            let message = format!("{what} has no `build`, no `recipe` and no `manifest`");
            let help = "add build = [\"…\"], or manifest = \"manifests/NAME.toml\", or manifest = true where the \
                        sources have a larder.toml";
            fields.errors.push(span, message, Some(help.to_owned()));
            ignore(fields);
            None
        }
    }
}

/// The key `build`, and those that go with it.
fn commands(fields: &mut Fields<'_, '_>) -> EntryRecipe {
    let (span, what) = (fields.span.clone(), fields.what.clone());
    let dependencies = fields.table("dependencies").map(requirements);
    let is_list = fields.entries["build"].get_ref().is_array();
    let build = fields.plain_strings("build");
    fields.take("recipe");
    fields.take("manifest");
    if is_list && build.iter().all(|line| line.trim().is_empty()) {
        let help = "add the commands, such as build = [\"./configure --prefix={prefix}\", \"make install\"]";
        let message = format!("{what} has nothing in `build`");
        fields.errors.push(span, message, Some(help.to_owned()));
    }
    EntryRecipe::Commands {
        dependencies: dependencies.unwrap_or_default(),
        build,
        test: fields.plain_strings("test"),
    }
}

/// The key `manifest`: a path in the set, or `true`.
fn overlay(fields: &mut Fields<'_, '_>) -> Option<EntryRecipe> {
    let value = fields.take("manifest")?;
    let span = value.span();
    let path = match value.get_ref() {
        DeValue::Boolean(true) => return Some(EntryRecipe::Manifest { overlay: None }),
        DeValue::String(path) => path.to_string(),
        _ => {
            fields.wrong(&value, "a path, or true");
            return None;
        }
    };
    if path.is_empty() || !is_inside(&path) {
        let message = format!("the manifest `{path}` is outside the set");
        let help = "a manifest is below the directory of larder-set.toml";
        fields.errors.push(span, message, Some(help.to_owned()));
    }
    Some(EntryRecipe::Manifest { overlay: Some(path) })
}

/// Takes the keys of all ways out: what is wrong has been said.
fn ignore(fields: &mut Fields<'_, '_>) {
    for key in ["build", "recipe", "options", "manifest", "dependencies", "test", "docs"] {
        fields.take(key);
    }
}

/// The key `dependencies`: requirements by name.
pub(super) fn requirements(mut fields: Fields<'_, '_>) -> BTreeMap<String, Requirement> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if !is_name(&name) || name.contains('.') {
            let message = format!("`{name}` cannot name a package of a set");
            let help = "write the name without a version: zlib = \"1.3\"";
            fields.errors.push(span, message, Some(help.to_owned()));
            continue;
        }
        let Some(text) = fields.expect_string(value) else { continue };
        match text.parse() {
            Ok(required) => {
                found.insert(name, required);
            }
            Err(error) => {
                let error: ParseRequirementError = error;
                let help = ParseRequirementError::HELP.to_owned();
                fields.errors.push(text.span, error.to_string(), Some(help));
            }
        }
    }
    found
}
