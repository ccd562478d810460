//! `larder install`: what is installed works, wherever it is moved to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{files::walk, project::Project};

/// A program that loads a library, which needs one of a dependency; a static library, and a test.
fn project() -> Project {
    let project = Project::with_manifest(
        r#"
[package]
name = "app"
version = "1.2.3"
artifact-cache = false

[dependencies]
low = { path = "deps/low" }

[[library]]
name = "shapes"
kind = ["static", "shared"]
sources = ["src/shapes.c"]
includes = ["include", "{build}/gen"]
private-includes = ["src", "{build}/secret"]
inputs = ["{made}", "{secret}"]
libraries = ["low/low"]
public-defines = ["SHAPES=2"]
link-args = ["-lm"]

[[library]]
name = "plain"
sources = ["src/plain.c"]
includes = ["plain"]

[[library]]
name = "only"
includes = ["only"]
headers = ["only/*.h"]
libraries = ["plain"]

[[executable]]
name = "draw"
sources = ["src/draw.c"]
libraries = ["low/low", "shapes"]

[[executable]]
name = "check"
sources = ["src/draw.c"]
libraries = ["shapes"]
test = true

[[command]]
name = "made"
outputs = ["gen/made/made.h"]
run = ["sh", "-c", "echo '#define MADE 5' > $0", "{out}"]

[[command]]
name = "secret"
outputs = ["secret/secret.h"]
run = ["touch", "{out}"]
"#,
    );
    project.file("deps/low/larder.toml", "[package]\nname = \"low\"\nversion = \"0.9\"\n[[library]]\nname = \"low\"\nkind = [\"shared\"]\nsources = [\"low.c\"]\nincludes = [\"include\"]\n");
    project.file("deps/low/low.c", "#include \"low/low.h\"\nint low(void) { return 30; }\n");
    project.file("deps/low/include/low/low.h", "int low(void);\n");
    project.file(
        "include/shapes/shapes.h",
        "#include <low/low.h>\n#include <made/made.h>\nint shapes(void);\n",
    );
    project.file("src/private.h", "#define PRIVATE 7\n");
    project.file("src/shapes.c", "#include <math.h>\n#include <shapes/shapes.h>\n#include \"private.h\"\n#include <secret.h>\nint shapes(void) { return low() + MADE + PRIVATE + SHAPES - 2 + (int)fabs(cos(MADE) * 0); }\n");
    project.file("plain/plain.h", "int plain(void);\n");
    project.file("src/plain.c", "#include \"plain.h\"\nint plain(void) { return 1; }\n");
    project.file("only/only.h", "#include <plain.h>\n").file("only/inner.hpp", "#error private\n");
    project.file("src/draw.c", "#include <shapes/shapes.h>\nint main(void) { return shapes(); }\n");
    project
}

/// The files below a directory, sorted.
pub fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    walk(directory, &mut |path, _| found.push(path.to_owned()));
    found.sort();
    found
}

#[track_caller]
fn ends_with(command: &mut Command, code: i32) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}\n{}{said}",
        String::from_utf8_lossy(&output.stdout)
    );
}

const INSTALLED: [&str; 17] = [
    "bin/draw",
    "include/low/low.h",
    "include/made/made.h",
    "include/only.h",
    "include/plain.h",
    "include/shapes/shapes.h",
    "lib/cmake/app/appConfig.cmake",
    "lib/cmake/app/appConfigVersion.cmake",
    "lib/libplain.a",
    "lib/liblow.so",
    "lib/libshapes.a",
    "lib/libshapes.so",
    "lib/pkgconfig/low.pc",
    "lib/pkgconfig/only.pc",
    "lib/pkgconfig/plain.pc",
    "lib/pkgconfig/shapes.pc",
    "share/larder/app.json",
];

fn expected() -> Vec<String> {
    let mut all: Vec<String> = INSTALLED.iter().map(|path| (*path).to_owned()).collect();
    all.sort();
    all
}

