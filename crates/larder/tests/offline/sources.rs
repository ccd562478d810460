//! Packages from Git in an offline store: their checkouts are baked with their artifacts, and a build
//! elsewhere needs nothing but the store.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use larder_testkit::{
    files::{copy_tree, files, names, write_all},
    git::{Repository, app, git},
    run::{from_copy, under},
};

use super::{
    namespace::{give_away, isolated},
    scene::Scene,
    support::*,
};

/// Every file of a checkout, with its mode and content, but for what Git keeps.
fn sources(checkout: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let tree = tree(checkout).into_iter();
    tree.filter(|(path, _)| !path.starts_with(".git"))
        .map(|(path, (mode, _, content))| (path, mode, content))
        .collect()
}

#[test]
fn a_fresh_clone_needs_the_store_alone() {
    let Some(within) = isolated() else { return };
    let scene = Scene::new();
    scene.machine.configure("url = \"http://192.0.2.1/\"");
    run(scene.larder(
        "work",
        &["--offline", "cache", "bake", scene.offline().to_str().unwrap(), "--dependencies"],
    ))
    .ok()
    .mentions(&["baked 4 mappings and 4 artifacts", "2 checkouts"]);
    scene.verify(0).mentions(&["4 mappings and 4 artifacts", "2 checkouts", "in order"]);
    scene.unplug();
    set_read_only(&scene.offline(), true);
    let before = tree(&scene.offline());
    for (who, shared) in [("one", false), ("two", true)] {
        let clone = scene.clone(who);
        let packages = scene.path(who).join("packages");
        give_away(&scene.path(who), &within);
        let arguments = ["--json", "build", "--offline", "--locked"];
        let mut inner = scene.with_store(who, &arguments);
        if shared {
            inner.env("LARDER_PKG_DIR", &packages);
        }
        let words: Vec<&str> = within.iter().map(String::as_str).collect();
        let command = under(&words, &from_copy(&scene.path("larder"), &inner));
        scene.restored(who, command);
        let (made, head) = (clone.join(".larder/packages"), scene.pinned("foo"));
        let foo = if shared { packages.join("foo").join(head) } else { made.join("foo") };
        assert_eq!(made.exists(), !shared);
        let fetched = scene.path("work/app/.larder/packages/foo");
        assert_eq!(sources(&foo), sources(&fetched), "as if it had been fetched");
        let lock = |app: &Path| fs::read(app.join("larder.lock")).unwrap();
        assert_eq!(lock(&clone), lock(&scene.path("work/app")));
    }
    assert_eq!(tree(&scene.offline()), before, "nothing was written to it");
    set_read_only(&scene.offline(), false);
}

#[test]
fn baking_twice_makes_identical_bytes() {
    let scene = Scene::new();
    scene.bake();
    let first = contents(&scene.offline());
    scene.bake();
    assert_eq!(contents(&scene.offline()), first);
    // From a checkout that has all of the history, in packs of another kind.
    let foo = scene.path("work/app/.larder/packages/foo");
    git(&foo, &["fetch", "--quiet", "--unshallow", &scene.foo.url()]);
    git(&foo, &["gc", "--quiet"]);
    scene.bake();
    assert_eq!(contents(&scene.offline()), first);
    // By somebody who has the store only: from checkouts that were made from it.
    scene.unplug();
    scene.clone("other");
    run(scene.with_store("other", &["build", "--offline"])).ok();
    let copy = scene.path("copy");
    scene.bake_into("other", &copy).ok();
    assert_eq!(contents(&copy), first);
    // Another package that needs the same adds none of it.
    let packs = |directory: &Path| files(&directory.join("packs")).len();
    assert_eq!(packs(&copy), 3);
    let near = app(
        &scene.path("near/app"),
        &[(
            "base",
            &format!("{{ git = \"{}\", rev = \"{}\" }}", scene.base.url(), scene.pinned("base")),
        )],
    );
    let manifest = fs::read_to_string(near.join("larder.toml")).unwrap();
    write_all(&near, &[("larder.toml", &manifest.replacen("\"app\"", "\"near\"", 1))]);
    run(scene.with_store("near", &["--offline", "cache", "bake", copy.to_str().unwrap()])).ok();
    assert_eq!(packs(&copy), 4);
}

