//! The same things done with every kind of server that users have: rclone, nginx, moto, and `s3s`.

use std::{fs, sync::Arc};

use larder_remote::{Access, Check, Config, Credentials, Finding, Key, Overwrite, ServiceConfig};
use larder_store::{Lookup, Store};
use larder_testkit::{
    machine::KEY,
    services::{Collections, Program, S3, moto, nginx, open, rclone_s3, rclone_webdav, revision},
    stores::{Stored, object, scope},
};

/// Puts, gets into a fresh store, gets on demand, replaces, and asks for what is not there.
fn conforms(config: &ServiceConfig) {
    let writer = open(config, Access::Write);
    let mut here = Stored::new(1, 60, 3000);
    here.add("empty.o", b"");
    // Larger than a part of an upload, and than a block.
    here.add("large.so", &object(1, 999, 9 << 20));
    let report = here.put(&writer, "r1");
    assert_eq!((report.mappings, report.sent), (62, 62));

    let reader = open(config, Access::Read);
    let there = Stored::empty();
    assert_eq!(there.try_get(&reader, &["r2"]).unwrap(), None);
    let report = there.try_get(&reader, &["r3", "r2", "r1"]).unwrap().unwrap();
    assert_eq!((report.fetched, report.missing.len()), (62, 0), "{:?}", report.missing);
    assert_eq!(there.verified(&here.mappings), 62);

    // A few out of many, by ranges.
    let there = Stored::empty();
    let request = larder_remote::Get { mappings_only: true, ..there.request(&reader) };
    larder_remote::get(&request, &[revision("r1")]).unwrap().report.unwrap();
    let mut services = Config::default();
    services.cache.services.push(config.clone());
    let upstream = larder_remote::on_demand(services, there.store.layout()).unwrap();
    let store = Store::open(there.store.layout().root()).unwrap().with_upstream(upstream);
    for (dep_hash, outputs) in here.mappings.iter() {
        assert!(matches!(store.lookup(&scope(), dep_hash, |_| true), Lookup::Hit(_)));
        let path = there.dir.path().join("out").join(&outputs.outputs[0].path);
        store.restore(&outputs.outputs[0], &path).unwrap();
    }
    assert_eq!(there.verified(&here.mappings), 62);

    // Once more, other things, and by force.
    let other = Stored::new(2, 5, 1000);
    let left = other.try_put(&writer, "r1", Overwrite::Nothing).unwrap();
    assert_eq!(left.outcome, larder_remote::Outcome::LeftAlone);
    other.put(&writer, "r1");
    assert_eq!(Stored::empty().get(&reader, "r1").mappings, 5);
    let report = here.try_put(&writer, "r1", Overwrite::Everything).unwrap();
    assert_eq!((report.sent, report.is_complete()), (62, true));
    assert_eq!(Stored::empty().get(&reader, "r1").fetched, 62);
}

/// With another key, the error says so, and shows none of it.
fn refuses_another_key(config: &ServiceConfig) {
    let mut config = config.clone();
    let key = Key { id: "AKWRONG".to_owned(), secret: "hunter2".to_owned() };
    config.credentials = Arc::new(key.into());
    config.outlook = Arc::default();
    let error = Stored::empty().try_get(&open(&config, Access::Read), &["r1"]).unwrap_err();
    let error = format!("{error} {error:?}");
    assert!(error.contains("access denied") || error.contains("not authenticated"), "{error}");
    assert!(!error.contains("AKWRONG") && !error.contains("hunter2"), "{error}");
    let put =
        Stored::new(1, 1, 10).try_put(&open(&config, Access::Write), "r", Overwrite::default());
    let error = put.unwrap_err().to_string();
    assert!(error.contains("access denied") || error.contains("not authenticated"), "{error}");
}

