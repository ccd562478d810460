//! The rows of the build engine, against Ninja.

use std::fs;

use anyhow::{Context, Result};

use super::{
    harness::{Bench, Row, Unit, alternate, alternate_costs, cost, peak_memory, time},
    objects::{Compiler, Project},
};

pub const LARGE: usize = 10_000;
pub const SMALL: usize = 2_000;

/// Nothing to do: time and memory.
pub fn noop(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let project = Project::generate(bench, LARGE)?;
    project.build_both(bench)?;
    let mut ours = project.larder(bench);
    let mut theirs = project.ninja_command(Compiler::Plain);
    // Both have seen the files once when the clock starts.
    time(&mut ours)?;
    time(&mut theirs)?;
    let (wall, cpu) =
        alternate_costs(bench.runs.max(5), |_| Ok(()), || cost(&mut ours), || cost(&mut theirs))?;
    let work = "nothing to do, 10,000 objects";
    Ok(vec![
        wall.row(name, work, "ninja", 0.45),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja", 0.75),
        Row {
            name: format!("{name}-memory"),
            work: format!("{work}: peak memory"),
            yardstick: "ninja".to_owned(),
            unit: Unit::Bytes,
            ours: peak_memory(&project.larder(bench))?,
            theirs: peak_memory(&project.ninja_command(Compiler::Plain))?,
            limit: 1.5,
        },
    ])
}

/// Nothing to do, with a `compile_commands.json` that is kept current.
pub fn noop_compdb(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let project = Project::generate(bench, LARGE)?;
    project.build_both(bench)?;
    let file = project.directory.join("compile_commands.json");
    time(bench.larder().current_dir(&project.directory).args(["--quiet", "compdb"]))?;
    // What was just written is looked at once more.
    time(&mut project.larder(bench))?;
    time(&mut project.larder(bench))?;
    let measured = alternate_costs(
        bench.runs.max(5),
        |_| Ok(()),
        || cost(&mut project.larder(bench)),
        || cost(&mut project.ninja_command(Compiler::Plain)),
    );
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    let (_, cpu) = measured?;
    let work = "nothing to do, 10,000 objects, keeping compile_commands.json: CPU";
    Ok(vec![cpu.row(name, work, "ninja", 0.75)])
}

/// A first build, of nothing but sources.
pub fn first(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let work = "first build, 2,000 objects";
    first_build(bench, name, work, &["--no-cache"])
}

/// A first build that also fills the store.
pub fn first_store(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let work = "first build, 2,000 objects, filling the store";
    first_build(bench, name, work, &[])
}

fn first_build(bench: &Bench, name: &str, work: &str, arguments: &[&str]) -> Result<Vec<Row>> {
    let project = Project::generate(bench, SMALL)?;
    let (wall, cpu) = alternate_costs(
        bench.runs,
        |_| {
            project.clean_ours()?;
            project.clean_theirs(Compiler::Plain)?;
            bench.clear_store()
        },
        || cost(project.larder(bench).args(arguments)),
        || cost(&mut project.ninja_command(Compiler::Plain)),
    )?;
    project.compare(Compiler::Plain)?;
    Ok(vec![
        wall.row(name, work, "ninja -j2", 1.05),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja -j2", 1.08),
    ])
}

/// A header that 100 of the objects include is touched.
pub fn touched(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let project = Project::generate(bench, LARGE)?;
    project.build_both(bench)?;
    let header = project.header();
    let text = fs::read(&header).context("cannot read a header")?;
    let medians = alternate(
        bench.runs,
        |_| fs::write(&header, &text).context("cannot touch a header"),
        || time(&mut project.larder(bench)),
        || time(&mut project.ninja_command(Compiler::Plain)),
    )?;
    project.compare(Compiler::Plain)?;
    Ok(vec![medians.row(name, "header of 100 of 10,000 objects touched", "ninja", 0.1)])
}

/// A header that 100 of the objects include is edited. Most of the time is the compilers', on both sides.
pub fn edited(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let project = Project::generate(bench, LARGE)?;
    project.build_both(bench)?;
    let fresh = fresh();
    let (wall, cpu) = alternate_costs(
        bench.runs,
        |round| project.edit_header(fresh + round),
        || cost(&mut project.larder(bench)),
        || cost(&mut project.ninja_command(Compiler::Plain)),
    )?;
    project.compare(Compiler::Plain)?;
    let work = "header of 100 of 10,000 objects edited";
    Ok(vec![
        wall.row(name, work, "ninja", 1.0),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja", 1.0),
    ])
}

/// Returns the number of an edit that no earlier build has seen, so that no cache can have the objects.
pub fn fresh() -> usize {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs() % 1_000_000) as usize
}

/// The build directory is gone and the stat index with it, everything is in the store; against Ninja
/// through a warm ccache. Both sides make all objects and libraries: larder is told to restore the
/// objects too, which a build otherwise leaves in the store.
pub fn restore(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let project = Project::generate(bench, SMALL)?;
    project.clean_ours()?;
    bench.clear_store()?;
    time(&mut project.larder(bench))?;
    time(&mut project.ninja_command(Compiler::Cached))?;
    let mut restore = project.larder(bench);
    restore.env("LARDER_RESTORE_ARTIFACTS", "1");
    let medians = alternate(
        bench.runs,
        |_| {
            project.clean_ours()?;
            project.clean_theirs(Compiler::Cached)
        },
        || time(&mut restore),
        || time(&mut project.ninja_command(Compiler::Cached)),
    )?;
    project.compare(Compiler::Cached)?;
    let work = "build directory and index deleted, 2,000 objects restored";
    Ok(vec![medians.row(name, work, "ninja, warm ccache", 0.05)])
}
