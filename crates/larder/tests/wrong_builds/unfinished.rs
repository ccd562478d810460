//! An output and its trace belong together, whatever happens between the writing of one and the other.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use larder_testkit::{
    files::{copy_tree, remove_tree, set_mode, walk, write_keeping_time},
    project::Project,
    run::under,
    tools::require,
};

use crate::support::{aside, back, made};

/// A command that copies `in`, built for `one`, which is [aside], and then for `two`.
fn copied() -> Project {
    let project = Project::cached(
        "[[command]]\nname = \"c\"\ninputs = [\"in\"]\noutputs = [\"out\"]\nrun = [\"sh\", \"-c\", \"cat in > $1\", \"sh\", \"{out}\"]\n",
    );
    project.file("in", "one\n");
    assert_eq!(made(&project, "out"), "one\n");
    aside(&project, "in");
    project.file("in", "two\n");
    assert_eq!(made(&project, "out"), "two\n");
    project
}

/// `in` is what it was aside, and what it was is aside; each keeps its time.
fn swap(project: &Project) {
    let between = project.path("in.between");
    fs::rename(project.path("in"), &between).unwrap();
    back(project, "in");
    fs::rename(between, project.path("in.aside")).unwrap();
}

/// Calls with which files change, come and go.
const CALLS: [&str; 17] = [
    "write",
    "pwrite64",
    "copy_file_range",
    "sendfile",
    "ioctl",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "utimensat",
    "fchmod",
    "fsync",
    "fdatasync",
];

/// Kills larder at each of its calls in turn, in a package as `prepare` leaves it, and calls `after`.
fn killed_at_each_call(
    project: &Project,
    prepare: &dyn Fn(&Project),
    after: &dyn Fn(&Project, &str),
) {
    if !require("strace") {
        return;
    }
    let before = tempfile::tempdir().unwrap();
    prepare(project);
    let kept = before.path().join("p");
    copy_tree(&project.root, &kept);
    let mut kills = 0;
    // strace counts the calls of each name and thread for themselves.
    for call in CALLS {
        for nth in 1.. {
            put_back(&kept, &project.root);
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let larder = under(&strace, &project.command(&["build", "-j1"])).output().unwrap();
            match (larder.status.code(), larder.status.signal()) {
                (Some(0), _) => break,
                // A command was killed, and not larder.
                (Some(1), _) => {}
                // strace ends as larder does.
                (Some(137), _) | (_, Some(9)) => kills += 1,
                _ => panic!("{larder:?}"),
            }
            after(project, &format!("killed at {call} {nth}"));
        }
    }
    assert!(kills > 10, "only {kills} kills");
}

fn put_back(kept: &Path, root: &Path) {
    remove_tree(root);
    copy_tree(kept, root);
}

/// The file is what it was before, with the time that it had, and so is the output.
fn undone(project: &Project, when: &str) {
    let now = project.read("in");
    swap(project);
    let before = project.read("in");
    assert_ne!(now, before);
    assert_eq!(made(project, "out"), before, "{when}");
    swap(project);
    assert_eq!(made(project, "out"), now, "{when}");
}

#[test]
fn killed_while_it_restores_it_takes_no_output_of_other_inputs() {
    // From one value to the other, and back.
    for swaps in 0..2 {
        let project = copied();
        let prepare = |project: &Project| {
            for _ in 0..=swaps {
                project.build();
                swap(project);
            }
        };
        killed_at_each_call(&project, &prepare, &undone);
    }
}

#[test]
fn killed_while_it_restores_from_nothing_it_takes_no_output_of_other_inputs() {
    for swaps in 0..2 {
        let project = copied();
        let prepare = |project: &Project| {
            (0..swaps).for_each(|_| swap(project));
            project.forget();
        };
        killed_at_each_call(&project, &prepare, &undone);
    }
}

#[test]
fn killed_while_it_builds_it_takes_no_output_of_other_inputs() {
    for swaps in 0..2 {
        let project = copied();
        // Nothing is kept, so that it is built every time.
        project.replace("larder.toml", "name = \"p\"\n", "name = \"p\"\nartifact-cache = false\n");
        let prepare = |project: &Project| {
            for _ in 0..=swaps {
                project.build();
                swap(project);
            }
        };
        killed_at_each_call(&project, &prepare, &undone);
    }
}

#[test]
fn an_emptied_trace_vouches_for_no_output() {
    for index in [true, false] {
        for trace in ["", "{\"schemaVersion\":1,\"unfinished\":true}", "{\"schemaVersion\":1"] {
            let project = copied();
            project.file(".larder/build/out.trace", trace);
            if !index {
                project.remove(".larder/index");
            }
            swap(&project);
            assert_eq!(made(&project, "out"), "one\n", "{trace:?}, with the index: {index}");
        }
    }
}

#[test]
fn what_a_power_cut_has_emptied_is_made_again() {
    for restored in [false, true] {
        for lost in 1..8 {
            let project = copied();
            if restored {
                project.forget();
                assert_eq!(project.build().with("restored"), ["out"]);
            }
            // Files that were not on the disk yet are empty afterwards; sizes are lost, times are not.
            for (bit, path) in [".larder/build/out", ".larder/build/out.trace", ".larder/index"]
                .into_iter()
                .enumerate()
            {
                if lost & (1 << bit) != 0 {
                    write_keeping_time(&project.path(path), b"");
                }
            }
            let hash = project.path(".larder/build/out.hash");
            if hash.exists() {
                write_keeping_time(&hash, b"");
            }
            assert_eq!(made(&project, "out"), "two\n", "restored: {restored}, lost: {lost:03b}");
            project.build_with(&["--rehash"]);
            assert_eq!(made(&project, "out"), "two\n", "restored: {restored}, lost: {lost:03b}");
        }
    }
}

#[test]
fn what_a_power_cut_has_emptied_in_the_store_is_made_again() {
    let project = copied();
    walk(&project.cache.join("artifacts"), &mut |_, file| {
        set_mode(file, 0o644);
        write_keeping_time(file, b"");
    });
    project.forget();
    assert_eq!(made(&project, "out"), "two\n");
    let other = project.checkout();
    assert_eq!(made(&other, "out"), "two\n");
    project.forget();
    assert_eq!(made(&project, "out"), "two\n");
}
