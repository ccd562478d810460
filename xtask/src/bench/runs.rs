//! Run data: the status index against `cat` of the same histories, appends from many processes, and
//! the latest results of a long history.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder_runs::history::{self, Entry};
use larder_runs::name::PackageName;
use larder_runs::status_index;

/// How many packages, and entries in each one's history.
const PACKAGES: usize = 5_000;
const ENTRIES: usize = 40;

/// How many packages change between two indexes.
const CHANGED: usize = 10;

/// Appends, and the processes that share them.
const APPENDS: usize = 100_000;
const PROCESSES: usize = 8;

/// How often each thing is measured; the median counts.
const ROUNDS: usize = 7;

/// The environment variable that makes a process one of the appending ones.
const APPENDER: &str = "LARDER_BENCH_APPENDER";

/// One row: medians in seconds.
pub struct Figures {
    /// What was done.
    pub work: &'static str,
    /// Larder's time.
    pub ours: f64,
    /// That of `cat` of the same files.
    pub cat: f64,
    /// The most that `ours / cat` may be.
    pub limit: f64,
}

/// Measures in `dir`, which it fills, and prints a line for each row: what, measured, yardstick,
/// ratio, limit; then rates without one. True when every limit is held.
///
/// Starts this program again with the arguments `again`, which must lead to [`appender`].
///
/// # Errors
/// Whatever keeps something from being measured.
pub fn run(dir: &Path, again: &[&str]) -> io::Result<bool> {
    let rows = index(dir, ROUNDS)?;
    for row in &rows {
        let ratio = row.ours / row.cat;
        println!(
            "{}: {:.1} ms; cat {:.1} ms; ratio {ratio:.2}, limit {}",
            row.work,
            row.ours * 1e3,
            row.cat * 1e3,
            row.limit
        );
    }
    appends(dir, again)?;
    latest(dir)?;
    Ok(rows.iter().all(|row| row.ours <= row.limit * row.cat))
}

/// The status index, from nothing and after ten packages changed: the index that was written last is
/// read, brought up to date and written. A tenth of what the first may take is the second's limit.
///
/// # Errors
/// As [`run`].
pub fn index(dir: &Path, rounds: usize) -> io::Result<[Figures; 2]> {
    let packages = dir.join("packages");
    let files = generate(&packages)?;
    let (mut cat, mut full, mut incremental) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        cat.push(time(|| {
            let status = Command::new("cat").args(&files).stdout(Stdio::null()).status()?;
            status.success().then_some(()).ok_or_else(|| io::Error::other("cat failed"))
        })?);
        let _ = fs::remove_file(dir.join(status_index::FILE));
        full.push(time(|| refresh(dir, &packages))?);
        for package in (0..PACKAGES).step_by(PACKAGES / CHANGED) {
            let run = format!("2026-05-{:02}-120000", round % 28 + 1);
            let entry = entry(package, 0, &run);
            history::append(&packages, &name(package)?, &entry).map_err(io::Error::other)?;
        }
        incremental.push(time(|| refresh(dir, &packages))?);
    }
    let (cat, full, incremental) = (median(cat), median(full), median(incremental));
    Ok([
        Figures { work: "status index, all packages read", ours: full, cat, limit: 4.0 },
        Figures { work: "status index, ten packages changed", ours: incremental, cat, limit: 0.4 },
    ])
}

/// What a batch does at its end.
fn refresh(dir: &Path, packages: &Path) -> io::Result<()> {
    let previous = status_index::read(dir);
    let index = status_index::generate(packages, None, previous).map_err(io::Error::other)?;
    status_index::write(dir, &index).map_err(io::Error::other)?;
    Ok(())
}

/// The rate of appends from several processes, to a history each and all to one.
fn appends(dir: &Path, again: &[&str]) -> io::Result<()> {
    for (what, shared) in [("to a history each", false), ("all to one history", true)] {
        let packages = dir.join(format!("appended-{shared}"));
        let program = std::env::current_exe()?;
        let seconds = time(|| {
            let start = |number: usize| {
                let number = if shared { 0 } else { number };
                let task = format!("{number} {} {}", APPENDS / PROCESSES, packages.display());
                Command::new(&program).args(again).env(APPENDER, task).spawn()
            };
            let children: Vec<_> = (0..PROCESSES).map(start).collect::<io::Result<_>>()?;
            for mut child in children {
                child.wait()?.success().then_some(()).ok_or_else(|| io::Error::other("an appender failed"))?;
            }
            Ok(())
        })?;
        let rate = APPENDS as f64 / seconds.as_secs_f64();
        println!("{APPENDS} appends from {PROCESSES} processes, {what}: {rate:.0} a second");
    }
    Ok(())
}

