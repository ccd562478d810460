//! The rows of `larder ninja`, against Ninja on the same build file in copies of one tree.

use std::process::Command;

use anyhow::Result;

use super::{
    engine::{LARGE, SMALL, fresh},
    harness::{Bench, Row, Unit, alternate_costs, cost, peak_memory, time},
    objects::{Compiler, Project},
};

/// Two copies of one tree.
struct Sides {
    ours: Project,
    theirs: Project,
}

impl Sides {
    fn generate(bench: &Bench, objects: usize) -> Result<Self> {
        let theirs = Project::generate(bench, objects)?;
        Ok(Self { ours: Project::generate_copy(bench, objects)?, theirs })
    }

    fn larder(&self, bench: &Bench) -> Command {
        self.ours.larder_ninja(bench)
    }

    fn ninja(&self) -> Command {
        self.theirs.ninja_command(Compiler::Plain)
    }

    /// Brings both sides up to date, and compares them. Other rows may have edited the header in one of them.
    fn build(&self, bench: &Bench) -> Result<()> {
        self.ours.edit_header(0)?;
        self.theirs.edit_header(0)?;
        time(&mut self.larder(bench))?;
        time(&mut self.ninja())?;
        self.theirs.compare_copy(&self.ours, Compiler::Plain)
    }

    /// Removes all that either side has built.
    fn clean(&self, compiler: Compiler) -> Result<()> {
        self.ours.clean_ours()?;
        self.ours.clean_theirs(Compiler::Plain)?;
        self.theirs.clean_theirs(compiler)
    }
}

/// Nothing to do: time and memory.
pub fn noop(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let sides = Sides::generate(bench, LARGE)?;
    sides.build(bench)?;
    let (mut ours, mut theirs) = (sides.larder(bench), sides.ninja());
    // Both have seen the files once when the clock starts.
    time(&mut ours)?;
    time(&mut theirs)?;
    let (wall, cpu) =
        alternate_costs(bench.runs.max(5), |_| Ok(()), || cost(&mut ours), || cost(&mut theirs))?;
    let work = "larder ninja, nothing to do, 10,000 objects";
    Ok(vec![
        wall.row(name, work, "ninja", 0.8),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja", 1.0),
        Row {
            name: format!("{name}-memory"),
            work: format!("{work}: peak memory"),
            yardstick: "ninja".to_owned(),
            unit: Unit::Bytes,
            ours: peak_memory(&sides.larder(bench))?,
            theirs: peak_memory(&sides.ninja())?,
            limit: 1.5,
        },
    ])
}

/// A first build, of nothing but sources.
pub fn first(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let work = "larder ninja, first build, 2,000 objects";
    first_build(bench, name, work, &["--no-cache"])
}

/// A first build that also fills the store.
pub fn first_store(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let work = "larder ninja, first build, 2,000 objects, filling the store";
    first_build(bench, name, work, &[])
}

fn first_build(bench: &Bench, name: &str, work: &str, arguments: &[&str]) -> Result<Vec<Row>> {
    let sides = Sides::generate(bench, SMALL)?;
    let (wall, cpu) = alternate_costs(
        bench.runs,
        |_| {
            sides.clean(Compiler::Plain)?;
            bench.clear_store()
        },
        || cost(sides.larder(bench).args(arguments)),
        || cost(&mut sides.ninja()),
    )?;
    sides.theirs.compare_copy(&sides.ours, Compiler::Plain)?;
    Ok(vec![
        wall.row(name, work, "ninja -j2", 1.05),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja -j2", 1.08),
    ])
}

/// A header that 100 of the objects include is edited.
pub fn edited(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let sides = Sides::generate(bench, LARGE)?;
    sides.build(bench)?;
    let first = fresh();
    let (wall, cpu) = alternate_costs(
        bench.runs,
        |round| {
            sides.ours.edit_header(first + round)?;
            sides.theirs.edit_header(first + round)
        },
        || cost(&mut sides.larder(bench)),
        || cost(&mut sides.ninja()),
    )?;
    sides.theirs.compare_copy(&sides.ours, Compiler::Plain)?;
    let work = "larder ninja, header of 100 of 10,000 objects edited";
    Ok(vec![
        wall.row(name, work, "ninja", 1.0),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja", 1.0),
    ])
}

/// Another checkout has filled the store; against Ninja through a warm ccache.
pub fn checkout(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let sides = Sides::generate(bench, SMALL)?;
    sides.clean(Compiler::Cached)?;
    sides.theirs.clean_theirs(Compiler::Plain)?;
    sides.theirs.clean_ours()?;
    bench.clear_store()?;
    time(&mut sides.theirs.larder_ninja(bench))?;
    sides.theirs.clean_ours()?;
    let ninja = || sides.theirs.ninja_command(Compiler::Cached);
    time(&mut ninja())?;
    let (wall, cpu) = alternate_costs(
        bench.runs,
        |_| sides.clean(Compiler::Cached),
        || cost(&mut sides.larder(bench)),
        || cost(&mut ninja()),
    )?;
    sides.theirs.compare_copy(&sides.ours, Compiler::Cached)?;
    let work = "larder ninja, 2,000 objects that another checkout has built";
    Ok(vec![
        wall.row(name, work, "ninja, warm ccache", 0.3),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "ninja, warm ccache", 0.3),
    ])
}
