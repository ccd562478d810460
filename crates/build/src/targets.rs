//! From targets of a manifest to jobs made of common builds.

use std::{collections::HashMap, ffi::OsString, path::PathBuf, sync::Arc};

use larder_store::offline::Tool;
use larder_trace::{BuildTrace, Toolchain, platform_trace};

use crate::{
    artifact::{Artifact, Output},
    builds::{
        Archive, CommandBuild, Compile, Link, Owner, Word, build_command, build_exe, build_o,
        build_shared_lib, build_static_lib, input_bin_file, input_dir, input_file, input_text_file,
    },
    cache::restore_everything,
    context::Context,
    diagnostic::{Diagnostic, Located},
    glob::{GlobError, Globber, is_pattern},
    job::{Built, Job, collect, settle},
    manifest::{Compiled, Piece, Template},
    name::{Facet, TargetName},
    plan::{Declared, Plan, Target, TargetId, object_directory, output_name},
    testing::run_test,
    toolchain::{Role, Tools},
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
    globbers: HashMap<usize, Globber>,
    /// By objects target: whether any source is C++.
    cxx: Vec<bool>,
    /// What is wrong with what the targets name.
    pub errors: Vec<Diagnostic>,
}

/// A source file and how it is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Language {
    C,
    Cxx,
    /// Assembly that is preprocessed.
    Assembly,
    /// Assembly as it is.
    Plain,
}

const SOURCES_END: &str = "sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s";

