//! Outputs that the store gives back, and those that reach it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use larder_testkit::{
    events::Built,
    files::{self, names, set_mode},
    project::Project,
    run::run,
    stores::hash,
};

use crate::support::{made, with_service};

const TWO: &str = r#"
[[library]]
name = "a"
sources = ["s.c"]

[[library]]
name = "b"
sources = ["s.c"]

[[executable]]
name = "x"
sources = ["s.c", "main.c"]
"#;

fn two() -> Project {
    let project = Project::cached(TWO);
    project.file("s.c", "int s(void) { return 1; }\n");
    project.file("main.c", "int s(void);\nint main(void) { return s(); }\n");
    project
}

#[test]
fn targets_that_share_a_source_and_its_flags_are_both_restored() {
    let project = two();
    project.build();
    let other = project.checkout();
    for tree in [&project, &other] {
        tree.forget();
        let built = tree.build_with(&["a:o", "b:o", "a", "b", "x"]);
        assert_eq!(built.built(), [""; 0]);
        tree.larder(&["build", "--no-build"]).ok();
    }
}

#[test]
fn targets_that_share_a_source_and_its_flags_pass_no_build_after_cache_get() {
    let project = two();
    let larder = with_service(&project);
    larder(&project, &["build", "-o", "outputs.jsonl"]);
    larder(&project, &["cache", "put", "--rev", "r1", "outputs.jsonl"]);
    let fresh = project.elsewhere();
    larder(&fresh, &["cache", "get", "--rev", "r1"]);
    larder(&fresh, &["build", "--no-build"]);
    larder(&fresh, &["build", "--no-build", "a:o", "b:o"]);
}

/// A command that copies `in` into a directory, and one that lists that directory.
fn listed() -> Project {
    let project = Project::cached(
        r#"
[[command]]
name = "tree"
inputs = ["in"]
outputs = ["tree/"]
run = ["sh", "-c", "cp in $1/made", "sh", "{out}"]

[[command]]
name = "list"
inputs = ["{tree}", "more"]
outputs = ["list"]
run = ["sh", "-c", "ls $2 > $1; cat more >> $1", "sh", "{out}", "{tree}"]
"#,
    );
    project.file("in", "1\n").file("more", "1\n");
    project
}

#[test]
fn a_stray_file_in_an_output_directory_is_read_by_nobody() {
    let project = listed();
    assert_eq!(made(&project, "list"), "made\n1\n");
    fs::write(project.output("tree/stray"), "").unwrap();
    project.file("more", "2\n");
    assert_eq!(made(&project, "list"), "made\n2\n");
    assert_eq!(made(&project.checkout(), "list"), "made\n2\n");
}

#[test]
fn a_stray_file_in_an_output_directory_is_gone_when_it_is_made_again() {
    let project = listed();
    project.build();
    fs::write(project.output("tree/stray"), "").unwrap();
    fs::create_dir(project.output("tree/empty")).unwrap();
    project.file("in", "2\n");
    assert_eq!(made(&project, "list"), "made\n1\n");
    assert_eq!(names(&project.output("tree")), ["made"]);
    let other = project.checkout();
    assert_eq!(made(&other, "list"), "made\n1\n");
    other.build_with(&["tree"]);
    assert_eq!(names(&other.output("tree")), ["made"]);
}

#[test]
fn a_stray_file_in_an_output_directory_does_not_survive_a_restore() {
    let project = listed();
    project.build();
    project.file("in", "2\n");
    project.build();
    fs::write(project.output("tree/stray"), "").unwrap();
    project.file("in", "1\n");
    assert_eq!(made(&project, "list"), "made\n1\n");
    assert_eq!(names(&project.output("tree")), ["made"]);
}

