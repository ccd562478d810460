//! The life of a run, as its own process and as others see it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;

use common::{child, clock, full, package, result, role, start};
use larder_runs::name::RunId;
use larder_runs::progress;
use larder_runs::result::{BuildRef, LogFile, Origin, RunKind, Stage, StageResult};
use larder_runs::run_log::{
    Ending, LogName, Plan, Run, RunState, Scope, Summary, all_logs, find_logs, follow_log,
    is_growing, last_results, list_runs, open_log, read_results, read_run, recorded_result,
    run_ids,
};
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir, Error};

const R1: &str = "2026-03-01-120000";

fn log_name(name: &str, hash: &str) -> LogName {
    LogName::new(package(name), Stage::Build, hash.parse().unwrap(), 1)
}

#[test]
fn a_run_goes_from_running_to_finished() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let plan = Plan {
        command_line: vec!["larder".into(), "batch".into()],
        set_revision: Some("abc123".into()),
        compilers: vec![package("ocaml.5.2.0"), package("ocaml.4.14.2")],
        larder_version: Some("0.1.0".into()),
        ..Plan::new(RunKind::Full, Scope::All, vec![package("fmt.0.9.0"), package("zlib.1.3.1")])
    };
    let run = Run::start(&data, plan.clone(), clock(R1)).unwrap();
    let id = run.id().clone();
    assert_eq!(id.as_str(), R1, "the clock that was given tells the time");
    let record = read_run(&data.runs(), &id).unwrap().unwrap();
    let info = record.info.unwrap();
    assert_eq!((record.state, info.pid), (RunState::Running, std::process::id()));
    assert_eq!((info.plan, info.schema_version), (plan, 2));

    run.update_progress(|progress| {
        progress.build_total = 2;
        progress.running = vec!["fmt.0.9.0".into()];
        Ok(())
    })
    .unwrap();
    let mut log = run.log_writer(&log_name("fmt.0.9.0", "h1")).unwrap();
    log.write_all(b"error: no\n").unwrap();
    let refused = run.record(result(R1, "fmt.0.9.0", "h1", "timeout", true)).unwrap_err();
    assert!(refused.to_string().contains("still being written"), "{refused}");
    drop(log);
    let entry = run.record(result(R1, "fmt.0.9.0", "h1", "timeout", true)).unwrap();
    let log = entry.result.log.unwrap();
    assert_eq!((log.path.as_str(), log.bytes), ("logs/fmt.0.9.0/h1.build.1.log", 10));
    let progress = progress::read(run.dir()).unwrap();
    assert_eq!((progress.builds_completed, progress.failed_results), (1, 1));
    assert!(progress.running.is_empty());
    let again = result(R1, "fmt.0.9.0", "h1", "success", true);
    run.record(StageResult { attempt: 2, ..again }).unwrap();
    let progress = progress::read(run.dir()).unwrap();
    assert_eq!(progress.builds_completed, 1, "however often it is tried, it is one build");

    let dir = run.dir().to_owned();
    let summary = run.finish(Ending::Complete).unwrap();
    assert_eq!(summary.packages.unreached, 1, "zlib was asked for and has no result");
    let record = read_run(&data.runs(), &id).unwrap().unwrap();
    assert_eq!((record.state, record.summary), (RunState::Finished, Some(summary)));
    assert_eq!(progress::read(&dir), None);
}