impl Language {
    fn of(path: &str) -> Option<Self> {
        Some(match path.rsplit_once('.')?.1 {
            "c" => Self::C,
            "cc" | "cpp" | "cxx" | "c++" | "C" => Self::Cxx,
            "S" | "sx" => Self::Assembly,
            "s" => Self::Plain,
            _ => return None,
        })
    }
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
        if target.needs.iter().any(|need| self.job(*need).is_none()) {
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
        let result = match (target.declared, target.facet) {
            (Declared::Command(index), _) => self.command(&package, index, owner),
            (_, Some(Facet::O)) => self.objects(id, &package, owner),
            _ => self.linked(id, target, &package, owner),
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

    fn objects(&mut self, id: TargetId, package: &Package, owner: Owner) -> Checked<TargetJob> {
        let plan = self.plan;
        let target = plan.target(id);
        let compiled = plan.compiled(target).ok_or_else(|| wrong("no sources here"))?;
        let prefix = object_directory(target);
        let sources = self.sources(target.package, package, compiled, &owner)?;
        let after = self.prerequisites(target, package, &owner)?;
        let includes = self.includes(id)?;
        let mut modes: HashMap<Language, Arc<Compile>> = HashMap::new();
        let mut objects = Vec::with_capacity(sources.len());
        for (name, job, language) in sources {
            let compile = match modes.get(&language) {
                Some(compile) => compile.clone(),
                None => {
                    let compile = self.compile(target, package, compiled, &includes, language)?;
                    modes.entry(language).or_insert(Arc::new(compile)).clone()
                }
            };
            self.cxx[id.index()] |= language == Language::Cxx;
            let object = [&prefix, "/", &name, ".o"].concat();
            objects.push(build_o(owner.clone(), object, &job, compile, after.as_ref()));
        }
        Ok(TargetJob::Objects(objects))
    }

    fn compile(
        &mut self,
        target: &Target,
        package: &Package,
        compiled: &Compiled,
        includes: &[Include],
        language: Language,
    ) -> Checked<Compile> {
        let role = if language == Language::Cxx { Role::Cxx } else { Role::Cc };
        let tool = self.tool(package, role)?;
        let gnu_like = tool.triple.is_some() && language != Language::Plain;
        let mut weak_args = Vec::new();
        if gnu_like {
            weak_args.extend(self.path_maps(package));
        }
        weak_args.extend(includes.iter().map(|include| format!("-I{}", include.argument)));
        weak_args.extend_from_slice(&compiled.weak_args);
        let mut trace_args = Vec::new();
        if target.position_independent {
            trace_args.push("-fPIC".to_owned());
        }
        trace_args.extend_from_slice(&compiled.trace_args);
        let names: Vec<&str> = includes.iter().map(|include| include.name.as_str()).collect();
        let mut depends_on = self.made_by("object", package, &tool);
        if !names.is_empty() {
            depends_on = depends_on.mix(BuildTrace::list("includes", &names));
        }
        let mut compile =
            Compile::new(tool.path.clone(), gnu_like, weak_args, trace_args, depends_on);
        compile.includes = includes.iter().map(|include| include.absolute.clone()).collect();
        Ok(compile)
    }

    /// Has the compiler call directories by what is the same everywhere, in debug information and in
    /// `__FILE__`. The last map that fits counts.
    fn path_maps(&self, package: &Package) -> Vec<String> {
        let packages = &self.plan.workspace.packages;
        let place = &package.place;
        let other = |other: &&Arc<Package>| !Arc::ptr_eq(&other.place, place);
        let mut maps: Vec<(PathBuf, String)> = packages
            .iter()
            .filter(other)
            .map(|other| (other.place.directory.clone(), format!("@{}", other.place.name)))
            .collect();
        maps.push((place.directory.clone(), ".".to_owned()));
        // As it is called where the package is the root.
        maps.push((self.cx.absolute(&place.build_prefix), ".larder/build/".to_owned()));
        maps.sort_by_key(|(directory, _)| directory.as_os_str().len());
        let argument =
            |(from, to): &(PathBuf, String)| format!("-ffile-prefix-map={}={to}", from.display());
        maps.iter().map(argument).collect()
    }

    /// The sources of a target: what each is called among objects, its job and its language.
    fn sources(
        &mut self,
        index: usize,
        package: &Package,
        compiled: &Compiled,
        owner: &Owner,
    ) -> Checked<Vec<Source>> {
        let mut excluded = Vec::new();
        for pattern in &compiled.exclude {
            excluded.extend(self.expand(index, package, pattern)?);
        }
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for source in &compiled.sources {
            let at = |diagnostic: Diagnostic| {
                Box::new(diagnostic.at(&package.manifest.source, source.span.clone()))
            };
            if source.as_hole().is_some() || source.as_built().is_some() {
                let generated = self.generated(index, source).map_err(at)?;
                found.extend(generated.into_iter().filter(|(name, ..)| seen.insert(name.clone())));
                continue;
            }
            let pattern = literal(package, source)?;
            let before = found.len();
            for path in self.expand(index, package, &pattern)? {
                if excluded.contains(&path) {
                    continue;
                }
                match Language::of(&path) {
                    Some(language) => {
                        if seen.insert(path.clone()) {
                            found.push((path.clone(), input_text_file(owner, path), language));
                        }
                    }
                    None if is_pattern(&pattern) => {}
                    None => {
                        let message =
                            format!("`{path}` is neither C, C++ nor assembly by its extension");
                        return Err(at(Diagnostic::new(message).help(SOURCES_END)));
                    }
                }
            }
            if found.len() == before && is_pattern(&pattern) && seen.is_empty() {
                let message = format!("`{}` matches no source", *pattern);
                return Err(at(Diagnostic::new(message)));
            }
        }
        Ok(found)
    }

    /// The sources that commands make: one output, or those among all that a placeholder names.
    fn generated(&self, index: usize, source: &Template) -> Result<Vec<Source>, Diagnostic> {
        let chosen: Vec<(TargetId, Option<usize>)> = match source.as_built() {
            Some(path) => {
                let (id, position) = self.plan.maker_of(index, path)?;
                vec![(id, Some(position))]
            }
            None => {
                let ids = self.named(index, source.as_hole().unwrap_or_default())?;
                ids.into_iter().map(|id| (id, None)).collect()
            }
        };
        let mut found = Vec::new();
        for (id, only) in chosen {
            let (Declared::Command(command), Some(TargetJob::Command(_, job))) =
                (self.plan.target(id).declared, self.job(id))
            else {
                let message = format!("`{}` makes no sources", source.text);
                return Err(
                    Diagnostic::new(message).help("sources are generated by [[command]] targets")
                );
            };
            let outputs =
                &self.plan.package_of(self.plan.target(id)).manifest.commands[command].outputs;
            for (position, output) in outputs.iter().enumerate() {
                let Some(language) = Language::of(output) else { continue };
                if only.is_some_and(|only| only != position) {
                    continue;
                }
                let name = output.value.clone();
                let source = job.map(move |built| {
                    let value = built.value[position].clone();
                    Ok(Built { trace: value.trace(format!("<build>/{name}")), value })
                });
                found.push((format!("_build/{}", output.value), source, language));
            }
        }
        if found.is_empty() {
            let message = format!("`{}` makes no sources", source.text);
            return Err(Diagnostic::new(message).help(SOURCES_END));
        }
        Ok(found)
    }

    /// What must be there before anything of a target is compiled: its `inputs`, and those of the
    /// libraries whose headers it reads.
    fn prerequisites(
        &mut self,
        target: &Target,
        package: &Package,
        owner: &Owner,
    ) -> Checked<Option<Job<Vec<Artifact>>>> {
        let mut groups = Vec::new();
        if let Some(compiled) = self.plan.compiled(target) {
            let made = |input: &&Located<Template>| {
                input.as_hole().is_some() || input.as_built().is_some()
            };
            for input in compiled.inputs.iter().filter(|input| !made(input)) {
                groups.push(self.input(target.package, package, input, true, owner)?.0);
            }
        }
        groups.extend(
            target.needs.iter().filter(|id| !self.is_source_of(target, **id)).filter_map(|need| {
                match self.plan.target(*need).facet {
                    None => self.job(*need).map(|job| job.all(self.cx)),
                    // Libraries are needed for linking, not for compiling.
                    Some(_) => None,
                }
            }),
        );
        Ok((!groups.is_empty()).then(|| flatten(self.cx, groups)))
    }

    /// Whether `id` is a need of `target` for its sources only, which are traced one by one.
    fn is_source_of(&self, target: &Target, id: TargetId) -> bool {
        let Some(compiled) = self.plan.compiled(target) else { return false };
        let names = |templates: &[Located<Template>]| {
            templates.iter().any(|template| match template.as_built() {
                Some(path) => self.plan.maker_of(target.package, path).is_ok_and(|m| m.0 == id),
                None => template.holes().any(|hole| {
                    self.named(target.package, hole).is_ok_and(|ids| ids.contains(&id))
                }),
            })
        };
        let only_sources = self.outputs_are_sources(id);
        only_sources
            && names(&compiled.sources)
            && !names(&compiled.inputs)
            && !names(&compiled.includes)
    }

    fn outputs_are_sources(&self, id: TargetId) -> bool {
        let target = self.plan.target(id);
        match target.declared {
            Declared::Command(index) => self.plan.package_of(target).manifest.commands[index]
                .outputs
                .iter()
                .all(|output| Language::of(output).is_some()),
            _ => false,
        }
    }

    /// The include directories of a target: its own first, then those of the libraries it is linked
    /// with.
    fn includes(&self, id: TargetId) -> Checked<Vec<Include>> {
        let own = self.plan.package_of(self.plan.target(id)).place.clone();
        let mut found: Vec<Include> = Vec::new();
        for id in std::iter::once(id).chain(self.plan.link_order(id)) {
            let target = self.plan.target(id);
            let package = self.plan.package_of(target);
            for template in self.plan.compiled(target).into_iter().flat_map(|c| &c.includes) {
                let from_root = self.include(target.package, package, template)?;
                let name = self.cx.places.portable(&own, &format!("{from_root}/"));
                let name = match name.trim_end_matches('/') {
                    "" => ".".to_owned(),
                    name => name.to_owned(),
                };
                let absolute = self.cx.absolute(&from_root);
                let argument = match crate::process::argument_path(&absolute, &own.directory) {
                    here if here.is_empty() => ".".to_owned(),
                    there => there.trim_end_matches('/').to_owned(),
                };
                if !found.iter().any(|known| known.name == name) {
                    found.push(Include { name, argument, absolute });
                }
            }
        }
        Ok(found)
    }

    /// One include directory, from the root.
    fn include(
        &self,
        index: usize,
        package: &Package,
        template: &Located<Template>,
    ) -> Checked<String> {
        let place = &package.place;
        let at = |diagnostic: Diagnostic| {
            Box::new(diagnostic.at(&package.manifest.source, template.span.clone()))
        };
        let mut path = String::new();
        for (position, piece) in template.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(text) if position == 0 => path.push_str(&place.input(text)),
                Piece::Literal(text) => path.push_str(text),
                Piece::Hole(hole) if hole == "build" => {
                    path.push_str(place.build_prefix.trim_end_matches('/'))
                }
                Piece::Hole(hole) if hole == "package" => {
                    path.push_str(place.prefix.trim_end_matches('/'))
                }
                Piece::Hole(hole) => {
                    let ids = self.named(index, hole).map_err(at)?;
                    let directory = ids.iter().find_map(|id| {
                        let target = self.plan.target(*id);
                        let Declared::Command(command) = target.declared else { return None };
                        let package = self.plan.package_of(target);
                        let outputs = &package.manifest.commands[command].outputs;
                        let output = outputs.iter().find(|output| output.ends_with('/'))?;
                        Some(package.place.output(output.trim_end_matches('/')))
                    });
                    let none = || {
                        Diagnostic::new(format!("`{{{hole}}}` makes no directory to include from"))
                    };
                    path.push_str(&directory.ok_or_else(|| at(none()))?);
                }
            }
        }
        let path = path.trim_end_matches('/').to_owned();
        let inside = !template.text.split('/').any(|part| part == "..");
        if !inside {
            let message = format!("`{}` is outside the package", template.text);
            let help = "headers of another package come with its library, by `libraries`";
            return Err(at(Diagnostic::new(message).help(help)));
        }
        Ok(path)
    }

