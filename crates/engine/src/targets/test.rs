//! Tests: executables, which run in a directory of their own, and commands.

use std::{collections::BTreeMap, sync::Arc};

use larder_project::{
    path::PackagePath,
    plan::{self, Command, Kind, Linked, PackageId, Part, TargetId, Test},
};
use larder_trace::{BuildTrace, platform_trace};

use super::{
    Maker,
    files::{Group, flatten},
    no_tool,
};
use crate::{
    action::RunsIn,
    builds::{
        CommandBuild, CommandProgram, Machine, Owner, ToolUse, Word, input_dir, input_file, single,
    },
    job::Job,
    runner::RunsAs,
    testing::{Tested, Testing, run_test},
    toolchain::ToolError,
};

impl Maker<'_> {
    /// The job that runs the test `id`, whose needs have their jobs. Says in [`Self::errors`] what is
    /// wrong.
    pub(crate) fn test(&mut self, id: TargetId, testing: &Arc<Testing>) -> Option<Job<Tested>> {
        let plan = self.plan;
        let target = plan.target(id);
        let owner = self.owner(id, false);
        let (command, inputs, timeout) = match &target.kind {
            Kind::Command(command @ Command { timeout, .. }) => {
                let (build, inputs) = self.command_build(id, command, &owner)?;
                (build, inputs, *timeout)
            }
            Kind::Linked(linked @ Linked { test: Some(test), .. }) => {
                let (command, inputs) = self.executable_test(id, linked, test, &owner, testing)?;
                (command, inputs, test.timeout)
            }
            Kind::Linked(_)
            | Kind::Objects(_)
            | Kind::Headers(_)
            | Kind::Archive(_)
            | Kind::Config(_) => return None,
        };
        let inputs = flatten(self.cx, inputs.jobs);
        Some(run_test(owner, &target.name, &inputs, command, timeout, testing.clone()))
    }

    fn executable_test(
        &mut self,
        id: TargetId,
        linked: &Linked,
        test: &Test,
        owner: &Owner,
        testing: &Testing,
    ) -> Option<(CommandBuild, Group)> {
        let plan = self.plan;
        let package = plan.target(id).package;
        let mut inputs = Group::default();
        let own = self.job(id)?;
        inputs.add(own.outputs.clone(), own.count);
        let mut arguments = Vec::with_capacity(test.arguments.len());
        for argument in &test.arguments {
            arguments.push(match self.file_argument(package, argument, &mut inputs, owner) {
                Some(file) => file,
                None => self.words(package, argument, &mut inputs),
            });
        }
        let more = testing.options.arguments.iter();
        arguments.extend(more.map(|argument| vec![Part::Text(argument.clone())]));
        // All that it is loaded with must be there too, and a sandbox must let it be seen.
        for load in &test.loads {
            let load = self.job(*load)?;
            inputs.add(load.outputs.clone(), load.count);
        }
        // Its data are among its inputs.
        if let Kind::Objects(objects) = &plan.target(linked.objects).kind {
            for input in &objects.inputs {
                let (job, count) = self.input(package, input, owner)?;
                inputs.add(job, count);
            }
        }
        let mut command = CommandBuild {
            program: CommandProgram::Input(0),
            arguments,
            environment: BTreeMap::new(),
            settings: BTreeMap::new(),
            declared_inputs: 0,
            tools: Vec::new(),
            always: false,
            depends_on: BuildTrace::nil("test").mix(platform_trace()),
            runs_in: RunsIn::Scratch,
            machine: Machine::Here,
        };
        self.run_elsewhere(id, &mut command)?;
        Some((command, inputs))
    }

    /// Has a command that runs the program `id` run it as programs of the target are run.
    pub(super) fn run_elsewhere(&mut self, id: TargetId, command: &mut CommandBuild) -> Option<()> {
        let CommandProgram::Input(program) = command.program else { return Some(()) };
        let package = self.package(self.plan.target(id).package);
        let runner = match RunsAs::of_target(self.plan, id) {
            RunsAs::Itself => return Some(()),
            RunsAs::Foreign { advice } => {
                command.machine = Machine::Other { program, advice: Some(advice) };
                return Some(());
            }
            RunsAs::By(runner) => runner,
        };
        let found = self.tools.host.program(&runner.program);
        let found = found.map_err(|_| no_tool(&package, &ToolError::NoRunner(runner.program)));
        let tool = self.check(found)?;
        let mut before: Vec<Vec<Word>> =
            runner.arguments.into_iter().map(|word| vec![Part::Text(word)]).collect();
        before.push(vec![Part::Made(program..program + 1)]);
        command.arguments.splice(0..0, before);
        command.program = CommandProgram::Tool(ToolUse::new(tool.path.clone(), &tool.trace));
        command.machine = Machine::Other { program, advice: None };
        command.depends_on = command
            .depends_on
            .clone()
            .mix(BuildTrace::list("runner", &runner.declared))
            .mix(tool.trace.clone());
        Some(())
    }

    /// An argument that is the path of a file or directory of the package, as it stands: an input.
    fn file_argument(
        &mut self,
        package: PackageId,
        argument: &plan::Argument,
        inputs: &mut Group,
        owner: &Owner,
    ) -> Option<Vec<Word>> {
        let [Part::Text(text)] = &argument.parts[..] else { return None };
        let path = PackagePath::new(text).ok().filter(|path| !path.as_str().is_empty())?;
        let found = self.package(package).place.directory.join(path.as_str()).metadata().ok()?;
        let job = match found.is_dir() {
            true => input_dir(owner, path, false),
            false => input_file(owner, path, false),
        };
        Some(vec![Part::Made(inputs.add(single(&job), 1))])
    }
}
