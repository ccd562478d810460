//! Headers that are compiled once for all sources of a target.

use std::{fs, process::Command};

use larder_testkit::{project::Project, run::run, tools::which};

const MANIFEST: &str = r#"
[[executable]]
name = "x"
sources = ["src/*"]
includes = ["inc"]
precompiled-header = "src/all.h"
trace-args = ["-O1", "-g"]
"#;

const GCH: &str = "obj/x/_precompiled/c++.h.gch";
const USERS: [&str; 2] = ["obj/x/src/a.cc.o", "obj/x/src/main.cc.o"];

fn with_header(manifest: &str) -> Project {
    let project = Project::cached(manifest);
    project.file(
        "src/all.h",
        "#pragma once\n#include <map>\n#include <string>\n#include <vector>\n#include \"deep.h\"\n",
    );
    project.file(
        "inc/deep.h",
        "#pragma once\n#include \"deeper.h\"\ninline int deep() { return DEEPER; }\n",
    );
    project.file("inc/deeper.h", "#define DEEPER 3\n");
    project.file(
        "src/a.cc",
        "std::map<std::string, int> names;\nint a() { names[\"a\"] = deep(); return names[\"a\"]; }\n",
    );
    project.file(
        "src/main.cc",
        "#include \"all.h\"\nint a();\nint main() { std::vector<int> v{a()}; return v[0]; }\n",
    );
    project
}

fn code(project: &Project) -> Option<i32> {
    Command::new(project.output("x")).status().unwrap().code()
}

#[test]
fn what_went_into_a_precompiled_header_is_traced_for_each_user() {
    for compilers in ["", "[toolchain]\ncc = \"clang\"\ncxx = \"clang++\"\n"] {
        let project = with_header(&format!("{compilers}{MANIFEST}"));
        let built = project.build();
        assert!(built.complaints.is_empty() && built.notes.is_empty(), "{built:?}");
        assert_eq!(built.built(), [GCH, USERS[0], USERS[1], "x"], "{}", built.all);
        assert_eq!(code(&project), Some(3));
        project.build().all("replayed");
        project.larder(&["build", "--no-build"]).ok();
        // The same content at another time.
        project.file("inc/deep.h", project.read("inc/deep.h"));
        project.file("inc/deeper.h", "#define DEEPER 3\n");
        project.build().all("replayed");
        project.file("src/a.cc", project.read("src/a.cc") + "int more;\n");
        let built = project.build();
        assert_eq!(built.built(), [USERS[0], "x"], "{}", built.all);
        project.file("inc/deeper.h", "#define DEEPER 4\n");
        assert_eq!(project.larder(&["build", "--no-build"]).code, Some(3));
        let built = project.build();
        assert_eq!(built.built(), [GCH, USERS[0], USERS[1], "x"], "{}", built.all);
        assert!(built.notes.is_empty(), "{built:?}");
        assert_eq!(code(&project), Some(4));
        // What a header would find first.
        project.file("src/deeper.h", "#define DEEPER 9\n");
        project.build();
        assert_eq!(code(&project), Some(4));
        project.file("src/deep.h", "#include \"deeper.h\"\ninline int deep() { return DEEPER; }\n");
        project.build();
        assert_eq!(code(&project), Some(9));
        project.remove("src/deep.h");
        // Nothing but what is in the store: the header is of no use to anybody.
        let built = project.build();
        assert!(built.built().is_empty(), "{}", built.all);
        assert_eq!(code(&project), Some(4));
        project.build().all("replayed");
    }
}

