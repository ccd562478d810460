//! Run data: the status index against `cat` of the same histories, records from many processes
//! against as many from one, and the latest results of a long history.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use larder_runs::{
    Category, DataDir,
    history::{self, Entry},
    name::{HashName, PackageName},
    result::{BuildRef, Origin, RunKind, Stage, StageResult},
    run_log::{Ending, Plan, Run, Scope},
    status_index,
    time::{Clock, parse_time},
};

use super::harness::{Bench, Row, alternate, remove, time};

/// How many packages, and entries in each one's history.
const PACKAGES: usize = 5_000;
const ENTRIES: usize = 40;

/// How many packages change between two indexes.
const CHANGED: usize = 10;

/// Results recorded, and the processes that share them.
const RECORDS: usize = 40_000;
const PROCESSES: usize = 8;

/// The entries of a long history.
const LONG: usize = 100_000;

/// The compilers of every ecosystem here.
pub(super) const COMPILERS: [&str; 2] = ["ocaml-base-compiler.5.2.0", "ocaml-base-compiler.4.14.2"];

/// The status index from nothing, and after ten packages changed: as at the end of a batch, the index
/// that was written last is read, brought up to date and written.
pub fn status(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let data = DataDir::new(bench.directory.join("runs"));
    remove(data.root())?;
    let packages = data.packages();
    let files = generate(&packages)?;
    let cat = || time(Command::new("cat").args(&files));
    let full = alternate(
        bench.runs,
        |_| remove_file(&data.root().join(status_index::FILE)),
        || timed(|| refresh(&data)),
        cat,
    )?;
    let changed = alternate(
        bench.runs,
        |round| {
            let time = format!("2026-05-{:02}T12:00:00Z", round % 28 + 1);
            let run = start(&data, &time, RunKind::Rerun)?;
            for package in (0..PACKAGES).step_by(PACKAGES / CHANGED) {
                run.record(result(package, 0, &time)?)?;
            }
            // The end of a run brings the index up to date, which is what is to be measured.
            let index = data.root().join(status_index::FILE);
            let before = fs::read(&index)?;
            run.finish(Ending::Complete)?;
            Ok(fs::write(&index, before)?)
        },
        || timed(|| refresh(&data)),
        cat,
    )?;
    let what = format!("status index of {PACKAGES} packages with {ENTRIES} entries each");
    let ten = format!("the same after {CHANGED} packages changed");
    Ok(vec![
        full.row(name, &what, "cat", 4.0),
        changed.row(&format!("{name}-again"), &ten, "cat", 0.4),
    ])
}

fn refresh(data: &DataDir) -> Result<()> {
    status_index::update(data)?;
    Ok(())
}

/// Starts a run at a time.
pub(super) fn start(data: &DataDir, time: &str, kind: RunKind) -> Result<Run> {
    let time = parse_time(time).context("a time")?;
    Ok(Run::start(data, Plan::new(kind, Scope::All, Vec::new()), Clock::new(move || time))?)
}

pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Records from several processes, to a history each and all to one, against as many from one process:
/// were they to form a convoy behind each other's lock, they would take far longer. Rates are said.
pub fn append(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (suffix, what, shared, limit) in
        [("", "a history each", false, 1.2), ("-shared", "all to one history", true, 1.5)]
    {
        let directory = bench.directory.join("appended");
        let appended = |processes: usize| {
            remove(&directory)?;
            let start = Instant::now();
            let children: Vec<_> = (0..processes)
                .map(|number| {
                    let mut command = Command::new(env::current_exe()?);
                    let number = if shared { 0 } else { number };
                    command.arg("append").arg(&directory);
                    command.args([number.to_string(), (RECORDS / processes).to_string()]);
                    Ok(command.stdin(Stdio::null()).spawn()?)
                })
                .collect::<Result<_>>()?;
            for mut child in children {
                if !child.wait()?.success() {
                    bail!("a recording process failed");
                }
            }
            Ok(start.elapsed())
        };
        let medians = alternate(bench.runs, |_| Ok(()), || appended(PROCESSES), || appended(1))?;
        let rate = RECORDS as f64 / medians.ours;
        eprintln!("{PROCESSES} processes, {what}: {rate:.0} results a second");
        let work = format!("{RECORDS} results recorded by {PROCESSES} processes, {what}");
        rows.push(medians.row(&format!("{name}{suffix}"), &work, "one process", limit));
    }
    Ok(rows)
}

