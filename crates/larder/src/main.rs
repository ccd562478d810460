//! The `larder` command line: parses arguments, calls one library function, prints.

mod cli;
mod commands;
mod diagnostics;
mod exit;
mod table;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use exit::Exit;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(said) => match said.print() {
            Ok(()) if said.exit_code() == 0 => Exit::Done.into(),
            Ok(()) => Exit::Wrong.into(),
            Err(_) => Exit::Failed.into(),
        },
    }
}
