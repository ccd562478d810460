//! The parts that every key has: manifests, dependencies, tools and the platform.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::{BuildTrace, ContentHash, MTime, describe_io, platform_trace};

use super::{
    files,
    key::Machine,
    territory::{self, Outside, Territory},
    tree, values,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, SourceText},
    lockfile::{self, Lockfile},
    manifest::{DependencySource, Manifest, Toolchains},
    setting::Choices,
    workspace::{self, Package, Workspace},
};

/// The packages whose content is here: the root and its path dependencies. What comes from Git is
/// known by its commit, and need not be here.
pub(super) struct Sources {
    root: PathBuf,
    /// By name; the root package is among them.
    packages: BTreeMap<String, Arc<Package>>,
    /// Manifests that these keep for others, by package.
    overlays: Vec<(String, SourceText)>,
    lockfile: Lockfile,
    /// The choices of whoever asks, which decide what of the manifests holds.
    pub choices: Choices,
    /// What the root package declares of the tools for targets.
    pub toolchains: Toolchains,
    /// The parts of this machine that keys are made from, once they are known.
    pub machine: Option<Machine>,
}

impl Sources {
    /// Reads the manifests of the package at `root`, which is canonical, and of its path
    /// dependencies.
    ///
    /// # Errors
    /// Everything wrong with them and with `choices`, and Git dependencies that `larder.lock` does not pin.
    pub fn read(root: &Path, choices: &Choices) -> Result<Self, Diagnostics> {
        let (workspace, lockfile) = workspace::pinned(root)?;
        let pinned: Vec<&str> = lockfile.packages.keys().map(String::as_str).collect();
        workspace.check(choices, &pinned)?;
        let toolchains = workspace.packages.first().map(|root| &root.manifest.toolchains);
        let toolchains = toolchains.cloned().unwrap_or_default();
        let Workspace { packages, overlays, .. } = workspace.with_all_parts();
        let packages = packages.into_iter().map(|package| (package.place.name.clone(), package));
        let (root, packages) = (root.to_owned(), packages.collect());
        let choices = choices.clone();
        Ok(Self { root, packages, overlays, lockfile, choices, toolchains, machine: None })
    }

    /// The packages, by name.
    pub fn packages(&self) -> &BTreeMap<String, Arc<Package>> {
        &self.packages
    }

    /// Where links of the root package may lead.
    ///
    /// # Errors
    /// What its manifest declares to be outside and is not.
    pub fn territory(&self) -> Result<Territory, Diagnostics> {
        let root = self.packages.values().find(|package| package.is_root);
        let missing = || Diagnostic::new("the root package was not read").failed();
        Territory::new(root.ok_or_else(missing)?, &self.packages)
    }

    /// The root package's manifest.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.packages.values().find(|package| package.is_root).map(|package| &package.manifest)
    }

    /// The trace of everything but the files of the root package. With `toolchain`, the tools of
    /// this machine and the variables that commands take from the environment are part of it.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn trace(&self, toolchain: bool) -> Result<BuildTrace, Diagnostics> {
        let mut trace = BuildTrace::nil("environment");
        let independent = |manifest: &Manifest| manifest.package.platform_independent;
        if !self.manifest().is_some_and(independent) {
            trace = trace.mix(platform_trace());
        }
        if toolchain {
            let missing = || Diagnostic::new("the tools were not identified").failed();
            let Machine { tools, flags, variables } = self.machine.as_ref().ok_or_else(missing)?;
            trace = trace.mix(tools.clone()).mix_all(flags.iter().cloned());
            trace = trace.mix(self.variables_trace(variables));
        }
        trace = trace.mix_all(self.choices.trace()).mix(self.lock()?);
        for (name, package) in &self.packages {
            trace = trace.mix(package_trace(name, package, &self.packages)?);
        }
        let pinned = self.lockfile.packages.iter();
        let pinned = pinned
            .map(|(name, pinned)| BuildTrace::text(name.clone(), pinned.content().to_string()));
        let required = self.requirements().into_iter();
        let required = required.map(|(name, version)| BuildTrace::text(name, version));
        trace = trace
            .mix(BuildTrace::nil("pinned").mix_all(pinned))
            .mix(BuildTrace::nil("required").mix_all(required));
        match self.overlays.is_empty() {
            true => Ok(trace),
            false => Ok(trace.mix(self.overlays()?)),
        }
    }

    /// The manifests that stand in for those of packages from elsewhere, by their values.
    fn overlays(&self) -> Result<BuildTrace, Diagnostics> {
        let mut trace = BuildTrace::nil("overlays");
        for (name, source) in &self.overlays {
            trace = trace.mix(BuildTrace::nil(name.clone()).mix(values::trace(source)?));
        }
        Ok(trace)
    }

    fn lock(&self) -> Result<BuildTrace, Diagnostics> {
        let path = self.root.join(lockfile::FILE_NAME);
        match fs::read(&path) {
            Ok(text) => {
                let hash = ContentHash::of_bytes(&text);
                Ok(BuildTrace::leaf(lockfile::FILE_NAME, hash, MTime::NONE))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(BuildTrace::nil(lockfile::FILE_NAME))
            }
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), describe_io(&error));
                Err(Diagnostic::new(message).failed().into())
            }
        }
    }

    /// Requirements that a package set resolves, by `PACKAGE/DEPENDENCY`.
    fn requirements(&self) -> BTreeMap<String, String> {
        let mut requirements = BTreeMap::new();
        for (user, package) in &self.packages {
            for (name, declared) in &package.manifest.dependencies {
                if let DependencySource::Version(version) = &declared.from {
                    requirements.insert(format!("{user}/{name}"), version.to_string());
                }
            }
        }
        requirements
    }

    /// The names of the variables that commands take from the environment.
    pub fn variables(&self) -> BTreeSet<&str> {
        let commands = self.packages.values().flat_map(|package| &package.manifest.commands);
        commands.flat_map(|command| &command.pass_env).map(String::as_str).collect()
    }

    /// The variables that commands take, of those that are set. Their values are not shown: they may
    /// be anything.
    fn variables_trace(&self, set: &BTreeMap<String, OsString>) -> BuildTrace {
        let variable = |name: &str| match set.get(name) {
            Some(value) => {
                let hash = ContentHash::of_bytes(value.as_encoded_bytes());
                let value = BuildTrace::leaf("value", hash, MTime::NONE);
                BuildTrace::nil(name.to_owned()).mix(value)
            }
            None => BuildTrace::nil(name.to_owned()),
        };
        BuildTrace::nil("variables").mix_all(self.variables().into_iter().map(variable))
    }
}

/// The manifest by its values, what it declares outside, and for a dependency, which nothing pins,
/// all of its files.
fn package_trace(
    name: &str,
    package: &Package,
    packages: &BTreeMap<String, Arc<Package>>,
) -> Result<BuildTrace, Diagnostics> {
    let territory = Territory::new(package, packages)?;
    let mut trace = BuildTrace::nil(name.to_owned()).mix(values::trace(&package.manifest.source)?);
    for Outside { name, path } in territory::declared(package, &territory.own)? {
        trace = trace.mix(files::trace("outside", tree::outside(&territory, &path)?)?.named(name));
    }
    if package.is_root {
        return Ok(trace);
    }
    let files = tree::whole(&territory, territory::spelled(&package.manifest))?;
    Ok(trace.mix(files::trace("files", files)?))
}
