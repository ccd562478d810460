//! Staging, verification and collection.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use larder_store::{
    Lookup, MissReason, Store, gc,
    staging::{self, StagingDirectory},
    verify,
};
use larder_testkit::stores::{Stored, hash, scope};

/// A store that holds `contents`, each as the output of a target of its own.
fn holding(contents: &[&str]) -> Stored {
    let mut stored = Stored::empty();
    for content in contents {
        let dep_hash = hash(format!("dep {content}"));
        stored.add_under(dep_hash, &format!("{content}.o"), content.as_bytes());
    }
    stored
}

fn stage(stored: &Stored) -> PathBuf {
    let staged = stored.path("staged");
    let report = staging::stage(&stored.store, &stored.mappings, None, &staged).unwrap();
    assert!(report.missing.is_empty(), "{:?}", report.missing);
    staged
}

/// Makes everything in the store look as if last used `age` ago.
fn age(stored: &Stored, content: &str, age: Duration) {
    let then = SystemTime::now() - age;
    for path in [
        stored.store.layout().artifact(&hash(content)),
        stored.store.layout().candidates(&scope(), &hash(format!("dep {content}"))),
    ] {
        let file = fs::File::open(&path).unwrap();
        file.set_times(fs::FileTimes::new().set_accessed(then)).unwrap();
    }
}

fn held(stored: &Stored) -> Vec<&str> {
    ["a", "b", "c"].into_iter().filter(|name| stored.store.holds(&hash(name))).collect()
}

#[test]
fn what_is_staged_can_be_unstaged() {
    let f = holding(&["a", "b"]);
    let staged = stage(&f);
    let again = stage(&f);
    assert_eq!(staged, again);
    let other = holding(&[]);
    let report = staging::unstage(&other.store, &scope(), &staged).unwrap();
    assert_eq!((report.mappings, report.artifacts, report.bytes), (2, 2, 2));
    assert!(report.missing.is_empty());
    assert!(matches!(other.store.lookup(&scope(), &hash("dep a"), |_| true), Lookup::Hit(_)));
}

#[test]
fn staging_leaves_out_what_the_store_lacks() {
    let f = holding(&["a", "b"]);
    fs::remove_file(f.store.layout().artifact(&hash("b"))).unwrap();
    let report = staging::stage(&f.store, &f.mappings, None, &f.path("staged")).unwrap();
    assert_eq!((report.mappings, report.artifacts, report.missing.len()), (1, 1, 1));
    let contents = StagingDirectory::open(&f.path("staged")).unwrap().verify().unwrap();
    assert!(contents.refusals.is_empty(), "{:?}", contents.refusals);
}

#[test]
fn each_intruder_in_a_staging_directory_is_refused_with_its_reason() {
    let f = holding(&["a", "b", "c"]);
    let staged = stage(&f);
    let name =
        |content: &str, extension: &str| staged.join(format!("{}{extension}", hash(content)));
    let symlink = |to: &str, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
    fs::remove_file(name("a", ".o")).unwrap();
    symlink("/proc/self/environ", name("a", ".o"));
    fs::remove_file(name("b", ".o")).unwrap();
    fs::remove_file(name("c", ".o")).unwrap();
    fs::write(name("c", ".o"), "C").unwrap();
    fs::write(name("c", ".obj"), "c").unwrap();
    fs::write(name("unlisted", ""), "unlisted").unwrap();
    fs::create_dir(staged.join("sub")).unwrap();
    fs::write(staged.join("README"), "").unwrap();
    fs::write(staged.join("..hidden"), "").unwrap();
    let fifo = Command::new("mkfifo").arg(staged.join("pipe")).status().unwrap();
    assert!(fifo.success());
    let _socket = UnixListener::bind(staged.join("socket")).unwrap();
    let contents = StagingDirectory::open(&staged).unwrap().verify().unwrap();
    assert!(contents.artifacts.is_empty());
    let refusals: Vec<_> = contents.refusals.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    ..hidden: "..hidden" is not an artifact name: 64 lowercase hex digits, then at most one extension of letters, digits, `_` and `-` with single dots between
    10e5cf3d3c8a4f9f3468c8cc58eea84892a22fdadbc1acb22410190044c1d553.o: mentioned in outputs.jsonl, but not in the directory
    17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f.o: is a symbolic link; only regular files are accepted
    1a989a4e6d125ddc824e76b237ebb1cdb30ad6e98c4d9ff76e4c2ca1b8476026: no mapping in outputs.jsonl mentions it
    README: "README" is not an artifact name: 64 lowercase hex digits, then at most one extension of letters, digits, `_` and `-` with single dots between
    ea7aa1fc9efdbe106dbb70369a75e9671fa29d52bd55536711bf197477b8f021.o: its content does not hash to its name
    ea7aa1fc9efdbe106dbb70369a75e9671fa29d52bd55536711bf197477b8f021.obj: the same artifact as ea7aa1fc9efdbe106dbb70369a75e9671fa29d52bd55536711bf197477b8f021.o
    pipe: is a FIFO; only regular files are accepted
    socket: is a socket or other special file; only regular files are accepted
    sub: is a directory; a staging directory is flat
    "#);
}

