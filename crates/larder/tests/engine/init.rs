//! `larder init`: a manifest from what is there, which builds.

use std::fs;

use larder_testkit::{project::Project, run::Run};

/// Writes a manifest, which has to build, and whose tests have to pass.
fn works(project: &Project, arguments: &[&str]) -> Run {
    let files = || larder_testkit::files::names(&project.root);
    let before = files();
    let run = project.larder(&[&["init"], arguments].concat()).ok();
    let mut after = files();
    after.retain(|name| !name.ends_with("larder.toml"));
    assert_eq!(after, before, "nothing but the manifest is written");
    project.larder(&["build"]).ok();
    project.larder(&["test"]).ok();
    run
}

#[test]
fn flat_sources_are_a_program() {
    let project = Project::bare(&[
        ("main.c", "#include \"util.h\"\nint main(void) { return util() - 4; }\n"),
        (
            "util.c",
            "#include \"util.h\"\n#include <math.h>\nint util(void) { return (int)sqrt(16.0); }\n",
        ),
        ("util.h", "int util(void);\n"),
        ("table.c.in", "x"),
        ("part.c", "static int part(void) { return 0; }\n"),
        ("whole.c", "#include \"part.c\"\nint whole(void) { return part(); }\n"),
        ("io_windows.c", "#include <windows.h>\n"),
        ("build/gen.c", "nonsense\n"),
        ("third_party/x/x.c", "nonsense\n"),
        ("a b[1].c", "nonsense\n"),
        ("lexer.l", "nonsense\n"),
        ("fast.asm", "nonsense\n"),
    ]);
    let run = works(&project, &[]);
    run.mentions(&[
        "left out build/: by its name, it is for what is built",
        "left out third_party/: by its name, it is of others",
        "left out io_windows.c: by its name, it is for another platform",
        "left out part.c: whole.c includes it",
        "left out a b[1].c: its name has characters",
        "left out lexer.l: larder compiles",
        "left out fast.asm: an assembler has to be named for it, `[toolchain] asm = \"nasm\"`",
        "wrote ",
    ]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from the sources. It is yours to change.

    [package]
    name = "p"
    version = "0.1.0"

    [[executable]]
    name = "p"
    sources = ["main.c", "util.c", "whole.c"]
    warnings = ["all"]
    trace-args = ["-O2"]
    link-args = ["-lm"]
    "#);
    project.larder(&["init"]).ends_with(2).says("is there already");
    let ignore = fs::read_to_string(project.path(".larder/.gitignore")).unwrap();
    assert_eq!(ignore, "*\n", "and the project's own need not know");
    // What somebody wrote there stays.
    project.file(".larder/.gitignore", "");
    project.larder(&["build"]).ok();
    assert_eq!(project.read(".larder/.gitignore"), "");
}

#[test]
fn libraries_programs_and_tests_are_told_apart() {
    let project = Project::bare(&[
        ("include/list/list.h", "#pragma once\nint list(void);\n"),
        (
            "src/list.c",
            "#include <list/list.h>\n#include \"inner/deep.h\"\nint list(void) { return DEEP; }\n",
        ),
        ("src/inner/deep.h", "#define DEEP 7\n"),
        (
            "src/more.cc",
            "extern \"C\" {\n#include \"list/list.h\"\n}\nint more() { return list(); }\n",
        ),
        (
            "tools/show.c",
            "#include <list/list.h>\n#include <stdio.h>\nint main(void) { printf(\"%d\\n\", list()); return 0; }\n",
        ),
        ("tests/help.h", "int help(int);\n"),
        ("tests/help.c", "#include \"help.h\"\nint help(int x) { return x; }\n"),
        (
            "tests/test_a.c",
            "#include \"help.h\"\n#include \"list/list.h\"\nint main(void) { return help(list() - 7); }\n",
        ),
        (
            "tests/test_b.c",
            "#include \"inner/deep.h\"\nint help(int);\nint main(void) { return help(DEEP - 7); }\n",
        ),
        ("tests/g_test.cc", "#include <gtest/gtest.h>\nint main() { return RUN_ALL_TESTS(); }\n"),
        ("examples/x.c", "nonsense\n"),
    ]);
    works(&project, &["--name", "liblist"]).mentions(&[
        "left out examples/: by its name, nothing needs it",
        "left out tests/g_test.cc: it includes gtest/gtest.h, and so it needs googletest",
    ]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from the sources. It is yours to change.

    [package]
    name = "liblist"
    version = "0.1.0"

    [defaults]
    warnings = ["all"]
    trace-args = ["-O2"]

    [[library]]
    name = "list"
    sources = ["src/list.c", "src/more.cc"]
    includes = ["include"]

    [[executable]]
    name = "show"
    sources = ["tools/show.c"]
    libraries = ["list"]

    [[executable]]
    name = "test_a"
    sources = ["tests/test_a.c", "tests/help.c"]
    libraries = ["list"]
    test = true

    [[executable]]
    name = "test_b"
    sources = ["tests/test_b.c", "tests/help.c"]
    includes = ["src"]
    libraries = ["list"]
    test = true
    "#);
    assert_eq!(project.larder(&["exec", "show"]).ok().stdout, "7\n");
    let tests = project.larder(&["test"]).ok();
    tests.mentions(&["test_a", "test_b"]);
}

const COMPILED: &[(&str, &str)] = &[
    ("lib/a.cpp", "#include <a.hpp>\n#ifndef WITH\n#error\n#endif\nint a() { return WITH; }\n"),
    ("lib/include/a.hpp", "int a();\n"),
    (
        "app/main.cpp",
        "#include <a.hpp>\n#include <cmath>\nint main(int, char **v) { return a() - 3 + (int)std::floor(0.5) + !v; }\n",
    ),
    (
        "check/check.cpp",
        "#include <a.hpp>\n#include <fstream>\nint main(int c, char **v) { return c == 2 && std::ifstream(v[1]) ? a() - 3 : 1; }\n",
    ),
    ("check/data.txt", "x\n"),
];

#[test]
fn cmake_is_asked() {
    let project = Project::bare(COMPILED);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(thing VERSION 2.5.1 LANGUAGES CXX)\n\
         set(CMAKE_CXX_STANDARD 17)\nset(CMAKE_CXX_EXTENSIONS OFF)\nenable_testing()\n\
         add_library(a STATIC lib/a.cpp)\ntarget_include_directories(a PUBLIC lib/include)\n\
         target_compile_definitions(a PRIVATE WITH=3)\ntarget_compile_options(a PRIVATE -Wall -fno-rtti)\n\
         add_executable(app app/main.cpp)\ntarget_link_libraries(app a m)\n\
         add_executable(check check/check.cpp)\ntarget_link_libraries(check PRIVATE a)\n\
         add_test(NAME check COMMAND check ${CMAKE_SOURCE_DIR}/check/data.txt)\n\
         add_test(NAME again COMMAND check 2)\nadd_test(NAME echo COMMAND cmake -E echo)\n\
         add_custom_command(OUTPUT gen.cpp COMMAND cmake -E touch gen.cpp)\nadd_library(gen gen.cpp)\n",
    );
    project.file("unused.cpp", "nonsense\n");
    works(&project, &[]).mentions(&[
        "left out unused.cpp: CMakeLists.txt has it in no target",
        "left out the test again: a test runs an executable once",
        "left out the test echo: it runs no executable of the package",
        "left out the target gen: none of its sources",
    ]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from CMakeLists.txt. It is yours to change.

    [package]
    name = "thing"
    version = "2.5.1"

    [defaults]
    cxx-std = "c++17"
    trace-args = ["-O2"]

    [[library]]
    name = "a"
    sources = ["lib/a.cpp"]
    warnings = ["all"]
    defines = ["WITH=3"]
    includes = ["lib/include"]
    trace-args = ["-fno-rtti"]

    [[executable]]
    name = "app"
    sources = ["app/main.cpp"]
    libraries = ["a"]
    link-args = ["-lm"]

    [[executable]]
    name = "check"
    sources = ["check/check.cpp"]
    libraries = ["a"]
    test = true
    test-args = ["{package}/check/data.txt"]
    "#);
}

#[test]
fn meson_is_asked() {
    let project = Project::bare(COMPILED);
    project.file(
        "meson.build",
        "project('thing', 'cpp', version: '2.5', default_options: ['cpp_std=c++17', 'warning_level=1'])\n\
         inc = include_directories('lib/include')\n\
         a = static_library('a', 'lib/a.cpp', include_directories: inc, cpp_args: ['-DWITH=3'])\n\
         executable('app', 'app/main.cpp', include_directories: inc, link_with: a,\n\
         dependencies: meson.get_compiler('cpp').find_library('m'))\n\
         c = executable('check', 'check/check.cpp', include_directories: inc, link_with: a)\n\
         test('check', c, args: [files('check/data.txt')])\n\
         custom_target('doc', output: 'x', command: ['touch', '@OUTPUT@'])\n",
    );
    works(&project, &[]).mentions(&["left out the target doc: it is neither"]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from meson.build. It is yours to change.

    [package]
    name = "thing"
    version = "2.5"

    [defaults]
    cxx-std = "c++17"
    warnings = ["all"]
    private-includes = [".", "lib/include"]
    trace-args = ["-O2"]

    [[library]]
    name = "a"
    sources = ["lib/a.cpp"]
    defines = ["WITH=3"]

    [[executable]]
    name = "app"
    sources = ["app/main.cpp"]
    libraries = ["a"]
    link-args = ["-lm"]

    [[executable]]
    name = "check"
    sources = ["check/check.cpp"]
    libraries = ["a"]
    test = true
    test-args = ["{package}/check/data.txt"]
    "#);
}

#[test]
fn compile_commands_are_enough() {
    let project = Project::bare(COMPILED);
    let root = project.root.display().to_string();
    let entries: Vec<serde_json::Value> = [
        ("lib/a.cpp", "-DWITH=3"),
        ("app/main.cpp", "-Wextra"),
        ("check/check.cpp", ""),
    ]
    .iter()
    .map(|(file, more)| {
        let command = format!("c++ -std=c++17 -Wall -I{root}/lib/include {more} -o x.o -c ../{file}");
        serde_json::json!({ "directory": format!("{root}/out"), "file": format!("../{file}"), "command": command })
    })
    .collect();
    fs::create_dir(project.path("out")).unwrap();
    project.file("compile_commands.json", serde_json::to_string(&entries).unwrap());
    project.file("unused.cpp", "nonsense\n");
    let run = project.larder(&["init"]).ok();
    run.mentions(&["left out unused.cpp: compile_commands.json has it in no target"]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from compile_commands.json. It is yours to change.

    [package]
    name = "p"
    version = "0.1.0"

    [defaults]
    cxx-std = "c++17"
    warnings = ["all"]
    includes = ["lib/include"]

    [[library]]
    name = "p-core"
    sources = ["lib/a.cpp"]
    defines = ["WITH=3"]

    [[executable]]
    name = "p"
    sources = ["app/main.cpp"]
    warnings = ["extra"]
    libraries = ["p-core"]
    link-args = ["-lm"]

    [[executable]]
    name = "check"
    sources = ["check/check.cpp"]
    libraries = ["p-core"]
    test = true
    "#);
    project.larder(&["build"]).ok();
}

#[test]
fn what_cannot_be_asked_is_said_and_the_next_is_tried() {
    let project = Project::bare(&[("main.c", "int main(void) { return 0; }\n")]);
    project.file("CMakeLists.txt", "message(FATAL_ERROR \"no way\")\n");
    project.file("compile_commands.json", "[]");
    let shown = project.larder(&["init", "--dry-run"]).ok();
    assert!(shown.stdout.contains("[[executable]]\nname = \"p\""), "{}", shown.stdout);
    assert!(!project.path("larder.toml").exists() && !project.path(".larder").exists());
    project.larder(&["init"]).ok().mentions(&[
        "left out CMakeLists.txt: cmake failed: CMake Error",
        "left out compile_commands.json: it has nothing that is built",
        "wrote ",
    ]);
    project.larder(&["build"]).ok();
    project.remove("larder.toml");
    for (from, words) in [
        ("cmake", "cannot read CMakeLists.txt: cmake failed"),
        ("meson", "cannot read meson.build: meson failed"),
        ("compdb", "cannot read compile_commands.json: it has nothing"),
    ] {
        project.larder(&["init", "--from", from]).ends_with(1).says(words);
        assert!(!project.path("larder.toml").exists());
    }
    project.file("compile_commands.json", "no JSON");
    project
        .larder(&["init", "--from", "compdb"])
        .ends_with(1)
        .says("cannot read compile_commands.json: ");
    project.larder(&["init", "--from", "sources"]).ok();
    project.remove("larder.toml");
    let mut without = project.command(&["init", "--from", "cmake"]);
    without.env("PATH", "/nowhere");
    larder_testkit::run::run(without).ends_with(1).says("there is no cmake on PATH");
    project.larder(&["init", "--from", "make"]).ends_with(2);
}
