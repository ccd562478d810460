//! Files made from what the compiler answers.

use std::sync::Arc;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::{
        self, Template,
        config::{Program as Source, Question},
    },
    path::{BuildPath, PackagePath, PortablePath},
    plan::{self, Language, PackageId, TargetId},
    workspace::Package,
};

use super::{
    Maker, TargetJob,
    files::{Reads, first},
};
use crate::{
    artifact::Artifact,
    builds::{
        self, Answer, Answered, Check, CheckProgram, Compile, Config, Linking, Notation, Owner,
        SearchPath, build_answer, build_config, input_text_file,
    },
    job::Job,
    search::LinkArguments,
    toolchain::Role,
};

/// What all checks of a target have in common.
struct Checks<'p> {
    package: PackageId,
    config: &'p plan::Config,
    owner: Owner,
    compile: Arc<Compile>,
    link: Linking,
    /// What libraries of the system have it linked with, with paths as records have them.
    of_system: Vec<String>,
    /// Where the linker looks by itself.
    library_directories: Vec<String>,
    after: Option<Job<Vec<Artifact>>>,
}

impl Maker<'_> {
    pub(super) fn config(
        &mut self,
        id: TargetId,
        config: &plan::Config,
        owner: Owner,
    ) -> Option<TargetJob> {
        let package_id = self.plan.target(id).package;
        let known = self.errors.len();
        let declared = &config.declared;
        let template = match &config.template {
            None => None,
            Some(input) => {
                let (job, count) = self.input(package_id, input, &owner)?;
                if count != 1 {
                    let wrong = Diagnostic::new("a template is one file");
                    let source = &self.package(package_id).manifest.source;
                    self.errors.push(wrong.at(source, input.span.clone()));
                    return None;
                }
                Some(first(&job))
            }
        };
        let answers = match declared.checks.is_empty() {
            true => Vec::new(),
            false => self.answers(package_id, config, &owner)?,
        };
        let answered = |check: &manifest::config::Check| Answered {
            define: check.define.value.clone(),
            zero: matches!(check.question, Question::Symbol { zero: true, .. }),
        };
        let notation = declared.template.as_ref().map(|template| Notation {
            name: template.path.text.clone(),
            syntax: declared.syntax,
            braces: declared.braces,
        });
        let made = Config {
            answers: declared.checks.iter().map(answered).collect(),
            values: declared.values.clone(),
            template: notation,
            file: config.file().clone(),
        };
        let right = self.errors.len() == known;
        right.then(|| TargetJob::single(&build_config(owner, answers, template, made)))
    }

    /// The jobs of all checks of a config, which are asked at the same time.
    fn answers(
        &mut self,
        package: PackageId,
        config: &plan::Config,
        owner: &Owner,
    ) -> Option<Vec<Job<Artifact>>> {
        let checks = self.checks(package, config, owner)?;
        let declared = &config.declared.checks;
        let links = declared.iter().any(|check| check.question.links());
        let empty = checks.text("int main(void) { return 0; }\n".to_owned());
        let first = checks.check("any program", Answer::Must, empty, true);
        let first = if links { checks.linked(first, &[]) } else { first };
        let output = checks.output("compiler");
        let owner = checks.owner.clone();
        let ready = build_answer(owner, output, None, None, checks.after.as_ref(), first);
        let answers = declared.iter().map(|check| self.answer(&checks, check, &ready));
        // All that is wrong is said.
        let answers: Vec<Option<Job<Artifact>>> = answers.collect();
        answers.into_iter().collect()
    }

    fn checks<'p>(
        &mut self,
        package_id: PackageId,
        config: &'p plan::Config,
        owner: &Owner,
    ) -> Option<Checks<'p>> {
        let package = self.package(package_id);
        let language = if config.declared.cxx { Language::Cxx } else { Language::C };
        // A compiler that does not tell is refused below.
        let after = self.prerequisites(package_id, &config.checks, Reads::Told, owner);
        let mut compile = self.compile(&package, &config.checks, language, &[])?;
        if !compile.dialect.tells() {
            let message = format!(
                "`{}` does not tell which headers it reads, so its answers would never be asked for again",
                compile.compiler.name
            );
            let help = "checks need a compiler with the options of GCC and Clang";
            let span = config.declared.compiled.name.span.clone();
            let wrong = Diagnostic::new(message).help(help);
            self.errors.push(wrong.at(&package.manifest.source, span));
            return None;
        }
        let flags = self.flags(&package, self.flags_of(&package).linking());
        let of_system = self.uses_for_linking(&package, &config.checks.system)?;
        let linking = &config.declared.compiled.lists.linking;
        let own = [&linking.link_args, &linking.private_link_args, &linking.weak_link_args];
        let link_args = self.literal_arguments(&package, own.into_iter().flatten());
        let of_checks = config.declared.checks.iter().flat_map(|check| texts(&check.link_args));
        let asked: Vec<String> = flags
            .here()
            .chain(config.checks.arguments.of(language).iter().cloned())
            .chain(link_args.iter().cloned())
            .chain(of_checks)
            .chain(of_system.here())
            .collect();
        let role = if config.declared.cxx { Role::Cxx } else { Role::Cc };
        let (linker, identity) = self.compiler(&package, role, &asked)?;
        add_libraries(&mut compile.search, &flags.portable().collect::<Vec<_>>());
        let link = Linking {
            first_args: flags.arguments().collect(),
            link_args,
            last_args: of_system.arguments().collect(),
            writes_depfile: linker.linker.dependency_file,
            depends_on: self
                .made_by("link", &package, identity)
                .mix_all(flags.traces)
                .mix_all(of_system.traces.iter().cloned()),
        };
        let directories = linker.library_directories.iter();
        let library_directories =
            directories.map(|path| path.to_string_lossy().into_owned()).collect();
        // Answers are small, and what is made from them is what is asked for.
        let keep = self.keeps_everything(&package);
        Some(Checks {
            package: package_id,
            config,
            owner: Owner { keep, ..owner.clone() },
            compile: Arc::new(compile),
            link,
            of_system: of_system.portable().collect(),
            library_directories,
            after: after?,
        })
    }

    /// Linker arguments without placeholders: nothing is made before checks that they could stand for. Says
    /// which have any.
    fn literal_arguments<'t>(
        &mut self,
        package: &Package,
        arguments: impl Iterator<Item = &'t Located<Template>>,
    ) -> Vec<String> {
        let mut texts = Vec::new();
        for argument in arguments {
            match argument.as_literal() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let message = format!("`{}` has a placeholder in it", argument.text);
                    let help = "a [[config]] is made before everything that could stand there";
                    let wrong = Diagnostic::new(message).help(help);
                    self.errors.push(wrong.at(&package.manifest.source, argument.span.clone()));
                }
            }
        }
        texts
    }

    /// The job of one check.
    fn answer(
        &mut self,
        checks: &Checks<'_>,
        declared: &manifest::config::Check,
        ready: &Job<Artifact>,
    ) -> Option<Job<Artifact>> {
        let names = declared.headers.as_ref().map(|headers| texts(headers));
        let names = names.as_deref();
        let (what, text, answer) = match &declared.question {
            Question::Header(name) => {
                let before = names.unwrap_or_default();
                (format!("header {name}"), builds::header(name, before), Answer::Works)
            }
            Question::Function(name) => {
                (format!("function {name}"), builds::function(name, names), Answer::Works)
            }
            Question::Type(name) => {
                (format!("type {name}"), builds::type_of(name, names), Answer::Works)
            }
            Question::Size(name) => {
                (format!("size of {name}"), builds::size(name, names), Answer::Size)
            }
            Question::Symbol { name, .. } => {
                (format!("symbol {name}"), builds::declares(name, names), Answer::Works)
            }
            Question::Program { source, .. } => {
                let text = match source {
                    Source::Code(code) => code.clone(),
                    Source::File(_) => String::new(),
                };
                (format!("program for {}", *declared.define), text, Answer::Works)
            }
        };
        let own = matches!(declared.question, Question::Program { .. });
        let mut check = checks.check(&what, answer, checks.text(text), !own);
        let mut source = None;
        if let Question::Program { source: Source::File(file), .. } = &declared.question {
            check.program = CheckProgram::Input;
            source = Some(input_text_file(&checks.owner, self.program_file(checks.package, file)?));
        }
        if declared.question.links() {
            check = checks.linked(check, &texts(&declared.link_args));
        }
        let output = checks.output(&declared.define);
        let after = checks.after.as_ref();
        Some(build_answer(checks.owner.clone(), output, source, Some(ready), after, check))
    }

    /// The file of a program, which must be there.
    fn program_file(&mut self, id: PackageId, file: &Located<String>) -> Option<PackagePath> {
        let mut found = self.expand(id, file)?;
        if found.len() == 1 {
            return found.pop();
        }
        let wrong = Diagnostic::new(format!("`{}` is more than one program", **file));
        self.errors.push(wrong.at(&self.package(id).manifest.source, file.span.clone()));
        None
    }

    /// Whether every intermediate of a package is wanted on disk.
    pub(super) fn keeps_everything(&self, package: &Package) -> bool {
        self.cx.session.settings.store.restore_everything
            || package.manifest.package.restore_all_artifacts
    }
}

