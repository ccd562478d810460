//! Runs actions in a sandbox of this machine.

use std::{path::Path, sync::Arc};

use super::{Bench, ExecuteError, Execution, Executor, LocalExecutor, in_place, render};
use crate::{
    action::{Action, Discovery, Reading, Variable},
    sandbox::{self, Sandbox, Wants},
};

/// Runs actions as processes of this machine that see nothing but what the action declares.
pub struct SandboxedExecutor {
    local: LocalExecutor,
    sandbox: Arc<Sandbox>,
}

impl SandboxedExecutor {
    /// Confines what `local` runs by `sandbox`.
    pub fn new(local: LocalExecutor, sandbox: Arc<Sandbox>) -> Self {
        Self { local, sandbox }
    }
}

impl Executor for SandboxedExecutor {
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError> {
        let passed =
            action.environment.iter().filter(|(_, value)| matches!(value, Variable::Passed(_)));
        if let Some((name, _)) = passed.into_iter().find(|(name, _)| !self.sandbox.permits(name)) {
            return Err(ExecuteError::Failed(self.sandbox.withholds(bench.target, name)));
        }
        let mut spec = self.local.spec(action, bench)?;
        sandbox::without_home(&mut spec.environment, bench.staging);
        let (mut read, mut system) = (Vec::new(), Vec::new());
        for input in action.inputs.keys() {
            let path = render::absolute(bench, input)?;
            if input.as_str().starts_with('/') { system.push(path) } else { read.push(path) }
        }
        // Patterns in a shell, and the modules of a script, are looked for by listing; compilers look
        // for files by name.
        let mut list = Vec::new();
        if action.discovery == Discovery::None {
            list.extend(read.iter().filter_map(|path| Some(path.parent()?.to_owned())));
            list.dedup();
        }
        for directory in &action.searched {
            read.push(render::absolute(bench, directory)?);
        }
        self.local.prepare(action, bench)?;
        let own = action.in_place.as_ref();
        let reach = own.and_then(|own| own.reach.as_ref());
        let written = reach.map(|reach| in_place::written(action, bench, reach)).transpose()?;
        for path in reach.iter().flat_map(|reach| &reach.beside) {
            let target = if path.as_str().starts_with('/') { &mut system } else { &mut read };
            target.push(render::absolute(bench, path)?);
        }
        if let Some((path, _)) = own.and_then(|own| own.response_file.as_ref()) {
            read.push(render::absolute(bench, path)?);
        }
        if reach.is_some_and(|reach| reach.reading == Reading::Trees) {
            read.extend(bench.places.directories().map(Path::to_owned));
        }
        let wants = Wants {
            program: &spec.program,
            tools: &render::tools(action, bench)?,
            read: &read,
            list: &list,
            system: &system,
            staging: bench.staging,
            written: written.as_deref().unwrap_or_default(),
            installed: reach.is_some(),
        };
        let view = self.sandbox.view(&wants);
        let view = view.map_err(|error| ExecuteError::io(bench.staging, &error))?;
        let mut execution = self.local.run(action, bench, &spec, Some((&self.sandbox, &view)))?;
        // Names of files have colours around them.
        let output = anstream::adapter::strip_str(execution.printed.trim_end()).to_string();
        let refused = self.sandbox.refused(&view, &spec.directory, &read, &output);
        let explain = |refused| match reach {
            None => self.sandbox.explain(bench.target, refused).to_string(),
            Some(reach) => {
                let directory = &bench.place.directory;
                self.sandbox.explain_statement(&reach.statement, directory, refused).to_string()
            }
        };
        execution.refusals = refused.iter().map(explain).collect();
        Ok(execution)
    }
}
