//! `larder init` where CMake or Meson is not there: what their files say by themselves.

use std::{fs, os::unix::fs::symlink, path::Path};

use larder_testkit::{project::Project, run::Run};

/// Writes a manifest with neither CMake nor Meson on `PATH`.
pub fn without_tools(project: &Project, arguments: &[&str]) -> Run {
    let tools = tempfile::tempdir().unwrap();
    let mut path = project.command(&[&["init"], arguments].concat());
    path.env("PATH", tools.path());
    larder_testkit::run::run(path)
}

const SOURCES: &[(&str, &str)] = &[
    (
        "src/a.c",
        "#include <zoo.h>\n#include \"config.h\"\nint zoo(void) { return ZOO + HAVE_UNISTD_H + LEVEL; }\n",
    ),
    ("src/b.c", "int b(void) { return 0; }\n"),
    ("src/odd.c", "nonsense\n"),
    ("include/zoo.h", "int zoo(void);\n"),
    ("config.h.in", "#cmakedefine HAVE_UNISTD_H 1\n#define LEVEL @LEVEL@\n#cmakedefine HAVE_ODD\n"),
    ("app/main.c", "#include <zoo.h>\nint main(void) { return zoo() - 7; }\n"),
    (
        "test/check.c",
        "#include <zoo.h>\nint main(int c, char **v) { return c == 2 && v[1][0] == '/' ? zoo() - 7 : 1; }\n",
    ),
    ("test/data.txt", "x\n"),
];

