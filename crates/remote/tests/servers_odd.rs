//! Servers that answer oddly, late or not at all, and what is sent to whom.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use larder_remote::{
    Access, Config, Credentials, Finding, Overwrite, Service, ServiceConfig, check,
};
use larder_store::{Lookup, Store};
use larder_testkit::{
    services::{Answer, Canned, Faults, FileServer, Policy, Proxy, S3, config_at, open, revision},
    stores::{Stored, object, scope},
};

/// A plain HTTP service at `url`, with these variables in the environment.
fn plain(url: &str, variables: &[(&str, &str)]) -> ServiceConfig {
    let mut config = Config::default();
    config.cache.services.push(ServiceConfig::new("team", url));
    let credentials = Arc::new(Credentials::of(variables.iter().copied()));
    config.with_credentials(&credentials).cache.services.remove(0)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A server that keeps what is put, and answers ranged reads as `ranged` makes them.
fn keeps(ranged: fn(&[u8], usize, usize) -> Answer) -> Canned {
    let objects = Mutex::new(BTreeMap::<String, Vec<u8>>::new());
    Canned::start(move |head, body| {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let mut objects = objects.lock().unwrap();
        if method == "PUT" {
            objects.insert(path, body.to_vec());
            return Answer::new("201 Created", "", b"");
        }
        let Some(content) = objects.get(&path) else {
            return Answer::new("404 Not Found", "", b"");
        };
        match header(head, "range").map(|range| range.trim_start_matches("bytes=")) {
            _ if method == "HEAD" => {
                let length = content.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                Answer::Bytes(head.into())
            }
            Some(range) => {
                let (first, last) = range.split_once('-').unwrap();
                let last = last.parse::<usize>().unwrap().min(content.len() - 1);
                ranged(content, first.parse().unwrap(), last)
            }
            None => Answer::new("200 OK", "", content),
        }
    })
}

/// Puts and gets through a server of which ranged reads are odd. Returns how many artifacts arrived; none
/// is another than it should be.
fn arrived(ranged: fn(&[u8], usize, usize) -> Answer) -> usize {
    let server = keeps(ranged);
    let config = plain(&format!("http://{}/", server.address), &[]);
    let mut here = Stored::new(3, 40, 3000);
    here.add("large.so", &object(3, 999, 5 << 20));
    here.put(&open(&config, Access::Write), "r1");
    let there = Stored::empty();
    let report = there.get(&open(&config, Access::Read), "r1");
    let verified = there.verified(&here.mappings);
    assert_eq!(verified, report.fetched);
    verified
}

fn partial(status: &str, content: &[u8], first: usize, last: usize, body: &[u8]) -> Answer {
    let length = content.len();
    Answer::new(status, &format!("content-range: bytes {first}-{last}/{length}\r\n"), body)
}

#[test]
fn odd_answers_to_ranged_reads_are_read() {
    type Ranged = fn(&[u8], usize, usize) -> Answer;
    let odd: [(&str, Ranged); 8] = [
        ("200 with a range", |c, a, b| partial("200 OK", c, a, b, &c[a..=b])),
        ("everything", |c, _, _| Answer::new("200 OK", "", c)),
        ("everything, as a range", |c, a, b| partial("200 OK", c, a, b, c)),
        ("more", |c, _, _| partial("206 Partial Content", c, 0, c.len() - 1, c)),
        ("too long", |c, a, b| partial("206 Partial Content", c, a, b, &c[a..])),
        ("another range with 200", |c, _, _| partial("200 OK", c, 0, 9, &c[..10])),
        ("another range", |c, _, b| {
            let at = (b + 1).min(c.len() - 1);
            partial("206 Partial Content", c, at, at, &c[at..=at])
        }),
        ("parts", |_, _, _| {
            let kind = "content-type: multipart/byteranges; boundary=x\r\n";
            Answer::new("206 Partial Content", kind, b"--x\r\n\r\n")
        }),
    ];
    for (name, ranged) in odd {
        // What another range was sent for is read out of the whole.
        assert_eq!(arrived(ranged), 41, "{name}");
    }
}

#[test]
fn lies_about_ranges_corrupt_nothing() {
    // Bytes of another place, said to be those that were asked for.
    let shifted = arrived(|c, a, b| {
        let mut body = c[a..=b].to_vec();
        body.rotate_left(1);
        partial("206 Partial Content", c, a, b, &body)
    });
    assert_eq!(shifted, 0);
}

#[test]
fn a_server_that_says_yes_to_everything_is_found_out() {
    let page = b"<html>Welcome to the hotel's network</html>";
    let server = Canned::start(move |_, _| Answer::new("200 OK", "", page));
    let config = plain(&format!("http://{}/", server.address), &[]);
    let check = check(&config, true).unwrap();
    let Finding::Fails { reason, takes } = check.read else { panic!() };
    assert!(reason.contains("cannot be there") && takes.contains("404"), "{reason}; {takes}");
    let Finding::Fails { reason, takes } = check.ranges else { panic!() };
    assert!(reason.contains("other bytes") && takes.contains("keeps"), "{reason}; {takes}");
}

#[test]
fn without_the_right_to_list_what_is_missing_is_missing() {
    let s3 = S3::with(Policy::MayNotList);
    let config = config_at(s3.address);
    let writer = open(&config, Access::Write);
    let reader = open(&config, Access::Read);
    assert_eq!(Stored::empty().try_get(&reader, &["r1", "r2"]).unwrap(), None);
    let here = Stored::new(1, 30, 1000);
    here.put(&writer, "r1");
    let there = Stored::empty();
    let report = there.try_get(&reader, &["r3", "r2", "r1"]).unwrap().unwrap();
    assert_eq!((report.fetched, report.missing.len()), (30, 0));
    // A key that is wrong is another matter.
    let key = larder_remote::Key { id: "AKWRONG".to_owned(), secret: "hunter2".to_owned() };
    let wrong = ServiceConfig {
        credentials: Arc::new(key.into()),
        outlook: Arc::default(),
        ..config.clone()
    };
    let error = there.try_get(&open(&wrong, Access::Read), &["r1"]).unwrap_err().to_string();
    assert!(error.contains("access denied") && !error.contains("AKWRONG"), "{error}");
    // The check says what is lacking.
    let check = check(&config, true).unwrap();
    assert_eq!(
        (&check.read, &check.ranges, &check.write),
        (&Finding::Works, &Finding::Works, &Finding::Works)
    );
    let Finding::Fails { reason, takes } = check.list else { panic!() };
    assert!(reason.contains("AccessDenied"), "{reason}");
    assert_eq!(takes, "s3:ListBucket");
}

#[test]
fn who_may_only_read_is_told_so() {
    let s3 = S3::with(Policy::MayOnlyRead);
    let service = open(&config_at(s3.address), Access::Write);
    let found = check(&config_at(s3.address), true).unwrap();
    let Finding::Fails { reason, takes } = found.write else { panic!() };
    assert!(reason.contains("access denied"), "{reason}");
    assert_eq!(takes, "s3:PutObject");
    let put = Stored::new(1, 3, 100).try_put(&service, "r1", Overwrite::default());
    assert!(put.is_err());
}

#[test]
fn a_token_or_a_password_goes_to_the_service_alone() {
    let elsewhere = Canned::start(|_, _| Answer::new("404 Not Found", "", b""));
    let location = format!("location: http://{}/x\r\n", elsewhere.address);
    let server = Canned::start(move |_, _| Answer::new("307 Temporary Redirect", &location, b""));
    let url = format!("http://{}/", server.address);
    for (variable, value, expected) in [
        ("LARDER_CACHE_TOKEN", "hunter2", "Bearer hunter2"),
        ("LARDER_CACHE_KEY", "user:hunter2", "Basic dXNlcjpodW50ZXIy"),
    ] {
        let service = open(&plain(&url, &[(variable, value)]), Access::Read);
        assert_eq!(Stored::empty().try_get(&service, &["r1"]).unwrap(), None);
        let asked = server.asked();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|head| header(head, "authorization") == Some(expected)));
        let asked = elsewhere.asked();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|head| header(head, "authorization").is_none()), "{asked:?}");
    }
    // Nor to anybody who is only read from without.
    let mut config = plain(&url, &[("LARDER_CACHE_TOKEN", "hunter2")]);
    config.anonymous_reads = true;
    assert_eq!(Stored::empty().try_get(&open(&config, Access::Read), &["r1"]).unwrap(), None);
    assert!(server.asked().iter().all(|head| header(head, "authorization").is_none()));
}

