//! The rows of builds on a server of the Remote Execution API: what its action cache gives, and what finding the headers
//! of a source costs before that.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use larder_engine::search::Scanner;
use larder_testkit::clusters::{Casd, Workers};

use super::{
    engine::SMALL,
    harness::{Bench, Row, alternate, remove, time},
    objects::{Compiler, Project},
};
use crate::{cargo, reach, sources};

/// The build directory is gone and the store is empty, and all is in the action cache of a server on this machine; against
/// Ninja through a warm ccache. What was built before is put aside: where thousands of files have just been removed, some
/// file systems are slow to make others, whoever asks.
pub fn hits(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let server = Casd::start(Workers::Same).context("there is no buildbox-casd")?;
    let project = Project::generate(bench, SMALL)?;
    let build = || {
        let mut command = project.larder(bench);
        command.args(["--remote", &server.url()]);
        command
    };
    project.clean_ours()?;
    bench.clear_store()?;
    time(&mut build())?;
    time(&mut project.ninja_command(Compiler::Cached))?;
    let aside = bench.directory.join("aside");
    remove(&aside)?;
    let built = [
        project.directory.join(".larder"),
        project.directory.join("ninja-cached"),
        bench.directory.join("store"),
    ];
    let medians = alternate(
        bench.runs,
        |round| {
            for (number, path) in built.iter().enumerate().filter(|(_, path)| path.exists()) {
                fs::create_dir_all(&aside)?;
                fs::rename(path, aside.join(format!("{round}-{number}")))?;
            }
            Ok(())
        },
        || time(&mut build()),
        || time(&mut project.ninja_command(Compiler::Cached)),
    )?;
    remove(&aside)?;
    project.compare(Compiler::Cached)?;
    let work = "build directory and store deleted, 2,000 objects known to a server";
    Ok(vec![medians.row(name, work, "ninja, warm ccache", 0.15)])
}

/// The example whose headers are looked for.
const EXAMPLE: &str = "redis";

/// All headers that the sources of an example may read, found in one build; against a compiler that lists them.
pub fn scanner(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    sources::fetch(EXAMPLE)?;
    let directory = cargo::root().join("examples").join(EXAMPLE);
    for arguments in [["--quiet", "build"], ["--quiet", "compdb"]] {
        cargo::run(Command::new(&bench.larder).current_dir(&directory).args(arguments))?;
    }
    let entries = reach::entries(&directory)?;
    let compilers = reach::Compilers::default();
    // Compilers are asked who they are before the clock starts.
    let scanned = || -> Result<Duration> {
        let (scanner, start) = (Scanner::new(), Instant::now());
        for entry in &entries {
            reach::reach(&scanner, entry, &compilers)?;
        }
        Ok(start.elapsed())
    };
    scanned()?;
    let listed = || -> Result<Duration> {
        let start = Instant::now();
        for entry in &entries {
            cargo::capture(&mut reach::lists(entry))?;
        }
        Ok(start.elapsed())
    };
    let medians = alternate(bench.runs, |_| Ok(()), scanned, listed)?;
    let work = format!("finding the headers of the {} sources of {EXAMPLE}", entries.len());
    Ok(vec![medians.row(name, &work, "cc -M", 0.2)])
}
