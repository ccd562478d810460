//! From targets of a plan to jobs made of common builds.
//!
//! The plan has resolved every name. Here globs are expanded and tools looked for, and whatever is wrong
//! is collected, so that all of it is said before any command runs.

mod assemble;
mod command;
mod compile;
mod config;
mod exports;
mod files;
mod generated;
mod link;
mod named;
mod precompile;
mod said;
mod search_path;
mod source_args;
mod sources;
mod system;
mod test;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use larder_project::{
    diagnostic::Diagnostic,
    glob::Globber,
    plan::{Kind, PackageId, Plan, TargetId},
    setting::{BuiltFor, Cross, Platform, Sides},
    workspace::Package,
};
use larder_store::offline;
use larder_trace::{BuildTrace, platform_trace};

use crate::{
    artifact::Artifact,
    builds::{Owner, single},
    context::Context,
    environment::Environment,
    flags::Flags,
    job::{Built, Job},
    toolchain::{Compiler, Role, Tools, tools_of_sides},
};

/// The job of one target.
#[derive(Clone)]
pub struct TargetJob {
    /// How many artifacts it makes.
    count: usize,
    /// All of them, traced one by one under their paths in the build directory.
    pub outputs: Job<Vec<Artifact>>,
}

impl TargetJob {
    fn single(job: &Job<Artifact>) -> Self {
        Self { count: 1, outputs: single(job) }
    }

    /// Returns a job that is done when the target is, and fails when it does. It puts no traces
    /// together.
    pub fn ended(&self) -> Job<()> {
        self.outputs.map(|_| Ok(Built { value: (), trace: BuildTrace::nil("ended") }))
    }
}

/// Makes jobs for targets, needs first.
pub struct Maker<'a> {
    plan: &'a Plan,
    cx: &'a Arc<Context>,
    /// By target: whether its outputs are to be on disk: somebody asked for them, or editors read them, as compilers do.
    wanted: Vec<bool>,
    jobs: Vec<Option<TargetJob>>,
    tools: Sides<Tools<'a>>,
    globbers: HashMap<PackageId, Globber<'a>>,
    /// By target: whether its objects, or those that it is made of, have any from C++.
    cxx: Vec<bool>,
    /// Errors in what the targets name.
    pub errors: Vec<Diagnostic>,
}

/// The targets that make sources or headers.
fn read_by_compilers(plan: &Plan) -> Vec<TargetId> {
    let compiled = plan.targets.iter().filter(|target| matches!(target.kind, Kind::Objects(_)));
    let needs = compiled.flat_map(|target| target.needs());
    let makes_files =
        |id: &TargetId| matches!(plan.target(*id).kind, Kind::Command(_) | Kind::Config(_));
    needs.filter(makes_files).collect()
}

impl<'a> Maker<'a> {
    /// For the targets of `plan`, of which `asked` were asked for.
    pub fn new(plan: &'a Plan, cx: &'a Arc<Context>, asked: &[TargetId]) -> Self {
        let mut wanted = vec![false; plan.targets.len()];
        // Whoever asks for a program is going to run it, and then it loads its libraries.
        for id in asked.iter().chain(&plan.loaded_by(asked)).chain(&read_by_compilers(plan)) {
            wanted[id.index()] = true;
        }
        let environment = &*cx.session.settings.environment;
        let (sandbox, cross) = (cx.sandbox.as_deref(), plan.workspace.cross.as_deref());
        let none = || Tools::new(&cx.index, sandbox, Environment::default());
        let tools = tools_of_sides(&cx.index, sandbox, environment, &cx.root, cross);
        let (tools, errors) = match tools {
            Ok(tools) => (tools, Vec::new()),
            Err(wrong) => (Sides { target: none(), host: none() }, wrong),
        };
        Self {
            plan,
            cx,
            wanted,
            jobs: vec![None; plan.targets.len()],
            tools,
            globbers: HashMap::new(),
            cxx: vec![false; plan.targets.len()],
            errors,
        }
    }

