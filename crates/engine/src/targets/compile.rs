//! Objects: sources, languages, include directories, and what must be there before compiling.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use larder_project::{
    diagnostic::{Diagnostic, Located},
    glob::is_pattern,
    path::{BuildPath, PortablePath},
    place::Place,
    plan::{Directory, Kind, Language, Objects, PackageId, Source, TargetId},
    setting::Format,
    workspace::Package,
};
use larder_trace::BuildTrace;

use super::{
    Maker, TargetJob,
    files::{first, flatten},
    generated::Generated,
    said::Said,
    search_path::search_path,
    source_args::Chosen,
};
use crate::{
    action::{Argument, Piece, text},
    artifact::Artifact,
    builds::{Compile, ObjectSource, Owner, SourceOf, ToolUse, TracedArgument, build_objects},
    compdb::Unit,
    job::Job,
    toolchain::Role,
};

/// A source that is compiled.
struct Found {
    object: BuildPath,
    source: SourceOf,
    /// The source, as records of the package call it.
    name: PortablePath,
    language: Language,
}

impl Maker<'_> {
    pub(super) fn objects(
        &mut self,
        id: TargetId,
        objects: &Objects,
        owner: Owner,
    ) -> Option<TargetJob> {
        let package_id = self.plan.target(id).package;
        let package = self.package(package_id);
        let headers = self.check_headers(id);
        let sources = self.sources(package_id, &package, objects);
        let after = self.prerequisites(package_id, objects, &owner);
        headers?;
        let (sources, after) = (sources?, after?);
        let more = self.more_objects(id, objects, after.as_ref(), &owner)?;
        let names = sources.iter().map(|source| &source.name);
        let chosen = self.source_args(&package, &objects.source_args, names)?;
        let mut modes: HashMap<(Language, Chosen), Arc<Compile>> = HashMap::new();
        let mut found = Vec::with_capacity(sources.len());
        for (Found { object, source, name, language }, chosen) in sources.into_iter().zip(chosen) {
            let mode = (language, chosen);
            let compile = match modes.get(&mode) {
                Some(compile) => compile.clone(),
                None => {
                    let own = mode.1.iter().flat_map(|&one| &objects.source_args[one].arguments);
                    let own: Vec<String> = own.map(|argument| argument.value.clone()).collect();
                    let compile = Arc::new(self.compile(&package, objects, language, &own)?);
                    modes.insert(mode, compile.clone());
                    compile
                }
            };
            self.cxx[id.index()] |= language == Language::Cxx;
            if self.cx.options.compile_commands {
                let (place, object) = (package.place.clone(), object.clone());
                let compile = compile.clone();
                self.cx.note_unit(Unit { place, source: name, object, language, compile });
            }
            found.push(ObjectSource { source, object, compile });
        }
        let count = found.len();
        let outputs = build_objects(owner, found, after.as_ref());
        if more.is_empty() {
            return Some(TargetJob { count, outputs });
        }
        // Nobody counts those of directories.
        let count = count + more.len();
        let groups = std::iter::once(outputs).chain(more).collect();
        Some(TargetJob { count, outputs: flatten(self.cx, groups) })
    }

    /// The jobs of objects that commands make, or that are made from directories of sources.
    fn more_objects(
        &mut self,
        id: TargetId,
        objects: &Objects,
        after: Option<&Job<Vec<Artifact>>>,
        owner: &Owner,
    ) -> Option<Vec<Job<Vec<Artifact>>>> {
        let package = self.plan.target(id).package;
        let mut more = Vec::new();
        for source in &objects.sources {
            match &source.value {
                Source::Files { .. } | Source::Output { .. } => {}
                Source::Object { made } => more.push(self.output(package, *made)?),
                Source::Directory { made, pattern, language } => {
                    // Without a pattern that tells the language, there may be C++ in it.
                    self.cxx[id.index()] |= language.is_none_or(|of| of == Language::Cxx);
                    let generated = Generated { made: *made, pattern, language: *language };
                    more.push(self.generated(package, objects, &generated, after, owner)?);
                }
            }
        }
        Some(more)
    }

    /// How sources of a language are compiled, with `own` arguments of some of them.
    pub(super) fn compile(
        &mut self,
        package: &Package,
        objects: &Objects,
        language: Language,
        own: &[String],
    ) -> Option<Compile> {
        let weak: Vec<String> =
            objects.weak_args.iter().map(|argument| argument.value.clone()).collect();
        let weak = self.filled_in(package, objects, &weak);
        let traced = [objects.arguments.of(language), own].concat();
        let traced = self.filled_in(package, objects, &traced);
        let of_manifest = || weak.iter().chain(&traced);
        let role = if language == Language::Cxx { Role::Cxx } else { Role::Cc };
        let of_system = self.uses_for_compiling(package, &objects.system)?;
        let flags = self.flags_of(package);
        let last = self.flags(package, flags.compiling(language));
        let asked: Vec<String> = of_system
            .here()
            .chain(of_manifest().map(|said| said.here.clone()))
            .chain(last.here())
            .collect();
        let (compiler, identity) = self.compiler(package, role, &asked)?;
        let first = self.first(package, &compiler.first);
        let given: Vec<String> = first
            .portable()
            .chain(of_system.portable())
            .chain(of_manifest().map(|said| said.portable.clone()))
            .chain(last.portable())
            .collect();
        let gnu_like = compiler.triple.is_some() && language != Language::Plain;
        let [includes, system] = [&objects.includes, &objects.system_includes].map(|directories| {
            let portable = |directory| self.portable(package, directory);
            directories.iter().map(portable).collect::<Vec<PortablePath>>()
        });
        let mut weak_args = Vec::new();
        if gnu_like {
            weak_args.extend(self.path_maps(package));
        }
        weak_args.extend(
            includes
                .iter()
                .map(|include| vec![Piece::Text("-I".to_owned()), Piece::Path(include.clone())]),
        );
        let named =
            |directory: &PortablePath| [text("-isystem"), vec![Piece::Path(directory.clone())]];
        weak_args.extend(system.iter().flat_map(named));
        weak_args.extend(of_system.arguments());
        weak_args.extend(weak.into_iter().map(|said| said.argument));
        let mut trace_args = Vec::new();
        // All code for Windows is.
        if objects.position_independent && package.platform.format() != Format::Pe {
            trace_args.push(TracedArgument::from("-fPIC"));
        }
        let with_trace =
            |said: Said| TracedArgument { argument: said.argument, traced: said.traced };
        trace_args.extend(traced.into_iter().map(with_trace));
        // Where the objects lie is part of their key: two targets may compile one source alike.
        let mut depends_on = self
            .made_by("object", package, identity.clone())
            .mix(BuildTrace::text("output", objects.directory.as_str()));
        for (name, directories) in [("includes", &includes), ("system-includes", &system)] {
            if !directories.is_empty() {
                let names: Vec<&str> = directories.iter().map(without_slash).collect();
                depends_on = depends_on.mix(BuildTrace::list(name, &names));
            }
        }
        depends_on = depends_on.mix_all(of_system.traces).mix_all(last.traces.iter().cloned());
        let tool = ToolUse {
            arguments: first.arguments().collect(),
            ..ToolUse::new(compiler.path.clone(), &identity)
        };
        let mut compile = Compile::new(tool, gnu_like, weak_args, trace_args, depends_on);
        compile.last_args = last.arguments().collect();
        compile.search =
            search_path([includes, system], &given, self.standard(package, &compiler, language));
        Some(compile)
    }

    /// Arguments of the target's own manifest, with what their placeholders stand for.
    fn filled_in(
        &mut self,
        package: &Package,
        objects: &Objects,
        arguments: &[String],
    ) -> Vec<Said> {
        let mut all = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let mut filled = objects.filled_args.iter();
            match filled.find(|filled| filled.text == *argument) {
                Some(filled) => all.extend(self.said(package, std::slice::from_ref(filled))),
                None => all.push(Said::literal(argument)),
            }
        }
        all
    }

    /// A directory, as records of a package call it; it ends in `/`.
    fn portable(&self, package: &Package, directory: &Directory) -> PortablePath {
        let (owner, built, path) = directory.place();
        let owner = self.package(owner);
        let path = match path {
            "" if !built && owner.place.name == package.place.name => "./".to_owned(),
            "" => String::new(),
            path => format!("{path}/"),
        };
        owner.place.portable(&package.place, built, &path)
    }

    /// Has the compiler call directories by what is the same everywhere, in debug information and in
    /// `__FILE__`: each package by `@NAME`. The last map that fits counts.
    fn path_maps(&self, package: &Package) -> Vec<Argument> {
        let packages = || {
            let all = self.plan.workspace.packages.iter();
            all.filter(|other| other.place.built_for == package.place.built_for)
        };
        let depth = |directory: &Path| {
            packages().filter(|other| directory.starts_with(&other.place.directory)).count()
        };
        let mut maps: Vec<(usize, PortablePath, String)> = packages()
            .map(|other| {
                let path = other.place.portable(&package.place, false, "");
                (depth(&other.place.directory), path, format!("@{}", other.place.name))
            })
            .collect();
        // Whatever is inside another comes after it.
        maps.sort();
        // One name for the build directories of all profiles, of the root package and so of all others.
        if let Some(root) = packages().next().filter(|_| !package.is_root) {
            let root = &root.place;
            let built = root.portable(&package.place, true, "");
            maps.push((0, built, format!("@{}/.larder/build", root.name)));
        }
        let built = package.place.portable(&package.place, true, "");
        maps.push((0, built, format!("@{}/.larder/build", package.place.name)));
        let argument = |(_, path, name): (usize, PortablePath, String)| {
            vec![
                Piece::Text("-ffile-prefix-map=".to_owned()),
                Piece::Absolute(path),
                Piece::Text(format!("={name}")),
            ]
        };
        maps.into_iter().map(argument).collect()
    }

    /// The sources of a target. All that is wrong with them is said.
    fn sources(
        &mut self,
        id: PackageId,
        package: &Package,
        objects: &Objects,
    ) -> Option<Vec<Found>> {
        let known = self.errors.len();
        let mut excluded = HashSet::new();
        for pattern in &objects.exclude {
            excluded.extend(self.expand(id, pattern).into_iter().flatten());
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for source in &objects.sources {
            let wrong = |message: String| {
                Diagnostic::new(message).at(&package.manifest.source, source.span.clone())
            };
            match &source.value {
                Source::Object { .. } | Source::Directory { .. } => {}
                Source::Output { made, language } => {
                    let Some(output) = self.output(id, *made) else { continue };
                    let Kind::Command(command) = &self.plan.target(made.target).kind else {
                        continue;
                    };
                    let Some(of) = command.outputs.get(made.position) else { continue };
                    let object = objects.object_of_output(&of.path);
                    let maker = self.package(self.plan.target(made.target).package);
                    let path = maker.place.build_path(&of.path);
                    if seen.insert(object.clone()) {
                        let source = SourceOf::Made(first(&output));
                        let name = self.cx.places.portable(&package.place, &path);
                        found.push(Found { object, source, name, language: *language });
                    }
                }
                Source::Files { pattern } => {
                    let pattern = Located { value: pattern.clone(), span: source.span.clone() };
                    let Some(paths) = self.expand(id, &pattern) else { continue };
                    let before = found.len();
                    for path in paths {
                        match Language::of(path.as_str()) {
                            _ if excluded.contains(&path) => {}
                            Some(language) => {
                                let object = objects.object(&path);
                                if seen.insert(object.clone()) {
                                    let name = package.place.portable(
                                        &package.place,
                                        false,
                                        path.as_str(),
                                    );
                                    let source = SourceOf::File(path);
                                    found.push(Found { object, source, name, language });
                                }
                            }
                            None if is_pattern(&pattern) => {}
                            None => {
                                let message = format!(
                                    "`{path}` is neither C, C++ nor assembly by its extension"
                                );
                                self.errors.push(wrong(message).help(Language::EXTENSIONS));
                            }
                        }
                    }
                    if found.len() == before && is_pattern(&pattern) && seen.is_empty() {
                        self.errors.push(wrong(format!("`{}` matches no source", *pattern)));
                    }
                }
            }
        }
        (self.errors.len() == known).then_some(found)
    }

    /// The job of what must be there before anything of a target is compiled: its `inputs`, and what
    /// commands make that it reads. `None` inside when there is no such thing.
    #[allow(clippy::option_option, reason = "the outer one says that something is wrong")]
    pub(super) fn prerequisites(
        &mut self,
        id: PackageId,
        objects: &Objects,
        owner: &Owner,
    ) -> Option<Option<Job<Vec<Artifact>>>> {
        let known = self.errors.len();
        let mut groups = Vec::new();
        for input in &objects.inputs {
            groups.extend(self.input(id, input, owner).map(|(job, _)| job));
        }
        for read in &objects.reads {
            groups.extend(self.job(*read).map(|job| job.outputs.clone()));
        }
        groups.extend(self.needs_of(id, &objects.filled_args));
        groups.extend(self.files_of_arguments(id, &objects.filled_args, false, owner));
        let weak = objects.weak_args.iter().map(|argument| &argument.value);
        let own = objects.source_args.iter().flat_map(|entry| &entry.arguments);
        let own = own.map(|argument| &argument.value);
        let arguments: Vec<String> =
            weak.chain(objects.arguments.all()).chain(own).cloned().collect();
        groups.extend(self.named_files(id, &arguments, false, owner));
        let languages = [Language::C, Language::Cxx, Language::Plain];
        let flags = self.flags_of(&self.package(id));
        let variables = languages.into_iter().flat_map(|language| flags.compiling(language));
        groups.extend(self.files_of_flags(id, variables, false, owner));
        let after = (!groups.is_empty()).then(|| flatten(self.cx, groups));
        (self.errors.len() == known).then_some(after)
    }
}

/// A directory of a build directory, as records of another package call it; it ends in `/`.
pub(super) fn directory_of(owner: &Place, reader: &Place, path: &str) -> PortablePath {
    owner.portable(reader, true, &format!("{path}/"))
}

/// The name of a directory that is written with a final `/`.
fn without_slash(directory: &PortablePath) -> &str {
    directory.as_str().trim_end_matches('/')
}
