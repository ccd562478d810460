//! Builds whose mappings a service has, when that service accepts and never answers, or drips.

use std::time::{Duration, Instant};

use larder_testkit::services::{Answer, Canned};

use super::{services::in_directory, support::*};

const DEADLINE: u64 = 3;

/// Builds what was put into a service that is now what answers at this address: once, with mappings of two
/// revisions at hand.
fn builds_in_spite_of(server: &Canned, why: &str) {
    let machine = Machine::new();
    machine.configure(&in_directory(&machine));
    let work = machine.path("work/app");
    run(machine.larder(&["build", "-o", "outputs.jsonl"])).ok();
    machine.packages("there");
    for rev in ["r1", "r2"] {
        run(machine.larder(&["cache", "put", "outputs.jsonl", "--rev", rev])).ok();
        run(machine.larder_in("there", &["cache", "get", "--rev", rev, "--mappings-only"])).ok();
    }
    assert!(work.join("outputs.jsonl").exists());
    machine.configure(&format!(
        "url = \"http://{}/\"\nanswer-seconds = {DEADLINE}\nstall-seconds = {DEADLINE}",
        server.address
    ));
    let begin = Instant::now();
    let built = machine.built("there", machine.larder_in("there", &["--json", "build"]));
    let took = begin.elapsed();
    assert_eq!(built.built().len(), STEPS, "{built:?}");
    built.said_once(&["service team", why, "it is not asked again"]);
    assert!(took >= Duration::from_secs(DEADLINE), "{took:?}");
    assert!(took < Duration::from_secs(2 * DEADLINE), "it waited more than once: {took:?}");
    assert!(server.asked().len() <= 2);
}

#[test]
fn a_build_waits_once_for_a_service_that_never_answers() {
    builds_in_spite_of(&Canned::silent(), "no answer within 3 s");
}

#[test]
fn a_build_waits_once_for_a_service_that_drips() {
    let head = "HTTP/1.1 206 Partial Content\r\ncontent-length: 100000\r\n\
                content-range: bytes 0-99999/100000\r\n\r\n";
    let server = Canned::start(move |_, _| Answer::Drip(head.as_bytes().to_vec()));
    builds_in_spite_of(&server, "less than 3072 bytes in 3 s");
}
