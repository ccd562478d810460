//! Edits: which outputs they rebuild, and which not.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime},
};

use larder_testkit::{events::Built, files::copy_tree, project::Project};
use larder_trace::{ContentHash, StatIndex};

const MANIFEST: &str = r#"
[[library]]
name = "a"
sources = ["src/*.c"]
exclude = ["src/main.c"]
includes = ["include"]
weak-args = ["-DWEAK=1"]
trace-args = ["-O1"]

[[executable]]
name = "x"
sources = ["src/main.c"]
libraries = ["a"]
"#;

/// A library of two objects, of which one includes a header, and a program.
fn project() -> Project {
    let project = Project::new(MANIFEST);
    project
        .file("include/a.h", "#define A 1\nint one(void);\nint two(void);\n")
        .file("src/one.c", "#include <a.h>\nint one(void) { return A; }\n")
        .file("src/two.c", "int two(void) { return 2; }\n")
        .file("src/main.c", "#include <a.h>\nint main(void) { return one() + two(); }\n");
    project
}

const ALL: [&str; 5] =
    ["liba.a", "obj/liba/src/one.c.o", "obj/liba/src/two.c.o", "obj/x/src/main.c.o", "x"];

#[track_caller]
fn nothing_is_built(project: &Project) {
    let again = project.build();
    assert_eq!(again.built(), [""; 0]);
    assert_eq!(again.with("failed"), [""; 0]);
}

#[test]
fn all_of_it_once() {
    let project = project();
    assert_eq!(project.build().built(), ALL);
    nothing_is_built(&project);
    let run = project.larder(&["exec", "x"]).ends_with(3);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

#[test]
fn an_edited_header_rebuilds_what_includes_it() {
    let project = project();
    project.build();
    project.file("include/a.h", "#define A 7\nint one(void);\nint two(void);\n");
    let built = project.build();
    // The program's object comes out the same, and is read only by the linker.
    assert_eq!(built.built(), ["liba.a", "obj/liba/src/one.c.o", "obj/x/src/main.c.o", "x"]);
    assert_eq!(built.with("replayed"), ["obj/liba/src/two.c.o"]);
    project.larder(&["exec", "x"]).ends_with(9);
}

#[test]
fn what_comes_out_the_same_goes_no_further() {
    let project = project();
    project.build();
    project.file("src/two.c", "/* the same */ int two(void) { return 2; }\n");
    assert_eq!(project.build().built(), ["obj/liba/src/two.c.o"]);
}

#[test]
fn a_touched_file_rebuilds_nothing() {
    let project = project();
    project.build();
    for path in ["include/a.h", "src/one.c", "larder.toml", ".larder/build/liba.a"] {
        let file = fs::File::options().append(true).open(project.path(path)).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
        nothing_is_built(&project);
    }
}

#[test]
fn a_file_from_the_future_is_built_once() {
    let project = project();
    for path in ["include/a.h", "src/one.c"] {
        let file = fs::File::options().append(true).open(project.path(path)).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    }
    project.build();
    nothing_is_built(&project);
    project.file("include/a.h", "#define A 2\nint one(void);\nint two(void);\n");
    assert!(project.build().built().contains(&"obj/liba/src/one.c.o"));
}

#[test]
fn a_header_edited_while_it_is_read_is_read_again() {
    let project = Project::new(
        "[toolchain]\ncc = \"./cc\"\n\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n",
    );
    // A compiler that is slow to end, and an edit behind its back.
    project.script("cc", "case $1 in -c) ;; *) exec cc \"$@\";; esac\ncc \"$@\" || exit\n[ -e edited ] || { echo '#define A 2' > a.h; touch edited; }\n");
    project.file("a.h", "#define A 1\n").file("a.c", "#include \"a.h\"\nint a = A;\n");
    assert_eq!(project.build().built(), ["liba.a", "obj/liba/a.c.o"]);
    assert_eq!(project.build().built(), ["liba.a", "obj/liba/a.c.o"]);
    nothing_is_built(&project);
}

#[test]
fn a_file_with_other_line_endings_rebuilds_nothing() {
    let project = project();
    project.build();
    for path in ["include/a.h", "src/one.c", "src/main.c"] {
        project.file(path, project.read(path).replace('\n', "\r\n"));
    }
    nothing_is_built(&project);
}

#[test]
fn a_deleted_header_that_is_not_included_any_more() {
    let project = project();
    project.file("include/b.h", "#define B 1\n");
    project.file("src/two.c", "#include <b.h>\nint two(void) { return B + 1; }\n");
    project.build();
    project.file("src/two.c", "int two(void) { return 2; }\n");
    project.remove("include/b.h");
    assert!(project.build().built().contains(&"obj/liba/src/two.c.o"));
    nothing_is_built(&project);
    // One that is still included is the compiler's to complain of.
    project.remove("include/a.h");
    project.larder(&["build"]).ends_with(1).says("a.h: No such file or directory");
}

#[test]
fn a_header_that_comes_to_shadow_another_is_seen_with_the_include_directories() {
    let project = project();
    project.build();
    project.file("other/a.h", "#define A 5\nint one(void);\nint two(void);\n");
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("\"include\"", "\"other\", \"include\""));
    assert!(project.build().built().contains(&"obj/liba/src/one.c.o"));
    project.larder(&["exec", "x"]).ends_with(7);
}

