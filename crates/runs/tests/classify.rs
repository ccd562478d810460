//! Real logs, each classified as its name says: `logs/<what>.<category>.log`.

use std::fs;
use std::path::Path;

use larder_runs::classify::{classify_build_log, contains_substring_ci};

#[test]
fn real_logs_are_classified() {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut tools = Vec::new();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(logs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((what, expected)) =
            name.strip_suffix(".log").and_then(|name| name.split_once('.'))
        else {
            continue;
        };
        tools.extend(what.split('-').next().map(str::to_owned));
        let found = classify_build_log(&fs::read(&path).unwrap());
        if found.category != expected || found.error.is_some() == (expected == "success") {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for tool in ["gcc", "clang", "make", "cmake", "cargo", "opam", "dune", "lean", "npm"] {
        assert!(tools.iter().any(|t| t == tool), "no log of {tool}");
    }
}

#[test]
fn the_error_is_the_line_that_tells_why() {
    let error = |log: &str| classify_build_log(log.as_bytes()).error.unwrap();
    insta::assert_snapshot!(error(include_str!("logs/gcc-error.build_failure.log")), @"bad.c:4:20: error: ‘anwser’ undeclared (first use in this function); did you mean ‘answer’?");
    insta::assert_snapshot!(error(include_str!("logs/cargo-error.build_failure.log")), @"error[E0308]: mismatched types");
    insta::assert_snapshot!(error(include_str!("logs/dune-error.build_failure.log")), @"Error: This expression has type string but an expression was expected of type");
    insta::assert_snapshot!(error(include_str!("logs/opam-conflict.no_solution.log")), @"[ERROR] Package conflict!");
    insta::assert_snapshot!(error(include_str!("logs/cmake-missing-pkgconfig.missing_system_package.log")), @"--   Package 'libnonesuch', required by 'virtual:world', not found");
    insta::assert_snapshot!(error(include_str!("logs/lean-error.build_failure.log")), @"error: Demo/Proof.lean:9:2: unknown identifier 'foo'");
}

#[test]
fn the_case_of_a_log_does_not_matter() {
    let log = include_str!("logs/tar-disk-full.disk_full.log").to_uppercase();
    assert!(contains_substring_ci("no space left", &log));
    assert_eq!(classify_build_log(log.as_bytes()).category, "disk_full");
}
