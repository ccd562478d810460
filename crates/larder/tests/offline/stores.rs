//! Offline stores that are not what one would wish: the build goes on from source, and says why once.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use larder_trace::ContentHash;

use super::support::*;

fn pack(machine: &Machine) -> PathBuf {
    let mut packs = fs::read_dir(machine.offline().join("packs")).unwrap();
    let pack = packs.next().unwrap().unwrap().path();
    assert!(packs.next().is_none());
    pack
}

/// Changes the index as somebody would who knows the format.
fn edit_index(machine: &Machine, from: &str, to: &str) {
    let path = machine.offline().join("offline.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    let start = text.find("\"bakes\":").unwrap() + 8;
    let bakes = text[start..text.rfind('}').unwrap()].replace(from, to);
    let checksum = ContentHash::of_bytes(bakes.as_bytes());
    let text =
        format!("{{\"schemaVersion\":\"1\",\"checksum\":\"{checksum}\",\"bakes\":{bakes}}}\n");
    fs::write(path, text).unwrap();
}

fn verify(machine: &Machine, code: i32) -> Run {
    run(machine.larder(&["cache", "verify", machine.offline().to_str().unwrap()])).ends_with(code)
}

#[test]
fn a_complete_store_serves_everything() {
    let machine = Machine::new();
    machine.bake().mentions(&["baked 5 mappings and 5 artifacts"]);
    machine.build_elsewhere("there", &[]).all_restored();
    verify(&machine, 0);
    // Nothing is missing, says also the one who may build nothing.
    machine.build_elsewhere("again", &["--no-build"]).all_restored();
}

#[test]
fn baking_twice_makes_identical_bytes() {
    let machine = Machine::new();
    machine.bake();
    let first = contents(&machine.offline());
    machine.bake();
    assert_eq!(contents(&machine.offline()), first);
    // Elsewhere, by one who has nothing yet, into a directory that has nothing yet.
    machine.packages("another/place");
    let other = machine.path("other");
    run(machine.larder_in("another/place", &["cache", "bake", other.to_str().unwrap()])).ok();
    assert_eq!(contents(&other), first);
    // And by one who has built, but kept nothing.
    fs::remove_dir_all(machine.path("work/store")).unwrap();
    machine.bake();
    assert_eq!(contents(&machine.offline()), first);
}

#[test]
fn a_plain_store_will_do_as_well() {
    let machine = Machine::new();
    run(machine.larder(&["build"])).ok();
    fs::rename(machine.path("work/store"), machine.offline()).unwrap();
    set_read_only(&machine.offline(), true);
    let before = tree(&machine.offline());
    machine.build_elsewhere("there", &[]).all_restored();
    assert_eq!(tree(&machine.offline()), before);
    set_read_only(&machine.offline(), false);
}

#[test]
fn a_store_that_lacks_its_pack_is_absent() {
    let machine = Machine::new();
    machine.bake();
    fs::remove_file(pack(&machine)).unwrap();
    verify(&machine, 1).mentions(&["app for", "No such file"]);
    let built = machine.build_elsewhere("there", &[]);
    built.all_built_because(&["offline store", "app treated as absent", "No such file"]);
}

#[test]
fn a_truncated_pack_is_absent() {
    let machine = Machine::new();
    machine.bake();
    let pack = pack(&machine);
    let whole = fs::read(&pack).unwrap();
    fs::write(&pack, &whole[..whole.len() / 2]).unwrap();
    verify(&machine, 1).mentions(&["cut short"]);
    machine.build_elsewhere("there", &[]).all_built_because(&["treated as absent", "cut short"]);
}

#[test]
fn a_corrupt_block_costs_what_is_in_it() {
    let machine = Machine::new();
    machine.bake();
    let pack = pack(&machine);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[200] ^= 1;
    fs::write(&pack, bytes).unwrap();
    verify(&machine, 1).mentions(&["does not match its checksum", "5 missing or corrupt"]);
    let built = machine.build_elsewhere("there", &[]);
    // Some were restored on paper, to be read when something would need them.
    assert_eq!(built.built().len(), STEPS);
    built.said_once(&["corrupt offline store", "does not match its checksum"]);
}

