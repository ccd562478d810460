//! Putting and getting through a real S3 server, over a network that is as bad as we make it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_remote::{Access, Config, GetReport, Outcome, Overwrite};
use larder_store::{Lookup, Store, Tier};
use larder_testkit::{
    services::{Faults, FileServer, Proxy, S3, config_at, open, revision},
    stores::{Stored, hash, object, scope},
};
use tempfile::TempDir;

#[test]
fn what_is_put_comes_back() {
    let s3 = S3::start();
    let service = open(&config_at(s3.address), Access::Write);
    let mut here = Stored::new(1, 50, 3000);
    here.add("empty.o", b"");
    here.add("tool.sh", b"#!/bin/sh\n");
    here.add("large.so", &object(1, 999, 5 << 20));
    let report = here.put(&service, "r1");
    assert_eq!((report.mappings, report.sent, report.reused), (53, 53, 0));

    let there = Stored::empty();
    let report = there.get(&open(&config_at(s3.address), Access::Read), "r1");
    assert_eq!((report.mappings, report.fetched, report.missing.len()), (53, 53, 0));
    assert_eq!(there.verified(&here.mappings), 53);
    for (dep_hash, outputs) in here.mappings.iter() {
        let Lookup::Hit(hit) = there.store.lookup(&scope(), dep_hash, |_| true) else { panic!() };
        assert_eq!(&hit.outputs, outputs);
        let file = &outputs.outputs[0];
        let path = there.dir.path().join("out").join(&file.path);
        there.store.restore(file, &path).unwrap();
        assert_eq!(hash(fs::read(&path).unwrap()), file.hash);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o111 != 0, file.executable);
    }
    let again = there.get(&service, "r1");
    assert_eq!((again.fetched, again.present), (0, 53));
    assert_eq!(there.try_get(&service, &["r2"]).unwrap(), None);
}

#[test]
fn a_get_walks_back_to_a_revision_that_is_there() {
    let s3 = S3::start();
    let service = open(&config_at(s3.address), Access::Write);
    let here = Stored::new(1, 3, 100);
    here.put(&service, "old");
    let there = Stored::empty();
    let mut revisions: Vec<_> = (0..60).map(|n| format!("r{n}")).collect();
    revisions.push("old".to_owned());
    let revisions: Vec<_> = revisions.iter().map(String::as_str).collect();
    let report = there.try_get(&service, &revisions).unwrap().unwrap();
    assert_eq!(report.revision.unwrap().as_str(), "old");
}

#[test]
fn an_incremental_put_sends_what_is_new() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let service = open(&config_at(proxy.address), Access::Write);
    let mut here = Stored::new(1, 100, 20_000);
    here.put(&service, "r0");
    let first = proxy.received();
    let mut sent = 0;
    for n in 1..=40 {
        here.add(&format!("new{n}.o"), &object(7, n, 20_000));
        let report = here.put(&service, &format!("r{n}"));
        assert_eq!(report.sent + report.reused, 100 + n);
        sent += report.sent;
    }
    // Packs that grew too many are sent again, together, now and then.
    assert!(sent <= 100, "{sent}");
    let later = proxy.received();
    assert!(later < first * 2, "{first} bytes, then {later}");
    let same = here.put(&service, "r41");
    assert_eq!((same.sent, same.reused), (0, 140));
    // And the last revision still comes in few requests.
    proxy.requests();
    let there = Stored::empty();
    there.get(&open(&config_at(proxy.address), Access::Read), "r40");
    assert_eq!(there.verified(&here.mappings), 140);
    let requests = proxy.requests();
    assert!(requests <= 40, "{requests}");
}

#[test]
fn a_broken_off_put_is_taken_up_and_never_shows() {
    let s3 = S3::start();
    let mut here = Stored::new(1, 20, 2000);
    here.add("large.so", &object(1, 999, 6 << 20));
    let service = open(&config_at(s3.address), Access::Write);
    here.put(&service, "r1");
    let full = s3.objects().len();
    // As if killed before the revision, and with no hint of it.
    for ending in [".jsonl", ".json"] {
        for path in s3.objects_ending(ending) {
            fs::remove_file(path).unwrap();
        }
        let there = Stored::empty();
        assert_eq!(there.try_get(&service, &["r1"]).unwrap(), None);
    }
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    here.put(&open(&config_at(proxy.address), Access::Write), "r1");
    assert!(proxy.received() < 100_000, "nothing large is sent twice");
    assert_eq!(s3.objects().len(), full);
}