#[test]
fn traced_arguments_rebuild_and_weak_ones_do_not() {
    let project = project();
    project.build();
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("WEAK=1", "WEAK=2"));
    nothing_is_built(&project);
    project.file("larder.toml", manifest.replace("-O1", "-O2"));
    let built = project.build();
    assert!(built.built().contains(&"obj/liba/src/one.c.o"));
    assert!(built.with("replayed").contains(&"obj/x/src/main.c.o"));
}

#[test]
fn a_file_written_right_after_a_build_with_the_same_size() {
    let project = project();
    // Again and again, so that some of the writes fall into the tick in which the build looked.
    for value in 1..10 {
        project.file("src/two.c", format!("int two(void) {{ return {value}; }}\n"));
        assert!(project.build().built().contains(&"obj/liba/src/two.c.o"), "{value}");
    }
    project.larder(&["exec", "x"]).ends_with(10);
}

#[test]
fn an_output_changed_by_hand_is_made_again() {
    let project = project();
    project.build();
    let before = project.outputs();
    fs::write(project.output("obj/liba/src/two.c.o"), "not an object").unwrap();
    assert_eq!(project.build().built(), ["obj/liba/src/two.c.o"]);
    fs::remove_file(project.output("liba.a")).unwrap();
    assert_eq!(project.build().built(), ["liba.a"]);
    assert_eq!(project.outputs(), before);
}

#[test]
fn a_new_source_and_one_that_is_gone() {
    let project = project();
    project.build();
    project.file("src/three.c", "int three(void) { return 3; }\n");
    assert_eq!(project.build().built(), ["liba.a", "obj/liba/src/three.c.o", "x"]);
    project.remove("src/three.c");
    assert_eq!(project.build().built(), ["liba.a", "x"]);
    let mut list = std::process::Command::new("ar");
    let listed = list.arg("t").arg(project.output("liba.a")).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "one.c.o\ntwo.c.o\n");
}

#[test]
fn without_the_index_nothing_is_rebuilt() {
    let project = project();
    project.build();
    project.remove(".larder/index");
    nothing_is_built(&project);
    assert!(project.path(".larder/index").exists());
    for garbage in [&b""[..], b"larderix", &[0xff; 5000]] {
        project.file(".larder/index", garbage);
        nothing_is_built(&project);
    }
    let good = fs::read(project.path(".larder/index")).unwrap();
    for length in (0..good.len()).step_by(good.len() / 7) {
        project.file(".larder/index", &good[..length]);
        nothing_is_built(&project);
    }
}

