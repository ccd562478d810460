//! Revisions on a service: what they cost, what is written when something fails, what is read when
//! something is damaged, and what a collection leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use larder_remote::{
    Access, Destination, Outcome, Overwrite, RemoteError, Retention, Service, StagedError, collect,
    put_staged,
};
use larder_store::{Mappings, staging};
use larder_testkit::{
    services::{Faults, Proxy, S3, config_at, open, revision},
    stores::{Stored, object, scope},
};
use tempfile::TempDir;

/// A service that is a directory.
struct Shelf {
    directory: TempDir,
    service: Service,
}

impl Shelf {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = config_at("127.0.0.1:1".parse().unwrap());
        config.endpoint = None;
        config.url = format!("file://{}", directory.path().display());
        let service = open(&config, Access::Write);
        Self { directory, service }
    }

    fn revision(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("revisions/owner/pkg/{name}.jsonl"))
    }

    fn objects(&self, kind: &str) -> Vec<PathBuf> {
        files(&self.directory.path().join(kind))
    }

    fn bytes(&self) -> u64 {
        let all = files(self.directory.path());
        all.iter().map(|path| path.metadata().unwrap().len()).sum()
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Replaces one object of `stored` by another version, as a commit does that changes one file.
fn change(stored: &mut Stored, n: usize, version: usize) {
    let path = format!("o/1-{n}.o");
    stored.mappings.retain(|outputs| outputs.outputs[0].path != path);
    stored.add(&path, &object(1000 + version as u64, n, 3000));
}

#[test]
fn a_commit_with_one_changed_object_costs_little() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let service = open(&config_at(proxy.address), Access::Write);
    let mut here = Stored::new(1, 4000, 3000);
    here.put(&service, "r0");
    let there = Stored::empty();
    there.get(&service, "r0");
    _ = (proxy.requests(), proxy.received(), proxy.log());
    let mut total = 0;
    for version in 1..=10 {
        change(&mut here, 100 * version, version);
        // As a job has it that starts with nothing: without the store's snapshots.
        fs::remove_dir_all(here.store.layout().snapshots()).unwrap();
        let name = format!("r{version}");
        here.put(&service, &name);
        let (requests, bytes, log) = (proxy.requests(), proxy.received(), proxy.log());
        assert!(requests <= 12, "put {version}: {log:#?}");
        assert!(!log.iter().any(|line| line.contains("list-type")), "a listing: {log:#?}");
        assert!(bytes <= 64 << 10, "put {version}: {bytes} bytes");
        total += bytes;
        there.get(&service, &name);
        let (requests, log) = (proxy.requests(), proxy.log());
        assert!(requests <= 12, "get {version}: {log:#?}");
    }
    println!("10 commits: {total} bytes");
    assert!(total <= 10 * (32 << 10), "{total} bytes");
    assert_eq!(there.verified(&here.mappings), 4000);
    // Whoever comes last pays for no chain.
    let last = Stored::empty();
    let report = last.get(&service, "r10");
    assert_eq!((report.mappings, report.fetched), (4000, 4000));
    let (requests, log) = (proxy.requests(), proxy.log());
    assert!(requests <= 40, "{log:#?}");
}

#[test]
fn differences_say_the_same_as_the_whole() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 900, 300);
    here.put(&shelf.service, "r0");
    for version in 1..=12 {
        change(&mut here, version, version);
        if version % 3 == 0 {
            let dropped = here.mappings.iter().next().unwrap().1.outputs[0].path.clone();
            here.mappings.retain(|outputs| outputs.outputs[0].path != dropped);
        }
        let name = format!("r{version}");
        here.put(&shelf.service, &name);
        let there = Stored::empty();
        there.get(&shelf.service, &name);
        let got = there.store.layout().revision(&scope(), &revision(&name));
        assert_eq!(Mappings::read(&got).unwrap(), here.mappings, "r{version}");
    }
    assert_eq!(shelf.objects("snapshots").len(), 1);
}

