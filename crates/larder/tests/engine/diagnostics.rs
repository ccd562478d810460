//! Warnings as data: once a build, the same cold, replayed and restored, and in the forms of other programs.

use std::fs;

use larder_testkit::{events::Built, project::Project, run::Run, tools::require};
use serde_json::Value;

const TARGET: &str = "[[library]]\nname = \"a\"\nsources = [\"src/*.c\"]\nincludes = [\"inc\"]\ntrace-args = [\"-Wall\"]\n";
const UNITS: usize = 4;

/// A library of units that include a header with a warning, and one unit with its own.
fn units() -> Project {
    let project = Project::cached(TARGET);
    project.file("inc/h.h", "static int in_header(void) { int q; return 1; }\nstatic inline int used(void) { return in_header(); }\n");
    for number in 0..UNITS {
        let text = format!("#include \"h.h\"\nint f{number}(void) {{ return used(); }}\n");
        project.file(&format!("src/u{number}.c"), text);
    }
    project.file("src/own.c", "int own(void) { int mine; return 0; }\n");
    project
}

fn sarif(project: &Project, arguments: &[&str]) -> (Run, Value) {
    let file = project.path("found.sarif");
    let run = project.larder(&[&["build", "--sarif", file.to_str().unwrap()], arguments].concat());
    let log = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    fs::remove_file(file).unwrap();
    (run, log)
}