#[test]
fn a_staging_directory_without_sound_mappings_is_refused() {
    let f = holding(&["a"]);
    let staged = stage(&f);
    let mut reasons = Vec::new();
    let mut check = || {
        let contents = StagingDirectory::open(&staged).unwrap().verify().unwrap();
        reasons.push(
            contents.refusals.iter().find(|r| r.name == "outputs.jsonl").unwrap().to_string(),
        );
    };
    let mappings = staged.join("outputs.jsonl");
    fs::write(&mappings, "\"2\"\n").unwrap();
    check();
    fs::remove_file(&mappings).unwrap();
    check();
    std::os::unix::fs::symlink("/etc/passwd", &mappings).unwrap();
    check();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    outputs.jsonl: line 1: schema version "2" is newer than "1", which this larder reads: use the larder that wrote it, or a later one
    outputs.jsonl: missing, so this is not a staging directory
    outputs.jsonl: is a symbolic link; only regular files are accepted
    "#);
}

#[test]
fn unstaging_keeps_what_is_good() {
    let f = holding(&["a", "b"]);
    let staged = stage(&f);
    let bad = staged.join(format!("{}.o", hash("b")));
    fs::remove_file(&bad).unwrap();
    fs::write(&bad, "B").unwrap();
    let other = holding(&[]);
    let report = staging::unstage(&other.store, &scope(), &staged).unwrap();
    assert_eq!((report.mappings, report.artifacts, report.missing.len()), (1, 1, 1));
    assert_eq!(held(&other), ["a"]);
}

#[test]
fn verification_finds_what_no_stat_shows() {
    let f = holding(&["a", "b"]);
    let entry = f.store.layout().artifact(&hash("a"));
    let times = entry.metadata().unwrap().modified().unwrap();
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&entry, "A").unwrap();
    fs::File::open(&entry).unwrap().set_modified(times).unwrap();
    let report = verify::verify(&f.store).unwrap();
    assert_eq!((report.artifacts, report.mappings, report.corrupt.len()), (1, 2, 1));
    assert_eq!(report.absent.into_iter().collect::<Vec<_>>(), [hash("a")]);
    assert_eq!(held(&f), ["b"]);
    assert!(verify::verify(&f.store).unwrap().corrupt.is_empty());
}

#[test]
fn verification_finds_strays_and_damaged_mappings() {
    let f = holding(&["a"]);
    let layout = f.store.layout();
    fs::write(layout.artifacts().join("stray"), "x").unwrap();
    fs::write(layout.candidates(&scope(), &hash("dep a")), "{}").unwrap();
    let report = verify::verify(&f.store).unwrap();
    assert_eq!((report.artifacts, report.mappings, report.corrupt.len()), (1, 0, 2));
}

