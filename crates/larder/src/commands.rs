//! One module a command group; each turns arguments into one library call and prints its result.

use std::process::ExitCode;

use crate::cli::Cli;

/// Runs the command that was asked for. Exit codes: 0 done, 1 something failed, 2 wrong usage or
/// manifest, 3 `--no-build` found something out of date.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {}
}
