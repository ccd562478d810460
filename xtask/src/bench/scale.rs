//! Every command that reads run data, on a large ecosystem, with the index that its last run wrote and
//! without one.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result};
use larder_runs::{
    DataDir,
    gc::{References, publish_references},
    result::RunKind,
    run_log::{Ending, LogName, Plan, Run, Scope},
    status_index,
    time::{Clock, parse_time},
};

use super::{
    harness::{Bench, Row, Unit, cost, median, peak_memory, remove},
    runs::{COMPILERS, package_name, remove_file, result, write},
};

/// A large ecosystem: how many packages, and runs.
const PACKAGES: usize = 3_000;
const RUNS: usize = 30;

/// How long a command may take on that, in seconds, and how much memory it may hold, in bytes.
const SECONDS: f64 = 0.3;
const BYTES: f64 = 200e6;

/// How long a collection may take that rewrites every history, in seconds.
const REWRITING: f64 = 3.0;

/// The costs of one command, in seconds and bytes.
struct Costs<'c> {
    command: &'c str,
    wall: f64,
    cpu: f64,
    bytes: f64,
}

/// Every command: the slowest and the largest against what they may take.
pub fn scale(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let data = DataDir::new(bench.directory.join(format!("large-{PACKAGES}-{RUNS}-2")));
    if !data.root().join("complete").exists() {
        remove(data.root())?;
        large(&data)?;
        write(&data.root().join("complete"), "")?;
    }
    let (package, oldest) = (package_name(6)?.to_string(), "2026-03-01-120000");
    let commands: [&[&str]; 19] = [
        &["status"],
        &["status", "--json"],
        &["status", "--failing"],
        &["changes"],
        &["changes", "--since", oldest],
        &["changes", "--since", "latest"],
        &["failures"],
        &["failures", "--roots"],
        &["failures", "--cascades"],
        &["history", &package],
        &["history", "package-6", "--latest"],
        &["runs"],
        &["runs", "show", "latest"],
        &["runs", "show", "latest", "--json"],
        &["log", &package],
        &["log", "package-6"],
        &["locks"],
        &["gc", "--dry-run"],
        &["notify", "--dry-run"],
    ];
    let index = data.root().join(status_index::FILE);
    let mut measured = Vec::new();
    for indexed in [true, false] {
        match indexed {
            true => _ = status_index::update(&data)?,
            false => remove_file(&index)?,
        }
        let with = if indexed { "with an index" } else { "without an index" };
        for arguments in commands {
            measured.push(measure(bench, &data, arguments, with)?);
        }
    }
    status_index::update(&data)?;
    let mut rows = rows(name, "a command", &measured, SECONDS);
    rows.extend(collections(bench, &format!("{name}-gc"), &data)?);
    Ok(rows)
}

/// A collection that finds nothing old in any history, and one that rewrites them all, on a copy.
fn collections(bench: &Bench, name: &str, data: &DataDir) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let copy = DataDir::new(bench.directory.join("large-copy"));
    for (suffix, days, what, limit) in [
        ("", "36500", "gc --history-days that finds nothing", SECONDS),
        ("-rewriting", "1", "gc --history-days that rewrites all", REWRITING),
    ] {
        remove(copy.root())?;
        copy_tree(data.root(), copy.root())?;
        let once = Bench { runs: 1, larder: bench.larder.clone(), directory: copy.root().into() };
        let costs = measure(&once, &copy, &["gc", "--history-days", days], "once")?;
        rows.extend(self::rows(&format!("{name}{suffix}"), what, &[costs], limit));
    }
    remove(copy.root())?;
    Ok(rows)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_tree(&entry.path(), &to)?,
            false => _ = fs::copy(entry.path(), to)?,
        }
    }
    Ok(())
}

/// Measures one command, and says so.
fn measure<'c>(
    bench: &Bench,
    data: &DataDir,
    arguments: &[&'c str],
    with: &str,
) -> Result<Costs<'c>> {
    let mut command = bench.larder();
    command.args(arguments).arg("--data-dir").arg(data.root());
    let bytes = if bench.runs > 1 { peak_memory(&command)? } else { 0.0 };
    let costs = (0..bench.runs.max(1)).map(|_| cost(&mut command)).collect::<Result<Vec<_>>>()?;
    let wall = median(costs.iter().map(|cost| cost.wall).collect());
    let cpu = median(costs.iter().map(|cost| cost.cpu).collect());
    let shown = arguments.join(" ");
    let megabytes = bytes / 1e6;
    eprintln!("{wall:.3} s, {cpu:.3} s of CPU, {megabytes:.1} MB: {shown} ({with})");
    let command = arguments.first().copied().unwrap_or_default();
    Ok(Costs { command, wall, cpu, bytes })
}

/// A kind of cost: the row's suffix, its name, its unit, where it stands, and what is allowed.
type Part = (&'static str, &'static str, Unit, fn(&Costs<'_>) -> f64, f64);

/// The rows of what was measured: the most of each kind against what is allowed.
fn rows(name: &str, what: &str, measured: &[Costs<'_>], seconds: f64) -> Vec<Row> {
    let parts: [Part; 3] = [
        ("", "wall time", Unit::Seconds, |costs| costs.wall, seconds),
        ("-cpu", "CPU", Unit::Seconds, |costs| costs.cpu, seconds),
        ("-memory", "peak memory", Unit::Bytes, |costs| costs.bytes, BYTES),
    ];
    let compilers = COMPILERS.len();
    let most = parts.into_iter().filter_map(|(suffix, kind, unit, of, allowed)| {
        let most = measured.iter().max_by(|a, b| of(a).total_cmp(&of(b)))?;
        (of(most) > 0.0).then(|| Row {
            name: format!("{name}{suffix}"),
            work: format!(
                "{PACKAGES} packages, {RUNS} runs, {compilers} compilers: {kind} of {what} ({})",
                most.command
            ),
            yardstick: "allowed".to_owned(),
            unit,
            ours: of(most),
            theirs: allowed,
            limit: 1.0,
        })
    });
    most.collect()
}

/// Records a large ecosystem: each run builds every package with every compiler; one in six fails, one in ten
/// is blocked by one that does. The last run has logs. What the first runs installed nothing refers to any more.
fn large(data: &DataDir) -> Result<()> {
    for day in 0..RUNS {
        let time = format!("2026-03-{:02}T12:00:00Z", day + 1);
        let targets = (0..PACKAGES).map(package_name).collect::<Result<_>>()?;
        let at = parse_time(&time).context("a time")?;
        let plan = Plan::new(RunKind::Full, Scope::All, targets);
        let run = Run::start(data, plan, Clock::new(move || at))?;
        let mut references = References::default();
        for package in 0..PACKAGES {
            for compiler in 0..COMPILERS.len() {
                let result = result(package, day / 10 * 20 + compiler, &time)?;
                if let Some(hash) = &result.build_hash {
                    let installed = data.layers().join(hash.as_str()).join("lib/a");
                    if (day == 0 && package < PACKAGES / 10) || day + 1 == RUNS {
                        write(&installed, "installed\n")?;
                    }
                    references.layers.insert(hash.clone());
                }
                if day + 1 == RUNS {
                    let mut log = run.log_writer(&LogName::of(&result))?;
                    log.write_all(b"building\n")?;
                }
                run.record(result)?;
            }
        }
        publish_references(data, &run, &references)?;
        run.finish(Ending::Complete)?;
    }
    Ok(())
}