/// Arguments of the processes that [`append`] starts.
#[derive(clap::Args)]
pub struct Append {
    data: PathBuf,
    number: usize,
    count: usize,
}

/// Records, as one of several processes.
///
/// # Errors
/// When a result cannot be recorded.
pub fn append_some(arguments: &Append) -> Result<()> {
    let run = start(&DataDir::new(&arguments.data), TIME, RunKind::Rerun)?;
    for count in 0..arguments.count {
        let attempt = u32::try_from(count)? + 1;
        run.record(StageResult { attempt, ..result(arguments.number, count, TIME)? })?;
    }
    Ok(())
}

const TIME: &str = "2026-03-01T12:00:00Z";

/// The last result of each build in one long history, against reading all of it.
pub fn latest(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let packages = bench.directory.join("long");
    let package = package_name(0)?;
    let mut content = String::new();
    for count in 0..LONG {
        line(&mut content, result(0, count % 500, TIME)?, "2026-03-01-120000")?;
    }
    write(&history::path(&packages, &package), &content)?;
    let medians = alternate(
        bench.runs,
        |_| Ok(()),
        || timed(|| Ok(_ = history::read_latest(&packages, &package)?)),
        || timed(|| Ok(_ = history::read(&packages, &package)?)),
    )?;
    let work = format!("last result of each build in a history of {LONG} entries");
    Ok(vec![medians.row(name, &work, "all entries", 1.0)])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Writes the histories; returns their files.
pub(super) fn generate(packages: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::with_capacity(PACKAGES);
    for package in 0..PACKAGES {
        let mut content = String::new();
        for count in 0..ENTRIES {
            let day = format!("2026-{:02}-{:02}", 3 + count / 28, 1 + count % 28);
            let result = result(package, count, &format!("{day}T12:00:00Z"))?;
            line(&mut content, result, &format!("{day}-120000"))?;
        }
        let file = history::path(packages, &package_name(package)?);
        write(&file, &content)?;
        files.push(file);
    }
    Ok(files)
}

pub(super) fn write(file: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

fn line(content: &mut String, result: StageResult, run: &str) -> Result<()> {
    let entry = Entry::new(run.parse()?, RunKind::Full, result);
    content.push_str(&serde_json::to_string(&entry)?);
    content.push('\n');
    Ok(())
}

pub(super) fn package_name(package: usize) -> Result<PackageName> {
    Ok(format!("package-{package}.1.0").parse()?)
}

fn hash(package: usize, build: usize) -> Result<HashName> {
    Ok(format!("{:064x}", (package as u128) << 64 | build as u128).parse()?)
}

/// A result as an ecosystem has them: two compilers, build hashes that change every ten runs and with
/// them the result, one build in six failing, one in ten blocked by its neighbour, one package in a hundred
/// flaky.
pub(super) fn result(package: usize, count: usize, time: &str) -> Result<StageResult> {
    let time = parse_time(time).context("a time")?;
    let build = count / 10 * 2 + count % 2;
    let flaky = package.is_multiple_of(100) && count.is_multiple_of(3);
    let mut result = StageResult::success(package_name(package)?, Stage::Build, time, time);
    result.compiler = Some(COMPILERS[count % 2].parse()?);
    result.universe = Some(hash(package, 1 << 20)?);
    result.solution = Some(hash(1 << 30, build)?);
    result.build_hash = Some(hash(package, build)?);
    result.dep_hash = Some(hash(package, build + (1 << 21))?);
    result.blessed = count.is_multiple_of(2);
    result.wall_ms = Some(41_250);
    result.cpu_ms = Some(60_875);
    result.peak_memory_bytes = Some(400 << 20);
    result.host = Some("build1".to_owned());
    result.platform = Some("x86_64-linux".to_owned());
    if (package + count / 10).is_multiple_of(6) || flaky {
        let error = "Error: This expression has type string but int was expected".to_owned();
        return Ok(result.failed(Category::BuildFailure, Some(error)));
    }
    if package % 10 == 1 {
        let package = package_name(package - 1)?;
        let root = BuildRef { package, build_hash: None };
        result.origin = Origin::Skipped;
        result.failed_dependencies = vec![root.clone()];
        result.root_failures = vec![root];
        return Ok(result.failed(Category::DependencyFailure, None));
    }
    Ok(result)
}