#[test]
fn the_store_comes_before_the_network() {
    let scene = Scene::new();
    scene.bake();
    scene.unplug();
    scene.clone("one");
    let built = scene.restored("one", scene.with_store("one", &["--json", "build", "--locked"]));
    assert!(built.notes.is_empty(), "{:?}", built.notes);
    // The checkout is one as any other: an update replaces it, but nobody's own work.
    scene.plug_in();
    let foo = scene.path("one/app/.larder/packages/foo");
    write_all(&foo, &[("mine.c", "")]);
    write_all(&scene.foo.path, &[("foo.c", "int foo(void) { return 7; }\n")]);
    scene.foo.commit_all();
    run(scene.with_store("one", &["update"])).ends_with(1).mentions(&["mine.c is not as it was"]);
    fs::remove_file(foo.join("mine.c")).unwrap();
    run(scene.with_store("one", &["update"])).ok();
    let ran = run(scene.with_store("one", &["exec", "app"])).ok();
    assert_eq!(ran.stdout, "7\n");
}

#[test]
fn sources_are_the_same_on_every_platform() {
    let scene = Scene::new();
    scene.bake();
    scene.edit_index(|bakes| bakes[0]["platform"] = "pdp11-unix".into());
    scene.unplug();
    scene.clone("one");
    let said = run(scene.with_store("one", &["--json", "build", "--offline", "--locked"])).ok();
    let built = Built::of(&said);
    assert!(built.with("restored").is_empty() && built.built().len() >= 4, "{built:?}");
}

#[test]
fn a_store_without_checkouts_is_read_as_before() {
    let scene = Scene::new();
    scene.bake();
    scene.edit_index(|bakes| _ = bakes[0].as_object_mut().unwrap().remove("checkouts"));
    scene.verify(0);
    // With the checkouts at hand, its artifacts do.
    let packages = scene.path("work/app/.larder/packages");
    let clone = scene.clone("one");
    fs::create_dir(clone.join(".larder")).unwrap();
    copy_tree(&packages, &clone.join(".larder/packages"));
    scene.restored("one", scene.with_store("one", &["--json", "build", "--offline"]));
    // Without them, it is said what is missing.
    scene.clone("two");
    run(scene.with_store("two", &["build", "--offline"])).ends_with(1).mentions(&[
        "the dependency `foo`",
        &scene.pinned("foo")[..12],
        "nor in the offline store",
        "cache bake",
    ]);
}

#[test]
fn what_is_not_the_commit_is_not_baked() {
    let scene = Scene::new();
    scene.bake();
    let before = tree(&scene.offline());
    let base = scene.path("work/app/.larder/packages/base");
    let source = fs::read(base.join("base.c")).unwrap();
    write_all(&base, &[("base.c", "int base(void) { return 5; }\n")]);
    scene.bake_into("work", &scene.offline()).ends_with(1).mentions(&[
        "1 missing",
        "the checkout of base at",
        "base.c is not as it was checked out",
        "is as it was",
    ]);
    fs::write(base.join("base.c"), source).unwrap();
    // Both are listed that lack something.
    for name in ["base", "foo"] {
        let objects = scene.path(&format!("work/app/.larder/packages/{name}/.git/objects"));
        fs::remove_dir_all(&objects).unwrap();
        fs::create_dir(&objects).unwrap();
    }
    scene.bake_into("work", &scene.offline()).ends_with(1).mentions(&[
        "2 missing",
        "the checkout of base at",
        "the checkout of foo at",
    ]);
    assert_eq!(tree(&scene.offline()), before);
}

#[test]
fn what_cannot_be_fetched_is_listed() {
    let scene = Scene::new();
    scene.unplug();
    scene.clone("one");
    scene
        .bake_into("one", &scene.offline())
        .ends_with(1)
        .mentions(&["cannot get the dependency `foo`", &scene.pinned("foo")[..12]]);
    assert!(!scene.offline().exists());
}

