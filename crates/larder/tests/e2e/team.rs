//! One builds, another uploads, a third uses it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use larder_store::Mappings;
use serde_json::json;

use larder_testkit::{
    git::git,
    machine::Machine,
    run::{Run, run},
    services::{Faults, Proxy, S3},
};

use crate::counts::services;
use crate::support::{Outputs, asked, commit, forget, outputs, work_tree};

const PLACE: [&str; 2] = ["--scope", "owner/demo"];

/// A machine that has built and staged the package; the revision, what it built, and where.
fn staged() -> (Machine, String, Outputs, PathBuf) {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    let revision = commit(&tree);
    let (mappings, staged) = (machine.path("outputs.jsonl"), machine.path("staged"));
    machine.build(&tree, &["-o", mappings.to_str().unwrap()]);
    let stage = ["cache", "stage", mappings.to_str().unwrap(), staged.to_str().unwrap()];
    // The job that builds has no key.
    let said = run(machine.command(&tree, &stage));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let right = outputs(&tree);
    (machine, revision, right, staged)
}

/// A second work tree of the same revision, on a machine with an empty store.
fn clone(from: &Machine) -> (Machine, PathBuf) {
    let machine = Machine::new();
    let tree = machine.path("elsewhere/work");
    let source = from.path("work");
    git(&machine.path(""), &["clone", "-q", source.to_str().unwrap(), tree.to_str().unwrap()]);
    (machine, tree)
}

/// `put-staged` of what `machine` staged, by somebody who has nothing but that directory.
fn upload(machine: &Machine, staged: &Path, revision: &str, more: &[&str]) -> Run {
    let nowhere = machine.path("nowhere");
    fs::create_dir_all(&nowhere).unwrap();
    let staged = staged.to_str().unwrap();
    let put = [&["put-staged", staged, "--rev", revision][..], &PLACE, more].concat();
    machine.cache(&nowhere, 0, &put)
}

/// Builds nothing, and has everything that `right` has and a default build leaves.
fn has_all(machine: &Machine, tree: &Path, right: &Outputs) {
    let built = machine.build(tree, &["--no-build", "--rehash", "-v"]);
    assert!(built.with("built").is_empty() && built.with("out-of-date").is_empty(), "{built:?}");
    let here = asked(tree);
    assert_eq!(here.len(), 7, "{:?}", here.keys());
    assert!(here.iter().all(|(name, output)| right[name] == *output));
}

#[test]
fn what_one_built_another_need_not() {
    let s3 = S3::start();
    let (builder, revision, right, staged) = staged();
    builder.uses(s3.address, 300);
    upload(&builder, &staged, &revision, &[]);
    let (user, tree) = clone(&builder);
    user.uses(s3.address, 300);
    user.cache(&tree, 0, &[&["get"][..], &PLACE].concat());
    has_all(&user, &tree, &right);
    has_all(&user, &tree, &right);
    // As Mathlib's verifying job: what people read, without JSON.
    forget(&tree, true);
    let said = run(user.command(&tree, &["build", "--no-build", "--rehash", "-v", "-j2"]));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    // Without the service, and with nothing of it but the store.
    fs::remove_file(user.path("config.toml")).unwrap();
    forget(&tree, true);
    has_all(&user, &tree, &right);
}

#[test]
fn the_same_through_a_bad_network() {
    let s3 = S3::start();
    let (builder, revision, right, staged) = staged();
    let rate = 0.3 / 6.0;
    let all = Faults {
        too_many: rate,
        unavailable: rate,
        reset: rate,
        stall: rate,
        truncate: rate,
        forge: rate,
        delay: Duration::ZERO,
        retry_after: 1,
    };
    let proxy = Proxy::start(s3.address, all, 21);
    builder.uses(proxy.address, 1);
    upload(&builder, &staged, &revision, &[]);
    let none = Faults::default();
    let hard = [
        all,
        Faults { too_many: 0.3, ..none },
        Faults { unavailable: 0.3, ..none },
        Faults { reset: 0.3, ..none },
        Faults { stall: 0.3, ..none },
        Faults { truncate: 0.3, ..none },
        Faults { forge: 0.3, ..none },
    ];
    let (user, tree) = clone(&builder);
    user.uses(proxy.address, 1);
    for (at, faults) in hard.into_iter().enumerate() {
        proxy.set(faults);
        user.cache(&tree, 0, &["clean"]);
        let said = user.cache(&tree, 0, &[&["get"][..], &PLACE].concat());
        assert!(said.stderr.contains("got 7 mappings"), "{at}: {}", said.stderr);
        user.nothing_wrong_in_store();
        forget(&tree, true);
        has_all(&user, &tree, &right);
    }
}

