//! `larder init` and what is installed: headers that are for users of a library, directories that only it looks in, and names
//! of libraries.

use std::process::Command;

use larder_testkit::{files, project::Project, run::run};

use super::init_text::without_tools;

/// The headers that a prefix below a project has.
fn headers(project: &Project, prefix: &str) -> Vec<String> {
    let mut found = files::names(&project.path(prefix).join("include"));
    found.retain(|name| name.ends_with(".h"));
    found.sort();
    found
}

/// The files of libraries that a prefix below a project has, in the one directory of them.
fn libraries(project: &Project, prefix: &str) -> Vec<String> {
    let found = files::files(&project.path(prefix).join("lib"));
    let names = found.iter().filter_map(|path| path.file_name()?.to_str());
    names.filter(|name| name.starts_with("lib")).map(str::to_owned).collect()
}

/// Runs a tool in the project.
fn tool(project: &Project, words: &[&str]) {
    run(Command::new(words[0]).args(&words[1..]).current_dir(&project.root)).ok();
}

/// Writes a manifest, whose tests have to pass. Installs the package, and returns its headers.
fn installed(project: &Project) -> Vec<String> {
    assert!(!project.larder(&["init"]).ok().stderr.contains("could not be asked"));
    builds_and_installs(project)
}

fn builds_and_installs(project: &Project) -> Vec<String> {
    project.larder(&["test"]).ok().mentions(&["1 passed"]);
    let prefix = project.path("ours");
    project.larder(&["install", "--prefix", prefix.to_str().unwrap()]).ok();
    headers(project, "ours")
}

/// Writes another manifest, with neither CMake nor Meson on `PATH`.
pub fn again_by_text(project: &Project) {
    project.remove("larder.toml");
    without_tools(project, &[]).ok().mentions(&["could not be asked (there is no"]);
}

/// Writes a manifest with the tools, and one by the text alone, and checks either.
pub fn either_way(project: &Project, check: impl Fn()) {
    project.larder(&["init"]).ok();
    check();
    again_by_text(project);
    check();
}

/// The manifest that the text alone leads to has these versions of libraries, and one longer version of a file.
fn text_gives_soversions(project: &Project, versions: [&str; 2]) {
    again_by_text(project);
    let manifest = project.read("larder.toml");
    assert!(manifest.contains("file-version = \"1.2.3\""), "{manifest}");
    assert!(!manifest.contains("file-version = \"2.1\""), "{manifest}");
    for version in versions {
        assert!(manifest.contains(&format!("soversion = \"{version}\"")), "{manifest}");
    }
}

const ZOO: &[(&str, &str)] = &[
    (
        "zoo.c",
        "#include <zoo.h>\n#include <config.h>\n#include <inner.h>\nint zoo(void) { return INNER + SECRET; }\n",
    ),
    ("zoo.h", "#include \"zoo_level.h\"\nint zoo(void);\n"),
    ("src/inner.h", "#define INNER 3\n"),
    ("config.h.in", "#define SECRET @SECRET@\n"),
    ("zoo_level.h.in", "#define LEVEL @LEVEL@\n"),
    ("tests/help.h", "int help(void);\n"),
    ("tests/help.c", "#include \"help.h\"\nint help(void) { return 7; }\n"),
    (
        "tests/check.c",
        "#include <zoo.h>\n#include <help.h>\n#include <inner.h>\nint main(void) { return zoo() + LEVEL + INNER - help() - 6; }\n",
    ),
];

