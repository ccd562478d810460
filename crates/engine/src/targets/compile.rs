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
    diagnostic::{Diagnostic, Located},
    glob::is_pattern,
    manifest::{Compiled, Piece, Template},
    plan::{Declared, Target, TargetId, object_directory},
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
        let arguments = [&compiled.weak_args[..], &compiled.trace_args].concat();
        let tool = self.compiler(package, role, &arguments)?;
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
        let mut depends_on = self.made_by("object", package, &tool.trace);
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

const SOURCES_END: &str = "sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s";
