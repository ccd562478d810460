//! The commands that read and keep run data, on a small ecosystem.

use std::fs;
use std::io::Write;
use std::path::Path;

use assert_cmd::Command;
use larder_runs::build_lock::{Purpose, acquire};
use larder_runs::gc::{References, publish_references};
use larder_runs::result::{BuildRef, Origin, RunKind, Stage, StageResult};
use larder_runs::run_log::{Ending, LogName, Plan, Run, Scope};
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir};

const R1: &str = "2026-03-01-120000";
const R2: &str = "2026-03-02-120000";

/// Two full runs: `fmt` breaks, `zlib` recovers, `new` appears; `odoc` always fails, and blocks `blocked`.
struct Ecosystem {
    directory: tempfile::TempDir,
    data: DataDir,
}

fn result(run: &str, package: &str, category: &str, blessed: bool) -> StageResult {
    let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
    let mut result = StageResult::success(package.parse().unwrap(), Stage::Build, time, time);
    result.build_hash = Some(hash_of(package));
    result.compiler = Some("ocaml-base-compiler.5.2.0".parse().unwrap());
    result.blessed = blessed;
    match Category::from(category) {
        Category::Success => result,
        Category::DependencyFailure => {
            let odoc: larder_runs::name::PackageName = "odoc.2.4.0".parse().unwrap();
            let build_hash = Some(hash_of(odoc.as_str()));
            result.failed_dependencies = vec![BuildRef { package: odoc, build_hash }];
            result.origin = Origin::Skipped;
            result.failed(Category::DependencyFailure, None)
        }
        category => {
            let error = "Error: \u{1b}[31mUnbound\u{202e} module Foo".to_owned();
            result.failed(category, Some(error))
        }
    }
}

fn hash_of(package: &str) -> larder_runs::name::HashName {
    format!("{}-hash", package.replace('.', "_")).parse().unwrap()
}