#[test]
fn those_that_cmake_installs_are_installed_and_no_others() {
    let project = Project::bare(ZOO);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(zoo C)\nenable_testing()\nset(SECRET 4)\nset(LEVEL 3)\n\
         configure_file(config.h.in config.h)\nconfigure_file(zoo_level.h.in zoo_level.h)\n\
         include_directories(${PROJECT_BINARY_DIR} . src)\nadd_library(zoo zoo.c)\n\
         add_library(helper STATIC tests/help.c)\ntarget_include_directories(helper PUBLIC tests)\n\
         add_executable(check tests/check.c)\ntarget_link_libraries(check zoo helper)\nadd_test(check check)\n\
         install(TARGETS zoo DESTINATION lib)\n\
         install(FILES zoo.h ${PROJECT_BINARY_DIR}/zoo_level.h DESTINATION include)\n",
    );
    let ours = installed(&project);
    let manifest = project.read("larder.toml");
    for part in [
        "name = \"zoo\"\nsources = [\"zoo.c\"]\nincludes = [\"{build}/public\", \".\"]\n",
        "headers = [\"zoo.h\"]\n",
        "output = \"public/zoo_level.h\"\n",
        "output = \"config.h\"\n",
        "private-includes = [\"{build}\", \"src\"]\n",
    ] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
    tool(&project, &["cmake", "-S", ".", "-B", "out"]);
    tool(&project, &["cmake", "--build", "out"]);
    let prefix = project.path("theirs");
    tool(&project, &["cmake", "--install", "out", "--prefix", prefix.to_str().unwrap()]);
    assert_eq!(ours, headers(&project, "theirs"));
    assert_eq!(ours, ["zoo.h", "zoo_level.h"]);
    // The text alone says the same.
    files::remove_tree(&project.path("ours"));
    files::remove_tree(&project.path("out"));
    again_by_text(&project);
    assert_eq!(builds_and_installs(&project), ours);
}

#[test]
fn those_that_meson_installs_are_installed_and_no_others() {
    let project = Project::bare(ZOO);
    project.file(
        "meson.build",
        "project('zoo', 'c')\nset = configuration_data({'SECRET': 4, 'LEVEL': 3})\n\
         configure_file(input: 'config.h.in', output: 'config.h', configuration: set)\n\
         configure_file(input: 'zoo_level.h.in', output: 'zoo_level.h', configuration: set, install: true, \
         install_dir: get_option('includedir'))\n\
         inc = include_directories('.', 'src')\n\
         zoo = library('zoo', 'zoo.c', include_directories: inc, install: true)\n\
         help = static_library('help', 'tests/help.c')\n\
         check = executable('check', 'tests/check.c', include_directories: [inc, 'tests'], link_with: [zoo, help])\n\
         test('check', check)\ninstall_headers('zoo.h')\n",
    );
    let ours = installed(&project);
    let prefix = project.path("theirs");
    tool(&project, &["meson", "setup", "out", "--prefix", prefix.to_str().unwrap()]);
    tool(&project, &["meson", "install", "-C", "out", "--quiet"]);
    assert_eq!(ours, headers(&project, "theirs"));
    assert_eq!(ours, ["zoo.h", "zoo_level.h"]);
}

const DEEP: &[(&str, &str)] = &[
    ("include/zoo/zoo.h", "int zoo(void);\n"),
    ("src/inner.h", "#define INNER 3\n"),
    ("src/zoo.c", "#include <zoo/zoo.h>\n#include <inner.h>\nint zoo(void) { return INNER; }\n"),
    ("app/main.c", "#include <zoo/zoo.h>\nint main(void) { return zoo() - 3; }\n"),
];

/// The manifest says what only the library looks in.
fn is_split(project: &Project) {
    let manifest = project.read("larder.toml");
    for part in ["\nincludes = [\"include\"]\n", "\nprivate-includes = [\"src\"]\n"] {
        assert_eq!(manifest.matches(part).count(), 1, "{part}\n{manifest}");
    }
    project.larder(&["run", "app"]).ok();
}

#[test]
fn where_nothing_is_installed_the_text_of_cmake_decides() {
    let project = Project::bare(DEEP);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(zoo C)\nfunction(library name)\n\
         add_library(${name} ${ARGN})\ntarget_include_directories(${name} PRIVATE src\n\
         INTERFACE \"$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include;${PROJECT_BINARY_DIR}>\" $<INSTALL_INTERFACE:include>)\n\
         target_include_directories(${name} PRIVATE include)\nendfunction()\nlibrary(zoo src/zoo.c)\n\
         add_executable(app app/main.c)\ntarget_link_libraries(app zoo)\n",
    );
    project.larder(&["init", "--from", "cmake"]).ok();
    is_split(&project);
}

