//! Disks that are full, directories that cannot be written, names that are no text, and directories
//! where files should be.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

use insta::assert_snapshot;

use larder_testkit::{
    files::set_mode,
    mounts::with_mount,
    project::Project,
    run::{Run, from_copy, larder, run, under},
};

const TWO: &str = r#"
[[command]]
name = "small"
outputs = ["small"]
run = ["sh", "-c", "echo small > $1", "sh", "{out}"]

[[command]]
name = "large"
inputs = ["{small}"]
outputs = ["large"]
run = ["sh", "-c", "head -c 3000000 /dev/zero > $1", "sh", "{out}"]
"#;

/// Runs larder where `mount` was run before: see [`with_mount`].
fn run_with_mount(project: &Project, mount: &str, arguments: &[&str]) -> Option<Run> {
    with_mount(mount, &project.command(arguments)).map(run)
}

#[test]
fn a_full_disk() {
    let project = Project::new(TWO);
    fs::create_dir(project.path(".larder")).unwrap();
    let full = "mount -t tmpfs -o size=1m tmpfs .larder";
    let Some(run) = run_with_mount(&project, full, &["build"]) else { return };
    let run = run.ends_with(1).says("built small small").says("failed large large");
    // The command says it itself, as a compiler would.
    assert!(run.stderr.to_lowercase().contains("no space left on device"), "{}", run.stderr);

    // And when the room is gone before larder begins.
    let full =
        "mount -t tmpfs -o size=1m tmpfs .larder\nhead -c 2000000 /dev/zero > .larder/x || true";
    let Some(run) = run_with_mount(&project, full, &["build"]) else { return };
    let run = run.ends_with(1);
    assert!(
        run.stderr.contains("No space left on device (free some space and try again"),
        "{}",
        run.stderr
    );
    project.build();
}

#[test]
fn a_build_directory_that_cannot_be_written() {
    let project = Project::new(TWO);
    project.build_with(&["small"]);
    let locked = "mount --bind .larder .larder\nmount -o remount,ro,bind .larder";
    let Some(run) = run_with_mount(&project, locked, &["build"]) else { return };
    let said = run.ends_with(1).stderr;
    assert_snapshot!(project.redact(&said), @"error: cannot use [DIR]/.larder: Read-only file system (larder needs access to it: see who owns it, and how it is mounted)");
    // Where only the outputs are locked, each is named.
    let locked = "mount --bind .larder/build .larder/build\nmount -o remount,ro,bind .larder/build";
    let Some(run) = run_with_mount(&project, locked, &["build"]) else { return };
    let said = run.ends_with(1).stderr;
    assert_snapshot!(project.redact(said.lines().next().unwrap()), @"failed large large: [DIR]/.larder/build/large.trace: Read-only file system (larder needs access to it: see who owns it, and how it is mounted)");
    assert_eq!(project.build().built(), ["large"]);
}

#[test]
fn a_package_that_somebody_else_owns() {
    let project = Project::new(TWO);
    // As whoever may not write anything here; for root that is somebody else.
    let mut command = if rustix::process::geteuid().is_root() {
        let parent = project.root.parent().unwrap();
        set_mode(parent, 0o755);
        let larder = from_copy(&parent.join("larder"), &project.command(&["build"]));
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = under(&nobody, &larder);
        command.env("LARDER_CACHE_DIR", "/nonexistent");
        command
    } else {
        set_mode(&project.root, 0o555);
        project.command(&["build"])
    };
    command.env("HOME", "/nonexistent");
    let said = run(command).ends_with(1).stderr;
    set_mode(&project.root, 0o755);
    assert_snapshot!(project.redact(&said), @"error: cannot use [DIR]/.larder: Permission denied (larder needs access to it: see who owns it, and how it is mounted)");
}