#[test]
fn a_put_that_fails_publishes_nothing_poorer() {
    let shelf = Shelf::new();
    let here = Stored::new(1, 10, 1000);
    here.put(&shelf.service, "r1");
    let complete = fs::read(shelf.revision("r1")).unwrap();

    // Two of ten artifacts are gone here: what is there is not replaced by eight mappings, in no mode.
    let mut poorer = Stored::new(2, 10, 1000);
    let lost: Vec<_> = poorer.mappings.artifacts().into_keys().take(2).collect();
    for hash in &lost {
        fs::remove_file(poorer.store.layout().artifact(hash)).unwrap();
    }
    for overwrite in [Overwrite::Mappings, Overwrite::Everything] {
        let report = poorer.try_put(&shelf.service, "r1", overwrite).unwrap();
        assert_eq!((report.outcome, report.unreadable.len()), (Outcome::Withheld, 2));
        assert_eq!(fs::read(shelf.revision("r1")).unwrap(), complete, "{overwrite:?}");
    }
    // Where there is nothing, what arrived is published.
    let report = poorer.try_put(&shelf.service, "r2", Overwrite::default()).unwrap();
    assert_eq!((report.outcome, report.mappings), (Outcome::Written, 8));

    // Nothing at all is never a revision.
    poorer.mappings.retain(|outputs| lost.contains(&outputs.outputs[0].hash));
    let report = poorer.try_put(&shelf.service, "r3", Overwrite::default()).unwrap();
    assert_eq!(report.outcome, Outcome::Withheld);
    let none = Stored::empty().try_put(&shelf.service, "r3", Overwrite::default());
    assert!(matches!(none, Err(RemoteError::NoMappings)), "{none:?}");
    assert!(!shelf.revision("r3").exists());
}

#[test]
fn a_staging_directory_that_is_not_taken_says_what_the_server_said() {
    let s3 = S3::start();
    let here = Stored::new(1, 5, 1000);
    let staged = here.path("staged");
    staging::stage(&here.store, &here.mappings, None, &staged).unwrap();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    proxy.refuse("/packs/");
    let service = open(&config_at(proxy.address), Access::Write);
    let (scope, revision) = (scope(), revision("r1"));
    let to = Destination {
        service: &service,
        scope: &scope,
        revision: &revision,
        reference: None,
        similar: &[],
        overwrite: Overwrite::default(),
        progress: &|_| (),
    };
    let Err(StagedError::NotTaken(report)) = put_staged(&to, &staged) else { panic!() };
    assert_eq!((report.refused.len(), report.unreadable.len()), (5, 0));
    assert!(report.refused.values().all(|lost| lost.reason.contains("access denied")));
    assert!(report.refused.values().all(|lost| lost.path.starts_with("o/1-")));
    assert_eq!(s3.objects_ending(".jsonl").len(), 0);

    let empty = here.path("empty");
    staging::stage(&here.store, &Mappings::default(), None, &empty).unwrap();
    let refused = put_staged(&to, &empty);
    assert!(matches!(refused, Err(StagedError::Remote(RemoteError::NoMappings))), "{refused:?}");
}

#[test]
fn bad_revisions_are_said_and_walked_past() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 50, 2000);
    here.put(&shelf.service, "good");
    let good = here.mappings.clone();
    for (n, name) in ["newer", "empty", "cut", "page", "future", "half"].iter().enumerate() {
        here.add(&format!("{name}.o"), &object(9, n, 2000));
        here.put(&shelf.service, name);
    }
    // Each pack holds what one revision brought; the newest one's is lost.
    let newest = shelf
        .objects("packs")
        .into_iter()
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    fs::remove_file(newest.unwrap()).unwrap();
    fs::write(shelf.revision("empty"), "").unwrap();
    fs::write(shelf.revision("page"), "<html>\nSign in\n</html>\n").unwrap();
    let cut = fs::read(shelf.revision("cut")).unwrap();
    fs::write(shelf.revision("cut"), &cut[..cut.len() - 7]).unwrap();
    let future = fs::read_to_string(shelf.revision("future")).unwrap();
    fs::write(shelf.revision("future"), future.replacen("\"2\"", "\"9\"", 1)).unwrap();

    let there = Stored::empty();
    let walked = ["half", "future", "page", "cut", "empty", "nowhere", "good"].map(revision);
    let search = there.search(&shelf.service, &walked).unwrap();
    assert_eq!(search.report.unwrap().revision, Some(revision("good")));
    let passed: Vec<_> = search.passed.iter().map(|(it, why)| format!("{it}: {why}")).collect();
    assert_eq!(
        passed,
        [
            "half: 1 of 56 artifacts are lost",
            "future: schema version \"9\"; this larder reads \"2\" and \"1\"",
            "page: it is not a revision",
            "cut: it is damaged",
            "empty: it is empty",
        ]
    );
    assert_eq!(there.verified(&good), 50);
    // One that is asked for by its name is not replaced by another.
    let search = there.search(&shelf.service, &[revision("empty")]).unwrap();
    assert_eq!((search.report, search.passed.len()), (None, 1));
}

