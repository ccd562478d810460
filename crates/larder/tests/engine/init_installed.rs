//! `larder init` and what another build system installs of the targets.

use larder_testkit::{files, project::Project};

use super::init_headers::either_way;

const SOURCES: [(&str, &str); 4] = [
    ("zoo.h", "int zoo(void);\n"),
    ("zoo.c", "#include \"zoo.h\"\nint zoo(void) { return 0; }\n"),
    ("common.c", "int common(void) { return 0; }\n"),
    ("main.c", "#include \"zoo.h\"\nint main(void) { return zoo(); }\n"),
];

fn project(file: &str, text: &str) -> Project {
    let project = Project::bare(&SOURCES);
    project.file(file, text);
    project
}

fn append(project: &Project, text: &str) {
    let whole = project.read("CMakeLists.txt") + text;
    project.file("CMakeLists.txt", whole);
}

/// The programs and libraries that a manifest of each kind installs.
#[track_caller]
fn installs(project: &Project, wanted: &[&str]) {
    either_way(project, || {
        project.larder(&["test"]).ok().mentions(&["2 passed"]);
        let prefix = project.path("ours");
        project.larder(&["install", "--prefix", prefix.to_str().unwrap()]).ok();
        let mut found = files::names(&prefix.join("bin"));
        let libraries = files::names(&prefix.join("lib")).into_iter();
        found.extend(libraries.filter(|name| name.starts_with("lib")));
        found.sort();
        assert_eq!(found, wanted, "{}", project.read("larder.toml"));
        files::remove_tree(&prefix);
    });
}

const CMAKE: &str = "cmake_minimum_required(VERSION 3.18)\nproject(zoo C)\nenable_testing()\n\
    add_library(zoo STATIC zoo.c)\nadd_library(common STATIC common.c)\n\
    foreach(name app demo check)\n  add_executable(${name} main.c)\n  target_link_libraries(${name} PRIVATE zoo)\n\
    endforeach()\nadd_test(NAME app COMMAND app)\nadd_test(NAME check COMMAND check)\n";

#[test]
fn what_cmake_does_not_install_is_not_installed() {
    let project = project("CMakeLists.txt", CMAKE);
    // Where nothing is, that says nothing.
    installs(&project, &["demo", "libcommon.a", "libzoo.a"]);
    project.remove("larder.toml");
    append(&project, "install(TARGETS zoo app)\n");
    installs(&project, &["app", "libzoo.a"]);
    // Nor does it where CMake alone knows what else is.
    project.remove("larder.toml");
    append(&project, "if(CMAKE_C_COMPILER_VERSION)\n  install(TARGETS demo)\nendif()\n");
    project.larder(&["init"]).ok();
    let manifest = project.read("larder.toml");
    assert_eq!(manifest.matches("install = false").count(), 1, "{manifest}");
    super::init_headers::again_by_text(&project);
    let manifest = project.read("larder.toml");
    assert!(!manifest.contains("install = false"), "{manifest}");
}

#[test]
fn a_program_that_cmake_installs_as_a_file_is_installed() {
    let project = project("CMakeLists.txt", CMAKE);
    append(&project, "install(PROGRAMS $<TARGET_FILE:demo> DESTINATION bin)\n");
    project.larder(&["init"]).ok();
    let manifest = project.read("larder.toml");
    let demo = manifest.split("[[executable]]").find(|it| it.contains("\"demo\"")).unwrap();
    assert!(!demo.contains("install"), "{manifest}");
    assert_eq!(manifest.matches("install = false").count(), 2, "{manifest}");
}

#[test]
fn what_meson_does_not_install_is_not_installed() {
    let project = project(
        "meson.build",
        "project('zoo', 'c')\nlib = static_library('zoo', 'zoo.c', install: true)\n\
         static_library('common', 'common.c')\n\
         app = executable('app', 'main.c', link_with: lib, install: true)\n\
         executable('demo', 'main.c', link_with: lib, install: false)\n\
         check = executable('check', 'main.c', link_with: lib)\ntest('app', app)\ntest('check', check)\n",
    );
    installs(&project, &["app", "libzoo.a"]);
}

const HEADERS: &str = "cmake_minimum_required(VERSION 3.19)\nproject(hdr VERSION 3.1 LANGUAGES CXX)\n\
    add_library(hdr INTERFACE)\nadd_library(hdr::hdr ALIAS hdr)\n\
    target_include_directories(hdr INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)\n\
    target_compile_definitions(hdr INTERFACE HDR=1)\n\
    add_library(warnings INTERFACE)\ntarget_compile_options(warnings INTERFACE -Wall)\n\
    add_library(testing INTERFACE)\ntarget_include_directories(testing INTERFACE tests/support)\n\
    target_link_libraries(testing INTERFACE hdr::hdr)\n\
    add_library(core STATIC src/core.cc)\ntarget_link_libraries(core PUBLIC hdr::hdr PRIVATE warnings)\n\
    enable_testing()\nadd_executable(check tests/check.cc)\ntarget_link_libraries(check PRIVATE core testing)\n\
    add_test(NAME check COMMAND check)\n";