/// All that a check finds works, but perhaps listing.
fn checks(config: &ServiceConfig) -> Check {
    let check = larder_remote::check(config, true).unwrap();
    for finding in [&check.reach, &check.read, &check.ranges, &check.write] {
        assert_eq!(finding, &Finding::Works);
    }
    check
}

fn files_below(server: &Program, name: &str) -> usize {
    let directory = server.root().join(name);
    fs::read_dir(directory).map_or(0, |entries| entries.count())
}

#[test]
fn s3s_will_do() {
    let s3 = S3::start();
    let config = larder_testkit::services::config_at(s3.address);
    conforms(&config);
    refuses_another_key(&config);
    assert_eq!(checks(&config).list, Finding::Works);
}

#[test]
fn rclone_as_s3_will_do() {
    let Some(server) = rclone_s3() else { return };
    conforms(&server.s3());
    refuses_another_key(&server.s3());
    assert_eq!(checks(&server.s3()).list, Finding::Works);
    assert_eq!(files_below(&server, "bucket/some/prefix/probes"), 0);
}

#[test]
fn rclone_as_webdav_will_do() {
    let Some(server) = rclone_webdav() else { return };
    conforms(&server.http());
    refuses_another_key(&server.http());
    assert_eq!(checks(&server.http()).list, Finding::Works);
    assert_eq!(files_below(&server, "cache/probes"), 0);
}

#[test]
fn nginx_that_makes_collections_when_asked_will_do() {
    let Some(server) = nginx(Collections::ByMkcol) else { return };
    conforms(&server.http());
    refuses_another_key(&server.http());
    assert!(matches!(checks(&server.http()).list, Finding::Fails { .. }));
    assert_eq!(files_below(&server, "cache/probes"), 0);
}

#[test]
fn nginx_that_knows_put_and_no_more_will_do() {
    let Some(server) = nginx(Collections::ByPut) else { return };
    conforms(&server.http());
    refuses_another_key(&server.http());
    assert!(matches!(checks(&server.http()).list, Finding::Fails { .. }));
}

#[test]
fn moto_will_do() {
    let Some(server) = moto() else { return };
    let url = format!("http://{}/bucket", server.address);
    // It takes any key, and makes buckets for anyone.
    let create = std::process::Command::new("curl").args(["-sf", "-X", "PUT", &url]).status();
    assert!(create.unwrap().success());
    conforms(&server.s3());
    assert_eq!(checks(&server.s3()).list, Finding::Works);
}

#[test]
fn the_key_of_a_plain_server_comes_from_the_environment() {
    let Some(server) = nginx(Collections::ByPut) else { return };
    let mut config = Config::default();
    config.cache.services.push(ServiceConfig::new("my-team", server.http().url));
    let key = format!("{}:{}", KEY.0, KEY.1);
    for name in ["LARDER_CACHE_KEY", "LARDER_CACHE_KEY_MY_TEAM"] {
        let credentials = Arc::new(Credentials::of([(name, &key)]));
        let config = config.clone().with_credentials(&credentials);
        checks(config.service(None).unwrap());
    }
    let credentials = Arc::new(Credentials::of([("LARDER_CACHE_KEY_OTHERS", &key)]));
    let config = config.with_credentials(&credentials);
    let check = larder_remote::check(config.service(None).unwrap(), true).unwrap();
    let Finding::Fails { reason, .. } = check.read else { panic!() };
    assert!(reason.contains("LARDER_CACHE_TOKEN"), "{reason}");

    // Where there are others, one without a name may be theirs.
    let mut config = config;
    config.cache.services.push(ServiceConfig::new("others", "s3://bucket"));
    let credentials = Arc::new(Credentials::of([("LARDER_CACHE_KEY", &key)]));
    let config = config.with_credentials(&credentials);
    let check = larder_remote::check(config.service(Some("my-team")).unwrap(), false).unwrap();
    let Finding::Fails { reason, .. } = check.read else { panic!() };
    assert!(reason.contains("set LARDER_CACHE_KEY_MY_TEAM"), "{reason}");
}
