//! Requests of people who mean harm, and of those who are slow.

use std::{
    io::{Read, Write},
    time::Duration,
};

use larder_testkit::server::Server;

use super::client::{Client, broken_set};

#[test]
fn no_address_leads_out_of_the_data() {
    let set = broken_set();
    set.file("secret", "secret");
    std::os::unix::fs::symlink(set.root.join("secret"), set.data.html().join("p/link")).unwrap();
    let run = set.last_run();
    let logs = set.data.runs().join(&run).join("logs/root.1.0");
    let hash = "0".repeat(64);
    std::os::unix::fs::symlink(set.root.join("secret"), logs.join(format!("{hash}.build.7.log")))
        .unwrap();
    let server = Server::of(&set);
    let ups =
        ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "....//", "%00", "%c0%ae%c0%ae/"];
    let bases = [
        "/".to_owned(),
        "/packages/".to_owned(),
        "/maintainers/".to_owned(),
        "/assets/".to_owned(),
        "/api/packages/".to_owned(),
        "/docs/".to_owned(),
        "/docs/p/".to_owned(),
        "/docs/p/middle/".to_owned(),
        format!("/runs/{run}/"),
        format!("/runs/{run}/logs/root.1.0/"),
        "/runs/".to_owned(),
    ];
    for base in &bases {
        for up in ups {
            for times in [1, 3, 7, 12] {
                for target in ["secret", "etc/passwd", "larder-set.toml", "status.json"] {
                    let path = format!("{base}{}{target}", up.repeat(times));
                    let answer = server.get(&path);
                    assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    assert!(!text.contains("root:x:") && !text.contains("[compiler"), "{path}");
                }
            }
        }
    }
    for path in [
        "/docs/p/link".to_owned(),
        "/docs/p/link/index.html".to_owned(),
        "/docs/status.json".to_owned(),
        "/docs/.hidden/x.html".to_owned(),
        format!("/runs/{run}/logs/root.1.0/{hash}.build.7.log"),
        format!("/runs/{run}/logs/root.1.0/{hash}.build.7.log.html"),
        format!("/runs/{run}/run.json"),
        format!("/runs/{run}/results.jsonl"),
    ] {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
    assert_eq!(server.get("/docs/p/middle/1.0/index.html").status, 200);
}

