//! Baking while the service that has everything is there, gone, half gone, or throttling.

use std::{fs, net::TcpListener, time::Instant};

use larder_testkit::{
    machine::KEY,
    services::{Faults, Proxy, S3},
};

use super::support::*;

/// A machine that has put what it built on a service: revision `r1`.
fn put(machine: &Machine, service: &str) {
    machine.configure(service);
    let outputs = machine.path("outputs.jsonl");
    run(machine.larder(&["build", "-o", outputs.to_str().unwrap()])).ok();
    let mut command = machine.larder(&["cache", "put", outputs.to_str().unwrap(), "--rev", "r1"]);
    command.env("LARDER_CACHE_KEY", format!("{}:{}", KEY.0, KEY.1));
    run(command).ok();
}

/// Bakes on a machine that has only the service.
fn bake(machine: &Machine, name: &str) -> Built {
    machine.packages(name);
    let offline = machine.offline();
    let _ = fs::remove_dir_all(&offline);
    let bake = ["--json", "cache", "bake", offline.to_str().unwrap(), "--rev", "r1"];
    let mut command = machine.larder_in(name, &bake);
    command.env("LARDER_CACHE_KEY", format!("{}:{}", KEY.0, KEY.1));
    let said = run(command).ok();
    let baked = said.events().into_iter().find(|event| event["event"] == "baked").unwrap();
    assert_eq!((&baked["mappings"], &baked["artifacts"]), (&STEPS.into(), &STEPS.into()));
    Built::of(&said)
}

pub fn in_directory(machine: &Machine) -> String {
    format!("url = \"file://{}\"", machine.path("service").display())
}

#[test]
fn what_the_service_has_is_not_built() {
    let machine = Machine::new();
    put(&machine, &in_directory(&machine));
    bake(&machine, "there").all_restored();
    machine.build_elsewhere("user", &[]).all_restored();
}

#[test]
fn what_the_service_lost_is_built() {
    let machine = Machine::new();
    put(&machine, &in_directory(&machine));
    let from_service = {
        bake(&machine, "whole");
        contents(&machine.offline())
    };
    let packs = machine.path("service/packs/app");
    let pack = fs::read_dir(&packs).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&pack).unwrap();
    fs::write(&pack, &whole[..whole.len() / 2]).unwrap();
    let built = bake(&machine, "half");
    assert_eq!(built.built().len() + built.with("restored").len(), STEPS, "{built:?}");
    assert!(!built.built().is_empty(), "{built:?}");
    assert_eq!(contents(&machine.offline()), from_service, "from source it is the same");
    fs::remove_dir_all(machine.path("service/revisions")).unwrap();
    let built = bake(&machine, "gone");
    assert_eq!(built.built().len(), STEPS);
    built.said_once(&["service team does not have app", "building from source"]);
    assert_eq!(contents(&machine.offline()), from_service);
}

#[test]
fn mappings_whose_artifacts_are_gone_are_built() {
    let machine = Machine::new();
    put(&machine, &in_directory(&machine));
    machine.packages("there");
    // They were to be fetched on demand; then the service went away.
    run(machine.larder_in("there", &["cache", "get", "--rev", "r1", "--mappings-only"])).ok();
    fs::remove_dir_all(machine.path("service")).unwrap();
    let offline = machine.offline();
    let said = run(machine.larder_in("there", &["cache", "bake", offline.to_str().unwrap()]));
    said.ok().mentions(&["baked 5 mappings and 5 artifacts"]);
    machine.build_elsewhere("user", &[]).all_restored();
}

/// A service at a port where nobody listens.
fn unreachable() -> String {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("url = \"http://{closed}/\"\ntimeout-seconds = 1")
}

#[test]
fn a_service_that_cannot_be_reached_is_given_up() {
    let machine = Machine::new();
    machine.configure(&unreachable());
    let begin = Instant::now();
    let built = bake(&machine, "there");
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
    assert_eq!(built.built().len(), STEPS);
    built.said_once(&["building from source"]);
    machine.build_elsewhere("user", &[]).all_restored();
}

#[test]
fn with_an_offline_store_get_needs_no_service() {
    let machine = Machine::new();
    machine.bake();
    machine.configure(&unreachable());
    machine.packages("other");
    let mut get = machine.larder_in("other", &["cache", "get", "--rev", "r1"]);
    get.env("LARDER_OFFLINE_STORE", machine.offline());
    run(get).ok().mentions(&["unpacked 5 mappings and 5 artifacts"]);
}

#[test]
fn a_service_that_throttles_is_waited_for() {
    let s3 = S3::start();
    let machine = Machine::new();
    let service = |address| {
        format!(
            "url = \"s3://bucket/prefix\"\nendpoint = \"http://{address}\"\ntimeout-seconds = 5"
        )
    };
    put(&machine, &service(s3.address));
    let faults = Faults { too_many: 0.5, retry_after: 1, ..Faults::default() };
    let proxy = Proxy::start(s3.address, faults, 7);
    machine.configure(&service(proxy.address));
    bake(&machine, "there").all_restored();
}

#[test]
fn offline_asks_no_service() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let machine = Machine::new();
    let address = proxy.address;
    machine.configure(&format!("url = \"s3://bucket/p\"\nendpoint = \"http://{address}\""));
    let offline = machine.offline();
    let key = format!("{}:{}", KEY.0, KEY.1);
    for arguments in [
        &["--offline", "cache", "bake", offline.to_str().unwrap()][..],
        &["--offline", "build"],
        &["--offline", "cache", "get"],
    ] {
        let mut command = machine.larder(arguments);
        command.env("LARDER_CACHE_KEY", &key).env("LARDER_OFFLINE_STORE", &offline);
        run(command).ok();
        let mut command = machine.larder(&arguments[1..]);
        command.env("LARDER_OFFLINE", "1").env("LARDER_CACHE_KEY", &key);
        command.env("LARDER_OFFLINE_STORE", &offline);
        run(command).ok();
    }
    run(machine.larder(&["--offline", "cache", "get"]))
        .ends_with(1)
        .mentions(&["network is forbidden"]);
    assert_eq!(proxy.requests(), 0);
}
