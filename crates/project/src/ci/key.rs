//! Keys: a result's name, made from everything that decides it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_trace::BuildTrace;

use super::{
    context,
    environment::Sources,
    files, tree,
    variant::{self, ArgumentValue, Matrix},
};
use crate::{
    diagnostic::{Diagnostics, Located, SourceText},
    manifest::{Manifest, Toolchains},
    setting::Choices,
    workspace::Package,
};

/// The version of what keys are made from, part of every key.
const VERSION: &str = "2";

/// A key and what it was made from.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The key: letters, digits, `_` and `-`, at most 128 of them, so that it is also a tag of a
    /// container image and a key of a CI cache.
    pub key: String,
    /// Beginnings of the keys of similar results, the most similar first.
    pub near: Vec<String>,
    /// The named parts; their hash is what the key ends in.
    pub trace: BuildTrace,
}

/// The build context of a container image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its directory.
    pub context: PathBuf,
    /// Its recipe; `Containerfile` or `Dockerfile` in the context, when absent.
    pub containerfile: Option<PathBuf>,
}

/// The parts of a key besides manifests and dependencies.
#[derive(Debug, Clone, Default)]
pub struct Ingredients {
    /// Globs of files and directories of the root package.
    pub inputs: Vec<Located<String>>,
    /// Globs of what `inputs` match and that is left out.
    pub exclude: Vec<Located<String>>,
    /// The image.
    pub image: Option<Image>,
    /// Its build arguments, by name.
    pub build_args: BTreeMap<String, ArgumentValue>,
    /// Whether the tools of this machine count.
    pub toolchain: bool,
    /// Keys of other results, by name, in any order.
    pub needs: Vec<(String, String)>,
}

/// The parts of the machine that a key is made on, where the results are made by its tools.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The identities of the packages' tools: one part a package.
    pub tools: BuildTrace,
    /// The arguments that the environment has them called with: one part a variable that is set.
    pub flags: Vec<BuildTrace>,
    /// The values of the variables in [`Keys::variables`] that are set.
    pub variables: BTreeMap<String, OsString>,
}

/// Returns the key of a package with `ingredients`: 64 hex digits.
///
/// # Errors
/// Everything wrong with its manifests, its lock file and the files that count.
pub fn key(keys: &Keys, ingredients: &Ingredients) -> Result<Keyed, Diagnostics> {
    let (_, trace) = keys.mix(ingredients, &keys.matrix, None)?;
    Ok(Keyed { key: trace.hash().to_string(), near: Vec::new(), trace })
}

/// Makes keys of one package; its manifests and dependencies are read once.
pub struct Keys {
    root: PathBuf,
    sources: Sources,
    /// The values that the matrix has for all keys.
    matrix: Matrix,
    /// The values of [`Self::passed`] that are set.
    passed: BTreeMap<String, OsString>,
    /// The environment without and with tools, as far as it was needed.
    environments: [std::cell::OnceCell<BuildTrace>; 2],
}

impl Keys {
    /// Reads the manifests of the package at `root` and of its path dependencies. All their parts count,
    /// whether they hold or not, and so do `choices`, which decide that.
    ///
    /// # Errors
    /// Everything wrong with them and with `choices`, and Git dependencies that `larder.lock` does not pin.
    pub fn read(root: &Path, choices: &Choices) -> Result<Self, Diagnostics> {
        let root = crate::workspace::canonical(root)?;
        let sources = Sources::read(&root, choices)?;
        let (matrix, passed, environments) = Default::default();
        Ok(Self { root, sources, matrix, passed, environments })
    }

    /// The same, for these values of a matrix.
    #[must_use]
    pub fn of_matrix(mut self, matrix: Matrix) -> Self {
        self.matrix = matrix;
        self
    }

