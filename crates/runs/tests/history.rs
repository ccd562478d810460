//! Histories: what is appended is read, whoever else appends and however it ended.

mod common;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use common::{child, entry, package, role};
use jiff::Timestamp;
use larder_runs::history::{self, Entry, append, compact, read, read_blessed, read_latest};
use proptest::prelude::*;

fn add_bytes(packages: &Path, bytes: &[u8]) {
    let path = history::path(packages, &package("fmt.0.9.0"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn entries_come_back_in_order() {
    let packages = tempfile::tempdir().unwrap();
    let fmt = package("fmt.0.9.0");
    assert_eq!(read(packages.path(), &fmt).unwrap(), history::History::default());
    let mut third = entry("2026-03-03-120000", "h1", "dependency_failure", true);
    third.failed_dep = Some("zlib.1.3.1".into());
    third.failed_dep_hash = Some("z".into());
    let entries = [
        entry("2026-03-01-120000", "h1", "success", true),
        entry("2026-03-02-120000", "h2", "build_failure", false),
        third,
    ];
    for entry in &entries {
        append(packages.path(), &fmt, entry).unwrap();
    }
    assert_eq!(read(packages.path(), &fmt).unwrap().entries, entries);
    assert_eq!(read_latest(packages.path(), &fmt).unwrap(), entries[1..]);
    assert_eq!(read_blessed(packages.path(), &fmt).unwrap().as_ref(), Some(&entries[2]));
    assert_eq!(history::packages(packages.path()).unwrap(), [fmt]);
}

#[test]
fn a_line_looks_like_this_and_day11_lines_are_read() {
    let packages = tempfile::tempdir().unwrap();
    append(
        packages.path(),
        &package("fmt.0.9.0"),
        &entry("2026-03-01-120000", "h1", "build_failure", true),
    )
    .unwrap();
    let line = fs::read_to_string(history::path(packages.path(), &package("fmt.0.9.0"))).unwrap();
    insta::assert_snapshot!(line, @r#"{"ts":"2026-03-01T12:00:00Z","run":"2026-03-01-120000","buildHash":"h1","status":"failure","category":"build_failure","compiler":"ocaml-base-compiler.5.2.0","blessed":true,"error":"Error: Unbound module Foo"}"#);
    add_bytes(
        packages.path(),
        br#"{"ts":"t","run":"r","build_hash":"h2","status":"failure","category":"c","compiler":"","blessed":false,"error":null,"failed_dep":"a.1","failed_dep_hash":"x","more":1}"#,
    );
    let last = read(packages.path(), &package("fmt.0.9.0")).unwrap().entries.pop().unwrap();
    assert_eq!(
        (last.build_hash.as_str(), last.failed_dep.as_deref(), last.failed_dep_hash.as_deref()),
        ("h2", Some("a.1"), Some("x"))
    );
}

#[test]
fn broken_lines_are_skipped_and_counted() {
    let packages = tempfile::tempdir().unwrap();
    let fmt = package("fmt.0.9.0");
    add_bytes(packages.path(), b"");
    assert!(read(packages.path(), &fmt).unwrap().entries.is_empty());
    let first = entry("2026-03-01-120000", "h1", "success", true);
    append(packages.path(), &fmt, &first).unwrap();
    add_bytes(packages.path(), b"not json\n\xff\xfe\n\n{\"ts\":1}\n{\"ts\":\"2026-03-02T1");
    let history = read(packages.path(), &fmt).unwrap();
    assert_eq!((history.entries.as_slice(), history.broken), (&[first.clone()][..], 4));

    // The torn last line does not swallow the next entry.
    let second = entry("2026-03-02-120000", "h1", "timeout", true);
    append(packages.path(), &fmt, &second).unwrap();
    let history = read(packages.path(), &fmt).unwrap();
    assert_eq!((history.entries, history.broken), (vec![first, second.clone()], 4));
    assert_eq!(read_latest(packages.path(), &fmt).unwrap(), [second]);
}

#[test]
fn compact_keeps_the_last_entry_of_each_build() {
    let packages = tempfile::tempdir().unwrap();
    let fmt = package("fmt.0.9.0");
    let now: Timestamp = "2026-03-11T12:00:00Z".parse().unwrap();
    let old_lost = entry("2026-02-01-120000", "h1", "success", true);
    let old_last = entry("2026-02-02-120000", "h2", "success", false);
    let young = entry("2026-03-05-120000", "h1", "timeout", true);
    let future = entry("2999-01-01-000000", "h3", "success", false);
    let undated =
        Entry { ts: "yesterday".into(), ..entry("2026-02-01-130000", "h1", "success", true) };
    for entry in [&old_lost, &old_last, &undated, &young, &future] {
        append(packages.path(), &fmt, entry).unwrap();
    }
    add_bytes(packages.path(), b"torn");
    let report = compact(packages.path(), &fmt, 30, now).unwrap();
    assert_eq!((report.kept, report.removed, report.broken), (4, 1, 1));
    assert_eq!(
        read(packages.path(), &fmt).unwrap().entries,
        [old_last, undated.clone(), young, future.clone()]
    );

    let path = history::path(packages.path(), &fmt);
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(compact(packages.path(), &fmt, 30, now).unwrap().removed, 0);
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        before,
        "nothing to remove, nothing written"
    );

    // 0 days: everything up to now goes, last or not.
    assert_eq!(compact(packages.path(), &fmt, 0, now).unwrap().removed, 2);
    assert_eq!(read(packages.path(), &fmt).unwrap().entries, [undated, future]);
    assert_eq!(compact(packages.path(), &package("none.1"), 0, now).unwrap().kept, 0);
}

const CHILDREN: usize = 8;
const THREADS: usize = 8;
const APPENDS: usize = 1000;

/// The entry that thread `thread` of process `child` appends as its `count`th.
fn numbered(child: &str, thread: usize, count: usize) -> Entry {
    let hash = format!("{child}.{thread}");
    let mut entry = entry("2026-03-01-120000", &hash, "build_failure", false);
    entry.error = Some(format!("{count} {}", "x".repeat(count % 300)));
    entry
}

#[test]
fn eight_processes_of_eight_threads_append_to_one_history() {
    let fmt = package("fmt.0.9.0");
    if let Some((child, packages)) = role() {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (child, packages, fmt) = (&child, &packages, &fmt);
                scope.spawn(move || {
                    for count in 0..APPENDS {
                        append(packages, fmt, &numbered(child, thread, count)).unwrap();
                    }
                });
            }
        });
        return;
    }
    let packages = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let children: Vec<_> = (0..CHILDREN)
        .map(|number| {
            child(
                "eight_processes_of_eight_threads_append_to_one_history",
                &number.to_string(),
                packages.path(),
            )
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "{:.0} appends a second to one history",
        (CHILDREN * THREADS * APPENDS) as f64 / seconds
    );

    let history = read(packages.path(), &fmt).unwrap();
    assert_eq!((history.entries.len(), history.broken), (CHILDREN * THREADS * APPENDS, 0));
    // All there, and each thread's in the order in which it appended them.
    let mut next: HashMap<String, usize> = HashMap::new();
    for entry in history.entries {
        let (child, thread) = entry.build_hash.split_once('.').unwrap();
        let count = next.entry(entry.build_hash.clone()).or_default();
        assert_eq!(entry, numbered(child, thread.parse().unwrap(), *count));
        *count += 1;
    }
    assert!(next.values().all(|count| *count == APPENDS) && next.len() == CHILDREN * THREADS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a history, an entry appended to it is read back, and so is every entry before.
    #[test]
    fn an_append_survives_any_content(garbage in proptest::collection::vec(any::<u8>(), 0..200), error in ".*", hash in "[a-z]{1,3}") {
        let packages = tempfile::tempdir().unwrap();
        let fmt = package("fmt.0.9.0");
        let first = entry("2026-03-01-120000", "first", "success", true);
        append(packages.path(), &fmt, &first).unwrap();
        add_bytes(packages.path(), &garbage);
        let mut last = entry("2026-03-02-120000", &hash, "build_failure", false);
        last.error = Some(error);
        append(packages.path(), &fmt, &last).unwrap();
        let entries = read(packages.path(), &fmt).unwrap().entries;
        prop_assert_eq!(entries.first(), Some(&first));
        prop_assert_eq!(entries.last(), Some(&last));
    }

    /// `read_latest` is `read` with all but the last entry of each build left out.
    #[test]
    fn read_latest_is_the_last_of_each(hashes in proptest::collection::vec("[a-c]", 0..30)) {
        let packages = tempfile::tempdir().unwrap();
        let fmt = package("fmt.0.9.0");
        for (count, hash) in hashes.iter().enumerate() {
            append(packages.path(), &fmt, &Entry { ts: count.to_string(), ..entry("2026-03-01-120000", hash, "success", false) }).unwrap();
        }
        let all = read(packages.path(), &fmt).unwrap().entries;
        let last = |entry: &Entry| all.iter().rfind(|other| other.build_hash == entry.build_hash) == Some(entry);
        let expected: Vec<Entry> = all.iter().filter(|entry| last(entry)).cloned().collect();
        prop_assert_eq!(read_latest(packages.path(), &fmt).unwrap(), expected);
    }
}
