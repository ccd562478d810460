//! `larder ninja` where the compiler is not there: what can be had all the same, and what is not believed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::remove_tree,
    project::Project,
    run::{Run, run},
};

/// A compile, an archive and a link with the compiler `cc`.
fn project(cc: &str) -> Project {
    let project = Project::new("");
    let text = format!(
        "rule cc\n  command = {cc} -MD -MF $out.d -o $out -c $in\n  depfile = $out.d\n  deps = gcc\n\
         rule ar\n  command = rm -f $out && ar qc $out $in\nrule link\n  command = {cc} -o $out $in\n\
         build out/a.o: cc a.c\nbuild out/m.o: cc m.c\nbuild out/l.a: ar out/a.o\nbuild out/app: link out/m.o out/l.a\n"
    );
    project.file("build.ninja", text);
    project.file("a.c", "int a(void) { return 3; }\n");
    project.file("m.c", "int a(void);\nint main(void) { return a(); }\n");
    project
}

fn on_path(project: &Project, path: &Path) -> Run {
    let mut command = project.command(&["ninja"]);
    run(command.env("PATH", path))
}

/// A directory with these programs of the system.
fn programs(project: &Project, name: &str, programs: &[&str]) -> PathBuf {
    let directory = project.path(&format!("../{name}"));
    fs::create_dir_all(&directory).unwrap();
    for program in programs {
        let found = Path::new("/usr/bin").join(program);
        symlink(found, directory.join(program)).unwrap();
    }
    directory
}

/// Removes all that a build leaves but the store.
fn forget(project: &Project) {
    remove_tree(&project.path("out"));
    remove_tree(&project.path(".larder"));
}

fn app_ends_with(project: &Project, code: i32) {
    assert_eq!(Command::new(project.path("out/app")).status().unwrap().code(), Some(code));
}

#[test]
fn what_an_absent_compiler_made_is_restored() {
    let nothing = "nothing";
    for cc in ["cc", "/usr/bin/cc"] {
        let project = project(cc);
        let empty = programs(&project, nothing, &[]);
        project.larder(&["ninja"]).ok();
        let before = fs::read(project.path("out/app")).unwrap();
        forget(&project);
        let back = on_path(&project, &empty).ok();
        assert_eq!(back.stdout.matches("(restored)").count(), 4, "{back:?}");
        back.says("is not all here");
        assert_eq!(fs::read(project.path("out/app")).unwrap(), before);
        app_ends_with(&project, 3);
        assert!(on_path(&project, &empty).ok().stdout.contains("no work to do"));
        let whole = project.larder(&["ninja"]).ok();
        assert!(whole.stdout.contains("no work to do") && !whole.stderr.contains("not all here"));
        // What the store does not have cannot be made.
        project.file("a.c", "int a(void) { return 4; }\n");
        on_path(&project, &empty).ends_with(1);
        project.larder(&["ninja"]).ok();
        app_ends_with(&project, 4);
    }
}

#[test]
fn a_new_build_directory_asks_no_compiler() {
    let project = project("cc");
    let script = programs(&project, "bin", &[]).join("cc");
    let log = project.path("../asked");
    let text = format!("#!/bin/sh\necho >> '{}'\nexec /usr/bin/cc \"$@\"\n", log.display());
    executable(&script, &text);
    let path = format!("{}:/usr/bin:/bin", script.parent().unwrap().display());
    on_path(&project, Path::new(&path)).ok();
    assert!(log.exists());
    fs::remove_file(&log).unwrap();
    forget(&project);
    let back = on_path(&project, Path::new(&path)).ok();
    assert_eq!(back.stdout.matches("(restored)").count(), 4, "{back:?}");
    assert!(!log.exists(), "it was asked");
    app_ends_with(&project, 3);
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn another_compiler_is_not_taken_for_the_last() {
    let project = project("cc");
    let bin = programs(&project, "bin", &[]);
    let wrapper = |value: u32| {
        executable(&bin.join("cc"), &format!("#!/bin/sh\nexec /usr/bin/cc -DV={value} \"$@\"\n"));
    };
    project.file("a.c", "int a(void) { return V; }\n");
    wrapper(1);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    on_path(&project, Path::new(&path)).ok();
    app_ends_with(&project, 1);
    forget(&project);
    // It cannot link there, and it is not what it was.
    wrapper(2);
    on_path(&project, &bin).ends_with(1);
    // Nothing by its name is there: it may be what it was.
    fs::remove_file(bin.join("cc")).unwrap();
    let back = on_path(&project, &bin).ok();
    assert_eq!(back.stdout.matches("(restored)").count(), 4, "{back:?}");
    app_ends_with(&project, 1);
    wrapper(2);
    on_path(&project, Path::new(&path)).ok();
    app_ends_with(&project, 2);
}

#[test]
fn what_is_made_while_a_compiler_is_not_whole_is_not_kept() {
    let project = project("/usr/bin/cc");
    project.larder(&["ninja"]).ok();
    // It finds an assembler and no linker; nobody knows what that assembler is.
    let half = programs(&project, "half", &[]);
    let log = project.path("../assembled");
    let text = format!("#!/bin/sh\necho >> '{}'\nexec /usr/bin/as \"$@\"\n", log.display());
    executable(&half.join("as"), &text);
    project.file("a.c", "int a(void) { return 5; }\n");
    let mut command = project.command(&["ninja", "out/a.o"]);
    run(command.env("PATH", &half)).ok();
    assert!(log.exists());
    let whole = project.larder(&["ninja"]).ok();
    assert!(
        whole.stdout.contains("out/a.o") && !whole.stdout.contains("out/a.o -c a.c (restored)"),
        "{whole:?}"
    );
    app_ends_with(&project, 5);
}
