//! The project's own chores.

mod bench;
mod cargo;
mod clangd;
mod cluster;
mod demo;
mod dist;
mod ecosystem;
mod examples;
mod install;
mod ninja;
mod reach;
mod sources;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests need, then run all of them and the examples
    Test(test::Arguments),
    /// Build an ecosystem, break a library, and show what broke, why, and how it recovers; or one package
    Demo(demo::Arguments),
    /// Fetch the examples' sources through cargo, build them and run their tests
    Examples(examples::Arguments),
    /// Build real projects of CMake and Meson with Ninja and with `larder ninja`, and compare
    Ninja(ninja::Arguments),
    /// Measure larder beside what people use today
    Bench(bench::Arguments),
    /// Build the binary to ship, with its symbols in a file beside it
    Dist,
    /// A part of the bench's row `append`
    #[command(hide = true)]
    Append(bench::Append),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Examples(arguments) => examples::run(&arguments),
        Chore::Ninja(arguments) => ninja::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Dist => dist::run(),
        Chore::Append(arguments) => bench::append_some(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
