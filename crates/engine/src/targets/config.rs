//! Files made from what the compiler answers.

use std::sync::Arc;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::{
        self,
        config::{Compiling, Program as Source, Question},
    },
    path::{BuildPath, PackagePath, PortablePath},
    plan::{self, PackageId, TargetId},
    workspace::Package,
};
use larder_trace::BuildTrace;

use super::{
    Maker, TargetJob,
    compile::{search_path, without_slash},
    files::{first, flatten},
};
use crate::{
    action::Piece,
    artifact::Artifact,
    builds::{
        self, Answer, Answered, AskedCompiler, Check, CheckProgram, Config, Notation, Owner,
        SearchPath, ToolUse, build_answer, build_config, input_text_file,
    },
    job::Job,
    search::LinkArguments,
    toolchain::Compiler,
};

/// What all checks of a target have in common.
struct Checks {
    package: PackageId,
    owner: Owner,
    compiler: Arc<Compiler>,
    /// With what programs of the manifest are compiled.
    asked: Arc<AskedCompiler>,
    /// The same for programs of larder's own, in which no warning counts.
    silent: Arc<AskedCompiler>,
    headers: SearchPath,
    link_args: Vec<String>,
    /// Where answers go.
    directory: BuildPath,
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
        let job =
            (self.errors.len() == known).then(|| build_config(owner, answers, template, made))?;
        Some(TargetJob::single(&job))
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
        let empty = CheckProgram::Text("int main(void) { return 0; }\n".to_owned());
        let first = checks.check("any program", Answer::Must, empty, checks.silent.clone());
        let first = if links { checks.linked(first, &[]) } else { first };
        let output = checks.output("compiler");
        let owner = checks.owner.clone();
        let ready = build_answer(owner, output, None, None, checks.after.as_ref(), first);
        let answers = declared.iter().map(|check| self.answer(&checks, check, &ready));
        // All that is wrong is said.
        let answers: Vec<Option<Job<Artifact>>> = answers.collect();
        answers.into_iter().collect()
    }

    fn checks(
        &mut self,
        package_id: PackageId,
        config: &plan::Config,
        owner: &Owner,
    ) -> Option<Checks> {
        let package = self.package(package_id);
        let compiling = &config.declared.compiling;
        let trace_args = arguments(compiling);
        let link_args: Vec<String> = texts(&compiling.link_args);
        let given = [&trace_args[..], &link_args].concat();
        let (compiler, identity) = self.compiler(&package, compiling.cxx, &given)?;
        if compiler.triple.is_none() {
            let message = format!(
                "`{}` does not tell which headers it reads, so its answers would never be asked for again",
                compiler.name
            );
            let help = "checks need a compiler with the options of GCC and Clang";
            let span = config.declared.name.span.clone();
            let wrong = Diagnostic::new(message).help(help);
            self.errors.push(wrong.at(&package.manifest.source, span));
            return None;
        }
        let includes: Vec<PortablePath> =
            config.includes.iter().map(|directory| self.portable(&package, directory)).collect();
        let after = self.read_before(package_id, config, &given, owner)?;
        let names: Vec<&str> = includes.iter().map(without_slash).collect();
        let mut depends_on = self.made_by("check", &package, identity.clone());
        if !names.is_empty() {
            depends_on = depends_on.mix(BuildTrace::list("includes", &names));
        }
        let option =
            |path: &PortablePath| vec![Piece::Text("-I".to_owned()), Piece::Path(path.clone())];
        let headers =
            search_path([includes.clone(), Vec::new()], &trace_args, &compiler, compiling.cxx);
        let asked = AskedCompiler {
            compiler: ToolUse::new(compiler.path.clone(), &identity),
            cxx: compiling.cxx,
            includes: includes.iter().map(option).collect(),
            trace_args,
            writes_depfile: compiler.linker.dependency_file,
            depends_on,
        };
        let mut silent = asked.clone();
        silent.trace_args.push("-w".to_owned());
        // Answers are small, and what is made from them is what is asked for.
        let keep = self.keeps_everything(&package);
        Some(Checks {
            package: package_id,
            owner: Owner { keep, ..owner.clone() },
            compiler,
            asked: Arc::new(asked),
            silent: Arc::new(silent),
            headers,
            link_args,
            directory: config.answers(),
            after,
        })
    }

    /// The job of what must be there before any check is compiled.
    #[allow(clippy::option_option, reason = "the outer one says that something is wrong")]
    fn read_before(
        &mut self,
        id: PackageId,
        config: &plan::Config,
        arguments: &[String],
        owner: &Owner,
    ) -> Option<Option<Job<Vec<Artifact>>>> {
        let mut groups = Vec::new();
        for input in &config.inputs {
            groups.push(self.input(id, input, owner)?.0);
        }
        for read in config.reads() {
            groups.extend(self.job(read).map(|job| job.outputs.clone()));
        }
        groups.extend(self.named_files(id, arguments, false, owner));
        Some((!groups.is_empty()).then(|| flatten(self.cx, groups)))
    }

    /// The job of one check.
    fn answer(
        &mut self,
        checks: &Checks,
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
        let asked = if own { checks.asked.clone() } else { checks.silent.clone() };
        let mut check = checks.check(&what, answer, CheckProgram::Text(text), asked);
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

impl Checks {
    fn check(
        &self,
        what: &str,
        answer: Answer,
        program: CheckProgram,
        asked: Arc<AskedCompiler>,
    ) -> Check {
        let (what, search) = (what.to_owned(), self.headers.clone());
        Check { what, answer, program, asked, link_args: None, search }
    }

    /// A check whose program is linked as well, with `more` arguments.
    fn linked(&self, check: Check, more: &[String]) -> Check {
        let link_args = [&self.link_args[..], more].concat();
        let found = LinkArguments::parse(&link_args);
        let mut search = check.search;
        search.names.extend(found.names());
        let own = found.directories.iter().filter_map(|path| PackagePath::new(path).ok());
        search.own.extend(own.map(|path| PortablePath::recorded(&format!("{path}/"))));
        let given = found.directories.iter().map(|path| path.trim_end_matches('/').to_owned());
        search.directories.extend(given);
        // Libraries that are missing are looked for in the linker's own directories last.
        for path in &self.compiler.library_directories {
            let path = path.to_string_lossy().into_owned();
            search.system.push(path.clone());
            search.directories.push(path);
        }
        Check { link_args: Some(link_args), search, ..check }
    }

    fn output(&self, name: &str) -> BuildPath {
        self.directory.join(name)
    }
}

/// The compiler arguments that the manifest says.
fn arguments(compiling: &Compiling) -> Vec<String> {
    let standard = compiling.standard.iter().map(|standard| format!("-std={}", **standard));
    let defines = compiling.defines.iter().map(|define| format!("-D{}", **define));
    let given = compiling.trace_args.iter().map(|argument| argument.value.clone());
    standard.chain(defines).chain(given).collect()
}

fn texts(list: &[Located<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}