    fn linked(
        &mut self,
        id: TargetId,
        target: &Target,
        package: &Package,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let plan = self.plan;
        let compiled = plan.compiled(target).ok_or_else(|| wrong("nothing to link"))?;
        let file = output_name(target).ok_or_else(|| wrong("nothing to link"))?;
        let Some(objects_id) = target.needs.iter().copied().find(|need| {
            let need = plan.target(*need);
            need.facet == Some(Facet::O)
                && need.declared == target.declared
                && need.package == target.package
        }) else {
            return Err(wrong("its objects are not known"));
        };
        let Some(TargetJob::Objects(objects)) = self.job(objects_id).cloned() else {
            return Err(wrong(&format!("`{}` has no objects", target.label)));
        };
        if target.facet == Some(Facet::Static) {
            let tool = self.tool(package, Role::Ar)?;
            let depends_on = self.made_by("archive", package, &tool);
            let archive = Archive { archiver: tool.path.clone(), depends_on };
            return Ok(TargetJob::Single(build_static_lib(owner, file, objects, archive)));
        }
        let mut inputs = objects;
        let mut link_args = compiled.link_args.clone();
        let mut trace_args = Vec::new();
        let mut cxx = self.cxx[objects_id.index()];
        for library in plan.link_order(id) {
            let linked = plan.target(library);
            let linked_package = plan.package_of(linked);
            let Some(TargetJob::Single(job)) = self.job(library) else {
                return Err(wrong(&format!("`{}` was not built", linked.label)));
            };
            inputs.push(match linked.package == target.package {
                true => job.clone(),
                false => {
                    let owner = linked_package.place.name.clone();
                    job.map(move |built| {
                        let name = format!("@{owner}/{}", built.trace.name());
                        Ok(Built {
                            value: built.value.clone(),
                            trace: built.trace.clone().named(name),
                        })
                    })
                }
            });
            if let Some(compiled) = plan.compiled(linked) {
                link_args.extend(compiled.link_args.iter().cloned());
            }
            cxx |= linked.needs.iter().any(|need| self.cxx[need.index()]);
            if linked.facet == Some(Facet::Shared) {
                let flag = run_path(package, linked_package);
                if !trace_args.contains(&flag) {
                    trace_args.push(flag);
                }
            }
        }
        let tool = self.tool(package, if cxx { Role::Cxx } else { Role::Cc })?;
        let depends_on = self.made_by("link", package, &tool);
        let linker = tool.path.clone();
        let link = Link { linker, weak_args: Vec::new(), trace_args, link_args, depends_on };
        Ok(TargetJob::Single(match target.facet {
            Some(Facet::Shared) => build_shared_lib(owner, file, inputs, link),
            _ => build_exe(owner, file, inputs, link),
        }))
    }