#[test]
fn every_number_of_a_summary_is_derived() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let targets = ["a.1", "b.1", "c.1", "d.1", "e.1"].map(package).to_vec();
    let run = Run::start(&data, Plan { targets, ..Plan::default() }, clock(R1)).unwrap();
    let record = |result: StageResult| run.record(result).unwrap();
    // a: works in a second attempt, its documentation fails. b fails, c is blocked by it. d has no solution.
    record(result(R1, "a.1", "a", "network", true));
    record(StageResult { attempt: 2, ..result(R1, "a.1", "a", "success", true) });
    record(StageResult { stage: Stage::Doc, ..result(R1, "a.1", "a", "doc_link_failure", true) });
    record(result(R1, "b.1", "b", "build_failure", true));
    let on_b = vec![BuildRef { package: package("b.1"), build_hash: Some("b".parse().unwrap()) }];
    let blocked = |name: &str, hash: &str, on: Vec<BuildRef>| StageResult {
        failed_dependencies: on,
        ..result(R1, name, hash, "dependency_failure", true)
    };
    let c = record(blocked("c.1", "c", on_b.clone()));
    assert_eq!(c.result.root_failures, on_b);
    let f = record(blocked("f.1", "f", vec![c.result.build()]));
    assert_eq!(f.result.root_failures, on_b, "the root is b, and not c which it blocks");
    record(result(R1, "d.1", "", "no_solution", false));
    record(StageResult { origin: Origin::Cached, ..result(R1, "g.1", "g", "success", false) });
    let summary = run.finish(Ending::Interrupted).unwrap();
    insta::assert_json_snapshot!((&summary.packages, &summary.builds, &summary.stages, summary.results, &summary.failures), @r#"
    [
      {
        "total": 7,
        "requested": 5,
        "worked": 2,
        "failed": 1,
        "blocked": 2,
        "unsolved": 1,
        "unreached": 1
      },
      {
        "total": 5,
        "worked": 2,
        "failed": 1,
        "blocked": 2,
        "built": 2,
        "cached": 1,
        "restored": 0,
        "skipped": 2
      },
      {
        "solve": {
          "total": 1,
          "worked": 0,
          "failed": 1,
          "blocked": 0,
          "byCategory": {
            "no_solution": 1
          }
        },
        "build": {
          "total": 5,
          "worked": 2,
          "failed": 1,
          "blocked": 2,
          "byCategory": {
            "success": 2,
            "build_failure": 1,
            "dependency_failure": 2
          }
        },
        "doc": {
          "total": 1,
          "worked": 0,
          "failed": 1,
          "blocked": 0,
          "byCategory": {
            "doc_link_failure": 1
          }
        }
      },
      8,
      [
        {
          "package": "a.1",
          "buildHash": "a",
          "stage": "doc",
          "category": "doc_link_failure",
          "error": "Error: Unbound module Foo",
          "blockedPackages": 0
        },
        {
          "package": "b.1",
          "buildHash": "b",
          "stage": "build",
          "category": "build_failure",
          "error": "Error: Unbound module Foo",
          "blockedPackages": 2
        },
        {
          "package": "d.1",
          "stage": "solve",
          "category": "no_solution",
          "error": "Error: Unbound module Foo",
          "blockedPackages": 0
        }
      ]
    ]
    "#);
    let id = summary.run_id.clone();
    let record = read_run(&data.runs(), &id).unwrap().unwrap();
    assert_eq!(record.state, RunState::Interrupted);
}

#[test]
fn a_summary_of_the_first_version_is_read() {
    let first = r#"{"runId":"2026-03-01-120000","start":"2026-03-01T12:00:00Z","end":"2026-03-01T12:01:00Z","requested":5,"solved":4,"built":1,"cached":1,"failed":1,"cascaded":1,"documented":0,"failures":[{"package":"fmt.0.9.0","category":"timeout"}]}"#;
    let summary: Summary = serde_json::from_str(first).unwrap();
    let packages = &summary.packages;
    assert_eq!((packages.total, packages.worked, packages.unsolved), (5, 2, 1));
    assert_eq!((summary.seconds(), &summary.failures[0].category), (60, &Category::Timeout));
}

#[test]
fn what_cannot_be_is_not_recorded() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let fmt = || result(R1, "fmt.0.9.0", "h1", "success", true);
    run.record(fmt()).unwrap();
    let refused = |result: StageResult| match run.record(result) {
        Err(Error::Result { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(fmt()), "attempt 1 was recorded before");
    assert_eq!(
        refused(StageResult { blessed: true, ..result(R1, "a.1", "", "no_solution", false) }),
        "a solve cannot be blessed"
    );
    let log = LogFile {
        path: "logs/fmt.0.9.0/h9.build.1.log".into(),
        bytes: 0,
        line: None,
        offset: None,
        cut: false,
    };
    let elsewhere = StageResult { attempt: 2, log: Some(log), ..fmt() };
    assert!(refused(elsewhere).contains("its log is logs/fmt.0.9.0/h1.build.2.log"));
    assert_eq!(read_results(run.dir()).unwrap().len(), 1);
    let error = run.record(fmt()).unwrap_err();
    insta::assert_snapshot!(error, @"the build of fmt.0.9.0 is not recorded: attempt 1 was recorded before");
}

#[test]
fn a_run_without_a_process_has_died() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let id = run.id().clone();
    drop(run);
    let runs = data.runs();
    assert_eq!(read_run(&runs, &id).unwrap().unwrap().state, RunState::Died);
    fs::write(runs.join(id.as_str()).join("summary.json"), "{").unwrap();
    assert_eq!(read_run(&runs, &id).unwrap().unwrap().state, RunState::Died);
    assert_eq!(read_run(&runs, &"2020-01-01-000000".parse().unwrap()).unwrap(), None);
    assert!(list_runs(&runs.join("missing")).unwrap().is_empty());
}