#[test]
fn a_write_that_is_redirected_is_not_taken_for_done() {
    // Followed as browsers do, it would be a read of what is there already.
    let server = Canned::start(|head, _| match head.starts_with("PUT ") {
        true => Answer::new("301 Moved Permanently", "location: /elsewhere\r\n", b""),
        false if head.starts_with("GET /elsewhere") => Answer::new("200 OK", "", b"old"),
        false => Answer::new("404 Not Found", "", b""),
    });
    let service = open(&plain(&format!("http://{}/", server.address), &[]), Access::Write);
    let put = Stored::new(1, 1, 10).try_put(&service, "r1", Overwrite::default());
    assert!(put.unwrap_err().to_string().contains("301"));
    assert!(server.asked().iter().all(|head| !head.contains("/elsewhere")));
}

#[test]
fn credentials_of_a_provider_are_not_sent_elsewhere() {
    let elsewhere = Canned::start(|_, _| Answer::new("404 Not Found", "", b""));
    let location = format!("location: http://{}/x\r\n", elsewhere.address);
    let server = Canned::start(move |_, _| Answer::new("307 Temporary Redirect", &location, b""));
    let credentials = Credentials::of([
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "hunter2"),
    ]);
    let config = ServiceConfig { credentials: Arc::new(credentials), ..config_at(server.address) };
    let got = Stored::empty().try_get(&open(&config, Access::Read), &["r1"]);
    assert!(got.is_err());
    assert!(server.asked().iter().all(|head| header(head, "x-amz-security-token").is_some()));
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}

