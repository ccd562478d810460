//! The plan: all targets of a workspace, and what each is made from.
//!
//! It is made from manifests alone, without touching sources or outputs: [`declare`](self) lists the
//! targets, then every name and placeholder is resolved, once. Edges say what they are for; see
//! [`Kind`].

mod claims;
mod command;
mod compiled;
mod config;
mod connect;
mod counted;
mod cycle;
mod declare;
mod language;
mod links;
mod resolve;
mod runnable;
mod target;
#[cfg(test)]
mod tests;
mod tests_asked;

use std::{collections::HashMap, sync::Arc};

pub use command::*;
pub use compiled::*;
pub use config::Config;
pub use language::Language;
pub use target::*;

pub use crate::manifest::Output;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::Compiled,
    name::Facet,
    path::BuildPath,
    setting::{BuiltFor, Sides},
    workspace::{Package, Workspace},
};

/// All targets of a workspace.
#[derive(Debug)]
pub struct Plan {
    /// The packages.
    pub workspace: Workspace,
    /// The targets; see [`TargetId`].
    pub targets: Vec<Target>,
    /// By package: the targets of a name.
    by_name: Vec<HashMap<String, Vec<TargetId>>>,
    /// By package: the output at a path in the build directory. Objects are not among them.
    by_output: Vec<HashMap<BuildPath, Made>>,
}

/// The mistakes found so far, in what is built for each side.
type Wrong = Sides<Vec<Diagnostic>>;

/// Whether what is built for the target needs anything that is built for the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Nothing,
    Tools,
}

impl Plan {
    /// Makes the plan of a workspace.
    ///
    /// # Errors
    /// Names that name nothing, targets that share a name or an output, and cycles.
    pub fn new(workspace: Workspace) -> Result<Self, Diagnostics> {
        let packages = workspace.packages.len();
        let mut plan = Self {
            workspace,
            targets: Vec::new(),
            by_name: vec![HashMap::new(); packages],
            by_output: vec![HashMap::new(); packages],
        };
        let mut wrong = Wrong::default();
        let entries = plan.declare(&mut wrong);
        plan.claim_outputs(&mut wrong);
        let runs = plan.connect(&entries, &mut wrong);
        let mut errors = wrong.target;
        plan.check_default_targets(&mut errors);
        // Of a package that cannot be built for the host, tools may not be needed.
        if runs == Runs::Tools {
            errors.extend(wrong.host);
        }
        if errors.is_empty() {
            errors.extend(plan.cycle());
            plan.refuse_uncounted(&mut errors);
        }
        if !errors.is_empty() {
            return Err(Diagnostics(errors));
        }
        plan.mark_position_independent();
        Ok(plan)
    }

    /// The target with this id.
    pub fn target(&self, id: TargetId) -> &Target {
        &self.targets[id.index()]
    }

    /// The package with this id.
    pub fn package(&self, id: PackageId) -> &Arc<Package> {
        &self.workspace.packages[id.index()]
    }

    /// The package of a target.
    pub fn package_of(&self, target: &Target) -> &Arc<Package> {
        self.package(target.package)
    }

    /// What the package with this id is built for.
    pub fn side(&self, id: PackageId) -> BuiltFor {
        self.package(id).place.built_for
    }

    /// Returns the package as it is built for the host: itself, where no target is chosen.
    pub fn on_host(&self, id: PackageId) -> PackageId {
        if self.workspace.cross.is_none() {
            return id;
        }
        let built = self.workspace.package_built(&self.package(id).place.name, BuiltFor::Host);
        built.map_or(id, |index| PackageId(index as u32))
    }

    /// The keys that libraries and executables have in common, of a target that is made for one.
    pub fn compiled(&self, target: &Target) -> Option<&Compiled> {
        let manifest = &self.package_of(target).manifest;
        match target.declared {
            Declared::Library(index) => Some(&manifest.libraries[index].compiled),
            Declared::Executable(index) => Some(&manifest.executables[index].compiled),
            Declared::Command(_) | Declared::Config(_) => None,
        }
    }

    /// The ids of all targets.
    pub fn ids(&self) -> impl Iterator<Item = TargetId> + use<> {
        (0..self.targets.len() as u32).map(TargetId)
    }

    /// The ids of all packages.
    pub fn package_ids(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.workspace.packages.len() as u32).map(PackageId)
    }

    /// Everything that `roots` need, themselves included, in an order that has needs first.
    pub fn closure(&self, roots: &[TargetId]) -> Vec<TargetId> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.targets.len()];
        // Depth first without recursion: a chain may be as long as a manifest.
        let mut stack: Vec<(TargetId, bool)> = roots.iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, leaving)) = stack.pop() {
            if leaving {
                order.push(id);
            } else if !std::mem::replace(&mut seen[id.index()], true) {
                stack.push((id, true));
                stack.extend(self.target(id).needs().into_iter().rev().map(|need| (need, false)));
            }
        }
        order
    }

    /// Objects that end up in a shared library are compiled for that.
    fn mark_position_independent(&mut self) {
        let shared: Vec<TargetId> =
            self.ids().filter(|&id| self.target(id).facet() == Some(Facet::Shared)).collect();
        for id in self.closure(&shared) {
            if let Kind::Objects(objects) = &mut self.targets[id.index()].kind {
                objects.position_independent = true;
            }
        }
    }

    /// Resolves all `default-targets` to find mistakes in them.
    fn check_default_targets(&self, errors: &mut Vec<Diagnostic>) {
        for id in self.package_ids().filter(|id| self.side(*id) == BuiltFor::Target) {
            let manifest = &self.package(id).manifest;
            for name in manifest.package.default_targets.iter().flatten() {
                if let Err(diagnostic) = self.resolve(id, name) {
                    errors.push(diagnostic.at(&manifest.source, name.span.clone()));
                }
            }
        }
    }
}
