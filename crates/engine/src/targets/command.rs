//! Commands, and tests, which are run like them.

use std::{collections::BTreeMap, sync::Arc};

use larder_trace::{BuildTrace, ContentHash, MTime, platform_trace};

use super::{Checked, Maker, TargetJob, flatten, wrong};
use crate::{
    action::{Output, Variable},
    artifact::Artifact,
    builds::{CommandBuild, CommandProgram, Owner, ToolUse, build_command, input_bin_file},
    job::{Built, Job},
    testing::run_test,
};
use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::{Piece, Template, Word},
    name::Facet,
    plan::{Declared, TargetId},
    workspace::Package,
};

impl Maker<'_> {
    pub(super) fn command(
        &mut self,
        package: &Arc<Package>,
        command: usize,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let index =
            self.plan.workspace.packages.iter().position(|other| Arc::ptr_eq(other, package));
        let index = index.ok_or_else(|| wrong("its package is not known"))?;
        let (build, inputs) = self.command_build(index, package, command, &owner)?;
        let outputs: Vec<Output> = package.manifest.commands[command]
            .outputs
            .iter()
            .map(|output| Output {
                path: output.trim_end_matches('/').to_owned(),
                directory: output.ends_with('/'),
            })
            .collect();
        if outputs.is_empty() {
            let name = &package.manifest.commands[command].name;
            let message = format!("`{}` has no outputs: it is a test", **name);
            return Err(wrong(&message));
        }
        Ok(TargetJob::Command(outputs.len(), build_command(owner, outputs, inputs, build)))
    }

    /// The job that runs the test `id`, whose needs have their jobs. Says in [`Self::errors`] what is
    /// wrong.
    pub fn test(&mut self, id: TargetId) -> Option<Job<Vec<Artifact>>> {
        let result = self.test_job(id);
        result.map_err(|diagnostic| self.errors.push(*diagnostic)).ok()
    }

    fn test_job(&mut self, id: TargetId) -> Checked<Job<Vec<Artifact>>> {
        let target = self.plan.target(id);
        let package = self.plan.package_of(target).clone();
        let owner = Owner {
            cx: self.cx.clone(),
            place: package.place.clone(),
            target: target.label.clone(),
            keep: false,
        };
        let (command, inputs) = match target.declared {
            Declared::Command(index) => {
                self.command_build(target.package, &package, index, &owner)?
            }
            Declared::Executable(index) => {
                let executable = &package.manifest.executables[index];
                let job = self.job(id).ok_or_else(|| wrong("the test was not built"))?.all();
                let mut command = CommandBuild {
                    program: CommandProgram::Input(0),
                    arguments: Vec::new(),
                    environment: BTreeMap::new(),
                    declared_inputs: 0,
                    system_files: Vec::new(),
                    always: false,
                    depends_on: BuildTrace::nil("test"),
                };
                let mut inputs = Inputs { jobs: vec![job], count: 1 };
                for template in &executable.test_args {
                    let words = self.words(target.package, &package, template, &mut inputs)?;
                    command.arguments.push(words);
                }
                // What it is loaded with must be there too, and a sandbox must let it be seen.
                for library in self.plan.link_order(id) {
                    if self.plan.target(library).facet == Some(Facet::Shared)
                        && let Some(job) = self.job(library)
                    {
                        inputs.add(job.all(), 1);
                    }
                }
                (command, inputs.jobs)
            }
            Declared::Library(_) => return Err(wrong("a library is no test")),
        };
        Ok(run_test(owner, &flatten(self.cx, inputs), command))
    }

    /// How a command is run, and the jobs of its inputs.
    fn command_build(
        &mut self,
        index: usize,
        package: &Package,
        command: usize,
        owner: &Owner,
    ) -> Checked<CommandJob> {
        let declared = &package.manifest.commands[command];
        let mut inputs = Inputs::default();
        for input in &declared.inputs {
            let (job, count) = self.input(index, package, input, declared.text, owner)?;
            inputs.add(job, count);
        }
        let declared_inputs = inputs.count;
        let mut depends_on = BuildTrace::nil("command");
        if !package.manifest.package.platform_independent {
            depends_on = depends_on.mix(platform_trace());
        }
        let texts: Vec<&str> = declared.run.iter().map(|word| word.text.as_str()).collect();
        depends_on = depends_on.mix(BuildTrace::list("run", &texts));
        let names: Vec<&str> = declared.outputs.iter().map(|output| output.as_str()).collect();
        depends_on = depends_on.mix(BuildTrace::list("outputs", &names));

        let mut words = declared.run.iter();
        let first = words.next().ok_or_else(|| wrong("its command is empty"))?;
        let at = |diagnostic: Diagnostic| {
            Box::new(diagnostic.at(&package.manifest.source, first.span.clone()))
        };
        let program = match first.as_literal() {
            Some(name) if name.contains('/') => {
                inputs.add(one_file(owner, name), 1);
                CommandProgram::Input(inputs.count - 1)
            }
            Some(name) => {
                let tool = self.tools.program(name);
                let tool = tool.map_err(|error| at(Diagnostic::new(error.to_string())))?;
                // What a package makes that is the same everywhere does not depend on how the programs
                // of this machine were built.
                let trace = match package.manifest.package.platform_independent {
                    true => BuildTrace::text("program", name),
                    false => tool.trace.clone(),
                };
                depends_on = depends_on.mix(trace);
                CommandProgram::Tool(ToolUse::new(tool.path.clone(), &tool.trace))
            }
            None => match self.words(index, package, first, &mut inputs)?.as_slice() {
                [Word::Inputs(range)] if !range.is_empty() => CommandProgram::Input(range.start),
                _ => return Err(at(Diagnostic::new(format!("`{}` is no program", first.text)))),
            },
        };
        let mut arguments = Vec::new();
        for template in words {
            arguments.push(self.words(index, package, template, &mut inputs)?);
        }
        let mut environment = BTreeMap::new();
        for (name, value) in &declared.env {
            environment.insert(name.clone(), Variable::Text(value.clone()));
            depends_on = depends_on.mix(BuildTrace::text(format!("env {name}"), value.as_str()));
        }
        for name in &declared.pass_env {
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
        let build = CommandBuild {
            program,
            arguments,
            environment,
            declared_inputs,
            system_files: Vec::new(),
            always: false,
            depends_on,
        };
        Ok((build, inputs.jobs))
    }

    /// The parts of one argument. Targets that it names become inputs.
    fn words(
        &self,
        index: usize,
        package: &Package,
        template: &Located<Template>,
        inputs: &mut Inputs,
    ) -> Checked<Vec<Word>> {
        let mut words = Vec::with_capacity(template.pieces.len());
        for piece in &template.pieces {
            let hole = match piece {
                Piece::Literal(text) => {
                    words.push(Word::Literal(text.clone()));
                    continue;
                }
                Piece::Hole(hole) => hole,
            };
            if let Some(word) = Word::built_in(hole) {
                words.push(word);
                continue;
            }
            let ids = self.named(index, hole).map_err(|diagnostic| {
                diagnostic.at(&package.manifest.source, template.span.clone())
            })?;
            let start = inputs.count;
            for id in ids {
                if let Some(job) = self.job(id) {
                    inputs.add(self.renamed(index, id, job), job.count());
                }
            }
            words.push(Word::Inputs(start..inputs.count));
        }
        Ok(words)
    }
}

/// Groups of inputs, and how many artifacts they give together.
#[derive(Default)]
struct Inputs {
    jobs: Vec<Job<Vec<Artifact>>>,
    count: usize,
}

impl Inputs {
    fn add(&mut self, job: Job<Vec<Artifact>>, count: usize) {
        self.jobs.push(job);
        self.count += count;
    }
}

/// How a command is run, and the jobs of its inputs.
type CommandJob = (CommandBuild, Vec<Job<Vec<Artifact>>>);

fn one_file(owner: &Owner, path: &str) -> Job<Vec<Artifact>> {
    let path = path.strip_prefix("./").unwrap_or(path);
    input_bin_file(owner, path).map(|built| {
        let trace = BuildTrace::nil("program").mix(built.trace.clone());
        Ok(Built { value: vec![built.value.clone()], trace })
    })
}
