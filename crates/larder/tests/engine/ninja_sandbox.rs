//! `larder ninja --sandbox`: commands see what their build statements declare.
#![cfg(target_os = "linux")]

use std::fs;

use larder_testkit::{project::Project, run::run, tools::require};

use crate::ninja::{ninja, project};

fn sandboxed(project: &Project, arguments: &[&str]) -> larder_testkit::run::Run {
    ninja(project, &[&["--sandbox"], arguments].concat())
}

#[test]
fn what_a_build_statement_does_not_declare_is_refused_and_named() {
    let project = project(
        "rule r\n  command = cat a b > $out\nbuild o: r a\nrule list\n  command = cat sub/* > $out\nbuild l: list sub/x\n",
    );
    project.file("a", "1").file("b", "2").file("sub/x", "1").file("sub/y", "2");
    let run = sandboxed(&project, &["o"]).ends_with(1);
    let said = "build.ninja:3: it read b, which its build statement does not declare";
    assert!(run.stdout.contains(said), "{run:?}");
    assert!(run.stdout.contains("declare it there as an implicit input (`| b`)"), "{run:?}");
    let listed = sandboxed(&project, &["l"]).ends_with(1);
    assert!(listed.stdout.contains("build.ninja:6: it read sub/y"), "{listed:?}");
    project.replace("build.ninja", "o: r a", "o: r a || b");
    sandboxed(&project, &["o"]).ok();
    assert_eq!(project.read("o"), "12");
    // It is part of no trace.
    assert_eq!(ninja(&project, &["o"]).ok().stdout, "ninja: no work to do.\n");
}

#[test]
fn a_command_that_goes_on_without_what_it_may_not_read_is_warned_of() {
    let project =
        project("rule r\n  command = cat a > $out; cat b >> $out || true\nbuild o: r a\n");
    project.file("a", "1").file("b", "2");
    sandboxed(&project, &[]).ok().says("build.ninja:3: it read b, which its build statement");
    assert_eq!(project.read("o"), "1");
}

#[test]
fn a_command_that_tells_of_what_it_reads_may_read_the_trees() {
    let text = "rule r\n  command = cat a b ../other > $out && echo '$out: a b ../other' > d/$out.d\n  depfile = d/$out.d\n  deps = gcc\nbuild o: r a\n";
    let project = project(text);
    project.file("a", "1").file("b", "2");
    project.file("../other", "3");
    // That is in neither tree.
    let refused = sandboxed(&project, &[]).ends_with(1);
    let said = "which is outside of the source and the build directory";
    assert!(
        refused.stdout.contains(said) && refused.stdout.contains("--allow-read"),
        "{refused:?}"
    );
    let other = project.path("../other").canonicalize().unwrap();
    sandboxed(&project, &["--allow-read", other.to_str().unwrap()]).ok();
    assert_eq!(project.read("o"), "123");
    project.file("b", "4");
    sandboxed(&project, &["--allow-read", other.to_str().unwrap()]).ok();
    assert_eq!(project.read("o"), "143");
}

#[test]
fn a_command_writes_where_its_outputs_are_and_sees_no_secrets() {
    let project = project(
        "rule w\n  command = echo 1 > $out; echo 1 > other/x\nbuild d/o: w\nrule env\n  command = echo $$SECRET > $out\nbuild e: env\nrule keep\n  command = test -s $out || echo 1 > $out; cat $out >> log/l\nbuild k | log/l: keep\n",
    );
    fs::create_dir(project.path("other")).unwrap();
    let written = sandboxed(&project, &["d/o"]).ends_with(1);
    assert!(written.stdout.contains("it tried to write other/x"), "{written:?}");
    let with_secret = |arguments: &[&str]| {
        let mut command = project.command(&[&["ninja", "--sandbox"], arguments].concat());
        run(command.env("SECRET", "s3")).ok();
        project.read("e")
    };
    assert_eq!(with_secret(&["e"]), "\n");
    project.remove("e");
    assert_eq!(with_secret(&["e", "--allow-env", "SECRET"]), "s3\n");
    ninja(&project, &["--allow-env", "SECRET"]).ends_with(2).says("--sandbox");
    // An output that is there may be read.
    project.file("k", "0");
    sandboxed(&project, &["k"]).ok();
    assert_eq!(project.read("log/l"), "0");
}

#[test]
fn a_project_of_cmake_builds_confined() {
    if !require("cmake") || !require("c++") {
        return;
    }
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.13)\nproject(p CXX)\nadd_library(s SHARED s.cpp)\nadd_library(a STATIC a.cpp)\nadd_executable(gen gen.cpp)\ntarget_link_libraries(gen s)\nadd_custom_command(OUTPUT made.h COMMAND gen ${CMAKE_CURRENT_SOURCE_DIR}/words > made.h DEPENDS gen words)\nadd_executable(main main.cpp made.h)\ntarget_include_directories(main PRIVATE ${CMAKE_CURRENT_BINARY_DIR})\ntarget_link_libraries(main a)\nadd_custom_command(TARGET main POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:main> ${CMAKE_CURRENT_BINARY_DIR}/copied)\n",
        ),
        ("s.cpp", "int s() { return 4; }\n"),
        ("a.cpp", "int a() { return 5; }\n"),
        ("words", "x\n"),
        (
            "gen.cpp",
            "#include <cstdio>\nint s();\nint main(int, char **v) { FILE *f = fopen(v[1], \"r\"); return !f || printf(\"#define MADE %d\\n\", s()) < 0; }\n",
        ),
        ("inc.h", "#define INC 3\n"),
        (
            "main.cpp",
            "#include \"inc.h\"\n#include <made.h>\n#include <cstdio>\nint a();\nint main() { printf(\"%d %d %d\\n\", INC, MADE, a()); }\n",
        ),
    ]);
    let mut cmake = std::process::Command::new("cmake");
    cmake.args(["-G", "Ninja", "-B", "build", "."]).current_dir(&project.root);
    run(cmake).ok();
    let confined = || project.larder(&["ninja", "-C", "build", "--sandbox", "--no-cache"]).ok();
    confined();
    let said = || {
        let mut program = std::process::Command::new(project.path("build/copied"));
        run(program.env_clear()).ok().stdout
    };
    assert_eq!(said(), "3 4 5\n");
    assert!(confined().stdout.ends_with("ninja: no work to do.\n"));
    // The library that the generator loads counts, though the generator itself stays as it is.
    project.file("s.cpp", "int s() { return 6; }\n");
    confined();
    assert_eq!(said(), "3 6 5\n");
    // The build file is made anew, too.
    project.replace(
        "CMakeLists.txt",
        "add_library(a STATIC a.cpp)",
        "add_library(a STATIC a.cpp)\nadd_compile_definitions(MORE)",
    );
    confined();
    project.replace("CMakeLists.txt", "gen words)", "gen)");
    project.file("words", "y\n");
    project.remove("build/made.h");
    let refused = project.larder(&["ninja", "-C", "build", "--sandbox", "--no-cache"]).ends_with(1);
    assert!(refused.stdout.contains("FAILED: made.h"), "{refused:?}");
}