#[test]
fn a_precompiled_header_is_made_for_those_only_that_are_compiled() {
    // Where variables lie in optimised code, GCC does not always say in the same words: see docs/manifest.md.
    let project = with_header(&MANIFEST.replace("\"-O1\", ", ""));
    project.build();
    let outputs = project.outputs();
    let checkout = project.checkout();
    let built = checkout.build();
    assert!(built.built().is_empty(), "{}", built.all);
    assert!(!checkout.output(GCH).exists());
    checkout.build().all("replayed");
    // Another profile has its own, and what does not differ is not compiled.
    project.file("larder.toml", project.read("larder.toml") + "[profile.same]\n");
    assert!(project.build_with(&["--profile", "same"]).built().is_empty());
    // Then one of them is compiled here.
    checkout.file("src/a.cc", checkout.read("src/a.cc") + "int more;\n");
    let built = checkout.build();
    assert_eq!(built.built(), [GCH, USERS[0], "x"], "{}", built.all);
    checkout.build().all("replayed");
    // What is made elsewhere, by another precompiled header, has the same bytes.
    let elsewhere = project.elsewhere();
    assert_eq!(elsewhere.build().built(), [GCH, USERS[0], USERS[1], "x"]);
    let there = elsewhere.outputs();
    for output in USERS.into_iter().chain(["x*"]) {
        assert!(there[output] == outputs[output], "{output}");
    }
    project.remove(&format!(".larder/build/{GCH}"));
    project.build().all("replayed");
    project.file("src/a.cc", project.read("src/a.cc") + "int less;\n");
    assert_eq!(project.build().built(), [GCH, USERS[0], "x"]);
    project.larder(&["cache", "audit", "--rebuild", "100%"]).ok();
}

/// An object without debug information.
fn code_of(object: &std::path::Path) -> Vec<u8> {
    let copy = object.with_extension("stripped");
    let strip = Command::new("strip").args(["-g", "-o"]).arg(&copy).arg(object).status();
    assert!(strip.unwrap().success());
    let code = fs::read(&copy).unwrap();
    fs::remove_file(copy).unwrap();
    code
}

#[test]
fn objects_are_those_that_would_be_made_without() {
    for (compilers, debug) in [
        ("", ""),
        ("", ", \"-g\""),
        ("[toolchain]\ncc = \"clang\"\ncxx = \"clang++\"\n", ", \"-g\""),
    ] {
        let project = with_header(&format!("{compilers}{MANIFEST}"));
        project.replace("larder.toml", ", \"-g\"", debug);
        project.build();
        let plain = project.elsewhere();
        plain.replace(
            "larder.toml",
            "precompiled-header = \"src/all.h\"",
            "cxx-args = [\"-include\", \"src/all.h\"]",
        );
        plain.build();
        for user in USERS {
            if debug.is_empty() {
                assert!(plain.outputs()[user] == project.outputs()[user], "{user}");
            }
            assert!(code_of(&plain.output(user)) == code_of(&project.output(user)), "{user}");
        }
    }
}

#[test]
fn sources_with_arguments_of_their_own_and_other_languages_go_without() {
    let project = with_header(MANIFEST);
    project.replace(
        "larder.toml",
        "precompiled-header = \"src/all.h\"",
        "precompiled-header = { cxx = \"src/all.h\", c = \"src/c.h\" }\nsource-args = { \"src/own.cc\" = [\"-DOWN=1\", \"-fno-exceptions\"] }",
    );
    project.file("src/own.cc", "int own() { return OWN + deep(); }\n");
    project.file("src/c.h", "#define C 5\n");
    project.file("src/one.c", "int one(void) { return C; }\n");
    project.file("src/asm.S", "\t.section .note.GNU-stack,\"\"\n");
    let built = project.build();
    assert!(built.notes.is_empty(), "{built:?}");
    project.file("src/two.c", "int two(void) { return C; }\n");
    let built = project.build();
    assert_eq!(built.built(), ["obj/x/src/two.c.o", "x"], "{}", built.all);
    project.file("src/c.h", "#define C 6\n");
    let made = ["obj/x/_precompiled/c.h.gch", "obj/x/src/one.c.o", "obj/x/src/two.c.o", "x"];
    assert_eq!(project.build().built(), made);
}