#[test]
fn a_later_run_never_sorts_before_an_earlier_one() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    // As if the clock had been set back since.
    for id in ["2999-01-01-000000", "2999-01-01-000000-9"] {
        fs::create_dir_all(data.runs().join(id).join("x")).unwrap();
    }
    let id = || start(&data, R1, RunKind::Full, Scope::All).id().to_string();
    assert_eq!([id(), id()], ["2999-01-01-000000-10", "2999-01-01-000000-11"]);
}

#[test]
fn ids_are_unique_across_processes_and_threads() {
    let start = |data: &DataDir| Run::start(data, Plan::default(), Clock::system()).unwrap();
    if let Some((_, root)) = role() {
        let data = DataDir::new(root);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| println!("id={}", start(&data).id())));
            }
        });
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let command = || child("ids_are_unique_across_processes_and_threads", "start", root.path());
    let children: Vec<_> =
        (0..6).map(|_| command().stdout(std::process::Stdio::piped()).spawn().unwrap()).collect();
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
    let runs = DataDir::new(root.path()).runs();
    assert_eq!(run_ids(&runs).unwrap(), ids.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_log_is_followed_until_it_is_complete() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let name = log_name("zlib.1.3.1", "z");
    let mut writer = run.log_writer(&name).unwrap();
    let log = find_logs(&data.runs(), run.id(), &name.package).unwrap().pop().unwrap();
    assert_eq!(log.name, name);
    assert!(is_growing(&open_log(&data.runs(), &log).unwrap()));
    let (mut end, output) = io::pipe().unwrap();
    let runs = data.runs();
    std::thread::scope(|scope| {
        let (runs, log) = (&runs, &log);
        scope.spawn(move || follow_log(runs, log, 0, &mut { output }).unwrap());
        let mut read = |expected: &str| {
            let mut found = vec![0; expected.len()];
            io::Read::read_exact(&mut end, &mut found).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        };
        writer.write_all(b"one\n").unwrap();
        read("one\n");
        writer.write_all(b"two\n").unwrap();
        read("two\n");
        writer.finish();
    });
    assert_eq!(recorded_result(&data.runs(), &log).unwrap(), None, "not yet");
    run.record(result(R1, "zlib.1.3.1", "z", "success", true)).unwrap();
    assert!(recorded_result(&data.runs(), &log).unwrap().is_some());
}

#[test]
fn two_compilers_and_two_attempts_have_logs_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let fmt = package("fmt.0.9.0");
    let solve = |compiler: Option<&str>| LogName {
        package: fmt.clone(),
        stage: Stage::Solve,
        build_hash: None,
        compiler: compiler.map(package),
        attempt: 1,
    };
    let names = [
        log_name("fmt.0.9.0", "h1"),
        log_name("fmt.0.9.0", "h2"),
        LogName { attempt: 2, ..log_name("fmt.0.9.0", "h1") },
        LogName { stage: Stage::Doc, ..log_name("fmt.0.9.0", "h1") },
        solve(Some("ocaml.5.2.0~rc1")),
        solve(Some("ocaml.4.14.2")),
        solve(None),
    ];
    for (number, name) in names.iter().enumerate() {
        run.log_writer(name).unwrap().write_all(number.to_string().as_bytes()).unwrap();
    }
    assert!(run.log_writer(&names[0]).unwrap_err().to_string().contains("File exists"));
    let found = find_logs(&data.runs(), run.id(), &fmt).unwrap();
    assert_eq!(found.len(), names.len());
    for log in &found {
        let content = io::read_to_string(open_log(&data.runs(), log).unwrap()).unwrap();
        assert_eq!(log.name, names[content.parse::<usize>().unwrap()]);
    }

    // As the first version kept them.
    fs::create_dir(run.dir().join("docs")).unwrap();
    fs::write(run.dir().join("docs/zlib.1.3.1.log"), "old").unwrap();
    let all = all_logs(&data.runs(), run.id()).unwrap();
    assert_eq!((all.len(), all.last().unwrap().name.stage), (names.len() + 1, Stage::Doc));
}