    fn command(
        &mut self,
        package: &Arc<Package>,
        command: usize,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let index =
            self.plan.workspace.packages.iter().position(|other| Arc::ptr_eq(other, package));
        let index = index.ok_or_else(|| wrong("its package is not known"))?;
        let (build, inputs) = self.command_build(index, package, command, &owner)?;
        let outputs: Vec<Output> = package.manifest.commands[command]
            .outputs
            .iter()
            .map(|output| Output {
                path: output.trim_end_matches('/').to_owned(),
                directory: output.ends_with('/'),
            })
            .collect();
        if outputs.is_empty() {
            let name = &package.manifest.commands[command].name;
            let message = format!("`{}` has no outputs: it is a test", **name);
            return Err(wrong(&message));
        }
        Ok(TargetJob::Command(outputs.len(), build_command(owner, outputs, inputs, build)))
    }

    /// The job that runs the test `id`, whose needs have their jobs. Says in [`Self::errors`] what is
    /// wrong.
    pub fn test(&mut self, id: TargetId) -> Option<Job<Vec<Artifact>>> {
        let result = self.test_job(id);
        result.map_err(|diagnostic| self.errors.push(*diagnostic)).ok()
    }

    fn test_job(&mut self, id: TargetId) -> Checked<Job<Vec<Artifact>>> {
        let target = self.plan.target(id);
        let package = self.plan.package_of(target).clone();
        let owner = Owner {
            cx: self.cx.clone(),
            place: package.place.clone(),
            target: target.label.clone(),
            keep: false,
        };
        let (command, inputs) = match target.declared {
            Declared::Command(index) => {
                self.command_build(target.package, &package, index, &owner)?
            }
            Declared::Executable(index) => {
                let executable = &package.manifest.executables[index];
                let job = self.job(id).ok_or_else(|| wrong("the test was not built"))?.all(self.cx);
                let mut command = CommandBuild {
                    passed: Vec::new(),
                    program: None,
                    arguments: vec![vec![Word::Inputs(0..1)]],
                    environment: Vec::new(),
                    declared_inputs: 0,
                    depends_on: BuildTrace::nil("test"),
                };
                let mut inputs = Inputs { jobs: vec![job], count: 1 };
                for template in &executable.test_args {
                    let words = self.words(target.package, &package, template, &mut inputs)?;
                    command.arguments.push(words);
                }
                // What it is loaded with must be there too, and a sandbox must let it be seen.
                for library in self.plan.link_order(id) {
                    if self.plan.target(library).facet == Some(Facet::Shared)
                        && let Some(job) = self.job(library)
                    {
                        inputs.add(job.all(self.cx), 1);
                    }
                }
                (command, inputs.jobs)
            }
            Declared::Library(_) => return Err(wrong("a library is no test")),
        };
        Ok(run_test(owner, &flatten(self.cx, inputs), command))
    }

