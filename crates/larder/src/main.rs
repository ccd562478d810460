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
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(said) => match said.print() {
            Ok(()) => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(commands::WRONG)),
            Err(_) => ExitCode::from(commands::FAILED),
        },
    }
}
