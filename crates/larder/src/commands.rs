//! One module a command group; each turns arguments into one library call and prints its result.

pub mod cache;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Runs the command that was asked for. Exit codes: 0 done, 1 something failed, 2 wrong usage or
/// manifest, 3 `--no-build` found something out of date.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Cache(command) => cache::run(command, &cli.global),
    }
}
