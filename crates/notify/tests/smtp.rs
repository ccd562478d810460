//! E-mail against a real SMTP server, with and without TLS. Where that cannot be installed the tests say so
//! and pass, except in CI (`$CI` is set), where they fail.

use std::time::Duration;

use larder_notify::{
    Channel, DEFAULT_TEMPLATE, Delivery, Email, Failure, Maintainers, Message, News, Outcome,
    Secret, Security, Subject, Telling, deliver, tell,
};
use larder_runs::result::Stage;
use larder_runs::{Category, DataDir};
use larder_testkit::services::SmtpServer;

/// Mail to two people through a server.
fn email(server: &SmtpServer, security: Security) -> Email {
    let login = Some(("larder".to_owned(), Secret::new("s3cret")));
    Email {
        host: "localhost".into(),
        port: server.port,
        security,
        login: login.filter(|_| security != Security::None),
        from: "Larder <larder@example.org>".into(),
        to: vec!["one@example.org".into(), "Two <two@example.org>".into()],
        maintainers: false,
    }
}

/// Three quick attempts that trust a server.
fn delivery(server: &SmtpServer) -> Delivery {
    Delivery {
        attempts: 3,
        pause: Duration::from_millis(1),
        timeout: Duration::from_secs(10),
        ca_certificates: Some(server.certificate.clone()),
    }
}

fn message() -> Message {
    let body =
        "Broken (1):\n  ä.1: error\n.\n..dots at the start of a line\nfrom the end\n".to_owned();
    Message { subject: "larder R2: 1 broken\r\nBcc: evil@example.org".into(), body }
}

