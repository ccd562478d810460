//! Static libraries that are installed bring along all that their users are linked with.

use std::{fs, process::Command};

use larder_testkit::project::Project;

/// A library of C++ that needs another of the package, one of the system, and one in a directory elsewhere.
fn project(kind: &str) -> Project {
    let project = Project::with_manifest("");
    let elsewhere = project.path("else where");
    project.file(
        "larder.toml",
        format!(
            r#"
[package]
name = "top"
version = "2.1"

[[library]]
name = "top"
kind = {kind}
sources = ["top.cc"]
includes = ["include"]
libraries = ["low"]
link-args = ["-L{elsewhere}", "-lelse", "-Xlinker", "--no-undefined", "-Lvendor", "-pthread"]

[[library]]
name = "low"
kind = {kind}
sources = ["low.c"]
system = ["zlib"]
link-args = ["-lm"]
"#,
            elsewhere = elsewhere.display(),
        ),
    );
    project.file("include/top.h", "#ifdef __cplusplus\nextern \"C\"\n#endif\nint top(int);\n");
    project.file(
        "top.cc",
        "#include <top.h>\n#include <string>\nextern \"C\" int low(int);\nextern \"C\" int elsewhere(void);\n\
         int top(int x) { return std::to_string(low(x)).size() + elsewhere(); }\n",
    );
    project.file("low.c", "#include <math.h>\n#include <zlib.h>\nint low(int x) { return (int)sqrt(x) + (zlibVersion()[0] == '1'); }\n");
    project.file("else where/else.c", "int elsewhere(void) { return 40; }\n");
    project.file("vendor/README", "");
    let make = "cc -fPIC -c else.c && ar rc libelse.a else.o";
    let made = Command::new("sh").args(["-c", make]).current_dir(&elsewhere).status().unwrap();
    assert!(made.success());
    project.file(
        "user/user.c",
        "#include <stdio.h>\n#include <top.h>\nint main(void) { return top(99 * 99); }\n",
    );
    project
}

/// What is installed, below a directory that it is moved to.
fn moved(project: &Project) -> std::path::PathBuf {
    let mut command = project.command(&["install", "--prefix", "/opt"]);
    command.env("DESTDIR", project.path("stage"));
    larder_testkit::run::run(command).ok().mentions(&[
        "warning: users of `top` are not told of -Lvendor: that leads into the package",
    ]);
    let prefix = project.path("in stalled");
    fs::rename(project.path("stage/opt"), &prefix).unwrap();
    project.forget();
    prefix
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_user_of_c_links_it_by_pkg_config() {
    for kind in ["[\"static\"]", "[\"static\", \"shared\"]"] {
        let project = project(kind);
        let prefix = moved(&project);
        let flags = |more: &[&str]| {
            let mut command = Command::new("pkg-config");
            command.args(more).args(["--cflags", "--libs", "top"]);
            let place = prefix.join("lib/pkgconfig");
            succeeds(command.env("PKG_CONFIG_PATH", place)).trim().to_owned()
        };
        for more in [&[][..], &["--static"]] {
            let line = format!("cc user.c -o user {} \"-Wl,-rpath,$LIB\"", flags(more));
            let mut cc = Command::new("sh");
            cc.args(["-c", &line]).env("LIB", prefix.join("lib"));
            succeeds(cc.current_dir(project.path("user")));
            assert_eq!(Command::new(project.path("user/user")).status().unwrap().code(), Some(43));
        }
    }
}

#[test]
fn a_user_of_c_links_it_by_cmake() {
    for (kind, target) in [
        ("[\"static\"]", "top::top"),
        ("[\"shared\"]", "top::top"),
        ("[\"static\", \"shared\"]", "top::top-static"),
    ] {
        let project = project(kind);
        let prefix = moved(&project);
        project.file(
            "user/CMakeLists.txt",
            format!(
                "cmake_minimum_required(VERSION 3.16)\nproject(user C CXX)\nfind_package(top 2.0 REQUIRED)\n\
                 add_executable(user user.c)\ntarget_link_libraries(user PRIVATE {target})\n"
            ),
        );
        let path = format!("-DCMAKE_PREFIX_PATH={}", prefix.display());
        let cmake = |arguments: &[&str]| {
            succeeds(Command::new("cmake").args(arguments).current_dir(project.path("user")));
        };
        cmake(&["-S", ".", "-B", "b", &path]);
        cmake(&["--build", "b"]);
        let ended = Command::new(project.path("user/b/user")).status().unwrap();
        assert_eq!(ended.code(), Some(43), "{kind} {target}");
    }
}
