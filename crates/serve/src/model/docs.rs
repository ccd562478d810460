//! The documentation of packages.

use std::path::Path;

use larder_runs::{file, version};
use serde::Serialize;

use super::Result;
use crate::site::View;

/// The documentation that is published.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Docs {
    /// The packages that have some, by name.
    pub packages: Vec<Documented>,
}

/// The documentation of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Documented {
    /// The name of the package.
    pub name: String,
    /// Its versions, newest first.
    pub versions: Vec<String>,
}

impl Docs {
    /// The blessed documentation that is there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn of(view: &View<'_>) -> Result<Self> {
        let blessed = view.ecosystem.data.html().join("p");
        let mut packages = Vec::new();
        for name in names(&blessed)? {
            let mut versions = names(&blessed.join(&name))?;
            versions.sort_by(|one, other| version::compare(other, one));
            if !versions.is_empty() {
                packages.push(Documented { name, versions });
            }
        }
        Ok(Self { packages })
    }
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
