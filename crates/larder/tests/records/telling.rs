//! `notify`.

use std::fs;

use larder_testkit::run::run;

use super::support::{Ecosystem, R1};

#[test]
fn notify_says_what_changed_and_nothing_when_nothing_did() {
    let ecosystem = Ecosystem::new();
    let said = ecosystem.shown(&["notify", "--channel", "stdout"]);
    for expected in ["1 broken, 1 working again", "fmt.0.9.0", "build_failure", R1] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(ecosystem.shown(&["notify", "--channel", "stdout"]), "", "it has been said");
    assert_eq!(ecosystem.shown(&["notify", "--message", "hello"]), "hello\n");
    let error = ecosystem.refused(&["notify", "--channel", "slack"], 2);
    assert!(error.contains("LARDER_SLACK_WEBHOOK"), "{error}");
    ecosystem.refused(&["notify", "--channel", "irc"], 2);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = ["notify", "--channel", "slack", "--channel", "stdout", "--message", "hello"];
    let mut command = ecosystem.larder(&both);
    command.env("LARDER_SLACK_WEBHOOK", format!("http://{gone}/s3cret"));
    let said = run(command).ends_with(1).says("slack: not delivered");
    assert!(said.stdout.starts_with("hello"), "the others hear of it");
    assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);

    fs::remove_dir_all(ecosystem.data.packages()).unwrap();
    assert!(ecosystem.shown(&["notify"]).starts_with("larder (no run): 0 broken"), "all are gone");
    assert_eq!(ecosystem.shown(&["notify"]), "");
}
