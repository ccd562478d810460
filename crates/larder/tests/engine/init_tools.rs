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
    let headers = "headers = [\"include/sub/**/*.h\", \"include/thing.h\"]\n";
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
        "includes = [\"{build}/include\", \"include\"]",
    ] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
    project.build();
}
