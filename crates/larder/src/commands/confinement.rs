//! The options of the sandbox, which are the same for all that builds.

use std::path::PathBuf;

use clap::Args;
use larder_engine::sandbox::Permissions;

use super::App;

/// What commands see.
#[derive(Args, Default)]
pub struct SandboxArgs {
    /// Show each command only what is declared for it, with no network, home or secrets (Linux)
    #[arg(long)]
    sandbox: bool,
    /// Let sandboxed commands read PATH, besides what is declared
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    allow_read: Vec<PathBuf>,
    /// Let sandboxed commands have the environment variable NAME, where they ask for it
    #[arg(long, value_name = "NAME", requires = "sandbox")]
    allow_env: Vec<String>,
}

impl SandboxArgs {
    /// Returns what is permitted besides what is declared, where commands are confined.
    pub fn permissions(&self, app: &App) -> Option<Permissions> {
        self.sandbox.then(|| Permissions {
            read: self.allow_read.clone(),
            environment: self.allow_env.clone(),
            surroundings: app.environment.clone(),
        })
    }
}
