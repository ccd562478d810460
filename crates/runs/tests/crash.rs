//! Processes killed at random instants: nothing is lost but what was in flight.
//!
//! Each test starts itself again in a process that does one operation over and over and says on standard
//! output what it has completed. That process gets SIGKILL after a random time, 100 times in a row.

mod common;

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Killed, child, package, result, role, start};
use larder_runs::atomic_swap::{Recovered, Swap, recover};
use larder_runs::gc::{Options, References, gc_all, publish_references};
use larder_runs::history::{self, compact, read, read_latest};
use larder_runs::lock::FileLock;
use larder_runs::result::{BuildRef, RunKind, Stage, StageResult};
use larder_runs::run_log::{
    Ending, LogName, Plan, Run, RunState, Scope, all_logs, list_runs, open_log, pending,
    read_results, reconcile, recorded_result,
};
use larder_runs::time::{Clock, now};
use larder_runs::{DataDir, status_index};

const INSTANTS: usize = 100;

/// Says that `done` is complete, in one write, on a line of its own (the harness leaves one unfinished).
fn acknowledge(done: impl std::fmt::Display) {
    std::io::stdout().write_all(format!("\ndone {done}\n").as_bytes()).unwrap();
}

/// Runs the child of test `name` on `directory`, kills it after up to 12 ms of work, and returns what it
/// had acknowledged.
fn killed(name: &str, directory: &Path) -> Vec<String> {
    killed_as(name, "victim", directory)
}