#[test]
fn a_target_that_prints_70_megabytes_is_replayed_and_rebuilt_like_any_other() {
    let project = Project::new(
        "[[command]]\nname = \"loud\"\noutputs = [\"loud\"]\npass-env = [\"MEGABYTES\"]\nrun = [\"sh\", \"-c\", \"yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c ${{MEGABYTES}}000000; echo $MEGABYTES > $1\", \"sh\", \"{out}\"]\n",
    );
    let build = |megabytes: &str| {
        let mut command = project.command(&["build", "--json"]);
        command.env("MEGABYTES", megabytes);
        Built::of(&run(command).ok())
    };
    assert_eq!(build("70").built(), ["loud"]);
    assert_eq!(build("70").with("replayed"), ["loud"]);
    // Something that is neither a file nor a time has changed.
    assert_eq!(build("1").built(), ["loud"]);
    assert_eq!(fs::read_to_string(project.output("loud")).unwrap(), "1\n");
}

fn mode(project: &Project, path: &str) -> u32 {
    files::mode(&project.output(path))
}

fn chmod(project: &Project, path: &str, mode: u32) {
    set_mode(&project.output(path), mode);
}

#[test]
fn a_chmod_of_an_output_reaches_no_other_checkout() {
    let project = two();
    project.build();
    let other = project.checkout();
    other.build();
    for path in ["x", "liba.a"] {
        let before = mode(&other, path);
        chmod(&project, path, 0o600);
        assert_eq!(mode(&other, path), before, "{path}");
        let third = project.checkout();
        third.build();
        assert_eq!(mode(&third, path), before, "{path}");
    }
}

#[test]
fn outputs_share_no_inode_with_the_store() {
    let project = two();
    project.build();
    let other = project.checkout();
    other.build_with(&["a", "b", "x", "a:o"]);
    for tree in [&project, &other] {
        for path in ["x", "liba.a", "obj/liba/s.c.o"] {
            assert_eq!(fs::metadata(tree.output(path)).unwrap().nlink(), 1, "{path}");
        }
    }
    // A write through one name reaches nobody else.
    let store = fs::read(other.output("liba.a")).unwrap();
    fs::write(project.output("liba.a"), "broken").unwrap();
    assert_eq!(fs::read(other.output("liba.a")).unwrap(), store);
    let third = project.checkout();
    third.build();
    assert_eq!(fs::read(third.output("liba.a")).unwrap(), store);
}

#[test]
fn rehash_sees_a_lost_executable_bit() {
    let project = two();
    project.build();
    chmod(&project, "x", 0o644);
    project.build_with(&["--rehash"]);
    assert_eq!(mode(&project, "x") & 0o111, 0o111);
}

#[test]
fn a_lost_executable_bit_is_seen_without_rehash_too() {
    for package in [Project::cached(TWO), Project::new(TWO)] {
        package.file("s.c", "int s(void) { return 5; }\n");
        package.file("main.c", "int s(void);\nint main(void) { return s(); }\n");
        package.build();
        chmod(&package, "x", 0o644);
        package.larder(&["exec", "x"]).ends_with(5);
    }
}

