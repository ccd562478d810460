//! From a store into packs and offline stores, and back, whatever was done to them on the way.

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use larder_store::{
    Lookup, Mappings, Miss, Store, StoreError, Tier,
    offline::{self, Recipe, Tool},
    pack::{Compression, Limits, Options, Pack},
    packing, verify,
};
use larder_testkit::stores::{Stored, hash, scope};
use larder_trace::{ContentHash, Outputs, host_platform};
use tempfile::TempDir;

/// A store with the outputs of some targets.
struct Built(Stored);

impl Deref for Built {
    type Target = Stored;

    fn deref(&self) -> &Stored {
        &self.0
    }
}

impl Built {
    fn empty() -> Self {
        Self(Stored::empty())
    }

    /// Of `count` targets, added in an order that `seed` gives.
    fn new(seed: u64, count: usize) -> Self {
        let mut built = Self::empty();
        let mut order: Vec<usize> = (0..count).collect();
        order.rotate_left(seed as usize % count.max(1));
        for n in order {
            let content = format!("object {n} {}", "code ".repeat(n * 7 % 50));
            built.add(&format!("o/{n}.o"), content.as_bytes());
        }
        built.add("bin/run.sh", b"#!/bin/sh\n");
        built.add("empty", b"");
        built
    }

    fn add(&mut self, path: &str, content: &[u8]) {
        self.0.add_under(hash(format!("dep {path}")), path, content);
    }

    fn pack(&self, name: &str, options: &Options) -> packing::PackingReport {
        packing::pack(&self.store, &self.mappings, &self.path(name), options, |_| ()).unwrap()
    }

    fn unpack(&self, path: &Path) -> Result<packing::PackingReport, StoreError> {
        let pack = Pack::open(path, &Limits::default())?;
        packing::unpack(&self.store, &scope(), &pack, |_| ())
    }

    fn bake(&self, directory: &Path, recipe: Recipe) -> packing::PackingReport {
        let options = Options::default();
        let done =
            offline::add(&self.store, &self.mappings, &[], directory, recipe, &options, |_| ());
        done.unwrap().0
    }

    /// How many of the mappings of `other` are found and can be restored as they were.
    fn serves(&self, store: &Store, mappings: &Mappings, tier: Tier) -> usize {
        let out = TempDir::new_in(self.dir.path()).unwrap();
        let served = |(dep_hash, outputs): &(&ContentHash, &Outputs)| {
            let Lookup::Hit(hit) = store.lookup(&scope(), dep_hash, |_| true) else { return false };
            assert_eq!((&hit.outputs, hit.tier), (*outputs, tier));
            let file = &outputs.outputs[0];
            let path = out.path().join(&file.path);
            if store.restore(file, &path).is_err() {
                assert!(!path.exists());
                return false;
            }
            let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
            assert_eq!((hash(fs::read(&path).unwrap()), executable), (file.hash, file.executable));
            true
        };
        mappings.iter().filter(served).count()
    }
}

fn recipe() -> Recipe {
    let tool = Tool {
        role: "cc".to_owned(),
        name: "cc".to_owned(),
        target: Some("x86_64-linux-gnu".to_owned()),
        identity: hash(b"gcc"),
    };
    Recipe {
        package: scope(),
        platform: Some(host_platform().to_owned()),
        targets: vec!["b".to_owned(), "a".to_owned()],
        toolchain: vec![tool],
    }
}

/// Every file below `directory` with its content.
fn tree(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => {
                    _ = files.insert(
                        path.strip_prefix(directory).unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    )
                }
            }
        }
    }
    files
}

fn make_read_only(directory: &Path, read_only: bool) {
    let (file, folder) = if read_only { (0o444, 0o555) } else { (0o644, 0o755) };
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(directory, folder).unwrap();
    set(&directory.join("packs"), folder).unwrap();
    for name in tree(directory).keys() {
        set(&directory.join(name), file).unwrap();
    }
}

