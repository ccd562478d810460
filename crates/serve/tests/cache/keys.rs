//! Who wrote what, and keys that are revoked.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use larder_remote::Overwrite;
use larder_serve::cache::{blame, revoke};
use larder_testkit::{stores::Stored, wait::wait_until};

use super::{
    server::{Server, open},
    signer::Request,
};

fn is_there(server: &Server, name: &str) -> bool {
    Request::new("HEAD", format!("/larder/{name}"), "").send_unsigned(server.address).status == 200
}

#[test]
fn every_object_knows_who_wrote_it() {
    let server = Server::start();
    let (a, b) = (server.key(&["*"]), server.key(&["*"]));
    let put = |name: &str, key| {
        Request::new("PUT", format!("/larder/{name}"), "x").send(server.address, key).is(200);
    };
    put("x/1", &a);
    put("x/2", &b);
    put("y", &a);
    put("x/1", &b);
    let written = |name: Option<&str>| -> Vec<(String, String)> {
        let written = blame(server.directory(), &server.config.keys, name).unwrap();
        assert!(written.iter().all(|it| it.size == 1 && it.at > 0));
        written.into_iter().map(|it| (it.name, it.key)).collect()
    };
    let of = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    assert_eq!(written(None), [of("x/1", &b.id), of("x/2", &b.id), of("y", &a.id)]);
    assert_eq!(written(Some("x")), written(Some("x/")));
    assert_eq!(written(Some("x")), [of("x/1", &b.id), of("x/2", &b.id)]);
    assert_eq!(written(Some("y")), [of("y", &a.id)]);
    assert_eq!(written(Some("z")), []);
    let elsewhere = server.directory().join("objects");
    assert!(blame(&elsewhere, &server.config.keys, None).is_err());
}

#[test]
fn with_a_key_goes_what_it_wrote_and_what_names_that() {
    let server = Server::start();
    let (bad, good) = (server.key(&["owner/pkg"]), server.key(&["owner/pkg"]));
    let mut stored = Stored::new(1, 10, 2_000);
    stored.put(&open(server.address, &bad), "r1");
    stored.add("more.o", b"more");
    // The revision of the good key has packs of the bad one.
    stored.put(&open(server.address, &good), "r2");
    let own = Stored::new(2, 3, 2_000);
    let service = open(server.address, &good);
    own.try_put(&service, "r3", Overwrite::Everything).unwrap();

    let revoked = revoke(server.directory(), &server.config.keys, &bad.id).unwrap();
    assert!(revoked.key.revoked.is_some());
    let names: Vec<_> = revoked.removed.iter().map(|it| it.name.as_str()).collect();
    assert!(names.contains(&"revisions/owner/pkg/r1.jsonl"), "{names:?}");
    assert!(revoked.removed.iter().all(|it| it.key == bad.id));
    let [dependent] = revoked.dependents.as_slice() else { panic!("{:?}", revoked.dependents) };
    assert_eq!(dependent.object.name, "revisions/owner/pkg/r2.jsonl");
    assert_eq!(dependent.object.key, good.id);
    assert!(dependent.named.iter().all(|it| it.starts_with("packs/owner/pkg/")));
    assert!(!is_there(&server, "revisions/owner/pkg/r1.jsonl"));
    assert!(!is_there(&server, "revisions/owner/pkg/r2.jsonl"));
    let left = blame(server.directory(), &server.config.keys, None).unwrap();
    assert!(left.iter().all(|it| it.key == good.id), "{left:?}");

    Request::new("PUT", "/larder/owner/pkg/a", "x")
        .send(server.address, &bad)
        .refuses(403, "Invalid");
    Stored::empty().get(&service, "r3");
    // Whoever goes on is not held up by what is gone.
    stored.put(&service, "r4");
    Stored::empty().get(&service, "r4");
    let again = revoke(server.directory(), &server.config.keys, &bad.id).unwrap();
    assert_eq!((again.removed.len(), again.dependents.len()), (0, 0));
    assert!(revoke(server.directory(), &server.config.keys, "nobody").is_err());
}

#[test]
fn what_a_revoked_key_took_is_free_again() {
    let server = Server::with(|config| config.quota = Some(100_000));
    let (bad, good) = (server.key(&["bad"]), server.key(&["good"]));
    let put = |name: &str, size: usize, key| {
        let put = Request::new("PUT", format!("/larder/{name}"), "x".repeat(size));
        put.send(server.address, key).is(200);
    };
    put("good/1", 10_000, &good);
    for n in 0..3 {
        put(&format!("bad/{n}"), 25_000, &bad);
    }
    assert!(server.cache.stats().used_bytes > 85_000);
    revoke(server.directory(), &server.config.keys, &bad.id).unwrap();
    // Nobody has to go for it.
    put("good/2", 70_000, &good);
    let used = server.cache.stats().used_bytes;
    assert!((80_000..82_000).contains(&used), "{used}");
    assert!(is_there(&server, "good/1") && is_there(&server, "good/2"));

    // Seen at once as well.
    revoke(server.directory(), &server.config.keys, &good.id).unwrap();
    assert_eq!(server.cache.stats().used_bytes, 0);
}

#[test]
fn nothing_of_a_key_comes_after_it_was_revoked() {
    let server = Server::start();
    let keys: Vec<_> = (0..4).map(|_| server.key(&["x"])).collect();
    let written: Vec<_> = keys.iter().map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for (n, key) in keys.iter().enumerate() {
            let (server, written) = (&server, &written[n]);
            scope.spawn(move || {
                for m in 0.. {
                    let put = Request::new("PUT", format!("/larder/x/{n}/{m}"), "x");
                    let answer = put.send(server.address, key);
                    if answer.status != 200 {
                        answer.is(403);
                        return;
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
                unreachable!()
            });
        }
        for (key, written) in keys.iter().zip(&written) {
            wait_until("some are written", || written.load(Ordering::Relaxed) > 5);
            revoke(server.directory(), &server.config.keys, &key.id).unwrap();
            let left = blame(server.directory(), &server.config.keys, None).unwrap();
            assert!(left.iter().all(|it| it.key != key.id));
        }
    });
    assert_eq!(blame(server.directory(), &server.config.keys, None).unwrap(), []);
}