#[test]
fn without_a_trace_file_only_old_mode_takes_outputs_by_their_times() {
    let project = project();
    project.build();
    // The index knows what the trace file said.
    project.remove(".larder/build/liba.a.trace");
    nothing_is_built(&project);
    let old = || project.build_with(&["--old"]);
    for output in ["liba.a", "obj/liba/src/one.c.o"] {
        let trace = format!(".larder/build/{output}.trace");
        for damage in [false, true] {
            match damage {
                true => drop(project.file(&trace, "")),
                false if project.path(&trace).exists() => project.remove(&trace),
                false => {}
            }
            project.remove(".larder/index");
            assert_eq!(old().built(), [""; 0]);
            assert_eq!(project.build().built(), [output]);
        }
    }
    // Unless they say otherwise.
    project.remove(".larder/build/liba.a.trace");
    project.remove(".larder/index");
    let file = fs::File::options().append(true).open(project.output("liba.a")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(old().built(), ["liba.a"]);
}

#[test]
fn without_a_trace_file_an_edited_manifest_is_newer_too() {
    let manifest = "[[command]]\nname = \"a\"\ninputs = [\"in\"]\noutputs = [\"a\"]\nrun = [\"sh\", \"-c\", \"echo 1 > $0\", \"{out}\"]\n";
    let project = Project::new(manifest);
    project.file("in", "");
    project.build();
    project.remove(".larder/build/a.trace");
    project.remove(".larder/index");
    assert_eq!(project.build_with(&["--old"]).built(), [""; 0]);
    project.file("larder.toml", project.read("larder.toml").replace("echo 1", "echo 2"));
    assert_eq!(project.build_with(&["--old"]).built(), ["a"]);
}

#[test]
fn what_a_broken_trace_file_stands_for_is_built_again() {
    let project = project();
    project.build();
    let before = project.outputs();
    let trace = ".larder/build/obj/liba/src/two.c.o.trace";
    let (good, record) = (project.read(trace), project.record(trace));
    let other = project.read(".larder/build/liba.a.trace");
    let deep = "[".repeat(100_000);
    let swapped = good.replace("\"schemaVersion\":2", "\"schemaVersion\":9");
    let broken = [&good[..good.len() / 2], "", "null", "garbage\0", &deep, &swapped, &other];
    for text in broken {
        project.file(trace, text);
        let run = project.larder(&["build", "-v"]).ok();
        assert!(
            run.stderr.contains("built obj/liba/src/two.c.o") || run.stderr.contains("built a:o")
        );
        if text != other {
            assert!(run.stderr.contains("ignoring the trace file"), "{text}: {}", run.stderr);
        }
        assert_eq!(project.record(trace), record);
    }
    // The record of an output that is not there, under the right hash, vouches for nothing.
    let hash = good.find("\"depHash\":\"").unwrap() + 11;
    let hash = &good[hash..hash + 64];
    for outputs in ["[]", r#"[{"path":"../../x","hash":"H","size":1}]"#] {
        let outputs = outputs.replace('H', hash);
        let text = format!(
            r#"{{"schemaVersion":2,"depHash":"{hash}","inputs":[],"outputs":{outputs},"synthetic":true}}"#
        );
        project.file(trace, text);
        fs::remove_file(project.output("obj/liba/src/two.c.o")).unwrap();
        assert_eq!(project.build().built(), ["obj/liba/src/two.c.o"]);
    }
    assert_eq!(project.outputs(), before);
}

#[test]
fn a_trace_file_of_100_mb_is_not_read() {
    let project = project();
    project.build();
    let trace = project.output("obj/liba/src/two.c.o.trace");
    fs::File::create(&trace).unwrap().set_len(100 << 20).unwrap();
    let run = project.larder(&["build", "-v"]).ok();
    assert!(
        run.stderr.contains("it has 104857600 bytes, and 67108864 are the most"),
        "{}",
        run.stderr
    );
    assert!(fs::metadata(&trace).unwrap().len() < 10_000);
}

#[test]
fn a_package_that_has_moved_is_up_to_date() {
    let project = project();
    project.build();
    let (hashes, outputs) = (project.dep_hashes(), project.outputs());
    let moved = Project::new("");
    for (what, keep_index) in [("with its index", true), ("without", false)] {
        fs::remove_dir_all(&moved.root).unwrap();
        copy_tree(&project.root, &moved.root);
        if !keep_index {
            moved.remove(".larder/index");
        }
        nothing_is_built(&moved);
        assert_eq!(moved.dep_hashes(), hashes, "{what}");
    }
    // Built there from nothing, it is the same, to the last byte.
    fs::remove_dir_all(moved.path(".larder")).unwrap();
    assert_eq!(moved.build().built(), ALL);
    assert_eq!(moved.dep_hashes(), hashes);
    assert_eq!(moved.outputs(), outputs);
}

#[test]
fn old_mode_takes_what_is_newer_than_its_inputs() {
    let project = project();
    project.build();
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("-O1", "-O2"));
    let with_old = project.build_with(&["--old"]);
    assert_eq!(with_old.built(), [""; 0]);
    assert!(!project.build().built().is_empty());
    // A source that is newer is built in any mode.
    project.file("src/two.c", "int two(void) { return 4; }\n");
    assert!(project.build_with(&["--old"]).built().contains(&"obj/liba/src/two.c.o"));
}

