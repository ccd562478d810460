//! `larder cache services`: what is configured, what works, and what is never shown.

use std::{fs, path::PathBuf};

use larder_testkit::{
    machine::{KEY, Machine},
    run::{Run, run},
    services::{Answer, Canned, Collections, Policy, S3, nginx},
};

/// A machine with this service, and a directory on it to work in.
fn machine(service: &str) -> (Machine, PathBuf) {
    let machine = Machine::new();
    machine.configure(service);
    let work = machine.path("work");
    fs::create_dir(&work).unwrap();
    (machine, work)
}

fn s3(server: &S3) -> String {
    format!("url = \"s3://bucket/prefix\"\nendpoint = \"http://{}\"", server.address)
}

#[test]
fn a_check_says_what_works_and_what_that_takes() {
    let server = S3::with(Policy::MayNotList);
    let (machine, work) = machine(&s3(&server));
    let said = machine.cache(&work, 0, &["services", "--check", "--write"]);
    assert_eq!(
        said.stdout,
        "team  s3://bucket/prefix  default, uploads\n  \
         reach   works\n  \
         read    works\n  \
         ranges  works\n  \
         list    fails: access denied; check LARDER_CACHE_KEY or the provider's own variables \
         (AccessDenied); takes s3:ListBucket\n  \
         write   works\n"
    );
    assert!(server.objects().is_empty(), "{:?}", server.objects());
    let said = machine.cache(&work, 0, &["services", "--check"]);
    said.mentions(&["write   not tried: --write tries it"]);
    let server = S3::with(Policy::MayOnlyRead);
    machine.configure(&s3(&server));
    let said = machine.cache(&work, 0, &["--json", "services", "--check", "--write"]);
    let events = said.events();
    let write = events.iter().find(|event| event["check"] == "write").unwrap();
    assert_eq!(
        (write["outcome"].as_str(), write["takes"].as_str(), write["service"].as_str()),
        (Some("fails"), Some("s3:PutObject"), Some("team"))
    );
}

#[test]
fn a_bucket_that_is_not_there_is_named_with_what_to_do() {
    let server = Canned::start(|head, _| {
        let body = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>";
        let body = if head.starts_with("HEAD") { "" } else { body };
        Answer::new("404 Not Found", "", body.as_bytes())
    });
    let url = format!("url = \"s3://bucket/prefix\"\nendpoint = \"http://{}\"", server.address);
    let (machine, work) = machine(&url);
    let said = machine.cache(&work, 1, &["services", "--check", "--write"]);
    said.mentions(&[
        "reach   works",
        "read    fails: there is no such bucket; make it where",
        "list    fails: there is no such bucket; make it where",
        "write   fails: there is no such bucket; make it where",
        "aws s3 mb s3://",
    ]);
    // For whoever only reads, nothing is there.
    let said = machine.cache(&work, 1, &["get", "--rev", "r1", "--scope", "x"]);
    assert!(!said.stderr.contains("no such bucket"), "{}", said.stderr);
}

#[test]
fn a_name_that_is_misspelt_is_set_right() {
    let (machine, work) = machine("url = \"file:///nowhere\"");
    let said = machine.cache(&work, 2, &["get", "--service", "taem", "--rev", "r", "--scope", "x"]);
    said.mentions(&["no service is named \"taem\"", "help: did you mean \"team\"?"]);
    let said =
        machine.cache(&work, 2, &["get", "--service", "other", "--rev", "r", "--scope", "x"]);
    assert!(!said.stderr.contains("did you mean"), "{}", said.stderr);
}

#[test]
fn a_check_fails_where_a_service_cannot_be_read() {
    let server = S3::start();
    let (machine, work) = machine(&s3(&server));
    let wrong = || {
        let mut command = machine.command(&work, &["cache", "services", "--check"]);
        command.env("LARDER_CACHE_KEY", "AKWRONG:hunter2");
        run(command).ends_with(1)
    };
    let said = wrong().mentions(&["reach   works", "read    fails: access denied"]);
    shows_nothing(&said, &["AKWRONG", "hunter2"]);

    let silent = Canned::silent();
    machine.configure(&format!("url = \"http://{}/\"\nanswer-seconds = 1", silent.address));
    machine
        .cache(&work, 1, &["services", "--check"])
        .mentions(&["reach   fails: no answer within 1 s", "read    not tried"]);
}

#[track_caller]
fn shows_nothing(said: &Run, secrets: &[&str]) {
    for secret in secrets {
        assert!(!said.stdout.contains(secret), "{}", said.stdout);
        assert!(!said.stderr.contains(secret), "{}", said.stderr);
    }
}

#[test]
fn no_secret_of_a_url_or_the_environment_is_shown() {
    let (machine, work) = machine("");
    for url in
        ["https://user:hunter2@cache.example.org/x", "https://cache.example.org/?sig=hunter2"]
    {
        machine.configure(&format!("url = \"{url}\"\nendpoint = \"{url}\""));
        for (code, arguments) in [
            (0, &["services"][..]),
            (0, &["--json", "services"]),
            (1, &["services", "--check"]),
            (1, &["--json", "services", "--check"]),
            (2, &["get", "--rev", "r1", "--scope", "a"]),
            (2, &["--json", "-v", "get", "--rev", "r1", "--scope", "a"]),
        ] {
            let said = machine.cache(&work, code, arguments);
            shows_nothing(&said, &["hunter2", "user", KEY.0, KEY.1]);
        }
    }
}

#[test]
fn a_password_of_a_web_server_comes_from_the_environment() {
    let Some(server) = nginx(Collections::ByPut) else { return };
    let (machine, work) = machine(&format!("url = \"{}\"", server.http().url));
    machine.cache(&work, 0, &["services", "--check", "--write"]).mentions(&["write   works"]);
    let without = machine.command(&work, &["cache", "services", "--check"]);
    run(without).ends_with(1).mentions(&["not authenticated", "LARDER_CACHE_TOKEN"]);
}
