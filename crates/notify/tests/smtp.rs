//! E-mail against a real SMTP server, aiosmtpd, with and without TLS.
//!
//! It is installed from PyPI into a virtual environment under `target`, once. Where that is not possible
//! the tests say so and pass, except in CI (`$CI` is set), where they fail.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use larder_notify::{
    Channel, DEFAULT_TEMPLATE, Delivery, Email, Failure, Maintainers, Message, News, Outcome,
    Secret, Security, Subject, Telling, deliver, tell,
};
use larder_runs::lock::FileLock;
use larder_runs::result::Stage;
use larder_runs::{Category, DataDir};

/// A Python that has aiosmtpd.
fn python() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd");
    let python = directory.join("bin/python");
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let _lock = FileLock::exclusive(&directory.with_extension("lock")).unwrap();
    let works = |python: &Path| {
        let import =
            Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    };
    if !works(&python) {
        let run = |command: &mut Command| {
            let output = command.output().map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(said) }
        };
        let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
            .and_then(|()| {
                run(Command::new(&python).args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "aiosmtpd==1.4.6",
                ]))
            });
        if let Err(reason) = made {
            assert!(env::var_os("CI").is_none(), "aiosmtpd cannot be installed: {reason}");
            eprintln!("skipped: aiosmtpd cannot be installed: {reason}");
            return None;
        }
    }
    Some(python)
}

struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
    certificate: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start(mode: &str) -> Option<Server> {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) =
            (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut command = Command::new(python()?);
        command.arg(script).args([mode.as_ref(), certificate.as_os_str(), key.as_os_str()]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of refused handshakes and deprecated ways it says much, and none of it matters here.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        output.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the server prints its port");
        Some(Server { child, output, port, certificate, _directory: directory })
    }

    fn received(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn email(&self, security: Security) -> Email {
        let login = Some(("larder".to_owned(), Secret::new("s3cret")));
        Email {
            host: "localhost".into(),
            port: self.port,
            security,
            login: login.filter(|_| security != Security::None),
            from: "Larder <larder@example.org>".into(),
            to: vec!["one@example.org".into(), "Two <two@example.org>".into()],
            maintainers: false,
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            attempts: 3,
            pause: Duration::from_millis(1),
            timeout: Duration::from_secs(10),
            ca_certificates: Some(self.certificate.clone()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message() -> Message {
    let body =
        "Broken (1):\n  ä.1: error\n.\n..dots at the start of a line\nfrom the end\n".to_owned();
    Message { subject: "larder R2: 1 broken\r\nBcc: evil@example.org".into(), body }
}

/// A header of a received mail, unfolded; empty where there is none.
fn header(mail: &serde_json::Value, name: &str) -> String {
    let content = mail["content"].as_str().unwrap().replace("\r\n ", " ").replace("\r\n", "\n");
    let (headers, _) = content.split_once("\n\n").unwrap();
    let found = headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    found.unwrap_or_default().to_owned()
}

/// The text of a received mail, as people read it.
fn body(mail: &serde_json::Value) -> String {
    let content = mail["content"].as_str().unwrap().replace("\r\n", "\n");
    content.split_once("\n\n").unwrap().1.replace("=\n", "")
}

#[test]
fn mail_arrives_under_every_protection() {
    for (mode, security) in
        [("none", Security::None), ("starttls", Security::StartTls), ("tls", Security::Tls)]
    {
        let Some(mut server) = Server::start(mode) else {
            return;
        };
        deliver(&Channel::Email(server.email(security)), &message(), &server.delivery()).unwrap();
        let first = server.received();
        let mail = server.received();
        assert_eq!(mail["from"], "larder@example.org");
        for (mail, to) in [(&first, "one@example.org"), (&mail, "two@example.org")] {
            assert_eq!(mail["to"], serde_json::json!([to]), "no recipient by way of the subject");
        }
        assert_ne!(header(&first, "Message-ID"), header(&mail, "Message-ID"));
        assert_eq!(mail["tls"], security != Security::None);
        assert_eq!(
            mail["user"].as_str(),
            (security != Security::None).then_some("larder"),
            "{mode}"
        );
        assert_eq!(header(&mail, "MIME-Version"), "1.0");
        assert_eq!(header(&mail, "Content-Type"), "text/plain; charset=utf-8");
        let id = header(&mail, "Message-ID");
        assert!(id.starts_with("<larder.") && id.ends_with("@example.org>"), "{id}");
        assert!(!header(&mail, "Date").is_empty());
        let content = mail["content"].as_str().unwrap().replace("\r\n", "\n");
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
    let Some(mut server) = Server::start("none") else {
        return;
    };
    let to = |address: &str| {
        Channel::Email(Email { to: vec![address.to_owned()], ..server.email(Security::None) })
    };
    let (busy, nobody) = (to("busy@example.org"), to("nobody@example.org"));
    deliver(&busy, &message(), &server.delivery()).unwrap();
    assert_eq!(server.received()["to"][0], "busy@example.org");
    let error = deliver(&nobody, &message(), &server.delivery()).unwrap_err();
    assert!(error.to_string().contains("no such user"), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn one_bad_recipient_stops_nobody_elses_mail() {
    let Some(mut server) = Server::start("none") else {
        return;
    };
    let to =
        ["nobody@example.org", "not an address", "two@example.org"].map(str::to_owned).to_vec();
    let channel = Channel::Email(Email { to, ..server.email(Security::None) });
    let error = deliver(&channel, &message(), &server.delivery()).unwrap_err().to_string();
    assert!(error.contains("nobody@example.org: ") && error.contains("no such user"), "{error}");
    assert!(error.contains("not an address") && !error.contains("two@"), "{error}");
    assert_eq!(server.received()["to"][0], "two@example.org");
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
    let Some(mut server) = Server::start("none") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let email = Email {
        to: vec!["all@example.org".into(), "nobody@example.org".into()],
        maintainers: true,
        ..server.email(Security::None)
    };
    let channel = Channel::Email(email);
    let people = |addresses: &[&str]| addresses.iter().map(|one| (*one).to_owned()).collect();
    let maintainers = Maintainers::from([
        ("fmt".to_owned(), people(&["ann@example.org", "all@example.org"])),
        ("lwt".to_owned(), people(&["ann@example.org", "bob@example.org"])),
        ("odd".to_owned(), people(&["no address"])),
        ("zlib.1".to_owned(), people(&["eve@example.org"])),
    ]);
    let delivery = server.delivery();
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
    assert!(body(&ann).contains("fmt.1: build_failure (blocks 1)"), "{}", body(&ann));
    assert!(
        body(&bob).contains("fmt.1 blocks 1 more") && !body(&bob).contains("fmt.1:"),
        "{}",
        body(&bob)
    );
    assert_eq!(header(&all, "In-Reply-To"), "");

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
    assert_eq!(header(&odd, "In-Reply-To"), "", "another root failure is another thread");

    let mended = news("R4", &[("odd.1", "R3", None)], &["fmt.1", "lwt.1", "zlib.1"]);
    let outcomes = tell(&mended, false);
    assert_eq!(names(&outcomes, true), ["all@example.org", "ann@example.org", "bob@example.org"]);
    for first in [&all, &ann, &bob] {
        let answer = server.received();
        assert_eq!(answer["to"], first["to"]);
        assert_eq!(header(&answer, "In-Reply-To"), header(first, "Message-ID"));
        assert_eq!(header(&answer, "References"), header(first, "Message-ID"));
        assert!(body(&answer).contains("Working again"), "{}", body(&answer));
    }
}

#[test]
fn a_wrong_password_and_an_unknown_certificate_deliver_nothing() {
    let Some(server) = Server::start("starttls") else {
        return;
    };
    let wrong = Email {
        login: Some(("larder".into(), Secret::new("wr0ng"))),
        ..server.email(Security::StartTls)
    };
    let error =
        deliver(&Channel::Email(wrong), &message(), &server.delivery()).unwrap_err().to_string();
    assert!(error.contains("email: not delivered") && !error.contains("wr0ng"), "{error}");

    let stranger = Delivery { ca_certificates: None, ..server.delivery() };
    let error = deliver(&Channel::Email(server.email(Security::StartTls)), &message(), &stranger)
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
