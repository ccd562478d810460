//! Build, delete, build again: what comes back, and what need not.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_trace::{ContentHash, TraceFile, read_trace_file};

use larder_testkit::{
    files::{files, replace},
    machine::Machine,
    run::run,
};

use crate::support::{ASKED, Outputs, WARNING, asked, build_directory, forget, outputs, work_tree};

fn names(outputs: &Outputs) -> BTreeSet<&str> {
    outputs.keys().map(String::as_str).collect()
}

/// Returns the outputs that a default build leaves when intermediates stay in the store.
fn asked_names() -> BTreeSet<&'static str> {
    ASKED.into_iter().chain(["site/hollow/"]).collect()
}

#[test]
fn what_was_deleted_is_restored_and_what_nobody_asks_for_is_not() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let built = machine.build(&tree, &[]);
    built.all("built");
    assert!(built.log.contains(WARNING), "{}", built.log);
    let all = outputs(&tree);
    assert!(all.keys().any(|name| name.ends_with("b.c.o")), "{:?}", names(&all));

    for index in [false, true] {
        forget(&tree, index);
        let restored = machine.build(&tree, &[]);
        restored.all("restored");
        assert_eq!(restored.outputs(), built.outputs());
        assert!(restored.log.contains(WARNING), "{}", restored.log);
        let here = outputs(&tree);
        assert_eq!(names(&here), asked_names());
        assert!(here.iter().all(|(name, output)| all[name] == *output));
        assert!(here["demo"].1 && here["site/sub/run.sh"].1 && !here["stamp"].1);
        let said = run(Command::new(build_directory(&tree).join("demo")));
        assert_eq!(said.stdout, "3\n");
        for trace in ["demo.trace", "obj/libutil/src/util/b.c.o.trace"] {
            match read_trace_file(&build_directory(&tree).join(trace)) {
                TraceFile::Finished(record) => assert!(record.synthetic, "{trace}"),
                other => panic!("{trace}: {other:?}"),
            }
        }
        let replayed = machine.build(&tree, &[]);
        replayed.all("replayed");
        assert!(replayed.log.contains(WARNING), "{}", replayed.log);
        assert_eq!(names(&outputs(&tree)), asked_names());
    }

    // Whatever is asked for is there afterwards.
    let objects = machine.build(&tree, &["util:o"]);
    objects.all("restored");
    assert_eq!(outputs(&tree).keys().filter(|name| name.ends_with(".o")).count(), 3);
    machine.build(&tree, &["util"]);
    let here = outputs(&tree);
    assert_eq!(here["libutil.a"], all["libutil.a"]);
    assert!(here.iter().all(|(name, output)| all[name] == *output));
}

#[test]
fn intermediates_are_restored_for_who_wants_them() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    machine.build(&tree, &[]);
    let all = outputs(&tree);
    forget(&tree, true);
    let everything = [("LARDER_RESTORE_ARTIFACTS", Path::new("1"))];
    machine.build_with(&tree, &[], &everything).all("restored");
    assert_eq!(outputs(&tree), all);

    // Asked for later: what was left in the store comes out of it.
    forget(&tree, true);
    machine.build(&tree, &[]);
    assert_ne!(outputs(&tree), all);
    machine.build_with(&tree, &[], &everything);
    assert_eq!(outputs(&tree), all);

    forget(&tree, true);
    let manifest = fs::read_to_string(tree.join("larder.toml")).unwrap();
    let manifest = manifest.replace("[toolchain]", "restore-all-artifacts = true\n[toolchain]");
    fs::write(tree.join("larder.toml"), manifest).unwrap();
    machine.build(&tree, &[]).all("restored");
    assert_eq!(outputs(&tree), all);
}

#[test]
fn identical_content_is_kept_once() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    machine.build(&tree, &[]);
    machine.build(&work_tree(&machine, "same"), &[]).all("restored");
    let contents: BTreeSet<ContentHash> =
        outputs(&tree).into_values().map(|(content, _)| content).collect();
    let kept = files(&machine.path("store/artifacts"));
    assert_eq!(kept.len(), contents.len(), "{kept:?}");
}