#[test]
fn file_names_that_are_not_utf_8() {
    let odd = OsStr::from_bytes(b"od\xffd.c");
    let project = Project::new("[[library]]\nname = \"a\"\nsources = [\"src/*.c\"]\n");
    project.file("src/a.c", "int a;\n");
    fs::write(project.path("src").join(odd), "int b;\n").unwrap();
    let said = project.larder(&["build"]).ends_with(2).stderr;
    assert_snapshot!(project.redact(&said), @r#"
    error: [DIR]/larder.toml:6:12: the file name "src/od\xFFd.c" is not UTF-8; rename it, or exclude it
       |
     6 | sources = ["src/*.c"]
       |            ^^^^^^^^^
    "#);
    // One that no pattern matches is nobody's business.
    fs::rename(
        project.path("src").join(odd),
        project.path("src").join(OsStr::from_bytes(b"\xff.txt")),
    )
    .unwrap();
    project.build();

    let header = Project::new("[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n");
    header.file("a.c", b"#include \"od\xffd.h\"\n");
    fs::write(header.root.join(OsStr::from_bytes(b"od\xffd.h")), "int a;\n").unwrap();
    let said = header.larder(&["build"]).ends_with(1).stderr;
    assert_snapshot!(header.redact(said.lines().next().unwrap()), @"failed a:o obj/liba/a.c.o: it includes od�d.h, whose name is not UTF-8; rename it");

    let tree = Project::new(
        "[[command]]\nname = \"a\"\ninputs = [\"d\"]\noutputs = [\"x\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    tree.file("d/x", "");
    fs::write(tree.path("d").join(odd), "").unwrap();
    let said = tree.larder(&["build"]).ends_with(1).stderr;
    assert_snapshot!(tree.redact(said.lines().next().unwrap()), @r#"failed a d: cannot read the input d: the file name "od\xFFd.c" is not UTF-8"#);

    let outputs = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"d/\"]\nrun = [\"sh\", \"-c\", 'touch \"$1/$(printf \"\\377\")\"', \"sh\", \"{out}\"]\n",
    );
    let said = outputs.larder(&["build"]).ends_with(1).stderr;
    assert_snapshot!(outputs.redact(said.lines().next().unwrap()), @"failed a d: its output d/� has a name that is not UTF-8");
}

#[test]
fn a_package_whose_directory_is_not_utf_8() {
    let project = Project::new("[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n");
    project.file("a.c", "int a;\n");
    let odd = project.root.parent().unwrap().join(OsStr::from_bytes(b"od\xffd"));
    fs::rename(&project.root, &odd).unwrap();
    let said = run(larder(&odd, &odd.join("cache"), &["build"])).ends_with(2).stderr;
    fs::rename(&odd, &project.root).unwrap();
    assert_snapshot!(project.redact(&said), @r"
    error: the path [TMP]/od�d is not UTF-8
      help: move the package, or rename what it is in
    ");
}

#[test]
fn directories_where_files_should_be() {
    let library = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n";
    let source = Project::new(library);
    fs::create_dir(source.path("a.c")).unwrap();
    let said = source.larder(&["build"]).ends_with(1).stderr;
    assert_snapshot!(source.redact(said.lines().next().unwrap()), @"failed a:o a.c: the input a.c is a directory, not a file");

    for (path, is_output) in [("liba.a", true), ("obj/liba/a.c.o", true), ("liba.a.trace", false)] {
        let project = Project::new(library);
        project.file("a.c", "int a;\n");
        project.file(&format!(".larder/build/{path}/precious"), "");
        let run = project.larder(&["build"]).ends_with(1);
        let what = if is_output {
            "is a directory where a file is to be built"
        } else {
            "a directory is where a file should be"
        };
        assert!(run.stderr.contains(what) && run.stderr.contains(path), "{path}: {}", run.stderr);
        assert!(project.output(path).join("precious").exists());
    }
}

#[test]
fn pipes_where_files_should_be() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\ninputs = [\"in/*\"]\noutputs = [\"a\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    project.file("in/x", "");
    let made = Command::new("mkfifo").arg(project.path("in/pipe")).status().unwrap();
    assert!(made.success());
    let said = project.larder(&["build"]).ends_with(1).stderr;
    assert_snapshot!(project.redact(said.lines().next().unwrap()), @"failed a in/pipe: cannot read the input in/pipe: it is a pipe or a socket, not a file");
}

#[test]
fn files_where_directories_should_be() {
    let project = Project::new("[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n");
    project.file("a.c", "int a;\n");
    for (path, code) in [(".larder", 1), (".larder/build", 1), (".larder/build/obj", 1)] {
        project.file(path, "");
        let run = project.larder(&["build"]).ends_with(code);
        assert!(
            run.stderr.contains("a file is where a directory should be"),
            "{path}: {}",
            run.stderr
        );
        project.remove(path);
    }
    // Files that are only larder's own are made anew.
    for path in [".larder/index/x", ".larder/tmp"] {
        fs::remove_dir_all(project.path(".larder")).unwrap_or_default();
        project.file(path, "");
        project.larder(&["build"]).ok();
    }
}
