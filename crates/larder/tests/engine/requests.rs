//! The commands, and what they print.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use larder_testkit::{events::Built, project::Project, run::run};

const MANIFEST: &str = r#"
[[library]]
name = "lua"
kind = ["static", "shared"]
sources = ["src/*.c"]
exclude = ["src/main.c"]

[[executable]]
name = "lua"
sources = ["src/main.c"]
libraries = ["lua"]

[[command]]
name = "manual"
inputs = ["doc/*.md"]
text = true
outputs = ["manual.txt"]
run = ["sh", "-c", "cat \"$@\" > $0", "{out}", "{in}"]
"#;

fn project() -> Project {
    let project = Project::new(MANIFEST);
    project
        .file("src/a.c", "#include \"a.h\"\nint a(void) { return A; }\n")
        .file("src/b.c", "#include \"a.h\"\nint b(void) { return A; }\n")
        .file("src/a.h", "#define A 1\n")
        .file("src/main.c", "int a(void);\nint b(void);\nint main(void) { return a() - b(); }\n")
        .file("doc/1.md", "one\n")
        .file("doc/2.md", "two\n");
    project
}

#[test]
fn init_writes_a_package_that_builds() {
    let project = Project::new("");
    let there = project.larder(&["init"]).ends_with(2);
    assert_snapshot!(project.redact(&there.stderr), @r"
    error: [DIR]/larder.toml is there already
      help: `larder build` builds what it says; for a new one, move it away, or see it by `larder init --dry-run`
    ");
    let run = project.larder(&["init", "new"]).ok();
    assert_snapshot!(project.redact(&run.stderr), @r"
    wrote [DIR]/new/src/main.c
    wrote [DIR]/new/larder.toml
    ");
    project.larder(&["-C", "new", "build"]).ok();
    let run = project.larder(&["-C", "new", "exec", "new"]).ok();
    assert_eq!(run.stdout, "Hello from larder\n");
    project.larder(&["init", "--name", "no name", "x"]).ends_with(2).says("cannot name a package");
}

#[test]
fn usage_that_is_wrong() {
    let project = project();
    for arguments in [
        &["biuld"][..],
        &["build", "-j", "0"],
        &["build", "--fial-level=x"],
        &["-C", "gone", "build"],
    ] {
        project.larder(arguments).ends_with(2);
    }
}

#[test]
fn query_tells_paths_and_is_quiet_when_nothing_was_built() {
    let project = project();
    let first = project.larder(&["query", "lua:static", "manual"]).ok();
    let paths = format!(
        "{0}/liblua.a\n{0}/manual.txt\n",
        project.output("").to_str().unwrap().trim_end_matches('/')
    );
    assert_eq!(first.stdout, paths);
    assert!(first.stderr.contains("built"), "{}", first.stderr);
    let again = project.larder(&["query", "lua:static", "manual"]).ok();
    assert_eq!((again.stdout, again.stderr.as_str()), (paths, ""));
    let json = project.larder(&["query", "--json", "manual"]).ok();
    let event = json.events().into_iter().find(|event| event["event"] == "target").unwrap();
    assert_eq!(event["target"], "manual");
    assert_eq!(event["outputs"], json!([project.output("manual.txt").to_str().unwrap()]));
    let hash = blake3_of(b"one\ntwo\n");
    assert_eq!(event["hashes"], json!([hash]));
    assert_eq!(fs::read_to_string(project.output("manual.txt.hash")).unwrap(), hash);
}

fn blake3_of(bytes: &[u8]) -> String {
    larder_trace::ContentHash::of_bytes(bytes).to_string()
}

#[test]
fn exec_runs_in_the_current_directory_and_passes_everything_on() {
    let project = Project::new("[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n");
    project.file("x.c", "#include <stdio.h>\n#include <unistd.h>\nint main(int c, char **v) { char d[4096]; getcwd(d, sizeof d); printf(\"%s %d %s\\n\", d, c, v[1]); return 42; }\n");
    project.file("sub/f", "");
    let mut command = project.command(&["exec", "x", "--", "-v", "--json"]);
    command.current_dir(project.path("sub"));
    let first = run(command).ends_with(42);
    assert_eq!(first.stdout, format!("{} 3 -v\n", project.path("sub").display()));
    let again = project.larder(&["exec", "x", "a"]).ends_with(42);
    assert_eq!(again.stderr, "");
    project.larder(&["exec", "y"]).ends_with(2).says("did you mean `x`?");
}

#[test]
fn run_needs_no_name_where_there_is_one_executable() {
    let exe = |name: &str, more: &str| {
        format!("[[executable]]\nname = \"{name}\"\nsources = [\"x.c\"]\n{more}\n")
    };
    let project = Project::new(&(exe("x", "") + &exe("check", "test = true")));
    project.file("x.c", "#include <stdio.h>\nint main(int c, char **v) { for (int i = 1; i < c; i++) puts(v[i]); return 42; }\n");
    assert_eq!(project.larder(&["run"]).ends_with(42).stdout, "");
    for arguments in
        [&["run", "--", "-v", "b"][..], &["exec", "x", "-v", "b"], &["run", "x", "--", "-v", "b"]]
    {
        let run = project.larder(arguments).ends_with(42);
        assert_eq!(run.stdout, "-v\nb\n", "{arguments:?}");
    }
    assert_eq!(project.larder(&["run", "x", "a", "--", "b"]).ends_with(42).stdout, "a\n--\nb\n");
    let several = Project::new(&(exe("x", "") + &exe("y", "")));
    several.larder(&["run"]).ends_with(2).says("several executables").says("name one of x, y");
    let text =
        several.read("larder.toml").replace("[package]", "[package]\ndefault-targets = [\"y\"]");
    several.file("larder.toml", text).file("x.c", "int main(void) { return 5; }\n");
    several.larder(&["run"]).ends_with(5);
    Project::new("").larder(&["run"]).ends_with(2).says("no executable to run");
    project.larder(&["run", "a b"]).ends_with(2).says("`a b` is not a target");
    let help = project.larder(&["--help"]).ok().stdout;
    assert!(help.contains("run ") && help.contains("[alias: exec]"), "{help}");
}

#[test]
fn run_brings_the_libraries_that_the_program_loads() {
    let project = Project::cached(
        "[[library]]\nname = \"l\"\nkind = [\"shared\"]\nsources = [\"l.c\"]\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"l\"]\n",
    );
    project.file("l.c", "int l(void) { return 42; }\n");
    project.file("x.c", "int l(void);\nint main(void) { return l(); }\n");
    project.larder(&["run", "x"]).ends_with(42);
    fs::remove_dir_all(project.path(".larder")).unwrap();
    project.larder(&["run", "x"]).ends_with(42);
}

#[test]
fn test_runs_tests() {
    let project = Project::new(
        r#"
[[executable]]
name = "good"
sources = ["good.c"]
test = true
test-args = ["{tmp}/scratch", "word"]

[[command]]
name = "bad"
run = ["sh", "-c", "echo because; exit 3"]
test = true

[[executable]]
name = "no-test"
sources = ["good.c"]
"#,
    );
    project.file(
        "good.c",
        "#include <stdio.h>\nint main(int c, char **v) { return c != 3 || !fopen(v[1], \"w\"); }\n",
    );
    let run = project.larder(&["test"]).ends_with(1);
    assert!(run.stderr.contains("passed good:exe"), "{}", run.stderr);
    assert!(
        run.stderr.contains("failed bad")
            && run.stderr.contains("failed with exit code 3\nbecause"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.ends_with("1 passed, 1 failed\n"), "{}", run.stderr);
    project.larder(&["test", "good"]).ok();
    project.larder(&["test", "no-test"]).ends_with(2).says("`no-test:exe` is not a test");
    let json = project.larder(&["test", "--json"]).ends_with(1);
    let tested: Vec<_> =
        json.events().into_iter().filter(|event| event["event"] == "tested").collect();
    assert_eq!(tested.len(), 2);
    // The defaults are what is made, and that a test makes nothing is no mistake.
    assert!(!project.build().built().contains(&"bad"));
}

#[test]
fn clean_removes_what_was_built() {
    let project = project();
    project.build();
    fs::create_dir_all(project.path(".larder/packages/x")).unwrap();
    project.larder(&["clean"]).ok();
    assert!(!project.path(".larder/build").exists() && !project.path(".larder/index").exists());
    assert!(project.path(".larder/packages/x").exists());
    project.larder(&["clean"]).ok();
    assert!(!project.build().built().is_empty());
}

#[test]
fn graph_as_text_and_for_graphviz() {
    let project = project();
    assert_snapshot!(project.larder(&["graph"]).ok().stdout, @r"
    lua:static
      lua:o (library)
    lua:shared
      lua:o (library)
    lua:exe
      lua:o (executable)
      lua:static (*)
    manual
    ");
    assert_snapshot!(project.larder(&["graph", "--dot", "lua:exe"]).ok().stdout, @r#"
    digraph larder {
        rankdir=LR;
        node [fontname="sans-serif"];
        "lua:o (executable)" [shape=note];
        "lua:o (library)" [shape=note];
        "lua:static" [shape=component];
        "lua:exe" [shape=box];
        "lua:o (library)" -> "lua:static";
        "lua:o (executable)" -> "lua:exe";
        "lua:static" -> "lua:exe";
    }
    "#);
    let json = project.larder(&["graph", "--json", "lua:static"]).ok();
    assert_eq!(
        json.events(),
        [
            json!({ "event": "target", "target": "lua:o (library)", "needs": [] }),
            json!({ "event": "target", "target": "lua:static", "needs": ["lua:o (library)"] }),
        ]
    );
}

#[test]
fn one_name_for_a_library_and_an_executable() {
    let project = project();
    let run = project.larder(&["build", "--json", "lua:o"]).ok();
    assert_eq!(
        Built::of(&run).built(),
        ["obj/liblua/src/a.c.o", "obj/liblua/src/b.c.o", "obj/lua/src/main.c.o"]
    );
    let run = project.larder(&["build", "--json", "lua"]).ok();
    assert_eq!(Built::of(&run).built(), ["liblua.a", "liblua.so", "lua"]);
}

#[test]
fn why_names_what_changed_each_cause_once() {
    let project = project();
    assert_snapshot!(project.larder(&["why", "lua:exe"]).ok().stdout, @r"
    not built yet: 3 out of date: obj/lua/src/main.c.o, obj/liblua/src/a.c.o, obj/liblua/src/b.c.o
    and what needs them: lua:static, lua:exe
    ");
    project.build();
    let run = project.larder(&["why"]).ok();
    assert_eq!(run.stdout, "everything is up to date: nothing changed since the last build\n");
    assert_eq!(run.stderr, "");

    project.file("src/a.h", "#define A 2\n");
    project.file("doc/2.md", "zwei\n");
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("\"{in}\"", "\"{in}\", \"{in}\""));
    let state = project.state();
    assert_snapshot!(project.larder(&["why"]).ok().stdout, @r#"
    src/a.h changed: 2 out of date: obj/liblua/src/a.c.o, obj/liblua/src/b.c.o
    doc/2.md changed: 1 out of date: manual.txt
    run changed from ["sh","-c","cat \"$@\" > $0","{out}","{in}"] to ["sh","-c","cat \"$@\" > $0","{out}","{in}","{in}"]: 1 out of date: manual.txt
    and what needs them: lua:static, lua:shared, lua:exe
    "#);
    let json = project.larder(&["why", "--json", "lua:static"]).ok();
    let causes: Vec<_> =
        json.events().into_iter().filter(|event| event["event"] == "cause").collect();
    assert_eq!(
        causes,
        [json!({
            "event": "cause",
            "cause": "src/a.h changed",
            "outputs": [
                { "target": "lua:o (library)", "output": "obj/liblua/src/a.c.o" },
                { "target": "lua:o (library)", "output": "obj/liblua/src/b.c.o" },
            ],
        })]
    );
    assert!(project.state() == state, "why touched something");

    project.build();
    fs::remove_file(project.output("liblua.so")).unwrap();
    fs::write(project.output("lua"), "").unwrap();
    project.remove("src/b.c");
    assert_snapshot!(project.larder(&["why"]).ok().stdout, @r"
    obj/liblua/src/b.c.o is gone: 2 out of date: liblua.so, liblua.a
    and what needs them: lua:exe
    ");
    project.remove("src/main.c");
    assert_snapshot!(project.redact(&project.larder(&["why"]).ends_with(2).stderr), @r#"
    error: [DIR]/larder.toml:9:12: there is no file `src/main.c`
       |
     9 | exclude = ["src/main.c"]
       |            ^^^^^^^^^^^^
       = help: paths start in [DIR]
    error: [DIR]/larder.toml:13:12: there is no file `src/main.c`
        |
     13 | sources = ["src/main.c"]
        |            ^^^^^^^^^^^^
        = help: paths start in [DIR]
    "#);
}

#[test]
fn why_folds_long_lists_unless_asked_for_more() {
    let project = Project::new("[[library]]\nname = \"a\"\nsources = [\"*.c\"]\n");
    project.file("h.h", "#define H 1\n");
    for number in 0..6 {
        project.file(&format!("f{number}.c"), format!("#include \"h.h\"\nint f{number} = H;\n"));
    }
    project.build();
    project.file("h.h", "#define H 2\n");
    assert_snapshot!(project.larder(&["why"]).ok().stdout, @r"
    h.h changed: 6 out of date: obj/liba/f0.c.o, obj/liba/f1.c.o, obj/liba/f2.c.o and 3 more
    and what needs them: a:static
    ");
    let all = project.larder(&["why", "-v"]).ok().stdout;
    assert!(all.contains("obj/liba/f5.c.o"), "{all}");
}

#[test]
fn explain_says_why_at_each_target() {
    let project = project();
    project.build();
    project.file("src/a.h", "#define A 3\n");
    let run = project.larder(&["build", "--explain", "-j1", "lua:static"]).ok();
    assert!(
        run.stderr.contains("built lua:o (library) obj/liblua/src/a.c.o (src/a.h changed)"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains(
            "built lua:static liblua.a (obj/liblua/src/a.c.o changed, obj/liblua/src/b.c.o changed)"
        ),
        "{}",
        run.stderr
    );
}

#[test]
fn dry_run_touches_nothing() {
    let project = project();
    let run = project.larder(&["build", "--dry-run"]).ok();
    assert!(
        run.stderr.contains("out of date lua:o (library) obj/liblua/src/a.c.o (not built yet)"),
        "{}",
        run.stderr
    );
    assert!(!project.path(".larder").exists());
    project.build();
    project.file("src/b.c", "int b(void) { return 9; }\n");
    let state = project.state();
    let run = project.larder(&["build", "--dry-run"]).ok();
    assert!(
        run.stderr.contains("out of date lua:o (library) obj/liblua/src/b.c.o (src/b.c changed)"),
        "{}",
        run.stderr
    );
    assert!(project.state() == state);
    project.larder(&["build"]).ok();
    let run = project.larder(&["build", "--dry-run"]).ok();
    assert!(run.stderr.starts_with("7 up to date"), "{}", run.stderr);
}

#[test]
fn no_build_names_everything_that_is_out_of_date() {
    let project = project();
    let first = project.larder(&["build", "--no-build"]).ends_with(3);
    for name in [
        "obj/liblua/src/a.c.o",
        "obj/liblua/src/b.c.o",
        "obj/lua/src/main.c.o",
        "liblua.a",
        "liblua.so",
        "lua:exe lua",
        "manual.txt",
    ] {
        assert!(first.stderr.contains(name), "{name} is not in\n{}", first.stderr);
    }
    project.build();
    project.larder(&["build", "--no-build"]).ok();
    project.file("src/a.c", "int a(void) { return 5; }\n");
    project.file("doc/1.md", "uno\n");
    let outputs = project.outputs();
    let run = project.larder(&["build", "--no-build", "--json"]).ends_with(3);
    assert_eq!(
        Built::of(&run).with("out-of-date"),
        ["liblua.a", "liblua.so", "lua", "manual.txt", "obj/liblua/src/a.c.o"]
    );
    assert!(project.outputs() == outputs);
    // Being out of date somewhere else is no concern.
    project.larder(&["build", "--no-build", "lua:o"]).ends_with(3);
    project.build();
    project.larder(&["build", "--no-build"]).ok();
}

#[test]
fn events_tell_the_whole_build() {
    let project = project();
    let run = project.larder(&["build", "--json", "manual"]).ok();
    assert_eq!(run.stderr, "");
    let mut events = run.events();
    for event in &mut events {
        for key in ["milliseconds", "progress", "command"] {
            event.as_object_mut().unwrap().remove(key);
        }
    }
    assert_eq!(
        events,
        [
            json!({ "event": "started", "target": "manual", "output": "manual.txt" }),
            json!({
                "event": "ended", "target": "manual", "output": "manual.txt", "status": "built",
                "reason": "not built yet", "error": null, "log": [],
            }),
            json!({
                "event": "finished", "exitCode": 0, "services": [],
                "diagnostics": { "errors": 0, "warnings": 0 },
            }),
        ]
    );
    let finished = run.events().pop().unwrap();
    assert_eq!(
        finished["progress"],
        json!({ "total": 1, "replayed": 0, "restored": 0, "built": 1, "outOfDate": 0, "failed": 0, "skipped": 0 })
    );
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let project = project();
    let run = project.larder(&["-q", "build"]).ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    project.file("src/a.c", "broken\n");
    let run = project.larder(&["-q", "build"]).ends_with(1);
    assert!(run.stderr.contains("failed lua:o (library) obj/liblua/src/a.c.o"), "{}", run.stderr);
}
