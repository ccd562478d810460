//! Libraries of the system: what `pkg-config` says, and everything that decides it.

use std::fs;

use larder_testkit::{
    events::Built,
    project::Project,
    run::{Run, run},
    tools::require,
};

const MAIN: &str = "#include <stdio.h>\n#include <foo.h>\n\
                    int main(void) { printf(\"%d\\n\", foo() * 100 + FOO); return 0; }\n";

/// A program that uses `system`, with the library `foo` of version 1.5 in `foo`, known in `pc`.
fn with_foo(system: &str) -> Option<Project> {
    if !require("pkg-config") {
        return None;
    }
    let manifest =
        format!("[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nsystem = {system}\n");
    let project = Project::cached(&manifest);
    project.file("main.c", MAIN);
    foo(&project, "foo", 1);
    module(&project, "pc", 1);
    module_bar(&project, "");
    Some(project)
}

/// The library `foo` in `directory`: its function returns `value`.
fn foo(project: &Project, directory: &str, value: u32) {
    // A warning in a header of others is nobody's here.
    let header = "int foo(void);\nstatic int unused(void) { int x; return 0; }\n";
    project.file(&format!("{directory}/include/foo.h"), header);
    project.file(&format!("{directory}/foo.c"), format!("int foo(void) {{ return {value}; }}\n"));
    let script = "cc -c foo.c -o foo.o && rm -f libfoo.a && ar rcsD libfoo.a foo.o";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).current_dir(project.path(directory));
    assert!(command.status().unwrap().success());
}

/// `foo.pc` in `directory`, which defines `FOO`.
fn module(project: &Project, directory: &str, define: u32) {
    let text = format!(
        "root=${{pcfiledir}}/..\nName: foo\nDescription: x\nVersion: 1.5\nRequires.private: bar\n\
         Cflags: -I${{root}}/foo/include -DFOO={define}\nLibs: -L${{root}}/foo -lfoo\n"
    );
    project.file(&format!("{directory}/foo.pc"), text);
}

fn module_bar(project: &Project, flags: &str) {
    let text = format!("Name: bar\nDescription: x\nVersion: 2\nCflags: {flags}\n");
    project.file("pc/bar.pc", text);
}

/// Runs larder with a `pkg-config` that writes down that it ran, and with its directories in `path`.
fn with(project: &Project, path: &str, arguments: &[&str]) -> Run {
    let log = project.root.with_extension("asked");
    let script = project.root.with_extension("sh");
    larder_testkit::files::script(
        &script,
        &format!("echo \"$@\" >> {}; exec pkg-config \"$@\"\n", log.display()),
    );
    let path: Vec<String> =
        path.split(':').map(|one| project.path(one).display().to_string()).collect();
    let mut command = project.command(arguments);
    command.env("PKG_CONFIG", script).env("PKG_CONFIG_LIBDIR", path.join(":"));
    run(command)
}

/// How often `pkg-config` was asked since this was called last.
fn asked(project: &Project) -> usize {
    let log = project.root.with_extension("asked");
    let text = fs::read_to_string(&log).unwrap_or_default();
    _ = fs::remove_file(log);
    text.lines().count()
}

#[track_caller]
fn printed(project: &Project, path: &str) -> String {
    with(project, path, &["exec", "x"]).ok().stdout.trim().to_owned()
}

#[track_caller]
fn built(project: &Project, path: &str) -> Vec<String> {
    let built = Built::of(&with(project, path, &["build", "--json"]).ok());
    built.built().iter().map(|path| path.to_string()).collect()
}

#[test]
fn what_pkg_config_says_is_given_and_traced() {
    let Some(project) = with_foo("[\"foo >= 1.2\"]\nwarnings = [\"all\", \"error\"]") else {
        return;
    };
    assert_eq!(printed(&project, "pc"), "101");
    assert!(asked(&project) > 0);
    assert_eq!(built(&project, "pc"), [""; 0]);
    assert_eq!(asked(&project), 0, "with nothing to do, nobody is asked");
    module(&project, "pc", 2);
    let why = with(&project, "pc", &["why"]).ok().stdout;
    assert!(why.contains("system foo >= 1.2 changed"), "{why}");
    assert_eq!(printed(&project, "pc"), "102");
    asked(&project);
    project.replace("pc/foo.pc", "Description: x", "Description: y");
    assert_eq!(built(&project, "pc"), [""; 0]);
    assert!(asked(&project) > 0, "a file that was read changed");
    module_bar(&project, "-UFOO -DFOO=3");
    assert_eq!(printed(&project, "pc"), "103", "what is required counts");
    foo(&project, "foo", 2);
    assert_eq!(printed(&project, "pc"), "203", "what is linked counts");
    let header = project.read("foo/include/foo.h") + "#undef FOO\n#define FOO 4\n";
    project.file("foo/include/foo.h", header);
    assert_eq!(printed(&project, "pc"), "204", "its headers count");
}

