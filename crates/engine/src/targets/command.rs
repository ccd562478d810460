//! Commands, and tests, which are run like them.

use std::{ffi::OsString, sync::Arc};

use larder_trace::{BuildTrace, platform_trace};

use super::{Checked, Maker, TargetJob, flatten, wrong};
use crate::{
    artifact::{Artifact, Output},
    builds::{CommandBuild, Owner, build_command, input_bin_file},
    job::{Built, Job},
    testing::run_test,
};
use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::{Piece, Template, Word},
    plan::{Declared, Kind, Linked, PackageId, TargetId},
    workspace::Package,
};

impl Maker<'_> {
    pub(super) fn command(
        &mut self,
        package: &Arc<Package>,
        id: TargetId,
        command: usize,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let (build, inputs) = self.command_build(id, package, command, &owner)?;
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
            Declared::Command(index) => self.command_build(id, &package, index, &owner)?,
            Declared::Executable(index) => {
                let executable = &package.manifest.executables[index];
                let job = self.job(id).ok_or_else(|| wrong("the test was not built"))?.all(self.cx);
                let mut command = CommandBuild {
                    passed: Vec::new(),
                    program: None,
                    arguments: vec![vec![Word::Inputs(0..1)]],
                    environment: Vec::new(),
                    declared_inputs: 0,
                    depends_on: BuildTrace::nil("test"),
                };
                let mut inputs = Inputs { jobs: vec![job], count: 1 };
                for template in &executable.test_args {
                    let words = self.words(target.package, &package, template, &mut inputs)?;
                    command.arguments.push(words);
                }
                // What it is loaded with must be there too, and a sandbox must let it be seen.
                if let Kind::Linked(Linked { test: Some(test), .. }) = &target.kind {
                    for job in test.loads.iter().filter_map(|&library| self.job(library)) {
                        inputs.add(job.all(self.cx), 1);
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
        id: TargetId,
        package: &Package,
        command: usize,
        owner: &Owner,
    ) -> Checked<CommandJob> {
        let index = self.plan.target(id).package;
        let declared = &package.manifest.commands[command];
        let mut inputs = Inputs::default();
        for input in &declared.inputs {
            let text = input.text || declared.text;
            let (job, count) = self.input(index, package, &input.path, text, owner)?;
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

        let mut program = None;
        let mut words = declared.run.iter();
        if let Some(name) = declared.run[0].as_literal() {
            words.next();
            program = Some(if name.contains('/') {
                inputs.add(one_file(owner, name), 1);
                package.place.directory.join(name)
            } else {
                let tool = self.tools.program(name).map_err(|error| {
                    let diagnostic = Diagnostic::new(error.to_string());
                    diagnostic.at(&package.manifest.source, declared.run[0].span.clone())
                })?;
                depends_on = depends_on.mix(tool.trace.clone());
                tool.path.clone()
            });
        }
        let mut arguments = Vec::new();
        for template in words {
            arguments.push(self.words(index, package, template, &mut inputs)?);
        }
        let mut environment: Vec<(String, OsString)> = Vec::new();
        for (name, value) in &declared.env {
            environment.push((name.clone(), value.into()));
            depends_on = depends_on.mix(BuildTrace::text(format!("env {name}"), value.as_str()));
        }
        let mut passed = Vec::new();
        for name in &declared.pass_env {
            let value = std::env::var_os(name);
            // The value may be a secret: only its hash is written down.
            let hash = match &value {
                Some(value) => larder_trace::ContentHash::of_bytes(value.as_encoded_bytes()),
                None => BuildTrace::nil("unset").hash(),
            };
            let name_in_trace = format!("pass-env {name}");
            depends_on =
                depends_on.mix(BuildTrace::leaf(name_in_trace, hash, larder_trace::MTime::NONE));
            if let Some(value) = value {
                environment.push((name.clone(), value));
                passed.push(name.clone());
            }
        }
        if let Kind::Command(resolved) = &self.plan.target(id).kind {
            for job in resolved.loads.iter().filter_map(|&library| self.job(library)) {
                inputs.add(job.all(self.cx), 1);
            }
        }
        let build =
            CommandBuild { program, arguments, environment, passed, declared_inputs, depends_on };
        Ok((build, inputs.jobs))
    }

    /// The parts of one argument. Targets that it names become inputs.
    fn words(
        &self,
        index: PackageId,
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
