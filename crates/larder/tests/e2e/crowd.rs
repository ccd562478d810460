//! Many processes at one store.

use std::thread;

use larder_testkit::{machine::Machine, services::S3};

use crate::support::{asked, forget, work_tree};

#[test]
fn eight_processes_build_get_and_collect_at_once() {
    let s3 = S3::start();
    let machine = Machine::new();
    machine.uses(s3.address, 300);
    let trees = ["one", "two", "three", "four"].map(|name| work_tree(&machine, name));
    let mappings = machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    machine.build(&trees[0], &["-o", mappings]);
    let right = asked(&trees[0]);
    let place = ["--rev", "v1", "--scope", "demo"];
    machine.cache(&trees[0], 0, &[&["put", mappings][..], &place].concat());
    let get = [&["get"][..], &place].concat();
    let force = [&["get", "--force-download"][..], &place].concat();
    let others: [&[&str]; 4] =
        [&get, &["gc", "--max-size", "0"], &force, &["gc", "--max-size", "30K"]];
    thread::scope(|scope| {
        for tree in &trees {
            let (machine, right) = (&machine, &right);
            scope.spawn(move || {
                for round in 0..4 {
                    forget(tree, round % 2 == 0);
                    machine.build(tree, &[]);
                    assert_eq!(asked(tree), *right);
                }
            });
        }
        for command in others {
            let (machine, tree) = (&machine, &trees[0]);
            scope.spawn(move || {
                for _ in 0..6 {
                    machine.cache(tree, 0, command);
                }
            });
        }
    });
    machine.nothing_wrong_in_store();
    machine.cache(&trees[0], 0, &get);
    forget(&trees[0], true);
    machine.build(&trees[0], &[]).all("restored");
    assert_eq!(asked(&trees[0]), right);
}