impl Checks<'_> {
    fn text(&self, text: String) -> CheckProgram {
        let name = if self.config.declared.cxx { "check.cc" } else { "check.c" };
        CheckProgram::Text { name, text }
    }

    fn check(
        &self,
        what: &str,
        answer: Answer,
        program: CheckProgram,
        without_warnings: bool,
    ) -> Check {
        let (what, compile) = (what.to_owned(), self.compile.clone());
        let search = compile.search.clone();
        Check { what, answer, program, without_warnings, compile, link: None, search }
    }

    /// A check whose program is linked as well, with `more` arguments.
    fn linked(&self, check: Check, more: &[String]) -> Check {
        let mut link = self.link.clone();
        link.link_args.extend_from_slice(more);
        let mut search = check.search;
        add_libraries(&mut search, &link.link_args);
        add_libraries(&mut search, &self.of_system);
        // The linker's own directories come last.
        search.system.extend_from_slice(&self.library_directories);
        search.directories.extend_from_slice(&self.library_directories);
        Check { link: Some(link), search, ..check }
    }

    fn output(&self, name: &str) -> BuildPath {
        self.config.checks.directory.join(name)
    }
}

/// Adds where arguments have the linker look for libraries, and for which.
fn add_libraries(search: &mut SearchPath, arguments: &[String]) {
    let found = LinkArguments::parse(arguments);
    search.names.extend(found.names());
    let own = found.directories.iter().filter_map(|path| PackagePath::new(path).ok());
    search.own.extend(own.map(|path| PortablePath::recorded(&format!("{path}/"))));
    let given = found.directories.iter().map(|path| path.trim_end_matches('/').to_owned());
    search.directories.extend(given);
}

fn texts(list: &[Located<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}
