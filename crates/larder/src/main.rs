//! The `larder` command line: parses arguments, calls one library function, prints.

mod choices;
mod cli;
mod commands;
mod describe;
mod diagnostics;
mod exit;
mod mistake;
mod report;
mod table;
mod ui;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use exit::Exit;

fn main() -> ExitCode {
    match cli::Cli::try_parse_from(commands::ninja::as_ninja(env::args_os())) {
        Ok(cli) => commands::run(cli),
        Err(said) => match said.print() {
            Ok(()) if said.exit_code() == 0 => Exit::Done.into(),
            Ok(()) => Exit::Wrong.into(),
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done.into(),
            Err(error) => {
                let reason = larder_trace::describe_io(&error);
                // Nobody is left to tell when standard error is gone.
                let _ = writeln!(io::stderr(), "error: cannot write to standard output: {reason}");
                Exit::Failed.into()
            }
        },
    }
}
