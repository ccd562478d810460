//! The `larder` command line: parses arguments, calls one library function, prints.

mod cli;
mod commands;
mod diagnostics;
mod exit;
mod mistake;
mod table;
mod ui;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(said) => match said.print() {
            Ok(()) => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(commands::WRONG)),
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                let reason = larder_trace::describe_io(&error);
                // Nobody is left to tell when standard error is gone.
                let _ = writeln!(io::stderr(), "error: cannot write to standard output: {reason}");
                ExitCode::from(commands::FAILED)
            }
        },
    }
}