#[test]
fn interface_libraries_of_cmake_are_libraries_of_headers() {
    let project = Project::bare(&[
        ("include/hdr/hdr.h", "inline int hdr() { return HDR; }\n"),
        ("src/core.cc", "#include <hdr/hdr.h>\nint core() { return hdr(); }\n"),
        ("tests/support/support.h", "#define EXPECTED 1\n"),
        (
            "tests/check.cc",
            "#include <hdr/hdr.h>\n#include <support.h>\nint core();\nint main() { return core() + hdr() - 2 * EXPECTED; }\n",
        ),
    ]);
    let prefix = project.path("ours");
    let installs = |wanted: &[&str]| {
        either_way(&project, || {
            let manifest = project.read("larder.toml");
            project.larder(&["test"]).ok().mentions(&["1 passed"]);
            for part in [
                "public-defines = [\"HDR=1\"]\nincludes = [\"include\"]\n",
                "libraries = [\"core\", \"testing\"]",
            ] {
                assert!(manifest.contains(part), "{part}\n{manifest}");
            }
            assert!(!manifest.contains("\"warnings\""), "{manifest}");
            project.larder(&["install", "--prefix", prefix.to_str().unwrap()]).ok();
            let found = files::files(&prefix);
            let names = found.iter().filter_map(|path| path.file_name()?.to_str());
            let mut found: Vec<&str> = names.collect();
            found.retain(|name| {
                name.ends_with(".h") || name.ends_with(".a") || name.ends_with(".pc")
            });
            found.sort();
            assert_eq!(found, wanted, "{manifest}");
            files::remove_tree(&prefix);
        });
        project.remove("larder.toml");
    };
    project.file("CMakeLists.txt", HEADERS);
    installs(&["core.pc", "hdr.h", "hdr.pc", "libcore.a", "support.h", "testing.pc"]);
    append(
        &project,
        "install(TARGETS hdr EXPORT hdrTargets)\ninstall(EXPORT hdrTargets DESTINATION lib/cmake/hdr)\n\
         install(DIRECTORY include/hdr DESTINATION include)\n",
    );
    installs(&["hdr.h", "hdr.pc"]);
}

#[test]
fn public_macros_of_cmake_are_public() {
    let project = Project::bare(&[
        ("zoo.h", "#if ZOO_API != 1 || defined ZOO_OWN\n#error\n#endif\nint zoo(void);\n"),
        ("zoo.c", "#if ZOO_API != 1 || !ZOO_OWN\n#error\n#endif\nint zoo(void) { return 0; }\n"),
        ("main.c", "#include \"zoo.h\"\nint main(void) { return zoo(); }\n"),
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.19)\nproject(zoo VERSION 1.0 LANGUAGES C)\nadd_library(zoo zoo.c)\n\
             target_include_directories(zoo PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>)\n\
             target_compile_definitions(zoo PUBLIC ZOO_API=1 PRIVATE ZOO_OWN=1)\n\
             add_executable(demo main.c)\ntarget_link_libraries(demo PRIVATE zoo)\n\
             install(TARGETS zoo DESTINATION lib)\ninstall(FILES zoo.h DESTINATION include)\n",
        ),
    ]);
    let prefix = project.path("ours");
    either_way(&project, || {
        let manifest = project.read("larder.toml");
        project.larder(&["build"]).ok();
        assert!(manifest.contains("public-defines = [\"ZOO_API=1\"]"), "{manifest}");
        assert_eq!(manifest.matches("ZOO_API").count(), 1, "{manifest}");
        project.larder(&["install", "--prefix", prefix.to_str().unwrap()]).ok();
        assert!(project.read("ours/lib/pkgconfig/zoo.pc").contains("-DZOO_API=1"));
        files::remove_tree(&prefix);
    });
    // What users alone get is theirs in this package, and is said for those of other packages.
    project.remove("larder.toml");
    append(&project, "target_compile_definitions(zoo INTERFACE ZOO_USER)\n");
    project.file(
        "zoo.c",
        "#ifdef ZOO_USER\n#error\n#endif\nint zoo(void) { return ZOO_API - ZOO_OWN; }\n",
    );
    project.file(
        "main.c",
        "#include \"zoo.h\"\n#ifndef ZOO_USER\n#error\n#endif\nint main(void) { return zoo(); }\n",
    );
    project.larder(&["init"]).ok();
    project.larder(&["build"]).ok();
    let manifest = project.read("larder.toml");
    assert!(manifest.contains("# CMake defines ZOO_USER for users of zoo,"), "{manifest}");
}

#[test]
fn a_package_is_called_as_its_project() {
    let named = |text: &str, arguments: &[&str]| {
        let project = Project::bare(&SOURCES);
        project.file("CMakeLists.txt", format!("{text}add_library(zoo zoo.c)\n"));
        let name = || {
            let manifest = project.read("larder.toml");
            let mut names = manifest.lines().filter_map(|line| line.strip_prefix("name = "));
            names.next().unwrap().trim_matches('"').to_owned()
        };
        project.larder(&[&["init"], arguments].concat()).ok();
        let asked = name();
        project.remove("larder.toml");
        super::init_text::without_tools(&project, arguments).ok();
        assert_eq!(name(), asked, "{text}");
        asked
    };
    let start = "cmake_minimum_required(VERSION 3.18)\n";
    let sub = format!("{start}project(one C)\nproject(two C)\n");
    assert_eq!(named(&sub, &[]), "two");
    assert_eq!(named(&sub, &["--name", "mine"]), "mine");
    assert_eq!(named(&format!("{start}set(ZOO park)\nproject(${{ZOO}} C)\n"), &[]), "park");
    assert_eq!(named(&format!("{start}project(\"not a name\" C)\n"), &[]), "p");
}