#[test]
fn a_corrupt_index_is_absent() {
    let machine = Machine::new();
    machine.bake();
    let path = machine.offline().join("offline.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("app:exe", "app:exf", 1)).unwrap();
    verify(&machine, 1).mentions(&["wrong checksum"]);
    machine.build_elsewhere("there", &[]).all_built_because(&["as absent", "wrong checksum"]);
}

#[test]
fn another_platform_is_a_clear_miss() {
    let machine = Machine::new();
    machine.bake();
    let here = larder_trace::host_platform();
    edit_index(&machine, &format!("\"platform\":\"{here}\""), "\"platform\":\"pdp11-unix\"");
    // Nothing is wrong with it.
    verify(&machine, 0);
    let built = machine.build_elsewhere("there", &[]);
    built.all_built_because(&["app was baked for platform \"pdp11-unix\"", here]);
}

#[test]
fn another_toolchain_is_a_clear_miss() {
    let machine = Machine::new();
    machine.bake();
    let path = std::env::var("PATH").unwrap();
    let cc = std::env::split_paths(&path).map(|it| it.join("cc")).find(|it| it.exists()).unwrap();
    let wrapper = machine.path("bin/cc");
    write(&wrapper, format!("#!/bin/sh\nexec {} \"$@\"\n", cc.display()));
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    machine.packages("there");
    let mut command = machine.larder_in("there", &["--json", "build"]);
    command
        .env("LARDER_OFFLINE_STORE", machine.offline())
        .env("PATH", format!("{}:{path}", machine.path("bin").display()));
    let built = machine.built("there", command);
    assert!(built.built().len() >= 3, "{built:?}");
    built.said_once(&["app was baked with another toolchain", "cc is cc for"]);
}

#[test]
fn a_store_of_the_future_is_refused_politely() {
    let machine = Machine::new();
    machine.bake();
    let path = machine.offline().join("offline.json");
    let text = fs::read_to_string(&path).unwrap();
    for future in [
        text.replacen("\"schemaVersion\":\"1\"", "\"schemaVersion\":\"2\"", 1),
        "{\"schemaVersion\":\"99\",\"drawers\":{}}".to_owned(),
    ] {
        fs::write(&path, &future).unwrap();
        verify(&machine, 1).mentions(&["newer", "use the larder that baked it"]);
        let _ = fs::remove_dir_all(machine.path("there"));
        machine.build_elsewhere("there", &[]).all_built_because(&["as absent", "newer"]);
        let bake = machine.larder(&["cache", "bake", machine.offline().to_str().unwrap()]);
        run(bake).ends_with(1).mentions(&["newer"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), future);
    }
    // A pack of the future in a store of today.
    fs::write(&path, &text).unwrap();
    let pack = pack(&machine);
    let mut bytes = fs::read(&pack).unwrap();
    let version = bytes.len() - 12;
    bytes[8] = 2;
    bytes[version] = 2;
    fs::write(&pack, bytes).unwrap();
    let _ = fs::remove_dir_all(machine.path("there"));
    let built = machine.build_elsewhere("there", &[]);
    built.all_built_because(&["pack format version 2", "treated as absent"]);
}

#[test]
fn a_store_that_is_not_there_is_not_verified() {
    let machine = Machine::new();
    run(machine.larder(&["cache", "verify", machine.offline().to_str().unwrap()]))
        .ends_with(2)
        .mentions(&["is not a store"]);
}

#[test]
fn only_what_dependencies_make_can_be_baked() {
    let machine = Machine::new();
    let offline = machine.offline();
    // As in an image whose recipe copies no source of the package itself.
    fs::rename(machine.path("work/app/src"), machine.path("work/kept")).unwrap();
    run(machine.larder(&["cache", "bake", offline.to_str().unwrap(), "--dependencies"]))
        .ok()
        .mentions(&["baked 2 mappings and 2 artifacts"]);
    fs::rename(machine.path("work/kept"), machine.path("work/app/src")).unwrap();
    let built = machine.build_elsewhere("there", &[]);
    assert_eq!((built.built().len(), built.notes.len()), (3, 0), "{built:?}");
    assert!(!built.with("restored").is_empty());
    // A package by itself depends on nothing.
    let mut command =
        machine.larder(&["cache", "bake", offline.to_str().unwrap(), "--dependencies"]);
    command.current_dir(machine.path("work/greeting"));
    run(command).ends_with(2).mentions(&["nothing from any dependency"]);
}

#[test]
fn what_cannot_be_had_is_listed_and_nothing_is_baked() {
    let machine = Machine::new();
    machine.bake();
    let before = tree(&machine.offline());
    write(&machine.path("work/greeting/greeting.c"), "#error no greeting today\n");
    let bake = machine.larder(&["cache", "bake", machine.offline().to_str().unwrap()]);
    run(bake).ends_with(1).mentions(&[
        "no greeting today",
        "1 missing",
        "app:exe: no cache has it, and it could not be built",
        "is as it was",
    ]);
    assert_eq!(tree(&machine.offline()), before);
}

#[test]
fn packages_that_keep_nothing_are_not_missed() {
    let machine = Machine::new();
    let manifest = machine.path("work/app/larder.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("version = \"1\"", "version = \"1\"\nartifact-cache = false"),
    )
    .unwrap();
    machine.bake().mentions(&["baked 2 mappings and 2 artifacts"]);
    verify(&machine, 0);
}
