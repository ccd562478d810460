//! `larder test`: which tests, how they are run, and what is said of them.

use std::{fs, path::Path, process::Command};

use larder_testkit::{project::Project, run::Run};
use serde_json::Value;

/// The event `tests`: how many ended how.
fn counts(run: &Run) -> Value {
    let counts = run.events().into_iter().find(|event| event["event"] == "tests").unwrap();
    let parts = ["passed", "flaky", "cached", "failed", "timedOut", "notRun"];
    let sum: u64 = parts.iter().map(|part| counts[part].as_u64().unwrap()).sum();
    assert_eq!(counts["total"], sum, "{counts}");
    counts
}

/// The event `tested` of a test.
fn tested(run: &Run, target: &str) -> Value {
    let of = |event: &Value| event["event"] == "tested" && event["target"] == target;
    run.events().into_iter().find(of).unwrap()
}

/// A test that is an executable with this source.
fn executable(name: &str, more: &str) -> String {
    format!("\n[[executable]]\nname = \"{name}\"\nsources = [\"{name}.c\"]\ntest = true\n{more}\n")
}

/// A test that is a command.
fn command(name: &str, script: &str, more: &str) -> String {
    let script = toml_string(script);
    format!(
        "\n[[command]]\nname = \"{name}\"\nrun = [\"sh\", \"-c\", {script}]\ntest = true\n{more}\n"
    )
}

fn toml_string(text: &str) -> String {
    Value::from(text).to_string()
}

#[test]
fn names_may_be_globs() {
    let manifest: String = ["unit-a", "unit-b", "slow"].map(|name| command(name, ":", "")).concat();
    let project = Project::new(
        &(manifest
            + "\n[[command]]\nname = \"no-test\"\noutputs = [\"o\"]\nrun = [\"touch\", \"{out}\"]\n"),
    );
    let run = project.larder(&["test", "unit-*", "--json"]).ok();
    assert_eq!(counts(&run)["passed"], 2);
    let run = project.larder(&["test", "unit-?", "{slow,unit-a}", "--list"]).ok();
    assert_eq!(run.stdout, "unit-a\nunit-b\nslow\n");
    project.larder(&["test", "unti-a"]).ends_with(2).says("did you mean `unit-a`?");
    let none = project.larder(&["test", "end-*"]).ends_with(2);
    none.says("no test matches `end-*`").says("the tests are unit-a, unit-b, slow");
    project.larder(&["test", "no-test"]).ends_with(2).says("`no-test` is not a test");
    project.larder(&["test", "[a"]).ends_with(2).says("a bracket is not closed");
    let nothing = Project::new("");
    nothing.larder(&["test", "x"]).ends_with(2).says("there is no target `x`");
    nothing.larder(&["test"]).ok().says("there are no tests");
}

#[test]
fn tests_of_dependencies_are_asked_for_by_package() {
    let project = Project::new("[dependencies]\nlow = { path = \"low\" }\n");
    let low = format!("[package]\nname = \"low\"\n{}", command("unit", ":", ""));
    project.file("low/larder.toml", low);
    assert_eq!(project.larder(&["test", "--list"]).ok().stdout, "");
    for asked in ["@low", "@low/*", "@*/unit", "@l*/u*"] {
        let run = project.larder(&["test", asked, "--json"]).ok();
        assert_eq!(counts(&run)["passed"], 1, "{asked}");
    }
    project.larder(&["test", "@lwo/unit"]).ends_with(2).says("did you mean `@low/unit`?");
}

const ARGUMENTS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **v) {
    char here[4096];
    if (!getcwd(here, sizeof here)) return 9;
    printf("cwd=%s tmpdir=%s\n", here, getenv("TMPDIR"));
    for (int i = 1; i < c; i++) {
        printf("argument %s\n", v[i]);
        if (v[i][0] == '/' && access(v[i], R_OK)) return 8;
    }
    FILE *mine = fopen("mine", "wx");
    if (!mine) return 7;
    return c > 1 && !strcmp(v[c - 1], "fail") ? 3 : 0;
}
"#;