#[test]
fn mail_arrives_under_every_protection() {
    for (mode, security) in
        [("none", Security::None), ("starttls", Security::StartTls), ("tls", Security::Tls)]
    {
        let Some(mut server) = SmtpServer::start(mode) else {
            return;
        };
        deliver(&Channel::Email(email(&server, security)), &message(), &delivery(&server)).unwrap();
        let first = server.received();
        let mail = server.received();
        assert_eq!(*mail.fact("from"), "larder@example.org");
        for (mail, to) in [(&first, "one@example.org"), (&mail, "two@example.org")] {
            assert_eq!(
                mail.fact("to"),
                &serde_json::json!([to]),
                "no recipient by way of the subject"
            );
        }
        assert_ne!(first.header("Message-ID"), mail.header("Message-ID"));
        assert_eq!(*mail.fact("tls"), security != Security::None);
        assert_eq!(
            mail.fact("user").as_str(),
            (security != Security::None).then_some("larder"),
            "{mode}"
        );
        assert_eq!(mail.header("MIME-Version"), "1.0");
        assert_eq!(mail.header("Content-Type"), "text/plain; charset=utf-8");
        let id = mail.header("Message-ID");
        assert!(id.starts_with("<larder.") && id.ends_with("@example.org>"), "{id}");
        assert!(!mail.header("Date").is_empty());
        let content = mail.content();
        let (headers, body) = content.split_once("\n\n").unwrap();
        assert!(
            headers.contains("Subject: larder R2: 1 broken Bcc: evil@example.org"),
            "{headers}"
        );
        assert!(
            headers.contains("From: Larder <larder@example.org>")
                || headers.contains("From: \"Larder\" <larder@example.org>"),
            "{headers}"
        );
        let lines: Vec<&str> = body.lines().collect();
        assert!(lines.contains(&".") && lines.contains(&"..dots at the start of a line"), "{body}");
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let Some(mut server) = SmtpServer::start("none") else {
        return;
    };
    let to = |address: &str| {
        Channel::Email(Email { to: vec![address.to_owned()], ..email(&server, Security::None) })
    };
    let (busy, nobody) = (to("busy@example.org"), to("nobody@example.org"));
    deliver(&busy, &message(), &delivery(&server)).unwrap();
    assert_eq!(server.received().to(), "busy@example.org");
    let error = deliver(&nobody, &message(), &delivery(&server)).unwrap_err();
    assert!(error.to_string().contains("no such user"), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn one_bad_recipient_stops_nobody_elses_mail() {
    let Some(mut server) = SmtpServer::start("none") else {
        return;
    };
    let to =
        ["nobody@example.org", "not an address", "two@example.org"].map(str::to_owned).to_vec();
    let channel = Channel::Email(Email { to, ..email(&server, Security::None) });
    let error = deliver(&channel, &message(), &delivery(&server)).unwrap_err().to_string();
    assert!(error.contains("nobody@example.org: ") && error.contains("no such user"), "{error}");
    assert!(error.contains("not an address") && !error.contains("two@"), "{error}");
    assert_eq!(server.received().to(), "two@example.org");
}

/// News in which these packages fail since a run, each with the root that blocks it.
fn news(run: &str, failing: &[(&str, &str, Option<&str>)], working: &[&str]) -> News {
    let subject =
        |package: &str| Subject { package: package.into(), stage: Stage::Build, build: None };
    let failing = failing.iter().map(|(package, since, root)| Failure {
        subject: subject(package),
        category: Category::BuildFailure,
        error: None,
        root: root.map(Into::into),
        since: (*since).into(),
    });
    let failing: Vec<Failure> = failing.collect();
    News {
        run: run.into(),
        broken: failing.iter().filter(|f| f.since == run).map(|f| f.subject.clone()).collect(),
        failing,
        working: working.iter().map(|package| subject(package)).collect(),
        ..News::default()
    }
}

#[test]
fn each_person_gets_one_digest_in_one_thread_and_hears_everything_once() {
    let Some(mut server) = SmtpServer::start("none") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let email = Email {
        to: vec!["all@example.org".into(), "nobody@example.org".into()],
        maintainers: true,
        ..email(&server, Security::None)
    };
    let channel = Channel::Email(email);
    let people = |addresses: &[&str]| addresses.iter().map(|one| (*one).to_owned()).collect();
    let maintainers = Maintainers::from([
        ("fmt".to_owned(), people(&["ann@example.org", "all@example.org"])),
        ("lwt".to_owned(), people(&["ann@example.org", "bob@example.org"])),
        ("odd".to_owned(), people(&["no address"])),
        ("zlib.1".to_owned(), people(&["eve@example.org"])),
    ]);
    let delivery = delivery(&server);
    let tell = |news: &News, dry_run| {
        let (template, fold) = (DEFAULT_TEMPLATE, 10);
        let telling = Telling {
            news,
            template,
            fold,
            maintainers: &maintainers,
            delivery: &delivery,
            dry_run,
        };
        tell(&data, &channel, &telling).unwrap()
    };
    let names = |outcomes: &[Outcome], good: bool| {
        let wanted = outcomes.iter().filter(|outcome| outcome.result.is_ok() == good);
        wanted.map(|outcome| outcome.recipient.clone()).collect::<Vec<_>>()
    };

    let broken =
        news("R2", &[("fmt.1", "R2", None), ("lwt.1", "R2", Some("fmt.1"))], &["zlib.1", "odd.1"]);
    assert_eq!(tell(&broken, true).len(), 4, "a dry run sends and remembers nothing");
    let outcomes = tell(&broken, false);
    assert_eq!(names(&outcomes, true), ["all@example.org", "ann@example.org", "bob@example.org"]);
    assert_eq!(names(&outcomes, false), ["nobody@example.org"]);
    let [all, ann, bob] = [server.received(), server.received(), server.received()];
    assert!(ann.body().contains("fmt.1: build_failure (blocks 1)"), "{}", ann.body());
    assert!(
        bob.body().contains("fmt.1 blocks 1 more") && !bob.body().contains("fmt.1:"),
        "{}",
        bob.body()
    );
    assert_eq!(all.header("In-Reply-To"), "");

    // Who could not be told is told again, and nobody else.
    assert_eq!(names(&tell(&broken, false), false), ["nobody@example.org"]);

    let more = news(
        "R3",
        &[("fmt.1", "R2", None), ("lwt.1", "R2", Some("fmt.1")), ("odd.1", "R3", None)],
        &["zlib.1"],
    );
    let outcomes = tell(&more, false);
    assert_eq!(names(&outcomes, true), ["all@example.org"]);
    assert_eq!(names(&outcomes, false), ["nobody@example.org", "no address"]);
    let odd = server.received();
    assert_eq!(odd.header("In-Reply-To"), "", "another root failure is another thread");

    let mended = news("R4", &[("odd.1", "R3", None)], &["fmt.1", "lwt.1", "zlib.1"]);
    let outcomes = tell(&mended, false);
    assert_eq!(names(&outcomes, true), ["all@example.org", "ann@example.org", "bob@example.org"]);
    for first in [&all, &ann, &bob] {
        let answer = server.received();
        assert_eq!(answer.fact("to"), first.fact("to"));
        assert_eq!(answer.header("In-Reply-To"), first.header("Message-ID"));
        assert_eq!(answer.header("References"), first.header("Message-ID"));
        assert!(answer.body().contains("Working again"), "{}", answer.body());
    }
}

#[test]
fn a_wrong_password_and_an_unknown_certificate_deliver_nothing() {
    let Some(server) = SmtpServer::start("starttls") else {
        return;
    };
    let wrong = Email {
        login: Some(("larder".into(), Secret::new("wr0ng"))),
        ..email(&server, Security::StartTls)
    };
    let error =
        deliver(&Channel::Email(wrong), &message(), &delivery(&server)).unwrap_err().to_string();
    assert!(error.contains("email: not delivered") && !error.contains("wr0ng"), "{error}");

    let stranger = Delivery { ca_certificates: None, ..delivery(&server) };
    let error = deliver(&Channel::Email(email(&server, Security::StartTls)), &message(), &stranger)
        .unwrap_err()
        .to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn without_tls_no_password_leaves_this_machine() {
    let login = Some(("larder".to_owned(), Secret::new("s3cret")));
    let (from, to) = ("larder@example.org".to_owned(), vec!["one@example.org".to_owned()]);
    let email = Email {
        host: "smtp.example.org".into(),
        port: 25,
        security: Security::None,
        login,
        from,
        to,
        maintainers: false,
    };
    let error =
        deliver(&Channel::Email(email.clone()), &message(), &Delivery::default()).unwrap_err();
    insta::assert_snapshot!(error, @"email: the password would be sent in the clear: set `security` to starttls or tls");
    let error = deliver(
        &Channel::Email(Email { login: None, from: "nobody".into(), ..email }),
        &message(),
        &Delivery::default(),
    )
    .unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn no_server_is_an_error() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let email = Email {
        host: "127.0.0.1".into(),
        port: gone.port(),
        security: Security::None,
        login: None,
        from: "larder@example.org".into(),
        to: vec!["one@example.org".into()],
        maintainers: false,
    };
    let delivery = Delivery { attempts: 2, pause: Duration::from_millis(1), ..Delivery::default() };
    let error = deliver(&Channel::Email(email), &message(), &delivery).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
