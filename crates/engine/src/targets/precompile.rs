//! Headers that are compiled once for all sources of a target.

use larder_project::{
    diagnostic::{Diagnostic, Located},
    plan::{Language, Objects, PackageId},
    setting::Family,
    workspace::Package,
};

use super::Maker;
use crate::{
    artifact::Artifact,
    builds::{
        Compile, Dialect, Included, ObjectSource, Owner, Precompile, PrecompiledForm,
        build_precompiled,
    },
    job::Job,
    toolchain::Compiler,
};

impl Maker<'_> {
    /// How sources of a language, with `own` arguments of theirs, are compiled that include the target's header
    /// first. It is compiled for those that have no arguments of their own.
    pub(super) fn included(
        &mut self,
        package: &Package,
        objects: &Objects,
        (language, own): (Language, &[String]),
        compiler: &Compiler,
        compile: Compile,
    ) -> Option<Compile> {
        let Some(header) = objects.precompiled.of(language) else { return Some(compile) };
        if compile.dialect != Dialect::Gcc {
            let message = format!("`{}` is not known to take a header first", compiler.name);
            let help = "a precompiled header needs a compiler with the options of GCC and Clang";
            self.wrong_header(package, header, Diagnostic::new(message).help(help));
            return None;
        }
        let name = header.strip_prefix("./").unwrap_or(header);
        let header = package.place.portable(&package.place, false, name);
        let form = match compiler.family {
            _ if !own.is_empty() => None,
            Some(Family::Gcc) => Some(PrecompiledForm::Gcc),
            Some(Family::Clang) => Some(PrecompiledForm::Clang),
            None => None,
        };
        let file = objects.precompiled(language);
        Some(compile.including(Included { header, language, file, form }))
    }

    /// Says what is wrong with the headers that are to be compiled.
    pub(super) fn check_precompiled(
        &mut self,
        id: PackageId,
        package: &Package,
        objects: &Objects,
    ) {
        let both = [&objects.precompiled.c, &objects.precompiled.cxx];
        let mut seen: Vec<&Located<String>> = Vec::new();
        for header in both.into_iter().flatten() {
            if seen.iter().any(|known| known.span == header.span) {
                continue;
            }
            seen.push(header);
            let Some(found) = self.expand(id, header) else { continue };
            if !found.iter().all(|path| package.place.directory.join(path.as_str()).is_file()) {
                let wrong = Diagnostic::new(format!("`{}` is no file", **header));
                self.wrong_header(package, header, wrong);
            }
        }
    }

    fn wrong_header(&mut self, package: &Package, header: &Located<String>, wrong: Diagnostic) {
        self.errors.push(wrong.at(&package.manifest.source, header.span.clone()));
    }

    /// Has the headers of a target compiled that some of `sources` include, for those.
    pub(super) fn precompile(
        &self,
        owner: &Owner,
        objects: &Objects,
        sources: &mut [ObjectSource],
        after: Option<&Job<Vec<Artifact>>>,
    ) {
        for language in [Language::C, Language::Cxx] {
            let mut users: Vec<&mut ObjectSource> = sources
                .iter_mut()
                .filter(|source| {
                    let included = source.compile.included.as_ref();
                    included.is_some_and(|it| it.form.is_some() && it.language == language)
                })
                .collect();
            let Some(first) = users.first() else { continue };
            let precompile = Precompile { compile: first.compile.clone() };
            let file = objects.precompiled(language);
            let job: Job<Artifact> = build_precompiled(owner.clone(), file, precompile, after);
            users.iter_mut().for_each(|source| source.precompiled = Some(job.clone()));
        }
    }
}
