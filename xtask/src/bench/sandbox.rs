//! The time that `--sandbox` adds to a command.

use std::fs;

use anyhow::{Context, Result};

use super::{
    Bench, Row, Unit,
    harness::{alternate, remove, time},
};

const COMMANDS: usize = 300;

/// The most that a command may take longer, in seconds.
const ALLOWED: f64 = 0.003;

/// Commands that do next to nothing, one after the other, with a sandbox for each and without.
pub fn sandbox(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let directory = bench.directory.join("sandbox");
    fs::create_dir_all(&directory)?;
    let mut manifest = String::from("[package]\nname = \"commands\"\nversion = \"1.0.0\"\n");
    for command in 0..COMMANDS {
        manifest += &format!(
            "\n[[command]]\nname = \"c{command}\"\ninputs = [\"input\"]\noutputs = [\"c{command}\"]\n\
             run = [\"cp\", \"input\", \"{{out}}\"]\n"
        );
    }
    fs::write(directory.join("larder.toml"), manifest)
        .and_then(|()| fs::write(directory.join("input"), "input\n"))
        .with_context(|| format!("cannot write {}", directory.display()))?;
    let side = |sandbox: bool| {
        remove(&directory.join(".larder"))?;
        let mut larder = bench.larder();
        larder.args(["-q", "build", "-j1", "--no-cache"]).args(sandbox.then_some("--sandbox"));
        time(larder.current_dir(&directory))
    };
    let medians = alternate(bench.runs, |_| Ok(()), || side(true), || side(false))?;
    Ok(vec![Row {
        name: name.to_owned(),
        work: format!("what a sandbox adds to a command, of {COMMANDS}"),
        yardstick: "3 ms".to_owned(),
        unit: Unit::Seconds,
        ours: (medians.ours - medians.theirs) / COMMANDS as f64,
        theirs: ALLOWED,
        limit: 1.0,
    }])
}
