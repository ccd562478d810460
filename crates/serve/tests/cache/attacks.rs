//! Requests that nobody means well with.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    time::{Duration, Instant, SystemTime},
};

use larder_serve::cache::{CacheServer, Config, NewKey, Reads};
use larder_testkit::files::set_mode;
use tempfile::TempDir;

use super::{
    server::Server,
    signer::{Request, hex, read, send, sha256},
};

fn put(name: &str, content: &str) -> Request {
    Request::new("PUT", format!("/larder/{name}"), content)
}

fn get(server: &Server, name: &str) -> Option<String> {
    let got = Request::new("GET", format!("/larder/{name}"), "").send_unsigned(server.address);
    match got.status {
        404 => None,
        _ => Some(String::from_utf8(got.is(200).body).unwrap()),
    }
}

#[test]
fn no_name_leads_out() {
    let server = Server::start();
    let key = server.key(&["*"]);
    fs::write(server.directory().parent().unwrap().join("secret"), "secret").unwrap();
    let long = format!("{}x", "x/".repeat(1_000));
    let wide = "x".repeat(300);
    for name in [
        "../secret",
        "../../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "%2e%2e%2f%2e%2e%2fsecret",
        "a/../../secret",
        "a/%2e%2e/%2e%2e/secret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "..",
        "%2e",
        "a%00b",
        "a%5cb",
        "..%5csecret",
        "a%0ab",
        "keys.json%00",
        "..%c0%af",
        "x.object/y",
        &long,
        &wide,
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let request = Request::new(method, format!("/larder/{name}"), "");
            let answers =
                [request.send(server.address, &key), request.send_unsigned(server.address)];
            for answer in answers {
                let is_refused = (400..500).contains(&answer.status);
                assert!(is_refused, "{method} {name}: {}", answer.head);
            }
        }
        let copy = Request::new("PUT", "/larder/copied", "");
        let copy = copy.header("x-amz-copy-source", &format!("/larder/{name}"));
        let status = copy.send(server.address, &key).status;
        assert!((400..500).contains(&status), "{name}: {status}");
    }
    assert_eq!(server.cache.stats().used_bytes, 0);
    let names: Vec<_> = fs::read_dir(server.directory().parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_forged_signature_writes_nothing() {
    let server = Server::start();
    let key = server.key(&["mine"]);
    let address = server.address;
    let other = |id: &str, secret: &str| NewKey { id: id.to_owned(), secret: secret.to_owned() };
    put("mine/a", "x").send_unsigned(address).refuses(403, "AccessDenied");
    put("mine/a", "x")
        .send(address, &other(&key.id, "wrong"))
        .refuses(403, "SignatureDoesNotMatch");
    put("mine/a", "x").send(address, &other("LKNOBODY", "x")).refuses(403, "InvalidAccessKeyId");

    let signed = String::from_utf8(put("mine/a", "content").signed(address, &key)).unwrap();
    let forge = |from: &str, to: &str| {
        assert!(signed.contains(from), "{signed}");
        send(address, signed.replacen(from, to, 1).as_bytes())
    };
    forge("\r\n\r\ncontent", "\r\n\r\ncontenT").refuses(400, "BadDigest");
    forge("/mine/a ", "/mine/b ").refuses(403, "SignatureDoesNotMatch");
    forge("PUT ", "DELETE ").refuses(403, "SignatureDoesNotMatch");
    forge("/mine/a ", "/mine/a?uploads ").refuses(403, "SignatureDoesNotMatch");
    forge("\r\nx-amz-date", "\r\nx-amz-copy-source: /larder/mine/b\r\nx-amz-date")
        .refuses(403, "has to be there once and signed");
    forge("\r\nx-amz-date", "\r\ncontent-md5: AAAA\r\nx-amz-date").refuses(403, "signed");
    forge("host;", "").refuses(403, "host");
    forge("/s3/aws4_request", "/sts/aws4_request").refuses(403, "another service");
    let hash = hex(&sha256(b"content"));
    forge(&hash, &hex(&sha256(b"others"))).refuses(403, "SignatureDoesNotMatch");
    forge(&hash, "UNSIGNED-PAYLOAD").refuses(403, "SignatureDoesNotMatch");
    forge("AWS4-HMAC-SHA256 Credential", "AWS4-HMAC-SHA1 Credential").refuses(403, "version 4");
    forge("authorization: ", "authorization: Basic eA==\r\nauthorization: ").refuses(400, "twice");
    forge("/mine/a ", "/mine/a?X-Amz-Signature=00 ").refuses(400, "twice");

    // Version 2 knows no time after which a signature does not count.
    let v2 = put("mine/a", "x").header("authorization", &format!("AWS {}:c2ln", key.id));
    v2.send_unsigned(address).refuses(403, "version 4");
    for name in ["Signature", "Signatur%65", "AWSAccessKeyId"] {
        let target =
            format!("/larder/mine/a?{name}=c2ln&Expires=9999999999&AWSAccessKeyId={}", key.id);
        let status = Request::new("PUT", target, "x").send_unsigned(address).status;
        assert!((400..=403).contains(&status), "{name}");
    }
    // Whoever sees a URL could write with it.
    let url = "/larder/mine/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    Request::new("PUT", url, "x").send_unsigned(address).refuses(403, "may read");
    let form = Request::new("POST", "/larder", "--b--");
    form.header("content-type", "Multipart/Form-Data; boundary=b")
        .send_unsigned(address)
        .refuses(501, "forms");
    assert_eq!(server.cache.stats().used_bytes, 0);
}

#[test]
fn an_old_signature_does_not_count() {
    let server = Server::start();
    let key = server.key(&["mine"]);
    for minutes in [-16i64, 16] {
        let mut request = put("mine/a", "x");
        let off = Duration::from_secs(minutes.unsigned_abs() * 60);
        let now = SystemTime::now();
        request.at = if minutes < 0 { now - off } else { now + off };
        request.send(server.address, &key).refuses(403, "RequestTimeTooSkewed");
    }
    let mut request = put("mine/a", "x");
    request.at -= Duration::from_secs(14 * 60);
    request.send(server.address, &key).is(200);
}

#[test]
fn a_replay_does_nothing() {
    let server = Server::start();
    let key = server.key(&["mine"]);
    let address = server.address;
    let first = put("mine/a", "first").signed(address, &key);
    send(address, &first).is(200);
    // Whoever heard no answer and asks again is told that all is well.
    send(address, &first).is(200);
    put("mine/a", "second").send(address, &key).is(200);
    send(address, &first).refuses(403, "done before");
    assert_eq!(get(&server, "mine/a").unwrap(), "second");

    let delete = Request::new("DELETE", "/larder/mine/a", "").signed(address, &key);
    send(address, &delete).is(204);
    send(address, &delete).is(204);
    send(address, &first).refuses(403, "done before");
    assert_eq!(get(&server, "mine/a"), None);
    put("mine/a", "third").send(address, &key).is(200);
    send(address, &delete).refuses(403, "done before");

    let copy =
        Request::new("PUT", "/larder/mine/b", "").header("x-amz-copy-source", "larder/mine/a");
    let copy = copy.signed(address, &key);
    send(address, &copy).is(200);
    put("mine/b", "other").send(address, &key).is(200);
    send(address, &copy).refuses(403, "done before");
    let list = "<Delete><Object><Key>mine/b</Key></Object></Delete>";
    let delete = Request::new("POST", "/larder?delete", list).signed(address, &key);
    send(address, &delete).is(200);
    put("mine/b", "again").send(address, &key).is(200);
    let said = String::from_utf8(send(address, &delete).is(200).body).unwrap();
    assert!(said.contains("done before"), "{said}");
    assert_eq!(get(&server, "mine/b").unwrap(), "again");
}

#[test]
fn a_key_writes_in_its_scopes_alone() {
    let server = Server::start();
    let (mine, yours) = (server.key(&["mine"]), server.key(&["yours", "both/yours"]));
    let address = server.address;
    put("mine/a", "mine").send(address, &mine).is(200);
    let said = |body: Vec<u8>| String::from_utf8(body).unwrap();
    for name in [
        "mine/a",
        "mine2/a",
        "a",
        "packs/mine/x",
        "revisions/mine/main.jsonl",
        "recent/mine.json",
        "keys/job",
        "yours",
        "both/a",
        "%6dine/a",
    ] {
        let target = format!("/larder/{name}");
        put(name, "yours").send(address, &yours).refuses(403, "may not write");
        Request::new("DELETE", &target, "").send(address, &yours).refuses(403, "may not write");
        let copy = put(name, "").header("x-amz-copy-source", "/larder/mine/a");
        copy.send(address, &yours).refuses(403, "may not write");
        let begin = Request::new("POST", format!("{target}?uploads"), "");
        begin.send(address, &yours).refuses(403, "may not write");
    }
    let list = "<Delete><Object><Key>mine/a</Key></Object></Delete>";
    let deleted = Request::new("POST", "/larder?delete", list).send(address, &yours).is(200);
    assert!(said(deleted.body).contains("AccessDenied"));
    let begun = Request::new("POST", "/larder/mine/b?uploads", "").send(address, &mine).is(200);
    let begun = said(begun.body);
    let id = begun.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap();
    for target in ["mine/b", "yours/b"] {
        let part = format!("/larder/{target}?partNumber=1&uploadId={id}");
        let status = Request::new("PUT", part, "x").send(address, &yours).status;
        assert!(matches!(status, 403 | 404), "{status}");
    }
    for id in ["..", "..%2Fobjects", "", "upload.json"] {
        let part = format!("/larder/yours/b?partNumber=1&uploadId={id}");
        Request::new("PUT", part, "x").send(address, &yours).is(404);
    }
    put("both/yours/a", "x").send(address, &yours).is(200);
    put("both/packs/yours/a", "x").send(address, &yours).is(200);
    assert_eq!(get(&server, "mine/a").unwrap(), "mine");
    Request::new("PUT", "/other/mine/a", "x").send(address, &mine).is(404);
}

#[test]
fn nothing_is_read_without_a_key_where_reads_want_one() {
    let server = Server::with(|config| config.reads = Reads::ByKey);
    let key = server.key(&["mine"]);
    put("mine/a", "x").send(server.address, &key).is(200);
    for target in
        ["/larder/mine/a", "/larder/mine/b", "/larder", "/larder?list-type=2", "/larder?location"]
    {
        for method in ["GET", "HEAD"] {
            Request::new(method, target, "").send_unsigned(server.address).is(403);
        }
        Request::new("GET", target, "").send(server.address, &server.key(&["other"]));
    }
    Request::new("GET", "/larder/mine/a", "").send(server.address, &key).is(200);
}

#[test]
fn what_is_too_large_is_refused_before_it_comes() {
    let server = Server::with(|config| config.largest = 1_000);
    let key = server.key(&["mine"]);
    let address = server.address;
    put("mine/a", &"x".repeat(1_000)).send(address, &key).is(200);
    put("mine/b", &"x".repeat(1_001)).send(address, &key).refuses(400, "EntityTooLarge");
    // It is said what would come, and nothing of that comes.
    let mut request = put("mine/b", "");
    request.payload = Some(hex(&sha256(b"x")));
    let bytes = String::from_utf8(request.signed(address, &key)).unwrap();
    let bytes = bytes.replace("content-length: 0", "content-length: 999999999999");
    send(address, bytes.as_bytes()).refuses(400, "EntityTooLarge");
    let list = "x".repeat(3 << 20);
    let status = Request::new("POST", "/larder?delete", list).send(address, &key).status;
    assert!((400..500).contains(&status), "{status}");
    let header = put("mine/b", "").header("x-amz-meta-a", &"x".repeat(64 << 10));
    let status = header.send(address, &key).status;
    assert!((400..500).contains(&status), "{status}");

    let small = Server::with(|config| config.quota = Some(2_000));
    let key = small.key(&["mine"]);
    put("mine/a", &"x".repeat(2_001)).send(small.address, &key).refuses(400, "EntityTooLarge");
    assert_eq!(small.cache.stats().used_bytes, 0);
}

#[test]
fn a_slow_upload_ends() {
    let server = Server::with(|config| config.stall = Duration::from_secs(1));
    let key = server.key(&["mine"]);
    let bytes = put("mine/a", &"x".repeat(100_000)).signed(server.address, &key);
    let begun = Instant::now();
    let mut stalled = TcpStream::connect(server.address).unwrap();
    stalled.write_all(&bytes[..bytes.len() - 50_000]).unwrap();
    let mut dripping = TcpStream::connect(server.address).unwrap();
    dripping.write_all(&bytes[..bytes.len() - 50_000]).unwrap();
    let mut more = dripping.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        while more.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    read(&mut stalled).refuses(400, "RequestTimeout");
    read(&mut dripping).refuses(400, "RequestTimeout");
    assert!(begun.elapsed() < Duration::from_secs(20));
    drop(dripping);
    drip.join().unwrap();
    // One that breaks off leaves nothing either.
    let mut broken = TcpStream::connect(server.address).unwrap();
    broken.write_all(&bytes[..bytes.len() - 50_000]).unwrap();
    drop(broken);
    let incoming = server.directory().join("incoming");
    larder_testkit::wait::wait_until("nothing is left", || {
        fs::read_dir(&incoming).unwrap().count() == 0 && server.cache.stats().used_bytes == 0
    });
    assert_eq!(get(&server, "mine/a"), None);
}

#[test]
fn what_was_uploaded_is_no_page_of_the_server() {
    let server = Server::start();
    let key = server.key(&["mine"]);
    let page = put("mine/a.html", "<script>alert(1)</script>").header("content-type", "text/html");
    page.send(server.address, &key).is(200);
    for target in ["/larder/mine/a.html", "/larder/none", "/larder/a//b", "/larder?list-type=2"] {
        let head = Request::new("GET", target, "").send_unsigned(server.address).head;
        assert!(head.contains("content-security-policy: sandbox; default-src 'none'"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    }
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let root = TempDir::new().unwrap();
    let config = Config::new(root.path().join("cache"));
    super::server::key(&config, &["*"]);
    set_mode(&config.keys, 0o644);
    let error = CacheServer::open(&config).err().unwrap().to_string();
    assert!(error.contains("mode 644") && error.contains("600"), "{error}");
    set_mode(&config.keys, 0o600);
    let server = CacheServer::open(&config).unwrap();
    let error = CacheServer::open(&config).err().unwrap().to_string();
    assert!(error.contains("another process serves it"), "{error}");
    drop(server);
    CacheServer::open(&config).unwrap();
    for bucket in ["", "A", "../x", "a/b"] {
        let config = Config { bucket: bucket.to_owned(), ..config.clone() };
        assert!(CacheServer::open(&config).is_err(), "{bucket}");
    }
}

/// What is asked for and not done is refused, and nothing is changed.
#[test]
fn what_is_not_done_is_refused_before_it_does_harm() {
    let server = Server::start();
    let key = server.key(&["x"]);
    let send = |request: Request| request.send(server.address, &key);
    let put =
        |name: &str, body: &'static str| Request::new("PUT", format!("/larder/x/{name}"), body);
    send(put("a", "a")).is(200);
    send(put("b", "b")).is(200);
    let other = "\"00000000000000000000000000000000\"";
    let delete = || Request::new("DELETE", "/larder/x/a", "");
    send(delete().header("if-match", other)).refuses(501, "if-match");
    send(delete().header("x-amz-if-match-size", "7")).refuses(501, "x-amz-if-match-size");
    send(Request::new("DELETE", "/larder/x/a?versionId=abc", "")).refuses(501, "versionId");
    let copy = || put("a", "").header("x-amz-copy-source", "/larder/x/b");
    send(copy().header("if-none-match", "*")).refuses(501, "if-none-match");
    let many = format!("<Delete><Object><Key>x/a</Key><ETag>{other}</ETag></Object></Delete>");
    let answer = send(Request::new("POST", "/larder?delete", &many)).is(200);
    let said = String::from_utf8_lossy(&answer.body);
    assert!(said.contains("<Code>NotImplemented</Code>"), "{said}");
    for (name, value) in [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "id=1"),
    ] {
        send(put("a", "other").header(name, value)).refuses(501, name);
    }
    for query in ["versionId=abc", "partNumber=1"] {
        send(Request::new("GET", format!("/larder/x/a?{query}"), "")).refuses(501, "does not do");
    }
    send(put("a", "a").header("x-amz-acl", "private")).is(200);

    // SHA-256 and CRC32 of `x`.
    let sums = [
        ("x-amz-checksum-sha256", "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="),
        ("x-amz-checksum-crc32", "jNwWgw=="),
    ];
    for (name, sum) in sums {
        send(put("sum", "y").header(name, sum)).refuses(400, "BadDigest");
        send(put("sum", "x").header(name, sum)).is(200);
    }
    assert_eq!(get(&server, "x/a").as_deref(), Some("a"));
}
