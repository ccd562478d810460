//! The `larder` command line: parses arguments, calls one library function, prints.

mod cli;
mod commands;
mod diagnostics;
mod exit;
mod table;
mod ui;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(cli::Cli::parse())
}
