//! An output and its trace belong together, whatever happens between the writing of one and the other.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use crate::{
    common::{Project, copy_tree, run, under},
    support::{aside, back, made, require, write_keeping_time},
};

/// A command that copies `in`, which a store has for the values `one` and `two`.
fn copied() -> Project {
    let project = Project::cached(
        "[[command]]\nname = \"c\"\ninputs = [\"in\"]\noutputs = [\"out\"]\nrun = [\"sh\", \"-c\", \"cat in > $1\", \"sh\", \"{out}\"]\n",
    );
    project.file("in", "one\n");
    assert_eq!(made(&project, "out"), "one\n");
    project.file("in", "two\n");
    assert_eq!(made(&project, "out"), "two\n");
    project
}

/// Calls with which files change, come and go.
const CALLS: &str = "write,pwrite64,copy_file_range,sendfile,ioctl,rename,renameat,renameat2,link,linkat,\
                     unlink,unlinkat,mkdir,mkdirat,ftruncate,utimensat,fchmod,fsync,fdatasync";

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
    for call in 1.. {
        put_back(&kept, &project.root);
        let inject = format!("inject={CALLS}:signal=KILL:when={call}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
        let status = under(&strace, &project.command(&["build", "-j1"])).output().unwrap().status;
        match (status.code(), status.signal()) {
            (Some(0), _) => break,
            // A command was killed, and not larder.
            (Some(1), _) => {}
            // strace ends as larder does.
            (Some(137), _) | (_, Some(9)) => kills += 1,
            _ => panic!("{status:?}"),
        }
        after(project, &format!("killed at call {call}"));
    }
    assert!(kills > 5, "only {kills} kills");
}

fn put_back(kept: &Path, root: &Path) {
    fs::remove_dir_all(root).unwrap();
    copy_tree(kept, root);
}

#[test]
fn killed_while_it_restores_it_takes_no_output_of_other_inputs() {
    let project = copied();
    let prepare = |project: &Project| {
        aside(project, "in");
        project.file("in", "one\n");
    };
    killed_at_each_call(&project, &prepare, &|project, when| {
        // Undone, with the time that the file had before.
        back(project, "in");
        assert_eq!(made(project, "out"), "two\n", "{when}");
    });
}

#[test]
fn killed_while_it_restores_from_nothing_it_takes_no_output_of_other_inputs() {
    let project = copied();
    let prepare = |project: &Project| {
        aside(project, "in");
        project.file("in", "one\n");
        project.forget();
    };
    killed_at_each_call(&project, &prepare, &|project, when| {
        back(project, "in");
        assert_eq!(made(project, "out"), "two\n", "{when}");
    });
}

#[test]
fn killed_while_it_builds_it_takes_no_output_of_other_inputs() {
    let project = copied();
    let prepare = |project: &Project| {
        aside(project, "in");
        project.file("in", "three\n");
    };
    // Nothing is kept, so that it is built every time.
    project.replace("larder.toml", "name = \"p\"\n", "name = \"p\"\nartifact-cache = false\n");
    project.build();
    killed_at_each_call(&project, &prepare, &|project, when| {
        back(project, "in");
        assert_eq!(made(project, "out"), "two\n", "{when}");
    });
}

#[test]
fn an_emptied_trace_vouches_for_no_output() {
    for index in [true, false] {
        for trace in ["", "{\"schemaVersion\":1,\"unfinished\":true}"] {
            let project = copied();
            let first = project.path("in.first");
            // As it was before the last build, with a time to match.
            project.file("in.first", "one\n");
            let old = fs::metadata(project.path("larder.toml")).unwrap().modified().unwrap();
            fs::File::options().append(true).open(&first).unwrap().set_modified(old).unwrap();
            project.file(".larder/build/out.trace", trace);
            if !index {
                project.remove(".larder/index");
            }
            fs::rename(first, project.path("in")).unwrap();
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
                project.file("in", "one\n");
                project.build();
                project.file("in", "two\n");
                assert_eq!(project.build().with("restored"), ["out"]);
            }
            // What was not on the disk yet is empty afterwards; sizes are lost, times are not.
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
    crate::common::walk(&project.cache.join("artifacts"), "", &mut |_, file| {
        let mut permissions = fs::metadata(file).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        fs::set_permissions(file, permissions).unwrap();
        write_keeping_time(file, b"");
    });
    project.forget();
    assert_eq!(made(&project, "out"), "two\n");
    let other = project.checkout();
    assert_eq!(made(&other, "out"), "two\n");
    run(project.command(&["cache", "verify", "--rehash"])).ok();
}