/// The lines that compilers printed, sorted: which unit is the first to say what all say is not known.
fn compilers_lines(run: &Run) -> Vec<String> {
    let lines = run.stderr.lines().filter(|line| line.contains("warning: "));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_warning_is_said_once_and_counted_once_everywhere() {
    let project = units();
    let cold = project.larder(&["build", "--color", "always"]).ok();
    let own = "\x1b[01msrc/own.c:1:21:\x1b[0m \x1b[01;35mwarning: \x1b[0m";
    assert!(compilers_lines(&cold).iter().any(|line| line.starts_with(own)), "{}", cold.stderr);
    assert_eq!(compilers_lines(&cold).len(), 2, "{}", cold.stderr);
    for text in [
        "inc/h.h:1:34: unused variable ‘q’ [-Wunused-variable]: and in 3 more".to_owned(),
        ", 2 warnings\n".to_owned(),
    ] {
        assert!(cold.stderr.contains(&text), "no {text:?} in {}", cold.stderr);
    }
    // The same again, and from the store, whoever built it.
    let replayed = project.larder(&["build", "--color", "always"]).ok();
    assert_eq!(compilers_lines(&replayed), compilers_lines(&cold));
    let restored = project.checkout();
    let run = restored.larder(&["build", "--color", "always"]).ok().says("6 restored");
    assert_eq!(compilers_lines(&run), compilers_lines(&cold));
    let plain = restored.larder(&["build"]).ok().says("6 up to date").says(", 2 warnings\n");
    assert!(!plain.stderr.contains('\x1b'));
    assert_eq!(compilers_lines(&plain).len(), 2, "{}", plain.stderr);
    // Seen from where the user is.
    let below = restored.larder(&["-C", "src", "build"]).ok();
    assert!(below.stderr.contains("\nown.c:1:21: warning: "), "{}", below.stderr);
    assert!(below.stderr.contains("\n../inc/h.h:1:34: warning: "), "{}", below.stderr);
    // As data.
    let json = restored.larder(&["build", "--json"]).ok();
    let events = json.events();
    let finished = events.iter().find(|event| event["event"] == "finished").unwrap();
    assert_eq!(finished["diagnostics"], serde_json::json!({ "errors": 0, "warnings": 2 }));
    let logs = events.iter().filter_map(|event| event["log"].as_array()).flatten();
    let entries: Vec<&Value> = logs.collect();
    assert_eq!(entries.len(), UNITS + 1);
    let new: Vec<_> = entries.iter().filter(|entry| entry["repeated"] == false).collect();
    assert_eq!(new.len(), 2);
    let own = new.iter().find(|entry| entry["diagnostic"]["file"] == "src/own.c").unwrap();
    assert_eq!(own["diagnostic"]["line"], 1);
    assert_eq!(own["diagnostic"]["column"], 21);
    assert_eq!(own["diagnostic"]["option"], "-Wunused-variable");
    assert!(own["message"].as_str().unwrap().starts_with("src/own.c: In function ‘own’:\n"));
}

#[test]
fn sarif_and_annotations_are_the_same_cold_replayed_and_restored() {
    let project = units();
    let (cold, log) = sarif(&project, &[]);
    cold.ok();
    let checkout = project.checkout();
    for (project, status) in [(&project, "replayed"), (&checkout, "restored")] {
        let (run, again) = sarif(project, &["--json"]);
        Built::of(&run.ok()).with(status);
        assert_eq!(again, log, "{status}");
    }
    // From another directory, too.
    assert_eq!(sarif(&project, &["-C", "src"]).1, log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "src/own.c");
    assert_eq!(place["region"], serde_json::json!({ "startLine": 1, "startColumn": 21 }));
    assert_eq!(results[1]["level"], "warning");
    assert_eq!(results[1]["ruleId"], "-Wunused-variable");
    let rules = &log["runs"][0]["tool"]["driver"]["rules"];
    assert_eq!(
        rules[results[1]["ruleIndex"].as_u64().unwrap() as usize]["id"],
        "-Wunused-variable"
    );

    let annotations = |project: &Project, arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = project.command(&[&["build"], arguments].concat());
        command.envs(environment.iter().copied());
        let run = larder_testkit::run::run(command).ok();
        run.stderr
            .lines()
            .filter(|line| line.starts_with("::"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected = [
        "::warning file=inc/h.h,line=1,col=34,title=-Wunused-variable::unused variable ‘q’",
        "::warning file=src/own.c,line=1,col=21,title=-Wunused-variable::unused variable ‘mine’",
    ];
    let actions = &[("GITHUB_ACTIONS", "true")][..];
    assert_eq!(annotations(&project, &["--annotations", "github"], &[]), expected);
    assert_eq!(annotations(&project, &["-C", "src", "-q"], actions), expected);
    assert_eq!(annotations(&project, &["--annotations=none"], actions), [""; 0]);
    assert_eq!(annotations(&project, &[], &[]), [""; 0]);
    let above = project.root.parent().unwrap().to_str().unwrap();
    let inside = annotations(&project, &[], &[actions[0], ("GITHUB_WORKSPACE", above)]);
    assert!(inside[0].starts_with("::warning file=p/inc/h.h,"), "{inside:?}");
}

#[test]
fn errors_are_diagnostics_of_the_build_that_failed() {
    let project = units();
    project.file("src/own.c", "int own(void) { return nothing; }\n");
    let (run, log) = sarif(&project, &["-k"]);
    let run = run.ends_with(1).says(", 1 error, 2 warnings\n");
    assert!(run.stderr.contains("src/own.c:1:24: error: "), "{}", run.stderr);
    is_whole(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let errors = results.iter().filter(|result| result["level"] == "error").count();
    assert_eq!((errors, results.len()), (1, 3));
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
    // A link knows the object and the function.
    let linked = Project::new("[[executable]]\nname = \"x\"\nsources = [\"*.c\"]\n");
    linked.file("x.c", "int gone(void);\nint main(void) { return gone(); }\n");
    let json = linked.larder(&["build", "--json"]).ends_with(1);
    let events = json.events();
    let link = events.iter().find(|event| event["status"] == "failed").unwrap();
    let found = &link["log"][0]["diagnostic"];
    assert_eq!(found["object"], ".larder/build/obj/x/x.c.o", "{link}");
    assert_eq!(found["function"], "main");
    assert_eq!(found["message"], "undefined reference to `gone'");
}

/// Each result of a log has what code hosts ask for.
#[track_caller]
fn is_whole(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["shortDescription"]["text"].is_string()));
    for result in run["results"].as_array().unwrap() {
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()), "{result}");
        assert!(!result["message"]["text"].as_str().unwrap().is_empty(), "{result}");
        if let Some(rule) = result["ruleId"].as_str() {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], rule);
        }
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].is_string(), "{result}");
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0, "{result}");
    }
}