/// To be called first of all: in a process that [`run`] started to append, appends and returns true.
pub fn appender() -> io::Result<bool> {
    let Ok(task) = std::env::var(APPENDER) else { return Ok(false) };
    let mut words = task.splitn(3, ' ');
    let (Some(number), Some(count), Some(packages)) = (words.next(), words.next(), words.next()) else {
        return Err(io::Error::other(format!("{APPENDER} is no task: {task}")));
    };
    let number: usize = number.parse().map_err(io::Error::other)?;
    for count in 0..count.parse().map_err(io::Error::other)? {
        let entry = entry(number, count, "2026-03-01-120000");
        history::append(Path::new(packages), &name(number)?, &entry).map_err(io::Error::other)?;
    }
    Ok(true)
}

/// `read_latest` of a long history against `cat` of it.
fn latest(dir: &Path) -> io::Result<()> {
    let packages = dir.join("long");
    let mut content = String::new();
    for count in 0..APPENDS {
        line(&mut content, &entry(0, count % 500, "2026-03-01-120000"))?;
    }
    let file = history::path(&packages, &name(0)?);
    write(&file, &content)?;
    let cat = time(|| Command::new("cat").arg(&file).stdout(Stdio::null()).status().map(drop))?;
    let latest = time(|| history::read_latest(&packages, &name(0)?).map(drop).map_err(io::Error::other))?;
    let all = time(|| history::read(&packages, &name(0)?).map(drop).map_err(io::Error::other))?;
    let latest = latest.as_secs_f64() * 1e3;
    let (cat, all) = (cat.as_secs_f64() * 1e3, all.as_secs_f64() * 1e3);
    println!("read_latest of {APPENDS} entries: {latest:.0} ms; cat {cat:.0} ms, read {all:.0} ms");
    Ok(())
}

/// Writes the histories; returns their files.
fn generate(packages: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::with_capacity(PACKAGES);
    for package in 0..PACKAGES {
        let mut content = String::new();
        for count in 0..ENTRIES {
            let run = format!("2026-{:02}-{:02}-120000", 3 + count / 28, 1 + count % 28);
            line(&mut content, &entry(package, count, &run))?;
        }
        let file = history::path(packages, &name(package)?);
        write(&file, &content)?;
        files.push(file);
    }
    Ok(files)
}

fn write(file: &Path, content: &str) -> io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    fs::write(file, content)
}

fn line(content: &mut String, entry: &Entry) -> io::Result<()> {
    content.push_str(&serde_json::to_string(entry)?);
    content.push('\n');
    Ok(())
}

fn name(package: usize) -> io::Result<PackageName> {
    format!("package-{package}.1.0").parse().map_err(io::Error::other)
}

/// An entry as an ecosystem has them: two compilers, build hashes that change every five runs and with
/// them the result, one build in six failing, one package in a hundred flaky.
fn entry(package: usize, count: usize, run: &str) -> Entry {
    let flaky = package.is_multiple_of(100) && count.is_multiple_of(3);
    let success = !(package + count / 10).is_multiple_of(6) && !flaky;
    Entry {
        ts: format!("{}T12:00:00Z", run.get(..10).unwrap_or(run)),
        run: run.to_owned(),
        build_hash: format!("{:064x}", (package as u128) << 64 | (count / 10 * 2 + count % 2) as u128),
        status: if success { "success" } else { "failure" }.to_owned(),
        category: if success { "success" } else { "build_failure" }.to_owned(),
        compiler: if count.is_multiple_of(2) { "ocaml-base-compiler.5.2.0" } else { "ocaml-base-compiler.4.14.2" }.to_owned(),
        blessed: count.is_multiple_of(2),
        error: (!success).then(|| "Error: This expression has type string but int was expected".to_owned()),
        ..Entry::default()
    }
}

fn time(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}
