//! `--old`: outputs that are newer than everything they were made from are taken.

use larder_testkit::project::Project;

use crate::support::{printed, prints};

fn project() -> Project {
    let project = Project::cached(
        "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nincludes = [\"include\"]\ntrace-args = [\"-DA=1\"]\n",
    );
    project.file("include/h.h", "#warning mind the gap\n#define V 1\n");
    project.file("main.c", prints("#include <h.h>", "V"));
    project.build();
    // Now the traces differ, and no file that is compiled does.
    project.replace("larder.toml", "-DA=1", "-DA=2");
    project
}

#[test]
fn an_object_older_than_an_edited_header_is_not_up_to_date() {
    let project = project();
    project.file("include/h.h", "#define V 2\n");
    assert_eq!(project.build_with(&["--old"]).built(), ["obj/x/main.c.o", "x"]);
    assert_eq!(project.larder(&["exec", "x"]).ok().stdout, "2\n");
}

#[test]
fn a_header_that_a_changed_source_no_longer_reads_does_not_count() {
    let project = project();
    project.file("main.c", prints("", "7"));
    project.build_with(&["--old"]);
    project.replace("larder.toml", "-DA=2", "-DA=3");
    project.file("include/h.h", "#define V 2\n");
    assert_eq!(project.build_with(&["--old"]).built(), [""; 0]);
}

#[test]
fn old_replays_logs() {
    let project = project();
    let run = project.larder(&["build", "--old"]).ok();
    assert!(run.stderr.contains("mind the gap"), "{}", run.stderr);
    assert_eq!(project.build_with(&["--old"]).built(), [""; 0]);
}

#[test]
fn old_builds_nothing_after_a_restore() {
    let project = project();
    project.replace("larder.toml", "-DA=2", "-DA=1");
    project.forget();
    assert_eq!(project.build().built(), [""; 0]);
    project.replace("larder.toml", "-DA=1", "-DA=2");
    let old = project.build_with(&["--old"]);
    assert_eq!((old.built(), old.with("restored")), (vec![], vec![]));
    assert_eq!(printed(&project), "1\n");
}
