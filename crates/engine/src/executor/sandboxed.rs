//! Runs actions in a sandbox of this machine.

use std::sync::Arc;

use super::{Bench, ExecuteError, Execution, Executor, LocalExecutor, render};
use crate::{
    action::{Action, Discovery, Variable},
    sandbox::{self, Sandbox},
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
        let mut readable = Vec::with_capacity(action.inputs.len());
        for input in action.inputs.keys() {
            readable.push(render::absolute(bench, input)?);
        }
        // Patterns in a shell, and the modules of a script, are looked for by listing; compilers look
        // for files by name.
        let mut listed = Vec::new();
        if action.discovery == Discovery::None {
            listed.extend(readable.iter().filter_map(|path| Some(path.parent()?.to_owned())));
            listed.dedup();
        }
        for directory in &action.searched {
            readable.push(render::absolute(bench, directory)?);
        }
        let paths = |all: &[std::path::PathBuf]| all.to_vec();
        let view = self
            .sandbox
            .view(
                &spec.program,
                readable.iter().map(|path| path.as_path()),
                listed.iter().map(|path| path.as_path()),
                bench.staging,
            )
            .map_err(|error| ExecuteError::io(bench.staging, &error))?;
        let mut execution = self.local.run(action, bench, &spec, Some((&self.sandbox, &view)))?;
        let output = execution.printed.trim_end();
        let refusals = self.sandbox.refusals(
            &view,
            bench.target,
            &bench.place.directory,
            &paths(&readable),
            output,
        );
        execution.refusals = refusals.iter().map(ToString::to_string).collect();
        Ok(execution)
    }
}
