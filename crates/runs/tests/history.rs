//! Histories: what is recorded is read, whoever else records and however it ended.

mod common;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use common::{child, full, package, result, role, start};
use jiff::Timestamp;
use larder_runs::history::{self, Entry, compact, read, read_latest};
use larder_runs::result::{BuildRef, Exit, LogFile, Origin, RunKind, Stage, StageResult};
use larder_runs::run_log::{LogName, Run, Scope};
use larder_runs::status_index::{compare, generate};
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir};
use proptest::prelude::*;

const R1: &str = "2026-03-01-120000";
const FMT: &str = "fmt.0.9.0";

fn add_bytes(data: &DataDir, bytes: &[u8]) {
    let path = history::path(&data.packages(), &package(FMT));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn entries(data: &DataDir) -> Vec<Entry> {
    read(&data.packages(), &package(FMT)).unwrap().entries
}

/// A result with everything that a result can have.
fn rich(run: &Run) -> StageResult {
    let mut result = result(R1, FMT, "h1", "build_failure", true);
    let name = LogName::new(result.package.clone(), Stage::Build, "h1".parse().unwrap(), 2);
    let mut log = run.log_writer(&name).unwrap();
    log.write_all(b"gcc -c fmt.c\nfmt.c:1: error: no\n").unwrap();
    result.attempt = 2;
    result.universe = Some("u1".parse().unwrap());
    result.solution = Some("s1".parse().unwrap());
    result.dep_hash = Some("d1".parse().unwrap());
    result.rule = Some("gcc-error".to_owned());
    result.exit = Some(Exit { code: Some(1), ..Exit::default() });
    result.start = "2026-03-01T11:59:58.250Z".parse().unwrap();
    result.wall_ms = Some(1750);
    result.cpu_ms = Some(1600);
    result.queued_ms = Some(20);
    result.peak_memory_bytes = Some(50 << 20);
    result.host = Some("build1".to_owned());
    result.jobs = Some(4);
    result.platform = Some("x86_64-linux".to_owned());
    result.log = Some(LogFile { line: Some(2), offset: Some(13), ..log.finish() });
    result
}

#[test]
fn results_come_back_as_they_were_recorded() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    assert_eq!(read(&data.packages(), &package(FMT)).unwrap(), history::History::default());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let recorded = [
        run.record(result(R1, FMT, "h1", "success", true)).unwrap(),
        run.record(rich(&run)).unwrap(),
        run.record(result(R1, FMT, "h2", "dependency_failure", false)).unwrap(),
    ];
    assert_eq!(entries(&data), recorded);
    assert_eq!(read_latest(&data.packages(), &package(FMT)).unwrap(), recorded[1..]);
    assert_eq!(history::packages(&data.packages()).unwrap(), [package(FMT)]);
}

#[test]
fn a_line_looks_like_this() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    run.record(rich(&run)).unwrap();
    let line = fs::read_to_string(history::path(&data.packages(), &package(FMT))).unwrap();
    insta::assert_snapshot!(line, @r#"{"schemaVersion":2,"run":"2026-03-01-120000","kind":"full","package":"fmt.0.9.0","stage":"build","compiler":"ocaml-base-compiler.5.2.0","universe":"u1","solution":"s1","buildHash":"h1","depHash":"d1","blessed":true,"status":"failure","category":"build_failure","rule":"gcc-error","origin":"built","attempt":2,"exit":{"code":1},"start":"2026-03-01T11:59:58.250Z","ts":"2026-03-01T12:00:00.000Z","wallMs":1750,"cpuMs":1600,"queuedMs":20,"peakMemoryBytes":52428800,"host":"build1","jobs":4,"platform":"x86_64-linux","error":"Error: Unbound module Foo","log":{"path":"logs/fmt.0.9.0/h1.build.2.log","bytes":32,"line":2,"offset":13}}"#);
    let results = fs::read_to_string(run.dir().join("results.jsonl")).unwrap();
    assert_eq!(results, line, "the run's results hold the same line");
}

