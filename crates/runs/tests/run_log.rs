//! The life of a run, as its own process and as others see it.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{child, package, role};
use larder_runs::name::RunId;
use larder_runs::progress::{self, Progress};
use larder_runs::run_log::{
    Failure, LogKind, Outcome, RunState, finish_run, follow_log, list_runs, log_path,
    logged_packages, read_layer, read_run, run_ids, start_run,
};

#[test]
fn a_run_goes_from_running_to_finished() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let run = start_run(&runs).unwrap();
    assert!(run.dir().join("run.json").is_file());
    let id = run.id().clone();
    let record = read_run(&runs, &id).unwrap().unwrap();
    assert_eq!((record.state, record.info.unwrap().pid), (RunState::Running, std::process::id()));

    let source = root.path().join("log");
    fs::write(&source, "building\n").unwrap();
    let zlib = package("zlib.1.3.1");
    run.add_build_log(&zlib, &source, &"abc123".parse().unwrap()).unwrap();
    run.add_doc_log(&zlib, &source, &"def456".parse().unwrap()).unwrap();
    assert!(run.add_build_log(&zlib, &root.path().join("missing"), &"a".parse().unwrap()).is_err());
    progress::write(
        run.dir(),
        &Progress::create(id.clone(), "2026-03-01T12:00:00Z".into(), vec![]),
    )
    .unwrap();

    let dir = run.dir().to_owned();
    let failure = Failure {
        package: "fmt.0.9.0".into(),
        build_hash: None,
        category: "timeout".into(),
        error: None,
    };
    let outcome = Outcome {
        requested: 3,
        solved: 2,
        built: 1,
        failed: 1,
        failures: vec![failure],
        ..Outcome::default()
    };
    let summary = finish_run(run, outcome.clone()).unwrap();
    assert_eq!((summary.run_id.clone(), summary.outcome.clone()), (id.clone(), outcome));

    let record = read_run(&runs, &id).unwrap().unwrap();
    assert_eq!((record.state, record.summary), (RunState::Finished, Some(summary)));
    assert_eq!(progress::read(&dir), None);
    assert_eq!(fs::read_to_string(log_path(&dir, LogKind::Build, &zlib)).unwrap(), "building\n");
    assert_eq!(read_layer(&dir, LogKind::Docs, &zlib).unwrap().as_str(), "def456");
    assert_eq!(logged_packages(&dir, LogKind::Build).unwrap(), [zlib]);
}

#[test]
fn a_run_without_a_process_has_died() {
    let root = tempfile::tempdir().unwrap();
    let run = start_run(root.path()).unwrap();
    let id = run.id().clone();
    drop(run);
    assert_eq!(read_run(root.path(), &id).unwrap().unwrap().state, RunState::Died);
    fs::write(root.path().join(id.as_str()).join("summary.json"), "{").unwrap();
    assert_eq!(read_run(root.path(), &id).unwrap().unwrap().state, RunState::Died);
    assert_eq!(read_run(root.path(), &"2020-01-01-000000".parse().unwrap()).unwrap(), None);
    assert!(list_runs(&root.path().join("missing")).unwrap().is_empty());
}

#[test]
fn a_later_run_never_sorts_before_an_earlier_one() {
    let root = tempfile::tempdir().unwrap();
    // As if the clock had been set back since.
    for id in ["2999-01-01-000000", "2999-01-01-000000-9"] {
        fs::create_dir_all(root.path().join(id).join("x")).unwrap();
    }
    assert_eq!(start_run(root.path()).unwrap().id().as_str(), "2999-01-01-000000-10");
    assert_eq!(start_run(root.path()).unwrap().id().as_str(), "2999-01-01-000000-11");
}

#[test]
fn ids_are_unique_across_processes_and_threads() {
    if let Some((_, runs)) = role() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..5).for_each(|_| println!("id={}", start_run(&runs).unwrap().id()))
                });
            }
        });
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let start = || child("ids_are_unique_across_processes_and_threads", "start", root.path());
    let children: Vec<_> =
        (0..6).map(|_| start().stdout(std::process::Stdio::piped()).spawn().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some((_, id)) = line.split_once("id=") {
                assert!(ids.insert(id.parse::<RunId>().unwrap()), "{id} twice");
            }
        }
    }
    assert_eq!(ids.len(), 6 * 4 * 5);
    assert_eq!(run_ids(root.path()).unwrap(), ids.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_log_is_followed_until_it_is_complete() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let run = start_run(&runs).unwrap();
    let zlib = package("zlib.1.3.1");
    let log = log_path(run.dir(), LogKind::Build, &zlib);
    let (mut end, output) = std::io::pipe().unwrap();
    std::thread::scope(|scope| {
        let id = run.id().clone();
        let (runs, zlib) = (&runs, &zlib);
        scope.spawn(move || {
            let mut output = output;
            follow_log(runs, &id, LogKind::Build, zlib, &mut output).unwrap();
        });
        let mut read = |expected: &str| {
            let mut found = vec![0; expected.len()];
            std::io::Read::read_exact(&mut end, &mut found).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        };
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        fs::write(&log, "one\n").unwrap();
        read("one\n");
        let whole = root.path().join("whole");
        fs::write(&whole, "one\ntwo\n").unwrap();
        run.add_build_log(zlib, &whole, &"abc".parse().unwrap()).unwrap();
        read("two\n");
    });
    let id = run.id().clone();
    drop(run);
    let error = follow_log(&runs, &id, LogKind::Docs, &zlib, &mut Vec::new()).unwrap_err();
    assert!(error.is_missing(), "the run is over and has no such log: {error}");
}