#[test]
fn the_text_of_cmake_is_enough_for_a_first_manifest() {
    let project = Project::bare(SOURCES);
    project.file(
        "CMakeLists.txt",
        r#"cmake_minimum_required(VERSION 3.10)
project(zoo VERSION 2.5.1 LANGUAGES C)
include(CheckIncludeFile)
option(ZOO_EXTRA "more of it" OFF)
set(CMAKE_C_STANDARD 11)
set(LEVEL 4)
check_include_file("unistd.h" HAVE_UNISTD_H)
check_c_compiler_flag(-Wodd HAVE_FLAG)
configure_file(config.h.in ${CMAKE_CURRENT_BINARY_DIR}/config.h)
file(GLOB SOURCES src/*.c)
list(REMOVE_ITEM SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/src/odd.c)
find_package(Threads REQUIRED)
add_library(zoo STATIC ${SOURCES})
add_library(zoo::zoo ALIAS zoo)
target_include_directories(zoo PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> PRIVATE ${PROJECT_BINARY_DIR})
target_compile_definitions(zoo PRIVATE ZOO=2)
target_link_libraries(zoo PUBLIC m Threads::Threads PRIVATE Odd::Odd)
if(HAVE_FLAG)
  target_compile_options(zoo PRIVATE -Wodd)
  set(MORE src/odd.c)
endif()
if(WIN32 OR ZOO_EXTRA)
  target_sources(zoo PRIVATE src/odd.c)
endif()
function(program name)
  add_executable(${name} ${ARGN} ${MORE})
  target_link_libraries(${name} PRIVATE zoo::zoo)
endfunction()
set(MORE)
program(app app/main.c)
enable_testing()
add_subdirectory(test)
add_custom_command(OUTPUT gen.c COMMAND gen)
install(DIRECTORY include/ DESTINATION include)
"#,
    );
    project.file(
        "test/CMakeLists.txt",
        "program(check check.c)\nadd_test(NAME check COMMAND check ${CMAKE_CURRENT_SOURCE_DIR}/data.txt)\n\
         add_executable(unit unit.c)\ntarget_link_libraries(unit GTest::gtest_main)\n",
    );
    without_tools(&project, &[]).ok().mentions(&[
        "CMake could not be asked (there is no cmake on PATH), so this is what the text of CMakeLists.txt says",
        "left out CMakeLists.txt:18 (target_compile_options) under `if(HAVE_FLAG)`: only CMake can tell",
        "left out what zoo is linked with: Odd::Odd: only CMake can tell",
        "left out the target unit: it needs googletest: add system = [\"gtest_main\"]",
        "left out what CMakeLists.txt:33 makes: gen.c: write a [[command]]",
        "left out src/odd.c: the text of CMakeLists.txt has it in no target",
    ]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from the text of CMakeLists.txt. It is yours to change.
    # CMake could not be asked (there is no cmake on PATH), so this is what the text of CMakeLists.txt says by itself. What only CMake can tell is left out.
    # CMake has an option ZOO_EXTRA (more of it); this is for OFF.

    [package]
    name = "zoo"
    version = "2.5.1"

    [defaults]
    c-std = "gnu11"
    trace-args = ["-O2"]

    [[config]]
    name = "config"
    output = "config.h"
    template = "config.h.in"
    headers = ["unistd.h"]

    [config.values]
    HAVE_ODD = false
    LEVEL = "4"

    [[library]]
    name = "zoo"
    sources = ["src/a.c", "src/b.c"]
    defines = ["ZOO=2"]
    includes = ["include"]
    private-includes = ["{build}"]
    inputs = ["{config}"]
    link-args = ["-lm", "-pthread"]
    headers = ["include/**/*.h"]

    [[executable]]
    name = "app"
    sources = ["app/main.c"]
    libraries = ["zoo"]
    install = false

    [[executable]]
    name = "check"
    sources = ["test/check.c"]
    libraries = ["zoo"]
    test = true
    test-args = ["{package}/test/data.txt"]
    "#);
    project.larder(&["build"]).ok();
    assert_eq!(project.larder(&["exec", "app"]).ok().stdout, "");
    project.larder(&["test"]).ok().mentions(&["check"]);
    // What somebody asks for by name is read alike.
    project.remove("larder.toml");
    without_tools(&project, &["--from", "cmake"]).ok().says("CMake could not be asked");
    project.remove("larder.toml");
    without_tools(&project, &["--from", "meson"]).ends_with(1).says("cannot read meson.build");
}

#[test]
fn the_text_of_meson_is_enough_for_a_first_manifest() {
    let project = Project::bare(SOURCES);
    project.file("src/a.c", "#include <zoo.h>\nint zoo(void) { return ZOO + 5; }\n");
    project.file(
        "meson_options.txt",
        "option('extra', type: 'boolean', value: false)\noption('tls', type: 'feature')\n",
    );
    project.file(
        "meson.build",
        r"project('zoo', 'c', version: '2.5', default_options: ['c_std=c11', 'warning_level=2'])
cc = meson.get_compiler('c')
inc = include_directories('include')
sources = files('src/a.c')
sources += ['src/@0@.c'.format('b')]
if get_option('extra') or host_machine.system() == 'windows'
  sources += 'src/odd.c'
endif
if cc.has_header('odd.h')
  executable('odd', 'src/odd.c')
endif
zoo = static_library('zoo', sources, include_directories: inc, c_args: ['-DZOO=2'],
  dependencies: [cc.find_library('m'), dependency('threads'), dependency('odd', required: get_option('tls'))])
zoo_dep = declare_dependency(link_with: zoo, include_directories: inc)
executable('app', 'app/main.c', dependencies: zoo_dep)
subdir('test')
configure_file(output: 'x.h', configuration: {'A': 1})
install_headers('include/zoo.h')
",
    );
    project.file(
        "test/meson.build",
        "foreach name : ['check']\n  test(name, executable(name, name + '.c', dependencies: zoo_dep), args: files('data.txt'))\nendforeach\n",
    );
    without_tools(&project, &[]).ok().mentions(&[
        "Meson could not be asked (there is no meson on PATH), so this is what the text of meson.build says",
        "left out meson.build:9 (executable) under an `if`: only Meson can tell",
        "left out what zoo uses: odd: only Meson can tell",
        "left out x.h: it is made from answers or values (meson.build:17): write a [[config]]",
    ]);
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from the text of meson.build. It is yours to change.
    # Meson could not be asked (there is no meson on PATH), so this is what the text of meson.build says by itself. What only Meson can tell is left out.

    [package]
    name = "zoo"
    version = "2.5"

    [defaults]
    c-std = "c11"
    warnings = ["all", "extra"]
    trace-args = ["-O2"]

    [[library]]
    name = "zoo"
    sources = ["src/a.c", "src/b.c"]
    defines = ["ZOO=2"]
    includes = ["include"]
    private-includes = ["."]
    link-args = ["-lm", "-pthread"]
    headers = ["include/zoo.h"]

    [[executable]]
    name = "app"
    sources = ["app/main.c"]
    private-includes = ["."]
    libraries = ["zoo"]
    install = false

    [[executable]]
    name = "check"
    sources = ["test/check.c"]
    private-includes = ["test"]
    libraries = ["zoo"]
    test = true
    test-args = ["{package}/test/data.txt"]
    "#);
    project.larder(&["build"]).ok();
    project.larder(&["test"]).ok().mentions(&["check"]);
}

#[test]
fn a_text_that_is_broken_leaves_the_sources() {
    for (file, text) in [
        ("CMakeLists.txt", "add_library(a"),
        ("meson.build", "x = 'a"),
        ("CMakeLists.txt", "macro(m)\nm()\nendmacro()\nm()\ninclude(CMakeLists.txt)\n"),
    ] {
        let project = Project::bare(&[("main.c", "int main(void) { return 0; }\n"), (file, text)]);
        without_tools(&project, &[]).ok().says(&format!("left out {file}"));
        assert!(project.read("larder.toml").contains("from the sources"));
        project.larder(&["build"]).ok();
    }
}

#[test]
fn what_cmake_makes_becomes_a_config() {
    let project = Project::bare(&[
        (
            "main.c",
            "#include \"config.h\"\n#include <zlib.h>\nint main(void) { return HAVE_UNISTD_H + LEVEL - 4 + !zlibVersion(); }\n",
        ),
        (
            "config.h.in",
            "#cmakedefine HAVE_UNISTD_H 1\n#cmakedefine HAVE_NOTHING_H 1\n#define LEVEL @LEVEL@\n#cmakedefine HAVE_STRLEN 1\n",
        ),
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(x C)\ninclude(CheckIncludeFile)\ninclude(CheckFunctionExists)\n\
             check_include_file(unistd.h HAVE_UNISTD_H)\nset(name nothing.h)\ncheck_include_file(${name} HAVE_NOTHING_H)\n\
             check_function_exists(strlen HAVE_STRLEN)\nset(LEVEL 3)\nconfigure_file(config.h.in config.h)\n\
             add_executable(x main.c)\ntarget_include_directories(x PRIVATE ${CMAKE_BINARY_DIR})\ntarget_link_libraries(x z)\n",
        ),
    ]);
    project
        .larder(&["init"])
        .ok()
        .says("The `values` of config.h are what CMake found on this machine");
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from CMakeLists.txt. It is yours to change.
    # The `values` of config.h are what CMake found on this machine. What the compiler should be asked instead is for you to say.

    [package]
    name = "x"

    [[config]]
    name = "config"
    output = "config.h"
    template = "config.h.in"
    headers = ["nothing.h", "unistd.h"]
    functions = ["strlen"]

    [config.values]
    LEVEL = "3"

    [[executable]]
    name = "x"
    sources = ["main.c"]
    includes = ["{build}"]
    trace-args = ["-O2"]
    inputs = ["{config}"]
    system = ["zlib"]
    "#);
    project.larder(&["build"]).ok();
    project.larder(&["exec", "x"]).ok();
}

#[test]
fn arguments_with_files_that_cmake_makes_are_left_out() {
    let project = Project::bare(&[
        ("l.c", "int l(void) { return 0; }\n"),
        ("own.map", "{ global: l; local: *; };\n"),
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.13)\nproject(x C)\nfile(WRITE ${CMAKE_BINARY_DIR}/made.map \"{ global: l; };\")\n\
             add_library(made SHARED l.c)\ntarget_link_options(made PRIVATE -Wl,--version-script=${CMAKE_BINARY_DIR}/made.map)\n\
             add_library(own SHARED l.c)\ntarget_link_options(own PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/own.map)\n",
        ),
    ]);
    project
        .larder(&["init"])
        .ok()
        .says("left out -Wl,--version-script=made.map of made: CMake makes that file");
    let manifest = project.read("larder.toml");
    assert!(manifest.contains("link-args = [\"-Wl,--version-script=own.map\"]"), "{manifest}");
    assert!(!manifest.contains("made.map"), "{manifest}");
    project.larder(&["build"]).ok();
}

