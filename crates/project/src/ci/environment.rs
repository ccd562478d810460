//! The parts that every key has: manifests, dependencies, tools and the platform.

use std::{
    collections::{BTreeMap, HashSet},
    env, fs, io,
    path::{Path, PathBuf},
};

use larder_trace::{BuildTrace, ContentHash, MTime, describe_io, platform_trace};

use super::files::{self, Links};
use crate::{
    dependencies::{check_pinned, unpinned},
    diagnostic::{Diagnostic, Diagnostics},
    glob::Globber,
    lockfile::{self, Lockfile},
    manifest::{self, DependencySource, Manifest},
    place::Place,
    workspace::{Package, locate, request},
};

/// The packages whose content is here: the root and its path dependencies. What comes from Git is
/// known by its commit, and need not be here.
pub(super) struct Sources {
    root: PathBuf,
    /// By name; the root package is the first to be read and stands under its own name.
    packages: BTreeMap<String, Package>,
    lockfile: Lockfile,
    /// Requirements that a package set resolves, by package and dependency.
    requirements: BTreeMap<String, String>,
    /// The identities of the packages' tools, once they are known.
    pub tools: Option<BuildTrace>,
}

impl Sources {
    /// Reads the manifests of the package at `root` and of its path dependencies.
    ///
    /// # Errors
    /// Everything wrong with them, and Git dependencies that `larder.lock` does not pin.
    pub fn read(root: &Path) -> Result<Self, Diagnostics> {
        let mut sources = Self {
            root: root.to_owned(),
            packages: BTreeMap::new(),
            lockfile: Lockfile::read(root)?,
            requirements: BTreeMap::new(),
            tools: None,
        };
        let mut errors = Vec::new();
        let mut seen = HashSet::from([root.to_owned()]);
        let mut queue = vec![root.to_owned()];
        while let Some(directory) = queue.pop() {
            match Manifest::read(&directory) {
                Ok(manifest) => {
                    let found = sources.add(&directory, manifest, &mut errors);
                    queue.extend(found.into_iter().filter(|path| seen.insert(path.clone())));
                }
                Err(found) => errors.extend(found.0),
            }
        }
        if errors.is_empty() { Ok(sources) } else { Err(Diagnostics(errors)) }
    }

    /// Takes a package in. Returns the directories of its path dependencies.
    fn add(
        &mut self,
        directory: &Path,
        manifest: Manifest,
        errors: &mut Vec<Diagnostic>,
    ) -> Vec<PathBuf> {
        let place = Place::new(&self.root, &manifest.package.name, directory);
        let package = Package { place: place.into(), manifest, is_root: directory == self.root };
        let source = &package.manifest.source;
        let mut needed = Vec::new();
        for (name, declared) in &package.manifest.dependencies {
            let checked = match &declared.from {
                DependencySource::Path(path) => locate(directory, name, path, None)
                    .map(|found| needed.push(found))
                    .map_err(|error| error.at(source, declared.span.clone())),
                DependencySource::Git { url, rev } => {
                    request(&self.root, &package, &None, name, url, rev.as_deref(), declared)
                        .and_then(|request| match self.lockfile.packages.get(name) {
                            Some(pinned) => check_pinned(&request, pinned, &self.root),
                            None => Err(unpinned(&request)),
                        })
                }
                DependencySource::Version(version) => {
                    let user = &package.place.name;
                    self.requirements.insert(format!("{user}/{name}"), version.clone());
                    Ok(())
                }
            };
            errors.extend(checked.err());
        }
        self.packages.insert(package.place.name.clone(), package);
        needed
    }

    /// The packages, by name.
    pub fn packages(&self) -> &BTreeMap<String, Package> {
        &self.packages
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
            trace = trace.mix(self.tools.clone().ok_or_else(missing)?).mix(self.variables());
        }
        trace = trace.mix(self.lock()?);
        for (name, package) in &self.packages {
            trace = trace.mix(package_trace(name, package)?);
        }
        let pinned = self.lockfile.packages.iter();
        let pinned =
            pinned.map(|(name, pinned)| BuildTrace::text(name.clone(), pinned.commit.as_str()));
        let required = self.requirements.iter();
        let required =
            required.map(|(name, version)| BuildTrace::text(name.clone(), version.as_str()));
        Ok(trace
            .mix(BuildTrace::nil("pinned").mix_all(pinned))
            .mix(BuildTrace::nil("required").mix_all(required)))
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

    /// The variables that commands take from the environment. Their values are not shown: they may
    /// be anything.
    fn variables(&self) -> BuildTrace {
        let commands = self.packages.values().flat_map(|package| &package.manifest.commands);
        let names: std::collections::BTreeSet<&String> =
            commands.flat_map(|command| &command.pass_env).collect();
        let variable = |name: &String| match env::var_os(name) {
            Some(value) => {
                let hash = ContentHash::of_bytes(value.as_encoded_bytes());
                let value = BuildTrace::leaf("value", hash, MTime::NONE);
                BuildTrace::nil(name.clone()).mix(value)
            }
            None => BuildTrace::nil(name.clone()),
        };
        BuildTrace::nil("variables").mix_all(names.into_iter().map(variable))
    }
}

/// The manifest, and for a dependency, which nothing pins, all of its files.
fn package_trace(name: &str, package: &Package) -> Result<BuildTrace, Diagnostics> {
    let text = package.manifest.source.text.as_bytes();
    let manifest = BuildTrace::leaf(manifest::FILE_NAME, ContentHash::of_bytes(text), MTime::NONE);
    let trace = BuildTrace::nil(name.to_owned()).mix(manifest);
    if package.is_root {
        return Ok(trace);
    }
    let directory = &package.place.directory;
    let paths = Globber::new(directory.clone())
        .expand("**")
        .map_err(|error| Diagnostic::new(format!("{}: {error}", directory.display())))?;
    Ok(trace.mix(files::trace("files", directory, paths, Links::Followed)?))
}
