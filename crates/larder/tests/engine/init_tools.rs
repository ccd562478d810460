//! `larder init` where CMake and Meson are asked: what they say of directories below, and while they are asked.

use std::{fs, os::unix::fs::PermissionsExt};

use larder_testkit::{project::Project, tools::require, wait::wait_until};

use crate::live::shown;

#[test]
fn headers_that_a_directory_installs_are_those_of_the_package() {
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(thing C)\nadd_library(thing src/thing.c)\n\
             target_include_directories(thing PUBLIC include)\nadd_subdirectory(include)\n",
        ),
        (
            "include/CMakeLists.txt",
            "install(FILES thing.h gone.h DESTINATION include)\ninstall(DIRECTORY sub DESTINATION include)\n",
        ),
        ("include/thing.h", "int thing(void);\n"),
        ("include/hidden.h", "\n"),
        ("include/sub/part.h", "\n"),
        ("src/thing.c", "#include \"thing.h\"\nint thing(void) { return 1; }\n"),
    ]);
    project.larder(&["init"]).ok();
    let manifest = project.read("larder.toml");
    let headers = "headers = [\"include/thing.h\", \"include/sub/**/*.h\"]\n";
    assert!(manifest.contains(headers), "{manifest}");
    project.build();
}

#[test]
fn submodules_that_are_not_there_are_said() {
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(thing C)\nadd_executable(thing main.c)\n\
             add_subdirectory(deps/other)\n",
        ),
        ("main.c", "int main(void) { return 0; }\n"),
        (
            ".gitmodules",
            "[submodule \"x\"]\n\tpath = deps/other\n\turl = https://example.org/x\n\
             [submodule \"y\"]\n\tpath = deps/there\n",
        ),
        ("deps/there/file", ""),
    ]);
    fs::create_dir_all(project.path("deps/other")).unwrap();
    let said = project.larder(&["init"]).ok().mentions(&[
        "cmake failed: CMake Error at CMakeLists.txt:4 (add_subdirectory): The source directory",
        "does not contain a CMakeLists.txt file.",
        "left out the submodule deps/other: it is not fetched: after `git submodule update --init`",
    ]);
    assert!(!said.stderr.contains("deps/there"), "{}", said.stderr);
    project.build();
}

#[test]
fn where_a_manifest_is_people_are_told_what_to_do() {
    let project = Project::bare(&[("main.c", "int main(void) { return 0; }\n")]);
    project.larder(&["init"]).ok();
    let before = project.read("larder.toml");
    let said = project.larder(&["init"]).ends_with(2);
    said.mentions(&["larder.toml is there already", "help: `larder build` builds what it says"]);
    // What a new one would be can be seen beside it.
    let shown = project.larder(&["init", "--dry-run"]).ok().stdout;
    assert_eq!((shown, project.read("larder.toml")), (before.clone(), before));
}

#[test]
fn while_a_tool_is_asked_people_are_told() {
    let project = Project::bare(&[
        ("CMakeLists.txt", "nonsense\n"),
        ("main.c", "int main(void) { return 0; }\n"),
        ("bin/cmake", "#!/bin/sh\nwhile ! [ -e $ROOT/go ]; do sleep 0.01; done\nexit 1\n"),
    ]);
    fs::set_permissions(project.path("bin/cmake"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    let environment = [("PATH", path.as_str()), ("ROOT", project.root.to_str().unwrap())];
    project.file("go", "");
    let mut command = project.command(&["init", "--dry-run"]);
    let said = larder_testkit::run::run(command.envs(environment)).ok().stderr;
    assert!(said.starts_with("asking CMake, which may take a minute\n"), "{said:?}");
    let mut command = project.command(&["-q", "init", "--dry-run"]);
    let said = larder_testkit::run::run(command.envs(environment)).ok().stderr;
    assert!(!said.contains("asking"), "{said:?}");
    if !require("python3") {
        return;
    }
    project.remove("go");
    let mut command = project.command(&["init", "--dry-run"]);
    command.envs(environment);
    let text = shown(&project, &command, false, 0, |sees| {
        // Nothing happens meanwhile but time.
        wait_until("a second is shown", || sees("asking CMake, which may take a minute 1 s"));
        project.file("go", "");
    });
    assert!(text.contains("[[executable]]"), "{text}");
}

#[test]
fn headers_that_cmake_writes_by_itself_are_made_again() {
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(thing C)\ninclude(CheckIncludeFile)\n\
             check_include_file(unistd.h HAVE_UNISTD_H)\n\
             file(READ builds/config.h.in text)\n\
             string(REGEX REPLACE \"#undef +HAVE_UNISTD_H\" \"#define HAVE_UNISTD_H 1\" text \"${text}\")\n\
             file(WRITE ${PROJECT_BINARY_DIR}/include/thing/config.h \"${text}\")\n\
             file(READ include/thing/option.h text)\n\
             string(REGEX REPLACE \"/\\\\* (#define WITH_X 3) \\\\*/\" \"\\\\1\" text \"${text}\")\n\
             file(WRITE ${PROJECT_BINARY_DIR}/include/thing/option.h \"${text}\")\n\
             file(WRITE ${PROJECT_BINARY_DIR}/include/thing/odd.h \"int odd;\\n\")\n\
             add_library(thing src/thing.c)\n\
             target_include_directories(thing PRIVATE ${PROJECT_BINARY_DIR}/include include)\n",
        ),
        ("builds/config.h.in", "#undef HAVE_UNISTD_H\n#undef HAVE_NOTHING\nint unix_one;\n"),
        ("include/thing/config.h", "#define HAVE_UNISTD_H 2\n"),
        ("include/thing/option.h", "int one;\n/* #define WITH_X 3 */\n/* #define WITH_Y */\n"),
        (
            "src/thing.c",
            "#include <thing/config.h>\n#include <thing/option.h>\n\
             int thing[WITH_X + HAVE_UNISTD_H == 4 ? 1 : -1];\n#ifdef WITH_Y\n#error WITH_Y\n#endif\n",
        ),
    ]);
    let said = project.larder(&["init"]).ok();
    said.mentions(&["left out include/thing/odd.h: CMake makes it: write a [[command]]"]);
    let manifest = project.read("larder.toml");
    for part in [
        "output = \"include/thing/config.h\"\ntemplate = \"builds/config.h.in\"\nheaders = [\"unistd.h\"]",
        "HAVE_NOTHING = false",
        "public-defines = [\"WITH_X=3\"]",
        "private-includes = [\"{build}/include\", \"include\"]",
    ] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
    project.build();
}

