//! Processes killed at random instants: nothing is lost but what was in flight.
//!
//! Each test starts itself again in a process that does one operation over and over and says on standard
//! output what it has completed. That process gets SIGKILL after a random time, 100 times in a row.

mod common;

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Killed, child, entry, package, role};
use larder_runs::DataDir;
use larder_runs::atomic_swap::{Recovered, Swap, recover};
use larder_runs::gc::{Options, References, gc_all, publish_references};
use larder_runs::history::{append, compact, read, read_latest};
use larder_runs::progress::{self, Progress};
use larder_runs::run_log::{Outcome, RunState, finish_run, list_runs, start_run};
use larder_runs::time::now;

const INSTANTS: usize = 100;

/// Says that `done` is complete, in one write, on a line of its own (the harness leaves one unfinished).
fn acknowledge(done: impl std::fmt::Display) {
    std::io::stdout().write_all(format!("\ndone {done}\n").as_bytes()).unwrap();
}

/// Runs the child of test `name` on `directory`, kills it after up to 12 ms of work, and returns what it
/// had acknowledged.
fn killed(name: &str, directory: &Path) -> Vec<String> {
    let mut child = Killed(
        child(name, "victim", directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    // The harness prints first; the time counts from when the work begins.
    let mut line = String::new();
    while !line.starts_with("done") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended before it began");
    }
    let random = RandomState::new().build_hasher().finish();
    std::thread::sleep(Duration::from_micros(random % 12_000));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let all = line + &rest;
    all.lines().filter_map(|line| line.strip_prefix("done ").map(str::to_owned)).collect()
}

fn numbered(number: usize) -> larder_runs::history::Entry {
    let mut entry = entry("2026-03-01-120000", &format!("h{}", number % 7), "build_failure", false);
    // Several pages: a write of one page is not cut.
    entry.error = Some(format!("{number} {}", "x".repeat(20_000)));
    entry
}

#[test]
fn killed_in_append() {
    let fmt = package("fmt.0.9.0");
    if let Some((_, packages)) = role() {
        for number in 0.. {
            append(&packages, &fmt, &numbered(number)).unwrap();
            acknowledge(number);
        }
    }
    for _ in 0..INSTANTS {
        let packages = tempfile::tempdir().unwrap();
        let done = killed("killed_in_append", packages.path()).len();
        append(packages.path(), &fmt, &numbered(usize::MAX)).unwrap();
        let history = read(packages.path(), &fmt).unwrap();
        let (last, entries) = history.entries.split_last().unwrap();
        assert_eq!(last, &numbered(usize::MAX), "the append after the crash is whole");
        assert!(
            (done..=done + 1).contains(&entries.len()),
            "{done} acknowledged, {} there",
            entries.len()
        );
        assert!(entries.iter().enumerate().all(|(number, entry)| *entry == numbered(number)));
        assert!(history.broken <= 1);
    }
}

#[test]
fn killed_in_compact() {
    let fmt = package("fmt.0.9.0");
    if let Some((_, packages)) = role() {
        for number in 0.. {
            for count in 0..3 {
                append(&packages, &fmt, &numbered(3 * number + count)).unwrap();
            }
            acknowledge(3 * number + 2);
            compact(&packages, &fmt, 1, now()).unwrap();
        }
    }
    for _ in 0..INSTANTS {
        let packages = tempfile::tempdir().unwrap();
        let done: usize =
            killed("killed_in_compact", packages.path()).last().unwrap().parse().unwrap();
        let latest = read_latest(packages.path(), &fmt).unwrap();
        for number in (0..=done).rev().take(7) {
            let found = latest
                .iter()
                .find(|entry| entry.build_hash == numbered(number).build_hash)
                .unwrap();
            let found: usize =
                found.error.as_ref().unwrap().split(' ').next().unwrap().parse().unwrap();
            assert!(found >= number, "build of {number} last seen at {found}");
        }
        compact(packages.path(), &fmt, 1, now()).unwrap();
        assert_eq!(read(packages.path(), &fmt).unwrap().entries.len(), latest.len());
    }
}

const FILES: usize = 5;

#[test]
fn killed_in_swap() {
    if let Some((_, root)) = role() {
        for number in 0.. {
            let swap = Swap::begin(&root.join("live")).unwrap();
            for file in 0..FILES {
                fs::write(swap.dir().join(file.to_string()), number.to_string()).unwrap();
            }
            swap.commit().unwrap();
            acknowledge(number);
        }
    }
    for _ in 0..INSTANTS {
        let root = tempfile::tempdir().unwrap();
        let live = root.path().join("live");
        let over = AtomicBool::new(false);
        let done: usize = std::thread::scope(|scope| {
            // A reader meanwhile: once there, never gone.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && !live.exists() {
                    std::thread::yield_now();
                }
                while !over.load(Ordering::Relaxed) {
                    assert!(live.exists());
                }
            });
            let done = killed("killed_in_swap", root.path());
            over.store(true, Ordering::Relaxed);
            done.last().unwrap().parse().unwrap()
        });
        assert_ne!(recover(&live).unwrap(), Recovered::Busy);
        let versions: Vec<usize> = (0..FILES)
            .map(|file| fs::read_to_string(live.join(file.to_string())).unwrap().parse().unwrap())
            .collect();
        assert!(
            versions
                .iter()
                .all(|version| *version == versions[0] && (done..=done + 1).contains(version)),
            "{versions:?} after {done}"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing left beside it");
    }
}

