//! Where symbolic links may lead: the packages that count, and what is declared besides.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::describe_io;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{self, Manifest},
    workspace::Package,
};

/// The directories and files that a package's links may lead into, each with its name in keys, which
/// is the same wherever the checkout is.
#[derive(Debug, Clone)]
pub struct Territory {
    /// The package's own directory, canonical.
    pub own: PathBuf,
    /// Canonical paths, and what names of things in them begin with.
    others: BTreeMap<PathBuf, String>,
    /// Manifests that count by their values.
    manifests: BTreeSet<PathBuf>,
}

/// A file or directory outside the package that its manifest declares.
#[derive(Debug, Clone)]
pub struct Outside {
    /// As it is spelled in the manifest.
    pub name: String,
    /// Its canonical path.
    pub path: PathBuf,
}

impl Territory {
    /// The territory of `package`, one of `packages`.
    ///
    /// # Errors
    /// What its manifest declares to be outside and is not.
    pub fn new(
        package: &Package,
        packages: &BTreeMap<String, Arc<Package>>,
    ) -> Result<Self, Diagnostics> {
        let own = canonical(&package.place.directory)?;
        let mut others = BTreeMap::new();
        let mut manifests = BTreeSet::new();
        for (name, other) in packages {
            let directory = canonical(&other.place.directory)?;
            let own_manifest = directory.join(manifest::FILE_NAME);
            // Where another stands in for it, it is a file like any.
            if other.manifest.source.path == own_manifest && !reads_manifest(&other.manifest) {
                manifests.insert(own_manifest);
            }
            if directory != own {
                others.insert(directory, format!("@{name}"));
            }
        }
        for outside in declared(package, &own)? {
            others.insert(outside.path, outside.name);
        }
        Ok(Self { own, others, manifests })
    }

    /// The name in keys of what is at `real`, a canonical path: its path in the package, or
    /// `PLACE//PATH`. `None` where nothing of that counts.
    pub fn name(&self, real: &Path) -> Option<String> {
        let below = |place: &Path| real.strip_prefix(place).ok()?.to_str().map(str::to_owned);
        if let Some(path) = below(&self.own) {
            return Some(path);
        }
        let (place, name) = real.ancestors().find_map(|above| self.others.get_key_value(above))?;
        below(place).map(|path| format!("{name}//{path}"))
    }

    /// Whether the file at `path` is a manifest that counts by its values alone.
    pub fn counts_by_value(&self, path: &Path) -> bool {
        self.manifests.contains(path)
    }
}

/// The files and directories outside `package`, whose directory is `own`, that its manifest
/// declares.
///
/// # Errors
/// Those that are not there, and those that are not outside.
pub fn declared(package: &Package, own: &Path) -> Result<Vec<Outside>, Diagnostics> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for entry in &package.manifest.ci.outside {
        let path = own.join(entry.as_str());
        let problem = match path.canonicalize() {
            Err(error) => format!("cannot find {}: {}", path.display(), describe_io(&error)),
            Ok(real) if real.starts_with(own) => {
                format!("`{}` is inside the package", **entry)
            }
            Ok(real) if own.starts_with(&real) => format!("`{}` holds the package", **entry),
            Ok(path) => {
                found.push(Outside { name: entry.value.clone(), path });
                continue;
            }
        };
        let help = "`outside` lists files and directories that links of the package lead to";
        let source = &package.manifest.source;
        errors.push(Diagnostic::new(problem).help(help).at(source, entry.span.clone()));
    }
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

/// Whether a target of the package reads the manifest as a file.
fn reads_manifest(manifest: &Manifest) -> bool {
    spelled(manifest).any(|pattern| {
        matches!(pattern, "" | ".") || fast_glob::glob_match(pattern, manifest::FILE_NAME)
    })
}

/// The paths and globs of the package that its targets name.
pub fn spelled(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let libraries = manifest.libraries.iter().map(|library| &library.compiled);
    let executables = manifest.executables.iter().map(|executable| &executable.compiled);
    let compiled = libraries.chain(executables).flat_map(|compiled| {
        let lists = &compiled.lists;
        let inputs = lists.inputs.iter().map(|input| &input.path);
        let directories = [&lists.includes, &lists.private_includes, &lists.system_includes];
        lists.sources.iter().chain(directories.into_iter().flatten()).chain(inputs)
    });
    let configs = manifest.configs.iter().flat_map(|config| {
        let lists = &config.compiled.lists;
        let files = config.template.iter().chain(&lists.inputs).map(|input| &input.path);
        let includes = lists.includes.iter().chain(&lists.private_includes);
        includes.chain(&lists.system_includes).chain(files)
    });
    let commands = manifest.commands.iter().flat_map(|command| &command.inputs);
    let all = compiled.chain(configs).chain(commands.map(|input| &input.path));
    all.filter_map(|path| path.as_literal()).map(|path| path.trim_start_matches("./"))
}

fn canonical(directory: &Path) -> Result<PathBuf, Diagnostics> {
    crate::workspace::canonical(directory)
}