#[test]
fn credentials_do_not_travel_in_the_open() {
    let refused = |config: &ServiceConfig| {
        let error = Service::open(config, Access::Read).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("user"), "{error}");
        error
    };
    let key = [("LARDER_CACHE_KEY", "user:hunter2")];
    let mut config = plain("http://cache.example.org/x", &key);
    assert!(refused(&config).contains("allow-unencrypted-credentials"));
    config.allow_unencrypted_credentials = true;
    open(&config, Access::Read);
    open(&plain("https://cache.example.org/x", &key), Access::Read);
    open(&plain("http://cache.example.org/x", &[]), Access::Read);
    for url in [
        "http://user:hunter2@127.0.0.1/",
        "https://user:hunter2@cache.example.org/x",
        "https://user:hun/ter2@cache.example.org/x",
        "https://cache.example.org/x?key=hunter2",
        "s3://user:hunter2@bucket",
        "user:hunter2@cache.example.org",
    ] {
        let config = plain(url, &[]);
        let error = refused(&config);
        assert!(!error.contains("ter2") && !format!("{config:?}").contains("ter2"), "{error}");
    }
}

/// A configuration that waits a second for everything.
fn impatient(config: ServiceConfig) -> ServiceConfig {
    ServiceConfig {
        timeout_seconds: None,
        answer_seconds: Some(1),
        stall_seconds: Some(1),
        ..config
    }
}

