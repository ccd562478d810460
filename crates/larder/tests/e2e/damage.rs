//! A store that is damaged, full or not there costs time and nothing else.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use larder_testkit::{
    files::{files, replace},
    machine::Machine,
    mounts::Mount,
    services::S3,
};

use crate::support::{Outputs, asked, build_directory, forget, outputs, work_tree};

/// Writes into a file through whatever name it has, as no program should.
fn scribble(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-1)).unwrap();
    file.write_all(b"!!").unwrap();
}

#[test]
fn an_output_damaged_in_place_does_not_come_back() {
    let machine = Machine::new();
    let (tree, other) = (work_tree(&machine, "work"), work_tree(&machine, "other"));
    machine.build(&tree, &[]);
    let right = outputs(&tree);
    machine.build(&other, &[]).all("restored");
    for name in ["demo", "twin.txt", "site/sub/run.sh"] {
        let path = build_directory(&other).join(name);
        assert_eq!(path.metadata().unwrap().nlink(), 1);
        scribble(&path);
        let built = machine.build(&other, &[]);
        let step = if name == "demo" { "demo" } else { "site/" };
        let step = built.steps.iter().find(|(output, _)| step.starts_with(output.as_str()));
        assert_eq!(step.unwrap().1, "restored", "{built:?}");
        assert!(asked(&other).iter().all(|(name, output)| right[name] == *output));
    }
    // Neither the first tree nor the store is reached by that.
    assert_eq!(outputs(&tree), right);
    machine.nothing_wrong_in_store();
    forget(&tree, true);
    machine.build(&tree, &[]).all("restored");
    assert!(asked(&tree).iter().all(|(name, output)| right[name] == *output));
}

#[test]
fn damage_to_any_file_of_the_store_is_healed() {
    let s3 = S3::start();
    let machine = Machine::new();
    machine.uses(s3.address, 300);
    let tree = work_tree(&machine, "work");
    let mappings = machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    machine.build(&tree, &["-o", mappings]);
    let right = outputs(&tree);
    let place = ["--rev", "v1", "--scope", "demo"];
    machine.cache(&tree, 0, &[&["put", mappings][..], &place].concat());
    // Mappings, catalogue and origin of a revision are in the store as well.
    machine.cache(&tree, 0, &[&["get", "--mappings-only"][..], &place].concat());

    let mut rng = fastrand::Rng::with_seed(1);
    let mut flip = |path: &Path| {
        let mut content = fs::read(path).unwrap();
        if content.is_empty() {
            content.push(1);
        } else {
            let at = rng.usize(..content.len());
            content[at] ^= 1 << rng.u8(..8);
        }
        replace(path, &content);
    };
    heals(&machine, &tree, &right, &mut flip);
    heals(&machine, &tree, &right, &mut |path| {
        let content = fs::read(path).unwrap();
        replace(path, &content[..content.len() / 2]);
    });
    heals(&machine, &tree, &right, &mut |path| replace(path, b"{\"garbage\":[\0\xff"));
    heals(&machine, &tree, &right, &mut |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("inner"), "").unwrap();
    });
    heals(&machine, &tree, &right, &mut |path| {
        fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", path).unwrap();
    });
    heals(&machine, &tree, &right, &mut |path| {
        // These are only ever opened by those who lock or list them.
        if ["running", "gc.lock", "revisions"].iter().any(|name| path.iter().any(|p| p == *name)) {
            return;
        }
        fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    });
}

/// Damages every file of the store, builds, then builds again: first right, then from the store.
fn heals(machine: &Machine, tree: &Path, right: &Outputs, damage: &mut dyn FnMut(&Path)) {
    let damaged = files(&machine.path("store"));
    assert!(damaged.len() > 15, "{damaged:?}");
    damaged.iter().for_each(|path| damage(path));
    let everything = [("LARDER_RESTORE_ARTIFACTS", Path::new("1"))];
    for _ in 0..2 {
        forget(tree, true);
        machine.build_with(tree, &[], &everything);
        assert_eq!(outputs(tree), *right);
    }
    forget(tree, true);
    machine.build_with(tree, &[], &everything).all("restored");
    assert_eq!(outputs(tree), *right);
}

#[test]
fn a_store_that_cannot_be_used_is_done_without() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    fs::write(machine.path("file"), "").unwrap();
    let unusable = machine.path("file/store");
    let with = |store: &Path| {
        forget(&tree, true);
        machine.build_with(&tree, &[], &[("LARDER_CACHE_DIR", store)])
    };
    with(&unusable).all("built");
    with(&machine.path("file")).all("built");
    let right = asked(&tree);
    // Directories of the store that are none.
    for name in ["artifacts", "outputs", "running", "quarantine", "revisions", "stats.json"] {
        let store = machine.path(&format!("without-{name}"));
        fs::create_dir(&store).unwrap();
        fs::write(store.join(name), "").unwrap();
        with(&store);
        assert_eq!(asked(&tree), right, "{name}");
    }
}

#[test]
fn a_full_store_and_a_read_only_one_serve_what_they_have() {
    let machine = Machine::new();
    let tree = work_tree(&machine, "work");
    machine.build(&tree, &["--no-cache"]);
    let right = asked(&tree);
    let Some(full) = Mount::tmpfs(&machine.path("full"), "size=40k") else { return };
    let store = machine.path("full/store");
    let build = || {
        forget(&tree, true);
        let built = machine.build_with(&tree, &[], &[("LARDER_CACHE_DIR", &store)]);
        assert_eq!(asked(&tree), right);
        built
    };
    build();
    let restored = build();
    assert!(!restored.with("restored").is_empty(), "{restored:?}");
    assert!(!restored.with("built").is_empty(), "{restored:?}");
    drop(full);

    let roomy = Mount::tmpfs(&machine.path("full"), "size=10m").unwrap();
    build().all("built");
    roomy.make_read_only();
    build().all("restored");
}
