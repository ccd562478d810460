//! Batches over a set as large as an ecosystem: what larder itself costs.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use larder_testkit::ecosystem::{Version, ecosystem};

use super::harness::{
    Bench, Medians, Row, Unit, alternate_costs, cost, median, peak_memory, remove,
};

/// How many packages there are: the rows' names say so.
const PACKAGES: usize = 2_000;

/// The most that larder may add to the build of one package, in seconds.
const OVERHEAD: f64 = 0.015;

/// The most that a batch with nothing to do may take, in seconds.
const NOTHING: f64 = 1.5;

/// The most memory that a batch may hold, in bytes.
const MEMORY: f64 = 500.0 * 1024.0 * 1024.0;

/// All packages built by a trivial command each, confined and recorded; then once more with nothing to do.
pub fn batch(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let root = bench.directory.join("batch");
    remove(&root)?;
    write_set(&root)?;
    let larder = || {
        let mut command = bench.larder();
        command.args(["batch", "--quiet"]).current_dir(&root);
        command
    };
    let first: Vec<_> = (0..bench.runs.min(3))
        .map(|_| {
            remove(&root.join(".larder"))?;
            bench.clear_store()?;
            cost(&mut larder())
        })
        .collect::<Result<_>>()?;
    let each = |seconds: f64| seconds / PACKAGES as f64;
    let wall = each(median(first.iter().map(|cost| cost.wall).collect()));
    let cpu = each(median(first.iter().map(|cost| cost.cpu).collect()));
    let histories = histories(&root.join(".larder/data/packages"))?;
    let cat = || cost(Command::new("cat").arg(root.join("larder-set.toml")).args(&histories));
    let (again, again_cpu) = alternate_costs(bench.runs, |_| Ok(()), || cost(&mut larder()), cat)?;
    let memory = peak_memory(&larder())?;
    remove(&root)?;
    let building = "a trivial package built, confined and recorded, in a batch of 2,000";
    let nothing = "a batch with nothing to do over 2,000 built packages";
    let limited = |ours, theirs| Medians { ours, theirs };
    let seconds = |most: f64| format!("{most} s");
    Ok(vec![
        limited(wall, OVERHEAD).row(&format!("{name}-each"), building, &seconds(OVERHEAD), 1.0),
        limited(cpu, 2.0 * OVERHEAD).row(
            &format!("{name}-each-cpu"),
            &format!("{building}: CPU"),
            &seconds(2.0 * OVERHEAD),
            1.0,
        ),
        again.row(name, nothing, "cat of histories and set", 4.0),
        again_cpu.row(
            &format!("{name}-cpu"),
            &format!("{nothing}: CPU"),
            "cat of histories and set",
            8.0,
        ),
        limited(again.ours, NOTHING).row(
            &format!("{name}-time"),
            &format!("{nothing}: time"),
            &seconds(NOTHING),
            1.0,
        ),
        Row {
            name: format!("{name}-memory"),
            work: format!("{nothing}: peak memory"),
            yardstick: "500 MiB".to_owned(),
            unit: Unit::Bytes,
            ours: memory,
            theirs: MEMORY,
            limit: 1.0,
        },
    ])
}

/// Writes a set of packages, the newest version of each, whose build writes a file.
fn write_set(root: &Path) -> Result<()> {
    let mut set = "[compiler.\"cc.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n\n".to_owned();
    let mut newest: Vec<Version> = ecosystem(PACKAGES);
    newest.retain(|it| it.version == "2.1.0");
    for Version { name, version, needs } in &newest {
        let source = root.join("sources").join(name);
        fs::create_dir_all(&source)?;
        fs::write(source.join("README"), name)?;
        let needs: Vec<String> = needs.keys().map(|need| format!("{need} = \"*\"")).collect();
        writeln!(
            set,
            "[package.\"{name}.{version}\"]\nsource = {{ path = \"sources/{name}\" }}\n\
             dependencies = {{ {} }}\nbuild = [\"cp README {{prefix}}\"]\n",
            needs.join(", ")
        )?;
    }
    fs::write(root.join("larder-set.toml"), set)?;
    Ok(())
}

/// The histories of all packages.
fn histories(packages: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(packages).with_context(|| format!("cannot list {}", packages.display()))?;
    let history = |entry: fs::DirEntry| entry.path().join("history.jsonl");
    let found: Vec<PathBuf> = entries.flatten().map(history).filter(|path| path.exists()).collect();
    anyhow::ensure!(found.len() == PACKAGES, "{} packages have a history", found.len());
    Ok(found)
}