#[test]
fn what_others_wrote_does_nothing_in_a_page() {
    let set = broken_set();
    let server = Server::of(&set);
    let run = set.last_run();
    for path in ["/", "/packages", "/packages/root.1.0", "/feed.atom", &format!("/runs/{run}")] {
        let page = server.get(path).ok();
        let text = page.text();
        assert!(!text.contains("<script>alert") && !text.contains("<b>bold"), "{path}: {text}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(!page.header("content-security-policy").contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    let documentation = server.get("/docs/p/middle/1.0/index.html").ok();
    let policy = documentation.header("content-security-policy");
    assert!(policy.starts_with("sandbox ") && !policy.contains("allow-scripts"), "{policy}");
    // What is asked for comes back as text.
    let odd = "%3Cscript%3Ealert(1)%3C/script%3E%22%27";
    let compare = format!("/compare?base={run}&candidate={run}");
    let ours = [(compare, '&', "change"), (format!("/runs/{run}"), '?', "verdict")];
    let queries = ours.into_iter().flat_map(|(page, and, kind)| {
        let keys = ["q", kind, "category", "compiler", "maintainer", "differ", "sort", "page"];
        keys.into_iter().map(move |key| format!("{page}{and}{key}={odd}"))
    });
    for path in queries.chain([
        format!("/packages?q={odd}"),
        format!("/packages?category={odd}"),
        format!("/packages?sort={odd}"),
        format!("/packages/{odd}"),
        format!("/maintainers/{odd}"),
        format!("/runs/{odd}"),
        format!("/{odd}"),
    ]) {
        let answer = server.get(&path);
        assert!(!answer.text().contains("<script>alert"), "{path}: {}", answer.text());
        assert!(answer.status < 500, "{path}");
    }
}

#[test]
fn nothing_is_changed_by_a_request() {
    let set = broken_set();
    let server = Server::of(&set);
    let before = larder_testkit::files::contents(set.data.root());
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"] {
        for path in ["/", "/packages/root.1.0", "/api/overview", "/healthz", "/assets/style.css"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"
            );
            let status = server.ask(request).status;
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    let head = server.ask("HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for path in ["/", "/packages", "/locks", "/cache", "/runs"] {
        server.get(path).ok();
    }
    assert!(before == larder_testkit::files::contents(set.data.root()), "reading has written");
}

#[test]
fn a_name_of_somebody_else_is_not_answered() {
    let set = broken_set();
    let ask = |server: &Server, path: &str, host: &str| {
        server.ask(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    let server = Server::of(&set);
    for path in ["/", "/api/overview", "/metrics", "/docs/p/middle/1.0/index.html", "/feed.atom"] {
        for host in ["evil.example", "127.0.0.1.evil.example:8080"] {
            let answer = ask(&server, path, host);
            assert_eq!(answer.status, 421, "{path} of {host}");
            assert!(answer.text().contains("not known as"), "{answer:?}");
        }
        for host in [&server.address.to_string(), "localhost", "[::1]:80"] {
            ask(&server, path, host).ok();
        }
    }
    let answer = ask(&server, "/", "evil\u{1b}[31m.example");
    assert!(!answer.body.contains(&0x1b), "{answer:?}");
    let named = set.command(&["serve", "--host", "ci.example"]);
    let named = Server::larder(named);
    ask(&named, "/", "ci.example").ok();
    assert_eq!(ask(&named, "/", "evil.example").status, 421);
}

#[test]
fn requests_that_are_too_large_are_refused() {
    let set = broken_set();
    let server = Server::of(&set);
    let long = "x".repeat(100_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(5_000)),
        format!("GET /packages?q={long} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let status = server.ask(request).status;
        assert!((400..500).contains(&status), "{status}");
    }
    for nonsense in
        ["\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "GET / HTTP/9.9\r\n\r\n"]
    {
        let mut stream = server.connect();
        stream.write_all(nonsense.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        assert!(
            !answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"HTTP/1.1 5"),
            "{nonsense:?}"
        );
    }
    server.get("/").ok();
}

/// Clients that send nothing, or a request byte by byte, hold nobody up.
/// Who sends all of a large upload before it listens hears that it is refused.
#[test]
fn a_refusal_is_heard_by_who_is_still_sending() {
    let set = broken_set();
    let mut command = set.command(&["serve", "--cache"]);
    command.arg(set.outside().join("cache"));
    let server = Server::larder(command);
    let content = vec![0; 1 << 20];
    for _ in 0..10 {
        let mut stream = server.connect();
        let head = format!(
            "PUT /larder/a HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            content.len() * 32
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..32 {
            stream.write_all(&content).unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn slow_clients_cost_a_connection_and_no_more() {
    let set = broken_set();
    let server = Server::of(&set);
    let mut slow: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for stream in slow.iter_mut().skip(100) {
        stream.write_all(b"GET / HT").unwrap();
    }
    for _ in 0..20 {
        server.get("/packages").ok();
    }
    // One that never says what it wants is told so, or sent away, after a while.
    let mut answer = Vec::new();
    let stream = &mut slow[150];
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn told_to_end_it_finishes_what_was_asked() {
    let set = broken_set();
    let mut server = Server::of(&set);
    // One that has begun to ask, one that waits, and one that follows events.
    let mut begun = server.connect();
    begun.write_all(b"GET /packages HTTP/1.1\r\nhost: x\r\n").unwrap();
    let _idle = server.connect();
    server.get("/").ok();
    server.terminate();
    begun.write_all(b"connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    _ = begun.read_to_end(&mut answer);
    assert_eq!(server.ended(), Some(0));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert!(std::net::TcpStream::connect(server.address).is_err(), "nobody listens any more");
}
