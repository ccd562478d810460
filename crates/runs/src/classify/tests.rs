use std::fs;

use super::*;

fn classify(stage: Stage, exit: Exit, log: &str) -> Classification {
    Rules::built_in().classify(stage, &exit, log.as_bytes()).unwrap()
}

fn code(code: i32) -> Exit {
    Exit { code: Some(code), ..Exit::default() }
}

fn signal(signal: i32) -> Exit {
    Exit { signal: Some(signal), ..Exit::default() }
}

#[test]
fn substrings_are_found_whatever_their_case() {
    assert!(contains_substring_ci("No Space", "write: no space left"));
    assert!(contains_substring_ci("", ""));
    assert!(!contains_substring_ci("space", "spac"));
    assert!(matches_any(&["x", "SPACE"], "no space"));
    assert!(!matches_any::<&str>(&[], "anything"));
}

#[test]
fn compilers_are_recognised_among_dependencies() {
    let rules = Rules::built_in();
    let deps = ["zlib.1.3", "ocaml.5.2.0", "ocaml-base-compiler.5.2.0"];
    assert_eq!(rules.extract_compiler_from_deps(deps), "ocaml-base-compiler.5.2.0");
    assert_eq!(rules.extract_compiler_from_deps(["zlib.1.3"]), "");
}

#[test]
fn the_exit_is_believed_before_the_log() {
    let noisy = "a.c:1:2: error: expected failure\nall tests passed\n";
    let category = |exit, log| classify(Stage::Build, exit, log).category;
    assert_eq!(category(code(0), noisy), Category::Success);
    assert_eq!(category(Exit { timed_out: true, ..signal(9) }, noisy), Category::Timeout);
    assert_eq!(category(Exit { out_of_memory: true, ..signal(9) }, noisy), Category::OutOfMemory);
    assert_eq!(category(signal(9), noisy), Category::Killed);
    for crash in [4, 6, 7, 8, 11] {
        assert_eq!(category(signal(crash), noisy), Category::Crash);
        assert_eq!(category(code(128 + crash), noisy), Category::Crash);
    }
    assert_eq!(category(code(137), "cc1: out of memory\n"), Category::OutOfMemory);
    assert_eq!(category(signal(11), "step\n"), Category::Crash);
    let found = classify(Stage::Build, signal(11), "step\n");
    assert_eq!((found.rule.as_str(), found.line), ("exit", None));
    assert_eq!(found.error.as_deref(), Some("ended by signal 11 (segmentation fault)"));
}

#[test]
fn the_stage_names_what_nothing_explains() {
    for (stage, category) in [
        (Stage::Solve, Category::NoSolution),
        (Stage::Build, Category::BuildFailure),
        (Stage::Test, Category::TestFailure),
        (Stage::Doc, Category::DocCompileFailure),
    ] {
        let found = classify(stage, code(3), "step one\nstep two\n\n");
        assert_eq!((&found.category, found.error.as_deref()), (&category, Some("step two")));
        assert_eq!((found.line, found.offset), (Some(2), Some(9)));
        assert_eq!(classify(stage, code(3), "").error.as_deref(), Some("exit code 3"));
        assert_eq!(classify(stage, code(2), "make: *** [x] Error 1\n").category, category);
    }
}

#[test]
fn what_only_mentions_weather_is_none() {
    for line in [
        "a.c:3:15: error: 'ETIMEDOUT' undeclared (first use in this function)",
        "checking for ENOSPC... yes",
        "checking whether ECONNREFUSED is declared... no",
        "  12 |   perror(\"x: No space left on device\");",
        "+ echo curl: (6) Could not resolve host: x",
        "echo 'x: Connection refused'",
        "warning: net.c: Connection timed out",
        "gcc -DMSG='Connection reset by peer' -c net.c",
        "notes.txt:3:errno 28: No space left on device",
        "# x: Connection refused",
        "ok 3 - x: Connection refused",
        "Killed 12 mutants",
        "test_killed (t.T) ... ok",
        "compiling out_of_memory.c",
    ] {
        for log in [format!("{line}\n"), format!("{line}\nmake: *** [all] Error 1\n")] {
            for stage in [Stage::Solve, Stage::Build, Stage::Test, Stage::Doc] {
                let found = classify(stage, code(2), &log);
                assert!(!found.category.is_weather(), "{log}: {found:?}");
            }
        }
    }
}