#[test]
fn one_that_the_compiler_refuses_costs_time_and_nothing_else() {
    let project = with_header(MANIFEST);
    let script = project.path("c++");
    let real = which("c++");
    larder_testkit::files::script(
        &script,
        &format!(
            "case \" $* \" in *c++-header*) exec {0} \"$@\" -fno-pie -fpic;; esac; exec {0} \"$@\"\n",
            real.display()
        ),
    );
    project.replace(
        "larder.toml",
        "[[executable]]",
        "[toolchain]\ncxx = \"./c++\"\n\n[[executable]]",
    );
    let built = project.build();
    assert_eq!(code(&project), Some(3));
    assert!(built.notes.iter().any(|note| note.contains("of no use")), "{built:?}");
    project.build().all("replayed");
    project.file("inc/deeper.h", "#define DEEPER 4\n");
    project.build();
    assert_eq!(code(&project), Some(4));
    // A mistake in a source is told once.
    project.file("src/a.cc", "int a() { return nowhere; }\n");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr.matches("was not declared").count(), 1, "{}", run.stderr);
}

#[test]
fn generated_headers_go_into_it() {
    let project = with_header(MANIFEST);
    project.replace(
        "larder.toml",
        "[[executable]]",
        "[[command]]\nname = \"gen\"\ninputs = [\"v\"]\noutputs = [\"gen.h\"]\nrun = [\"cp\", \"{in}\", \"{out}\"]\n\n[[executable]]",
    );
    project.replace(
        "larder.toml",
        "includes = [\"inc\"]",
        "includes = [\"inc\", \"{build}\"]\ninputs = [\"{gen}\"]",
    );
    project.file("v", "#define DEEPER 7\n");
    project.file("inc/deeper.h", "#include \"gen.h\"\n");
    project.build();
    assert_eq!(code(&project), Some(7));
    project.file("v", "#define DEEPER 8\n");
    assert_eq!(project.build().built(), ["gen.h", GCH, USERS[0], USERS[1], "x"]);
    assert_eq!(code(&project), Some(8));
    let checkout = project.checkout();
    let built = checkout.build();
    assert!(built.built().is_empty(), "{}", built.all);
}

#[test]
fn what_a_header_warns_of_is_said_once_whether_it_is_restored_or_not() {
    let project = with_header(MANIFEST);
    project.replace(
        "larder.toml",
        "precompiled-header",
        "warnings = [\"all\"]\nprecompiled-header",
    );
    project.file(
        "inc/deeper.h",
        "#define DEEPER 3\nstatic int odd() { int unused; return 1; }\nstatic int even = odd();\n",
    );
    let first = project.larder(&["build"]).ok().stderr;
    assert_eq!(first.matches("warning: unused variable").count(), 1, "{first}");
    assert!(!first.contains("pragma once"), "{first}");
    let checkout = project.checkout();
    let restored = checkout.larder(&["build"]).ok().stderr;
    assert_eq!(restored.matches("warning: unused variable").count(), 1, "{restored}");
}

#[test]
fn editors_are_told_of_the_header_as_it_is() {
    let project = with_header(MANIFEST);
    project.larder(&["compdb"]).ok();
    let text = fs::read_to_string(project.path("compile_commands.json")).unwrap();
    assert!(text.contains("\"-include\"") && text.contains("/src/all.h\""), "{text}");
    assert!(!text.contains("_precompiled") && !text.contains("-pch"), "{text}");
}

#[test]
fn headers_that_do_not_compile_and_mistakes_are_told() {
    let project = with_header(MANIFEST);
    project.file("inc/deeper.h", "#error broken\n");
    let failed = run(project.command(&["build"]));
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("broken"), "{}", failed.stderr);
    assert!(!project.output(GCH).exists());
    for (key, expected) in [
        ("precompiled-header = \"src/none.h\"", "there is no file `src/none.h`"),
        ("precompiled-header = \"src\"", "`src` is no file"),
        ("precompiled-header = \"src/*.h\"", "is no header of the package"),
        ("precompiled-header = \"{gen}\"", "is no header of the package"),
        ("precompiled-header = \"\"", "is no header of the package"),
        ("precompiled-header = \"../x.h\"", "../x.h"),
        ("precompiled-header = 3", "expected a string"),
        ("precompiled-header = { cpp = \"src/all.h\" }", "unknown key `cpp`"),
        ("precompield-header = \"src/all.h\"", "did you mean `precompiled-header`?"),
    ] {
        let project = with_header(MANIFEST);
        project.replace("larder.toml", "precompiled-header = \"src/all.h\"", key);
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{key}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{key}: {}", run.stderr);
    }
}
