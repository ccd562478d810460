//! Package sets: reading and solving one that is as large as an ecosystem.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Result, bail};
use larder_batch::{
    catalogue::{Catalogue, Reading},
    graph::{Builds, Surroundings},
    solve::{Solutions, Solver},
};
use larder_project::{dependencies::Resolution, set::PackageSet};
use larder_testkit::ecosystem::{ecosystem, write_set};

use super::harness::{Bench, Medians, Row, alternate, remove, time};

/// How many packages there are, each in three versions: the rows' names say so.
const PACKAGES: usize = 2_000;

/// The most that solving them all may take, in seconds.
const LIMIT: f64 = 10.0;

/// All packages solved from nothing, and once more when nothing has changed: what every batch begins with.
pub fn solve(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let root = bench.directory.join("set");
    remove(&root)?;
    let versions = ecosystem(PACKAGES);
    write_set(&root, &versions);
    let data = root.join(".larder/data");
    let manifests: Vec<PathBuf> = versions
        .iter()
        .map(|it| root.join(format!("packages/{}-{}/larder.toml", it.name, it.version)))
        .collect();
    let cat = || time(Command::new("cat").args(&manifests));
    let work = |known: bool| {
        let start = Instant::now();
        let (solutions, builds) = prepare(&root, &data)?;
        if (solutions.known == solutions.iter().len()) != known {
            bail!("{} of {} solutions were known", solutions.known, solutions.iter().len());
        }
        let elapsed = start.elapsed();
        if known {
            eprintln!("  {} solutions, {} builds", solutions.found().count(), builds.len());
        }
        Ok(elapsed)
    };
    let first = alternate(bench.runs, |_| remove(&data), || work(false), cat)?;
    let again = alternate(bench.runs, |_| Ok(()), || work(true), cat)?;
    fs::remove_dir_all(&root)?;
    let what = "reading 2,000 packages in 3 versions each, solving for each, making builds";
    let nothing = "the same when nothing has changed";
    let first = Medians { theirs: LIMIT, ..first };
    Ok(vec![
        first.row(name, what, &format!("{LIMIT} s"), 1.0),
        again.row(&format!("{name}-again"), nothing, "cat of the manifests", 4.0),
    ])
}

/// What a batch does before it builds.
fn prepare(root: &Path, data: &Path) -> Result<(Solutions, Builds)> {
    let set = PackageSet::read(&root.join("larder-set.toml"))?;
    let threads = thread::available_parallelism().map_or(2, Into::into);
    let resolution = Resolution::default();
    let reading = Reading { resolution: &resolution, data, threads, remember: true };
    let catalogue = Catalogue::read(&set, root, &reading)?;
    let kept = data.join("solutions");
    let solver = Solver { kept: Some(&kept), remember: true, threads, stop: &|| false };
    let solutions = solver.solve(&catalogue, catalogue.iter().map(|(id, _)| id));
    let around = Surroundings { identities: vec!["gcc".parse()?], platform: "here".to_owned() };
    let builds = Builds::new(&catalogue, &solutions, &around);
    Ok((solutions, builds))
}
