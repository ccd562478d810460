//! From targets of a manifest to jobs made of common builds.

mod command;
mod compile;
mod link;

use std::{collections::HashMap, sync::Arc};

use crate::tool::Toolchain;
use larder_store::offline::Tool;
use larder_trace::{BuildTrace, platform_trace};

use crate::{
    artifact::Artifact,
    builds::{Owner, input_dir, input_file},
    cache::restore_everything,
    context::Context,
    job::{Built, Job, collect, settle},
    toolchain::{Role, Tools},
};
use larder_project::{
    diagnostic::{Diagnostic, Located},
    glob::{GlobError, Globber, is_pattern},
    manifest::{Template, Word},
    name::{Facet, TargetName},
    plan::{Declared, Made, PackageId, Plan, TargetId},
    workspace::Package,
};

/// The jobs of one target.
#[derive(Clone)]
pub enum TargetJob {
    /// Objects, one job each.
    Objects(Vec<Job<Artifact>>),
    /// A library or an executable.
    Single(Job<Artifact>),
    /// A command's outputs: how many, and their job.
    Command(usize, Job<Vec<Artifact>>),
}

impl TargetJob {
    /// Everything the target makes, as one job.
    pub fn all(&self, cx: &Context) -> Job<Vec<Artifact>> {
        match self {
            Self::Objects(objects) => collect(&cx.scheduler, objects.iter().cloned()),
            Self::Single(job) => job.map(|built| {
                let trace = BuildTrace::nil("outputs").mix(built.trace.clone());
                Ok(Built { value: vec![built.value.clone()], trace })
            }),
            Self::Command(_, job) => job.clone(),
        }
    }

    /// A job that is done when the target is, and fails when it does. It puts no traces together.
    pub fn ended(&self, cx: &Context) -> Job<()> {
        let nothing = || Ok(Built { value: (), trace: BuildTrace::nil("ended") });
        match self {
            Self::Objects(objects) => {
                settle(&cx.scheduler, objects.iter().cloned()).map(move |settled| {
                    settled
                        .value
                        .iter()
                        .find_map(|end| end.as_ref().err())
                        .map_or_else(nothing, |failed| Err(*failed))
                })
            }
            Self::Single(job) => job.map(move |_| nothing()),
            Self::Command(_, job) => job.map(move |_| nothing()),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Objects(objects) => objects.len(),
            Self::Single(_) => 1,
            Self::Command(count, _) => *count,
        }
    }
}

/// Makes jobs for targets, needs first.
pub struct Maker<'a> {
    plan: &'a Plan,
    cx: &'a Arc<Context>,
    /// By target: whether its outputs are asked for.
    asked: Vec<bool>,
    restore_everything: bool,
    jobs: Vec<Option<TargetJob>>,
    tools: Tools<'a>,
    globbers: HashMap<PackageId, Globber>,
    /// By objects target: whether any source is C++.
    cxx: Vec<bool>,
    /// What is wrong with what the targets name.
    pub errors: Vec<Diagnostic>,
}

impl<'a> Maker<'a> {
    /// For the targets of `plan`, of which `asked` were asked for.
    pub fn new(plan: &'a Plan, cx: &'a Arc<Context>, asked: &[TargetId]) -> Self {
        let mut is_asked = vec![false; plan.targets.len()];
        asked.iter().for_each(|id| is_asked[id.index()] = true);
        Self {
            plan,
            cx,
            asked: is_asked,
            restore_everything: restore_everything(),
            jobs: vec![None; plan.targets.len()],
            tools: Tools::new(&cx.index, cx.sandbox.as_ref()),
            globbers: HashMap::new(),
            cxx: vec![false; plan.targets.len()],
            errors: Vec::new(),
        }
    }

    /// Makes the jobs of `id`, whose needs have theirs. Says in [`Self::errors`] what is wrong.
    pub fn make(&mut self, id: TargetId) {
        let plan = self.plan;
        let target = plan.target(id);
        // Something it needs was refused, and that has been said.
        if target.needs().iter().any(|need| self.job(*need).is_none()) {
            return;
        }
        let package = plan.package_of(target).clone();
        let owner = Owner {
            cx: self.cx.clone(),
            place: package.place.clone(),
            target: target.label.clone(),
            keep: self.asked[id.index()]
                || self.restore_everything
                || package.manifest.package.restore_all_artifacts,
        };
        let result = match (target.declared, target.facet()) {
            (Declared::Command(index), _) => self.command(&package, id, index, owner),
            (_, Some(Facet::O)) => self.objects(id, &package, owner),
            _ => self.linked(target, &package, owner),
        };
        match result {
            Ok(job) => self.jobs[id.index()] = Some(job),
            Err(diagnostic) => self.errors.push(*diagnostic),
        }
    }

    /// The jobs of a target that were made.
    pub fn job(&self, id: TargetId) -> Option<&TargetJob> {
        self.jobs[id.index()].as_ref()
    }

    /// The tools that the jobs made so far use.
    pub fn tools(&self) -> Vec<Tool> {
        self.tools.list()
    }

    fn tool(&mut self, package: &Package, role: Role) -> Checked<Arc<Toolchain>> {
        let manifest = &package.manifest;
        self.tools.get(&manifest.toolchain, role, &package.place.directory).map_err(|error| {
            let message = format!("{}: {error}", manifest.source.path.display());
            Box::new(Diagnostic::new(message))
        })
    }

    /// What everything depends on that is made for the platform by a tool.
    fn made_by(&self, name: &'static str, package: &Package, tool: &Toolchain) -> BuildTrace {
        let platform = (!package.manifest.package.platform_independent).then(platform_trace);
        BuildTrace::nil(name).mix_all(platform).mix(tool.trace.clone())
    }