#[test]
fn what_is_packed_is_unpacked() {
    let (here, there) = (Built::new(0, 60), Built::empty());
    let packed = here.pack("a.pack", &Options::default());
    assert_eq!((packed.mappings, packed.artifacts, packed.missing.len()), (62, 62, 0));
    assert_eq!(packed.packed, here.path("a.pack").metadata().unwrap().len());
    for _ in 0..2 {
        let unpacked = there.unpack(&here.path("a.pack")).unwrap();
        assert_eq!((unpacked.mappings, unpacked.artifacts), (62, 62));
        assert_eq!(unpacked.bytes, packed.bytes);
        assert_eq!(there.serves(&there.store, &here.mappings, Tier::Local), 62);
    }
    let report = verify::verify(&there.store).unwrap();
    assert_eq!((report.artifacts, report.corrupt.len(), report.absent.len()), (62, 0, 0));
    let left = tree(&there.path("store/artifacts"));
    assert_eq!(left.len(), 62, "nothing temporary is left");
}

#[test]
fn equal_content_makes_equal_packs() {
    let (one, other) = (Built::new(0, 60), Built::new(17, 60));
    for level in [Compression::FASTEST, Compression::default(), Compression::SMALLEST] {
        let options =
            |threads| Options { level, threads: std::num::NonZero::new(threads).unwrap() };
        one.pack("a.pack", &options(1));
        other.pack("a.pack", &options(3));
        assert_eq!(fs::read(one.path("a.pack")).unwrap(), fs::read(other.path("a.pack")).unwrap());
    }
}

#[test]
fn one_bad_artifact_costs_itself_and_its_mapping() {
    let here = Built::new(0, 10);
    let entry = |path: &str| {
        let outputs = here.mappings.get(&hash(format!("dep {path}").as_bytes())).unwrap();
        here.store.layout().artifact(&outputs.outputs[0].hash)
    };
    fs::remove_file(entry("o/3.o")).unwrap();
    // As a failing disk does it: other bytes, the same times.
    let damaged = entry("o/5.o");
    let times = fs::metadata(&damaged).unwrap().modified().unwrap();
    let mut content = fs::read(&damaged).unwrap();
    content[0] ^= 1;
    fs::set_permissions(&damaged, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&damaged, content).unwrap();
    let file = fs::File::options().write(true).open(&damaged).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(times)).unwrap();

    let report = here.pack("a.pack", &Options::default());
    assert_eq!((report.mappings, report.artifacts, report.missing.len()), (10, 10, 2));
    assert_eq!(Built::empty().unpack(&here.path("a.pack")).unwrap().mappings, 10);

    // An offline store is complete or not made.
    let directory = here.path("offline");
    assert_eq!(here.bake(&directory, recipe()).missing.len(), 2);
    assert_eq!(tree(&directory).len(), 0);
}

/// Refused with the given words, and the store is as it was.
fn refused(bytes: &[u8], words: &str) {
    let there = Built::empty();
    let path = there.path("bad.pack");
    fs::write(&path, bytes).unwrap();
    let store = there.path("store");
    let before = tree(&store);
    let listed = || fs::read_dir(&store).unwrap().count();
    let count = listed();
    let error = there.unpack(&path).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!((tree(&store), listed()), (before, count), "{error}");
}

/// A pack of `contents` with `mappings`, right in itself.
fn raw(contents: &[&[u8]], mappings: &str) -> Vec<u8> {
    let entry = |content: &&[u8]| larder_store::pack::Entry {
        hash: hash(content),
        size: content.len() as u64,
        hint: String::new(),
    };
    let by_hash: BTreeMap<_, _> = contents.iter().map(|it| (hash(it), *it)).collect();
    let mut out = Vec::new();
    larder_store::pack::write(
        &mut out,
        contents.iter().map(entry).collect(),
        |entry| Ok(by_hash[&entry.hash]),
        Some(mappings.as_bytes()),
        &Options::default(),
        |_| (),
    )
    .unwrap();
    out
}

fn mapping(path: &str, content: &[u8], size: usize) -> String {
    let (dep, hash) = (hash(b"dep"), hash(content));
    format!(
        "\"1\"\n[\"{dep}\",{{\"outputs\":[{{\"path\":{path:?},\"hash\":\"{hash}\",\"size\":{size}}}]}}]\n"
    )
}

