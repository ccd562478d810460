//! Meanings of the names and placeholders in one package's manifest.

use super::{Facet, Own};
use crate::{
    diagnostic::{Diagnostic, Located},
    manifest::{self, Compiled, Module, Piece, Template},
    name::TargetName,
    plan::{
        Argument, BuiltIn, Command, Declared, Directory, DirectoryAt, Files, Form, Input, Kind,
        Made, PackageId, Part, Plan, Program, Setting, SystemLibrary, TargetId, ToolArgument,
    },
};

/// Resolves names, and keeps what is wrong with them.
pub(super) struct Names<'p> {
    pub plan: &'p Plan,
    /// The package in whose manifest the names stand.
    pub package: PackageId,
    pub errors: &'p mut Vec<Diagnostic>,
}

pub(super) type Checked<T> = Result<T, Box<Diagnostic>>;

pub(super) fn wrong<T>(message: String, help: &str) -> Checked<T> {
    Err(Box::new(Diagnostic::new(message).help(help)))
}

impl Names<'_> {
    /// Everything that a library or an executable names.
    pub fn compiled(&mut self, compiled: &Compiled) -> Own {
        let lists = &compiled.lists;
        let libraries = lists.libraries.iter().filter_map(|name| {
            let found = self.library(name);
            self.keep(found, name)
        });
        let libraries = libraries.collect();
        let mut sources = Vec::new();
        for template in &lists.sources {
            let found = self.sources(template);
            let found = self.keep(found, template).unwrap_or_default();
            let located = |value| Located { value, span: template.span.clone() };
            sources.extend(found.into_iter().map(located));
        }
        Own {
            libraries,
            sources,
            includes: self.directories(&lists.includes),
            private_includes: self.directories(&lists.private_includes),
            system_includes: self.directories(&lists.system_includes),
            inputs: lists.inputs.iter().flat_map(|input| self.input(input, false, &[])).collect(),
            filled_args: self.tool_arguments(&lists.filled_args),
            link_args: self.tool_arguments(&lists.linking.link_args),
            private_link_args: self.tool_arguments(&lists.linking.private_link_args),
            weak_link_args: self.tool_arguments(&lists.linking.weak_link_args),
            system: self.system(&lists.linking.system),
            test: None,
        }
    }

    /// A list of directories.
    fn directories(&mut self, templates: &[Located<Template>]) -> Vec<Directory> {
        let found = templates.iter().filter_map(|template| {
            let found = self.directory(template);
            self.keep(found, template)
        });
        found.collect()
    }

    /// Arguments for a compiler or a linker.
    fn tool_arguments(&mut self, templates: &[Located<Template>]) -> Vec<ToolArgument> {
        let mut arguments = Vec::with_capacity(templates.len());
        for template in templates {
            let of_commands = |part: &Part| match part {
                Part::BuiltIn(built_in) => !matches!(built_in, BuiltIn::Build | BuiltIn::Package),
                _ => false,
            };
            let argument = self.argument(template);
            if argument.parts.iter().any(of_commands) {
                let help = "an argument may have {build}, {package} and {TARGET} in it";
                let refused: Checked<()> =
                    wrong(format!("`{}` has a placeholder of commands", template.text), help);
                self.keep(refused, template);
            }
            let text = template.text.clone();
            arguments.push(ToolArgument { package: self.package, argument, text });
        }
        arguments
    }

    /// The linker's arguments for a version script.
    pub fn version_script(&mut self, script: &Located<Template>) -> Vec<ToolArgument> {
        // Not `-Wl,…`, where a comma in the path would end it.
        let option = "--version-script=";
        let mut named = script.value.clone();
        named.text.insert_str(0, option);
        named.pieces.insert(0, Piece::Literal(option.to_owned()));
        let through = Template::parse("-Xlinker");
        let located = |value| Located { value, span: script.span.clone() };
        self.tool_arguments(&[located(through), located(named)])
    }

    fn system(&self, modules: &[Located<Module>]) -> Vec<SystemLibrary> {
        let modules = modules.iter();
        modules
            .map(|module| SystemLibrary { package: self.package, module: module.clone() })
            .collect()
    }

    /// Everything that a command names.
    pub fn command(&mut self, declared: &manifest::Command, command: &mut Command) {
        command.inputs = declared
            .inputs
            .iter()
            .flat_map(|input| self.input(input, declared.text, &declared.exclude))
            .collect();
        for (name, value) in &declared.env {
            let setting = Setting { text: value.text.clone(), value: self.argument(value) };
            command.env.insert(name.clone(), setting);
        }
        // A manifest without a program is refused before.
        if let [program, arguments @ ..] = &declared.run[..] {
            let found = self.program(program, declared.test);
            if let Some(program) = self.keep(found, program) {
                command.program = program;
            }
            command.arguments = arguments.iter().map(|word| self.argument(word)).collect();
        }
    }

    /// An argument of a command or a test.
    pub fn argument(&mut self, template: &Located<Template>) -> Argument {
        let mut parts = Vec::with_capacity(template.pieces.len());
        for piece in &template.pieces {
            match piece {
                Piece::Literal(text) => parts.push(Part::Text(text.clone())),
                Piece::Hole(hole) => match BuiltIn::named(hole) {
                    Some(built_in) => parts.push(Part::BuiltIn(built_in)),
                    None => {
                        let found = self.targets(hole);
                        parts.extend(self.keep(found, template).map(Part::Made));
                    }
                },
            }
        }
        Argument { parts, span: template.span.clone() }
    }

    /// The value, or nothing and one error more, which points at `place`.
    fn keep<T, P>(&mut self, found: Checked<T>, place: &Located<P>) -> Option<T> {
        let source = &self.plan.package(self.package).manifest.source;
        found.map_err(|error| self.errors.push(error.at(source, place.span.clone()))).ok()
    }

    /// The targets that a placeholder names.
    pub(super) fn targets(&self, hole: &str) -> Checked<Vec<TargetId>> {
        let name: Result<TargetName, _> = hole.parse().map_err(Diagnostic::new);
        name.and_then(|name| self.plan.resolve(self.package, &name)).map_err(|mut diagnostic| {
            let braces = format!("for the braces themselves, write {{{{{hole}}}}}");
            diagnostic.help = Some(match diagnostic.help {
                Some(help) => format!("{help} ({braces})"),
                None => braces,
            });
            Box::new(diagnostic)
        })
    }

    pub(super) fn made(&self, path: &str) -> Checked<Made> {
        self.plan.maker_of(self.package, path).map_err(Box::new)
    }

    /// An entry of `inputs`.
    pub fn input(
        &mut self,
        input: &manifest::Input,
        all_text: bool,
        exclude: &[Located<String>],
    ) -> Vec<Input> {
        let found = self.files(&input.path);
        let files = self.keep(found, &input.path).unwrap_or_default();
        let (package, text) = (self.package, input.text || all_text);
        let span = &input.path.span;
        let exclude = exclude.to_vec();
        let input =
            |files| Input { package, files, exclude: exclude.clone(), text, span: span.clone() };
        files.into_iter().map(input).collect()
    }

    fn files(&self, template: &Template) -> Checked<Vec<Files>> {
        if let Some(path) = template.as_built() {
            return Ok(vec![Files::Output(self.made(path)?)]);
        }
        if let Some(hole) = self.target_hole(template)? {
            return Ok(self.targets(hole)?.into_iter().map(Files::Outputs).collect());
        }
        Ok(vec![Files::Pattern(self.literal(template)?)])
    }

    /// The placeholder of a text that is nothing else; it must be one that names targets.
    pub(super) fn target_hole<'t>(&self, template: &'t Template) -> Checked<Option<&'t str>> {
        match template.as_hole() {
            Some(hole) if BuiltIn::named(hole).is_some() => {
                let help = "write {TARGET} for the outputs of a target, or {build}/PATH for one of its outputs";
                wrong(format!("`{}` stands for no file here", template.text), help)
            }
            hole => Ok(hole),
        }
    }

    /// A text that may have no placeholder, except as a whole.
    pub(super) fn literal(&self, template: &Template) -> Checked<String> {
        if let Some(literal) = template.as_literal() {
            return Ok(literal.to_owned());
        }
        for hole in template.holes().filter(|hole| BuiltIn::named(hole).is_none()) {
            self.targets(hole)?;
        }
        let help = "write a path or pattern in the package, {TARGET} for what a target makes, or {build}/PATH for one of its outputs";
        wrong(format!("`{}` mixes a path and a placeholder", template.text), help)
    }

    /// An entry of `includes` and its like.
    fn directory(&self, template: &Template) -> Checked<Directory> {
        let text = &template.text;
        if text.split('/').any(|part| part == "..") || plain(text) == "/" {
            let help = "headers of another package come with its library, by `libraries`";
            return wrong(format!("`{text}` is outside the package"), help);
        }
        let (hole, below) = match &template.pieces[..] {
            [Piece::Literal(path)] => {
                return Ok(self.own(DirectoryAt::Package(plain(path))));
            }
            [Piece::Hole(hole)] => (hole, ""),
            [Piece::Hole(hole), Piece::Literal(below)] if below.starts_with('/') => {
                (hole, below.as_str())
            }
            _ => {
                let help = "write a directory of the package, {build}/PATH, or {TARGET} for a directory that a command makes";
                return wrong(format!("`{text}` is not a directory"), help);
            }
        };
        match hole.as_str() {
            "build" => return Ok(self.own(DirectoryAt::Build(plain(&below[below.len().min(1)..])))),
            "package" => {
                return Ok(self.own(DirectoryAt::Package(plain(&below[below.len().min(1)..]))));
            }
            built_in if BuiltIn::named(built_in).is_some() => {
                let help = "write a directory of the package, {build}/PATH, or {TARGET} for a directory that a command makes";
                return wrong(format!("`{{{hole}}}` stands for no directory here"), help);
            }
            _ => {}
        }
        let directories = self.targets(hole)?.into_iter().find_map(|target| {
            let Kind::Command(command) = &self.plan.target(target).kind else { return None };
            let position = command.outputs.iter().position(|output| output.directory)?;
            let path = plain(&format!("{}{below}", command.outputs[position].path));
            let at = DirectoryAt::Output { made: Made { target, position }, path };
            Some(Directory { package: self.plan.target(target).package, at })
        });
        let none = || {
            Box::new(Diagnostic::new(format!("`{{{hole}}}` makes no directory to include from")))
        };
        directories.ok_or_else(none)
    }

    fn own(&self, at: DirectoryAt) -> Directory {
        Directory { package: self.package, at }
    }

    /// The first word of `run`. What is made to be run here is made for the host; a test runs what it
    /// tests.
    fn program(&mut self, template: &Located<Template>, test: bool) -> Checked<Program> {
        let package = if test { self.package } else { self.plan.on_host(self.package) };
        Names { plan: self.plan, package, errors: self.errors }.program_in_package(template)
    }

    fn program_in_package(&mut self, template: &Located<Template>) -> Checked<Program> {
        let span = template.span.clone();
        if let Some(name) = template.as_literal() {
            let value = name.strip_prefix("./").unwrap_or(name).to_owned();
            return Ok(match name.contains('/') {
                true => Program::File(Located { value, span }),
                false => Program::Tool(Located { value, span }),
            });
        }
        if let Some(path) = template.as_built() {
            return Ok(Program::Made(self.made(path)?));
        }
        if let [Piece::Hole(hole), Piece::Literal(path)] = &template.pieces[..]
            && let ("package", Some(path)) = (hole.as_str(), path.strip_prefix('/'))
        {
            return Ok(Program::File(Located { value: path.to_owned(), span }));
        }
        if let Some(hole) = template.as_hole().filter(|hole| BuiltIn::named(hole).is_none()) {
            let targets = self.targets(hole)?;
            if let Some(target) = self.runnable(&targets) {
                return Ok(Program::Made(Made { target, position: 0 }));
            }
            let parts = vec![Part::Made(targets)];
            return Ok(Program::Argument(Argument { parts, span }));
        }
        Ok(Program::Argument(self.argument(template)))
    }

    /// The one among `targets` that a command runs: an executable, or the only output of a command.
    fn runnable(&self, targets: &[TargetId]) -> Option<TargetId> {
        let executable = |id: &TargetId| matches!(&self.plan.target(*id).kind, Kind::Linked(linked) if linked.form == Form::Executable);
        let mut executables = targets.iter().copied().filter(executable);
        if let (Some(only), None) = (executables.next(), executables.next()) {
            return Some(only);
        }
        match (targets, &self.plan.target(*targets.first()?).kind) {
            (&[only], Kind::Command(command)) => match &command.outputs[..] {
                [output] if !output.directory => Some(only),
                _ => None,
            },
            _ => None,
        }
    }

    /// An entry of `libraries`: the static one where there is one.
    fn library(&self, text: &str) -> Checked<TargetId> {
        let name = match text.split_once('/') {
            Some((package, library)) => {
                format!("@{}/{library}", package.strip_prefix('@').unwrap_or(package))
            }
            None => text.to_owned(),
        };
        let name: TargetName = name.parse().map_err(|error: String| Diagnostic::new(error))?;
        let absent = &self.plan.package(self.package).manifest.absent;
        let ids = self.plan.resolve(self.package, &name).map_err(|diagnostic| {
            match text.contains('/') || absent.contains_key(text) {
                true => diagnostic,
                false => match self.plan.packages_with(self.package, text).next() {
                    Some(other) => diagnostic.help(format!("did you mean `{other}/{text}`?")),
                    None => of_system(diagnostic, text),
                },
            }
        })?;
        let is_library = |id: &&TargetId| {
            let target = self.plan.target(**id);
            matches!(target.declared, Declared::Library(_)) && target.facet() != Some(Facet::O)
        };
        match ids.iter().find(is_library) {
            Some(id) => Ok(*id),
            None => wrong(
                format!("`{text}` is not a library"),
                "`libraries` names [[library]] targets, or PACKAGE/LIBRARY of a dependency",
            ),
        }
    }
}

/// What is wrong with the name of a library that this package does not have.
fn of_system(mut diagnostic: Diagnostic, name: &str) -> Diagnostic {
    let system = format!(
        "for one of the system, write link-args = [\"-l{name}\"], or system = [\"…\"] with its name for pkg-config"
    );
    diagnostic.help = Some(match diagnostic.help {
        Some(help) if help.starts_with("did you mean") => format!("{help} {system}"),
        _ => format!("libraries of dependencies are PACKAGE/LIBRARY; {system}"),
    });
    diagnostic
}

/// The path of a directory without `.` parts, doubled and final slashes; empty for where it starts.
fn plain(path: &str) -> String {
    let absolute = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("{absolute}{}", parts.join("/"))
}
