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

use larder_notify::{Channel, Delivery, Email, Message, Secret, Security, deliver};
use larder_runs::lock::FileLock;

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

#[test]
fn mail_arrives_under_every_protection() {
    for (mode, security) in
        [("none", Security::None), ("starttls", Security::StartTls), ("tls", Security::Tls)]
    {
        let Some(mut server) = Server::start(mode) else {
            return;
        };
        deliver(&Channel::Email(server.email(security)), &message(), &server.delivery()).unwrap();
        let mail = server.received();
        assert_eq!(mail["from"], "larder@example.org");
        assert_eq!(
            mail["to"],
            serde_json::json!(["one@example.org", "two@example.org"]),
            "no recipient by way of the subject"
        );
        assert_eq!(mail["tls"], security != Security::None);
        assert_eq!(
            mail["user"].as_str(),
            (security != Security::None).then_some("larder"),
            "{mode}"
        );
        let content = mail["content"].as_str().unwrap().replace("\r\n", "\n");
        let (headers, body) = content.split_once("\n\n").unwrap();
        assert!(
            headers.contains("Subject: larder R2: 1 broken  Bcc: evil@example.org"),
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
    };
    let delivery = Delivery { attempts: 2, pause: Duration::from_millis(1), ..Delivery::default() };
    let error = deliver(&Channel::Email(email), &message(), &delivery).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
