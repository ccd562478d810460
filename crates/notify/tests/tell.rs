//! The memory of what was said, per channel, whatever happens in between.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use common::{Answer, OK, Server};
use larder_notify::{
    Channel, DEFAULT_TEMPLATE, DIRECTORY, Delivery, Failure, Maintainers, News, Outcome, Result,
    Secret, Slack, Subject, Telegram, Telling, tell,
};
use larder_runs::result::Stage;
use larder_runs::{Category, DataDir};

fn broken(packages: &[&str]) -> News {
    let failing = packages.iter().map(|package| Failure {
        subject: Subject { package: (*package).into(), stage: Stage::Build, build: None },
        category: Category::BuildFailure,
        error: Some("error: \u{1b}]0;title\u{7}x\u{202e}\rforged".into()),
        root: None,
        since: "R2".into(),
    });
    let failing: Vec<Failure> = failing.collect();
    let broken: BTreeSet<Subject> = failing.iter().map(|failure| failure.subject.clone()).collect();
    News { run: "R2".into(), failing, broken, ..News::default() }
}

fn slack(server: &Server) -> Channel {
    Channel::Slack(Slack { webhook: Secret::new(format!("{}/services/T0/s3cret", server.url)) })
}

fn say(data: &DataDir, channel: &Channel, news: &News) -> Result<Vec<Outcome>> {
    let (maintainers, pause) = (Maintainers::new(), Duration::from_millis(1));
    let delivery =
        Delivery { attempts: 1, pause, timeout: Duration::from_secs(5), ca_certificates: None };
    let (template, fold) = (DEFAULT_TEMPLATE, 10);
    tell(
        data,
        channel,
        &Telling {
            news,
            template,
            fold,
            maintainers: &maintainers,
            delivery: &delivery,
            dry_run: false,
        },
    )
}

#[test]
fn the_same_news_is_sent_once_to_each_channel() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let server = Server::start(vec![OK]);
    let telegram = Channel::Telegram(Telegram {
        server: server.url.clone(),
        token: Secret::new("123:s3cret"),
        chat: "-5".into(),
    });
    let news = broken(&["fmt.1"]);
    for (channel, sent) in
        [(&slack(&server), 1), (&slack(&server), 1), (&telegram, 2), (&telegram, 2)]
    {
        assert!(say(&data, channel, &news).unwrap().iter().all(|outcome| outcome.result.is_ok()));
        assert_eq!(server.requests().len(), sent);
    }
    assert_eq!(say(&data, &slack(&server), &broken(&["fmt.1", "lwt.1"])).unwrap().len(), 1);
    let body = &server.requests()[2].body;
    assert!(body.contains("lwt.1") && !body.contains("fmt.1"), "{body}");
    // Nothing that a terminal obeys is sent.
    assert!(
        body.contains(r"error: x\ufffd forged") || body.contains("error: x\u{fffd} forged"),
        "{body}"
    );
    assert!(!body.contains("title"), "{body}");
}

#[test]
fn what_was_not_delivered_is_said_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let server = Server::start(vec![Answer::Status("403 Forbidden", "", "no"), OK]);
    let news = broken(&["fmt.1"]);
    let first = say(&data, &slack(&server), &news).unwrap();
    assert!(first[0].result.is_err());
    assert!(!directory.path().join(DIRECTORY).join("slack.json").exists());
    assert!(say(&data, &slack(&server), &news).unwrap()[0].result.is_ok());
    assert!(say(&data, &slack(&server), &news).unwrap().is_empty());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn several_at_once_say_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let server = Server::start(vec![OK]);
    let news = broken(&["fmt.1"]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| say(&data, &slack(&server), &news).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_memory_that_cannot_be_read_sends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path());
    let server = Server::start(vec![OK]);
    fs::create_dir_all(directory.path().join(DIRECTORY)).unwrap();
    let path = directory.path().join(DIRECTORY).join("slack.json");
    for (content, reason) in
        [("{", "remove it"), (r#"{"schemaVersion":9,"recipients":{}}"#, "newer larder")]
    {
        fs::write(&path, content).unwrap();
        let error = say(&data, &slack(&server), &broken(&["fmt.1"])).unwrap_err().to_string();
        assert!(error.contains("slack.json") && error.contains(reason), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}
