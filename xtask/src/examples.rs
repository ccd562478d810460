//! `cargo xtask examples`: real projects, built by larder, and their tests.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{
    cargo::{self, Profile},
    clangd::{self, Which},
    cluster::Cluster,
    ecosystem::{self, Packages},
    install, reach, sources,
};

/// Arguments of `cargo xtask examples`.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Which examples; all of them, when none is named
    #[arg(value_name = "EXAMPLE")]
    examples: Vec<String>,
    /// Only bring in the sources
    #[arg(long)]
    fetch_only: bool,
    /// Have clangd look at all files, not only at some of each example
    #[arg(long)]
    thorough: bool,
}

/// Fetches, builds and tests examples; of the package set only a part, unless it is named. One that fails does not keep the others from being tried.
///
/// # Errors
/// Names those that failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let known = all()?;
    if let Some(unknown) = arguments.examples.iter().find(|name| !known.contains(name)) {
        bail!("there is no example `{unknown}`; there are {}", known.join(", "));
    }
    let named = |name: &String| arguments.examples.contains(name);
    let asked = |name: &&String| arguments.examples.is_empty() || named(name);
    install::install(install::EXAMPLES)?;
    if known.iter().filter(asked).any(|name| name == ecosystem::NAME) {
        install::install(install::ECOSYSTEM)?;
    }
    // All sources first: an example may depend on another.
    for name in known.iter().filter(|name| asked(name) || *name != ecosystem::NAME) {
        sources::fetch(name).with_context(|| format!("cannot fetch the sources of {name}"))?;
    }
    if arguments.fetch_only {
        return Ok(());
    }
    let larder = cargo::build_larder(Profile::Debug)?;
    let cluster = Cluster::start()?;
    let which = if arguments.thorough { Which::All } else { Which::Some };
    let mut failed = Vec::new();
    let mut passed = 0;
    for name in known.iter().filter(asked) {
        let start = Instant::now();
        eprintln!("\n--- {name}");
        let checked = match name == ecosystem::NAME {
            true if named(name) => ecosystem::check(&larder, Packages::All),
            true => ecosystem::check(&larder, Packages::Some),
            false => check(&larder, name, which, cluster.as_ref()),
        };
        match checked {
            Ok(()) => {
                passed += 1;
                eprintln!("--- {name}: passed in {:.1} s", start.elapsed().as_secs_f64());
            }
            Err(error) => {
                eprintln!("--- {name}: {error:#}");
                failed.push(name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("examples failed: {}", failed.join(", "));
    }
    eprintln!("\nexamples: {passed} built and tested");
    Ok(())
}

/// Builds an example, runs its tests, sees that nothing is left to do, and looks at its headers: by clangd, and by
/// larder's own scanner. On a cluster it is built once more.
fn check(larder: &Path, name: &str, which: Which, cluster: Option<&Cluster>) -> Result<()> {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(larder);
        command
            .current_dir(cargo::root().join("examples").join(name))
            .args(arguments)
            .env("LARDER_CACHE_DIR", cargo::target().join("examples/store"));
        command
    };
    cargo::run(&mut command(&["build"]))?;
    cargo::run(&mut command(&["test"]))?;
    cargo::run(&mut command(&["--quiet", "build", "--no-build"]))
        .context("built, but not up to date")?;
    cargo::run(&mut command(&["--quiet", "compdb"]))?;
    clangd::check(name, which)?;
    reach::check(name)?;
    cluster.map_or(Ok(()), |cluster| cluster.check(larder, name))
}

/// The examples' names, in order, but for `ci`: only its own test, in `crates/larder/tests/offline`, has the
/// repository that it depends on.
fn all() -> Result<Vec<String>> {
    let directory = cargo::root().join("examples");
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let entry = entry?;
        let is_package = entry.path().join("larder.toml").is_file() && entry.file_name() != "ci";
        if is_package || entry.file_name() == ecosystem::NAME {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}