/// The project installed, moved elsewhere, and without what was built.
fn moved() -> (Project, PathBuf) {
    let project = project();
    let first = project.path("stage").join("opt");
    let mut command = project.command(&["install", "--prefix", "/opt"]);
    command.env("DESTDIR", project.path("stage"));
    larder_testkit::run::run(command).ok().says("installed 16 files");
    let prefix = project.path("somewhere else");
    fs::rename(first, &prefix).unwrap();
    project.forget();
    (project, prefix)
}

#[test]
fn what_is_installed_runs_wherever_it_is_moved() {
    let (project, prefix) = moved();
    assert_eq!(files(&prefix), expected());
    ends_with(&mut Command::new(prefix.join("bin/draw")), 42);
    // Nothing of the build directory, nor of the prefix, is in it.
    let program = fs::read(prefix.join("bin/draw")).unwrap();
    for text in [project.root.to_str().unwrap(), "/opt"] {
        assert!(!program.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
    }
    let build = |project: &Project| fs::read(project.output("draw")).unwrap();
    project.build();
    let built = build(&project);
    let again = ["install", "--prefix", prefix.to_str().unwrap()];
    project.larder(&again).ok();
    assert_eq!(build(&project), built, "what a build makes stays as it is");
    assert_eq!(fs::read(prefix.join("bin/draw")).unwrap(), program, "the same bytes");
    let listed = project.larder(&["install", "--dry-run", "--prefix", "/no/such/place"]).ok();
    let mut expected = expected();
    expected.retain(|path| !path.starts_with("share/larder"));
    let expected: Vec<String> =
        expected.iter().map(|path| format!("/no/such/place/{path}")).collect();
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), expected);
    assert!(!Path::new("/no/such").exists());
}