#[test]
fn assembly_and_the_version_of_git_come_along_from_meson() {
    if !require("nasm") {
        return;
    }
    let project = Project::bare(&[
        (
            "meson.build",
            "project('thing', 'c', version: '2.5')\n\
             nasm = generator(find_program('nasm'), output: '@BASENAME@.obj', depfile: '@BASENAME@.ndep', \
             arguments: ['-f', 'elf64', '-I', meson.current_source_dir() / 'src/', '-I', meson.current_build_dir() + '/', \
             '-DFOUR=4', '-MQ', '@OUTPUT@', '-MF', '@DEPFILE@', '@INPUT@', '-o', '@OUTPUT@'])\n\
             set = configuration_data()\nset.set('BASE', 38)\n\
             configure_file(output: 'config.asm', output_format: 'nasm', configuration: set)\n\
             tag = vcs_tag(command: ['git', 'describe'], input: 'tag.h.in', output: 'tag.h')\n\
             executable('thing', 'src/thing.c', tag, nasm.process('src/fast.asm'), include_directories: '.')\n",
        ),
        ("tag.h.in", "#define TAG \"@VCS_TAG@\"\n"),
        (
            "src/thing.c",
            "#include <tag.h>\nint fast(void);\nint main(void) { return fast() + (TAG[0] == '2') - 43; }\n",
        ),
        (
            "src/fast.asm",
            "%include \"config.asm\"\n%include \"part.asm\"\nsection .note.GNU-stack noalloc noexec nowrite progbits\n\
             section .text\nglobal fast\nfast:\n mov eax, BASE + FOUR\n ret\n",
        ),
        (
            "src/part.asm",
            "; nothing by itself, %error where it is assembled alone\n%ifndef BASE\n%error alone\n%endif\n",
        ),
    ]);
    project.larder(&["init"]).ok().mentions(&["tag.h says 2.5, as it does without Git"]);
    let manifest = project.read("larder.toml");
    for part in [
        "[toolchain]\nasm = \"nasm\"\n",
        "sources = [\"src/fast.asm\", \"src/thing.c\"]",
        "asm-args = [\"-Isrc/\", \"-DFOUR=4\"]",
        "output = \"tag.h\"\ntemplate = \"tag.h.in\"\n",
    ] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
    project.larder(&["run", "thing"]).ok();
}

#[test]
fn options_are_said_and_tests_are_found_where_cmake_runs_them() {
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(thing C)\noption(WITH_MORE \"more of it\" OFF)\n\
             option(BUILD_TESTS \"with tests\" ON)\nadd_library(thing thing.c)\n\
             if(WITH_MORE)\ntarget_sources(thing PRIVATE more.c)\nendif()\n\
             if(BUILD_TESTS)\nenable_testing()\nadd_subdirectory(tests)\nendif()\n",
        ),
        ("thing.c", "int thing(void) { return 1; }\n"),
        ("more.c", "int more(void) { return 1; }\n"),
        (
            "tests/CMakeLists.txt",
            "add_executable(check check.c)\ntarget_link_libraries(check thing)\nadd_test(check ./check)\n",
        ),
        ("tests/check.c", "int thing(void);\nint main(void) { return thing() - 1; }\n"),
    ]);
    project.larder(&["init"]).ok().mentions(&[
        "left out the option BUILD_TESTS, the option WITH_MORE: the manifest is for the one value that it names at its top",
        "left out more.c: CMakeLists.txt has it in no target",
    ]);
    let manifest = project.read("larder.toml");
    assert!(manifest.contains("# CMake has an option BUILD_TESTS (with tests); this is for ON.\n"));
    assert!(manifest.contains("# CMake has an option WITH_MORE (more of it); this is for OFF.\n"));
    project.larder(&["test"]).ok().mentions(&["1 passed"]);
}

