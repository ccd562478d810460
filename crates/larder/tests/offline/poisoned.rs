//! Checkouts in an offline store that are not what was baked, or not what is pinned: they are absent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_store::pack;
use larder_testkit::{
    files::{replace, write_all},
    git::git,
};
use larder_trace::ContentHash;

use super::{scene::Scene, support::*};

/// What a store says whose checkout of `base` cannot be used, for these reasons: it is absent.
fn is_absent(scene: &Scene, words: &[&str]) {
    let commit = scene.pinned("base");
    scene.verify(1).mentions(&["the checkout of base at", &commit]).mentions(words);
    scene.clone("online");
    let said = run(scene.with_store("online", &["--json", "build", "--locked"])).ok();
    let built = Built::of(&said);
    assert!(built.complaints.is_empty(), "{:?}", built.complaints);
    let about = |note: &&String| note.contains("`base`") && note.contains("treated as absent");
    let notes: Vec<_> = built.notes.iter().filter(about).collect();
    assert_eq!(notes.len(), 1, "{:?}", built.notes);
    assert!(words.iter().all(|word| notes[0].contains(word)), "{words:?} in {notes:?}");
    assert_eq!(run(scene.with_store("online", &["exec", "app"])).ok().stdout, "41\n");

    scene.unplug();
    scene.clone("offline-one");
    run(scene.with_store("offline-one", &["build", "--offline", "--locked"]))
        .ends_with(1)
        .mentions(&["`base`", &commit[..12], "offline store", "cache bake"])
        .mentions(words);
    assert!(!scene.path("offline-one/app/.larder/packages/base").exists());
    // Baked anew, it is in order.
    scene.plug_in();
    scene.bake();
    scene.verify(0);
}

#[test]
fn a_damaged_checkout_is_absent() {
    let scene = Scene::new();
    scene.bake();
    let pack = scene.checkout("base");
    let mut bytes = fs::read(&pack).unwrap();
    bytes[100] ^= 1;
    replace(&pack, &bytes);
    is_absent(&scene, &["does not match its checksum"]);
}

#[test]
fn a_checkout_that_is_gone_is_absent() {
    let scene = Scene::new();
    scene.bake();
    fs::remove_file(scene.checkout("base")).unwrap();
    is_absent(&scene, &["No such file"]);
}

/// Puts the objects in a file of Git's into the store as those of `base`, with all that vouches for them.
fn poison(scene: &Scene, objects: &Path) {
    let content = fs::read(objects).unwrap();
    let hash = ContentHash::of_bytes(&content);
    let entry = pack::Entry { hash, size: content.len() as u64, hint: String::new() };
    let path = scene.path("poisoned");
    let open = |_: &pack::Entry| Ok(&content[..]);
    pack::create(&path, vec![entry], open, None, &pack::Options::default(), |_| ()).unwrap();
    let made = pack::Pack::open(&path, &pack::Limits::default()).unwrap();
    fs::copy(&path, scene.offline().join(format!("packs/{}.pack", made.id()))).unwrap();
    scene.edit_index(|bakes| {
        let checkouts = bakes[0]["checkouts"].as_array_mut().unwrap();
        let base = checkouts.iter_mut().find(|checkout| checkout["package"] == "base").unwrap();
        base["pack"] = made.id().to_string().into();
        base["length"] = made.length().into();
    });
}

/// Packs some objects of a repository into a file, as Git does.
fn objects_of(scene: &Scene, repository: &Path, list: &str) -> PathBuf {
    let (list_file, to) = (scene.path("list"), scene.path("objects"));
    fs::write(&list_file, list).unwrap();
    let mut command = Command::new("git");
    command.arg("-C").arg(repository).args(["pack-objects", "-q", "--stdout"]);
    command.stdin(fs::File::open(list_file).unwrap()).stdout(fs::File::create(&to).unwrap());
    assert!(command.status().unwrap().success());
    to
}

#[test]
fn another_commit_in_its_place_is_absent() {
    let scene = Scene::new();
    scene.bake();
    write_all(&scene.base.path, &[("base.c", "int base(void) { return 666; }\n")]);
    let other = scene.base.commit_all();
    let list = git(&scene.base.path, &["rev-list", "--objects", "--no-walk", &other]);
    poison(&scene, &objects_of(&scene, &scene.base.path, &list));
    is_absent(&scene, &["has no commit"]);
}

#[test]
fn another_file_in_a_commit_is_absent() {
    let scene = Scene::new();
    scene.bake();
    let commit = scene.pinned("base");
    let list = git(&scene.base.path, &["rev-list", "--objects", "--no-walk", &commit]);
    let evil = scene.path("evil.c");
    fs::write(&evil, "int base(void) { return 666; }\n").unwrap();
    let evil = git(&scene.base.path, &["hash-object", "-w", evil.to_str().unwrap()]);
    let lines = list.lines().map(|line| match line.ends_with(" base.c") {
        true => format!("{evil} base.c\n"),
        false => format!("{line}\n"),
    });
    let list: String = lines.collect();
    poison(&scene, &objects_of(&scene, &scene.base.path, &list));
    is_absent(&scene, &["missing blob"]);
}

#[test]
fn what_is_no_commit_at_all_is_absent() {
    let scene = Scene::new();
    scene.bake();
    let garbage = scene.path("garbage");
    fs::write(&garbage, "PACK and nothing that follows from it").unwrap();
    poison(&scene, &garbage);
    is_absent(&scene, &["cannot unpack base"]);
}

#[test]
fn without_its_index_the_store_is_absent() {
    let scene = Scene::new();
    scene.bake();
    let path = scene.offline().join("offline.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"base\"", "\"bass\"", 1)).unwrap();
    scene.clone("online");
    let said = run(scene.with_store("online", &["--json", "build", "--locked"])).ok();
    let built = Built::of(&said);
    let notes = built.notes.iter().filter(|note| note.contains("wrong checksum"));
    assert_eq!((notes.count(), built.complaints.len()), (1, 0), "{built:?}");
    scene.unplug();
    scene.clone("offline-one");
    run(scene.with_store("offline-one", &["build", "--offline", "--locked"]))
        .ends_with(1)
        .mentions(&["`foo`", &scene.pinned("foo")[..12], "wrong checksum", "cache bake"]);
}