#[test]
fn where_nothing_is_installed_the_text_of_meson_decides() {
    let project = Project::bare(DEEP);
    project.file(
        "meson.build",
        "project('zoo', 'c')\n\
         zoo = library('zoo', 'src/zoo.c', include_directories: ['include', 'src'], implicit_include_directories: false)\n\
         dependency = declare_dependency(link_with: zoo, include_directories: 'include')\n\
         executable('app', 'app/main.c', dependencies: dependency, implicit_include_directories: false)\n",
    );
    project.larder(&["init", "--from", "meson"]).ok();
    is_split(&project);
    project.remove("larder.toml");
    let nowhere = tempfile::tempdir().unwrap();
    run(project.command(&["init"]).env("PATH", nowhere.path()))
        .ok()
        .mentions(&["Meson could not be asked"]);
    is_split(&project);
}

const ONE: &[(&str, &str)] = &[("one.c", "int one(void) { return 1; }\n")];

/// The libraries that larder installs: just those that the other build system installs.
fn has_the_same_names(project: &Project) -> Vec<String> {
    project.larder(&["init"]).ok();
    let prefix = project.path("ours");
    project.larder(&["install", "--prefix", prefix.to_str().unwrap()]).ok();
    let [mut ours, mut theirs] = ["ours", "theirs"].map(|prefix| libraries(project, prefix));
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    ours
}

#[test]
fn shared_libraries_are_called_as_cmake_calls_them() {
    let project = Project::bare(ONE);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(one C)\nadd_library(one SHARED one.c)\n\
         set_target_properties(one PROPERTIES VERSION 1.2.3 SOVERSION 4)\nadd_library(whole SHARED one.c)\n\
         set_target_properties(whole PROPERTIES VERSION 2.1)\nadd_library(other STATIC one.c)\n\
         set_target_properties(other PROPERTIES OUTPUT_NAME another)\nadd_library(plain SHARED one.c)\n\
         install(TARGETS one whole other plain DESTINATION lib)\n",
    );
    let prefix = project.path("theirs");
    tool(&project, &["cmake", "-S", ".", "-B", "out"]);
    tool(&project, &["cmake", "--build", "out"]);
    tool(&project, &["cmake", "--install", "out", "--prefix", prefix.to_str().unwrap()]);
    let ours = has_the_same_names(&project);
    let names = [
        "libanother.a",
        "libone.so",
        "libone.so.1.2.3",
        "libone.so.4",
        "libplain.so",
        "libwhole.so",
        "libwhole.so.2.1",
    ];
    assert_eq!(ours, names);
    text_gives_soversions(&project, ["4", "2.1"]);
}

#[test]
fn two_forms_of_a_library_are_two_targets_and_that_is_said() {
    let project = Project::bare(ONE);
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(one C)\nadd_library(one SHARED one.c)\n\
         add_library(a_one STATIC one.c)\nset_target_properties(a_one PROPERTIES OUTPUT_NAME one)\n",
    );
    project.larder(&["init"]).ok().says("The library a_one is called one in CMake");
    project.build();
    assert!(project.output("libone.so").exists() && project.output("liba_one.a").exists());
}

#[test]
fn shared_libraries_are_called_as_meson_calls_them() {
    let project = Project::bare(ONE);
    project.file(
        "meson.build",
        "project('one', 'c')\nlibrary('one', 'one.c', version: '1.2.3', install: true)\n\
         library('two', 'one.c', version: '1.2.3', soversion: 4, install: true)\nlibrary('plain', 'one.c', install: true)\n",
    );
    let prefix = project.path("theirs");
    tool(
        &project,
        &["meson", "setup", "out", "--libdir=lib", "--prefix", prefix.to_str().unwrap()],
    );
    tool(&project, &["meson", "install", "-C", "out", "--quiet"]);
    let ours = has_the_same_names(&project);
    let names = [
        "libone.so",
        "libone.so.1",
        "libone.so.1.2.3",
        "libplain.so",
        "libtwo.so",
        "libtwo.so.1.2.3",
        "libtwo.so.4",
    ];
    assert_eq!(ours, names);
    text_gives_soversions(&project, ["1", "4"]);
}