    /// How a command is run, and the jobs of its inputs.
    fn command_build(
        &mut self,
        index: usize,
        package: &Package,
        command: usize,
        owner: &Owner,
    ) -> Checked<CommandJob> {
        let declared = &package.manifest.commands[command];
        let mut inputs = Inputs::default();
        for input in &declared.inputs {
            let (job, count) = self.input(index, package, input, declared.text, owner)?;
            inputs.add(job, count);
        }
        let declared_inputs = inputs.count;
        let mut depends_on = BuildTrace::nil("command");
        if !package.manifest.package.platform_independent {
            depends_on = depends_on.mix(platform_trace());
        }
        let texts: Vec<&str> = declared.run.iter().map(|word| word.text.as_str()).collect();
        depends_on = depends_on.mix(BuildTrace::list("run", &texts));
        let names: Vec<&str> = declared.outputs.iter().map(|output| output.as_str()).collect();
        depends_on = depends_on.mix(BuildTrace::list("outputs", &names));

        let mut program = None;
        let mut words = declared.run.iter();
        if let Some(name) = declared.run[0].as_literal() {
            words.next();
            program = Some(if name.contains('/') {
                inputs.add(one_file(owner, name), 1);
                package.place.directory.join(name)
            } else {
                let tool = self.tools.program(name).map_err(|error| {
                    let diagnostic = Diagnostic::new(error.to_string());
                    diagnostic.at(&package.manifest.source, declared.run[0].span.clone())
                })?;
                depends_on = depends_on.mix(tool.trace.clone());
                tool.path.clone()
            });
        }
        let mut arguments = Vec::new();
        for template in words {
            arguments.push(self.words(index, package, template, &mut inputs)?);
        }
        let mut environment: Vec<(String, OsString)> = Vec::new();
        for (name, value) in &declared.env {
            environment.push((name.clone(), value.into()));
            depends_on = depends_on.mix(BuildTrace::text(format!("env {name}"), value.as_str()));
        }
        let mut passed = Vec::new();
        for name in &declared.pass_env {
            let value = std::env::var_os(name);
            // The value may be a secret: only its hash is written down.
            let hash = match &value {
                Some(value) => larder_trace::ContentHash::of_bytes(value.as_encoded_bytes()),
                None => BuildTrace::nil("unset").hash(),
            };
            let name_in_trace = format!("pass-env {name}");
            depends_on =
                depends_on.mix(BuildTrace::leaf(name_in_trace, hash, larder_trace::MTime::NONE));
            if let Some(value) = value {
                environment.push((name.clone(), value));
                passed.push(name.clone());
            }
        }
        let build =
            CommandBuild { program, arguments, environment, passed, declared_inputs, depends_on };
        Ok((build, inputs.jobs))
    }

