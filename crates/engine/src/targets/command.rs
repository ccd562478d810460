//! Commands.

use std::collections::BTreeMap;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    plan::{self, Made, PackageId, Part, Program, TargetId},
    workspace::Package,
};
use larder_trace::{BuildTrace, ContentHash, MTime, platform_trace};

use super::{Maker, TargetJob, files::Group};
use crate::{
    action::{RunsIn, Variable},
    builds::{
        CommandBuild, CommandProgram, Machine, Owner, ToolUse, Word, build_command, probe,
        program_file, single, system_file,
    },
    toolchain::counts_as_lean,
};

impl Maker<'_> {
    pub(super) fn command(
        &mut self,
        id: TargetId,
        command: &plan::Command,
        owner: Owner,
    ) -> Option<TargetJob> {
        let (build, inputs) = self.command_build(id, command, &owner)?;
        let Some((output, others)) = command.outputs.split_first() else {
            let name = &self.plan.target(id).label;
            self.errors.push(Diagnostic::new(format!("`{name}` has no outputs: it is a test")));
            return None;
        };
        let count = command.outputs.len();
        let outputs = build_command(owner, output.clone(), others.to_vec(), inputs.jobs, build);
        Some(TargetJob { count, outputs })
    }

    /// How a command is run, and its inputs.
    pub(super) fn command_build(
        &mut self,
        id: TargetId,
        command: &plan::Command,
        owner: &Owner,
    ) -> Option<(CommandBuild, Group)> {
        let known = self.errors.len();
        let package_id = self.plan.target(id).package;
        let package = self.package(package_id);
        let mut inputs = Group::default();
        for input in &command.inputs {
            if let Some((job, count)) = self.input(package_id, input, owner) {
                inputs.add(job, count);
            }
        }
        let declared_inputs = inputs.count;
        let mut depends_on = BuildTrace::nil("command");
        if !package.manifest.package.platform_independent {
            depends_on = depends_on.mix(platform_trace());
        }
        let run: Vec<&str> = command.run.iter().map(|word| word.as_str()).collect();
        let names: Vec<String> = command
            .outputs
            .iter()
            .map(|output| format!("{}{}", output.path, if output.directory { "/" } else { "" }))
            .collect();
        depends_on =
            depends_on.mix(BuildTrace::list("run", &run)).mix(BuildTrace::list("outputs", &names));
        let program = match &command.program {
            Program::Tool(name) => {
                let (tool, trace) = self.tool(&package, name)?;
                depends_on = depends_on.mix(trace);
                CommandProgram::Tool(tool)
            }
            Program::File(path) => {
                let job = program_file(owner, path);
                CommandProgram::Input(inputs.add(single(&job), 1).start)
            }
            Program::Made(Made { target, position }) => {
                let (job, count) = self.outputs(package_id, *target)?;
                CommandProgram::Input(inputs.add(job, count).start + position)
            }
            Program::Argument(argument) => {
                let words = self.words(package_id, argument, &mut inputs);
                CommandProgram::Argument(words)
            }
        };
        let arguments = self.arguments(package_id, &command.arguments, &mut inputs);
        // Programs are traced with all that they load from the build.
        for load in &command.loads {
            let (job, count) = self.outputs(package_id, *load)?;
            inputs.add(job, count);
        }
        let mut tools = Vec::new();
        for name in &command.tools {
            if let Some((tool, trace)) = self.tool(&package, name) {
                depends_on = depends_on.mix(trace.named(format!("tool {}", **name)));
                tools.push(tool);
            }
        }
        for path in &command.system_files {
            inputs.add(system_file(owner, path), 1);
        }
        for words in &command.probes {
            let Some((name, arguments)) = words.split_first() else { continue };
            let name = Located { value: name.clone(), span: words.span.clone() };
            if let Some((tool, trace)) = self.tool(&package, &name) {
                inputs.add(probe(owner, tool, trace, arguments.to_vec()), 0);
            }
        }
        let mut environment = BTreeMap::new();
        let mut settings = BTreeMap::new();
        for (name, setting) in &command.env {
            match &setting.value.parts[..] {
                [Part::Text(text)] => {
                    environment.insert(name.clone(), Variable::Text(text.clone()));
                }
                _ => {
                    let words = self.words(package_id, &setting.value, &mut inputs);
                    settings.insert(name.clone(), words);
                }
            }
            let text = setting.text.as_str();
            depends_on = depends_on.mix(BuildTrace::text(format!("env {name}"), text));
        }
        for name in &command.pass_env {
            let value = self.cx.session.settings.environment.get(name);
            // The value may be a secret: only its hash is written down.
            let hash = match value {
                Some(value) => ContentHash::of_bytes(value.as_encoded_bytes()),
                None => BuildTrace::nil("unset").hash(),
            };
            let name_in_trace = format!("pass-env {name}");
            depends_on = depends_on.mix(BuildTrace::leaf(name_in_trace, hash, MTime::NONE));
            if value.is_some() {
                environment.insert(name.clone(), Variable::Passed(hash));
            }
        }
        let always = command.always;
        let mut build = CommandBuild {
            program,
            arguments,
            environment,
            settings,
            declared_inputs,
            tools,
            always,
            depends_on,
            runs_in: RunsIn::Package,
            machine: Machine::Here,
        };
        // A test runs what it tests.
        if let (true, Program::Made(made)) = (command.test, &command.program) {
            self.run_elsewhere(made.target, &mut build)?;
        }
        (self.errors.len() == known).then_some((build, inputs))
    }

    /// A program on `PATH`, and its part of a trace.
    fn tool(&mut self, package: &Package, name: &Located<String>) -> Option<(ToolUse, BuildTrace)> {
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let found =
            self.tools_of(package).program_of(toolchain, directory, name).map_err(|error| {
                let diagnostic = Diagnostic::new(error.to_string());
                diagnostic.at(&package.manifest.source, name.span.clone())
            });
        let tool = self.check(found)?;
        // Outputs that are the same everywhere do not depend on how the programs of this machine were built.
        let by_name_only = package.manifest.package.platform_independent
            && !counts_as_lean(&package.manifest.toolchain, name);
        let trace = match by_name_only {
            true => BuildTrace::text("program", name.as_str()),
            false => tool.trace.clone(),
        };
        Some((ToolUse::new(tool.path.clone(), &tool.trace), trace))
    }

    fn arguments(
        &self,
        package: PackageId,
        arguments: &[plan::Argument],
        inputs: &mut Group,
    ) -> Vec<Vec<Word>> {
        arguments.iter().map(|argument| self.words(package, argument, inputs)).collect()
    }

    /// The parts of one argument. Targets that it names become inputs.
    pub(super) fn words(
        &self,
        package: PackageId,
        argument: &plan::Argument,
        inputs: &mut Group,
    ) -> Vec<Word> {
        let word = |part: &Part| match part {
            Part::Text(text) => Part::Text(text.clone()),
            Part::BuiltIn(built_in) => Part::BuiltIn(*built_in),
            Part::Made(ids) => {
                let start = inputs.count;
                for id in ids {
                    if let Some((job, count)) = self.outputs(package, *id) {
                        inputs.add(job, count);
                    }
                }
                Part::Made(start..inputs.count)
            }
        };
        argument.parts.iter().map(word).collect()
    }
}
