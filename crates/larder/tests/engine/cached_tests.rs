//! `larder test --cached`: results that count again, and those that do not.

use larder_testkit::{
    project::Project,
    run::{Run, run},
};
use serde_json::Value;

/// How the tests of a run ended, sorted.
fn outcomes(run: &Run) -> Vec<String> {
    let tested = run.events().into_iter().filter(|event| event["event"] == "tested");
    let mut all: Vec<String> = tested
        .map(|event: Value| {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            format!("{} {}", text("target"), text("outcome"))
        })
        .collect();
    all.sort();
    all
}

fn cached(project: &Project) -> Vec<String> {
    outcomes(&project.larder(&["test", "--cached", "--json"]))
}

#[test]
fn a_test_that_passed_counts_until_something_it_reads_changes() {
    let project = Project::new(
        r#"
[[library]]
name = "low"
kind = ["shared"]
sources = ["low.c"]

[[executable]]
name = "x"
sources = ["x.c"]
libraries = ["low"]
inputs = ["declared.txt"]
test = true
test-args = ["named.txt"]

[[command]]
name = "c"
inputs = ["in.txt"]
run = ["sh", "-c", "cat in.txt"]
pass-env = ["ANSWER"]
test = true
"#,
    );
    project.file("low.c", "int low(void) { return 0; }\n");
    project.file("x.c", "int low(void);\nint main(void) { return low(); }\n");
    for file in ["declared.txt", "named.txt", "in.txt"] {
        project.file(file, "1\n");
    }
    assert_eq!(cached(&project), ["c passed", "x:exe passed"], "nothing is known");
    assert_eq!(cached(&project), ["c cached", "x:exe cached"]);
    let said = project.larder(&["test", "--cached"]).ok();
    let said = said.says("cached x:exe").says("0 passed, 2 cached, 0 failed");
    assert!(!said.stderr.contains("passed x"), "{}", said.stderr);
    // Without the option, they run.
    assert_eq!(outcomes(&project.larder(&["test", "--json"]).ok()), ["c passed", "x:exe passed"]);
    for (file, text, expected) in [
        ("declared.txt", "2\n", ["c cached", "x:exe passed"]),
        ("named.txt", "2\n", ["c cached", "x:exe passed"]),
        ("in.txt", "2\n", ["c passed", "x:exe cached"]),
        ("low.c", "int low(void) { return 1 - 1; }\nint more;\n", ["c cached", "x:exe passed"]),
        (
            "x.c",
            "int low(void);\nint main(void) { return 2 * low(); }\n",
            ["c cached", "x:exe passed"],
        ),
    ] {
        project.file(file, text);
        assert_eq!(cached(&project), expected, "{file}");
        assert_eq!(cached(&project), ["c cached", "x:exe cached"], "{file}");
    }
    let mut command = project.command(&["test", "--cached", "--json"]);
    command.env("ANSWER", "42");
    assert_eq!(outcomes(&run(command)), ["c passed", "x:exe cached"]);
    let with = project.larder(&["test", "--cached", "--json", "x", "--", "more"]);
    assert_eq!(outcomes(&with), ["x:exe passed"], "other arguments");
    // A file that is damaged vouches for nothing.
    cached(&project);
    project.file(".larder/tests/x.json", "{");
    assert_eq!(cached(&project), ["c cached", "x:exe passed"]);
}

#[test]
fn failures_and_what_always_runs_are_never_replayed() {
    let project = Project::new(
        "[[command]]\nname = \"bad\"\nrun = [\"test\", \"-f\", \"there\"]\ntest = true\n\
         [[command]]\nname = \"always\"\nrun = [\"true\"]\nalways = true\ntest = true\n",
    );
    assert_eq!(cached(&project), ["always passed", "bad failed"]);
    assert_eq!(cached(&project), ["always passed", "bad failed"]);
    // What it reads without saying so is not known to have changed. A failure takes back what was said.
    project.file("there", "");
    assert_eq!(cached(&project), ["always passed", "bad passed"]);
    project.remove("there");
    assert_eq!(cached(&project), ["always passed", "bad cached"]);
    project.larder(&["test"]).ends_with(1);
    assert_eq!(cached(&project), ["always passed", "bad failed"]);
}

#[test]
fn a_test_depends_on_the_libraries_of_the_system_that_it_loads() {
    // A library that stands for one of the system: nobody says that it is needed but the program itself.
    let project = Project::new("");
    let system = project.path("system");
    let low = |text: &str| {
        project.file("low.c", text);
        let mut cc = std::process::Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"])
            .arg(system.join("libsyslow.so"))
            .arg(project.path("low.c"));
        assert!(cc.status().unwrap().success());
    };
    std::fs::create_dir(&system).unwrap();
    low("int low(void) { return 0; }\n");
    let at = system.display();
    project.file("larder.toml", format!(
        "[package]\nname = \"p\"\nartifact-cache = false\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\ntest = true\n\
         link-args = [\"-L{at}\", \"-lsyslow\", \"-Wl,-rpath,{at}\"]\n"
    ));
    project.file("x.c", "int low(void);\nint main(void) { return low(); }\n");
    assert_eq!(cached(&project), ["x:exe passed"]);
    assert_eq!(cached(&project), ["x:exe cached"]);
    low("int low(void) { return 7; }\n");
    assert_eq!(cached(&project), ["x:exe failed"]);
}
