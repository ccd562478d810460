//! `cargo xtask test`: everything that must pass, with one command, on a fresh machine.

use std::time::Instant;

use anyhow::Result;

use crate::{
    cargo::{cargo, run as run_command},
    examples, install, ninja,
};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out the examples and the projects of `cargo xtask ninja`
    #[arg(long)]
    fast: bool,
}

/// Installs what is missing and runs all tests.
///
/// # Errors
/// The first failure; the rest is not run then.
pub fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    install::install(install::TESTS)?;
    if cargo().args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success()) {
        run_command(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        // nextest runs no documentation tests.
        run_command(cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
    } else {
        run_command(cargo().args(["test", "--workspace", "--no-fail-fast"]))?;
    }
    if !arguments.fast {
        examples::run(&examples::Arguments::default())?;
        ninja::run(&ninja::Arguments::default())?;
    }
    let what = if arguments.fast { "all tests" } else { "all tests, examples and projects" };
    println!("\n{what} passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