    /// Makes the job of `id`, whose needs have theirs. Says in [`Self::errors`] what is wrong.
    pub fn make(&mut self, id: TargetId) {
        let plan = self.plan;
        let target = plan.target(id);
        // Something it needs was refused, and that has been said.
        if target.needs().iter().any(|need| self.job(*need).is_none()) {
            return;
        }
        let package = self.package(target.package);
        let keep = self.wanted[id.index()] || self.keeps_everything(&package);
        let owner = self.owner(id, keep);
        self.jobs[id.index()] = match &target.kind {
            Kind::Objects(objects) => self.objects(id, objects, owner),
            Kind::Headers(headers) => self.headers(id, headers, &owner),
            Kind::Archive(archive) => self.archive(id, archive, owner),
            Kind::Linked(linked) => self.linked(id, linked, owner),
            Kind::Command(command) => self.command(id, command, owner),
            Kind::Config(config) => self.config(id, config, owner),
        };
    }

    /// The job of a target, if it was made.
    pub fn job(&self, id: TargetId) -> Option<&TargetJob> {
        self.jobs[id.index()].as_ref()
    }

    /// The tools that the jobs made so far use.
    pub fn tools(&self) -> Vec<offline::Tool> {
        let mut tools = [self.tools.target.list(), self.tools.host.list()].concat();
        tools.sort();
        tools.dedup();
        tools
    }

    /// The tools for what is built of a package, or by its commands.
    fn tools_of(&mut self, package: &Package) -> &mut Tools<'a> {
        self.tools.of_mut(package.place.built_for)
    }

    /// What is asked for of the tools for a package.
    fn flags_of(&self, package: &Package) -> Arc<Flags> {
        self.tools.of(package.place.built_for).flags().clone()
    }

    /// Returns the directories that patterns were looked up in, absolute.
    pub fn listed(&self) -> impl Iterator<Item = PathBuf> {
        self.globbers.values().flat_map(Globber::listed)
    }

    fn package(&self, id: PackageId) -> Arc<Package> {
        self.plan.workspace.packages[id.index()].clone()
    }

    fn owner(&self, id: TargetId, keep: bool) -> Owner {
        let target = self.plan.target(id);
        let place = self.package(target.package).place.clone();
        Owner { cx: self.cx.clone(), place, target: target.label.clone(), keep }
    }

    /// Notes what is wrong. Returns the value, if there is one.
    fn check<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.errors.push(diagnostic)).ok()
    }

    fn compiler(
        &mut self,
        package: &Package,
        role: Role,
        arguments: &[String],
    ) -> Option<(Arc<Compiler>, BuildTrace)> {
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let found = self.tools_of(package).compiler(toolchain, role, directory, arguments);
        let compiler = self.check(found.map_err(|error| no_tool(package, &error)))?;
        self.cx.tools.insert_behind(&compiler.path, &compiler.behind);
        let mut trace = compiler.trace.clone();
        let parts: Vec<String> = toolchain.parts.iter().map(|part| part.value.clone()).collect();
        let cross = self.cross(package);
        let of_target = cross.and_then(|cross| cross.toolchain.parts.clone()).unwrap_or_default();
        let root = self.cx.root.clone();
        for (parts, directory) in [(parts, directory), (of_target, &root)] {
            if !parts.is_empty() {
                let more = self.tools_of(package).more(&parts, directory);
                let more = self.check(more.map_err(|error| no_tool(package, &error)))?;
                trace = trace.mix(more);
            }
        }
        Some((compiler, trace))
    }

    /// The target that a package is built for, where one was chosen.
    fn cross(&self, package: &Package) -> Option<&'a Cross> {
        let cross = self.plan.workspace.cross.as_deref();
        cross.filter(|_| package.place.built_for == BuiltFor::Target)
    }

    /// The trace of what everything depends on that is made for the platform by a tool.
    fn made_by(&self, name: &'static str, package: &Package, tool: BuildTrace) -> BuildTrace {
        let platform = || {
            self.cross(package)
                .map_or_else(platform_trace, |_| platform_trace_of(&package.platform))
        };
        let platform = (!package.manifest.package.platform_independent).then(platform);
        BuildTrace::nil(name).mix_all(platform).mix(tool)
    }
}

/// The trace of a platform, as [`platform_trace`] is that of this one.
fn platform_trace_of(platform: &Platform) -> BuildTrace {
    BuildTrace::text("platform", format!("{}-{}", platform.arch, platform.os))
}

fn no_tool(package: &Package, error: &crate::toolchain::ToolError) -> Diagnostic {
    Diagnostic::new(format!("{}: {error}", package.manifest.source.path.display()))
}