#[test]
fn hostile_packs_are_refused_and_nothing_is_written() {
    let content: &[u8] = b"content";
    let good = raw(&[content], &mapping("a/b.o", content, 7));
    let there = Built::empty();
    fs::write(there.path("good.pack"), &good).unwrap();
    assert_eq!(there.unpack(&there.path("good.pack")).unwrap().mappings, 1);

    for (path, words) in [
        ("../../etc/passwd", "leaves the build directory"),
        ("/etc/passwd", "is absolute"),
        ("a//b", "output path"),
        ("a\\b", "output path"),
        ("a\nb", "output path"),
        ("", "output path"),
    ] {
        refused(&raw(&[content], &mapping(path, content, 7)), words);
    }
    refused(&raw(&[content], &mapping("a", content, 8)), "7 bytes long, but its mappings say 8");
    refused(&raw(&[content], &mapping("a", b"other", 5)), "which it does not hold");
    refused(&raw(&[content, b"more"], &mapping("a", content, 7)), "no mapping mentions artifact");
    refused(&raw(&[content], "\"2\"\n"), "schema version \"2\" is newer");
    let twice = mapping("a", content, 7);
    let twice = format!("{twice}{}\n", twice.lines().last().unwrap());
    refused(&raw(&[content], &twice), "duplicate of line 2");
    refused(&raw(&[content], "junk"), "expected the schema version");

    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        refused(&bad, "refused");
        refused(&good[..at], "refused");
    }
    refused(&[&good[..], b"x"].concat(), "refused");
}

#[test]
fn baking_twice_makes_identical_bytes() {
    let (one, other) = (Built::new(0, 40), Built::new(23, 40));
    let (first, second) = (one.path("offline"), other.path("offline"));
    assert_eq!(one.bake(&first, recipe()).mappings, 42);
    other.bake(&second, recipe());
    assert_eq!(tree(&first), tree(&second));
    one.bake(&first, recipe());
    assert_eq!(tree(&first), tree(&second));
    let names: Vec<_> = tree(&first).into_keys().collect();
    assert_eq!(names.len(), 2, "the index and one pack: {names:?}");
}

#[test]
fn packages_and_platforms_share_an_offline_store() {
    let (one, other) = (Built::new(0, 5), Built::new(0, 9));
    let directory = one.path("offline");
    one.bake(&directory, recipe());
    other.bake(&directory, Recipe { package: "other".parse().unwrap(), ..recipe() });
    other.bake(&directory, Recipe { platform: Some("pdp11-unix".to_owned()), ..recipe() });
    assert_eq!(offline::verify(&directory, |_| Ok(()), |_| ()).unwrap().complete.len(), 3);
    // In place of what there was of the package, which is gone.
    other.bake(&directory, recipe());
    let report = offline::verify(&directory, |_| Ok(()), |_| ()).unwrap();
    assert_eq!((report.complete.len(), report.problems.len()), (3, 0));
    assert_eq!(fs::read_dir(directory.join("packs")).unwrap().count(), 1, "all hold the same");
    let store = Store::open(one.path("s")).unwrap().with_offline(&directory);
    assert_eq!(store.bakes().count(), 2, "not those of the other platform");
    assert_eq!(one.serves(&store, &other.mappings, Tier::Offline), 11);
}

#[test]
fn offline_stores_are_read_verified_and_left_alone() {
    let here = Built::new(0, 30);
    let directory = here.path("offline");
    here.bake(&directory, recipe());
    make_read_only(&directory, true);
    let before = tree(&directory);
    let there = Built::empty();
    let store = Store::open(there.path("s")).unwrap().with_offline(&directory);
    assert_eq!(there.serves(&store, &here.mappings, Tier::Offline), 32);
    assert_eq!(tree(&directory), before);
    // What is opened is put into the store first.
    let (_, outputs) = here.mappings.iter().next().unwrap();
    let opened = store.open_artifact(&outputs.outputs[0]).unwrap();
    assert_eq!(opened.metadata().unwrap().len(), outputs.outputs[0].size);
    assert!(store.is_intact(&outputs.outputs[0].hash, outputs.outputs[0].size));
    let mut wrong = outputs.outputs[0].clone();
    wrong.size += 1;
    assert!(store.restore(&wrong, &there.path("x")).is_err());
}