#[test]
fn a_dependency_that_makes_nothing_is_baked() {
    let scene = Scene::new();
    let only = Repository::new(&scene.path("repositories"), "only", "");
    write_all(
        &only.path,
        &[("larder.toml", "[package]\nname = \"only\"\n"), ("only.h", "#define ONLY 3\n")],
    );
    only.commit_all();
    let manifest = format!(
        "[package]\nname = \"app\"\n[dependencies]\nonly = {{ git = \"{}\" }}\n\
         [[command]]\nname = \"own\"\nrun = [\"true\"]\ntest = true\ninputs = []\n",
        only.url()
    );
    write_all(&scene.path("alone/app"), &[("larder.toml", &manifest)]);
    run(scene.larder("alone", &["graph"])).ok();
    scene.bake_into("alone", &scene.offline()).ok().mentions(&["0 mappings", "1 checkout "]);
    scene.verify(0);
    scene.unplug();
    fs::remove_dir_all(scene.path("alone/app/.larder")).unwrap();
    run(scene.with_store("alone", &["build", "--offline", "--locked"])).ok();
    assert!(scene.path("alone/app/.larder/packages/only/only.h").exists());
}

#[test]
fn without_git_it_is_git_that_is_missing() {
    let scene = Scene::new();
    scene.bake();
    scene.unplug();
    scene.clone("one");
    let empty = scene.path("empty");
    fs::create_dir(&empty).unwrap();
    let mut command = scene.with_store("one", &["build", "--offline", "--locked"]);
    let said = run(command.env("PATH", &empty)).ends_with(1).mentions(&["cannot run `git`"]);
    assert!(!said.stderr.contains("cache bake"), "{}", said.stderr);
}

#[test]
fn commits_named_by_sha_256_are_baked_as_well() {
    let scene = Scene::new();
    let sha = scene.path("repositories/sha");
    fs::create_dir(&sha).unwrap();
    git(&sha, &["init", "--quiet", "--initial-branch=main", "--object-format=sha256"]);
    let sha = Repository { path: sha, name: "sha".to_owned() };
    sha.manifest("");
    assert_eq!(sha.commit(256).len(), 64);
    app(&scene.path("long/app"), &[("sha", &format!("{{ git = \"{}\" }}", sha.url()))]);
    run(scene.larder("long", &["graph"])).ok();
    scene.bake_into("long", &scene.offline()).ok().mentions(&["1 checkout "]);
    scene.verify(0);
    scene.unplug();
    fs::remove_dir_all(scene.path("long/app/.larder")).unwrap();
    let ran = run(scene.with_store("long", &["exec", "app", "--offline", "--locked"])).ok();
    assert_eq!(ran.stdout, "256\n");
}

#[test]
fn a_process_that_is_killed_leaves_no_half_of_a_checkout() {
    let scene = Scene::new();
    for count in 0..300 {
        write_all(&scene.base.path, &[(&format!("data/{count}"), &"x".repeat(count * 20))]);
    }
    let commit = scene.base.commit_all();
    run(scene.larder("work", &["update"])).ok();
    assert_eq!(scene.pinned("base"), commit);
    git(&scene.path("work/app"), &["commit", "--quiet", "--all", "--message=update"]);
    scene.bake();
    scene.unplug();
    let packages = scene.clone("one").join(".larder/packages");
    let whole = || {
        let there = packages.join("base").exists();
        assert!(!there || names(&packages.join("base/data")).len() == 300);
        there
    };
    for delay in [0, 2, 5, 10, 15, 20, 30, 40] {
        let mut command = scene.with_store("one", &["graph", "--offline"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Killed so long after the first trace of its work.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !packages.exists() && Instant::now() < deadline {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        if whole() {
            fs::remove_dir_all(packages.join("base")).unwrap();
        }
    }
    run(scene.with_store("one", &["graph", "--offline"])).ok();
    assert!(whole());
    // A `git` that outlived its larder may hold up the removal of what it left; nobody takes that for a package.
    let mut names = names(&packages);
    names.retain(|name| !name.starts_with('.'));
    assert_eq!(names, ["base", "foo"]);
}
