//! The commands that read and keep run data, on a small ecosystem.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use larder_runs::DataDir;
use larder_runs::build_lock::{Stage, acquire};
use larder_runs::gc::{References, publish_references};
use larder_runs::history::{Entry, append};
use larder_runs::run_log::{Failure, Outcome, Run, finish_run, start_run};

const R1: &str = "2026-03-01-120000";
const R2: &str = "2026-03-02-120000";

/// Two runs: `fmt` breaks, `zlib` recovers, `new` appears; `odoc` always fails.
struct Ecosystem {
    directory: tempfile::TempDir,
    data: DataDir,
}

impl Ecosystem {
    fn new() -> Ecosystem {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("data"));
        let add = |package: &str, run: &str, category: &str, blessed: bool| {
            let success = category == "success";
            let entry = Entry {
                ts: format!("{}T12:00:00Z", &run[..10]),
                run: run.to_owned(),
                build_hash: format!("{package}-hash"),
                status: if success { "success" } else { "failure" }.to_owned(),
                category: category.to_owned(),
                compiler: "ocaml-base-compiler.5.2.0".to_owned(),
                blessed,
                error: (!success).then(|| "Error: \u{1b}[31mUnbound module Foo".to_owned()),
                ..Entry::default()
            };
            append(&data.packages(), &package.parse().unwrap(), &entry).unwrap();
        };
        add("fmt.0.9.0", R1, "success", true);
        add("fmt.0.9.0", R2, "build_failure", true);
        add("zlib.1.3.1", R1, "network", true);
        add("zlib.1.3.1", R2, "success", true);
        add("odoc.2.4.0", R1, "timeout", false);
        add("odoc.2.4.0", R2, "timeout", false);
        add("new.1", R2, "success", true);
        Ecosystem { directory, data }
    }

    fn run(&self) -> Run {
        start_run(&self.data.runs()).unwrap()
    }

    fn larder(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo_bin!("larder"));
        command.args(arguments).current_dir(self.directory.path()).env_remove("CI");
        command.env("LARDER_DATA_DIR", self.data.root()).env_remove("LARDER_SLACK_WEBHOOK");
        command
    }

    /// Standard output of a command that succeeds.
    fn shown(&self, arguments: &[&str]) -> String {
        let output = self.larder(arguments).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    }

    /// The events of a command that succeeds.
    fn events(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let text = self.shown(&[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Exit code and standard error of a command that fails.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.larder(arguments).assert().failure();
        let output = output.get_output();
        (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
    }
}

/// Words with one space between: ages, and with them the widths of columns, depend on today.
fn without_ages(text: &str) -> String {
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if let Some(unit) = words.iter().position(|word| *word == "d") {
            words[unit - 1] = "N";
        }
        words.join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn status_shows_every_package() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(without_ages(&ecosystem.shown(&["status"])), @r#"
    run 2026-03-02-120000
    blessed 2 of 3 work (1 build_failure)
    other 0 of 1 work (1 timeout)
    changes 1 broken, 1 working again, 1 new, 0 gone since 2026-03-01-120000

    PACKAGE BLESSED OTHERS RECENT FAILING FOR
    fmt.0.9.0 failure - █▁ N d build_failure
    new.1 success - █
    odoc.2.4.0 - 0/1 ▁▁ N d timeout
    zlib.1.3.1 success - ▁█
    "#);
    let events = ecosystem.events(&["status", "--failing"]);
    assert_eq!((events[0]["event"].as_str(), events.len()), (Some("status"), 3));
    assert_eq!(events[0]["blessed"]["byStatus"]["success"], 2);
    assert_eq!(
        (events[1]["package"].as_str(), events[1]["recent"].as_str()),
        (Some("fmt.0.9.0"), Some("+-"))
    );
}

#[test]
fn changes_and_failures_tell_what_broke() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(ecosystem.shown(&["changes"]), @r#"
    PACKAGE              FROM     TO       CATEGORY       BUILD
    fmt.0.9.0   blessed  success  failure  build_failure  fmt.0.9.0-ha
    zlib.1.3.1  blessed  failure  success  success        zlib.1.3.1-h
    new new.1
    "#);
    assert!(ecosystem.shown(&["changes", "--since", R2]).is_empty());
    let kinds: Vec<_> = ecosystem
        .events(&["changes"])
        .iter()
        .map(|e| e["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["change", "change", "newPackage"]);

    insta::assert_snapshot!(without_ages(&ecosystem.shown(&["failures"])), @r#"
    PACKAGE CATEGORY FOR SINCE RUN TIMES ERROR
    fmt.0.9.0 blessed build_failure N d 2026-03-02-120000 1 Error: [31mUnbound module Foo
    odoc.2.4.0 timeout N d 2026-03-01-120000 2 Error: [31mUnbound module Foo
    "#);
    let failures = ecosystem.events(&["failures", "--category", "build-failure"]);
    assert_eq!((failures.len(), failures[0]["package"].as_str()), (1, Some("fmt.0.9.0")));
}

#[test]
fn history_shows_entries_and_refuses_paths() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(ecosystem.shown(&["history", "fmt.0.9.0"]), @r#"
    WHEN                  RUN                BUILD                  CATEGORY       COMPILER                   ERROR
    2026-03-01T12:00:00Z  2026-03-01-120000  fmt.0.9.0-ha  blessed  success        ocaml-base-compiler.5.2.0
    2026-03-02T12:00:00Z  2026-03-02-120000  fmt.0.9.0-ha  blessed  build_failure  ocaml-base-compiler.5.2.0  Error:  [31mUnbound module Foo
    "#);
    assert_eq!(ecosystem.events(&["history", "fmt.0.9.0", "--latest"]).len(), 1);
    let (code, error) = ecosystem.refused(&["history", "fmt.1.0"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(error, @r#"
    error: there is no history of fmt.1.0
    there are fmt.0.9.0
    "#);
    let (code, error) = ecosystem.refused(&["history", "../../etc/passwd"]);
    assert_eq!(code, 2);
    assert!(error.contains("is refused"), "{error}");
}

#[test]
fn runs_and_logs_are_shown() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.run();
    let log = ecosystem.directory.path().join("log");
    fs::write(&log, "gcc -c fmt.c\nerror: no\n").unwrap();
    run.add_build_log(&"fmt.0.9.0".parse().unwrap(), &log, &"abc".parse().unwrap()).unwrap();
    let failure = Failure {
        package: "fmt.0.9.0".into(),
        build_hash: None,
        category: "build_failure".into(),
        error: Some("error: no".into()),
    };
    let id = run.id().to_string();
    let outcome = Outcome {
        requested: 3,
        built: 2,
        failed: 1,
        failures: vec![failure],
        ..Outcome::default()
    };
    finish_run(run, outcome).unwrap();
    let died = ecosystem.run();
    let running = ecosystem.run();
    let died_id = died.id().to_string();
    drop(died);

    let events = ecosystem.events(&["runs"]);
    let states: Vec<_> = events.iter().map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "died", "finished"]);
    assert!(ecosystem.shown(&["runs", "list", "-n", "1"]).contains(running.id().as_str()));
    assert!(ecosystem.shown(&["runs"]).contains("died"));
    let shown = ecosystem.shown(&["runs", "show", &id]);
    assert!(
        shown.contains("failed      1") && shown.contains("build_failure  error: no"),
        "{shown}"
    );
    assert_eq!(ecosystem.events(&["runs", "show", &id])[0]["logs"][0], "fmt.0.9.0");

    assert_eq!(ecosystem.shown(&["log", &id, "fmt.0.9.0"]), "gcc -c fmt.c\nerror: no\n");
    assert_eq!(
        ecosystem.shown(&["log", &id, "fmt.0.9.0", "--follow"]),
        "gcc -c fmt.c\nerror: no\n"
    );
    assert_eq!(
        ecosystem.events(&["log", &id, "fmt.0.9.0"])[0]["text"],
        "gcc -c fmt.c\nerror: no\n"
    );
    assert_eq!(ecosystem.refused(&["log", &died_id, "fmt.0.9.0"]).0, 1);
    assert_eq!(ecosystem.refused(&["log", &id, "../x.1"]).0, 2);
    assert_eq!(ecosystem.refused(&["runs", "show", "2020-01-01-000000"]).0, 1);
    assert_eq!(ecosystem.refused(&["runs", "show", "../.."]).0, 2);
}

#[test]
fn locks_are_listed_and_only_stale_ones_removed() {
    let ecosystem = Ecosystem::new();
    let locks = ecosystem.data.locks();
    let _held = acquire(&locks, Stage::Build, "fmt.0.9.0", |_| {}).unwrap();
    fs::write(locks.join("doc-zlib.1.3.1.lock"), "").unwrap();
    let stale = |events: Vec<serde_json::Value>| {
        events.iter().map(|event| event["stale"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(stale(ecosystem.events(&["locks"])), [false, true]);
    assert!(ecosystem.shown(&["locks", "--cleanup"]).contains("removed"));
    assert_eq!(stale(ecosystem.events(&["locks"])), [false]);
    assert!(ecosystem.shown(&["locks"]).contains(&format!("process {}", std::process::id())));
}

#[test]
fn gc_says_what_it_removes_and_what_it_frees() {
    let ecosystem = Ecosystem::new();
    let layer = |name: &str| {
        fs::create_dir_all(ecosystem.data.layers().join(name)).unwrap();
        fs::write(ecosystem.data.layers().join(name).join("a"), vec![1; 5000]).unwrap();
    };
    layer("kept");
    layer("unused");
    let run = ecosystem.run();
    let layers = ["kept".parse().unwrap()].into();
    publish_references(&ecosystem.data, &run, &References { layers, ..References::default() })
        .unwrap();
    assert!(ecosystem.shown(&["gc", "--dry-run"]).contains("WOULD REMOVE"));
    assert!(ecosystem.data.layers().join("unused").exists());
    let events = ecosystem.events(&["gc", "--history-days", "30"]);
    assert_eq!(
        (events[0]["what"].as_str(), &events[0]["removed"]),
        (Some("layers"), &serde_json::json!(["unused"]))
    );
    assert!(events[0]["bytes"].as_u64().unwrap() >= 8192);
    assert!(
        ecosystem.data.layers().join("kept/a").exists()
            && !ecosystem.data.layers().join("unused").exists()
    );
}

#[test]
fn notify_says_what_changed_and_nothing_when_nothing_did() {
    let ecosystem = Ecosystem::new();
    insta::assert_snapshot!(ecosystem.shown(&["notify", "--channel", "stdout"]), @r#"
    larder 2026-03-02-120000: 1 broken, 1 working again, 2 of 3 work

    Broken (1):
      fmt.0.9.0: build_failure: Error: Unbound module Foo

    Working again (1):
      zlib.1.3.1

    New packages (1):
      new.1

    Compared with 2026-03-01-120000.
    "#);
    assert_eq!(ecosystem.shown(&["notify", "--channel", "stdout"]), "", "it has been said");
    assert_eq!(ecosystem.shown(&["notify", "--message", "hello"]), "hello\n");
    let (code, error) = ecosystem.refused(&["notify", "--channel", "slack"]);
    assert_eq!(code, 2);
    assert!(error.contains("LARDER_SLACK_WEBHOOK"), "{error}");
    assert_eq!(ecosystem.refused(&["notify", "--channel", "irc"]).0, 2);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = ecosystem
        .larder(&["notify", "--channel", "slack", "--channel", "stdout", "--message", "hello"])
        .env("LARDER_SLACK_WEBHOOK", format!("http://{gone}/s3cret"))
        .assert()
        .code(1);
    let output = output.get_output();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("hello"), "the others hear of it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("slack: not delivered") && !error.contains("s3cret"), "{error}");

    fs::remove_dir_all(ecosystem.data.packages()).unwrap();
    assert_eq!(ecosystem.shown(&["notify"]), "");
}

#[test]
fn the_data_directory_is_found() {
    let ecosystem = Ecosystem::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let larder = |directory: &Path| {
        let mut command = ecosystem.larder(&["failures", "--json"]);
        command.env_remove("LARDER_DATA_DIR").current_dir(directory);
        command
    };
    let error = larder(elsewhere.path()).assert().code(2);
    assert!(String::from_utf8_lossy(&error.get_output().stdout).contains("no data directory"));
    larder(elsewhere.path()).args(["--data-dir", "missing"]).assert().code(2);
    let root = ecosystem.data.root();
    larder(elsewhere.path()).arg("--data-dir").arg(root).assert().success();

    fs::write(elsewhere.path().join("larder-set.toml"), "").unwrap();
    fs::create_dir_all(elsewhere.path().join(".larder")).unwrap();
    fs::create_dir(elsewhere.path().join("sub")).unwrap();
    std::os::unix::fs::symlink(root, elsewhere.path().join(".larder/data")).unwrap();
    let found = larder(&elsewhere.path().join("sub")).assert().success();
    assert_eq!(String::from_utf8_lossy(&found.get_output().stdout).lines().count(), 2);
}