    /// The job of one entry of `inputs`, and how many artifacts it gives.
    fn input(
        &mut self,
        index: PackageId,
        package: &Package,
        input: &Located<Template>,
        text: bool,
        owner: &Owner,
    ) -> Checked<(Job<Vec<Artifact>>, usize)> {
        if let Some(hole) = input.as_hole() {
            let ids = self.named(index, hole).map_err(|diagnostic| {
                diagnostic.at(&package.manifest.source, input.span.clone())
            })?;
            let jobs: Vec<(TargetId, &TargetJob)> =
                ids.iter().filter_map(|&id| Some((id, self.job(id)?))).collect();
            let count = jobs.iter().map(|(_, job)| job.count()).sum();
            let jobs: Vec<_> = jobs.iter().map(|(id, job)| self.renamed(index, *id, job)).collect();
            return Ok((flatten(self.cx, jobs), count));
        }
        if let Some(path) = input.as_built() {
            let Made { target: id, position } =
                self.plan.maker_of(index, path).map_err(|diagnostic| {
                    diagnostic.at(&package.manifest.source, input.span.clone())
                })?;
            let job =
                self.job(id).ok_or_else(|| wrong(&format!("`{}` is not built", input.text)))?;
            let one = self.renamed(index, id, job).map(move |built| {
                let part = built.trace.parts()[position].clone();
                let value = vec![built.value[position].clone()];
                Ok(Built { value, trace: BuildTrace::nil("outputs").mix(part) })
            });
            return Ok((one, 1));
        }
        let pattern = literal(package, input)?;
        let paths = self.expand(index, package, &pattern)?;
        let count = paths.len();
        let jobs: Vec<Job<Artifact>> = paths
            .into_iter()
            .map(|path| match package.place.directory.join(&path).is_dir() {
                true => input_dir(owner, path, text),
                false => input_file(owner, path, text),
            })
            .collect();
        Ok((collect(&self.cx.scheduler, jobs), count))
    }

    /// A target's job with its outputs named as seen from package `index`.
    fn renamed(&self, index: PackageId, id: TargetId, job: &TargetJob) -> Job<Vec<Artifact>> {
        let target = self.plan.target(id);
        let prefix = match target.package == index {
            true => "<build>/".to_owned(),
            false => format!("@{}/<build>/", self.plan.package_of(target).place.name),
        };
        job.all(self.cx).map(move |built| {
            let parts = built.trace.parts().iter();
            let parts =
                parts.map(|part| (**part).clone().named(format!("{prefix}{}", part.name())));
            let trace = BuildTrace::nil("outputs").mix_all(parts);
            Ok(Built { value: built.value.clone(), trace })
        })
    }

    /// The targets that a placeholder in package `index` names.
    fn named(&self, index: PackageId, hole: &str) -> Result<Vec<TargetId>, Diagnostic> {
        if Word::built_in(hole).is_some() {
            return Ok(Vec::new());
        }
        let name: TargetName = hole.parse().map_err(Diagnostic::new)?;
        self.plan.resolve(index, &name)
    }

    /// The files that a pattern of a package's manifest matches, at least one.
    fn expand(
        &mut self,
        index: PackageId,
        package: &Package,
        pattern: &Located<String>,
    ) -> Checked<Vec<String>> {
        let at = |diagnostic: Diagnostic| {
            Box::new(diagnostic.at(&package.manifest.source, pattern.span.clone()))
        };
        let directory = &package.place.directory;
        let globber = self.globbers.entry(index).or_insert_with(|| Globber::new(directory.clone()));
        let found = globber.expand(pattern).map_err(|error| {
            let diagnostic = Diagnostic::new(error.to_string());
            at(match &error {
                GlobError::Outside(_) | GlobError::LinkOutside(_) => diagnostic.help(
                    "a package is built from its own files: copy it in, or make a package of what it is in and depend on that",
                ),
                _ => diagnostic,
            })
        })?;
        if found.is_empty() {
            let diagnostic = Diagnostic::new(format!("`{}` matches no file", **pattern));
            return Err(at(diagnostic.help(format!("patterns start in {}", directory.display()))));
        }
        if !is_pattern(pattern) && !directory.join(&found[0]).exists() {
            let diagnostic = Diagnostic::new(format!("there is no file `{}`", found[0]));
            return Err(at(diagnostic.help(format!("paths start in {}", directory.display()))));
        }
        Ok(found)
    }
}

type Checked<T> = Result<T, Box<Diagnostic>>;

fn wrong(message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(message))
}

/// A text that may have no placeholder, except as a whole.
fn literal(package: &Package, text: &Located<Template>) -> Checked<Located<String>> {
    match text.as_literal() {
        Some(literal) => Ok(Located { value: literal.to_owned(), span: text.span.clone() }),
        None => {
            let message = format!("`{}` mixes a path and a placeholder", text.text);
            let help = "write a path or pattern in the package, {TARGET} for what a target makes, or {build}/PATH for one of its outputs";
            let diagnostic = Diagnostic::new(message).help(help);
            Err(Box::new(diagnostic.at(&package.manifest.source, text.span.clone())))
        }
    }
}

/// Several groups of artifacts as one, with the traces of all in one list.
fn flatten(cx: &Context, groups: Vec<Job<Vec<Artifact>>>) -> Job<Vec<Artifact>> {
    collect(&cx.scheduler, groups).map(|groups| {
        let parts = groups.trace.parts().iter().flat_map(|group| group.parts().to_vec());
        let trace = BuildTrace::nil("inputs").mix_all(parts);
        Ok(Built { value: groups.value.concat(), trace })
    })
}