#[test]
fn weather_that_the_build_survived_is_none() {
    let weather = "curl: (6) Could not resolve host: mirror.invalid\n";
    let category = |log: &str| classify(Stage::Build, code(2), log).category;
    assert_eq!(category(&format!("{weather}make: *** [x] Error 6\n")), Category::Network);
    let error = "a.c:3:1: error: expected ';'\n";
    assert_eq!(
        category(&format!("{weather}{error}make: *** [x] Error 1\n")),
        Category::BuildFailure
    );
    assert_eq!(category(&format!("{error}{weather}make: *** [x] Error 6\n")), Category::Network);
    let long = "compiled\n".repeat(1500);
    assert_eq!(
        category(&format!("{weather}{long}make: *** [x] Error 6\n")),
        Category::BuildFailure
    );
}

#[test]
fn the_deciding_line_is_where_it_is_said_to_be() {
    let log = "one\r\ntwo\n\x1b[1ma.c:7:1: \x1b[31merror: \x1b[0mno ä\x1b[K\n 50%\r100%\rcurl: (6) Could not resolve host: x\n";
    let found = classify(Stage::Build, code(1), log);
    assert_eq!(found.error.as_deref(), Some("curl: (6) Could not resolve host: x"));
    assert_eq!((found.line, found.offset), (Some(4), Some(log.find("curl").unwrap() as u64)));
    let first = &log[..log.find(" 50%").unwrap()];
    let found = classify(Stage::Build, code(1), first);
    assert_eq!(found.error.as_deref(), Some("a.c:7:1: error: no ä"));
    assert_eq!((found.line, found.offset), (Some(3), Some(9)));
}

#[test]
fn where_a_piece_ends_does_not_matter() {
    let log = "x\n".repeat(10)
        + "Caused by:\r\n  \x1b[31mx\nerror: failed to get `x`\n\nCaused by:\n  [6] Could not resolve hostname\n";
    let whole = classify(Stage::Build, code(101), &log);
    assert_eq!((&whole.category, whole.line), (&Category::Network, Some(16)));
    for size in [1, 2, 7, 64] {
        let mut scanner = Scanner::new(Rules::built_in(), Stage::Build);
        log.as_bytes().chunks(size).for_each(|piece| scanner.push(piece));
        assert_eq!(scanner.finish(Some(&code(101))), whole);
    }
}

#[test]
fn a_line_that_never_ends_costs_no_memory_and_hides_nothing() {
    let log = format!("{}\na.c:1:1: error: x\n{}", "y".repeat(700_000), "z".repeat(700_000));
    let found = classify(Stage::Build, code(1), &log);
    assert_eq!((found.line, found.offset), (Some(2), Some(700_001)));
}

#[test]
fn a_log_that_was_cut_says_so() {
    let log = format!("noise\n{}", log_limit_line(1000));
    for exit in [signal(9), code(137), code(1)] {
        let found = classify(Stage::Build, exit, &log);
        assert_eq!((found.category, found.line), (Category::LogLimit, Some(2)));
    }
}

#[test]
fn a_process_stopped_for_its_log_is_that_unless_an_error_came_before() {
    let stopped = Exit { signal: Some(9), log_limit: true, ..Exit::default() };
    let found = classify(Stage::Build, stopped, "noise\nnoise\n");
    assert_eq!((found.category, found.line), (Category::LogLimit, None));
    assert_eq!(found.error.unwrap(), "stopped because its log had grown to its limit");
    let marker = log_limit_line(1000);
    for log in [format!("a.c:1:1: error: x\nnoise\n{marker}"), "a.c:1:1: error: x\nnoise\n".into()]
    {
        let found = classify(Stage::Build, stopped, &log);
        assert_eq!((found.category, found.line), (Category::BuildFailure, Some(1)), "{log}");
    }
    let summary = format!("make: *** [all] Error 1\nnoise\n{marker}");
    assert_eq!(classify(Stage::Build, stopped, &summary).category, Category::LogLimit);
    let late = Exit { timed_out: true, ..stopped };
    assert_eq!(classify(Stage::Build, late, &marker).category, Category::Timeout);
    assert_eq!(classify(Stage::Build, code(0), &marker).category, Category::Success);
}