#[test]
fn killed_in_gc() {
    let options = Options { dry_run: false, keep_runs: 10 };
    let layer = |data: &DataDir, name: &str| {
        let dir = data.layers().join(name);
        fs::create_dir_all(&dir).unwrap();
        for file in 0..FILES {
            fs::write(dir.join(file.to_string()), "x").unwrap();
        }
    };
    if let Some((_, root)) = role() {
        let data = DataDir::new(root);
        let run = start_run(&data.runs()).unwrap();
        let layers = (0..5).map(|number| format!("kept{number}").parse().unwrap()).collect();
        publish_references(&data, &run, &References { layers, ..References::default() }).unwrap();
        (0..5).for_each(|number| layer(&data, &format!("kept{number}")));
        for number in 0.. {
            (0..5).for_each(|unused| layer(&data, &format!("unused{unused}")));
            acknowledge(number);
            gc_all(&data, &options).unwrap();
        }
    }
    for _ in 0..INSTANTS {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(root.path());
        killed("killed_in_gc", root.path());
        // Whatever stood under its name is whole, but for the one being made when the process died.
        let whole =
            |name: &str| fs::read_dir(data.layers().join(name)).map_or(0, Iterator::count) == FILES;
        assert!((0..5).all(|number| whole(&format!("kept{number}"))));
        let report = gc_all(&data, &options).unwrap();
        assert!(report.is_complete());
        let mut left: Vec<_> =
            fs::read_dir(data.layers()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept0", "kept1", "kept2", "kept3", "kept4"]);
    }
}

#[test]
fn killed_in_finish() {
    let zlib = package("zlib.1.3.1");
    if let Some((_, root)) = role() {
        let source = root.join("source.log");
        fs::write(&source, "log\n").unwrap();
        loop {
            let run = start_run(&root.join("runs")).unwrap();
            run.add_build_log(&zlib, &source, &"abc".parse().unwrap()).unwrap();
            let progress =
                Progress::create(run.id().clone(), String::new(), vec!["x".repeat(10_000)]);
            progress::write(run.dir(), &progress).unwrap();
            let summary = finish_run(run, Outcome { requested: 7, ..Outcome::default() }).unwrap();
            acknowledge(summary.run_id);
        }
    }
    for _ in 0..INSTANTS {
        let root = tempfile::tempdir().unwrap();
        let done = killed("killed_in_finish", root.path());
        let runs = list_runs(&root.path().join("runs")).unwrap();
        assert!(runs.iter().all(|run| run.info.is_some() && run.state != RunState::Running));
        let finished: Vec<_> = runs.iter().filter(|run| run.state == RunState::Finished).collect();
        assert!(finished.iter().all(|run| run.summary.as_ref().unwrap().outcome.requested == 7));
        assert!(done.iter().all(|id| finished.iter().any(|run| run.run_id.as_str() == id)));
        assert!((done.len()..=done.len() + 1).contains(&finished.len()));
        assert!(runs.len() <= finished.len() + 1);
    }
}
