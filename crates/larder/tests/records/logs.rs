//! `log`.

use std::fs;
use std::io::Write;

use larder_runs::result::{RunKind, Stage};
use larder_runs::run_log::{Ending, LogName, Scope};
use larder_testkit::run::run as run_to_end;

use super::support::{Ecosystem, R2, logged};

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
        ecosystem.refused(&["log", "fmt", &lines], 2);
    }
    let error = ecosystem.refused(&["log", R2, "fmt.0.9.0"], 1);
    assert!(error.contains("has no such log"), "{error}");
    assert!(ecosystem.refused(&["log", &id, "fmt.0.9.9"], 1).contains("did you mean fmt.0.9.0?"));
    ecosystem.refused(&["log", &id, "fmt", "--docs"], 1);
    ecosystem.refused(&["log", &id, "../x.1"], 2);
    ecosystem.refused(&["log", "../x.1"], 2);
    for run in ["latest", R2] {
        let error = ecosystem.refused(&["log", run], 2);
        assert!(error.contains(&format!("the log of which package? `larder log {run} PKG`")));
    }
}

#[test]
fn a_log_without_a_result_is_told() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    let name = LogName::new("fmt.0.9.0".parse().unwrap(), Stage::Build, "h".parse().unwrap(), 1);
    let mut log = run.log_writer(&name).unwrap();
    log.write_all(b"half").unwrap();
    let said = |arguments: &[&str]| run_to_end(ecosystem.larder(arguments)).ok().stderr;
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
            let log = ecosystem.larder(&[&["log", package][..], more].concat());
            let log = run_to_end(log).ends_with(1).mentions(&["links are not followed"]);
            assert!(![&log.stdout, &log.stderr].iter().any(|said| said.contains("s3cret")));
        }
    }
}
