//! Content that is not what its name says, and revisions that name what is not there.

use std::fs;

use larder_testkit::stores::{Stored, hash};

use super::{
    server::{Server, open},
    signer::Request,
};

/// Names and contents of all objects of a service that holds a revision, those of packs first.
fn uploaded() -> Vec<(String, Vec<u8>)> {
    let server = Server::start();
    let key = server.key(&["*"]);
    let service = open(server.address, &key);
    let mut stored = Stored::new(3, 400, 2_000);
    stored.put(&service, "r1");
    stored.add("one-more.o", b"one more");
    stored.put(&service, "r2");
    let list = Request::new("GET", "/larder?list-type=2", "").send_unsigned(server.address).is(200);
    let list = String::from_utf8(list.body).unwrap();
    let names = list.split("<Key>").skip(1).map(|it| it.split('<').next().unwrap().to_owned());
    let mut objects: Vec<_> = names
        .map(|name| {
            let got = Request::new("GET", format!("/larder/{name}"), "");
            let content = got.send_unsigned(server.address).is(200).body;
            (name, content)
        })
        .collect();
    let rank = |name: &str| {
        let order = ["packs/", "snapshots/", "revisions/"];
        order.iter().position(|start| name.starts_with(start)).unwrap_or(order.len())
    };
    objects.sort_by_key(|(name, _)| rank(name));
    let count = |start: &str| objects.iter().filter(|(name, _)| name.starts_with(start)).count();
    assert_eq!((count("packs/"), count("snapshots/"), count("revisions/")), (2, 1, 2));
    objects
}

fn put(name: &str, content: &[u8]) -> Request {
    Request::new("PUT", format!("/larder/{name}"), content)
}

#[test]
fn what_is_named_by_content_has_that_content() {
    let objects = uploaded();
    let server = Server::start();
    let key = server.key(&["*"]);
    let is_empty = || server.cache.stats().used_bytes == 0;
    let send = |name: &str, content: &[u8]| put(name, content).send(server.address, &key);
    for (name, content) in objects.iter().filter(|(name, _)| name.starts_with("packs/")) {
        for at in [0, 20, content.len() / 2, content.len() - 1] {
            let mut damaged = content.clone();
            damaged[at] ^= 1;
            send(name, &damaged).refuses(400, "BadDigest");
        }
        send(name, &content[..content.len() - 1]).refuses(400, "BadDigest");
        send(name, &[content.as_slice(), b"x"].concat()).refuses(400, "BadDigest");
        send(name, b"").refuses(400, "BadDigest");
        let other = format!("packs/owner/pkg/{}.pack", hash("other"));
        send(&other, content).refuses(400, "BadDigest");
    }
    for (name, content) in objects.iter().filter(|(name, _)| name.starts_with("snapshots/")) {
        send(name, &content[1..]).refuses(400, "BadDigest");
        let other = format!("snapshots/owner/pkg/{}.snap", hash("other"));
        send(&other, content).refuses(400, "BadDigest");
        let garbage = format!("snapshots/owner/pkg/{}.snap", hash("garbage"));
        send(&garbage, b"garbage").refuses(400, "BadDigest");
    }
    for content in [&b""[..], b"garbage", b"\"1\"\n", b"\"2\"\n{}\n"] {
        send("revisions/owner/pkg/main.jsonl", content).refuses(400, "BadDigest");
    }
    assert!(is_empty());
    let incoming = server.directory().join("incoming");
    assert_eq!(fs::read_dir(incoming).unwrap().count(), 0);
}

#[test]
fn a_revision_comes_after_all_that_it_names() {
    let objects = uploaded();
    let server = Server::start();
    let key = server.key(&["*"]);
    let send = |name: &str, content: &[u8]| put(name, content).send(server.address, &key);
    // In the wrong order, nothing but packs is taken, each time one more kind.
    let named: Vec<_> = objects.iter().filter(|(name, _)| name.contains("/owner/pkg/")).collect();
    for (name, content) in named.iter().rev() {
        if !name.starts_with("packs/") {
            send(name, content).refuses(400, "which is not here");
        }
    }
    let (packs, others): (Vec<_>, Vec<_>) = named
        .iter()
        .copied()
        .partition::<Vec<&(String, Vec<u8>)>, _>(|it| it.0.starts_with("packs/"));
    send(&packs[0].0, &packs[0].1).is(200);
    let taken = others.iter().filter(|(name, content)| send(name, content).status == 200).count();
    assert!(taken < others.len());
    send(&packs[1].0, &packs[1].1).is(200);
    for (name, content) in &others {
        send(name, content).is(200);
    }
    Stored::empty().get(&open(server.address, &key), "r2");
}

#[test]
fn a_pack_in_parts_is_verified_as_well() {
    let server = Server::start();
    let key = server.key(&["*"]);
    let upload = |name: &str, content: &[u8]| {
        let target = format!("/larder/{name}");
        let begun = Request::new("POST", format!("{target}?uploads"), "");
        let begun = String::from_utf8(begun.send(server.address, &key).is(200).body).unwrap();
        let id = begun.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap();
        let mut list = String::new();
        for (part, number) in content.chunks(content.len() / 3 + 1).zip(1..) {
            let put =
                Request::new("PUT", format!("{target}?partNumber={number}&uploadId={id}"), part);
            let head = put.send(server.address, &key).is(200).head;
            let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            ));
        }
        let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let complete = Request::new("POST", format!("{target}?uploadId={id}"), list);
        let first = complete.send(server.address, &key);
        // Sent again by who has not heard of the answer.
        (first, complete.send(server.address, &key))
    };
    let (name, content) = uploaded().remove(0);
    let mut damaged = content.clone();
    damaged[content.len() / 2] ^= 1;
    upload(&name, &damaged).0.refuses(400, "BadDigest");
    Request::new("GET", format!("/larder/{name}"), "").send_unsigned(server.address).is(404);
    let (first, again) = upload(&name, &content);
    first.is(200);
    again.is(200);
    let got = Request::new("GET", format!("/larder/{name}"), "").send_unsigned(server.address);
    assert_eq!(got.is(200).body, content);
}