#[test]
fn an_executable_runs_in_a_directory_of_its_own() {
    let more =
        "test-args = [\"data/x.txt\", \"{package}/data/x.txt\", \"data\", \"plain\", \"{made}\"]";
    let manifest = executable("x", more)
        + "\n[[command]]\nname = \"made\"\noutputs = [\"made\"]\nrun = [\"touch\", \"{out}\"]\n";
    let project = Project::new(&manifest);
    project.file("x.c", ARGUMENTS).file("data/x.txt", "x\n");
    let root = project.root.display().to_string();
    for arguments in [&["test", "--json"][..], &["test", "--json", "--sandbox"]] {
        let run = project.larder(arguments);
        if run.stderr.contains("sandbox") {
            // The kernel has none.
            continue;
        }
        let run = run.ok();
        let output = tested(&run, "x:exe")["output"].as_str().unwrap().to_owned();
        let mut lines = output.lines();
        let (cwd, tmpdir) = lines.next().unwrap().split_once(' ').unwrap();
        let cwd = cwd.strip_prefix("cwd=").unwrap();
        assert_eq!(Some(cwd), tmpdir.strip_prefix("tmpdir="));
        assert!(cwd.starts_with(&format!("{root}/.larder/tmp/")), "{cwd}");
        assert!(!Path::new(cwd).exists(), "it is gone afterwards");
        let arguments =
            ["data/x.txt", "data/x.txt", "data"].map(|path| format!("argument {root}/{path}"));
        let made = format!("argument {root}/.larder/build/made");
        let all = [&arguments[..], &["argument plain".to_owned(), made]].concat();
        assert_eq!(lines.collect::<Vec<_>>(), all);
    }
    assert!(!project.path("mine").exists());
    // Arguments of the command line come last; with --keep, the directory of a failure stays.
    let run = project.larder(&["test", "--keep", "--json", "--", "-v", "fail"]).ends_with(1);
    let result = tested(&run, "x:exe");
    assert!(result["output"].as_str().unwrap().ends_with("argument -v\nargument fail"), "{result}");
    let kept = result["directory"].as_str().unwrap();
    assert_eq!(kept, format!("{root}/.larder/failed/x"));
    assert!(Path::new(kept).join("mine").exists());
    project.larder(&["test", "--", "fail"]).ends_with(1);
    project.larder(&["clean"]).ok();
    assert!(!Path::new(kept).exists());
}

#[test]
fn a_command_runs_in_its_package_and_takes_no_arguments() {
    let project = Project::new(&command("c", "test -f here && echo $#", ""));
    project.file("here", "");
    project.larder(&["test"]).ok();
    let refused = project.larder(&["test", "--", "x"]).ends_with(2);
    refused.says("arguments after `--` go to executables");
}

#[test]
fn a_test_that_takes_too_long_is_ended_with_all_it_started() {
    let script = "sleep 1000 & echo $! > pid; trap '' TERM; echo begun; wait; sleep 1000";
    let manifest =
        command("hangs", script, "timeout = \"0.3s\"") + &command("good", ":", "timeout = \"5m\"");
    let project = Project::new(&manifest);
    let run = project.larder(&["test", "--json"]).ends_with(1);
    let result = tested(&run, "hangs");
    assert_eq!(result["outcome"], "timed-out");
    assert_eq!(result["output"], "begun");
    let counts = counts(&run);
    assert_eq!(
        (&counts["timedOut"], &counts["passed"], &counts["failed"]),
        (&1.into(), &1.into(), &0.into())
    );
    let process = format!("/proc/{}/stat", project.read("pid").trim());
    let status = fs::read_to_string(process).unwrap_or_default();
    assert!(status.is_empty() || status.contains(") Z "), "it lives: {status}");
    let said = project.larder(&["test", "--timeout", "0.2s"]).ends_with(1);
    said.says("timed out hangs")
        .says("took longer than 0.2 s")
        .says("1 passed, 0 failed, 1 timed out");
}

#[test]
fn timeouts_are_checked() {
    for (more, said) in [
        ("test = true\ntimeout = \"soon\"", "`soon` is no length of time"),
        ("test = true\ntimeout = \"0s\"", "a timeout of no time at all"),
        ("test = true\ntimeout = 3", "expected a string, found integer"),
        ("outputs = [\"o\"]\ntimeout = \"3s\"", "`timeout` is for tests"),
    ] {
        let project =
            Project::new(&format!("[[command]]\nname = \"c\"\nrun = [\"true\"]\n{more}\n"));
        project.larder(&["test"]).ends_with(2).says(said);
    }
    let project = Project::new(&command("c", ":", ""));
    project.larder(&["test", "--timeout", "0s"]).ends_with(2);
    project.larder(&["test", "--timeout", "x"]).ends_with(2);
    project.larder(&["test", "--test-jobs", "0"]).ends_with(2);
}

/// Passes at the third attempt.
const THIRD: &str = "echo >> tries; n=$(wc -l < tries); echo \"attempt $n\"; test $n -ge 3";

