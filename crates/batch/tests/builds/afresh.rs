//! Trying packages once more, beside the layers that they have.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use larder_batch::{
    build::{Ended, Log, StageEnd, afresh, test},
    catalogue::Recipe,
};
use larder_runs::result::Origin;

use crate::support::*;

fn log() -> Log {
    Arc::new(Mutex::new(Vec::new()))
}

/// A script that says where it is, with the time of its build; its test asks it.
fn where_it_is() -> Package<'static> {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let build = [
        "mkdir -p {prefix}/bin",
        "date +%s%N > {prefix}/time",
        "printf '#!/bin/sh\\necho {prefix}\\n' > {prefix}/bin/where",
        "chmod +x {prefix}/bin/where",
    ];
    let tests = ["test \"$({prefix}/bin/where)\" = {prefix}"];
    let recipe = Recipe::Commands { build: owned(&build), test: owned(&tests) };
    Package { id: "where.1", recipe, files: &[] }
}

/// A larder package with a test.
fn tested() -> Package<'static> {
    let manifest = "[package]\nname = \"calc\"\nversion = \"1\"\n\n[[library]]\nname = \"calc\"\n\
                    sources = [\"calc.c\"]\n\n[[executable]]\nname = \"sum\"\nsources = [\"sum.c\"]\n\
                    libraries = [\"calc\"]\ntest = true\n";
    let files = vec![
        ("larder.toml", manifest),
        ("calc.c", "int sum(int a, int b) { return a + b; }\n"),
        ("sum.c", "int sum(int, int);\nint main(void) { return sum(1, 2) != 3; }\n"),
    ];
    Package { id: "calc.1", recipe: Recipe::Manifest, files: files.leak() }
}

#[test]
fn a_trial_is_from_scratch_and_leaves_all_as_it_is() {
    let set = Set::new();
    for package in [where_it_is(), tested()] {
        let task = set.task(&package, Vec::new());
        let (layer, origin) = set.layer(&task);
        assert_eq!(origin, Origin::Built);
        assert!(matches!(test(&set.shop, &task, &layer, &log()).ended, StageEnd::Worked));
        let shop = set.shop.for_trials();
        let trials = set.root.join("data/trials");
        for _ in 0..2 {
            let (built, trial) = afresh(&shop, &task, &log());
            let trial = trial.unwrap();
            // Neither the layer nor anything in the store was taken.
            assert_eq!(built.origin, Origin::Built, "{}", package.id);
            assert!(trial.layer.directory.starts_with(&trials));
            assert_eq!(trial.layer.record.dep_hash, layer.record.dep_hash);
            let tested = test(&shop, &task, &trial.layer, &log());
            assert!(matches!(tested.ended, StageEnd::Worked), "{tested:?}");
            drop(trial);
            assert!(fs::read_dir(&trials).unwrap().next().is_none());
            assert_eq!(set.layer(&task), (layer.clone(), Origin::Cached));
        }
    }
}

#[test]
fn a_trial_that_fails_leaves_nothing() {
    let set = Set::new();
    let package =
        Package { id: "no.1", recipe: commands(&["echo x > {prefix}/x", "exit 3"]), files: &[] };
    let task = set.task(&package, Vec::new());
    let (built, trial) = afresh(&set.shop.for_trials(), &task, &log());
    assert!(matches!(built.ended, Ended::Failed(_)) && trial.is_none(), "{built:?}");
    set.assert_clean();
    // What a larder that was killed has left goes with the next run.
    let left = set.root.join("data/trials").join(task.build_hash.as_str());
    fs::create_dir_all(&left).unwrap();
    set.shop.clean_up();
    assert!(!left.exists());
    set.assert_clean();
}
