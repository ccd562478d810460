//! Run data: the status index against `cat` of the same histories, appends from many processes
//! against as many from one, and the latest results of a long history.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use larder_runs::{
    history::{self, Entry},
    name::PackageName,
    status_index,
};

use super::harness::{Bench, Row, alternate, remove, time};

/// How many packages, and entries in each one's history.
const PACKAGES: usize = 5_000;
const ENTRIES: usize = 40;

/// How many packages change between two indexes.
const CHANGED: usize = 10;

/// Appends, and the processes that share them.
const APPENDS: usize = 100_000;
const PROCESSES: usize = 8;

/// The status index from nothing, and after ten packages changed: as at the end of a batch, the index
/// that was written last is read, brought up to date and written.
pub fn status(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let data = bench.directory.join("runs");
    remove(&data)?;
    let packages = data.join("packages");
    let files = generate(&packages)?;
    let cat = || time(Command::new("cat").args(&files));
    let full = alternate(
        bench.runs,
        |_| remove_file(&data.join(status_index::FILE)),
        || timed(|| refresh(&data, &packages)),
        cat,
    )?;
    let changed = alternate(
        bench.runs,
        |round| {
            for package in (0..PACKAGES).step_by(PACKAGES / CHANGED) {
                let run = format!("2026-05-{:02}-120000", round % 28 + 1);
                history::append(&packages, &package_name(package)?, &entry(package, 0, &run))?;
            }
            Ok(())
        },
        || timed(|| refresh(&data, &packages)),
        cat,
    )?;
    let what = format!("status index of {PACKAGES} packages with {ENTRIES} entries each");
    let ten = format!("the same after {CHANGED} packages changed");
    Ok(vec![
        full.row(name, &what, "cat", 4.0),
        changed.row(&format!("{name}-again"), &ten, "cat", 0.4),
    ])
}

fn refresh(data: &Path, packages: &Path) -> Result<()> {
    let index = status_index::generate(packages, None, status_index::read(data))?;
    status_index::write(data, &index)?;
    Ok(())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Appends from several processes, to a history each and all to one, against as many from one process:
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
                    command.args([number.to_string(), (APPENDS / processes).to_string()]);
                    Ok(command.stdin(Stdio::null()).spawn()?)
                })
                .collect::<Result<_>>()?;
            for mut child in children {
                if !child.wait()?.success() {
                    bail!("an appending process failed");
                }
            }
            Ok(start.elapsed())
        };
        let medians = alternate(bench.runs, |_| Ok(()), || appended(PROCESSES), || appended(1))?;
        let rate = APPENDS as f64 / medians.ours;
        eprintln!("{PROCESSES} processes, {what}: {rate:.0} appends a second");
        let work = format!("{APPENDS} history entries from {PROCESSES} processes, {what}");
        rows.push(medians.row(&format!("{name}{suffix}"), &work, "one process", limit));
    }
    Ok(rows)
}

/// Arguments of the processes that [`append`] starts.
#[derive(clap::Args)]
pub struct Append {
    packages: PathBuf,
    number: usize,
    count: usize,
}

/// Appends, as one of several processes.
///
/// # Errors
/// When an entry cannot be appended.
pub fn append_some(arguments: &Append) -> Result<()> {
    let package = package_name(arguments.number)?;
    for count in 0..arguments.count {
        let entry = entry(arguments.number, count, "2026-03-01-120000");
        history::append(&arguments.packages, &package, &entry)?;
    }
    Ok(())
}

/// The last result of each build in one long history, against reading all of it.
pub fn latest(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let packages = bench.directory.join("long");
    let package = package_name(0)?;
    let mut content = String::new();
    for count in 0..APPENDS {
        line(&mut content, &entry(0, count % 500, "2026-03-01-120000"))?;
    }
    write(&history::path(&packages, &package), &content)?;
    let medians = alternate(
        bench.runs,
        |_| Ok(()),
        || timed(|| Ok(_ = history::read_latest(&packages, &package)?)),
        || timed(|| Ok(_ = history::read(&packages, &package)?)),
    )?;
    let work = format!("last result of each build in a history of {APPENDS} entries");
    Ok(vec![medians.row(name, &work, "all entries", 1.0)])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Writes the histories; returns their files.
fn generate(packages: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::with_capacity(PACKAGES);
    for package in 0..PACKAGES {
        let mut content = String::new();
        for count in 0..ENTRIES {
            let run = format!("2026-{:02}-{:02}-120000", 3 + count / 28, 1 + count % 28);
            line(&mut content, &entry(package, count, &run))?;
        }
        let file = history::path(packages, &package_name(package)?);
        write(&file, &content)?;
        files.push(file);
    }
    Ok(files)
}

fn write(file: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

fn line(content: &mut String, entry: &Entry) -> Result<()> {
    content.push_str(&serde_json::to_string(entry)?);
    content.push('\n');
    Ok(())
}

fn package_name(package: usize) -> Result<PackageName> {
    Ok(format!("package-{package}.1.0").parse()?)
}

/// An entry as an ecosystem has them: two compilers, build hashes that change every ten runs and with
/// them the result, one build in six failing, one package in a hundred flaky.
fn entry(package: usize, count: usize, run: &str) -> Entry {
    let flaky = package.is_multiple_of(100) && count.is_multiple_of(3);
    let success = !(package + count / 10).is_multiple_of(6) && !flaky;
    Entry {
        ts: format!("{}T12:00:00Z", run.get(..10).unwrap_or(run)),
        run: run.to_owned(),
        build_hash: format!(
            "{:064x}",
            (package as u128) << 64 | (count / 10 * 2 + count % 2) as u128
        ),
        status: if success { "success" } else { "failure" }.to_owned(),
        category: if success { "success" } else { "build_failure" }.to_owned(),
        compiler: if count.is_multiple_of(2) {
            "ocaml-base-compiler.5.2.0"
        } else {
            "ocaml-base-compiler.4.14.2"
        }
        .to_owned(),
        blessed: count.is_multiple_of(2),
        error: (!success)
            .then(|| "Error: This expression has type string but int was expected".to_owned()),
        ..Entry::default()
    }
}