#[test]
fn no_flipped_byte_of_an_offline_store_gets_through() {
    let here = Built::new(0, 12);
    let directory = here.path("offline");
    here.bake(&directory, recipe());
    let whole = tree(&directory);
    let total = here.mappings.len();
    let mut unharmed = 0;
    for (name, right) in &whole {
        for at in (0..right.len()).step_by(7) {
            let mut wrong = right.clone();
            wrong[at] ^= 1 << (at % 8);
            fs::write(directory.join(name), wrong).unwrap();
            let there = Built::empty();
            let store = Store::open(there.path("s")).unwrap().with_offline(&directory);
            // `serves` compares every byte; what is not served is a miss, and no more than that.
            let served = there.serves(&store, &here.mappings, Tier::Offline);
            let report = offline::verify(&directory, |_| Ok(()), |_| ());
            let proved = report.is_ok_and(|report| report.problems.is_empty());
            assert!(!proved || served == total);
            unharmed += usize::from(proved);
        }
        for length in [0, 1, right.len() / 2, right.len() - 1] {
            fs::write(directory.join(name), &right[..length]).unwrap();
            let there = Built::empty();
            let store = Store::open(there.path("s")).unwrap().with_offline(&directory);
            there.serves(&store, &here.mappings, Tier::Offline);
            let proved = offline::verify(&directory, |_| Ok(()), |_| ());
            let newline = name == Path::new(offline::INDEX_NAME) && length + 1 == right.len();
            assert!(newline || !proved.is_ok_and(|report| report.problems.is_empty()));
        }
        fs::write(directory.join(name), right).unwrap();
    }
    // The line's end may become another space.
    assert!(unharmed <= 1, "{unharmed} changes went unnoticed");
}

#[test]
fn what_is_missing_is_said_by_name() {
    let here = Built::new(0, 3000);
    let directory = here.path("offline");
    here.bake(&directory, recipe());
    let (pack, right) =
        tree(&directory).into_iter().find(|(name, _)| name.starts_with("packs")).unwrap();
    let mut wrong = right.clone();
    wrong[100] ^= 1;
    fs::write(directory.join(&pack), wrong).unwrap();
    let report = offline::verify(&directory, |_| Ok(()), |_| ()).unwrap();
    assert!(report.complete.is_empty());
    assert!(report.problems.iter().any(|(what, _)| what.contains(".o (")), "{:?}", report.problems);
    fs::remove_file(directory.join(&pack)).unwrap();
    let report = offline::verify(&directory, |_| Ok(()), |_| ()).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].1.contains("No such file"), "{:?}", report.problems);
}

#[test]
fn stores_of_the_future_are_refused_politely() {
    let here = Built::new(0, 3);
    let directory = here.path("offline");
    here.bake(&directory, recipe());
    let index = directory.join(offline::INDEX_NAME);
    let text = fs::read_to_string(&index).unwrap();
    let store = || Store::open(here.path("s")).unwrap().with_offline(&directory);
    for future in [
        text.replacen("\"schemaVersion\":\"1\"", "\"schemaVersion\":\"2\"", 1),
        "{\"schemaVersion\":\"17\",\"everything\":[\"else\"]}".to_owned(),
    ] {
        fs::write(&index, &future).unwrap();
        assert_eq!(here.serves(&store(), &here.mappings, Tier::Offline), 0);
        let error = offline::verify(&directory, |_| Ok(()), |_| ()).unwrap_err().to_string();
        assert!(error.contains("newer"), "{error}");
        // And not overwritten by somebody who does not understand it.
        let options = Options::default();
        let error =
            offline::add(&here.store, &here.mappings, &[], &directory, recipe(), &options, |_| ());
        assert!(error.unwrap_err().to_string().contains("newer"));
        assert_eq!(fs::read_to_string(&index).unwrap(), future);
    }
    fs::write(&index, text).unwrap();
    assert_eq!(here.serves(&store(), &here.mappings, Tier::Offline), 5);
}

#[test]
fn large_artifacts_are_read_block_by_block() {
    let mut here = Built::empty();
    let large: Vec<u8> =
        (0..9_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    here.add("large.so", &large);
    here.add("small.o", b"small");
    let directory = here.path("offline");
    here.bake(&directory, recipe());
    let store = Store::open(here.path("s")).unwrap().with_offline(&directory);
    assert_eq!(here.serves(&store, &here.mappings, Tier::Offline), 2);
    let (name, right) =
        tree(&directory).into_iter().find(|(name, _)| name.starts_with("packs")).unwrap();
    let mut wrong = right.clone();
    let late = right.len() - right.len() / 4;
    wrong[late] ^= 1;
    fs::write(directory.join(name), wrong).unwrap();
    let store = Store::open(here.path("s")).unwrap().with_offline(&directory);
    let outputs = here.mappings.get(&hash(b"dep large.so")).unwrap();
    let miss = store.restore(&outputs.outputs[0], &here.path("out")).unwrap_err();
    assert!(matches!(miss, Miss::Corrupt), "{miss}");
    assert!(!here.path("out").exists());
}
