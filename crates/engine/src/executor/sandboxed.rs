//! Runs actions in a sandbox of this machine.

use std::sync::Arc;

use super::{Bench, ExecuteError, Execution, Executor, LocalExecutor, render};
use crate::{
    action::{Action, Discovery, Variable},
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
        let wants = Wants {
            program: &spec.program,
            tools: &render::tools(action, bench)?,
            read: &read,
            list: &list,
            system: &system,
            staging: bench.staging,
        };
        let view = self.sandbox.view(&wants);
        let view = view.map_err(|error| ExecuteError::io(bench.staging, &error))?;
        let mut execution = self.local.run(action, bench, &spec, Some((&self.sandbox, &view)))?;
        // Names of files have colours around them.
        let output = anstream::adapter::strip_str(execution.printed.trim_end()).to_string();
        let refused = self.sandbox.refused(&view, &spec.directory, &read, &output);
        let explain = |refused| self.sandbox.explain(bench.target, refused).to_string();
        execution.refusals = refused.iter().map(explain).collect();
        Ok(execution)
    }
}