#[test]
fn revisions_can_be_left_replaced_and_mended() {
    let s3 = S3::start();
    let service = open(&config_at(s3.address), Access::Write);
    let here = Stored::new(1, 10, 1000);
    here.put(&service, "r1");
    let other = Stored::new(2, 4, 1000);
    let report = other.try_put(&service, "r1", Overwrite::Nothing).unwrap();
    assert_eq!(report.outcome, Outcome::LeftAlone);
    assert_eq!(Stored::empty().get(&service, "r1").mappings, 10);
    other.put(&service, "r1");
    assert_eq!(Stored::empty().get(&service, "r1").mappings, 4);

    // Somebody's upload, or the disk beneath, is broken: a miss for others, and mended by force.
    for path in s3.objects_ending(".pack") {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let there = Stored::empty();
    let report = there.get(&service, "r1");
    assert_eq!((report.fetched, report.missing.len()), (0, 4));
    assert_eq!(there.verified(&other.mappings), 0);
    other.try_put(&service, "r1", Overwrite::Everything).unwrap();
    let report = there.get(&service, "r1");
    assert_eq!((report.fetched, report.missing.len()), (4, 0));
}

#[test]
fn missing_artifacts_cost_only_the_mappings_that_mention_them() {
    let s3 = S3::start();
    let service = open(&config_at(s3.address), Access::Write);
    let here = Stored::new(1, 10, 1000);
    let lost = *here.mappings.artifacts().keys().next().unwrap();
    fs::remove_file(here.store.layout().artifact(&lost)).unwrap();
    let report = here.try_put(&service, "r1", Overwrite::default()).unwrap();
    assert_eq!((report.mappings, report.sent, report.unreadable.len()), (9, 9, 1));
    assert_eq!(Stored::empty().get(&service, "r1").fetched, 9);
}

fn arrives(faults: Faults, seed: u64) -> GetReport {
    arrives_within(None, faults, seed)
}

/// Gets everything through a bad network, with a time after which an answer is no longer waited for.
fn arrives_within(seconds: Option<u64>, faults: Faults, seed: u64) -> GetReport {
    let s3 = S3::start();
    let mut here = Stored::new(seed, 300, 14_000);
    here.add("large.so", &object(seed, 999, 5 << 20));
    here.put(&open(&config_at(s3.address), Access::Write), "r1");
    let proxy = Proxy::start(s3.address, faults, seed);
    let there = Stored::empty();
    let mut config = config_at(proxy.address);
    config.timeout_seconds = seconds.or(config.timeout_seconds);
    let report = there.get(&open(&config, Access::Read), "r1");
    assert_eq!(there.verified(&here.mappings), 301, "{:?}", report.missing);
    report
}

#[test]
fn everything_arrives_through_429() {
    arrives(Faults { too_many: 0.3, retry_after: 1, ..Faults::default() }, 11);
}

#[test]
fn everything_arrives_through_503() {
    arrives(Faults { unavailable: 0.3, ..Faults::default() }, 12);
}

#[test]
fn everything_arrives_through_resets() {
    arrives(Faults { reset: 0.3, ..Faults::default() }, 13);
}

#[test]
fn everything_arrives_through_stalls() {
    // An answer that is late because the machine is busy is asked for again, like one that never comes:
    // that costs nothing but time, unless it is late ten times in a row.
    arrives_within(Some(2), Faults { stall: 0.15, ..Faults::default() }, 14);
}

#[test]
fn everything_arrives_through_truncation() {
    arrives(Faults { truncate: 0.3, ..Faults::default() }, 15);
}

#[test]
fn everything_arrives_through_forgery() {
    arrives(Faults { forge: 0.3, ..Faults::default() }, 16);
}

#[test]
fn puts_survive_a_bad_network() {
    let s3 = S3::start();
    let faults = Faults {
        unavailable: 0.15,
        reset: 0.1,
        too_many: 0.05,
        truncate: 0.1,
        ..Faults::default()
    };
    let proxy = Proxy::start(s3.address, faults, 21);
    let mut here = Stored::new(1, 100, 14_000);
    here.add("large.so", &object(1, 999, 20 << 20));
    here.put(&open(&config_at(proxy.address), Access::Write), "r1");
    let there = Stored::empty();
    there.get(&open(&config_at(s3.address), Access::Read), "r1");
    assert_eq!(there.verified(&here.mappings), 101);
}

#[test]
fn a_dead_service_is_given_up_soon() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let service = open(&config_at(proxy.address), Access::Write);
    let here = Stored::new(1, 100, 14_000);
    here.put(&service, "r1");
    proxy.set(Faults { unavailable: 1.0, ..Faults::default() });
    proxy.requests();
    let error = Stored::empty().try_get(&service, &["r1"]).unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    assert!(!error.contains("Slow down"), "{error}");
    let requests = proxy.requests();
    assert!((2..=40).contains(&requests), "{requests}");
}