impl Ecosystem {
    fn new() -> Ecosystem {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("data"));
        let ecosystem = Ecosystem { directory, data };
        ecosystem.full(
            R1,
            &[
                ("fmt.0.9.0", "success", true),
                ("zlib.1.3.1", "network", true),
                ("odoc.2.4.0", "timeout", false),
            ],
        );
        ecosystem.full(
            R2,
            &[
                ("fmt.0.9.0", "build_failure", true),
                ("zlib.1.3.1", "success", true),
                ("odoc.2.4.0", "timeout", false),
                ("blocked.1", "dependency_failure", true),
                ("new.1", "success", true),
            ],
        );
        ecosystem
    }

    fn start(&self, run: &str, kind: RunKind, scope: Scope) -> Run {
        let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
        let plan = Plan::new(kind, scope, vec!["fmt.0.9.0".parse().unwrap()]);
        Run::start(&self.data, plan, Clock::new(move || time)).unwrap()
    }

    fn full(&self, run: &str, results: &[(&str, &str, bool)]) {
        let started = self.start(run, RunKind::Full, Scope::All);
        for (package, category, blessed) in results {
            started.record(result(run, package, category, *blessed)).unwrap();
        }
        started.finish(Ending::Complete).unwrap();
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
    let (code, error) = ecosystem.refused(&["changes", "--since", "2026-03-01-120001"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @r"
    error: there is no run 2026-03-01-120001: did you mean 2026-03-01-120000?
    `larder runs` lists them
    ");
    let (code, error) = ecosystem.refused(&["changes", "--since", "lastest"]);
    assert!(code == 2 && error.contains("did you mean latest?"), "{error}");
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
    let (code, error) = ecosystem.refused(&["failures", "--category", "biuld_failure"]);
    assert_eq!(code, 2);
    assert!(error.contains("did you mean build_failure?"), "{error}");
    fs::write(ecosystem.data.rules(), "[[rule]]\ncategory = \"licence\"\n").unwrap();
    assert_eq!(ecosystem.shown(&["failures", "--category", "licence"]), "");
    assert_eq!(ecosystem.refused(&["failures", "--stage", "bild"]).0, 2);
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
    let (code, error) = ecosystem.refused(&["history", "fmt.1.0"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(error, @r"
    error: there is no history of fmt.1.0
    there are fmt.0.9.0, fmt.0.9.1
    ");
    assert!(ecosystem.refused(&["history", "zilb"]).1.contains("did you mean zlib?"));
    let (code, error) = ecosystem.refused(&["history", "../../etc/passwd"]);
    assert_eq!(code, 2);
    assert!(error.contains("is refused"), "{error}");
}

/// A log of a package in a run, with its result.
fn logged(run: &Run, package: &str, attempt: u32, text: &str) {
    let (name, hash) = (package.parse().unwrap(), hash_of(package));
    let name = LogName::new(name, Stage::Build, hash, attempt);
    run.log_writer(&name).unwrap().write_all(text.as_bytes()).unwrap();
    let failed = result(&format!("{}-120000", &run.id().as_str()[..10]), package, "timeout", true);
    run.record(StageResult { attempt, ..failed }).unwrap();
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
    let (code, error) = ecosystem.refused(&["runs", "show", "2026-03-02-120001"]);
    assert!(code == 1 && error.contains("did you mean 2026-03-02-120000?"), "{error}");
    assert_eq!(ecosystem.refused(&["runs", "show", "../.."]).0, 2);
}

#[test]
fn the_newest_log_of_a_package_is_shown() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    logged(&run, "fmt.0.9.0", 1, "old\n");
    run.finish(Ending::Complete).unwrap();
    let run = ecosystem.start("2026-03-04", RunKind::Full, Scope::All);
    logged(&run, "fmt.0.9.0", 1, "first\n");
    logged(
        &run,
        "fmt.0.9.0",
        2,
        "gcc -c fmt.c\n\u{1b}[31merror\u{1b}[0m:\u{1b}]0;title\u{7} no\n3\n4\n5",
    );
    logged(&run, "zlib.1.3.1", 1, "zlib\n");
    let id = run.id().to_string();
    run.finish(Ending::Complete).unwrap();
    ecosystem.full("2026-03-05", &[("zlib.1.3.1", "success", true)]);

    let whole = "gcc -c fmt.c\nerror: no\n3\n4\n5";
    assert_eq!(ecosystem.shown(&["log", "fmt.0.9.0"]), whole);
    assert_eq!(ecosystem.shown(&["log", "fmt"]), whole);
    assert_eq!(ecosystem.shown(&["log", &id, "fmt.0.9.0"]), whole);
    assert_eq!(ecosystem.shown(&["log", "fmt", "--follow"]), whole);
    assert_eq!(ecosystem.shown(&["log", "fmt", "--attempt", "1"]), "first\n");
    assert_eq!(ecosystem.shown(&["log", "fmt", "--tail", "2"]), "4\n5");
    assert_eq!(ecosystem.shown(&["log", "fmt", "-f", "--tail", "0"]), "");
    assert_eq!(ecosystem.shown(&["log", "fmt", "--tail", "99"]), whole);
    assert_eq!(ecosystem.shown(&["log", "fmt", "--lines", "2-3"]), "error: no\n3\n");
    assert_eq!(ecosystem.shown(&["log", "fmt", "--lines", "4-"]), "4\n5");
    assert_eq!(ecosystem.shown(&["log", "fmt", "--lines", "1"]), "gcc -c fmt.c\n");
    let colours = ecosystem.shown(&["log", "fmt", "--color", "always"]);
    assert!(colours.contains("\u{1b}[31merror") && !colours.contains("title"), "{colours:?}");
    for follow in [&["log", "fmt"][..], &["log", "fmt", "-f"]] {
        let events = ecosystem.events(follow);
        let text: String = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
        assert!(text.starts_with("gcc -c fmt.c\n") && text.ends_with("\n5"), "{text:?}");
        assert_eq!(
            (events[0]["attempt"].as_u64(), events[0]["stage"].as_str()),
            (Some(2), Some("build"))
        );
    }
    for wrong in ["0", "5-2", "-", "x", "1-x"] {
        let lines = format!("--lines={wrong}");
        assert_eq!(ecosystem.refused(&["log", "fmt", &lines]).0, 2, "{wrong}");
    }
    let (code, error) = ecosystem.refused(&["log", R2, "fmt.0.9.0"]);
    assert!(code == 1 && error.contains("has no such log"), "{error}");
    assert!(ecosystem.refused(&["log", &id, "fmt.0.9.9"]).1.contains("did you mean fmt.0.9.0?"));
    assert_eq!(ecosystem.refused(&["log", &id, "fmt", "--docs"]).0, 1);
    assert_eq!(ecosystem.refused(&["log", &id, "../x.1"]).0, 2);
    assert_eq!(ecosystem.refused(&["log", "../x.1"]).0, 2);
    assert_eq!(ecosystem.refused(&["log", "latest"]).0, 2);
}

#[test]
fn a_log_without_a_result_is_told() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    let name = LogName::new("fmt.0.9.0".parse().unwrap(), Stage::Build, "h".parse().unwrap(), 1);
    let mut log = run.log_writer(&name).unwrap();
    log.write_all(b"half").unwrap();
    let said = |arguments: &[&str]| {
        let output = ecosystem.larder(arguments).assert().success();
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    assert!(said(&["log", "fmt"]).contains("no result yet"));
    drop((log, run));
    assert!(said(&["log", "fmt", "-f"]).contains("its run ended before there was one"));
}

#[test]
fn no_log_is_shown_through_a_link() {
    let ecosystem = Ecosystem::new();
    let secret = ecosystem.directory.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("h.build.1.log"), "s3cret\n").unwrap();
    let logs = ecosystem.data.runs().join(R2).join("logs");
    fs::create_dir_all(logs.join("fmt.0.9.0")).unwrap();
    let link = std::os::unix::fs::symlink::<std::path::PathBuf, std::path::PathBuf>;
    link(secret.join("h.build.1.log"), logs.join("fmt.0.9.0/h.build.1.log")).unwrap();
    link(secret, logs.join("zlib.1.3.1")).unwrap();
    for package in ["fmt.0.9.0", "zlib.1.3.1"] {
        for more in [&[][..], &["-f"], &["--json"], &["--tail", "1"]] {
            let output = ecosystem.larder(&[&["log", package][..], more].concat()).assert().code(1);
            let output = output.get_output();
            let all = [output.stdout.as_slice(), &output.stderr].concat();
            let all = String::from_utf8_lossy(&all);
            assert!(all.contains("links are not followed") && !all.contains("s3cret"), "{all}");
        }
    }
}

#[test]
fn output_that_cannot_be_written_fails() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    logged(&run, "fmt.0.9.0", 1, "one\n");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["changes"],
        &["failures"],
        &["history", "fmt"],
        &["runs"],
        &["runs", "show", R2],
        &["log", "fmt"],
        &["log", "fmt", "--json"],
        &["gc", "-n"],
        &["--help"],
    ] {
        let program = assert_cmd::cargo_bin!("larder");
        let mut command = std::process::Command::new(program);
        command.args(arguments).env("LARDER_DATA_DIR", ecosystem.data.root());
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(!error.contains("os error"), "{arguments:?}: {error}");
        assert!(
            arguments == ["--help"] || error.contains("No space left"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn tables_fit_sixty_columns() {
    let ecosystem = Ecosystem::new();
    let _held = acquire(&ecosystem.data.locks(), Purpose::Build, "fmt.0.9.0", |_| {}).unwrap();
    for (arguments, first) in [
        (&["status"][..], "fmt.0.9.0"),
        (&["changes"], "fmt.0.9.0"),
        (&["failures"], "fmt.0.9.0"),
        (&["failures", "--roots"], "odoc.2.4.0"),
        (&["failures", "--cascades"], "blocked.1"),
        (&["history", "fmt"], "2026-03-02T12:00:00Z"),
        (&["runs"], R2),
        (&["runs", "show", R2], "fmt.0.9.0"),
        (&["locks"], "build"),
        (&["gc", "-n"], "layers"),
    ] {
        let output = ecosystem.larder(arguments).env("COLUMNS", "60").assert().success();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let rows = text.lines().skip_while(|line| !line.starts_with(char::is_uppercase));
        let long = rows.filter(|line| line.chars().count() > 60 && !line.starts_with("and "));
        assert_eq!(long.collect::<Vec<_>>(), [""; 0], "{arguments:?}");
        assert!(text.lines().any(|line| line.starts_with(first)), "{arguments:?}: {text}");
        for hidden in ["\u{1b}", "\u{202e}"] {
            assert!(!text.contains(hidden), "{arguments:?}: {text:?}");
        }
    }
    let events = ecosystem.larder(&["failures", "--json"]).assert().success();
    let text = String::from_utf8(events.get_output().stdout.clone()).unwrap();
    assert!(!text.contains('\u{202e}') && text.contains("\\u202e"), "{text:?}");
}

#[test]
fn locks_are_listed_and_only_stale_ones_removed() {
    let ecosystem = Ecosystem::new();
    let locks = ecosystem.data.locks();
    let _held = acquire(&locks, Purpose::Build, "fmt.0.9.0", |_| {}).unwrap();
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
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
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
    let said = ecosystem.shown(&["notify", "--channel", "stdout"]);
    for expected in ["1 broken, 1 working again", "fmt.0.9.0", "build_failure", R1] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
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
    assert_eq!(String::from_utf8_lossy(&found.get_output().stdout).lines().count(), 3);
}
