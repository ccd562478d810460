//! Slack, Zulip and Telegram against a server on loopback.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::{Answer, OK, Server};
use larder_notify::{
    Channel, Channels, Delivery, Error, Kind, Message, Secret, Slack, Telegram, Zulip, deliver,
    send,
};

fn message() -> Message {
    Message {
        subject: "larder R2: 1 broken".into(),
        body: "Broken (1):\n  a.1: error: <!channel> & @**all** ```\n".into(),
    }
}

fn delivery() -> Delivery {
    Delivery {
        attempts: 3,
        pause: Duration::from_millis(1),
        timeout: Duration::from_secs(5),
        ca_certificates: None,
    }
}

fn slack(server: &Server) -> Channel {
    Channel::Slack(Slack { webhook: Secret::new(format!("{}/services/T0/B0/s3cret", server.url)) })
}

fn telegram(server: &Server) -> Channel {
    let (server, token) = (server.url.clone(), Secret::new("123:s3cret"));
    Channel::Telegram(Telegram { server, token, chat: "-100".into() })
}

fn zulip(site: &str) -> Channel {
    Channel::Zulip(Zulip {
        site: site.to_owned(),
        email: "bot@example.org".into(),
        api_key: Secret::new("s3cret"),
        stream: "ci".into(),
        topic: "a topic & more".into(),
    })
}

#[test]
fn slack_gets_its_text_without_markup() {
    let server = Server::start(vec![OK]);
    deliver(&slack(&server), &message(), &delivery()).unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /services/T0/B0/s3cret");
    assert_eq!(request.header("content-type"), "application/json");
    insta::assert_snapshot!(request.body, @r#"{"text":"larder R2: 1 broken\n\nBroken (1):\n  a.1: error: &lt;!channel&gt; &amp; @**all** ```"}"#);
}

#[test]
fn zulip_gets_a_form_with_a_code_block() {
    let server = Server::start(vec![OK]);
    deliver(&zulip(&server.url), &message(), &delivery()).unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /api/v1/messages");
    assert_eq!(request.header("authorization"), "Basic Ym90QGV4YW1wbGUub3JnOnMzY3JldA==");
    insta::assert_snapshot!(request.body, @"type=stream&to=ci&topic=a+topic+%26+more&content=%60%60%60%60text%0Alarder+R2%3A+1+broken%0A%0ABroken+%281%29%3A%0A++a.1%3A+error%3A+%3C%21channel%3E+%26+%40**all**+%60%60%60%0A%60%60%60%60");
}

#[test]
fn telegram_gets_plain_text_that_fits() {
    let server = Server::start(vec![OK]);
    let long = Message { subject: "s".into(), body: "ä".repeat(10_000) };
    deliver(&telegram(&server), &long, &delivery()).unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /bot123:s3cret/sendMessage");
    assert!(request.body.contains(r#""chat_id":"-100""#) && !request.body.contains("parse_mode"));
    assert!(request.body.len() < 4_200 && request.body.contains("… (cut)"));
}

#[test]
fn busy_and_failing_servers_are_asked_again() {
    let busy = Answer::Status("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let failing = Answer::Status("503 Service Unavailable", "", "down");
    let server = Server::start(vec![busy, failing.clone(), OK]);
    deliver(&slack(&server), &message(), &delivery()).unwrap();
    assert_eq!(server.requests().len(), 3);

    let server = Server::start(vec![failing]);
    let error = deliver(&slack(&server), &message(), &delivery()).unwrap_err();
    insta::assert_snapshot!(error, @"slack: not delivered: the server answered 503 Service Unavailable: down");
    assert_eq!((server.requests().len(), error.exit_code()), (3, 1));
}

#[test]
fn retry_after_is_heeded() {
    let server =
        Server::start(vec![Answer::Status("429 Too Many Requests", "Retry-After: 1\r\n", ""), OK]);
    let start = std::time::Instant::now();
    deliver(&slack(&server), &message(), &delivery()).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_is_refused_is_not_sent_again() {
    for (answer, reason) in [
        (
            Answer::Status("403 Forbidden", "", "invalid_token s3cret-of-the-caller\n\u{1b}[2J"),
            "403 Forbidden: invalid_token",
        ),
        (Answer::Status("302 Found", "Location: http://127.0.0.1:9/\r\n", ""), "302 Found"),
        (Answer::Garbage, "slack: not delivered"),
        (Answer::Close, "slack: not delivered"),
    ] {
        let server = Server::start(vec![answer]);
        let error = deliver(&slack(&server), &message(), &delivery()).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains('\u{1b}'), "{error}");
        assert!(
            !error.contains("/services/") && !error.contains(&server.url),
            "the secret's URL: {error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(vec![Answer::Hang]);
    let delivery = Delivery { timeout: Duration::from_millis(200), ..delivery() };
    let error = deliver(&telegram(&server), &message(), &delivery).unwrap_err().to_string();
    assert!(error.contains("timed out") && !error.contains("s3cret"), "{error}");
}

#[test]
fn an_unreachable_server_is_an_exit_code() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = Channel::Slack(Slack { webhook: Secret::new(format!("http://{gone}/s3cret")) });
    let error = deliver(&channel, &message(), &delivery()).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(error.exit_code(), 1);
    // And `send`, which pauses longer, with an address that is wrong from the start.
    assert_eq!(send(&zulip("not a url"), &message()), 2);
}

#[test]
fn secrets_go_only_where_they_are_encrypted() {
    let error = deliver(&zulip("http://zulip.example.org"), &message(), &delivery()).unwrap_err();
    insta::assert_snapshot!(error, @"zulip: the address must start with https://, because a secret goes there");
    assert!(matches!(error, Error::Config { .. }));
}

#[test]
fn what_a_server_repeats_of_a_secret_is_not_shown() {
    let server = Server::start(vec![Answer::Status("401 Unauthorized", "", "bad key s3cret")]);
    let error = deliver(&zulip(&server.url), &message(), &delivery()).unwrap_err();
    insta::assert_snapshot!(error, @"zulip: not delivered: the server answered 401 Unauthorized: bad key …");
}

fn settings(directory: &Path, text: &str) -> larder_notify::Result<Channels> {
    fs::write(directory.join("notify.toml"), text).unwrap();
    Channels::read(directory)
}

#[test]
fn channels_are_read_from_settings_and_secret_files() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Channels::read(dir.path()).unwrap().configured().is_empty());
    let server = Server::start(vec![OK]);
    let text = format!(
        "[telegram]\nchat = \"-5\"\nserver = \"{}\"\nsecret-file = \"token\"\n",
        server.url
    );
    let channels = settings(dir.path(), &text).unwrap();
    assert_eq!(channels.configured(), [Kind::Telegram]);
    fs::write(dir.path().join("token"), "9:s3cret\n").unwrap();
    fs::set_permissions(dir.path().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(channels.channel(Kind::Telegram).unwrap_err().to_string().contains("chmod 600"));
    fs::set_permissions(dir.path().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    deliver(&channels.channel(Kind::Telegram).unwrap(), &message(), &delivery()).unwrap();
    assert_eq!(server.requests()[0].line, "POST /bot9:s3cret/sendMessage");

    assert!(
        channels
            .channel(Kind::Zulip)
            .unwrap_err()
            .to_string()
            .contains("no [zulip] in notify.toml")
    );
    let error = settings(dir.path(), "[email]\nhost = \"h\"\npassword = \"s3cret\"\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("line 3") && error.contains("password"), "{error}");
    let bad: Result<Kind, _> = "irc".parse();
    assert_eq!(bad.unwrap_err(), "the channels are slack, zulip, telegram, email, stdout");
}