    /// The parts of one argument. Targets that it names become inputs.
    fn words(
        &self,
        index: usize,
        package: &Package,
        template: &Located<Template>,
        inputs: &mut Inputs,
    ) -> Checked<Vec<Word>> {
        let mut words = Vec::with_capacity(template.pieces.len());
        for piece in &template.pieces {
            let hole = match piece {
                Piece::Literal(text) => {
                    words.push(Word::Literal(text.clone()));
                    continue;
                }
                Piece::Hole(hole) => hole,
            };
            if let Some(word) = Word::built_in(hole) {
                words.push(word);
                continue;
            }
            let ids = self.named(index, hole).map_err(|diagnostic| {
                diagnostic.at(&package.manifest.source, template.span.clone())
            })?;
            let start = inputs.count;
            for id in ids {
                if let Some(job) = self.job(id) {
                    inputs.add(self.renamed(index, id, job), job.count());
                }
            }
            words.push(Word::Inputs(start..inputs.count));
        }
        Ok(words)
    }

    /// The job of one entry of `inputs`, and how many artifacts it gives.
    fn input(
        &mut self,
        index: usize,
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
            let (id, position) = self.plan.maker_of(index, path).map_err(|diagnostic| {
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
    fn renamed(&self, index: usize, id: TargetId, job: &TargetJob) -> Job<Vec<Artifact>> {
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
    fn named(&self, index: usize, hole: &str) -> Result<Vec<TargetId>, Diagnostic> {
        if Word::built_in(hole).is_some() {
            return Ok(Vec::new());
        }
        let name: TargetName = hole.parse().map_err(Diagnostic::new)?;
        self.plan.resolve(index, &name)
    }

    /// The files that a pattern of a package's manifest matches, at least one.
    fn expand(
        &mut self,
        index: usize,
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

/// A directory that headers are looked for in.
struct Include {
    /// What it is called on every machine.
    name: String,
    /// As a compiler is given it.
    argument: String,
    absolute: PathBuf,
}

/// A source: what it is called among objects, its job, and its language.
type Source = (String, Job<Artifact>, Language);

/// How a command is run, and the jobs of its inputs.
type CommandJob = (CommandBuild, Vec<Job<Vec<Artifact>>>);

/// Groups of inputs, and how many artifacts they give together.
#[derive(Default)]
struct Inputs {
    jobs: Vec<Job<Vec<Artifact>>>,
    count: usize,
}

impl Inputs {
    fn add(&mut self, job: Job<Vec<Artifact>>, count: usize) {
        self.jobs.push(job);
        self.count += count;
    }
}

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

fn one_file(owner: &Owner, path: &str) -> Job<Vec<Artifact>> {
    let path = path.strip_prefix("./").unwrap_or(path);
    input_bin_file(owner, path).map(|built| {
        let trace = BuildTrace::nil("program").mix(built.trace.clone());
        Ok(Built { value: vec![built.value.clone()], trace })
    })
}

/// Several groups of artifacts as one, with the traces of all in one list.
fn flatten(cx: &Context, groups: Vec<Job<Vec<Artifact>>>) -> Job<Vec<Artifact>> {
    collect(&cx.scheduler, groups).map(|groups| {
        let parts = groups.trace.parts().iter().flat_map(|group| group.parts().to_vec());
        let trace = BuildTrace::nil("inputs").mix_all(parts);
        Ok(Built { value: groups.value.concat(), trace })
    })
}

/// Tells the loader where a shared library lies, seen from what is linked with it.
fn run_path(package: &Package, library: &Package) -> String {
    let (from, to) = (&package.place.build_prefix, &library.place.build_prefix);
    let way = match (package.is_root, library.is_root) {
        _ if from == to => String::new(),
        (true, _) => format!("/{}", &to[from.len()..]),
        (false, true) => "/..".to_owned(),
        (false, false) => format!("/../@{}", library.place.name),
    };
    let origin = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    format!("-Wl,-rpath,{origin}{}", way.trim_end_matches('/'))
}