/// Deletes from the store what is not in the build directory of `tree`.
fn delete_elided(machine: &Machine, tree: &Path, all: &Outputs) {
    let here = outputs(tree);
    let gone = all.iter().filter(|(name, _)| !here.contains_key(*name));
    let mut deleted = 0;
    for (_, (hash, _)) in gone {
        deleted += usize::from(fs::remove_file(machine.store().layout().artifact(hash)).is_ok());
    }
    assert!(deleted > 3, "{deleted}");
}

#[test]
fn an_intermediate_that_is_gone_from_the_store_is_built_again_when_it_is_needed() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    machine.build(&tree, &[]);
    let all = outputs(&tree);
    let main = fs::read_to_string(tree.join("src/main.c")).unwrap();
    let deletions: [&dyn Fn(); 3] = [
        &|| delete_elided(&machine, &tree, &all),
        &|| drop(machine.cache(&tree, 0, &["gc", "--max-size", "0"])),
        &|| drop(machine.cache(&tree, 0, &["clean"])),
    ];
    for (round, delete) in deletions.into_iter().enumerate() {
        forget(&tree, true);
        machine.build(&tree, &[]).all("restored");
        delete();
        // Nobody needs them yet.
        machine.build(&tree, &[]).all("replayed");
        let status = |arguments: &[&str]| run(machine.command(&tree, arguments)).code;
        fs::write(tree.join("src/main.c"), format!("{main}int more{round};\n")).unwrap();
        assert_eq!(status(&["build", "--no-build"]), Some(3));
        assert!(!outputs(&tree).keys().any(|name| name.ends_with(".o")));
        let built = machine.build(&tree, &[]);
        assert!(built.with("built").contains(&"demo"), "{built:?}");
        assert!(built.with("built").contains(&"libutil.a"), "{built:?}");
        assert_eq!(outputs(&tree)["libutil.a"], all["libutil.a"]);
        // The store has them again.
        forget(&tree, true);
        machine.build(&tree, &[]);
        let everything = [("LARDER_RESTORE_ARTIFACTS", Path::new("1"))];
        machine.build_with(&tree, &[], &everything);
        assert_eq!(outputs(&tree)["libutil.a"], all["libutil.a"]);
        fs::write(tree.join("src/main.c"), &main).unwrap();
        machine.build(&tree, &[]);
    }
}

#[test]
fn a_header_switched_back_and_forth_is_restored() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let header = tree.join("include/util.h");
    let first = fs::read_to_string(&header).unwrap();
    let texts = [1, 2, 3].map(|n| first.replace("UNIT 1", &format!("UNIT {n}")));
    let mut seen: Vec<Outputs> = Vec::new();
    for text in &texts {
        fs::write(&header, text).unwrap();
        let built = machine.build(&tree, &[]);
        assert!(built.with("built").contains(&"demo"), "{built:?}");
        seen.push(asked(&tree));
    }
    assert_ne!(seen[0]["demo"], seen[1]["demo"]);
    for at in [0, 2, 1, 0] {
        fs::write(&header, &texts[at]).unwrap();
        let built = machine.build(&tree, &[]);
        assert!(built.with("built").is_empty(), "{built:?}");
        assert!(built.with("restored").contains(&"demo"), "{built:?}");
        assert_eq!(asked(&tree), seen[at]);
    }
    // In another tree, from nothing.
    let other = work_tree(&machine, "other");
    fs::write(other.join("include/util.h"), &texts[1]).unwrap();
    machine.build(&other, &[]).all("restored");
    assert_eq!(asked(&other), seen[1]);
}