#[test]
fn a_consumer_finds_it_with_pkg_config() {
    let (project, prefix) = moved();
    project.file("use.c", "#include <shapes/shapes.h>\n#if SHAPES != 2\n#error no\n#endif\nint main(void) { return shapes() + low(); }\n");
    let pkg_config = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.args(arguments).env("PKG_CONFIG_LIBDIR", prefix.join("lib/pkgconfig"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(pkg_config(&["--modversion", "shapes"]), "1.2.3");
    let flags = pkg_config(&["--cflags", "--libs", "shapes", "low"]);
    let line = format!("gcc use.c -o use {flags} '-Wl,-rpath,{}'", prefix.join("lib").display());
    ends_with(Command::new("sh").args(["-c", &line]).current_dir(&project.root), 0);
    ends_with(&mut Command::new(project.path("use")), 72);
    // With the static library, what that needs comes along.
    let flags = pkg_config(&["--static", "--cflags", "--libs", "shapes"])
        .replace("-lshapes", "-l:libshapes.a");
    assert!(flags.contains("-lm") && flags.contains("-llow"), "{flags}");
    let line = format!("gcc use.c -o use {flags} '-Wl,-rpath,{}'", prefix.join("lib").display());
    ends_with(Command::new("sh").args(["-c", &line]).current_dir(&project.root), 0);
    ends_with(&mut Command::new(project.path("use")), 72);
}

#[test]
fn a_consumer_finds_it_with_cmake() {
    let (project, prefix) = moved();
    project.file("user/use.c", "#include <shapes/shapes.h>\n#if USES_ONLY\n#include <only.h>\n#endif\nint main(void) { return shapes() + low() + SHAPES + PLAIN; }\n");
    project.file(
        "user/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\nfind_package(app 1.1 REQUIRED)\n\
         add_executable(use use.c)\ntarget_compile_definitions(use PRIVATE USES_ONLY PLAIN=plain\\(\\))\n\
         target_link_libraries(use app::shapes app::only low::low)\n\
         add_executable(static use.c)\ntarget_compile_definitions(static PRIVATE PLAIN=1)\n\
         target_link_libraries(static app::shapes-static)\n",
    );
    let cmake = |arguments: &[&str]| {
        let mut command = Command::new("cmake");
        command.args(arguments).current_dir(project.path("user"));
        command
    };
    let path = format!("-DCMAKE_PREFIX_PATH={}", prefix.display());
    ends_with(&mut cmake(&["-S", ".", "-B", "b", &path]), 0);
    ends_with(&mut cmake(&["--build", "b"]), 0);
    for program in ["use", "static"] {
        ends_with(&mut Command::new(project.path("user/b").join(program)), 75);
    }
    // A version of another kind is not taken for it.
    project.replace("user/CMakeLists.txt", "app 1.1", "app 2.0");
    ends_with(&mut cmake(&["-S", ".", "-B", "other", &path]), 1);
}

#[test]
fn what_cannot_be_installed_is_said() {
    let project = project();
    let prefix = project.path("to");
    let at = ["--prefix", prefix.to_str().unwrap()];
    let install = |more: &[&str]| project.larder(&[&["install"], &at[..], more].concat());
    install(&["nothing"]).ends_with(2).says("there is no target `nothing`");
    install(&["made"]).ends_with(2).says("`made` cannot be installed");
    install(&["--libdir", "../x"]).ends_with(2).says("`../x` is not a directory below the prefix");
    project
        .larder(&["install", "--prefix", "relative"])
        .ends_with(2)
        .says("is not an absolute path");
    Project::new("").larder(&["install", "--prefix", "/x"]).ends_with(2).says("nothing to install");
    assert!(!prefix.exists());
    // One target, with what it needs at run time; another directory for libraries.
    install(&["draw", "--libdir", "lib/multi"]).ok();
    let found = files(&prefix);
    assert!(
        found.contains(&"bin/draw".to_owned()) && found.contains(&"lib/multi/liblow.so".to_owned()),
        "{found:?}"
    );
    ends_with(&mut Command::new(prefix.join("bin/draw")), 42);
    // A file where a directory would be; and two headers of one name.
    fs::remove_dir_all(&prefix).unwrap();
    project.file("to", "in the way");
    install(&[]).ends_with(1).says("cannot install");
    project.remove("to");
    project.file("plain/low/low.h", "another\n");
    install(&[]).ends_with(1).says("would both be installed as include/low/low.h");
    assert!(!prefix.exists());
    project.file("src/plain.c", "no\n");
    install(&[]).ends_with(1);
    assert!(!prefix.exists());
}

#[test]
fn a_library_with_a_version_is_found_by_both_its_names() {
    let project = Project::new(
        "[[library]]\nname = \"l\"\nkind = [\"shared\"]\nsoversion = \"3\"\nsources = [\"l.c\"]\nincludes = [\"include\"]\n",
    );
    project.file("l.c", "int l(void) { return 42; }\n").file("include/l.h", "int l(void);\n");
    project.file("user.c", "#include <l.h>\nint main(void) { return l() - 42; }\n");
    let prefix = project.path("prefix");
    let install = ["install", "--prefix", prefix.to_str().unwrap()];
    for _ in 0..2 {
        project.larder(&install).ok();
        assert_eq!(fs::read_link(prefix.join("lib/libl.so")).unwrap(), Path::new("libl.so.3"));
    }
    let user = project.path("user");
    let mut cc = Command::new("cc");
    cc.arg(project.path("user.c")).arg("-o").arg(&user).arg("-I").arg(prefix.join("include"));
    ends_with(cc.arg("-L").arg(prefix.join("lib")).arg("-ll"), 0);
    ends_with(Command::new(&user).env("LD_LIBRARY_PATH", prefix.join("lib")), 0);
    // The file may have a longer one: nothing is built for it, and the others lead to it.
    let mut keys = "soversion = \"3\"".to_owned();
    for version in ["3.1.4", "3.2.0"] {
        let more = format!("soversion = \"3\"\nfile-version = \"{version}\"");
        project.replace("larder.toml", &keys, &more);
        keys = more;
        project.larder(&["build", "--no-build"]).ok();
        project.larder(&install).ok();
        let longer = format!("libl.so.{version}");
        assert!(prefix.join("lib").join(&longer).symlink_metadata().unwrap().is_file());
        let leads = |name: &str| fs::read_link(prefix.join("lib").join(name)).unwrap();
        assert_eq!((leads("libl.so"), leads("libl.so.3")), ("libl.so.3".into(), longer.into()));
        ends_with(Command::new(&user).env("LD_LIBRARY_PATH", prefix.join("lib")), 0);
    }
    assert!(!prefix.join("lib/libl.so.3.1.4").exists(), "an installation removes the earlier one");
    project.larder(&["install", "--uninstall", "--prefix", prefix.to_str().unwrap()]).ok();
    assert!(!prefix.join("lib").exists());
}

#[test]
fn what_is_not_to_be_installed_is_left_out_unless_it_is_needed() {
    let project = Project::new(
        r#"
[[library]]
name = "api"
kind = ["shared"]
sources = ["api.c"]
includes = ["api"]
libraries = ["part", "loaded"]

[[library]]
name = "part"
sources = ["part.c"]
includes = ["part"]
install = false

[[library]]
name = "loaded"
kind = ["shared"]
sources = ["loaded.c"]
includes = ["loaded"]
install = false

[[library]]
name = "old"
sources = ["old.c"]
includes = ["old"]
libraries = ["below"]

[[library]]
name = "below"
sources = ["below.c"]
includes = ["below"]
install = false

[[executable]]
name = "helper"
sources = ["main.c"]
libraries = ["api"]
install = false

[[executable]]
name = "self-test"
sources = ["main.c"]
libraries = ["api"]
test = true
install = true

[[executable]]
name = "check"
sources = ["main.c"]
libraries = ["api"]
test = true
"#,
    );
    for name in ["part", "loaded", "below"] {
        project.file(&format!("{name}/{name}.h"), format!("int {name}(void);\n"));
        project.file(&format!("{name}.c"), format!("int {name}(void) {{ return 21; }}\n"));
    }
    project.file("api/api.h", "int api(void);\n").file("old/old.h", "int old(void);\n");
    project.file(
        "api.c",
        "#include <part.h>\n#include <loaded.h>\nint api(void) { return part() + loaded(); }\n",
    );
    project.file("old.c", "#include <below.h>\nint old(void) { return below(); }\n");
    project.file("main.c", "#include <api.h>\nint main(void) { return api() - 42; }\n");
    let prefix = project.path("to");
    let install = |more: &[&str]| {
        let at = ["install", "--prefix", prefix.to_str().unwrap()];
        project.larder(&[&at[..], more].concat()).ok();
        files(&prefix)
    };
    let installed = install(&[]);
    let expected = [
        "bin/self-test",
        "include/api.h",
        "include/below.h",
        "include/loaded.h",
        "include/old.h",
        "lib/cmake/p/pConfig.cmake",
        "lib/libapi.so",
        "lib/libbelow.a",
        "lib/libloaded.so",
        "lib/libold.a",
        "lib/pkgconfig/api.pc",
        "lib/pkgconfig/below.pc",
        "lib/pkgconfig/loaded.pc",
        "lib/pkgconfig/old.pc",
        "share/larder/p.json",
    ];
    assert_eq!(installed, expected);
    ends_with(&mut Command::new(prefix.join("bin/self-test")), 0);
    // Nobody is told of what is not there.
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--static", "--libs", "api"]);
    ends_with(pkg_config.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")), 0);
    let config = fs::read_to_string(prefix.join("lib/cmake/p/pConfig.cmake")).unwrap();
    assert!(!config.contains("part"), "{config}");
    // What is named is meant.
    assert!(install(&["helper"]).contains(&"bin/helper".to_owned()));
}
