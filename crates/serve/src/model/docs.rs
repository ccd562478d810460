//! The documentation of packages.

use std::path::Path;

use larder_runs::{file, version};
use schemars::JsonSchema;
use serde::Serialize;

use super::Result;
use crate::site::View;

/// The documentation that is published.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Docs {
    /// The packages whose blessed build has some, by name.
    pub packages: Vec<Documented>,
    /// The others: each with dependencies other than the blessed ones.
    pub universes: Vec<Universe>,
}

/// Documentation of builds that are not blessed, and that have their dependencies in common.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Universe {
    /// The hash of these dependencies.
    pub universe: String,
    /// The packages, by name.
    pub packages: Vec<Documented>,
}

/// The documentation of a package.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Documented {
    /// The name of the package.
    pub name: String,
    /// Its versions, newest first.
    pub versions: Vec<Version>,
}

/// The documentation of a version of a package.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The version.
    pub version: String,
    /// The path of its first page.
    pub path: String,
}

impl Docs {
    /// The documentation that is there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn of(view: &View<'_>) -> Result<Self> {
        let html = view.ecosystem.data.html();
        let universe = |universe: String| {
            let packages = packages(&html, &format!("u/{universe}"))?;
            Ok(Universe { universe, packages })
        };
        let universes = names(&html.join("u"))?.into_iter().map(universe);
        let mut universes: Vec<Universe> = universes.collect::<Result<_>>()?;
        universes.retain(|universe| !universe.packages.is_empty());
        Ok(Self { packages: packages(&html, "p")?, universes })
    }
}

/// The packages with documentation below a directory of `html`.
fn packages(html: &Path, below: &str) -> Result<Vec<Documented>> {
    let mut packages = Vec::new();
    for name in names(&html.join(below))? {
        let mut versions = names(&html.join(below).join(&name))?;
        versions.sort_by(|one, other| version::compare(other, one));
        let versions = versions.into_iter().map(|version| {
            let path = format!("/docs/{below}/{name}/{version}/index.html");
            Version { version, path }
        });
        let versions: Vec<Version> = versions.collect();
        if !versions.is_empty() {
            packages.push(Documented { name, versions });
        }
    }
    Ok(packages)
}

/// The directories in one that have names which can stand in an address, sorted.
fn names(directory: &Path) -> Result<Vec<String>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
    let mut names = file::names(directory)?;
    names.retain(|name| {
        !name.starts_with('.') && name.chars().all(plain) && directory.join(name).is_dir()
    });
    Ok(names)
}
