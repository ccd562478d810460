//! `status`, `changes`, `failures`, `history`, `runs`.

use std::fs;

use larder_runs::result::{RunKind, Stage};
use larder_runs::run_log::{Ending, LogName, Scope};

use super::support::{Ecosystem, R1, R2, logged, result, without_ages};

#[test]
fn status_shows_every_package() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(without_ages(&ecosystem.shown(&["status"])), @r"
    run 2026-03-02-120000
    packages 2 of 5 work (2 fail, 1 blocked)
    blessed 2 of 4 work (1 build_failure, 1 dependency_failure)
    other 0 of 1 work (1 timeout)
    changes 1 broken, 1 working again, 2 new, 0 gone since 2026-03-01-120000

    PACKAGE STATE OTHERS RECENT FAILING FOR
    blocked.1 blocked - ▁ N d dependency_failure
    fmt.0.9.0 failed - █▁ N d build_failure
    new.1 worked - █
    odoc.2.4.0 failed 0/1 ▁▁ N d timeout
    zlib.1.3.1 worked - ▁█
    ");
    let events = ecosystem.events(&["status", "--failing"]);
    assert_eq!((events[0]["event"].as_str(), events.len()), (Some("status"), 4));
    assert_eq!(events[0]["blessed"]["byStatus"]["success"], 2);
    assert_eq!(events[0]["numbers"]["packages"], 5);
    let fmt = events.iter().find(|event| event["package"] == "fmt.0.9.0").unwrap();
    assert_eq!((fmt["recent"].as_str(), fmt["state"].as_str()), (Some("+-"), Some("failed")));
}

