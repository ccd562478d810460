//! A package of every kind of step, and builds of it on servers.

use std::{collections::BTreeMap, process::Command};

use larder_testkit::{
    project::Project,
    run::{Run, run},
};

const MANIFEST: &str = r#"
[package]
name = "demo"

[dependencies]
words = { path = "words" }

[[library]]
name = "greet"
sources = ["greet/*.c"]
includes = ["include"]
c-args = ["-g", "-O1", "-Wall"]
libraries = ["@words/words"]

[[executable]]
name = "hello"
sources = ["src/*.c"]
includes = ["include"]
c-args = ["-g", "-O1", "-Wall"]
libraries = ["greet", "@words/words"]
"#;

/// A package with a library, an executable, and a package that it needs.
pub fn demo() -> Project {
    let project = Project::with_manifest(MANIFEST);
    project.file("words/larder.toml", "[package]\nname = \"words\"\n\n[[library]]\nname = \"words\"\nsources = [\"*.c\"]\nincludes = [\".\"]\nc-args = [\"-g\"]\n");
    project.file(
        "words/words.h",
        "static inline const char *where(void) { return __FILE__; }\nconst char *word(void);\n",
    );
    project
        .file("words/words.c", "#include <words.h>\nconst char *word(void) { return where(); }\n");
    project.file("include/greet.h", "#include <stdio.h>\nvoid greet(void);\n");
    project.file("greet/greet.c", "#include <greet.h>\n#include <words.h>\nvoid greet(void) { int unused; puts(word()); puts(where()); }\n");
    project.file("greet/other.c", "int other(void) { return 3; }\n");
    project.file(
        "src/main.c",
        "#include <greet.h>\nint main(void) { greet(); puts(__FILE__); return 0; }\n",
    );
    project
}

/// What a build came to.
pub struct Outcome {
    /// The run.
    pub run: Run,
    /// How each step ended and where its action ran, by its output.
    pub steps: BTreeMap<String, (String, String)>,
}

impl Outcome {
    /// The outputs of the steps that ended so, and ran there.
    pub fn with(&self, status: &str, ran: &str) -> Vec<&str> {
        let fits = |(_, (s, r)): &(&String, &(String, String))| s == status && r == ran;
        self.steps.iter().filter(fits).map(|(output, _)| output.as_str()).collect()
    }
}

/// Gives the project a configuration with the service `farm` at `url`, and more settings of that.
pub fn configure(project: &Project, url: &str, more: &str) {
    let service =
        format!("[[cache.service]]\nname = \"farm\"\nkind = \"reapi\"\nurl = \"{url}\"\n{more}");
    project.file(".config/larder.toml", service);
}

/// A build that waits for an answer of the server at `url` no longer than it has to.
pub fn impatient(project: &Project, url: &str, global: &[&str]) -> Command {
    configure(project, url, "answer-seconds = 1\n");
    let mut command = project.command(&[global, &["build", "--remote", "farm"]].concat());
    command.env("LARDER_CONFIG", project.path(".config/larder.toml"));
    command
}

/// The same, which has to succeed.
#[track_caller]
pub fn build_impatiently(project: &Project, url: &str) -> Outcome {
    outcome(run(impatient(project, url, &["--json"])).ok())
}

/// Builds on the server at `url`, or on one of the project's configuration. The exit code is whatever it is.
pub fn try_build(project: &Project, url: &str, more: &[&str]) -> Outcome {
    let mut command = project.command(&[&["--json", "build", "--remote", url], more].concat());
    command.env("LARDER_CONFIG", project.path(".config/larder.toml"));
    outcome(run(command))
}

fn outcome(run: Run) -> Outcome {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let ended = run.events().into_iter().filter(|event| event["event"] == "ended");
    let steps =
        ended.map(|event| (text(&event["output"]), (text(&event["status"]), text(&event["ran"]))));
    Outcome { steps: steps.collect(), run }
}

/// Builds on the server at `url`, which has to succeed and to warn of nothing.
#[track_caller]
pub fn build(project: &Project, url: &str) -> Outcome {
    let outcome = try_build(project, url, &[]);
    assert_eq!(outcome.run.code, Some(0), "{}{}", outcome.run.stdout, outcome.run.stderr);
    let notes = outcome.run.events().into_iter().filter(|event| event["event"] == "note");
    let loud: Vec<_> =
        notes.filter(|event| event["level"] != "info" && event["level"] != "trace").collect();
    assert!(loud.is_empty(), "{loud:?}");
    outcome
}

/// The outputs of a clean build of the same sources on this machine.
pub fn built_here(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let here = project.elsewhere();
    here.larder(&["build", "--remote", "none"]).ok();
    here.outputs()
}

/// Fails where two builds made other outputs.
#[track_caller]
pub fn same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) {
    let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for (name, bytes) in one {
        assert!(bytes == &other[name], "{name} is not the same");
    }
}
