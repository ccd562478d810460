//! SIGKILL at random instants: the next run is right.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use larder_testkit::machine::Machine;

use crate::support::{asked, forget, outputs, work_tree};

/// Lets a child run for so long, then kills it. Whether it was still running.
pub fn kill_after(mut child: Child, patience: Duration) -> bool {
    thread::sleep(patience);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

#[test]
fn a_killed_build_is_taken_up_and_leaves_nothing_wrong() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let begun = Instant::now();
    machine.build(&tree, &[]);
    let building = begun.elapsed();
    let right = outputs(&tree);
    forget(&tree, true);
    let begun = Instant::now();
    machine.build(&tree, &[]).all("restored");
    let restoring = begun.elapsed();

    let everything = [("LARDER_RESTORE_ARTIFACTS", Path::new("1"))];
    let mut rng = fastrand::Rng::with_seed(3);
    let mut killed = 0;
    for round in 0..36 {
        // Building and filling the store; restoring all of it, some of it, or nothing.
        let whole = match round % 3 {
            0 => {
                forget(&tree, true);
                _ = fs::remove_dir_all(machine.path("store"));
                building
            }
            1 => {
                forget(&tree, true);
                restoring
            }
            _ => {
                forget(&tree, false);
                restoring
            }
        };
        let child = machine
            .command(&tree, &["build", "-j2"])
            .env("LARDER_RESTORE_ARTIFACTS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        killed += u32::from(kill_after(child, whole.mul_f64(rng.f64())));
        machine.nothing_wrong_in_store();
        if round % 4 == 0 {
            machine.cache(&tree, 0, &["gc", "--max-age", "30d"]);
        }
        machine.build_with(&tree, &[], &everything);
        assert_eq!(outputs(&tree), right, "round {round}");
    }
    assert!(killed > 10, "{killed}");
    let rehashed = machine.build(&tree, &["--rehash"]);
    assert!(rehashed.with("built").is_empty(), "{rehashed:?}");
}

#[test]
fn a_build_beside_a_collection_that_is_killed_is_right() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    machine.build(&tree, &[]);
    let right = asked(&tree);
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..12 {
        let gc = machine
            .command(&tree, &["cache", "gc", "--max-size", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let killing = thread::spawn({
            let patience = Duration::from_micros(rng.u64(..40_000));
            move || kill_after(gc, patience)
        });
        forget(&tree, true);
        machine.build(&tree, &[]);
        killing.join().unwrap();
        assert_eq!(asked(&tree), right);
        machine.nothing_wrong_in_store();
    }
}
