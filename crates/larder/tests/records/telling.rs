//! `notify`.

use std::fs;

use larder_testkit::run::run;
use larder_testkit::services::{Mail, SmtpServer};

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

#[test]
fn settings_that_are_wrong_are_told_without_what_may_be_a_secret() {
    let ecosystem = Ecosystem::new();
    let path = ecosystem.data.root().join("notify.toml");
    for (settings, error) in [
        (
            "[slack]\nwebhook = \"https://hooks.slack.com/s3cret\"\n",
            "line 2: unknown field `webhook`",
        ),
        ("[slack]\nsecret-file = 53\n", "line 2: a wrong value: expected path string"),
        ("fold = \"s3cret\"\n", "line 1: a wrong value: expected usize"),
        (
            "[email]\nhost = \"h\"\nfrom = \"x\"\nsecurity = \"s3cret\"\n",
            "line 4: a wrong value: expected one of",
        ),
        ("[slack\nx = \"s3cret\"\n", "line 1: "),
    ] {
        fs::write(&path, settings).unwrap();
        let said = run(ecosystem.larder(&["notify"])).ends_with(2).says("notify.toml").says(error);
        assert!(!said.stderr.contains("s3cret") && !said.stderr.contains("53"), "{}", said.stderr);
    }
    fs::remove_file(path).unwrap();
    let error = ecosystem.refused(&["notify", "--template", "no/such"], 2);
    assert!(error.contains("template no/such: No such file or directory"), "{error}");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said = run(ecosystem.larder(&["notify"]).stdout(full)).ends_with(1);
    assert!(said.stderr.contains("No space left") && !said.stderr.contains("os error"), "{said:?}");
}

/// An ecosystem with a set beside its data, and mail to these and to those whom the set names.
fn with_set(set: &str, server: &SmtpServer, to: &str) -> Ecosystem {
    let ecosystem = Ecosystem::new();
    fs::write(ecosystem.directory.path().join("larder-set.toml"), set).unwrap();
    let settings = format!(
        "[email]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"larder@example.org\"\n\
         to = [{to}]\nmaintainers = true\n",
        server.port
    );
    fs::write(ecosystem.data.root().join("notify.toml"), settings).unwrap();
    ecosystem
}

/// The mails that came, by address.
fn received(server: &mut SmtpServer, count: usize) -> Vec<Mail> {
    let mut mails: Vec<Mail> = (0..count).map(|_| server.received()).collect();
    mails.sort_by_key(|mail| mail.to().to_owned());
    mails
}

#[test]
fn each_maintainer_that_the_set_names_gets_one_mail() {
    let Some(mut server) = SmtpServer::start("none") else { return };
    let set = r#"[maintainers]
fmt = ["Ana <ana@example.org>", "bo@example.org", "all@example.org"]
zlib = ["ana@EXAMPLE.org"]
"zlib.1.3.1" = ["ana@example.org", "cy@example.org"]
odoc = ["nobody@example.org"]
unrelated-thing = ["dan@example.org"]
"#;
    let ecosystem = with_set(set, &server, "\"All <all@example.org>\"");
    let whom = |arguments: &[&str]| {
        let events = ecosystem.events(arguments);
        let whom = events.iter().map(|event| event["recipient"].as_str().unwrap().to_owned());
        whom.collect::<Vec<_>>()
    };
    let everybody =
        ["All <all@example.org>", "Ana <ana@example.org>", "bo@example.org", "cy@example.org"];
    assert_eq!(whom(&["notify", "--dry-run"]), everybody, "nothing of odoc is news");
    run(ecosystem.larder(&["notify"])).ok();
    let mails = received(&mut server, 4);
    let to: Vec<&str> = mails.iter().map(Mail::to).collect();
    assert_eq!(to, ["all@example.org", "ana@example.org", "bo@example.org", "cy@example.org"]);
    let [all, ana, bo, cy] = &mails[..] else { panic!("{mails:?}") };
    for (mail, fmt, zlib, new) in [
        (all, true, true, true),
        (ana, true, true, false),
        (bo, true, false, false),
        (cy, false, true, false),
    ] {
        let body = mail.body();
        let said = ["fmt.0.9.0", "zlib.1.3.1", "new.1"].map(|package| body.contains(package));
        assert_eq!(said, [fmt, zlib, new], "{}: {body}", mail.to());
    }
    assert_eq!(whom(&["notify"]), [""; 0], "it has been said");

    // Whoever is spelled in another way is the same person.
    let again = set.replace("Ana <ana@example.org>", "Ana Banana <Ana@Example.org>");
    fs::write(ecosystem.directory.path().join("larder-set.toml"), again).unwrap();
    assert_eq!(whom(&["notify"]), [""; 0]);
}

#[test]
fn a_set_that_is_wrong_is_told_and_stops_nobody_elses_mail() {
    let Some(mut server) = SmtpServer::start("none") else { return };
    let set = "[maintainer]\nfmt = [\"ana@example.org\"]\n";
    let ecosystem = with_set(set, &server, "\"all@example.org\"");
    let said = run(ecosystem.larder(&["notify"])).ends_with(2);
    said.says("larder-set.toml:1:2: unknown key `maintainer`").says("did you mean `maintainers`?");
    assert_eq!(received(&mut server, 1)[0].to(), "all@example.org");

    let path = ecosystem.directory.path().join("larder-set.toml");
    for (set, error) in [
        (
            "[maintainers]\nfmt = \"ana@example.org\"\n",
            "2:7: expected an array of addresses, found string",
        ),
        ("[maintainers]\nfmt.0 = [\"ana@example.org\"]\n", "a name with dots stands in quotes"),
        ("[maintainers]\nfmt = [\"ana\"]\n", "2:8: \"ana\" is not an address"),
        ("[maintainers\n", "larder-set.toml:1"),
    ] {
        fs::write(&path, set).unwrap();
        assert!(ecosystem.refused(&["notify"], 2).contains(error), "{error}");
    }
    fs::write(&path, "[maintainers]\nfmtt = [\"ana@example.org\"]\n").unwrap();
    run(ecosystem.larder(&["notify"])).ok().says("no history; did you mean fmt?");
    fs::remove_file(&path).unwrap();
    let error = ecosystem.refused(&["notify"], 2);
    assert!(error.contains("there is no larder-set.toml"), "{error}");
    // Who needs nobody's name needs no set.
    assert_eq!(
        ecosystem.shown(&["notify", "--channel", "stdout", "--message", "hello"]),
        "hello\n"
    );
}