#[test]
fn the_compiler_is_asked_with_the_macros_that_cmake_asks_with() {
    let project = Project::bare(&[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(thing C)\ninclude(CheckSymbolExists)\n\
             list(APPEND CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)\n\
             check_symbol_exists(vasprintf stdio.h HAVE_VASPRINTF)\n\
             configure_file(config.h.in config.h)\nadd_executable(thing thing.c)\n\
             target_include_directories(thing PRIVATE ${PROJECT_BINARY_DIR})\n",
        ),
        ("config.h.in", "#cmakedefine HAVE_VASPRINTF\n"),
        (
            "thing.c",
            "#include \"config.h\"\n#ifndef HAVE_VASPRINTF\n#error no vasprintf\n#endif\n\
             int main(void) { return 0; }\n",
        ),
    ]);
    project.larder(&["init"]).ok();
    project.build();
}

#[test]
fn objects_that_meson_takes_from_other_targets_are_linked() {
    let project = Project::bare(&[
        (
            "meson.build",
            "project('thing', 'c')\n\
             one = static_library('one', 'part.c', c_args: '-DPART=one')\n\
             two = static_library('two', 'part.c', c_args: '-DPART=two')\n\
             thing = shared_library('thing', 'thing.c', objects: [one.extract_all_objects(recursive: true), \
             two.extract_all_objects(recursive: true)])\n\
             tool = executable('thing', 'main.c', 'args.c', link_with: thing)\n\
             check = executable('check', 'check.c', dependencies: meson.get_compiler('c').find_library('m'), objects: \
             [thing.extract_all_objects(recursive: true), tool.extract_objects('args.c')])\n\
             test('check', check)\n",
        ),
        (
            "meson_options.txt",
            "option('fast', type: 'boolean', value: true, description: 'be fast')\n",
        ),
        ("part.c", "int PART(void) { return 1; }\n"),
        ("thing.c", "static int hidden = 4;\nint thing(void) { return hidden; }\n"),
        ("args.c", "int args(void) { return 2; }\n"),
        (
            "main.c",
            "int args(void);\nint one(void);\nint main(void) { return args() + one() - 3; }\n",
        ),
        (
            "check.c",
            "int args(void);\nint one(void);\nint two(void);\nint thing(void);\n\
             int main(void) { return args() + one() + two() + thing() - 8; }\n",
        ),
    ]);
    project.larder(&["init"]).ok().mentions(&[
        "The target thing is called thing-2 here: another one has its name",
        "check compiles sources of thing again",
        "left out the option fast: the manifest is for the one value",
    ]);
    let manifest = project.read("larder.toml");
    let whole = "[\"-Wl,--whole-archive\", \"{one}\", \"{two}\", \"-Wl,--no-whole-archive\"";
    for part in [
        "# Meson has an option fast (be fast); this is for true.\n".to_owned(),
        format!("private-link-args = {whole}]"),
        "sources = [\"check.c\", \"thing.c\", \"args.c\"]".to_owned(),
    ] {
        assert!(manifest.contains(&part), "{part}\n{manifest}");
    }
    // What nobody in the library asks for is in it all the same.
    project.larder(&["run", "thing-2"]).ok();
    project.larder(&["test"]).ok().mentions(&["1 passed"]);
}

#[test]
fn directories_that_tests_run_in_are_said() {
    let project = Project::bare(&[
        ("check.c", "int main(void) { return 0; }\n"),
        ("data/a.txt", "a\n"),
        ("two/two.c", "int main(void) { return 0; }\n"),
    ]);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.18)\nproject(zoo C)\nenable_testing()\nadd_executable(check check.c)\n\
         add_test(NAME check COMMAND check WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/data)\n\
         add_executable(two two/two.c)\nadd_test(NAME two COMMAND two)\n",
    );
    let said =
        "left out the directory data in which the test check runs: tests run in an empty one";
    for tools in [true, false] {
        let run = match tools {
            true => project.larder(&["init"]),
            false => super::init_text::without_tools(&project, &[]),
        };
        let said_by = run.ok().stderr;
        assert!(said_by.contains(said) && !said_by.contains("test two runs"), "{said_by}");
        project.remove("larder.toml");
    }
    project.remove("CMakeLists.txt");
    project.file(
        "meson.build",
        "project('zoo', 'c')\ntest('check', executable('check', 'check.c'), workdir: meson.current_source_dir() / 'data')\n",
    );
    project.larder(&["init"]).ok().mentions(&[said]);
}