#[test]
fn a_file_that_comes_to_be_found_first_is_seen() {
    let Some(project) = with_foo("[\"foo\"]") else { return };
    assert_eq!(printed(&project, "first:pc"), "101");
    module(&project, "first", 5);
    assert_eq!(printed(&project, "first:pc"), "105");
    project.remove("first/foo.pc");
    assert_eq!(printed(&project, "first:pc"), "101");
    module(&project, "pc", 6);
    fs::rename(project.path("pc/foo.pc"), project.path("pc/foo-uninstalled.pc")).unwrap();
    module(&project, "pc", 7);
    assert_eq!(printed(&project, "pc"), "106", "one that is not installed comes first");
    let other = project.path("other");
    fs::create_dir(&other).unwrap();
    let mut command = project.command(&["exec", "x"]);
    module(&project, "other", 8);
    command.env("PKG_CONFIG_LIBDIR", project.path("pc")).env("PKG_CONFIG_PATH", &other);
    command.env("PKG_CONFIG_DISABLE_UNINSTALLED", "1");
    assert_eq!(run(command).ok().stdout, "108\n", "variables count");
}

#[test]
fn libraries_of_libraries_reach_their_users() {
    let Some(project) = with_foo("[]\nlibraries = [\"l\"]") else { return };
    let library = "[[library]]\nname = \"l\"\nsources = [\"l.c\"]\nsystem = [\"foo\"]\n";
    project.file("larder.toml", project.read("larder.toml") + library);
    project.file("l.c", "#include <foo.h>\nint l(void) { return foo(); }\n");
    assert_eq!(printed(&project, "pc"), "101");
    let other = project.checkout();
    assert_eq!(built(&other, "pc"), [""; 0], "where the package lies does not count");
    assert_eq!(printed(&other, "pc"), "101");
}

#[test]
fn keys_of_jobs_count_libraries_of_the_system() {
    let Some(project) = with_foo("[\"foo\"]") else { return };
    let key = || with(&project, "pc", &["ci", "key"]).ok().stdout;
    let first = key();
    assert_eq!(key(), first);
    project.replace("pc/foo.pc", "Description: x", "Description: y");
    assert_eq!(key(), first);
    module(&project, "pc", 2);
    let second = key();
    assert_ne!(second, first);
    project.remove("pc/foo.pc");
    assert!(![first, second].contains(&key()));
}

#[test]
fn versions_are_compared() {
    let Some(project) = with_foo("[\"foo\"]") else { return };
    for (version, fits) in [
        ("foo = 1.5", true),
        ("foo=1.4", false),
        ("foo >= 1.5", true),
        ("foo > 1.5", false),
        ("foo <= 1.5", true),
        ("foo < 1.10", true),
        ("foo < 1.5", false),
        ("foo != 1.5", false),
        ("foo != 2", true),
    ] {
        let manifest = project.read("larder.toml");
        project.replace("larder.toml", "[\"foo\"]", &format!("[\"{version}\"]"));
        let run = with(&project, "pc", &["build", "--dry-run"]);
        assert_eq!(run.code, Some(if fits { 0 } else { 2 }), "{version}: {}", run.stderr);
        project.file("larder.toml", manifest);
    }
}

#[test]
fn a_library_that_is_not_there_is_an_error_on_its_line() {
    let Some(project) = with_foo("[\"foo\", \"nowhere\"]") else { return };
    let run = with(&project, "pc", &["build"]).ends_with(2);
    run.says("larder.toml:6:18: the system has no library `nowhere`").mentions(&[
        "nowhere.pc",
        "libnowhere-dev",
        "PKG_CONFIG_PATH",
    ]);
    project.replace("larder.toml", ", \"nowhere\"", "");
    project.remove("pc/bar.pc");
    with(&project, "pc", &["build"]).ends_with(2).says("no library `foo`").says("bar");
    let mut command = project.command(&["build"]);
    command.env("PKG_CONFIG", "no-such-program");
    run_fails(command, "the environment variable PKG_CONFIG names it");
    let mut command = project.command(&["build"]);
    command.env("PATH", "/no/such/directory");
    run_fails(command, "`pkg-config`, which knows the libraries of the system, was not found");
}

#[track_caller]
fn run_fails(command: std::process::Command, said: &str) {
    run(command).ends_with(2).says(said).says("larder.toml:6:");
}

#[test]
fn names_of_libraries_of_the_system_are_checked() {
    let table = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n";
    for (system, said) in [
        ("[\"\"]", "`` names no library of the system"),
        ("[\"foo >=\"]", "`foo >=` names no library of the system"),
        ("[\"-lz\"]", "`-lz` names no library of the system"),
        ("[\"a b\"]", "`a b` names no library of the system"),
        ("\"foo\"", "an array of strings"),
        ("[1]", "string"),
    ] {
        let project = Project::new(&format!("{table}system = {system}\n"));
        project.larder(&["build"]).ends_with(2).says(said).says("larder.toml:7:");
    }
    let project = Project::new(&format!("[defaults]\nsystem = [\"foo\"]\n{table}"));
    project.larder(&["build"]).ends_with(2).says("`system` cannot stand in");
}