#[test]
fn a_wrong_key_is_said_so_and_not_shown() {
    let s3 = S3::start();
    let key = larder_remote::Key { id: "AKWRONG".to_owned(), secret: "hunter2".to_owned() };
    let mut config = config_at(s3.address);
    config.credentials = Arc::new(key.into());
    let service = open(&config, Access::Write);
    let error = Stored::new(1, 1, 10).try_put(&service, "r", Overwrite::default()).unwrap_err();
    let error = format!("{error} {error:?}");
    assert!(error.contains("access denied"), "{error}");
    assert!(!error.contains("AKWRONG") && !error.contains("hunter2"), "{error}");
}

#[test]
fn artifacts_come_on_demand_with_their_neighbours() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let mut here = Stored::new(1, 200, 10_000);
    here.add("large.so", &object(1, 999, 5 << 20));
    here.put(&open(&config_at(s3.address), Access::Write), "r1");

    let mut config = config_at(proxy.address);
    config.anonymous_reads = false;
    let there = Stored::empty();
    let service = open(&config, Access::Read);
    let request = larder_remote::Get { mappings_only: true, ..there.request(&service) };
    let report = larder_remote::get(&request, &[revision("r1")]).unwrap().report.unwrap();
    assert_eq!((report.mappings, report.fetched), (201, 0));
    assert_eq!(there.verified(&here.mappings), 0);
    proxy.requests();

    let mut services = Config::default();
    services.cache.services.push(config);
    let root = there.store.layout().root().to_owned();
    let upstream = larder_remote::on_demand(services, there.store.layout()).unwrap();
    let store = Store::open(root).unwrap().with_upstream(upstream);
    let mut hits = 0;
    for (dep_hash, outputs) in here.mappings.iter() {
        let Lookup::Hit(hit) = store.lookup(&scope(), dep_hash, |_| true) else { panic!() };
        hits += usize::from(hit.tier == Tier::Service);
        let path = there.dir.path().join("out").join(&outputs.outputs[0].path);
        store.restore(&outputs.outputs[0], &path).unwrap();
    }
    assert!(hits < 20, "neighbours come along: {hits}");
    assert_eq!(there.verified(&here.mappings), 201);
}

#[test]
fn a_plain_web_server_serves_what_was_put_into_a_directory() {
    let directory = TempDir::new().unwrap();
    let mut config = config_at("127.0.0.1:1".parse().unwrap());
    config.endpoint = None;
    config.url = format!("file://{}", directory.path().display());
    let mut here = Stored::new(1, 50, 3000);
    here.add("large.so", &object(1, 999, 5 << 20));
    here.put(&open(&config, Access::Write), "r1");
    for ranges in [true, false] {
        let server = FileServer::start(directory.path(), ranges);
        config.url = format!("http://{}/", server.address);
        config.anonymous_reads = true;
        let there = Stored::empty();
        let report = there.get(&open(&config, Access::Read), "r1");
        assert_eq!(
            (report.fetched, report.missing.len()),
            (51, 0),
            "{ranges} {:?}",
            report.missing.values().next()
        );
        assert_eq!(there.try_get(&open(&config, Access::Read), &["r2", "r3"]).unwrap(), None);
    }
}

#[test]
fn many_small_artifacts_take_few_requests() {
    let s3 = S3::start();
    let here = Stored::new(1, 1200, 14 << 10);
    here.put(&open(&config_at(s3.address), Access::Write), "r1");
    let faults = Faults { delay: Duration::from_millis(40), ..Faults::default() };
    let proxy = Proxy::start(s3.address, faults, 0);
    let service = open(&config_at(proxy.address), Access::Read);
    let there = Stored::empty();
    let begin = Instant::now();
    let report = there.get(&service, "r1");
    let (took, requests) = (begin.elapsed(), proxy.requests());
    println!("1,200 artifacts in {took:?}, {requests} requests, {} bytes", proxy.sent());
    assert_eq!(report.fetched, 1200);
    assert!(requests <= 60, "{requests}");
}