#[test]
fn a_service_that_never_answers_is_waited_for_once() {
    let server = Canned::silent();
    for config in [config_at(server.address), plain(&format!("http://{}/", server.address), &[])] {
        let config = impatient(config);
        let begin = Instant::now();
        let error = Stored::empty().try_get(&open(&config, Access::Read), &["r1", "r2"]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("service team") && error.contains("no answer within 1 s"),
            "{error}"
        );
        let put = Stored::new(1, 3, 100);
        let put = put.try_put(&open(&config, Access::Write), "r1", Overwrite::default());
        assert!(put.unwrap_err().to_string().contains("no answer within 1 s"));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_build_does_not_wait_for_who_wants_to_be_left_alone() {
    let server =
        Canned::start(|_, _| Answer::new("429 Too Many Requests", "retry-after: 60\r\n", b""));
    let config = ServiceConfig::new("team", format!("http://{}/", server.address));
    let begin = Instant::now();
    let service = Service::open_for_a_build(&config).unwrap();
    let error = Stored::empty().try_get(&service, &["r1"]).unwrap_err().to_string();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(error.contains("429") || error.contains("asked again in 60 s"), "{error}");
}

#[test]
fn a_service_that_drips_is_waited_for_once() {
    let server = Canned::start(|_, _| {
        Answer::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec())
    });
    let config = impatient(plain(&format!("http://{}/", server.address), &[]));
    let begin = Instant::now();
    let error = Stored::empty().try_get(&open(&config, Access::Read), &["r1"]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("less than 1024 bytes in 1 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

/// Knows nothing, and reads no more of an upload than its head.
fn takes_nothing(mut client: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.starts_with("PUT") {
            // Until the client leaves.
            loop {
                client.write_all(b"")?;
                thread::sleep(Duration::from_millis(100));
                if client.take_error()?.is_some() {
                    return Ok(());
                }
            }
        }
        if line == "\r\n" {
            client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
}

#[test]
fn an_upload_that_nobody_takes_is_given_up() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        for client in server.incoming().flatten() {
            thread::spawn(move || _ = takes_nothing(client));
        }
    });
    let config = impatient(plain(&format!("http://{address}/"), &[]));
    let mut here = Stored::new(1, 1, 100);
    // More than the buffers of a connection hold.
    here.add("large.so", &object(1, 999, 24 << 20));
    let begin = Instant::now();
    let put = here.try_put(&open(&config, Access::Write), "r1", Overwrite::default());
    let error = put.unwrap_err().to_string();
    assert!(error.contains("in 1 s") || error.contains("within 1 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_build_waits_for_a_dead_service_once_and_not_for_each_revision() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 0);
    let config = impatient(config_at(proxy.address));
    let there = Stored::empty();
    let mut all = Vec::new();
    for n in 0..4 {
        let here = Stored::new(10 + n, 20, 1000);
        here.put(&open(&config_at(s3.address), Access::Write), &format!("r{n}"));
        let reader = open(&config_at(s3.address), Access::Read);
        let request = larder_remote::Get { mappings_only: true, ..there.request(&reader) };
        larder_remote::get(&request, &[revision(&format!("r{n}"))]).unwrap().report.unwrap();
        all.extend(here.mappings.iter().map(|(hash, outputs)| (*hash, outputs.clone())));
    }
    proxy.set(Faults { stall: 1.0, ..Faults::default() });
    let mut services = Config::default();
    services.cache.services.push(config);
    let upstream = larder_remote::on_demand(services, there.store.layout()).unwrap();
    let store = Store::open(there.store.layout().root()).unwrap().with_upstream(upstream);
    let begin = Instant::now();
    for (dep_hash, outputs) in &all {
        assert!(matches!(store.lookup(&scope(), dep_hash, |_| true), Lookup::Hit(_)));
        let path = there.dir.path().join("out").join(&outputs.outputs[0].path);
        assert!(store.restore(&outputs.outputs[0], &path).is_err());
    }
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(proxy.requests() <= 2);
}

#[test]
fn a_file_server_without_ranges_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let config = ServiceConfig::new("team", format!("file://{}", directory.path().display()));
    let here = Stored::new(1, 20, 2000);
    here.put(&open(&config, Access::Write), "r1");
    let server = FileServer::start(directory.path(), false);
    let config = plain(&format!("http://{}/", server.address), &[("LARDER_CACHE_KEY", "a:b")]);
    assert_eq!(Stored::empty().get(&open(&config, Access::Read), "r1").fetched, 20);
}