#[test]
fn odd_directories_are_looked_through() {
    let project =
        Project::bare(&[("include/x/x.h", "#define X 1\n"), ("include/x/y.hpp", "#pragma once\n")]);
    // Names that are no UTF-8, links in circles, and what nobody may read.
    let odd: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(b"odd\xff.c".to_vec());
    fs::write(project.root.join(odd), "nonsense").unwrap();
    symlink(".", project.path("round")).unwrap();
    symlink("nowhere", project.path("gone.c")).unwrap();
    fs::create_dir(project.path("locked")).unwrap();
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(Path::new(&project.path("locked")), mode).unwrap();
    };
    mode(0o000);
    // Whoever may read everything does.
    let may_read = fs::read_dir(project.path("locked")).is_ok();
    let run = project.larder(&["init"]).ok();
    mode(0o700);
    let run = run.says("its name is no UTF-8");
    if !may_read {
        run.says("left out locked/: it cannot be read");
    }
    insta::assert_snapshot!(project.read("larder.toml"), @r#"
    # Made by `larder init` from the sources. It is yours to change.

    [package]
    name = "p"
    version = "0.1.0"

    [[library]]
    name = "p"
    includes = ["include"]
    headers = ["include/x/x.h", "include/x/y.hpp"]
    "#);
    project.larder(&["build"]).ok();
}

#[test]
fn lists_in_generator_expressions_are_read() {
    let project = Project::bare(&[
        ("src/a.c", "int a(void) { return 1; }\n"),
        ("more/b.c", "int b(void) { return 2; }\n"),
        ("more/c.c", "int c(void) { return 3; }\n"),
    ]);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(zoo C)\nset(pattern src/*.c)\n\
         list(INSERT pattern 0 CONFIGURE_DEPENDS)\nfile(GLOB own ${pattern})\nfile(GLOB more more/*.c)\n\
         list(LENGTH more count)\nset(plain $<NOT:$<C_COMPILER_ID:MSVC>>)\nset(none)\n\
         add_library(zoo \"\")\ntarget_sources(zoo PRIVATE $<$<BOOL:ON>:${more}> $<$<BOOL:ON>:${none}> ${own})\n\
         target_compile_options(zoo PRIVATE $<${plain}:-Wall -Wextra> $<$<C_COMPILER_ID:MSVC>:/W3 /WX>)\n",
    );
    let run = without_tools(&project, &[]).ok();
    assert!(!run.stderr.contains("\nleft out"), "{}", run.stderr);
    let manifest = project.read("larder.toml");
    for part in ["sources = [\"more/*.c\", \"src/a.c\"]\n", "warnings = [\"all\", \"extra\"]\n"] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
    project.larder(&["build"]).ok();
}
