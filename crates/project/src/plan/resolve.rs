//! Names of targets and of outputs, as manifests and the command line have them.

use super::{Declared, Made, PackageId, Plan, TargetId};
use crate::{
    diagnostic::{Diagnostic, suggest},
    name::{Facet, TargetName},
    path::BuildPath,
    setting::BuiltFor,
};

impl Plan {
    /// The targets of a package called `name`, those of one facet or all.
    pub(super) fn find(
        &self,
        package: PackageId,
        name: &str,
        facet: Option<Facet>,
    ) -> impl Iterator<Item = TargetId> {
        let ids = self.by_name[package.index()].get(name).map_or(&[][..], Vec::as_slice);
        ids.iter().copied().filter(move |&id| facet.is_none() || self.target(id).facet() == facet)
    }

    /// Returns the targets that `name` means in `package`. A name without a facet means everything
    /// that is linked or run, and objects only where they are asked for.
    ///
    /// # Errors
    /// There is no such package, target or facet.
    pub fn resolve(
        &self,
        package: PackageId,
        name: &TargetName,
    ) -> Result<Vec<TargetId>, Diagnostic> {
        let package = match &name.package {
            None => package,
            Some(other) => self.resolve_package(other, self.side(package))?,
        };
        let Some(target) = &name.target else { return Ok(self.defaults(package)) };
        let found: Vec<TargetId> = self
            .find(package, target, name.facet)
            .filter(|&id| name.facet.is_some() || self.target(id).facet() != Some(Facet::O))
            .collect();
        if found.is_empty() { Err(self.no_target(package, target, name.facet)) } else { Ok(found) }
    }

    fn resolve_package(&self, name: &str, side: BuiltFor) -> Result<PackageId, Diagnostic> {
        if let Some(index) = self.workspace.package_built(name, side) {
            return Ok(PackageId(index as u32));
        }
        let names = self.workspace.packages.iter().map(|package| package.place.name.as_str());
        let diagnostic = Diagnostic::new(format!("there is no package `{name}` here"));
        Err(match suggest(name, names) {
            Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
            None => diagnostic.help("packages are named in [dependencies]"),
        })
    }

    fn no_target(&self, package: PackageId, target: &str, facet: Option<Facet>) -> Diagnostic {
        let package_name = &self.package(package).place.name;
        if let (Some(facet), Some(_)) = (facet, self.find(package, target, None).next()) {
            let facet = facet.as_str();
            let facets = self.find(package, target, None).filter_map(|id| self.target(id).facet());
            let facets: Vec<&str> = facets.map(Facet::as_str).collect();
            let message =
                format!("the target `{target}` of `{package_name}` has no facet `{facet}`");
            return Diagnostic::new(message).help(match facets.is_empty() {
                true => "commands, configs and libraries of headers have none".to_owned(),
                false => format!("it has {}", facets.join(", ")),
            });
        }
        if let Some(conditions) = self.package(package).manifest.absent.get(target) {
            let message =
                format!("`{target}` is only there where {}", conditions.join(", or where "));
            let help = "name it only under the same condition, in a [[….case]] or with `when`";
            return Diagnostic::new(message).help(help);
        }
        let names = self.by_name[package.index()].keys();
        let message = format!("there is no target `{target}` in the package `{package_name}`");
        let elsewhere = self.packages_with(package, target).map(|name| format!("@{name}/{target}"));
        let known = suggest(target, names.map(String::as_str)).map(str::to_owned);
        match elsewhere.chain(known).next() {
            Some(known) => Diagnostic::new(message).help(format!("did you mean `{known}`?")),
            None => Diagnostic::new(message).help("`larder graph` lists the targets"),
        }
    }

    /// The names of the packages that have a target called `target`, other than `package`.
    pub(super) fn packages_with(
        &self,
        package: PackageId,
        target: &str,
    ) -> impl Iterator<Item = &str> {
        let side = self.side(package);
        let others = self.package_ids().filter(move |&id| id != package && self.side(id) == side);
        others
            .filter(move |&id| self.find(id, target, None).next().is_some())
            .map(|id| &*self.package(id).place.name)
    }

    /// Returns the targets that a package's `default-targets` name. Without that key, they are all of
    /// the package but objects and commands that make nothing.
    pub fn defaults(&self, package: PackageId) -> Vec<TargetId> {
        let manifest = &self.package(package).manifest;
        match &manifest.package.default_targets {
            // `Plan::new` has resolved them once, so they do.
            Some(names) => names
                .iter()
                .flat_map(|name| self.resolve(package, name).unwrap_or_default())
                .collect(),
            None => self
                .ids()
                .filter(|&id| {
                    let target = self.target(id);
                    let makes_nothing = || match target.declared {
                        Declared::Command(index) => manifest.commands[index].outputs.is_empty(),
                        _ => false,
                    };
                    (target.package == package || self.is_tool_of(id, package))
                        && target.facet() != Some(Facet::O)
                        && !makes_nothing()
                })
                .collect(),
        }
    }

    /// Whether a target is a tool of the build that a package declares.
    pub(super) fn is_tool_of(&self, id: TargetId, package: PackageId) -> bool {
        self.is_tool(id) && self.target(id).package == self.on_host(package)
    }

    /// Returns the output of a package at `path` in its build directory. Objects have no such names.
    ///
    /// # Errors
    /// No target of the package makes it.
    pub fn maker_of(&self, package: PackageId, path: &str) -> Result<Made, Diagnostic> {
        let outputs = &self.by_output[package.index()];
        outputs.get(path.trim_end_matches('/')).copied().ok_or_else(|| {
            let message =
                format!("no target of this package makes `{path}` in the build directory");
            Diagnostic::new(message).help(
                match suggest(path, outputs.keys().map(BuildPath::as_str)) {
                    Some(known) => format!("did you mean {{build}}/{known}?"),
                    None => {
                        "name it among the `outputs` of the [[command]] that writes it".to_owned()
                    }
                },
            )
        })
    }
}