#[test]
fn artifacts_come_when_a_build_wants_them() {
    let s3 = S3::start();
    let (builder, revision, right, staged) = staged();
    let proxy = Proxy::start(s3.address, Faults::default(), 22);
    builder.uses(s3.address, 300);
    upload(&builder, &staged, &revision, &[]);
    let (user, tree) = clone(&builder);
    user.uses(proxy.address, 1);
    let get = [&["get", "--mappings-only"][..], &PLACE].concat();
    let said = user.cache(&tree, 0, &get);
    assert!(said.stderr.contains("on demand"), "{}", said.stderr);
    assert_eq!(user.store().stats().unwrap().artifacts, 0);
    has_all(&user, &tree, &right);
    assert!(proxy.requests() > 0);
    // An intermediate comes when it is asked for.
    user.build(&tree, &["util:o", "util"]).all("restored");
    assert_eq!(outputs(&tree)["libutil.a"], right["libutil.a"]);

    // Through a bad network, what does not come is built.
    let rate = 0.05;
    let faults = Faults {
        unavailable: rate,
        reset: rate,
        stall: rate,
        truncate: rate,
        forge: rate,
        ..Faults::default()
    };
    for _ in 0..3 {
        proxy.set(Faults::default());
        user.cache(&tree, 0, &["clean"]);
        user.cache(&tree, 0, &get);
        proxy.set(faults);
        forget(&tree, true);
        user.build(&tree, &[]);
        assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));
    }

    // A service that is gone costs little, and nothing but time.
    proxy.set(Faults::default());
    user.cache(&tree, 0, &["clean"]);
    user.cache(&tree, 0, &get);
    drop((proxy, s3));
    forget(&tree, true);
    let begun = Instant::now();
    let built = user.build(&tree, &[]);
    assert!(built.with("built").contains(&"demo"), "{built:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));
}

#[test]
fn a_put_from_a_dirty_work_tree_says_so() {
    let s3 = S3::start();
    let (builder, ..) = staged();
    builder.uses(s3.address, 300);
    let (tree, mappings) = (builder.path("work"), builder.path("outputs.jsonl"));
    let put = ["put", mappings.to_str().unwrap()];
    let said = builder.cache(&tree, 0, &put);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    fs::write(tree.join("src/main.c"), "int main(void) { return 1; }\n").unwrap();
    let said = builder.cache(&tree, 0, &put);
    assert!(
        said.stderr.contains("warning") && said.stderr.contains("not committed"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_bad_upload_is_a_miss_until_it_is_mended() {
    let s3 = S3::start();
    let (builder, revision, right, staged) = staged();
    builder.uses(s3.address, 300);
    upload(&builder, &staged, &revision, &[]);
    for pack in s3.objects_ending(".pack") {
        let mut content = fs::read(&pack).unwrap();
        let middle = content.len() / 3;
        content[middle] ^= 1;
        fs::write(&pack, content).unwrap();
    }
    let (user, tree) = clone(&builder);
    user.uses(s3.address, 300);
    let get = [&["get"][..], &PLACE].concat();
    let said = user.cache(&tree, 1, &get);
    assert!(said.stderr.contains("corrupt on the service"), "{}", said.stderr);
    user.build(&tree, &[]);
    assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));
    // On demand as well.
    user.cache(&tree, 0, &["clean"]);
    user.cache(&tree, 0, &[&get[..], &["--mappings-only"]].concat());
    forget(&tree, true);
    user.build(&tree, &[]);
    assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));

    upload(&builder, &staged, &revision, &["--force-overwrite"]);
    user.cache(&tree, 0, &["clean"]);
    user.cache(&tree, 0, &get);
    forget(&tree, true);
    has_all(&user, &tree, &right);
}

#[test]
fn mappings_of_other_outputs_are_a_miss() {
    let s3 = S3::start();
    let (builder, revision, right, staged) = staged();
    builder.uses(s3.address, 300);
    // Well-formed, and wrong: each dep hash with the outputs of another.
    let file = staged.join("outputs.jsonl");
    let mappings = Mappings::read(&file).unwrap();
    let keys: Vec<_> = mappings.iter().map(|(dep_hash, _)| *dep_hash).collect();
    let values = mappings.iter().map(|(_, outputs)| outputs.clone());
    let crossed: Mappings = keys.iter().cycle().skip(1).copied().zip(values).collect();
    crossed.write(&file).unwrap();
    upload(&builder, &staged, &revision, &[]);
    let (user, tree) = clone(&builder);
    user.uses(s3.address, 300);
    user.cache(&tree, 0, &[&["get"][..], &PLACE].concat());
    let built = user.build(&tree, &[]);
    built.all("built");
    // Another target's record is of other inputs, or of outputs that this target does not have.
    let [service] = &services(&built)[..] else { panic!("{}", built.all) };
    assert_eq!((&service["missed"], &service["neverUploaded"]), (&json!(7), &json!(0)));
    assert_eq!((&service["hit"], &service["lost"]), (&json!(0), &json!(0)));
    assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));
}
