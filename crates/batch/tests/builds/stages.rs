//! Tests of packages that were built.

use std::sync::{Arc, Mutex};

use larder_batch::{
    build::{BuildTask, Log, StageEnd, Staged, test},
    catalogue::Recipe,
    layer::Layer,
};
use larder_engine::process::{Allowance, Limit};

use crate::support::*;

fn tested(set: &Set, task: &BuildTask, layer: &Layer) -> (Staged, String) {
    let text = Arc::new(Mutex::new(Vec::new()));
    let log: Log = text.clone();
    let staged = test(&set.shop, task, layer, &log);
    set.assert_clean();
    let text = String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
    (staged, text)
}

fn with(lines: &[&str], tests: &[&str]) -> Recipe {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Recipe::Commands { build: owned(lines), test: owned(tests) }
}

const BUILD: &[&str] = &["echo built > tree", "echo 'echo hello' > {prefix}/run"];

#[test]
fn lines_test_what_was_installed_or_where_it_was_built() {
    let set = Set::new();
    let run = |tests: &[&str]| {
        let package = Package { id: "p.1", recipe: with(BUILD, tests), files: &[] };
        let task = set.task(&package, Vec::new());
        let (layer, _) = set.layer(&task);
        tested(&set, &task, &layer)
    };
    let (staged, log) = run(&["test $(sh {prefix}/run) = hello", "! test -e tree"]);
    assert!(matches!(staged.ended, StageEnd::Worked), "{staged:?}\n{log}");
    assert!(!log.contains("echo built"), "{log}");
    let (staged, log) = run(&["grep built tree"]);
    assert!(matches!(staged.ended, StageEnd::Worked), "{staged:?}\n{log}");
    let (staged, _) = run(&[]);
    assert!(matches!(staged.ended, StageEnd::Nothing), "{staged:?}");
    let (staged, log) = run(&["echo mine > {prefix}/more"]);
    let StageEnd::Failed(failure) = &staged.ended else { panic!("{staged:?}") };
    assert!(failure.error.starts_with("its test failed with exit code "), "{failure:?}");
    assert!(log.contains("Permission denied"), "{log}");
}

#[test]
fn a_test_has_the_limits_of_a_build() {
    let set = Set::new();
    let package =
        Package { id: "p.1", recipe: with(BUILD, &["cat {prefix}/run", "yes"]), files: &[] };
    let allowance = Allowance { log: Some(100_000), time: Some(SOON), ..Allowance::default() };
    let task = BuildTask { allowance, ..set.task(&package, Vec::new()) };
    let (layer, _) = set.layer(&task);
    let (staged, _) = tested(&set, &task, &layer);
    let StageEnd::Failed(failure) = staged.ended else { panic!("{staged:?}") };
    assert_eq!(failure.limit, Some(Limit::Log(100_000)));
}

#[test]
fn a_larder_package_is_tested_as_larder_test_does() {
    let set = Set::new();
    let run = |id: &'static str, code: &str| {
        let text = format!(
            "[package]\nname = \"p\"\nversion = \"{}\"\n[[library]]\nname = \"p\"\nsources = [\"p.c\"]\n\
             [[executable]]\nname = \"check\"\nsources = [\"check.c\"]\ntest = true\n",
            id.split_once('.').unwrap().1
        );
        let main =
            format!("#include <stdio.h>\nint main(void) {{ puts(\"checked\"); return {code}; }}\n");
        let files = [("larder.toml", &*text), ("p.c", "int p;\n"), ("check.c", &*main)];
        let task = set.task(&Package { id, recipe: manifest(), files: &files }, Vec::new());
        let (layer, _) = set.layer(&task);
        tested(&set, &task, &layer)
    };
    let (staged, log) = run("p.1", "0");
    assert!(matches!(staged.ended, StageEnd::Worked), "{staged:?}\n{log}");
    assert!(log.contains("checked\ncheck: passed\n") || log.contains(": passed"), "{log}");
    let (staged, log) = run("p.2", "3");
    let StageEnd::Failed(failure) = &staged.ended else { panic!("{staged:?}") };
    assert_eq!(failure.error, "1 of 1 tests failed");
    assert!(log.contains("failed with exit code 3"), "{log}");
}