/// A program of one object, and one of two, of which nothing is the same.
fn one() -> Project {
    let project = Project::cached(
        r#"
[[library]]
name = "a"
sources = ["s.c"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
"#,
    );
    project.file("s.c", "int s(void) { return 1; }\n");
    project.file("main.c", "int s(void);\nint main(void) { return s(); }\n");
    project
}

/// The object of the library of [`one`].
const OBJECT: &str = "obj/liba/s.c.o";

/// The entry of the store that has what `project` has built as `path`.
fn entry(project: &Project, path: &str) -> PathBuf {
    let hash = hash(fs::read(project.output(path)).unwrap()).to_string();
    project.cache.join("artifacts").join(&hash[..2]).join(hash)
}

/// Changes the first byte of a file, and nothing that `stat` tells but its change time.
fn damage(path: &Path) {
    let mode = files::mode(path);
    set_mode(path, 0o600);
    let mut content = fs::read(path).unwrap();
    content[0] ^= 1;
    files::write_keeping_time(path, &content);
    set_mode(path, mode);
}

#[test]
fn rehash_leaves_nothing_corrupt_in_the_store_and_calls_it_restored() {
    let project = one();
    project.build_with(&["x", "a:o"]);
    let object = entry(&project, OBJECT);
    for targets in [&["x"][..], &["a:o"]] {
        project.forget();
        damage(&object);
        let built = project.build_with(&[&["--rehash"], targets].concat());
        assert_eq!(built.built(), [OBJECT], "{}", built.all);
        project.larder(&["cache", "verify"]).ok();
    }
    // What the build before left in the store is looked at again.
    project.forget();
    project.build();
    assert!(!project.output(OBJECT).exists());
    damage(&object);
    assert_eq!(project.build_with(&["--rehash"]).built(), [OBJECT]);
    project.larder(&["cache", "verify"]).ok();
}

#[test]
fn no_build_with_rehash_names_what_is_corrupt_in_the_store() {
    let project = one();
    project.build();
    let object = entry(&project, OBJECT);
    project.forget();
    damage(&object);
    project.larder(&["build", "--no-build"]).ok();
    project.larder(&["build", "--no-build", "--rehash"]).ends_with(3).says(OBJECT);
}

#[test]
fn rehash_verifies_what_is_left_in_an_offline_store() {
    let project = one();
    project.build();
    damage(&entry(&project, OBJECT));
    let offline = project.cache.with_extension("offline");
    fs::rename(&project.cache, &offline).unwrap();
    let other = project.checkout();
    let mut command = other.command(&["build", "--json", "--rehash"]);
    command.env("LARDER_OFFLINE_STORE", &offline);
    let built = Built::of(&run(command).ok());
    assert_eq!(built.built(), [OBJECT], "{}", built.all);
}

#[test]
fn a_corrupt_log_or_record_in_the_store_is_not_replayed_with_rehash() {
    let project = one();
    project.file("s.c", "#warning mind the gap\nint s(void) { return 1; }\n");
    assert!(project.build().log.contains("mind the gap"));
    project.forget();
    for record in files::files(&project.cache.join("outputs")) {
        let text = fs::read_to_string(&record).unwrap().replace("mind the gap", "mind the cat");
        files::write_keeping_time(&record, text.as_bytes());
    }
    let built = project.build_with(&["--rehash"]);
    assert!(built.log.contains("mind the gap") && !built.log.contains("cat"), "{}", built.all);
}

#[test]
fn rehash_sees_outputs_that_were_changed_and_given_their_time_back() {
    let project = listed();
    project.build_with(&["list", "tree"]);
    for path in ["list", "tree/made"] {
        let right = fs::read(project.output(path)).unwrap();
        damage(&project.output(path));
        project.build_with(&["--rehash", "list", "tree"]);
        assert_eq!(fs::read(project.output(path)).unwrap(), right);
    }
}

#[test]
fn every_step_ends_once_though_what_was_left_in_the_store_is_corrupt() {
    let project = two();
    project.build();
    project.forget();
    files::files(&project.cache.join("artifacts")).iter().for_each(|path| damage(path));
    let run = project.larder(&["build", "--json"]).ok();
    let built = Built::of(&run);
    assert_eq!(built.outputs().len(), built.steps.len(), "{}", built.all);
    let events = run.events();
    let counts = &events.last().unwrap()["progress"];
    for status in ["built", "restored"] {
        assert_eq!(counts[status], built.with(status).len(), "{}", built.all);
    }
    assert_eq!(counts["total"], built.steps.len(), "{}", built.all);
}

#[test]
fn what_is_restored_is_one_line_for_people_who_do_not_ask_for_more() {
    let project = two();
    project.build();
    project.forget();
    let said = project.larder(&["build"]).ok().stderr;
    assert!(said.lines().count() == 1 && said.starts_with("7 restored in "), "{said}");
    project.forget();
    project.larder(&["build", "-v"]).ok().says("restored x:exe x").says("restored a:o");
}
