//! Objects: how their sources are compiled.

use std::{path::Path, sync::Arc};

use larder_project::{
    path::PortablePath,
    place::Place,
    plan::{Directory, Language, Objects, Source, TargetId},
    setting::Format,
    workspace::Package,
};
use larder_trace::BuildTrace;

use super::{
    Maker, TargetJob,
    files::{Reads, flatten},
    generated::Generated,
    said::Said,
    search_path::search_path,
    source_args::Chosen,
    sources::Found,
};
use crate::{
    action::{Argument, Piece, text},
    artifact::Artifact,
    builds::{Compile, Dialect, ObjectSource, Owner, ToolUse, TracedArgument, build_objects},
    compdb::Unit,
    job::Job,
    toolchain::Role,
};

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
        let sources = sources.and_then(|sources| self.compiled(id, &package, objects, sources));
        self.check_precompiled(package_id, &package, objects);
        let reads = self.reads(&package, objects, sources.as_deref().unwrap_or_default());
        let after = self.prerequisites(package_id, objects, reads, &owner);
        headers?;
        let (mut sources, after) = (sources?, after?);
        self.precompile(&owner, objects, &mut sources, after.as_ref());
        let more = self.more_objects(id, objects, after.as_ref(), &owner)?;
        let count = sources.len();
        let outputs = build_objects(owner, sources, after.as_ref());
        if more.is_empty() {
            return Some(TargetJob { count, outputs });
        }
        // Nobody counts those of directories.
        let count = count + more.len();
        let groups = std::iter::once(outputs).chain(more).collect();
        Some(TargetJob { count, outputs: flatten(self.cx, groups) })
    }

    /// How each of some sources of a target is compiled.
    fn compiled(
        &mut self,
        id: TargetId,
        package: &Package,
        objects: &Objects,
        sources: Vec<Found>,
    ) -> Option<Vec<ObjectSource>> {
        let names = sources.iter().map(|source| &source.name);
        let chosen = self.source_args(package, &objects.source_args, names)?;
        let public = objects.includes.iter();
        let public = public.filter(|directory| !objects.private_includes.contains(directory));
        let public: Arc<[PortablePath]> =
            public.map(|directory| self.portable(package, directory)).collect();
        let mut modes: Vec<((Language, Chosen), Arc<Compile>)> = Vec::new();
        let mut found = Vec::with_capacity(sources.len());
        for (Found { object, source, name, language }, chosen) in sources.into_iter().zip(chosen) {
            let mode = (language, chosen);
            let compile = match modes.iter().find(|(known, _)| *known == mode) {
                Some((_, compile)) => compile.clone(),
                None => {
                    let own = mode.1.iter().flat_map(|&one| &objects.source_args[one].arguments);
                    let own: Vec<String> = own.map(|argument| argument.value.clone()).collect();
                    let compile = Arc::new(self.compile(package, objects, language, &own)?);
                    modes.push((mode, compile.clone()));
                    compile
                }
            };
            self.cxx[id.index()] |= language == Language::Cxx;
            // Editors know no assemblers.
            if self.cx.options.compile_commands && language != Language::Asm {
                let (place, object) = (package.place.clone(), object.clone());
                let compile = compile.clone();
                let public = public.clone();
                let unit = Unit { place, source: name, object, language, compile, public };
                self.cx.noted().units.push(unit);
            }
            found.push(ObjectSource { source, object, compile, precompiled: None });
        }
        Some(found)
    }

    /// Whether all compilers of a target tell what they read.
    fn reads(&mut self, package: &Package, objects: &Objects, sources: &[ObjectSource]) -> Reads {
        let mut tell = sources.iter().all(|source| source.compile.dialect.tells());
        for source in &objects.sources {
            let Source::Directory { language, .. } = &source.value else { continue };
            // Without a pattern that tells the language, anything may be in it.
            let compile =
                language.and_then(|language| self.compile(package, objects, language, &[]));
            tell &= compile.is_some_and(|compile| compile.dialect.tells());
        }
        if tell { Reads::Told } else { Reads::Untold }
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
        if language == Language::Asm {
            return self.assemble(package, objects, own);
        }
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
        let dialect = match compiler.triple.is_some() && language != Language::Plain {
            true => Dialect::Gcc,
            false => Dialect::Other,
        };
        let [includes, system] = [&objects.includes, &objects.system_includes].map(|directories| {
            let portable = |directory| self.portable(package, directory);
            directories.iter().map(portable).collect::<Vec<PortablePath>>()
        });
        let mut weak_args = Vec::new();
        if dialect == Dialect::Gcc {
            let option = || Piece::Text("-ffile-prefix-map=".to_owned());
            let maps = self.path_maps(package).into_iter();
            weak_args.extend(maps.map(|map| [vec![option()], map].concat()));
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
        let mut compile = Compile::new(tool, dialect, weak_args, trace_args, depends_on);
        compile.last_args = last.arguments().collect();
        compile.search =
            search_path([includes, system], &given, self.standard(package, &compiler, language));
        self.included(package, objects, (language, own), &compiler, compile)
    }

    /// Arguments of the target's own manifest, with what their placeholders stand for.
    pub(super) fn filled_in(
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
    pub(super) fn portable(&self, package: &Package, directory: &Directory) -> PortablePath {
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
    /// `__FILE__`: each package by `@NAME`, as `PATH=NAME`. The last map that fits counts.
    pub(super) fn path_maps(&self, package: &Package) -> Vec<Argument> {
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
            vec![Piece::Absolute(path), Piece::Text(format!("={name}"))]
        };
        maps.into_iter().map(argument).collect()
    }
}

/// A directory of a build directory, as records of another package call it; it ends in `/`.
pub(super) fn directory_of(owner: &Place, reader: &Place, path: &str) -> PortablePath {
    owner.portable(reader, true, &format!("{path}/"))
}

/// The name of a directory that is written with a final `/`.
pub(super) fn without_slash(directory: &PortablePath) -> &str {
    directory.as_str().trim_end_matches('/')
}