    /// The same, with the variables that `get` has for build arguments that jobs pass on.
    #[must_use]
    pub fn passing(mut self, get: impl Fn(&str) -> Option<OsString>) -> Self {
        let jobs = self.manifest().map_or(&[][..], |manifest| &manifest.ci.jobs);
        let names = jobs.iter().flat_map(|job| &job.pass_build_args);
        let set = names.filter_map(|name| Some((name.value.clone(), get(name)?)));
        self.passed = set.collect();
        self
    }

    /// The values of the matrix.
    pub(super) fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// The value of a build argument that a job passes on.
    pub(super) fn passed(&self, name: &str) -> ArgumentValue {
        ArgumentValue::Taken(self.passed.get(name).cloned())
    }

    /// The same, with what counts of this machine. Keys that its tools count for need it.
    #[must_use]
    pub fn on(mut self, machine: Machine) -> Self {
        self.sources.machine = Some(machine);
        self
    }

    /// The packages whose tools count, by name.
    pub fn packages(&self) -> &BTreeMap<String, Arc<Package>> {
        self.sources.packages()
    }

    /// The names of the environment variables that the packages' commands take.
    pub fn variables(&self) -> BTreeSet<&str> {
        self.sources.variables()
    }

    /// The choices of whoever asks.
    pub fn choices(&self) -> &Choices {
        &self.sources.choices
    }

    /// What the root package declares of the tools for targets.
    pub fn toolchains(&self) -> &Toolchains {
        &self.sources.toolchains
    }

    /// The root package's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root package's manifest.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.sources.manifest()
    }

    /// The key of `job`: `JOB-ENVIRONMENT-HASH`, where ENVIRONMENT, 16 digits, is what all jobs
    /// with the same tools, matrix and build arguments have in common.
    pub(super) fn named(
        &self,
        job: &str,
        ingredients: &Ingredients,
        matrix: &Matrix,
        source: &SourceText,
    ) -> Result<Keyed, Diagnostics> {
        let (environment, trace) = self.mix(ingredients, matrix, Some(source))?;
        let environment = environment.hash().to_string();
        let near = vec![format!("{job}-{}-", &environment[..16]), format!("{job}-")];
        Ok(Keyed { key: format!("{}{}", near[0], trace.hash()), near, trace })
    }

    fn mix(
        &self,
        ingredients: &Ingredients,
        matrix: &Matrix,
        source: Option<&SourceText>,
    ) -> Result<(BuildTrace, BuildTrace), Diagnostics> {
        let mut environment = self.environment(ingredients.toolchain)?;
        if !matrix.is_empty() {
            environment = environment.mix(variant::matrix_trace(matrix));
        }
        if !ingredients.build_args.is_empty() {
            environment = environment.mix(variant::arguments_trace(&ingredients.build_args));
        }
        let mut trace = BuildTrace::nil("key")
            .mix(BuildTrace::text("version", VERSION))
            .mix(environment.clone());
        let Ingredients { inputs, exclude, image, needs, .. } = ingredients;
        if !inputs.is_empty() {
            let files = tree::select(&self.sources.territory()?, inputs, exclude, source)?;
            trace = trace.mix(files::trace("inputs", files)?);
        }
        if let Some(image) = image {
            trace = trace.mix(context::trace(&image.context, image.containerfile.as_deref())?);
        }
        if !needs.is_empty() {
            let mut needs = needs.clone();
            needs.sort();
            needs.dedup();
            let needs = needs.into_iter().map(|(name, key)| BuildTrace::text(name, key));
            trace = trace.mix(BuildTrace::nil("needs").mix_all(needs));
        }
        Ok((environment, trace))
    }

    fn environment(&self, toolchain: bool) -> Result<BuildTrace, Diagnostics> {
        let cell = &self.environments[usize::from(toolchain)];
        if let Some(known) = cell.get() {
            return Ok(known.clone());
        }
        let trace = self.sources.trace(toolchain)?;
        Ok(cell.get_or_init(|| trace).clone())
    }
}