#[test]
fn changes_tell_what_broke_since_a_run_that_there_was() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(ecosystem.shown(&["changes"]), @r"
    PACKAGE              STAGE  FROM     TO       CATEGORY       BUILD
    fmt.0.9.0   blessed  build  success  failure  build_failure  fmt_0_9_0-ha
    zlib.1.3.1  blessed  build  failure  success  success        zlib_1_3_1-h
    new blocked.1
    new new.1
    ");
    assert!(ecosystem.shown(&["changes", "--since", R2]).is_empty());
    assert!(ecosystem.shown(&["changes", "--since", "latest"]).is_empty());
    assert!(ecosystem.shown(&["changes", "--since", R1]).contains("fmt.0.9.0"));
    let kinds: Vec<_> = ecosystem
        .events(&["changes"])
        .iter()
        .map(|e| e["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["change", "change", "newPackage", "newPackage"]);
    let error = ecosystem.refused(&["changes", "--since", "2026-03-01-120001"], 2);
    insta::assert_snapshot!(error, @r"
    error: there is no run 2026-03-01-120001: did you mean 2026-03-01-120000?
      help: `larder runs` lists them
    ");
    let error = ecosystem.refused(&["changes", "--since", "lastest"], 2);
    assert!(error.contains("did you mean latest?"), "{error}");
    // A rerun of one package is no new baseline.
    let rerun = ecosystem.start("2026-03-03", RunKind::Rerun, Scope::All);
    rerun.record(result("2026-03-03-120000", "zlib.1.3.1", "success", true)).unwrap();
    rerun.finish(Ending::Complete).unwrap();
    assert_eq!(ecosystem.events(&["changes"]).len(), 4);
}

#[test]
fn failures_are_counted_under_their_roots() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(without_ages(&ecosystem.shown(&["failures"])), @r"
    PACKAGE CATEGORY FOR BLOCKS SINCE RUN TIMES ERROR
    fmt.0.9.0 blessed build_failure N d 2026-03-02-120000 1 Error: Unbound� module Foo
    odoc.2.4.0 timeout N d 1 2026-03-01-120000 2 Error: Unbound� module Foo
    and 1 blocked build because of these: --roots says which blocks how many, --cascades lists them
    ");
    assert!(ecosystem.shown(&["failures", "--cascades"]).contains("odoc.2.4.0 failed"));
    let listed = ecosystem.shown(&["failures", "--category", "dependency-failure"]);
    assert!(listed.contains("blocked.1"), "asked for, they are listed: {listed}");
    insta::assert_snapshot!(without_ages(&ecosystem.shown(&["failures", "--roots"])), @r"
    ROOT UNBLOCKS BLOCKS CATEGORY FOR ERROR
    odoc.2.4.0 1 1 timeout N d Error: Unbound� module Foo
    fmt.0.9.0 0 0 build_failure N d Error: Unbound� module Foo
    fixing odoc.2.4.0 unblocks 1 package
    ");
    let failures = ecosystem.events(&["failures", "--category", "build-failure"]);
    assert_eq!((failures.len(), failures[0]["package"].as_str()), (1, Some("fmt.0.9.0")));
    let error = ecosystem.refused(&["failures", "--category", "biuld_failure"], 2);
    assert!(error.contains("did you mean build_failure?"), "{error}");
    fs::write(ecosystem.data.rules(), "[[rule]]\ncategory = \"licence\"\n").unwrap();
    assert_eq!(ecosystem.shown(&["failures", "--category", "licence"]), "");
    ecosystem.refused(&["failures", "--stage", "bild"], 2);
}

#[test]
fn a_root_is_mended_only_where_a_result_says_so() {
    let ecosystem = Ecosystem::new();
    let state = || ecosystem.events(&["failures", "--roots"])[0]["state"].clone();
    assert_eq!(state(), "failing");
    // odoc.2.4.0, which blocks another, leaves the set.
    ecosystem.full("2026-03-03", &[("blocked.1", "dependency_failure", true)]);
    assert_eq!(state(), "unknown");
    let shown = ecosystem.shown(&["failures", "--roots"]);
    assert!(shown.contains("the set has no result of it") && !shown.contains("fixing"), "{shown}");
    let all = [("blocked.1", "dependency_failure", true), ("odoc.2.4.0", "success", true)];
    ecosystem.full("2026-03-04", &all);
    assert_eq!(state(), "mended");
    let shown = ecosystem.shown(&["failures", "--roots"]);
    assert!(shown.contains("works again") && !shown.contains("fixing"), "{shown}");
}

#[test]
fn history_shows_entries_and_refuses_paths() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(ecosystem.shown(&["history", "fmt.0.9.0"]), @r"
    WHEN                  PACKAGE    STAGE  CATEGORY                BUILD         RUN                COMPILER                   ERROR
    2026-03-01T12:00:00Z  fmt.0.9.0  build  success        blessed  fmt_0_9_0-ha  2026-03-01-120000  ocaml-base-compiler.5.2.0
    2026-03-02T12:00:00Z  fmt.0.9.0  build  build_failure  blessed  fmt_0_9_0-ha  2026-03-02-120000  ocaml-base-compiler.5.2.0  Error: Unbound� module Foo
    ");
    assert_eq!(ecosystem.events(&["history", "fmt.0.9.0", "--latest"]).len(), 1);
    assert_eq!(ecosystem.events(&["history", "fmt"]).len(), 2, "the version can be left out");
    ecosystem.full("2026-03-04", &[("fmt.0.9.1", "success", true)]);
    assert_eq!(ecosystem.events(&["history", "fmt"]).len(), 3, "all versions");
    let error = ecosystem.refused(&["history", "fmt.1.0"], 1);
    insta::assert_snapshot!(error, @r"
    error: there is no history of fmt.1.0
      help: there are fmt.0.9.0, fmt.0.9.1
    ");
    assert!(ecosystem.refused(&["history", "zilb"], 1).contains("did you mean zlib?"));
    let error = ecosystem.refused(&["history", "../../etc/passwd"], 2);
    assert!(error.contains("is refused"), "{error}");
}

#[test]
fn runs_are_shown_with_numbers_that_add_up() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Rerun, Scope::Packages(vec!["fmt".into()]));
    logged(&run, "fmt.0.9.0", 1, "one\n");
    let name = LogName::new("fmt.0.9.0".parse().unwrap(), Stage::Build, "h".parse().unwrap(), 1);
    drop(run.log_writer(&name).unwrap());
    let died = run.id().to_string();
    drop(run);
    let running = ecosystem.start("2026-03-04", RunKind::Full, Scope::All);

    let events = ecosystem.events(&["runs"]);
    let states: Vec<_> = events.iter().map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "died", "finished", "finished"]);
    assert!(ecosystem.shown(&["runs", "list", "-n", "1"]).contains(running.id().as_str()));
    let shown = ecosystem.shown(&["runs", "show", R2]);
    assert!(shown.contains("packages  5: 2 work, 2 fail, 1 blocked"), "{shown}");
    assert!(shown.contains("build     5: 2 work, 2 fail, 1 blocked"), "{shown}");
    let shown = ecosystem.shown(&["runs", "show", &died]);
    assert!(shown.contains("2 logs, 1 without a result: the run ended first"), "{shown}");
    assert!(shown.contains("kind     rerun, of fmt"), "{shown}");
    let event = &ecosystem.events(&["runs", "show", &died])[0];
    assert_eq!(event["logsWithoutResult"][0], "logs/fmt.0.9.0/h.build.1.log");
    let error = ecosystem.refused(&["runs", "show", "2026-03-02-120001"], 1);
    assert!(error.contains("did you mean 2026-03-02-120000?"), "{error}");
    ecosystem.refused(&["runs", "show", "../.."], 2);
}