#[test]
fn where_no_revision_is_whole_the_newest_counts() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 5, 2000);
    here.put(&shelf.service, "old");
    here.add("more.o", b"more");
    here.put(&shelf.service, "new");
    for pack in shelf.objects("packs") {
        fs::remove_file(pack).unwrap();
    }
    let search = Stored::empty().search(&shelf.service, &["new", "old"].map(revision)).unwrap();
    let report = search.report.unwrap();
    assert_eq!((report.revision, report.missing.len()), (Some(revision("new")), 6));
    assert!(report.missing.values().any(|lost| lost.path == "more.o"));
}

#[test]
fn a_put_finds_out_that_packs_are_lost() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 50, 2000);
    here.put(&shelf.service, "r1");
    for pack in shelf.objects("packs") {
        fs::remove_file(pack).unwrap();
    }
    here.add("new.o", b"new");
    assert_eq!(here.put(&shelf.service, "r2").sent, 51);
    assert_eq!(Stored::empty().get(&shelf.service, "r2").fetched, 51);
}

#[test]
fn a_collection_leaves_what_the_kept_revisions_need() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 100, 2000);
    for n in 0..8 {
        change(&mut here, n, n);
        here.put(&shelf.service, &format!("r{n}"));
    }
    // Another scope below this one, and what a killed upload left.
    let orphan =
        shelf.directory.path().join("packs/owner/pkg").join(format!("{}.pack", "0".repeat(64)));
    fs::write(&orphan, "orphan").unwrap();
    let other = shelf.directory.path().join("packs/owner/pkg/pt/linux");
    fs::create_dir_all(&other).unwrap();
    let other = other.join(format!("{}.pack", "0".repeat(64)));
    fs::write(&other, "somebody else's").unwrap();

    let before = shelf.bytes();
    let retention = Retention { newest: 2, max_age: None };
    let report = collect(&shelf.service, &scope(), &here.store, retention).unwrap();
    assert_eq!((report.revisions, report.left, report.held_up), (6, 2, false));
    assert!(before - shelf.bytes() >= report.freed - (1 << 10), "{report:?}");
    assert!(!orphan.exists() && other.exists());
    for (name, fetched) in [("r7", 100), ("r6", 100)] {
        let report = Stored::empty().get(&shelf.service, name);
        assert_eq!((report.fetched, report.missing.len()), (fetched, 0), "{name}");
    }
    assert_eq!(Stored::empty().try_get(&shelf.service, &["r5"]).unwrap(), None);
    // Uploads go on from what is left.
    change(&mut here, 50, 50);
    assert_eq!(here.put(&shelf.service, "r8").sent, 1);
    assert_eq!(Stored::empty().get(&shelf.service, "r8").fetched, 100);
    // What is young is kept as well, if that is asked for.
    let retention = Retention { newest: 1, max_age: Some(Duration::from_secs(3600)) };
    let report = collect(&shelf.service, &scope(), &here.store, retention).unwrap();
    assert_eq!((report.revisions, report.left), (0, 3));
}

#[test]
fn a_collection_spares_what_uploads_use() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 100, 2000);
    for n in 0..4 {
        change(&mut here, n, n);
        here.put(&shelf.service, &format!("r{n}"));
    }
    let uploads = shelf.directory.path().join("uploads/owner/pkg");
    fs::create_dir_all(&uploads).unwrap();
    fs::write(uploads.join("x.json"), r#"{"schemaVersion":"2","bases":["r1"]}"#).unwrap();
    // The upload has sent this, and has not yet said who needs it.
    let sent =
        shelf.directory.path().join("packs/owner/pkg").join(format!("{}.pack", "0".repeat(64)));
    fs::write(&sent, "just sent").unwrap();
    let retention = Retention { newest: 1, max_age: None };
    let report = collect(&shelf.service, &scope(), &here.store, retention).unwrap();
    assert_eq!((report.revisions, report.left, report.held_up), (2, 2, true));
    assert!(sent.exists());
    assert_eq!(Stored::empty().get(&shelf.service, "r1").missing.len(), 0);
    // It is over, and may not delete its note.
    let ended = r#"{"schemaVersion":"2","bases":[],"ended":true}"#;
    fs::write(uploads.join("x.json"), ended).unwrap();
    let report = collect(&shelf.service, &scope(), &here.store, retention).unwrap();
    assert_eq!((report.revisions, report.left, report.held_up), (1, 1, false));
    assert!(!sent.exists() && !uploads.join("x.json").exists());
}