#[test]
fn the_cache_can_be_left_out() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let kept = || files(&machine.path("store/artifacts")).len();
    let rebuilt = |arguments: &[&str], more: &[(&str, &Path)]| {
        forget(&tree, true);
        machine.build_with(&tree, arguments, more).all("built");
    };
    rebuilt(&["--no-cache"], &[]);
    rebuilt(&[], &[("LARDER_NO_CACHE", Path::new("1"))]);
    rebuilt(&[], &[("LARDER_ARTIFACT_CACHE", Path::new("0"))]);
    assert_eq!(kept(), 0);
    rebuilt(&[], &[]);
    assert!(kept() > 0);
    rebuilt(&["--no-cache"], &[]);
    rebuilt(&[], &[("LARDER_NO_CACHE", Path::new("true"))]);
    rebuilt(&[], &[("LARDER_ARTIFACT_CACHE", Path::new("false"))]);
    let manifest = fs::read_to_string(tree.join("larder.toml")).unwrap();
    let says = |what: &str| {
        let text =
            manifest.replace("[toolchain]", &format!("artifact-cache = {what}\n[toolchain]"));
        fs::write(tree.join("larder.toml"), text).unwrap();
    };
    says("false");
    rebuilt(&[], &[]);
    rebuilt(&[], &[("LARDER_ARTIFACT_CACHE", Path::new("1"))]);
    // The manifest counts more than what the environment says in general.
    says("true");
    forget(&tree, true);
    machine.build_with(&tree, &[], &[("LARDER_ARTIFACT_CACHE", Path::new("0"))]).all("restored");
    rebuilt(&[], &[("LARDER_NO_CACHE", Path::new("1"))]);
    // Outputs that an earlier build left in the store are made when the store is not to be asked.
    forget(&tree, true);
    machine.build(&tree, &[]).all("restored");
    replace(&tree.join("src/main.c"), b"int a(void);\nint main(void) { return a() - 1; }\n");
    let built = machine.build(&tree, &["--no-cache"]);
    assert!(built.with("built").contains(&"libutil.a"), "{built:?}");
}

#[test]
fn trace_files_that_are_gone_take_nothing_with_them() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let (before, after) = (machine.path("before.jsonl"), machine.path("after.jsonl"));
    machine.build(&tree, &["-o", before.to_str().unwrap()]);
    let right = outputs(&tree);
    let delete = || {
        let traces = files(&build_directory(&tree)).into_iter();
        let traces = traces.filter(|path| path.extension().is_some_and(|e| e == "trace"));
        traces.for_each(|path| fs::remove_file(path).unwrap());
    };
    delete();
    let built = machine.build(&tree, &[]);
    assert!(built.log.contains(WARNING) && built.with("built").is_empty(), "{built:?}");
    delete();
    machine.build(&tree, &["-o", after.to_str().unwrap()]);
    assert_eq!(fs::read(before).unwrap(), fs::read(after).unwrap());
    // Objects are not asked for, and were left in the store when they came back.
    assert!(outputs(&tree).iter().all(|(name, output)| right[name] == *output));
}

#[test]
fn mappings_are_the_same_however_the_targets_came() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let written = |tree: &Path, arguments: &[&str], name: &str| -> Vec<u8> {
        let file: PathBuf = machine.path(name);
        machine.build(tree, &[arguments, &["-o", file.to_str().unwrap()]].concat());
        fs::read(file).unwrap()
    };
    let uncached = written(&tree, &["--no-cache"], "uncached.jsonl");
    assert!(uncached.starts_with(b"\"1\"\n[\""), "{}", String::from_utf8_lossy(&uncached));
    forget(&tree, true);
    let built = written(&tree, &[], "built.jsonl");
    assert_eq!(built, uncached);
    assert_eq!(built.iter().filter(|byte| **byte == b'\n').count(), 8);
    assert_eq!(written(&tree, &[], "replayed.jsonl"), built);
    assert_eq!(written(&tree, &["--rehash"], "rehashed.jsonl"), built);
    forget(&tree, true);
    assert_eq!(written(&tree, &[], "restored.jsonl"), built);
    assert_eq!(written(&tree, &[], "replayed-restored.jsonl"), built);
    assert_eq!(written(&tree, &["--no-build"], "not-built.jsonl"), built);
    assert_eq!(written(&work_tree(&machine, "other"), &[], "other.jsonl"), built);
    // Artifacts that mappings mention can be staged, though the store has lost them since.
    machine.cache(&tree, 0, &["clean"]);
    assert_eq!(written(&tree, &[], "after.jsonl"), built);
    let after = machine.path("after.jsonl");
    let staged = machine.path("staged");
    let stage = ["stage", after.to_str().unwrap(), staged.to_str().unwrap()];
    machine.cache(&tree, 0, &stage);
}