#[test]
fn lines_of_the_first_version_and_of_day11_are_read() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let first = r#"{"ts":"2026-03-01T12:00:00Z","run":"2026-03-01-120000","buildHash":"h1","status":"failure","category":"doc_link_failure","compiler":"ocaml-base-compiler.5.2.0","blessed":true,"error":"no"}"#;
    let day11 = r#"{"ts":"2026-03-02T12:00:00Z","run":"2026-03-02-120000","build_hash":"h2","status":"failure","category":"dependency_failure","compiler":"","blessed":false,"error":null,"failed_dep":"a.1","failed_dep_hash":"x","more":1}"#;
    let none = r#"{"ts":"2026-03-03T12:00:00Z","run":"2026-03-03-120000","build_hash":"","status":"failure","category":"no_solution","compiler":"","blessed":false}"#;
    add_bytes(&data, format!("{first}\n{day11}\n{none}\n").as_bytes());
    let found = entries(&data);
    let short: Vec<_> =
        found.iter().map(|entry| (entry.kind, entry.result.stage, entry.result.origin)).collect();
    assert_eq!(
        short,
        [
            (RunKind::Full, Stage::Doc, Origin::Built),
            (RunKind::Full, Stage::Build, Origin::Skipped),
            (RunKind::Full, Stage::Solve, Origin::Built)
        ]
    );
    let blocked = &found[1].result;
    let dependency = BuildRef { package: package("a.1"), build_hash: None };
    assert_eq!(blocked.failed_dependencies, [dependency]);
    assert_eq!((blocked.package.as_str(), &blocked.compiler), (FMT, &None));
    assert_eq!((found[2].result.build_hash.as_ref(), found[2].schema_version), (None, 1));
    let index = generate(&data, None).unwrap();
    assert_eq!(index.numbers.unsolved_packages, 1);
}

#[test]
fn broken_lines_are_skipped_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    add_bytes(&data, b"");
    assert!(entries(&data).is_empty());
    full(&data, R1, &[(FMT, "h1", "success", true)]);
    add_bytes(&data, b"not json\n\xff\xfe\n\n{\"ts\":1}\n{\"ts\":\"2026-03-02T1");
    let broken = || read(&data.packages(), &package(FMT)).unwrap().broken;
    assert_eq!((entries(&data).len(), broken()), (1, 4));

    // The torn last line does not swallow the next entry.
    full(&data, "2026-03-02-120000", &[(FMT, "h1", "timeout", true)]);
    assert_eq!((entries(&data).len(), broken()), (2, 4));
    let latest = read_latest(&data.packages(), &package(FMT)).unwrap();
    assert_eq!(latest[0].result.category, Category::Timeout);
}

#[test]
fn compact_keeps_what_the_status_needs_and_says_what_it_forgot() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let now: Timestamp = "2026-03-11T12:00:00Z".parse().unwrap();
    let failing = [(FMT, "h1", "build_failure", true)];
    full(
        &data,
        "2026-01-01-120000",
        &[(FMT, "h1", "success", true), ("zlib.1", "z", "success", true)],
    );
    full(&data, "2026-01-02-120000", &[(FMT, "h2", "success", false)]);
    for run in ["2026-02-01-120000", "2026-02-02-120000", "2026-02-03-120000"] {
        full(&data, run, &failing);
    }
    let compacted = |days| compact(&data.packages(), &package(FMT), days, now).unwrap();
    let before = generate(&data, None).unwrap().packages.remove(FMT).unwrap();
    add_bytes(&data, b"torn");
    let report = compacted(30);
    assert_eq!((report.kept, report.removed, report.broken), (3, 2, 1));
    let kept: Vec<_> = entries(&data).iter().map(|entry| entry.run.to_string()).collect();
    assert_eq!(kept, ["2026-01-02-120000", "2026-02-02-120000", "2026-02-03-120000"]);
    let history = read(&data.packages(), &package(FMT)).unwrap();
    let checkpoint = history.checkpoint.unwrap();
    assert_eq!(
        (checkpoint.first_run.as_str(), checkpoint.removed_entries),
        ("2026-01-01-120000", 2)
    );
    assert_eq!(history.broken, 0, "a checkpoint is no broken line");

    let mut index = generate(&data, None).unwrap();
    let after = &index.packages[FMT];
    assert_eq!((&after.failures, &after.first_run), (&before.failures, &before.first_run));
    assert_eq!(
        (after.failures[0].since_run.as_str(), after.failures[0].times),
        ("2026-02-01-120000", 3)
    );
    compare(&data, &mut index, "2026-01-20-120000".to_owned()).unwrap();
    assert!(index.new_packages.is_empty(), "an old package is not new");

    let path = history::path(&data.packages(), &package(FMT));
    let modified = || fs::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    assert_eq!(compacted(30).removed, 0);
    assert_eq!(modified(), before, "nothing to remove, nothing written");

    // A second time the counts go on from the checkpoint.
    for run in ["2026-03-01-120000", "2026-03-02-120000", "2026-03-03-120000"] {
        full(&data, run, &failing);
    }
    assert_eq!(compacted(7).removed, 3);
    let failing = &generate(&data, None).unwrap().packages[FMT].failures[0];
    assert_eq!((failing.since_run.as_str(), failing.times), ("2026-02-01-120000", 6));

    // 0 days: everything up to now goes, last or not; the checkpoint stays.
    compacted(0);
    assert!(entries(&data).is_empty());
    full(&data, "2026-03-12-120000", &[(FMT, "h1", "build_failure", true)]);
    let index = generate(&data, None).unwrap();
    assert_eq!(index.packages[FMT].failures[0].times, 7);
    assert_eq!(index.packages[FMT].first_run, "2026-01-01-120000");
    assert_eq!(compact(&data.packages(), &package("none.1"), 0, now).unwrap().kept, 0);
}

