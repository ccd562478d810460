//! What is compiled, and what must be there before.

use std::collections::HashSet;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    glob::is_pattern,
    path::{BuildPath, PortablePath},
    plan::{Kind, Language, Objects, PackageId, Source},
    workspace::Package,
};
use rustc_hash::FxHashSet;

use super::{
    Maker,
    files::{Reads, first, flatten},
};
use crate::{
    artifact::Artifact,
    builds::{Owner, SourceOf},
    job::Job,
};

/// A source that is compiled.
pub(super) struct Found {
    pub object: BuildPath,
    pub source: SourceOf,
    /// The source, as records of the package call it.
    pub name: PortablePath,
    pub language: Language,
}

impl Maker<'_> {
    /// The sources of a target. All that is wrong with them is said.
    pub(super) fn sources(
        &mut self,
        id: PackageId,
        package: &Package,
        objects: &Objects,
    ) -> Option<Vec<Found>> {
        let known = self.errors.len();
        let toolchain = &package.manifest.toolchain;
        let mut excluded = HashSet::new();
        for pattern in &objects.exclude {
            excluded.extend(self.expand(id, pattern).into_iter().flatten());
        }
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
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
                        match Language::with(toolchain, path.as_str()) {
                            _ if excluded.contains(&path) => {}
                            Some(language) => {
                                let object = objects.object(&path);
                                if seen.insert(object.clone()) {
                                    let name = path.portable();
                                    let source = SourceOf::File(path);
                                    found.push(Found { object, source, name, language });
                                }
                            }
                            None if is_pattern(&pattern) => {}
                            None => {
                                let message = format!(
                                    "`{path}` is neither C, C++ nor assembly by its extension"
                                );
                                self.errors
                                    .push(wrong(message).help(Language::help(path.as_str())));
                            }
                        }
                    }
                    if found.len() == before && is_pattern(&pattern) && seen.is_empty() {
                        let nothing = wrong(format!("`{}` matches no source", *pattern));
                        self.errors.push(match Language::is_asm(&pattern) {
                            true => nothing.help(Language::help(&pattern)),
                            false => nothing,
                        });
                    }
                }
            }
        }
        (self.errors.len() == known).then_some(found)
    }

    /// The job of what must be there before anything of a target is compiled by what tells `reads`: its
    /// `inputs`, and what commands make that it reads. `None` inside when there is no such thing.
    #[allow(clippy::option_option, reason = "the outer one says that something is wrong")]
    pub(super) fn prerequisites(
        &mut self,
        id: PackageId,
        objects: &Objects,
        reads: Reads,
        owner: &Owner,
    ) -> Option<Option<Job<Vec<Artifact>>>> {
        let known = self.errors.len();
        let mut groups = Vec::new();
        for input in &objects.inputs {
            groups.extend(self.ready(id, input, reads, owner));
        }
        for read in &objects.reads {
            let outputs = self.job(*read).map(|job| job.outputs.clone());
            groups.extend(outputs.map(|job| self.counting(*read, reads, job)));
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
