//! Actions: what a build runs, as data that no machine has left a trace in.

use std::{path::Path, sync::Arc};

use larder_engine::{
    action::{Action, Discovery},
    build::{BuildReport, BuildRequest, build},
    cache::CacheOptions,
    context::Options,
    event::Reporter,
    testing::TestRequest,
};
use larder_project::path::PortablePath;

use crate::support::*;

const LIBRARY: &str = r##"
[package]
name = "greet"
version = "1.0.0"

[[command]]
name = "words"
inputs = ["words.txt"]
outputs = ["gen/words.h"]
run = ["sh", "-c", '''sed 's/.*/#define WORDS "&"/' $0 > $1''', "words.txt", "{out}"]

[[library]]
name = "greet"
sources = ["src/*.c"]
includes = ["include", "{build}/gen"]
inputs = ["{words}"]
trace-args = ["-O1"]
"##;

const PROGRAM: &str = r#"
[[executable]]
name = "hello"
sources = ["hello.c"]
libraries = ["greet"]
test = true
"#;

/// Writes the library, alone or with a program.
fn library(here: &Here, below: &str, more: &str) {
    let source =
        "#include <greet.h>\n#include <words.h>\nconst char *greet(void) { return WORDS; }\n";
    here.file(&format!("{below}larder.toml"), &format!("{LIBRARY}{more}"))
        .file(&format!("{below}words.txt"), "hello\n")
        .file(&format!("{below}include/greet.h"), "const char *greet(void);\n")
        .file(&format!("{below}src/greet.c"), source);
}

fn program(here: &Here) {
    here.file(
        "hello.c",
        "#include <greet.h>\n#include <stdio.h>\nint main(void) { return puts(greet()) < 0; }\n",
    );
}

/// Builds and tests the package at `root`. Gives the actions, in an order that is always the same.
fn actions(root: &Path) -> Vec<Action> {
    let (session, executor) = recorded();
    // Headers that were written only now might still change under the compiler.
    settle();
    let request = BuildRequest {
        directory: root.to_owned(),
        targets: Vec::new(),
        options: Options::default(),
        cache: CacheOptions { off: true, ..CacheOptions::default() },
        sandbox: None,
        resolution: Default::default(),
        choices: Default::default(),
        configuration: None,
        tests: None,
        run_path: None,
    };
    let heard = Arc::new(Heard::default());
    let reporter: Arc<dyn Reporter> = heard.clone();
    for tests in [None, Some(TestRequest::default())] {
        let request = BuildRequest { tests, ..request.clone() };
        let report: BuildReport = build(&session, &request, &reporter).unwrap();
        assert!(report.succeeded(), "{:?}", heard.said());
        assert_eq!(report.counts.ended(), report.counts.total, "{:?}", report.counts);
    }
    let mut actions = executor.actions();
    actions.sort_by_key(|action| (action.package.clone(), action.to_string()));
    actions
}

/// An action for a snapshot: all of it but what differs between compilers.
fn described(action: &Action) -> String {
    let names = |names: Vec<&str>| names.join(" ");
    let mut text = format!("{}: {action}\n", action.package);
    let inputs = names(action.inputs.keys().map(PortablePath::as_str).collect());
    let outputs = names(action.outputs.iter().map(|output| output.path.as_str()).collect());
    text += &format!("    reads {inputs}\n    writes {outputs}\n");
    if !action.searched.is_empty() {
        text += &format!(
            "    looks in {}\n",
            names(action.searched.iter().map(PortablePath::as_str).collect())
        );
    }
    if action.discovery != Discovery::None {
        text += "    tells what else it read\n";
    }
    text
}

fn as_root() -> Here {
    let here = Here::new();
    library(&here, "", PROGRAM);
    program(&here);
    here
}

fn as_dependency() -> Here {
    let here = Here::new();
    library(&here, "lib/greet/", "");
    here.file(
        "larder.toml",
        &format!(
            "[package]\nname = \"app\"\nversion = \"1.0.0\"\n\
             [dependencies]\ngreet = {{ path = \"lib/greet\" }}\n{}",
            PROGRAM.replace("[\"greet\"]", "[\"greet/greet\"]")
        ),
    );
    program(&here);
    here
}

#[test]
fn a_package_as_root_and_as_a_dependency() {
    let shown = |here: Here| actions(&here.root).iter().map(described).collect::<String>();
    insta::assert_snapshot!("as_root", shown(as_root()));
    insta::assert_snapshot!("as_dependency", shown(as_dependency()));
}

/// Calls `look` with every string in a JSON value.
fn strings(value: &serde_json::Value, look: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => look(text),
        serde_json::Value::Array(all) => all.iter().for_each(|value| strings(value, look)),
        serde_json::Value::Object(all) => all.iter().for_each(|(key, value)| {
            look(key);
            strings(value, look);
        }),
        _ => {}
    }
}

#[test]
fn no_path_of_this_machine_is_in_an_action() {
    for make in [as_root, as_dependency] {
        let (one, two) = (make(), make());
        assert_ne!(one.root, two.root);
        let here = one.root.to_str().unwrap().to_owned();
        let (first, second) = (actions(&one.root), actions(&two.root));
        for action in &first {
            assert!(!action.to_string().contains(&here), "{action}");
            strings(&serde_json::to_value(action).unwrap(), &mut |text| {
                assert!(!text.starts_with('/') && !text.contains(&here), "{text} in {action}");
            });
        }
        assert_eq!(first, second, "another checkout, the same actions");
        let digests = |all: &[Action]| all.iter().map(Action::digest).collect::<Vec<_>>();
        assert_eq!(digests(&first), digests(&second));
        let mut different = digests(&first);
        different.sort();
        different.dedup();
        assert_eq!(different.len(), first.len(), "no two actions have one digest");
    }
}