fn killed_as(name: &str, role: &str, directory: &Path) -> Vec<String> {
    let mut child = Killed(
        child(name, role, directory).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
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

const R1: &str = "2026-03-01-120000";
const FMT: &str = "fmt.0.9.0";

/// The `number`th result of a package: several pages long, since a write of one page is not cut.
fn numbered(number: usize) -> StageResult {
    let mut result = result(R1, FMT, &format!("h{}", number % 7), "dependency_failure", false);
    let dependency = |index: usize| BuildRef {
        package: package(&format!("{}.{index}", "x".repeat(180))),
        build_hash: None,
    };
    result.failed_dependencies = (number..number + 40).map(dependency).collect();
    result.attempt = number as u32 + 1;
    result
}

#[test]
fn killed_in_compact() {
    let fmt = package(FMT);
    if let Some((_, root)) = role() {
        let data = DataDir::new(root);
        for number in 0.. {
            // Partial runs: of a full one everything would be kept.
            let run = start(&data, R1, RunKind::Rerun, Scope::All);
            for count in 0..3 {
                run.record(numbered(3 * number + count)).unwrap();
            }
            acknowledge(3 * number + 2);
            compact(&data.packages(), &fmt, 1, now()).unwrap();
        }
    }
    for _ in 0..INSTANTS {
        let root = tempfile::tempdir().unwrap();
        let packages = DataDir::new(root.path()).packages();
        let done: usize = killed("killed_in_compact", root.path()).last().unwrap().parse().unwrap();
        let latest = read_latest(&packages, &fmt).unwrap();
        for number in (0..=done).rev().take(7) {
            let hash = numbered(number).build_hash;
            let found = latest.iter().find(|entry| entry.result.build_hash == hash).unwrap();
            let found = found.result.attempt as usize - 1;
            assert!(found >= number, "build of {number} last seen at {found}");
        }
        compact(&packages, &fmt, 1, now()).unwrap();
        assert_eq!(read(&packages, &fmt).unwrap().entries.len(), latest.len());
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
        let run = start(&data, R1, RunKind::Full, Scope::All);
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

/// Eight processes, each with a run of its own, record results with logs to the same few histories, and one
/// after the other is killed at a random instant. Nothing acknowledged is lost, and every log has its result
/// or is known to have none.
#[test]
fn killed_in_record_and_finish() {
    if let Some((child, root)) = role() {
        let data = DataDir::new(root);
        for run in 0.. {
            let run_of = |count: usize| format!("{child}-{run}-{count}");
            let run = Run::start(&data, Plan::default(), Clock::system()).unwrap();
            for count in 0..4 {
                let name = LogName::new(
                    package(&format!("p{}.1", count % 3)),
                    Stage::Build,
                    run_of(count).parse().unwrap(),
                    1,
                );
                let mut log = run.log_writer(&name).unwrap();
                log.write_all(run_of(count).as_bytes()).unwrap();
                let log = log.finish();
                let mut result = numbered(count);
                result.package = name.package;
                result.build_hash = name.build_hash;
                result.attempt = 1;
                result.log = Some(log);
                let entry = run.record(result).unwrap();
                let hash = entry.result.build_hash.unwrap();
                acknowledge(format!("record {} {} {hash}", run.id(), entry.result.package));
            }
            let id = run.id().clone();
            run.finish(Ending::Complete).unwrap();
            acknowledge(format!("finish {id}"));
        }
    }
    const CROWD: usize = 8;
    for _ in 0..INSTANTS.div_ceil(CROWD) {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(root.path());
        let done: Vec<String> = std::thread::scope(|scope| {
            let children: Vec<_> = (0..CROWD)
                .map(|child| {
                    let (root, child) = (root.path(), child.to_string());
                    scope.spawn(move || killed_as("killed_in_record_and_finish", &child, root))
                })
                .collect();
            children.into_iter().flat_map(|child| child.join().unwrap()).collect()
        });
        check_records(&data, &done);
    }
}

/// The instant between the two appends, held open: the history is locked by another, as by one that
/// records to it at the same time.
#[test]
fn killed_between_the_run_and_the_history() {
    if let Some((_, root)) = role() {
        let run = start(&DataDir::new(&root), R1, RunKind::Full, Scope::All);
        run.record(numbered(0)).unwrap();
        wait(|| root.join("locked").exists());
        run.record(numbered(1)).unwrap();
        unreachable!("the history is locked");
    }
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let mut child = Killed(
        child("killed_between_the_run_and_the_history", "victim", root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let history = history::path(&data.packages(), &package(FMT));
    let results = data.runs().join(R1).join("results.jsonl");
    wait(|| history.exists());
    let lock = FileLock::exclusive(&history.with_file_name("history.lock")).unwrap();
    fs::write(root.path().join("locked"), "").unwrap();
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    // One that is killed while it writes has written a part of the line.
    let is_whole = |path: &Path| fs::read(path).is_ok_and(|content| content.ends_with(b"\n"));
    wait(|| lines(&results) == 2 && is_whole(&results));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    drop(lock);
    status_index::generate(&data, None).unwrap();
    reconcile(&data).unwrap();
    let entries = read(&data.packages(), &package(FMT)).unwrap().entries;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries, read_results(results.parent().unwrap()).unwrap());
}

/// The same while many results are recorded at once: the histories of some packages have theirs, those of others do not.
#[test]
fn killed_between_the_run_and_many_histories() {
    let name = |number: usize| package(&format!("p{number:03}.1"));
    let of = |number: usize, attempt: u32| StageResult {
        package: name(number),
        attempt,
        ..result(R1, FMT, "h1", "success", false)
    };
    if let Some((_, root)) = role() {
        let run = start(&DataDir::new(&root), R1, RunKind::Full, Scope::All);
        run.record(of(7, 1)).unwrap();
        wait(|| root.join("locked").exists());
        let results = (0..300).map(|number| of(number % 100, 2 + number as u32 / 100));
        run.record_all(results, |_| {}).unwrap();
        unreachable!("a history is locked");
    }
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let mut child = Killed(
        child("killed_between_the_run_and_many_histories", "victim", root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let path = |number| history::path(&data.packages(), &name(number));
    let results = data.runs().join(R1).join("results.jsonl");
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    wait(|| path(7).exists());
    let lock = FileLock::exclusive(&path(7).with_file_name("history.lock")).unwrap();
    fs::write(root.path().join("locked"), "").unwrap();
    // Of two threads or more, one is not held up, and does its whole share; a single one stops after the seventh.
    wait(|| lines(&results) > 1 && lines(&path(6)) > 0);
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    drop(lock);
    assert_eq!(lines(&path(7)), 1);
    let status = status_index::generate(&data, None).unwrap();
    assert_eq!(status.packages.len(), 100);
    reconcile(&data).unwrap();
    assert!(pending(&data).unwrap().is_empty());
    let recorded = read_results(results.parent().unwrap()).unwrap();
    for number in 0..100 {
        let of_this: Vec<_> =
            recorded.iter().filter(|entry| entry.result.package == name(number)).cloned().collect();
        assert_eq!(read(&data.packages(), &name(number)).unwrap().entries, of_this);
    }
}

/// Waits until something is so.
fn wait(so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(std::time::Instant::now() < deadline, "it never came to be");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn check_records(data: &DataDir, done: &[String]) {
    status_index::generate(data, None).unwrap();
    // What was half recorded is completed, and then there is nothing left to complete.
    reconcile(data).unwrap();
    assert!(pending(data).unwrap().is_empty());
    let mut histories = BTreeSet::new();
    for name in history::packages(&data.packages()).unwrap() {
        let past = read(&data.packages(), &name).unwrap();
        assert!(past.broken <= 8, "at most one torn line a process");
        for entry in past.entries {
            let key = format!("record {} {name} {}", entry.run, entry.result.build_hash.unwrap());
            assert!(histories.insert(key.clone()), "{key} twice");
        }
    }
    let mut recorded = BTreeSet::new();
    for run in list_runs(&data.runs()).unwrap() {
        assert!(run.info.is_some() && run.state != RunState::Running);
        let results = read_results(&data.runs().join(run.run_id.as_str())).unwrap();
        if let Some(summary) = &run.summary {
            assert_eq!((summary.builds.total, results.len()), (4, 4));
            recorded.insert(format!("finish {}", run.run_id));
        }
        for entry in &results {
            let (name, hash) = (&entry.result.package, entry.result.build_hash.as_ref().unwrap());
            recorded.insert(format!("record {} {name} {hash}", run.run_id));
        }
        let logs = all_logs(&data.runs(), &run.run_id).unwrap();
        let mut without = 0;
        for log in &logs {
            let content = std::io::read_to_string(open_log(&data.runs(), log).unwrap()).unwrap();
            match recorded_result(&data.runs(), log).unwrap() {
                Some(entry) => {
                    assert_eq!(content, entry.result.build_hash.unwrap().as_str());
                    assert_eq!(entry.result.log.unwrap().bytes, content.len() as u64);
                }
                None => without += 1,
            }
        }
        assert!(logs.len() - without == results.len() && without <= 1);
        assert!(without == 0 || run.state == RunState::Died, "a log without a result is told");
    }
    let records: BTreeSet<_> =
        recorded.iter().filter(|key| key.starts_with("record")).cloned().collect();
    assert_eq!(histories, records, "histories and runs tell the same");
    assert!(done.iter().all(|key| recorded.contains(key)), "nothing acknowledged is lost");
}
