//! The store as the build engine uses it.

use std::{
    fs,
    ops::Deref,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use larder_store::{
    How, Lookup, Miss, MissReason, Recorded, Scope, Store, StoreError, Tier, Unfetched, Upstream,
};
use larder_testkit::files::write;
use larder_testkit::stores::{Stored, hash, output, scope};
use larder_trace::{DiscoveredInput, OutputFile, Outputs};
use tempfile::TempDir;

/// A store that targets are built for.
struct Fixture(Stored);

impl Deref for Fixture {
    type Target = Stored;

    fn deref(&self) -> &Stored {
        &self.0
    }
}

impl Fixture {
    fn new() -> Self {
        Self(Stored::empty())
    }

    /// Builds an output and inserts it.
    fn built(&self, path: &str, content: &str) -> OutputFile {
        let output = output(path, content);
        let file = self.path(path);
        write(&file, content);
        self.store.insert(&file, &output.hash, false).unwrap();
        output
    }
}

fn write_through(path: &Path, content: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn what_was_built_is_found_and_restored() {
    let f = Fixture::new();
    let file = f.built("build/a.o", "object");
    let outputs = Outputs { outputs: vec![file.clone()], ..Outputs::default() };
    f.store.record(&scope(), &hash("dep"), &outputs).unwrap();

    let Lookup::Hit(hit) = f.store.lookup(&scope(), &hash("dep"), |_| true) else { panic!() };
    assert_eq!((hit.outputs, hit.tier), (outputs, Tier::Local));
    f.store.restore(&file, &f.path("other/deep/a.o")).unwrap();
    assert_eq!(fs::read(f.path("other/deep/a.o")).unwrap(), b"object");
    // Over what is there, and over itself.
    fs::write(f.path("b.o"), "old").unwrap();
    f.store.restore(&file, &f.path("b.o")).unwrap();
    f.store.restore(&file, &f.path("b.o")).unwrap();
    assert_eq!(fs::read(f.path("b.o")).unwrap(), b"object");
    let left: Vec<_> =
        fs::read_dir(f.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");

    let other: Scope = "other".parse().unwrap();
    assert_eq!(
        f.store.lookup(&other, &hash("dep"), |_| true),
        Lookup::Miss(MissReason::NotRecorded)
    );
}

#[test]
fn the_first_candidate_whose_headers_match_is_the_hit() {
    let f = Fixture::new();
    let candidate = |header: &str| Outputs {
        outputs: vec![f.built(&format!("{header}.o"), header)],
        discovered: vec![DiscoveredInput { path: "a.h".to_owned(), hash: hash(header) }],
        ..Outputs::default()
    };
    for header in ["one", "two", "three", "two"] {
        f.store.record(&scope(), &hash("dep"), &candidate(header)).unwrap();
    }
    for header in ["one", "two", "three"] {
        let lookup = f
            .store
            .lookup(&scope(), &hash("dep"), |outputs| outputs.discovered[0].hash == hash(header));
        let Lookup::Hit(hit) = lookup else { panic!("{header}") };
        assert_eq!(hit.outputs.outputs[0].hash, hash(header));
    }
    let miss = f.store.lookup(&scope(), &hash("dep"), |_| false);
    assert_eq!(miss, Lookup::Miss(MissReason::InputsDiffer));
    for n in 0..40 {
        f.store.record(&scope(), &hash("dep"), &candidate(&n.to_string())).unwrap();
    }
    let gone =
        f.store.lookup(&scope(), &hash("dep"), |outputs| outputs.discovered[0].hash == hash("one"));
    assert_eq!(gone, Lookup::Miss(MissReason::InputsDiffer));
}

#[test]
fn of_the_same_inputs_the_two_newest_results_are_kept() {
    let f = Fixture::new();
    let made =
        |content: &str| Outputs { outputs: vec![f.built("a.o", content)], ..Outputs::default() };
    let record = |content: &str| f.store.record(&scope(), &hash("dep"), &made(content)).unwrap();
    let differs = |content: &str| Recorded::Differs(Box::new(made(content)));
    assert_eq!(record("one"), Recorded::New);
    assert_eq!(record("one"), Recorded::Known);
    assert_eq!(record("two"), differs("one"));
    assert_eq!(record("one"), Recorded::Known);
    assert_eq!(record("three"), differs("one"));
    assert_eq!(record("two"), differs("three"));
    // The newest comes first, and the other one when that is gone.
    for content in ["two", "three"] {
        let Lookup::Hit(hit) = f.store.lookup(&scope(), &hash("dep"), |_| true) else { panic!() };
        assert_eq!(hit.outputs, made(content));
        fs::remove_file(f.store.layout().artifact(&hash(content))).unwrap();
    }
    let gone = f.store.lookup(&scope(), &hash("dep"), |_| true);
    assert_eq!(gone, Lookup::Miss(MissReason::ArtifactAbsent));
}

#[test]
fn a_damaged_entry_is_absent_and_heals() {
    let f = Fixture::new();
    let file = f.built("build/a.o", "object");
    let entry = f.store.layout().artifact(&file.hash);
    assert_eq!(entry.metadata().unwrap().mode() & 0o222, 0);
    write_through(&entry, b"OBJECT");
    assert!(matches!(f.store.restore(&file, &f.path("again/a.o")), Err(Miss::Corrupt)));
    assert!(!f.path("again/a.o").exists());
    assert!(!entry.exists());
    assert!(f.store.layout().quarantine().join(file.hash.to_string()).exists());
    assert!(matches!(f.store.restore(&file, &f.path("again/a.o")), Err(Miss::Absent)));
    f.built("rebuilt/a.o", "object");
    f.store.restore(&file, &f.path("again/a.o")).unwrap();
    assert_eq!(fs::read(f.path("again/a.o")).unwrap(), b"object");
}

#[test]
fn truncated_entries_and_those_edited_with_their_time_put_back_are_never_restored() {
    let f = Fixture::new();
    let (cut, edited) = (f.built("cut", "long content"), f.built("edited", "other content"));
    let long = f.built("long", &"long".repeat(1 << 18));
    let path = f.store.layout().artifact(&cut.hash);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
    assert!(matches!(f.store.restore(&cut, &f.path("a")), Err(Miss::Corrupt)));
    for file in [&edited, &long] {
        let path = f.store.layout().artifact(&file.hash);
        let modified = path.metadata().unwrap().modified().unwrap();
        let mut content = fs::read(&path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        write_through(&path, &content);
        fs::File::open(&path).unwrap().set_modified(modified).unwrap();
        assert!(matches!(f.store.restore(file, &f.path("b")), Err(Miss::Corrupt)));
        assert!(!f.path("b").exists());
        assert!(!path.exists());
    }
    let left = fs::read_dir(f.dir.path()).unwrap().count();
    assert_eq!(left, 4, "the store and what was built");
}

/// Returns the numbers of a file that change when anybody changes it, or only its metadata.
fn status(path: &Path) -> (u64, u32, i64, i64, i64, i64, u64) {
    let m = path.metadata().unwrap();
    (m.ino(), m.mode(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), m.nlink())
}

#[test]
fn what_is_built_stored_and_restored_are_files_of_their_own() {
    let f = Fixture::new();
    fs::write(f.path("a.o"), "object").unwrap();
    fs::set_permissions(f.path("a.o"), fs::Permissions::from_mode(0o640)).unwrap();
    let file = output("a.o", "object");
    let built = status(&f.path("a.o"));
    f.store.insert(&f.path("a.o"), &file.hash, false).unwrap();
    assert_eq!(status(&f.path("a.o")), built);
    for name in ["b.o", "c.o"] {
        f.store.restore(&file, &f.path(name)).unwrap();
        assert_eq!(f.path(name).metadata().unwrap().mode() & 0o600, 0o600, "writable");
    }
    let entry = f.store.layout().artifact(&file.hash);
    let (stored, second) = (status(&entry), status(&f.path("c.o")));
    // In place, so that it reaches every name of the file.
    fs::set_permissions(f.path("b.o"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(f.path("b.o"), "OBJECT").unwrap();
    assert_eq!((status(&entry), status(&f.path("c.o"))), (stored, second));
    f.store.restore(&file, &f.path("d.o")).unwrap();
    assert_eq!(f.path("d.o").metadata().unwrap().mode() & 0o111, 0);
    for name in ["a.o", "c.o", "d.o"] {
        assert_eq!(fs::read(f.path(name)).unwrap(), b"object", "{name}");
    }
}

#[test]
fn a_file_that_changed_after_it_was_hashed_is_refused() {
    let f = Fixture::new();
    for (content, hashed) in [("after", "before"), ("", "before"), ("before and", "before")] {
        fs::write(f.path("a.o"), content).unwrap();
        let refused = f.store.insert(&f.path("a.o"), &hash(hashed), false);
        assert!(matches!(refused, Err(StoreError::Changed { .. })), "{refused:?}");
        assert!(!f.store.holds(&hash(hashed)));
    }
    let long = "long".repeat(1 << 18);
    fs::write(f.path("long"), format!("{long}!")).unwrap();
    assert!(f.store.insert(&f.path("long"), &hash(&long), false).is_err());
    assert_eq!(f.store.stats().unwrap().artifacts, 0);
}

#[test]
fn a_damaged_entry_is_replaced_when_its_content_comes_again() {
    let f = Fixture::new();
    let file = f.built("a.o", "object");
    for damage in ["", "OBJECT"] {
        write_through(&f.store.layout().artifact(&file.hash), damage.as_bytes());
        f.built("a.o", "object");
        f.store.restore(&file, &f.path("b.o")).unwrap();
        assert_eq!(fs::read(f.path("b.o")).unwrap(), b"object");
    }
}

#[test]
fn a_description_with_the_wrong_size_does_not_cost_the_entry() {
    let f = Fixture::new();
    let file = f.built("a", "content");
    let lie = OutputFile { size: 99, ..file.clone() };
    assert!(matches!(f.store.restore(&lie, &f.path("b")), Err(Miss::WrongSize { .. })));
    f.store.restore(&file, &f.path("b")).unwrap();
}

#[test]
fn executables_empty_files_and_equal_content() {
    let f = Fixture::new();
    for (name, mode) in [("tool", 0o755), ("data", 0o644)] {
        fs::write(f.path(name), "").unwrap();
        fs::set_permissions(f.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    f.store.insert(&f.path("tool"), &hash(""), true).unwrap();
    assert_eq!(f.store.insert(&f.path("data"), &hash(""), false).unwrap(), How::Present);
    for executable in [true, false] {
        let file = OutputFile { executable, ..output("x", "") };
        f.store.restore(&file, &f.path("x")).unwrap();
        let mode = f.path("x").metadata().unwrap().mode();
        assert_eq!(mode & 0o111 != 0, executable, "{mode:o}");
    }
    assert_eq!(f.store.stats().unwrap().artifacts, 1);
}

#[test]
fn a_file_with_other_names_is_copied() {
    let f = Fixture::new();
    fs::write(f.path("source"), "data").unwrap();
    fs::hard_link(f.path("source"), f.path("output")).unwrap();
    f.store.insert(&f.path("output"), &hash("data"), false).unwrap();
    fs::write(f.path("source"), "edit").unwrap();
    f.store.restore(&output("o", "data"), &f.path("o")).unwrap();
    assert_eq!(fs::read(f.path("o")).unwrap(), b"data");
}

#[test]
fn symlinks_are_neither_inserted_nor_followed() {
    let f = Fixture::new();
    fs::write(f.path("target"), "data").unwrap();
    std::os::unix::fs::symlink(f.path("target"), f.path("link")).unwrap();
    assert!(f.store.insert(&f.path("link"), &hash("data"), false).is_err());
    let file = f.built("a", "new");
    f.store.restore(&file, &f.path("link")).unwrap();
    assert_eq!(fs::read(f.path("target")).unwrap(), b"data");
    assert_eq!(fs::read(f.path("link")).unwrap(), b"new");
}

#[test]
fn import_verifies() {
    let f = Fixture::new();
    let import =
        |size, content: &str| f.store.import(&hash("right"), size, false, content.as_bytes());
    assert!(!import(5, "wrong").unwrap());
    assert!(!import(5, "righ").unwrap());
    assert!(!import(5, "right and more").unwrap());
    assert!(!import(4, "right").unwrap());
    assert!(!f.store.holds(&hash("right")));
    assert!(import(5, "right").unwrap());
    assert!(f.store.is_intact(&hash("right"), 5));
}

#[test]
fn flipped_bits_in_a_mapping_are_found() {
    let f = Fixture::new();
    let file = f.built("a.o", "object");
    let outputs = Outputs { outputs: vec![file], ..Outputs::default() };
    let path = f.store.layout().candidates(&scope(), &hash("dep"));
    f.store.record(&scope(), &hash("dep"), &outputs).unwrap();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        match f.store.lookup(&scope(), &hash("dep"), |_| true) {
            Lookup::Miss(reason) => assert_eq!(reason, MissReason::MappingCorrupt, "{at}"),
            Lookup::Hit(hit) => assert_eq!(hit.outputs, outputs, "{at}"),
        }
    }
    f.store.record(&scope(), &hash("dep"), &outputs).unwrap();
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn offline_stores_are_used_and_left_alone() {
    let baked = Fixture::new();
    let file = baked.built("a.o", "object");
    let outputs = Outputs { outputs: vec![file.clone()], ..Outputs::default() };
    baked.store.record(&scope(), &hash("dep"), &outputs).unwrap();
    let Stored { dir: baked, store, .. } = baked.0;
    drop(store);
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path().join("s")).unwrap().with_offline(baked.path().join("store"));
    let Lookup::Hit(hit) = store.lookup(&scope(), &hash("dep"), |_| true) else { panic!() };
    assert_eq!(hit.tier, Tier::Offline);
    store.restore(&file, &dir.path().join("a.o")).unwrap();
    let entry = larder_store::Layout::new(baked.path().join("store")).artifact(&file.hash);
    write_through(&entry, b"OBJECT");
    assert!(matches!(store.restore(&file, &dir.path().join("b.o")), Err(Miss::Corrupt)));
    assert!(entry.exists());
}

#[test]
fn absent_artifacts_are_fetched_on_demand() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path().join("s")).unwrap().with_upstream(Upstream {
        knows: Box::new(|wanted| [hash("there"), hash("broken")].contains(wanted)),
        fetch: Box::new(|store, file| {
            let done = store.import(&file.hash, file.size, file.executable, &b"there"[..]);
            if done.map_err(|error| Unfetched::Lost(error.to_string()))? {
                Ok(())
            } else {
                Err(Unfetched::Refused("bad bytes".to_owned()))
            }
        }),
    });
    let file = output("a", "there");
    let outputs = Outputs { outputs: vec![file.clone()], ..Outputs::default() };
    store.record(&scope(), &hash("dep"), &outputs).unwrap();
    let Lookup::Hit(hit) = store.lookup(&scope(), &hash("dep"), |_| true) else { panic!() };
    assert_eq!(hit.tier, Tier::Service);
    store.restore(&file, &dir.path().join("a")).unwrap();
    let broken = store.restore(&output("b", "broken"), &dir.path().join("b"));
    assert!(matches!(broken, Err(Miss::NotFetched(_))));
    assert!(matches!(
        store.restore(&output("c", "gone"), &dir.path().join("c")),
        Err(Miss::Absent)
    ));
    let counters = store.stats().unwrap().counters;
    assert_eq!(counters.hits[&Tier::Service], 1);
    assert_eq!(counters.misses[&MissReason::NotFetched], 1);
    assert_eq!(counters.misses[&MissReason::ArtifactAbsent], 1);
}

#[test]
fn restoring_many_small_objects_costs_little_more_than_copying_them() {
    let f = Fixture::new();
    let files: Vec<_> =
        (0..1000).map(|n| f.built(&format!("b/{n}.o"), &format!("{n:<14000}"))).collect();
    let timed = |each: &(dyn Fn(&OutputFile) + Sync)| {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                each(file);
            }
        };
        let begin = Instant::now();
        thread::scope(|scope| {
            scope.spawn(work);
            scope.spawn(work);
        });
        begin.elapsed()
    };
    fs::create_dir_all(f.path("copied/b")).unwrap();
    let copied = timed(&|file| {
        fs::copy(f.path(&file.path), f.path("copied").join(&file.path)).unwrap();
    });
    let restored = timed(&|file| {
        f.store.restore(file, &f.path("out").join(&file.path)).unwrap();
    });
    println!("1,000 objects copied in {copied:?}, restored in {restored:?}");
    // Three times what it takes, so that a busy machine does not fail it.
    assert!(restored < copied * 6, "{restored:?}, where copying takes {copied:?}");
}
