//! Objects: sources, languages, include directories, and what must be there before compiling.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use larder_trace::BuildTrace;

use super::{Checked, Maker, TargetJob, flatten, literal, wrong};
use crate::{
    artifact::Artifact,
    builds::{Compile, Owner, build_o, input_text_file},
    job::{Built, Job},
    toolchain::Role,
};
use larder_project::{
    diagnostic::Diagnostic,
    glob::is_pattern,
    manifest::{Compiled, Input, Template},
    plan::{
        Declared, Directory, DirectoryAt, Kind, Language, Made, Objects, PackageId, Target,
        TargetId,
    },
    workspace::Package,
};

impl Maker<'_> {
    pub(super) fn objects(
        &mut self,
        id: TargetId,
        package: &Package,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let plan = self.plan;
        let target = plan.target(id);
        let compiled = plan.compiled(target).ok_or_else(|| wrong("no sources here"))?;
        let Kind::Objects(kind) = &target.kind else { return Err(wrong("no sources here")) };
        let prefix = &kind.directory;
        let sources = self.sources(target.package, package, compiled, &owner)?;
        let after = self.prerequisites(target, kind, package, &owner)?;
        let includes = self.includes(target.package, kind);
        let mut modes: HashMap<Language, Arc<Compile>> = HashMap::new();
        let mut objects = Vec::with_capacity(sources.len());
        for (name, job, language) in sources {
            let compile = match modes.get(&language) {
                Some(compile) => compile.clone(),
                None => {
                    let compile = self.compile(kind, package, compiled, &includes, language)?;
                    modes.entry(language).or_insert(Arc::new(compile)).clone()
                }
            };
            self.cxx[id.index()] |= language == Language::Cxx;
            let object = [prefix.as_str(), "/", &name, ".o"].concat();
            objects.push(build_o(owner.clone(), object, &job, compile, after.as_ref()));
        }
        Ok(TargetJob::Objects(objects))
    }

    fn compile(
        &mut self,
        target: &Objects,
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
        weak_args.extend(compiled.weak_args.iter().map(|argument| argument.value.clone()));
        let mut trace_args = Vec::new();
        if target.position_independent {
            trace_args.push("-fPIC".to_owned());
        }
        trace_args.extend(compiled.trace_args.iter().map(|argument| argument.value.clone()));
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
        index: PackageId,
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
                        return Err(at(Diagnostic::new(message).help(Language::EXTENSIONS)));
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
    fn generated(&self, index: PackageId, source: &Template) -> Result<Vec<Source>, Diagnostic> {
        let chosen: Vec<(TargetId, Option<usize>)> = match source.as_built() {
            Some(path) => {
                let Made { target: id, position } = self.plan.maker_of(index, path)?;
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
            return Err(Diagnostic::new(message).help(Language::EXTENSIONS));
        }
        Ok(found)
    }

    /// What must be there before anything of a target is compiled: its `inputs`, and those of the
    /// libraries whose headers it reads.
    fn prerequisites(
        &mut self,
        target: &Target,
        kind: &Objects,
        package: &Package,
        owner: &Owner,
    ) -> Checked<Option<Job<Vec<Artifact>>>> {
        let mut groups = Vec::new();
        if let Some(compiled) = self.plan.compiled(target) {
            let made =
                |input: &&Input| input.path.as_hole().is_some() || input.path.as_built().is_some();
            for input in compiled.inputs.iter().filter(|input| !made(input)) {
                groups.push(self.input(target.package, package, &input.path, input.text, owner)?.0);
            }
        }
        groups.extend(kind.reads.iter().filter_map(|&id| Some(self.job(id)?.all(self.cx))));
        Ok((!groups.is_empty()).then(|| flatten(self.cx, groups)))
    }

    /// The include directories of a target.
    fn includes(&self, package: PackageId, kind: &Objects) -> Vec<Include> {
        let own = self.plan.package(package).place.clone();
        let include = |directory: &Directory| {
            let place = &self.plan.package(directory.package).place;
            let from_root = match &directory.at {
                DirectoryAt::Package(path) => place.input(path),
                DirectoryAt::Build(path) | DirectoryAt::Output { path, .. } => place.output(path),
            };
            let from_root = from_root.trim_end_matches('/').to_owned();
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
            Include { name, argument, absolute }
        };
        kind.includes.iter().map(include).collect()
    }
}

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