#[test]
fn old_mode_looks_at_headers_too() {
    let project = project();
    project.build();
    let edit = |value, time| {
        project.file("include/a.h", format!("#define A {value}\nint one(void);\nint two(void);\n"));
        let file = fs::File::options().append(true).open(project.path("include/a.h")).unwrap();
        file.set_modified(time).unwrap();
    };
    edit(2, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    assert_eq!(project.build_with(&["--old"]).built(), [""; 0]);
    edit(3, SystemTime::now());
    let built = project.build_with(&["--old"]);
    assert_eq!(built.built(), ["liba.a", "obj/liba/src/one.c.o", "obj/x/src/main.c.o", "x"]);
}

#[test]
fn old_mode_takes_what_was_restored() {
    let project = Project::with_manifest(
        "[package]\nname = \"p\"\n[[executable]]\nname = \"x\"\nsources = [\"m.c\"]\ntrace-args = [\"-O1\"]\n",
    );
    project.file("m.c", "int main(void) { return 3; }\n");
    project.build();
    // Restored outputs have no times of their own to go by.
    project.file("m.c", "int main(void) { return 4; }\n");
    project.build();
    project.file("m.c", "int main(void) { return 3; }\n");
    fs::remove_dir_all(project.path(".larder")).unwrap();
    assert_eq!(project.build().with("restored"), ["obj/x/m.c.o", "x"]);
    let manifest = project.read("larder.toml").replace("-O1", "-O2");
    project.file("larder.toml", manifest);
    let old = project.build_with(&["--old"]);
    assert_eq!((old.built(), old.with("restored")), (vec![], vec![]));
}

#[test]
fn the_same_size_and_time_hide_no_edit() {
    let project = project();
    project.build();
    let path = project.path("src/two.c");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    larder_testkit::wait::wait_until("the index trusts the file", || {
        project.build();
        modified.elapsed().unwrap().as_millis() > 100
    });
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, b"int two(void) { return 5; }\n").unwrap();
    file.set_modified(modified).unwrap();
    assert!(project.build().built().contains(&"obj/liba/src/two.c.o"));
    project.larder(&["exec", "x"]).ends_with(6);
}

#[test]
fn rehash_trusts_no_status() {
    let project = project();
    project.build();
    let index = project.path(".larder/index");
    let modified = fs::metadata(project.output("liba.a")).unwrap().modified().unwrap();
    larder_testkit::wait::wait_until("the index trusts the file", || {
        modified.elapsed().unwrap().as_millis() > 100
    });
    // An index that is wrong: only reading the file tells.
    let wrong = StatIndex::open(&project.root, &index, false).unwrap();
    wrong.record_output(".larder/build/liba.a", ContentHash::of_bytes(b"wrong")).unwrap();
    wrong.save().unwrap();
    let wrong = fs::read(&index).unwrap();
    assert_eq!(project.build_with(&["--rehash"]).built(), [""; 0]);
    fs::write(&index, wrong).unwrap();
    assert_eq!(project.build().built(), ["liba.a"]);
}

#[test]
fn rehash_sees_a_lost_execute_permission() {
    let project = project();
    for arguments in [&[][..], &["--rehash"], &["--old"]] {
        project.build();
        fs::set_permissions(project.output("x"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(project.build_with(arguments).built(), ["x"], "{arguments:?}");
        project.larder(&["exec", "x"]).ends_with(3);
    }
}

#[test]
fn only_what_is_asked_for_is_built() {
    let project = project();
    let built = |targets: &[&str]| {
        let run = project.larder(&[&["build", "--json"], targets].concat()).ok();
        Built::of(&run).built().join(" ")
    };
    assert_eq!(built(&["a:o"]), "obj/liba/src/one.c.o obj/liba/src/two.c.o");
    assert_eq!(built(&["a"]), "liba.a");
    assert_eq!(built(&["@p/x:exe", "a"]), "obj/x/src/main.c.o x");
}