#[test]
fn what_fails_without_a_diagnostic_is_a_result() {
    let project = Project::new(
        "[[command]]\nname = \"quiet\"\noutputs = [\"q\"]\nrun = [\"sh\", \"-c\", \"echo no luck; exit 3\"]\n\
         [[command]]\nname = \"other\"\noutputs = [\"o\"]\nrun = [\"sh\", \"-c\", \"exit 3\"]\n\
         [[command]]\nname = \"unit\"\nrun = [\"sh\", \"-c\", \"echo bad luck; exit 7\"]\ntest = true\n\
         [[command]]\nname = \"fine\"\nrun = [\"true\"]\ntest = true\n\
         [[command]]\nname = \"slow\"\nrun = [\"sleep\", \"1000\"]\ntimeout = \"1s\"\ntest = true\n",
    );
    let (run, log) = sarif(&project, &["-k", "--annotations", "github"]);
    let run = run.ends_with(1).says("2 failed").says(", 2 errors\n");
    is_whole(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{log}");
    let quiet = &results[1];
    assert_eq!(quiet["ruleId"], "step-failed");
    let text = quiet["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("quiet q: ") && text.contains('3'), "{text}");
    assert!(text.ends_with("\n\nno luck"), "{text}");
    assert!(quiet["properties"]["command"].as_str().unwrap().contains("no luck"), "{quiet}");
    let place = &quiet["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "larder.toml");
    let line = project.read("larder.toml").lines().position(|line| line.contains("quiet"));
    assert_eq!(place["region"]["startLine"], line.unwrap() + 1);
    let annotations = run.stderr.lines().filter(|line| line.starts_with("::error ")).count();
    assert_eq!(annotations, 2, "{}", run.stderr);
    assert_eq!(log["runs"][0]["invocations"][0]["exitCode"], 1);
    // Where a service reads it, paths start where its repository does.
    let above = project.root.parent().unwrap();
    let mut command = project.command(&["build", "-k", "--sarif", "f"]);
    larder_testkit::run::run(command.env("GITHUB_WORKSPACE", above)).ends_with(1);
    assert!(project.read("f").contains("\"p/larder.toml\""));

    let file = project.path("tests.sarif");
    let arguments = ["test", "--json", "--junit", "junit.xml", "--sarif", file.to_str().unwrap()];
    let events = project.larder(&arguments).ends_with(1).events();
    let log: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    is_whole(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["ruleId"] == "test-failed"), "{log}");
    let text = results[1]["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("test unit: ") && text.ends_with("\n\nbad luck"), "{text}");
    // The same numbers everywhere.
    let event = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    let tests = event("tests");
    let failed = tests["failed"].as_u64().unwrap() + tests["timedOut"].as_u64().unwrap();
    assert_eq!((failed, results.len()), (2, 2));
    assert_eq!(event("finished")["diagnostics"]["errors"], 2);
    assert!(project.read("junit.xml").contains("failures=\"2\""));
}

/// The lines that a build printed which are not larder's own, sorted, and without whose turn it was to say them.
fn said(run: &Run) -> Vec<String> {
    let own = |line: &&str| {
        let is_step = line.starts_with('[') || line.contains(": and in ");
        !is_step && !line.contains(", 3 warnings") && !line.contains("included from")
    };
    let mut lines: Vec<String> = run.stderr.lines().filter(own).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_compiler_says_the_same_cold_replayed_and_restored_in_colour() {
    for compiler in ["gcc", "clang"] {
        if !require(compiler) {
            continue;
        }
        let manifest = format!("[toolchain]\ncc = \"{compiler}\"\n{TARGET}");
        let project = Project::cached(&manifest);
        project.file("inc/h.h", "static inline int in_header(void) { int q; return 1; }\n");
        for number in 0..20 {
            let text = format!("#include \"h.h\"\nint f{number}(void) {{ return in_header(); }}\n");
            project.file(&format!("src/u{number}.c"), text);
        }
        // With a note, which belongs to it.
        project.file(
            "src/own.c",
            "int own(int a);\nint own(int a) { int mine; if (a = 1) return 2; return 0; }\n",
        );
        let build =
            |project: &Project, color: &str| project.larder(&["build", "--color", color]).ok();
        let cold = build(&project, "always").says("and in 19 more").says(", 3 warnings");
        let lines = said(&cold);
        assert!(lines.iter().any(|line| line.contains("\x1b[")), "{compiler}: {lines:?}");
        assert!(lines.iter().filter(|line| line.contains("inc/h.h:1:")).count() == 1, "{lines:?}");
        let replayed = build(&project, "always").says("and in 19 more").says(", 3 warnings");
        assert_eq!(said(&replayed), lines, "{compiler}");
        let restored = project.checkout();
        let run = build(&restored, "always").says("and in 19 more").says(", 3 warnings");
        assert_eq!(said(&run), lines, "{compiler}");
        let plain: Vec<String> = said(&build(&restored, "never"));
        assert!(plain.iter().all(|line| !line.contains('\x1b')), "{compiler}: {plain:?}");
        assert_eq!(plain.len(), lines.len(), "{compiler}");
    }
}

#[test]
fn every_linker_names_what_it_misses_and_where() {
    for (linker, program) in
        [("bfd", "ld.bfd"), ("gold", "ld.gold"), ("lld", "ld.lld"), ("mold", "mold")]
    {
        if !require(program) {
            continue;
        }
        let project = Project::new(&format!(
            "[[executable]]\nname = \"x\"\nsources = [\"*.c\"]\ntrace-args = [\"-g\"]\nlink-args = [\"-fuse-ld={linker}\"]\n"
        ));
        project.file("x.c", "int gone(void);\nint main(void) { return gone(); }\n");
        let (run, log) = sarif(&project, &["--json"]);
        let events = run.ends_with(1).events();
        let link = events.iter().find(|event| event["status"] == "failed").unwrap();
        let errors = link["log"].as_array().unwrap().iter();
        let errors: Vec<&Value> = errors.filter(|entry| entry["level"] == "error").collect();
        assert_eq!(errors.len(), 1, "{linker}: {link}");
        let found = &errors[0]["diagnostic"];
        assert!(found["message"].as_str().unwrap().contains("gone"), "{linker}: {link}");
        let file = found["file"].as_str().unwrap_or_default();
        let object = found["object"].as_str().unwrap_or_default();
        assert!(file == "x.c" || object.ends_with("x.c.o"), "{linker}: {link}");
        is_whole(&log);
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 1, "{linker}: {log}");
    }
}

#[test]
fn what_fails_a_build_by_its_level_is_named() {
    let project = units();
    project.file(
        "larder.toml",
        format!("{}\n[[command]]\nname = \"talk\"\noutputs = [\"t\"]\nrun = [\"sh\", \"-c\", \"echo hello; touch $0\", \"{{out}}\"]\n", project.read("larder.toml")),
    );
    for _ in ["built", "replayed"] {
        let run = project.larder(&["build", "-q", "--wfail"]).ends_with(1);
        for text in [
            "of level warning or above, so it counts as failed:\n",
            "  a:o obj/liba/src/own.c.o: src/own.c:1:21: unused variable ‘mine’ [-Wunused-variable]",
            ": inc/h.h:1:34: unused variable ‘q’ [-Wunused-variable]",
        ] {
            assert!(run.stderr.contains(text), "no {text:?} in {}", run.stderr);
        }
    }
    project.larder(&["build", "talk", "-q", "--iofail"]).ends_with(1).says("  talk t: hello");
}

#[test]
fn a_chatty_command_is_replayed_when_asked_for() {
    let project = Project::new(
        "[[command]]\nname = \"talk\"\noutputs = [\"t\"]\nrun = [\"sh\", \"-c\", \"echo hello; echo 'tool: warning: careful'; touch $0\", \"{out}\"]\n",
    );
    project.larder(&["build", "talk"]).ok().says("hello").says("careful");
    let again = project.larder(&["build", "talk"]).ok().says("careful").says(", 1 warning\n");
    assert!(!again.stderr.contains("hello"), "{}", again.stderr);
    for arguments in [&["build", "talk", "-v"][..], &["build", "talk", "--log-level", "info"]] {
        project.larder(arguments).ok().says("hello").says("careful");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_an_error() {
    let project = units();
    project.file("file", "");
    for bad in ["file/x.sarif", ".", "/dev/full"] {
        let run = project.larder(&["build", "--sarif", bad]).ends_with(1);
        assert!(run.stderr.contains(&format!("cannot write {bad}: ")), "{}", run.stderr);
    }
    project.larder(&["build", "--annotations", "gitlub"]).ends_with(2);
}

#[test]
fn records_from_before_are_shown_as_ever() {
    let project = units();
    project.build();
    // As larder wrote them when it took nothing apart.
    let trace = project.output("obj/liba/src/own.c.o.trace");
    let mut record: Value = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    record["log"] =
        serde_json::json!([{ "level": "warning", "message": "src/own.c:1: warning: as ever" }]);
    fs::write(&trace, record.to_string()).unwrap();
    project.remove(".larder/index");
    project.larder(&["build", "a:o"]).ok().says("src/own.c:1: warning: as ever");
}
