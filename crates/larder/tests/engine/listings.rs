//! Directories of sources, which are read again only where they have changed.

use std::{fs, os::unix::fs::symlink, path::Path};

use larder_testkit::{
    project::Project,
    run::{run, under},
    tools::require,
    wait::wait_until,
};

const MANIFEST: &str = "[[library]]\nname = \"l\"\nsources = [\"src/**/*.c\"]\n";

/// How many directories a build reads.
fn directories_read(project: &Project) -> usize {
    let trace = project.path("../trace");
    let flags = ["strace", "-f", "-qq", "-e", "trace=getdents64", "-o", trace.to_str().unwrap()];
    run(under(&flags, &project.command(&["build"]))).ok();
    fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains("getdents64(")).count()
}

/// Builds until what a build knows of directories holds: of one that has changed a moment ago, it may not.
#[track_caller]
fn settle(project: &Project) {
    project.build();
    if require("strace") {
        wait_until("no directory is read", || directories_read(project) == 0);
    }
}

#[test]
fn a_directory_is_read_again_when_it_has_changed() {
    let project = Project::new(MANIFEST);
    project.file("src/a.c", "int a;\n").file("src/deep/b.c", "int b;\n");
    let members = |expected: &[&str]| {
        settle(&project);
        let archive = project.output("libl.a");
        let said = larder_testkit::tools::said("ar", &["t"], &archive);
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    };
    members(&["a.c.o", "b.c.o"]);
    // A source that comes, one that goes, a directory that does.
    project.file("src/deep/c.c", "int c;\n");
    members(&["a.c.o", "b.c.o", "c.c.o"]);
    project.remove("src/deep/b.c");
    members(&["a.c.o", "c.c.o"]);
    fs::rename(project.path("src/deep"), project.path("src/other")).unwrap();
    members(&["a.c.o", "c.c.o"]);
    project.file("src/new/d.c", "int d;\n");
    members(&["a.c.o", "d.c.o", "c.c.o"]);
    // Something else by the same name: a directory, then a source again.
    project.remove("src/a.c");
    fs::create_dir(project.path("src/a.c")).unwrap();
    members(&["d.c.o", "c.c.o"]);
    fs::remove_dir(project.path("src/a.c")).unwrap();
    project.file("src/a.c", "int a;\n");
    members(&["a.c.o", "d.c.o", "c.c.o"]);
}

/// What a link leads to decides, and changes without the directory that it is in.
#[test]
fn a_directory_with_links_is_read_each_time() {
    let project = Project::new(MANIFEST);
    project.file("src/a.c", "int a;\n").file("more/b.c", "int b;\n").file("../out.c", "int o;\n");
    settle(&project);
    let link = |to: &str| {
        let link = project.path("src/b.c");
        _ = fs::remove_file(&link);
        symlink(Path::new(to), &link).unwrap();
    };
    link("../more/b.c");
    for _ in 0..3 {
        project.build();
    }
    assert!(project.output("obj/libl/src/b.c.o").exists());
    // Where it leads is a directory now, which is not walked into.
    project.remove("more/b.c");
    fs::create_dir(project.path("more/b.c")).unwrap();
    assert_eq!(project.build().built(), ["libl.a"]);
    fs::remove_dir(project.path("more/b.c")).unwrap();
    symlink("../../out.c", project.path("more/b.c")).unwrap();
    project.larder(&["build"]).ends_with(2).mentions(&["src/b.c", "leads outside the package"]);
    link("../../out.c");
    project.larder(&["build"]).ends_with(2).mentions(&["src/b.c", "leads outside the package"]);
}