#[test]
fn a_package_without_a_solution_has_a_result_for_each_compiler() {
    let root = tempfile::tempdir().unwrap();
    let run = start(&DataDir::new(root.path()), R1, RunKind::Full, Scope::All);
    let solve = |compiler: &str| StageResult {
        compiler: Some(package(compiler)),
        ..result(R1, "fmt.0.9.0", "", "no_solution", false)
    };
    run.record(solve("gcc.12")).unwrap();
    run.record(solve("clang.14")).unwrap();
    let error = run.record(solve("gcc.12")).unwrap_err().to_string();
    assert!(error.contains("attempt 1 was recorded before"), "{error}");
    assert_eq!(progress::read(run.dir()).unwrap().solutions_failed, 2);
    let summary = run.finish(Ending::Complete).unwrap();
    assert_eq!((summary.stages[&Stage::Solve].total, summary.packages.unsolved), (2, 1));
}

#[test]
fn nothing_is_opened_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path().join("data"));
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let secret = root.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("h1.build.1.log"), "s3cret").unwrap();
    let logs = run.dir().join("logs");
    fs::create_dir_all(logs.join("a.1")).unwrap();
    symlink(secret.join("h1.build.1.log"), logs.join("a.1/h1.build.1.log")).unwrap();
    symlink(&secret, logs.join("b.1")).unwrap();
    fs::create_dir_all(logs.join("c.1/h1.build.1.log")).unwrap();
    for name in ["a.1", "b.1", "c.1"] {
        let log = find_logs(&data.runs(), run.id(), &package(name)).unwrap().pop().unwrap();
        let error = open_log(&data.runs(), &log).unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{name}: {error}");
        assert!(follow_log(&data.runs(), &log, 0, &mut Vec::new()).is_err());
        let given = LogFile { path: log.path, bytes: 6, line: None, offset: None, cut: false };
        let result = StageResult { log: Some(given), ..result(R1, name, "h1", "success", true) };
        assert!(run.record(result).is_err());
    }
}

#[test]
fn a_result_that_a_killed_run_left_half_recorded_is_completed() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    run.record(result(R1, "a.1", "a", "success", true)).unwrap();
    run.record(result(R1, "b.1", "b", "timeout", true)).unwrap();
    // As if it had been killed after the first of two appends.
    let history = larder_runs::history::path(&data.packages(), &package("b.1"));
    fs::remove_dir_all(history.parent().unwrap()).unwrap();
    let index = || larder_runs::status_index::generate(&data, None).unwrap();
    assert_eq!(index().packages.len(), 1, "while it lives, it is about to append");
    let dir = run.dir().to_owned();
    drop(run);
    assert_eq!(index().packages.len(), 2, "readers see it");
    assert!(!history.exists(), "and write nothing");
    let entries = || larder_runs::history::read(&data.packages(), &package("b.1")).unwrap().entries;
    full(&data, "2026-03-02-120000", &[("c.1", "c", "success", true)]);
    assert_eq!(entries(), read_results(&dir).unwrap()[1..]);
    full(&data, "2026-03-03-120000", &[("c.1", "c", "success", true)]);
    assert_eq!(entries().len(), 1, "once");
}

#[test]
fn the_last_results_are_those_whose_lines_fit() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    assert!(last_results(run.dir(), 1000).unwrap().is_empty());
    for number in 0..20 {
        run.record(result(R1, &format!("p{number}.1"), "h", "success", true)).unwrap();
    }
    let all = read_results(run.dir()).unwrap();
    let size = fs::metadata(run.dir().join("results.jsonl")).unwrap().len();
    let mut count = 0;
    for bytes in (0..=size + 20).step_by(17) {
        let last = last_results(run.dir(), bytes).unwrap();
        assert!(all.ends_with(&last), "{bytes}");
        assert!(last.len() == count || last.len() == count + 1, "{bytes}: {}", last.len());
        count = last.len();
    }
    assert_eq!(count, 20);
}
