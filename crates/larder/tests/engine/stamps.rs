//! Stamps: what is asked for in each build, such as the version that Git says, and counts where it is read.

use std::{fs, process::Command};

use larder_testkit::{git::git, project::Project, run::run, tools::which};

/// A program of three sources, one of which includes what Git says of the work tree; and a library that is
/// linked with it.
const VERSIONED: &str = r##"
[[command]]
name = "version"
stamp = true
outputs = ["version.h"]
run = ["sh", "-c", "v=$(git describe --tags --always --dirty 2>/dev/null) || v=unknown; echo \"#define VERSION \\\"$v\\\"\" > $1", "sh", "{out}"]

[[library]]
name = "a"
sources = ["a.c"]

[[executable]]
name = "x"
sources = ["main.c", "version.c", "other.c"]
includes = ["{build}"]
inputs = ["{version}"]
libraries = ["a"]
"##;

fn versioned() -> Project {
    let project = Project::cached(VERSIONED);
    project.file("a.c", "int a(void) { return 0; }\n");
    project.file("other.c", "int other(void) { return 0; }\n");
    project.file(
        "version.c",
        "#include \"version.h\"\nconst char *version(void) { return VERSION; }\n",
    );
    project.file(
        "main.c",
        "#include <stdio.h>\nint a(void), other(void);\nconst char *version(void);\n\
         int main(void) { puts(version()); return a() + other(); }\n",
    );
    project.file(".gitignore", ".larder\n");
    project
}