#[test]
fn a_test_that_passes_after_a_failure_is_flaky() {
    let project = Project::new(&(command("third", THIRD, "") + &command("bad", "exit 4", "")));
    let run =
        project.larder(&["test", "third", "--retries", "2", "--json", "--junit", "r.xml"]).ok();
    let result = tested(&run, "third");
    assert_eq!((&result["outcome"], &result["passed"]), (&"flaky".into(), &true.into()));
    let outputs: Vec<_> =
        result["attempts"].as_array().unwrap().iter().map(|a| &a["output"]).collect();
    assert_eq!(outputs, ["attempt 1", "attempt 2", "attempt 3"]);
    assert_eq!((&counts(&run)["flaky"], &counts(&run)["passed"]), (&1.into(), &0.into()));
    let junit = project.read("r.xml");
    assert_eq!(junit.matches("<flakyFailure").count(), 2, "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
    project.remove("tries");
    let run = project.larder(&["test", "third", "--retries", "2", "--fail-flaky"]).ends_with(1);
    run.says("flaky third").says("passed in attempt 3").says("0 passed, 1 flaky, 0 failed");
    // Not often enough, and never.
    project.remove("tries");
    let run =
        project.larder(&["test", "--retries", "1", "--json", "--junit", "r.xml"]).ends_with(1);
    assert_eq!((&counts(&run)["flaky"], &counts(&run)["failed"]), (&0.into(), &2.into()));
    assert_eq!(tested(&run, "bad")["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(project.read("r.xml").matches("<rerunFailure").count(), 2);
    // It passed, but it did not pass at once: that does not count again.
    project.remove("tries");
    project.larder(&["test", "third", "--retries", "2"]).ok();
    project.remove("tries");
    project.larder(&["test", "third", "--cached"]).ends_with(1);
}

#[test]
fn junit_is_well_formed_whatever_tests_print() {
    let odd = "printf 'a\\033[31mred\\033[m & <b> ]]> \"q\" \\001\\377 \\302\\205 end\\n'";
    let manifest = command("odd+name.1", &format!("{odd}; exit 3"), "")
        + &command("good", odd, "")
        + &executable("unbuilt", "");
    let project = Project::new(&manifest);
    project.file("unbuilt.c", "#error no\n");
    let run = project.larder(&["test", "-k", "--json", "--junit", "out.xml"]).ends_with(1);
    assert_eq!((&counts(&run)["notRun"], &counts(&run)["total"]), (&1.into(), &3.into()));
    let script = r#"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
print(root.tag, root.get("tests"), root.get("failures"), root.get("errors"), float(root.get("time")) >= 0)
for suite in root:
    print(suite.tag, suite.get("name"), suite.get("tests"))
    for case in suite:
        print(case.get("classname"), case.get("name"), float(case.get("time")) >= 0, [child.tag for child in case])
        for child in case:
            print(child.get("message"), repr(child.text))
"#;
    let mut python = Command::new("python3");
    let parsed = python.args(["-c", script]).arg(project.path("out.xml")).output().unwrap();
    let text = String::from_utf8(parsed.stdout).unwrap();
    let printed = "'ared & <b> ]]> \"q\" \u{fffd} \u{fffd} end'";
    let expected = format!(
        "testsuites 3 1 1 True\ntestsuite p 3\n\
         p unbuilt True ['error']\nit was not run: what it needs is not built None\n\
         p odd+name.1 True ['failure', 'system-out']\nfailed with exit code 3 {printed}\nNone {printed}\n\
         p good True ['system-out']\nNone {printed}\n"
    );
    assert_eq!(text, expected, "{}", project.read("out.xml"));
    project
        .larder(&["test", "good", "--junit", "larder.toml/out.xml"])
        .ends_with(1)
        .says("cannot write larder.toml/out.xml");
}

#[test]
fn only_so_many_tests_run_at_once() {
    let script = "mkdir lock || exit 9; sleep 0.05; rmdir lock";
    let manifest: String = ["a", "b", "c", "d"].map(|name| command(name, script, "")).concat();
    let project = Project::new(&manifest);
    let run = project.larder(&["test", "-j4", "--test-jobs", "1", "--json"]).ok();
    assert_eq!(counts(&run)["passed"], 4);
    project.larder(&["test", "--jobs", "1"]).ok();
    // Two that wait for each other: without a bound of their own they meet.
    let meets = |own, other| format!("touch {own}; until test -f {other}; do sleep 0.01; done");
    let manifest =
        command("a", &meets("a", "b"), "timeout = \"60s\"") + &command("b", &meets("b", "a"), "");
    Project::new(&manifest).larder(&["test", "-j2"]).ok();
}

#[test]
fn tests_can_be_built_and_not_run() {
    let project = Project::new(&executable("x", ""));
    project.file("x.c", "int main(void) { return 1; }\n");
    let run = project.larder(&["test", "--no-run", "--json"]).ok();
    assert!(project.output("x").exists());
    assert!(
        run.events().iter().all(|event| event["event"] != "tested" && event["event"] != "tests")
    );
    project.larder(&["test"]).ends_with(1);
}