#[test]
fn a_warning_of_the_linker_says_not_why_it_failed() {
    let error = "/usr/bin/ld: b.c:(.text+0x5): undefined reference to `missing'";
    let failed = "collect2: error: ld returned 1 exit status";
    for warning in [
        "/usr/bin/ld: warning: cannot find entry symbol _start; defaulting to 0000000000001000",
        "/usr/bin/ld: warning: type and size of dynamic symbol `x' are not defined",
        "/usr/bin/ld: warning: a.o: missing .note.GNU-stack section implies executable stack",
        "/usr/bin/ld: NOTE: This behaviour is deprecated and will be removed in a future version of the linker",
        "/usr/bin/ld: a.c:(.text+0x9): warning: the use of `tmpnam' is dangerous, better use `mkstemp'",
        "/usr/bin/ld.gold: warning: a.o: incompatible target",
        "ld.lld: warning: multiple common of x",
    ] {
        for told in [error, failed] {
            let found = classify(Stage::Build, code(1), &format!("{warning}\n{told}\n"));
            assert_eq!((found.line, found.error.as_deref()), (Some(2), Some(told)), "{warning}");
            assert_eq!(found.category, Category::BuildFailure);
        }
    }
}

#[test]
fn a_user_extends_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.toml");
    let text = "[[rule]]\nname = \"expiry\"\ncategory = \"licence\"\ncontains = [\"Licence expired\"]\nexcept = [\"not an error\"]\n";
    fs::write(&path, text).unwrap();
    let rules = Rules::with_file(&path).unwrap();
    let found = rules.classify_build_log(b"error: licence EXPIRED\nx: undefined reference to y\n");
    assert_eq!((found.category.name(), found.rule.as_str()), ("licence", "expiry"));
    let category = |rules: &Rules, log: &[u8]| rules.classify_build_log(log).category;
    assert_eq!(category(&rules, b"error: licence expired, not an error"), Category::BuildFailure);
    assert_eq!(category(&rules, b"error: else"), Category::BuildFailure);
    let own = Rules::of_ecosystem(&crate::DataDir::new(dir.path())).unwrap().unwrap();
    assert_eq!(category(&own, b"error: licence EXPIRED").name(), "licence");
    let missing = crate::DataDir::new(dir.path().join("missing"));
    assert!(Rules::of_ecosystem(&missing).unwrap().is_none());
    assert_eq!(category(Rules::built_in(), b"error: licence EXPIRED"), Category::BuildFailure);

    for category in ["success", "a b", ""] {
        fs::write(&path, format!("[[rule]]\ncategory = \"{category}\"\n")).unwrap();
        let error = Rules::with_file(&path).unwrap_err().to_string();
        assert!(error.contains("no category of a failure"), "{error}");
    }
    fs::write(&path, "[[rule]]\ncategory = \"x\"\nregex = [\"(\"]\n").unwrap();
    let error = Rules::with_file(&path).unwrap_err().to_string();
    assert!(error.contains("rules.toml") && error.contains("unclosed group"), "{error}");
    fs::write(&path, "[[rule]]\ncategory = \"x\"\ncontain = [\"(\"]\n").unwrap();
    let error = Rules::with_file(&path).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("contain"), "{error}");
}

#[test]
fn what_is_found_can_be_recorded() {
    let time: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    for log in [
        "npm error code ERESOLVE\n",
        "failed to build dependency zlib\n",
        "error: could not document `x`\n",
        "a.c:1:1: error: x\n",
        "make: *** [x] Killed\n",
        "",
    ] {
        for stage in Stage::ALL {
            let exit = code(1);
            let found = classify(stage, exit, log);
            let package = "fmt.0.9.0".parse().unwrap();
            let result = crate::result::StageResult::success(package, stage, time, time);
            let result = crate::result::StageResult {
                build_hash: (stage != Stage::Solve).then(|| "h".parse().unwrap()),
                exit: Some(exit),
                rule: Some(found.rule),
                ..result.failed(found.category, found.error)
            };
            result.check(time).unwrap();
        }
    }
}

#[test]
fn any_bytes_can_be_classified() {
    let long = "error: ".to_owned() + &"ä".repeat(1000);
    assert!(classify_build_log(long.as_bytes()).error.unwrap().len() <= 300);
    for log in [&b""[..], b"\x1b", b"\x1b[", b"\xff\xfe error: \xff\n", b"\n\n", b"\r\r\n"] {
        classify_build_log(log);
    }
}