fn said(project: &Project) -> String {
    let output = Command::new(project.output("x")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(project: &Project, message: &str) {
    git(&project.root, &["add", "-A"]);
    git(&project.root, &["commit", "--quiet", "--allow-empty", "-m", message]);
}

fn in_git() -> Project {
    let project = versioned();
    git(&project.root, &["init", "--quiet", "--initial-branch=main"]);
    commit(&project, "one");
    git(&project.root, &["tag", "v1"]);
    project
}

/// What is made when nothing but the version has changed.
const OF_VERSION: [&str; 3] = ["obj/x/version.c.o", "version.h", "x"];

#[test]
fn a_commit_recompiles_what_reads_the_version_and_nothing_else() {
    let project = in_git();
    project.build();
    assert_eq!(said(&project), "v1");
    // Asked again, and the same.
    assert_eq!(project.build().built(), ["version.h"]);
    commit(&project, "two");
    assert_eq!(project.build().built(), OF_VERSION);
    assert!(said(&project).starts_with("v1-1-g"), "{}", said(&project));
    project.replace("other.c", "return 0", "return 1 - 1");
    let built = project.build();
    assert_eq!(
        built.built(),
        ["obj/x/other.c.o", "obj/x/version.c.o", "version.h", "x"],
        "{}",
        built.all
    );
    assert!(said(&project).ends_with("-dirty"), "{}", said(&project));
    // Back where it was: what was made then comes back.
    git(&project.root, &["checkout", "--quiet", "-f", "v1"]);
    let built = project.build();
    assert_eq!(built.built(), ["version.h"], "{}", built.all);
    assert_eq!(said(&project), "v1");
}

#[test]
fn incremental_is_clean() {
    let project = in_git();
    project.build();
    commit(&project, "two");
    project.build();
    let outputs = project.outputs();
    let elsewhere = project.elsewhere();
    elsewhere.build();
    for path in ["x*", "version.h", "obj/x/version.c.o"] {
        assert!(outputs[path] == elsewhere.outputs()[path], "{path}");
    }
    // A checkout with the same store compiles nothing, and says its own version.
    let checkout = project.checkout();
    assert_eq!(checkout.build().built(), ["version.h"]);
    commit(&checkout, "three");
    assert_eq!(checkout.build().built(), OF_VERSION);
    assert!(said(&checkout).starts_with("v1-2-g"), "{}", said(&checkout));
}

#[test]
fn builds_that_build_nothing_take_the_version_that_is_there() {
    let project = in_git();
    project.build();
    commit(&project, "two");
    project.larder(&["build", "--no-build"]).ok();
    let dry = project.larder(&["build", "--dry-run"]).ok();
    assert!(!dry.stderr.contains("other.c.o"), "{}", dry.stderr);
    assert_eq!(said(&project), "v1");
    fs::write(project.output("version.h"), "#define VERSION \"mine\"\n").unwrap();
    assert_eq!(project.larder(&["build", "--no-build"]).code, Some(3));
    assert_eq!(project.build().built(), OF_VERSION);
    let why = project.larder(&["why", "x:o"]).ok();
    assert!(!why.stdout.contains("out of date"), "{}", why.stdout);
}

#[test]
fn without_history_without_a_repository_and_without_git_there_is_a_version_too() {
    let project = in_git();
    commit(&project, "two");
    let head = git(&project.root, &["rev-parse", "--short", "HEAD"]);
    let shallow = Project::cached("");
    fs::remove_dir_all(&shallow.root).unwrap();
    let url = format!("file://{}", project.root.display());
    let to = shallow.root.to_str().unwrap();
    git(shallow.root.parent().unwrap(), &["clone", "--quiet", "--depth=1", "--no-tags", &url, to]);
    shallow.build();
    assert!(said(&shallow).starts_with(&head), "{}", said(&shallow));

    let none = versioned();
    none.build();
    assert_eq!(said(&none), "unknown");

    // A PATH with all but Git.
    let bin = none.path("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["sh", "cc", "ar", "as", "ld"] {
        std::os::unix::fs::symlink(which(tool), bin.join(tool)).unwrap();
    }
    git(&none.root, &["init", "--quiet"]);
    commit(&none, "one");
    assert_eq!(none.build().built(), OF_VERSION);
    assert_ne!(said(&none), "unknown");
    let mut command = none.command(&["build"]);
    let run = run(command.env("PATH", &bin)).ok();
    assert_eq!(said(&none), "unknown", "{}", run.stderr);
}

#[test]
fn what_nobody_tells_of_counts_as_a_whole() {
    // Nothing tells which files plain assembly includes.
    let project = in_git();
    project.file("more.s", ".include \".larder/build/version.h\"\n");
    project.replace("larder.toml", "\"other.c\"]", "\"other.c\", \"more.s\"]");
    project.build();
    commit(&project, "two");
    let built = project.build();
    assert_eq!(
        built.built(),
        [
            "obj/x/main.c.o",
            "obj/x/more.s.o",
            "obj/x/other.c.o",
            "obj/x/version.c.o",
            "version.h",
            "x"
        ],
        "{}",
        built.all
    );
}

#[test]
fn stamps_reach_the_users_of_a_library_and_what_commands_make_of_them() {
    let project = in_git();
    project.replace(
        "larder.toml",
        "sources = [\"a.c\"]\n",
        "sources = [\"a.c\"]\nincludes = [\"{build}\"]\ninputs = [\"{version}\"]\n\
         [[command]]\nname = \"copy\"\ninputs = [\"{version}\"]\noutputs = [\"copy\"]\nrun = [\"cp\", \"{in}\", \"{out}\"]\n",
    );
    project.replace(
        "larder.toml",
        "includes = [\"{build}\"]\ninputs = [\"{version}\"]\nlibraries",
        "libraries",
    );
    project.build();
    commit(&project, "two");
    assert_eq!(project.build().built(), ["copy", "obj/x/version.c.o", "version.h", "x"]);
}

#[test]
fn a_stamp_that_fails_or_says_nothing_is_a_failure() {
    for (run, expected) in [("exit 3", "exit code 3"), ("true", "did not write its output")] {
        let project = Project::new(&format!(
            "[[command]]\nname = \"s\"\nstamp = true\noutputs = [\"s\"]\nrun = [\"sh\", \"-c\", \"{run}\"]\n"
        ));
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
}

#[test]
fn mistakes_in_stamps_are_told() {
    for (keys, expected) in [
        ("outputs = [\"s\"]\nstamp = \"yes\"", "expected true or false"),
        ("stamp = true", "has no outputs"),
        ("stamp = true\ntest = true\noutputs = [\"s\"]", "is both a test and a stamp"),
        ("outputs = [\"s\"]\nstmap = true", "did you mean `stamp`?"),
    ] {
        let project =
            Project::new(&format!("[[command]]\nname = \"s\"\nrun = [\"true\"]\n{keys}\n"));
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{keys}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{keys}: {}", run.stderr);
    }
}
