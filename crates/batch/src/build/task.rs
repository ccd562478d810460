//! One package to build, as plain data.

use std::path::PathBuf;

use larder_engine::process::Allowance;
use larder_project::manifest::Toolchain;
use larder_runs::name::{HashName, PackageName};
use larder_trace::ContentHash;

use super::Failure;
use crate::{
    catalogue::{Docs, Recipe, Sources},
    hashes::Fields,
    layer::Layer,
};

/// One package to build: all that decides its layer, and how much that may take. Plain data.
#[derive(Debug, Clone)]
pub struct BuildTask {
    /// The package, `<name>.<version>`.
    pub package: PackageName,
    /// The name of its layer: the hash of all that decides it.
    pub build_hash: HashName,
    /// The hash of what the set decides about its content.
    pub source_digest: HashName,
    /// What it is made from.
    pub sources: Sources,
    /// How it is built.
    pub recipe: Recipe,
    /// How its documentation is made.
    pub docs: Docs,
    /// Its dependency closure without itself, in the order of their names.
    pub needs: Vec<Need>,
    /// What it is built with.
    pub compiler: Compiler,
    /// How much it may take, all its commands together.
    pub allowance: Allowance,
    /// How many commands it may run at once by itself: `{jobs}` is that, or what others leave of it.
    pub jobs: usize,
    /// Whether its commands are confined to what it is given.
    pub sandbox: bool,
}

/// A compiler of the set.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// Its name in run data, such as `gcc.12`.
    pub package: PackageName,
    /// The hash of all that its tools consist of, as the engine traces them.
    pub identity: HashName,
    /// Its tools, as the set names them.
    pub toolchain: Toolchain,
}

/// A package that another one needs, itself or by another.
#[derive(Debug, Clone)]
pub struct Need {
    /// The package.
    pub package: PackageName,
    /// Whether the package itself asks for it.
    pub direct: bool,
    /// Its layer.
    pub layer: Layer,
    /// The sources of a larder package: larder packages that need it are built with these.
    pub sources: Option<Sources>,
}

impl BuildTask {
    /// The hash of all that its layer depends on: of what it is built with, the content counts, and not how that came
    /// about.
    pub fn dep_hash(&self, platform: &str) -> ContentHash {
        let mut fields = Fields::of("layer of package");
        fields.text(self.package.as_str()).text(self.source_digest.as_str()).text(platform);
        fields.text(self.compiler.package.as_str()).text(self.compiler.identity.as_str());
        fields.number(u64::from(self.sandbox)).number(self.needs.len() as u64);
        for need in &self.needs {
            fields.text(need.package.as_str()).number(u64::from(need.direct));
            fields.hash(&need.layer.record.digest);
            if let Some(sources) = need.sources.as_ref().filter(|_| self.is_larder_package()) {
                fields.hash(&sources.hash);
            }
        }
        fields.finish()
    }

    /// Checks that sources are what their hashes say: somebody may edit them during a run.
    ///
    /// # Errors
    /// That they are not.
    pub(super) fn check_sources(&self) -> Result<(), Failure> {
        let needed = self.needs.iter().filter(|_| self.is_larder_package());
        let needed = needed.filter_map(|need| Some((&need.package, need.sources.as_ref()?)));
        for (package, sources) in [(&self.package, &self.sources)].into_iter().chain(needed) {
            let changed = sources.changed();
            if changed.map_err(|error| Failure::of_machine(error.to_string()))? {
                return Err(Failure::of_changed_sources(package));
            }
        }
        Ok(())
    }

    pub(super) fn is_larder_package(&self) -> bool {
        self.recipe == Recipe::Manifest
    }

    /// The layers that it is built with, by name.
    pub(super) fn need_paths(&self) -> Vec<(String, PathBuf)> {
        let path = |need: &Need| (need.package.name().to_owned(), need.layer.directory.clone());
        self.needs.iter().map(path).collect()
    }
}
