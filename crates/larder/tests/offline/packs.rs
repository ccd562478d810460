//! `cache pack` and `cache unpack`.

use std::fs;

use super::support::*;

#[test]
fn targets_mappings_and_revisions_are_packed_alike() {
    let machine = Machine::new();
    machine.configure(&format!("url = \"file://{}\"", machine.path("service").display()));
    let path = |name: &str| machine.path(name).to_str().unwrap().to_owned();
    run(machine.larder(&["cache", "pack", &path("default.pack")]))
        .ok()
        .mentions(&["packed 5 mappings and 5 artifacts"]);
    run(machine.larder(&["cache", "pack", "app", &path("target.pack")])).ok();
    run(machine.larder(&["build", "-o", &path("outputs.jsonl")])).ok();
    run(machine.larder(&["cache", "pack", &path("outputs.jsonl"), &path("mappings.pack")])).ok();
    run(machine.larder(&["cache", "put", &path("outputs.jsonl"), "--rev", "r1"])).ok();
    run(machine.larder(&["cache", "pack", "--rev", "r1", &path("revision.pack")]))
        .ends_with(1)
        .mentions(&["larder cache get --rev r1"]);
    run(machine.larder(&["cache", "get", "--rev", "r1"])).ok();
    run(machine.larder(&["cache", "pack", "--rev", "r1", &path("revision.pack")])).ok();
    let first = fs::read(machine.path("default.pack")).unwrap();
    for name in ["target.pack", "mappings.pack", "revision.pack"] {
        assert_eq!(fs::read(machine.path(name)).unwrap(), first, "{name}");
    }
    run(machine.larder(&[
        "cache",
        "pack",
        "app:o",
        "@greeting/greeting:static",
        &path("some.pack"),
    ]))
    .ok()
    .mentions(&["packed 4 mappings"]);

    run(machine.larder(&["cache", "pack", "--level", "5", &path("five.pack")])).ok();
    assert_eq!(fs::read(machine.path("five.pack")).unwrap(), first);
    for (flag, name) in [("--small", "small.pack"), ("--fast", "fast.pack")] {
        run(machine.larder(&["cache", "pack", flag, &path(name)])).ok();
    }
    let size = |name: &str| machine.path(name).metadata().unwrap().len();
    assert!(size("small.pack") < size("default.pack"));
    assert!(size("default.pack") < size("fast.pack"));

    for wrong in [
        &["cache", "pack"][..],
        &["cache", "pack", "--level", "20", "x"],
        &["cache", "pack", "--fast", "--small", "x"],
        &["cache", "pack", "--rev", "r1", "app", "x"],
        &["cache", "pack", "no such target", "x"],
        &["cache", "pack", "nosuchtarget", "x"],
    ] {
        run(machine.larder(wrong)).ends_with(2);
    }
}

#[test]
fn what_is_unpacked_is_restored() {
    let machine = Machine::new();
    let pack = machine.path("a.pack");
    run(machine.larder(&["cache", "pack", pack.to_str().unwrap()])).ok();
    run(machine.larder(&["cache", "verify", pack.to_str().unwrap()]))
        .ok()
        .mentions(&["5 mappings and 5 artifacts in order"]);
    machine.packages("there");
    let said =
        run(machine.larder_in("there", &["--json", "cache", "unpack", pack.to_str().unwrap()]))
            .ok();
    let event = &said.events()[0];
    assert_eq!(event["event"], "unpacked");
    assert_eq!(event["packedBytes"], pack.metadata().unwrap().len());
    assert_eq!((&event["mappings"], &event["artifacts"]), (&STEPS.into(), &STEPS.into()));
    machine.built("there", machine.larder_in("there", &["--json", "build"])).all_restored();
    // Elsewhere than in the package, it must be named.
    let mut nowhere = machine.larder(&["cache", "unpack", pack.to_str().unwrap()]);
    nowhere.current_dir(machine.path(""));
    run(nowhere).ends_with(2).mentions(&["--package"]);
    let named = ["cache", "unpack", pack.to_str().unwrap(), "--package", "app"];
    let mut nowhere = machine.larder_in("there", &named);
    nowhere.current_dir(machine.path("")).env("LARDER_CACHE_DIR", machine.path("fresh"));
    run(nowhere).ok();
    assert!(machine.path("fresh/outputs/app").is_dir());
}

#[test]
fn a_bad_pack_is_refused_and_nothing_is_written() {
    let machine = Machine::new();
    let pack = machine.path("a.pack");
    run(machine.larder(&["cache", "pack", pack.to_str().unwrap()])).ok();
    let right = fs::read(&pack).unwrap();
    machine.packages("there");
    let unpack = || run(machine.larder_in("there", &["cache", "unpack", pack.to_str().unwrap()]));
    for (wrong, words) in [
        (right[..right.len() - 1].to_vec(), "cut short"),
        (Vec::new(), "cut short"),
        ([&right[..300], &[right[300] ^ 1], &right[301..]].concat(), "checksum"),
        (b"PK\x03\x04".repeat(100), "another kind of file"),
    ] {
        fs::write(&pack, wrong).unwrap();
        unpack().ends_with(1).mentions(&["refused", words]);
        run(machine.larder(&["cache", "verify", pack.to_str().unwrap()]))
            .ends_with(1)
            .mentions(&[words]);
        let store = machine.path("there/store");
        let left = if store.exists() { tree(&store) } else { Default::default() };
        assert!(left.keys().all(|name| name.starts_with("running")), "{left:?}");
    }
    fs::remove_file(&pack).unwrap();
    unpack().ends_with(1).mentions(&["cannot read pack", "No such file"]);
    fs::create_dir(&pack).unwrap();
    unpack().ends_with(1).mentions(&["not a regular file"]);
}

#[test]
fn what_the_store_lost_is_said_and_the_rest_is_packed() {
    let machine = Machine::new();
    let outputs = machine.path("outputs.jsonl");
    run(machine.larder(&["build", "-o", outputs.to_str().unwrap()])).ok();
    let store = machine.path("work/store/artifacts");
    let lost = tree(&store).into_iter().find(|(_, (_, _, content))| !content.is_empty()).unwrap().0;
    fs::remove_file(store.join(lost)).unwrap();
    let pack = machine.path("a.pack");
    run(machine.larder(&["cache", "pack", outputs.to_str().unwrap(), pack.to_str().unwrap()]))
        .ends_with(1)
        .mentions(&["packed 4 mappings and 4 artifacts", "1 not packed", "not in the store"]);
    run(machine.larder(&["cache", "verify", pack.to_str().unwrap()])).ok();
    // From targets, it is made again.
    run(machine.larder(&["cache", "pack", "app", pack.to_str().unwrap()]))
        .ok()
        .mentions(&["packed 5 mappings and 5 artifacts"]);
}