#[test]
fn a_mapping_of_a_terabyte_is_corrupt_and_not_read() {
    let f = holding(&["a"]);
    let path = f.store.layout().candidates(&scope(), &hash("dep a"));
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    let found = f.store.lookup(&scope(), &hash("dep a"), |_| true);
    assert_eq!(found, Lookup::Miss(MissReason::MappingCorrupt));
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn collection_removes_the_least_recently_used_first() {
    let f = holding(&["a", "b", "c"]);
    for (name, hours) in [("a", 2), ("b", 3), ("c", 1)] {
        age(&f, name, HOUR * hours);
    }
    let all = f.store.stats().unwrap();
    let one = 1 + all.mapping_bytes / 3;
    let policy = gc::Policy { max_size: Some(2 * one), ..gc::Policy::default() };
    let report = gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!(held(&f), ["a", "c"]);
    assert_eq!(report.left, 2 * one);
    let policy = gc::Policy { max_age: Some(HOUR * 3 / 2), ..gc::Policy::default() };
    gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!(held(&f), ["c"]);
    let policy = gc::Policy { max_size: Some(0), ..gc::Policy::default() };
    let report = gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!((held(&f).len(), report.left), (0, 0));
    assert_eq!(f.store.stats().unwrap().mappings, 0);
}

#[test]
fn a_mapping_that_comes_back_during_a_collection_is_not_taken_twice() {
    let f = holding(&["a", "b", "c"]);
    let policy = gc::Policy { max_size: Some(0), ..gc::Policy::default() };
    thread::scope(|threads| {
        let collector = threads.spawn(|| {
            for _ in 0..500 {
                for name in ["a", "b", "c"] {
                    f.store.import(&hash(name), 1, false, name.as_bytes()).ok();
                }
                // A size that falls below zero panics here, and is far too large in a release.
                let report = gc::collect(&f.store, &policy, || ()).unwrap();
                assert!(report.left < 1 << 20, "{report:?}");
            }
        });
        while !collector.is_finished() {
            for (dep_hash, outputs) in f.mappings.iter() {
                // A collection spares the half-written files of other processes, not of its own.
                _ = f.store.record(&scope(), dep_hash, outputs);
            }
        }
    });
}

#[test]
fn lookups_and_restores_count_as_use() {
    let f = holding(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        age(&f, name, HOUR * 9);
    }
    f.store.lookup(&scope(), &hash("dep a"), |_| true);
    let file = &f.mappings.get(&hash("dep b")).unwrap().outputs[0];
    f.store.restore(file, &f.path("b.o")).unwrap();
    // Looking at everything is not using it.
    verify::verify(&f.store).unwrap();
    let policy = gc::Policy { max_age: Some(HOUR), ..gc::Policy::default() };
    gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!(held(&f), ["a", "b"]);
}

#[test]
fn kept_revisions_stay() {
    let f = holding(&["a", "b"]);
    let revision = "v1".parse().unwrap();
    let mut kept = f.mappings.clone();
    kept =
        kept.iter().filter(|(k, _)| **k == hash("dep a")).map(|(k, v)| (*k, v.clone())).collect();
    kept.write(&f.store.layout().revision(&scope(), &revision)).unwrap();
    let policy =
        gc::Policy { max_size: Some(0), max_age: Some(Duration::ZERO), keep: vec![revision] };
    gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!(held(&f), ["a"]);
    assert!(matches!(f.store.lookup(&scope(), &hash("dep a"), |_| true), Lookup::Hit(_)));
}

#[test]
fn leftovers_of_the_dead_are_removed() {
    let f = holding(&["a"]);
    let shard = f.store.layout().artifact(&hash("a"));
    let (file, old) = (".larder-1-1.tmp", ".tmp-1-1");
    let directory = shard.with_file_name(".larder-1-2.tmp");
    fs::create_dir(&directory).unwrap();
    let left = [shard.with_file_name(file), shard.with_file_name(old), directory.join("half")];
    left.iter().for_each(|path| fs::write(path, "half").unwrap());
    assert_eq!(f.store.stats().unwrap().artifacts, 1);
    assert!(verify::verify(&f.store).unwrap().corrupt.is_empty());
    gc::collect(&f.store, &gc::Policy::default(), || ()).unwrap();
    assert!(!left.iter().any(|path| path.exists()));
    assert!(!directory.exists());
    assert_eq!(held(&f), ["a"]);
}

/// Another process that uses the store, as far as a collection can tell.
struct Neighbour(Child);

impl Neighbour {
    fn of(store: &Store) -> Self {
        let running = store.layout().root().join("running/1-1-1");
        fs::write(&running, "").unwrap();
        let mut child = Command::new("flock")
            .arg(running)
            .args(["sh", "-c", "echo locked; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 7];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        _ = self.0.stdin.take().unwrap().write_all(b"end\n");
        _ = self.0.wait();
    }
}

#[test]
fn what_a_running_build_uses_is_spared() {
    let f = holding(&["a", "b"]);
    age(&f, "a", HOUR);
    let neighbour = Neighbour::of(&f.store);
    fs::File::open(f.store.layout().artifact(&hash("b")))
        .unwrap()
        .set_times(fs::FileTimes::new().set_accessed(SystemTime::now() + HOUR))
        .unwrap();
    let policy = gc::Policy { max_size: Some(0), ..gc::Policy::default() };
    let report = gc::collect(&f.store, &policy, || ()).unwrap();
    assert_eq!(held(&f), ["b"]);
    assert!(report.spared > 0);
    drop(neighbour);
    gc::collect(&f.store, &policy, || ()).unwrap();
    assert!(held(&f).is_empty());
}