#[test]
fn an_upload_that_may_not_delete_says_that_it_is_over() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    proxy.refuse("?delete");
    let service = open(&config_at(proxy.address), Access::Write);
    Stored::new(1, 3, 100).put(&service, "r1");
    let notes: Vec<_> = s3.objects_ending(".json").into_iter().collect();
    let notes = notes.iter().filter(|path| path.to_str().unwrap().contains("/uploads/"));
    let texts: Vec<_> = notes.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(texts, [r#"{"schemaVersion":"2","bases":[],"ended":true}"#]);
}

#[test]
fn a_collection_does_not_guess_what_it_cannot_read() {
    let shelf = Shelf::new();
    let mut here = Stored::new(1, 20, 2000);
    for n in 0..3 {
        change(&mut here, n, n);
        here.put(&shelf.service, &format!("r{n}"));
    }
    fs::write(shelf.revision("r2"), "").unwrap();
    let packs = shelf.objects("packs").len();
    let retention = Retention { newest: 2, max_age: None };
    let failed = collect(&shelf.service, &scope(), &here.store, retention);
    assert!(matches!(failed, Err(RemoteError::Revision { .. })), "{failed:?}");
    assert_eq!(shelf.objects("packs").len(), packs);
}

#[test]
fn a_service_of_the_old_layout_stays_readable() {
    let shelf = Shelf::new();
    let here = Stored::new(1, 30, 2000);
    here.put(&shelf.service, "r1");
    let root = shelf.directory.path();
    // As larder wrote it before: the mappings, and a catalogue of the packs.
    let text = here.mappings.to_text();
    let mut catalogue =
        format!("\"1\"\n{{\"mappings\":\"{}\"}}\n", larder_testkit::stores::hash(&text));
    for pack in shelf.objects("packs") {
        let (id, bytes) = (pack.file_stem().unwrap().to_str().unwrap(), fs::read(&pack).unwrap());
        let tail = (0..bytes.len())
            .map(|at| &bytes[at..])
            .find(|tail| larder_testkit::stores::hash(tail).to_string() == id)
            .unwrap();
        let tail = base64(tail);
        catalogue.push_str(&format!(
            "{{\"id\":\"{id}\",\"length\":{},\"tail\":\"{tail}\"}}\n",
            bytes.len()
        ));
    }
    fs::write(root.join("revisions/owner/pkg/old.jsonl"), text).unwrap();
    fs::write(root.join("revisions/owner/pkg/old.packs"), &catalogue).unwrap();
    fs::remove_file(shelf.revision("r1")).unwrap();
    fs::remove_dir_all(root.join("recent")).unwrap();
    assert_eq!(Stored::empty().get(&shelf.service, "old").fetched, 30);
    let walked = ["a", "b", "old"].map(revision);
    let search = Stored::empty().search(&shelf.service, &walked).unwrap();
    assert_eq!(search.report.unwrap().fetched, 30);
    // A pair that does not fit is walked past like any other.
    fs::write(root.join("revisions/owner/pkg/b.jsonl"), "\"1\"\n").unwrap();
    fs::write(root.join("revisions/owner/pkg/b.packs"), &catalogue).unwrap();
    let search = Stored::empty().search(&shelf.service, &walked).unwrap();
    assert_eq!(search.passed, [(revision("b"), "it does not match its catalogue".to_owned())]);
    assert_eq!(search.report.unwrap().fetched, 30);
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn a_collection_beside_uploads_breaks_no_revision() {
    let shelf = Shelf::new();
    let done = AtomicBool::new(false);
    let retention = Retention { newest: 2, max_age: None };
    let (directory, done) = (shelf.directory.path(), &done);
    let service = || {
        let mut config = config_at("127.0.0.1:1".parse().unwrap());
        config.endpoint = None;
        config.url = format!("file://{}", directory.display());
        open(&config, Access::Write)
    };
    let uploader = |seed: u64| {
        let service = service();
        move || {
            let mut here = Stored::new(1, 60, 2000);
            for version in 0..25 {
                change(&mut here, version % 60, seed as usize * 1000 + version);
                let name = format!("u{seed}-{version}");
                let report = here.put(&service, &name);
                assert_eq!(report.mappings, 60, "{name}");
            }
            format!("u{seed}-24")
        }
    };
    let last = thread::scope(|threads| {
        let uploads = [threads.spawn(uploader(1)), threads.spawn(uploader(2))];
        let collector = threads.spawn(|| {
            let (service, store) = (service(), Stored::empty());
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                // A revision that goes between being listed and being read is no failure.
                let report = collect(&service, &scope(), &store.store, retention).unwrap();
                removed += report.revisions;
            }
            removed
        });
        let last = uploads.map(|upload| upload.join().unwrap());
        done.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 0);
        last
    });
    // Whatever is left is whole; the last one that was written is among it.
    let mut whole = 0;
    for path in shelf.objects("revisions") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let report = Stored::empty().get(&shelf.service, name);
        assert_eq!((report.fetched, report.missing.len()), (60, 0), "{name}");
        whole += usize::from(last.iter().any(|last| last == name));
    }
    assert!(whole > 0);
}