const CHILDREN: usize = 8;
const THREADS: usize = 8;
const RECORDS: usize = 200;

/// The result that thread `thread` of process `child` records as its `count`th.
fn numbered(child: &str, thread: usize, count: usize) -> StageResult {
    let mut result = result(R1, FMT, &format!("{child}-{thread}"), "build_failure", false);
    result.attempt = count as u32 + 1;
    result.error = Some(format!("{count} {}", "x".repeat(count % 300)));
    result
}

#[test]
fn eight_processes_of_eight_threads_record_to_one_history() {
    if let Some((child, root)) = role() {
        let data = DataDir::new(root);
        let run = start(&data, R1, RunKind::Full, Scope::All);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (child, run) = (&child, &run);
                scope.spawn(move || {
                    for count in 0..RECORDS {
                        run.record(numbered(child, thread, count)).unwrap();
                    }
                });
            }
        });
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let children: Vec<_> = (0..CHILDREN)
        .map(|number| {
            let test = "eight_processes_of_eight_threads_record_to_one_history";
            let mut child = child(test, &number.to_string(), root.path());
            child.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let history = read(&data.packages(), &package(FMT)).unwrap();
    assert_eq!((history.entries.len(), history.broken), (CHILDREN * THREADS * RECORDS, 0));
    // All there, and each thread's in the order in which it recorded them.
    let mut next: HashMap<String, u32> = HashMap::new();
    for entry in history.entries {
        let count = next.entry(entry.result.build_hash.unwrap().to_string()).or_insert(1);
        assert_eq!(entry.result.attempt, *count);
        *count += 1;
    }
    assert_eq!(next.len(), CHILDREN * THREADS);
}

fn record(data: &DataDir, result: StageResult) -> Entry {
    let plan = larder_runs::run_log::Plan::default();
    Run::start(data, plan, Clock::system()).unwrap().record(result).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a history, a result recorded after it is read back, and so is every entry before.
    #[test]
    fn a_record_survives_any_content(garbage in proptest::collection::vec(any::<u8>(), 0..200), error in ".*", hash in "[a-z]{1,3}") {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(Path::new(root.path()));
        let first = record(&data, result(R1, FMT, "first", "success", true));
        add_bytes(&data, &garbage);
        let failed = result(R1, FMT, &hash, "build_failure", false);
        let last = record(&data, StageResult { error: Some(error), ..failed });
        let entries = entries(&data);
        prop_assert_eq!(entries.first(), Some(&first));
        prop_assert_eq!(entries.last(), Some(&last));
    }

    /// `read_latest` is `read` with all but the last entry of each stage of each build left out.
    #[test]
    fn read_latest_is_the_last_of_each(hashes in proptest::collection::vec("[a-c]", 0..30)) {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(root.path());
        let run = start(&data, R1, RunKind::Full, Scope::All);
        for (count, hash) in hashes.iter().enumerate() {
            let attempt = count as u32 + 1;
            run.record(StageResult { attempt, ..result(R1, FMT, hash, "success", false) }).unwrap();
        }
        let all = entries(&data);
        let last = |entry: &Entry| all.iter().rfind(|other| other.result.build_hash == entry.result.build_hash) == Some(entry);
        let expected: Vec<Entry> = all.iter().filter(|entry| last(entry)).cloned().collect();
        prop_assert_eq!(read_latest(&data.packages(), &package(FMT)).unwrap(), expected);
    }
}
