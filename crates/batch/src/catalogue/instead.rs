//! A catalogue with checkouts in the place of some of its packages.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest,
    set::{EntryRecipe, PackageSet},
};
use larder_runs::name::{Named, PackageName};
use larder_trace::{StatIndex, describe_io};

use super::{
    Catalogue, PackageVersion, Reading, VersionId,
    read::{INDEX, MANIFESTS, Reader, system},
    summary::Known,
};
use crate::run::unknown;

/// A checkout that is to take the place of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The package. Where it is a name alone, the checkout's manifest says the version, if the set has
    /// that; else it is the newest.
    pub package: Named,
    /// The checkout.
    pub path: PathBuf,
}

impl Catalogue {
    /// Returns the catalogue as it would be with these checkouts, and which package version each takes
    /// the place of. That keeps its name, its limits, its compilers and the lines that make its
    /// documentation; all else is what the checkout says, and for one that is built by lines for a
    /// shell what the set file says. `set` and `root` are those that the catalogue was read from.
    ///
    /// # Errors
    /// Packages that are not in the set, twice the same, and checkouts that are none of them.
    pub fn with(
        &self,
        set: &PackageSet,
        root: &Path,
        reading: &Reading<'_>,
        replacements: &[Replacement],
    ) -> Result<(Self, Vec<PackageName>), Diagnostics> {
        let unusable = |path: &Path, error: &std::io::Error| {
            Diagnostic::new(format!("cannot enter {}: {}", path.display(), describe_io(error)))
        };
        let root = root.canonicalize().map_err(|error| unusable(root, &error))?;
        let index = StatIndex::open(&root, &reading.data.join(INDEX), false)
            .map_err(|error| unusable(&root, &error))?;
        let known = Known::read(&reading.data.join(MANIFESTS));
        let directories = BTreeSet::new();
        let reader = Reader {
            set,
            system: system(set)?,
            root: &root,
            index: &index,
            known: &known,
            directories: &directories,
        };
        let mut with = self.clone();
        let mut replaced = Vec::new();
        for Replacement { package, path } in replacements {
            let path = path.canonicalize().map_err(|error| unusable(path, &error))?;
            if !path.is_dir() {
                let message = format!("{} is no directory", path.display());
                return Err(Diagnostic::new(message).help("name a checkout of the package").into());
            }
            let (id, version) = self.instead(&reader, package, &path)?;
            if replaced.contains(&version.id) {
                let message = format!("{} is replaced twice", version.id);
                return Err(Diagnostic::new(message).help("name one checkout of it").into());
            }
            replaced.push(version.id.clone());
            with.versions[id.index()] = version;
        }
        Ok((with, replaced))
    }

    /// The package version that a checkout takes the place of, and what it is then.
    fn instead(
        &self,
        reader: &Reader<'_>,
        package: &Named,
        path: &Path,
    ) -> Result<(VersionId, PackageVersion), Diagnostics> {
        let has_manifest = path.join(manifest::FILE_NAME).is_file();
        let text = path.to_str().ok_or_else(|| {
            Diagnostic::new(format!("the path {} is not UTF-8", path.display())).help("rename it")
        })?;
        let said = || reader.package(text).ok().filter(|_| has_manifest);
        let id = match package {
            Named::Version(version) => self.find(version),
            Named::Name(name) => said()
                .filter(|said| said.name == *name)
                .and_then(|said| self.find(&said.id))
                .or_else(|| self.versions(name).next()),
        };
        let id = id.ok_or_else(|| unknown(self, package))?;
        let before = self.get(id);
        let entry = reader.set.entries.get(before.id.as_str());
        let kept = entry.filter(|it| it.recipe != EntryRecipe::Manifest { overlay: None });
        let version = match kept {
            Some(entry) => reader.entry(before.id.as_str(), entry, &Ok(path.to_owned()))?,
            None if !has_manifest => {
                let message = format!("there is no {} in {text}", manifest::FILE_NAME);
                let help = format!("name the directory of a checkout of {}", before.name);
                return Err(Diagnostic::new(message).help(help).into());
            }
            None => reader.package(text)?,
        };
        if let Some(fault) = version.fault {
            return Err(fault.diagnostics);
        }
        if version.name != before.name {
            let message =
                format!("{text} is a checkout of {}, not of {}", version.name, before.name);
            return Err(Diagnostic::new(message).into());
        }
        let version = PackageVersion {
            id: before.id.clone(),
            version: before.version.clone(),
            docs: before.docs.clone(),
            compilers: before.compilers.clone(),
            limits: before.limits,
            ..version
        };
        Ok((id, version))
    }
}
