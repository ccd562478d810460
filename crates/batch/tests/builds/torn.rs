//! Builds that are cut short, and places where nothing can be written.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use larder_batch::build::{BuildTask, Ended};
use larder_runs::{Category, result::Origin};
use larder_testkit::{mounts::Mount, processes::Stray, wait::wait_until};
use rustix::process::Signal;

use crate::support::*;

/// A build that waits in its middle until a file is there.
fn waits(set: &Set, go: &Path) -> BuildTask {
    let lines = [
        // What a shell says of its lines would end it, once nobody listens any more.
        "exec 2> /dev/null".to_owned(),
        "echo half > {prefix}/file".to_owned(),
        format!("echo $$ > {0}.new; mv {0}.new {0}.pid", go.display()),
        format!("while ! [ -e {} ]; do sleep 0.02; done", go.display()),
        "echo whole > {prefix}/file".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let task =
        set.task(&Package { id: "slow.1", recipe: commands(&lines), files: &[] }, Vec::new());
    BuildTask { sandbox: false, ..task }
}

const CHILD: &str = "LARDER_TEST_BUILD_IN";

/// The other half of the next test: a process that builds until it is killed.
#[test]
fn child_that_is_killed() {
    let Some(root) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let set = Set::at(&root, &root.join("store"));
    set.build(&waits(&set, &root.join("go")));
}

/// Whether a process still does anything: one that is dead is listed until somebody fetches its status.
fn works(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    status.is_ok_and(|status| !status.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

#[test]
fn one_that_was_killed_is_built_again_and_nobody_works_on_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "torn::child_that_is_killed", "--nocapture"])
        .env(CHILD, &root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = root.join("go.pid");
    wait_until("it builds", || pid.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // Its command goes on.
    let stray = Stray::of(&pid);
    let id = fs::read_to_string(&pid).unwrap();
    assert!(stray.runs() && works(&id));
    let set = Set::at(&root, &root.join("store"));
    let task = waits(&set, &root.join("go"));
    assert!(set.shop.layers.find(&task.build_hash).is_none());
    fs::remove_file(&pid).unwrap();
    thread::scope(|scope| {
        let build = scope.spawn(|| set.layer(&task));
        wait_until("it builds again", || pid.exists());
        wait_until("the old one is gone", || !works(&id));
        fs::write(root.join("go"), "").unwrap();
        let (layer, origin) = build.join().unwrap();
        assert_eq!(origin, Origin::Built);
        assert_eq!(fs::read_to_string(layer.directory.join("file")).unwrap(), "whole\n");
    });
}

#[test]
fn what_a_killed_larder_left_is_cleaned_up_and_what_goes_on_is_not() {
    let set = Set::new();
    let go = set.root.join("go");
    let left = set.root.join("data/work/0123abcd");
    fs::create_dir_all(left.join("p/deep")).unwrap();
    thread::scope(|scope| {
        let build = scope.spawn(|| set.build(&waits(&set, &go)).0);
        wait_until("it builds", || set.root.join("go.pid").exists());
        set.shop.clean_up();
        assert!(!left.exists());
        fs::write(&go, "").unwrap();
        assert!(matches!(build.join().unwrap().ended, Ended::Worked(_)));
    });
}

/// What was made of sources that somebody edited meanwhile is nowhere: it would stand under the hash of others.
#[test]
fn sources_that_change_during_a_build_are_in_no_layer() {
    let set = Set::new();
    let go = set.root.join("go");
    let task = waits(&set, &go);
    let readme = task.sources.directory.join("README");
    let (built, log) = thread::scope(|scope| {
        let build = scope.spawn(|| set.build(&task));
        wait_until("it builds", || set.root.join("go.pid").exists());
        fs::write(&readme, "edited").unwrap();
        fs::write(&go, "").unwrap();
        build.join().unwrap()
    });
    let Ended::Failed(failure) = built.ended else { panic!("{built:?}") };
    assert_eq!(failure.category, Some(Category::TransientFailure));
    assert_eq!(failure.error, "the sources of slow.1 changed during the run");
    assert!(log.contains(&failure.error), "{log}");
    set.assert_clean();
    // Nor is it in the store; and before they are as they were, no command runs.
    fs::remove_file(set.root.join("go.pid")).unwrap();
    let (failure, _) = set.failure(&task);
    assert_eq!(failure.category, Some(Category::TransientFailure));
    assert!(!set.root.join("go.pid").exists());
    fs::remove_file(&readme).unwrap();
    assert_eq!(set.layer(&task).1, Origin::Built);
}

#[test]
fn an_interrupted_build_says_nothing_of_its_package() {
    let set = Set::new();
    let go = set.root.join("go");
    thread::scope(|scope| {
        let build = scope.spawn(|| set.build(&waits(&set, &go)).0);
        wait_until("it builds", || set.root.join("go.pid").exists());
        set.shop.session.processes.interrupt(Signal::TERM);
        assert!(matches!(build.join().unwrap().ended, Ended::Interrupted));
    });
    set.assert_clean();
    // And no other begins.
    assert!(matches!(set.build(&zz(&set)).0.ended, Ended::Interrupted));
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let Some(_mount) = Mount::tmpfs(&root.join("data"), "size=3m") else { return };
    let set = Set::at(&root, &root.join("store"));
    let lines = ["head -c 50000000 /dev/zero > {prefix}/large"];
    let task =
        set.task(&Package { id: "large.1", recipe: commands(&lines), files: &[] }, Vec::new());
    let (failure, log) = set.failure(&task);
    assert!(log.contains("No space left on device"), "{log}");
    assert_eq!(failure.limit, None);
    // What larder itself cannot write is known for what it is.
    let large = "x".repeat(5_000_000);
    let files = [("large", large.as_str())];
    let task = set
        .task(&Package { id: "source.1", recipe: commands(&["true"]), files: &files }, Vec::new());
    let (failure, _) = set.failure(&task);
    assert_eq!(failure.category, Some(Category::DiskFull), "{failure:?}");
    // The next that fits is built.
    set.layer(&zz(&set));
}

#[test]
fn data_that_cannot_be_written_are_told() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let Some(mount) = Mount::tmpfs(&root.join("data"), "size=3m") else { return };
    mount.make_read_only();
    let set = Set::at(&root, &root.join("store"));
    let (built, log) = set.build(&zz(&set));
    let Ended::Failed(failure) = built.ended else { panic!("{built:?}") };
    assert!(failure.error.to_lowercase().contains("read-only"), "{failure:?}");
    assert!(log.contains(&failure.error), "{log}");
}
