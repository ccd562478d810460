//! `cargo xtask demo`: larder at work, on copies that are gone afterwards.

mod ecosystem;
mod lua;
mod scene;

use anyhow::Result;
use clap::ValueEnum;

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// What is shown
    #[arg(value_name = "WHAT", default_value = "ecosystem")]
    what: What,
}

/// What is shown.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// A package set: built, broken, mended
    Ecosystem,
    /// One package: built, touched, edited, restored; what each step costs, and why
    Lua,
}

/// Runs a demonstration.
///
/// # Errors
/// The first step that fails, or shows something else than it must.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.what {
        What::Ecosystem => ecosystem::run(),
        What::Lua => lua::run(),
    }
}
