//! Loading a workspace: its manifests with what is chosen, and its plan.

use std::path::Path;

use larder_project::{
    dependencies::Resolution,
    diagnostic::Diagnostics,
    manifest::{Document, Toolchains},
    plan::Plan,
    setting::{Choices, Cross, Setting},
    workspace::{Package, Workspace},
};
use larder_trace::StatIndex;

use super::{BuildRequest, EngineError};
use crate::{
    environment::Environment,
    sandbox::{self, Permissions, Sandbox},
    toolchain::{Families, families},
};

/// A plan to load: of which package, and with which settings.
#[derive(Clone, Copy)]
pub struct Loading<'l> {
    /// A directory in the root package.
    pub directory: &'l Path,
    /// How dependencies are resolved.
    pub resolution: &'l Resolution,
    /// The choices of whoever builds.
    pub choices: &'l Choices,
    /// The user's configuration, which may declare tools for targets.
    pub configuration: Option<&'l Path>,
    /// The environment in which compilers are found, where a condition asks for them.
    pub environment: &'l Environment,
    /// Permissions for compilers that are asked; not confined at all when absent.
    pub sandbox: Option<&'l Permissions>,
}

/// Loads a workspace and makes its graph.
///
/// # Errors
/// Everything wrong with its manifests, and compilers that a condition asks for and that are not there.
pub fn load(loading: &Loading<'_>) -> Result<Plan, EngineError> {
    load_to_build(loading).map(|(plan, _)| plan)
}

/// Does the same as [`load`], and returns what was learned of compilers on the way, if any were asked: a build that holds
/// the lock has the next one know it.
///
/// # Errors
/// As [`load`].
pub(super) fn load_to_build(
    loading: &Loading<'_>,
) -> Result<(Plan, Option<StatIndex>), EngineError> {
    let root = Workspace::find_root(loading.directory)?;
    let workspace = Workspace::read(&root, loading.resolution)?;
    let sandbox = || {
        let directories = workspace.packages.iter().map(|package| &package.place);
        let directories =
            directories.map(|place| (place.name.to_string(), place.directory.clone())).collect();
        let packages = sandbox::Packages { directories, declarations: Vec::new() };
        let confined = |permissions| Sandbox::new(packages, permissions);
        loading.sandbox.map(confined).transpose()
    };
    let declared = |root: &Package<Document>| {
        cross(loading.choices, loading.configuration, &root.manifest.toolchains)
    };
    let cross = workspace.packages.first().map(|root| declared(root)).transpose()?.flatten();
    let Families { compilers, index } =
        families(&workspace, cross.as_ref(), loading.environment, sandbox)?;
    let setting = Setting { compilers, choices: loading.choices.clone(), cross };
    Ok((Plan::new(workspace.settle(&setting)?)?, index))
}

/// Returns the target that is chosen, if one is, with what is declared of its tools: by the root package, and by
/// the user's configuration, which wins.
///
/// # Errors
/// Everything wrong with that of the configuration.
pub fn cross(
    choices: &Choices,
    configuration: Option<&Path>,
    declared: &Toolchains,
) -> Result<Option<Cross>, Diagnostics> {
    let Some(triple) = &choices.target else { return Ok(None) };
    let configured = configuration.map(Toolchains::configured).transpose()?.unwrap_or_default();
    let of = |toolchains: &Toolchains| toolchains.get(triple).cloned().unwrap_or_default();
    let toolchain = of(declared).overruled_by(of(&configured));
    Ok(Some(Cross { triple: triple.clone(), toolchain }))
}

impl BuildRequest {
    /// The plan that it is about.
    pub fn loading<'l>(&'l self, environment: &'l Environment) -> Loading<'l> {
        Loading {
            directory: &self.directory,
            resolution: &self.resolution,
            choices: &self.choices,
            configuration: self.configuration.as_deref(),
            environment,
            sandbox: self.sandbox.as_ref(),
        }
    }
}