#[test]
fn meson_projects_are_optimised_as_they_say_else_as_others() {
    let said: [(&str, &[&str]); 4] = [
        ("", &["trace-args = [\"-O2\"]"]),
        (
            "'buildtype=release', 'b_ndebug=if-release'",
            &["trace-args = [\"-O3\"]", "defines = [\"NDEBUG\"]"],
        ),
        ("'buildtype=debugoptimized'", &["trace-args = [\"-O2\", \"-g\"]"]),
        ("'buildtype=plain'", &[]),
    ];
    let keys = ["trace-args", "defines"];
    for (options, wanted) in said {
        let project = Project::bare(ONE);
        let text =
            format!("project('one', 'c', default_options: [{options}])\nlibrary('one', 'one.c')\n");
        project.file("meson.build", text);
        let check = || {
            let manifest = project.read("larder.toml");
            let lines = manifest.lines().filter(|line| keys.iter().any(|it| line.starts_with(it)));
            let mut found: Vec<&str> = lines.collect();
            found.sort_by_key(|line| std::cmp::Reverse(*line));
            assert_eq!(found, wanted, "{options}");
        };
        either_way(&project, check);
    }
}

#[test]
fn a_version_that_variables_say_is_that_of_the_package() {
    let said = [
        (
            "set(PROJECT_VERSION_MAJOR 1)\nset(PROJECT_VERSION \"${PROJECT_VERSION_MAJOR}.7.15\")\n",
            Some("1.7.15"),
        ),
        (
            "set(ONE_VERSION_MAJOR 2)\nset(ONE_VERSION_MINOR 3)\nset(ONE_VERSION_PATCH 4)\n",
            Some("2.3.4"),
        ),
        ("set(one_VERSION 5.6)\nset(PACKAGE_VERSION 7)\n", Some("5.6")),
        ("set(PROJECT_VERSION unknown)\n", None),
        (
            "file(READ one.c text)\nstring(REGEX MATCH \"([a-z]+) one\" _ \"${text}\")\nset(PROJECT_VERSION ${CMAKE_MATCH_1}.${CMAKE_MATCH_1})\n",
            None,
        ),
        ("add_subdirectory(sub)\n", None),
        ("set(PROJECT_VERSION 3.4)\nadd_subdirectory(sub)\n", Some("3.4")),
    ];
    for (text, wanted) in said {
        let project = Project::bare(ONE);
        project.file("sub/CMakeLists.txt", "project(sub VERSION 9.9 LANGUAGES C)\n");
        let start = "cmake_minimum_required(VERSION 3.10)\nproject(one C)\n";
        project.file("CMakeLists.txt", format!("{start}{text}add_library(one one.c)\n"));
        let check = || {
            let manifest = project.read("larder.toml");
            let found = manifest.lines().find_map(|line| line.strip_prefix("version = "));
            assert_eq!(found.map(|it| it.trim_matches('"')), wanted, "{text}");
        };
        either_way(&project, check);
    }
}

#[test]
fn headers_that_are_installed_elsewhere_are_said() {
    let project = Project::bare(ONE);
    project.file("one.h", "int one(void);\n");
    project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(one C)\nadd_library(one one.c)\n\
         install(FILES one.h DESTINATION include/first)\n",
    );
    let said = "CMakeLists.txt has headers installed in include/first that lie in no first here";
    project.larder(&["init"]).ok().mentions(&[said]);
    let manifest = project.read("larder.toml");
    for part in ["\nincludes = [\".\"]\n", "\nheaders = [\"one.h\"]\n"] {
        assert!(manifest.contains(part), "{part}\n{manifest}");
    }
}
