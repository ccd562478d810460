//! Many at once, and the end of the process in the midst of that.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use larder_remote::{Access, Overwrite, Service};
use larder_serve::cache::{Config, NewKey, blame, keys_of};
use larder_testkit::{stores::Stored, wait::wait_until};
use tempfile::TempDir;

use super::{
    server::{Process, Server, key, open, service},
    signer::{Answer, Request},
};

/// Reads an object on a connection that stays; `None` where there is none.
fn get(stream: &mut TcpStream, name: &str) -> Option<Vec<u8>> {
    write!(stream, "GET /larder/{name} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server hung up");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + 4 + length.map_or(0, |it| it.parse::<usize>().unwrap());
        let is_chunked = head.contains("transfer-encoding: chunked");
        let is_whole =
            if is_chunked { answer.ends_with(b"0\r\n\r\n") } else { answer.len() >= whole };
        if is_whole {
            let status = head.split(' ').nth(1).unwrap();
            assert!(matches!(status, "200" | "404"), "{head}");
            return (status == "200").then(|| answer[end + 4..whole].to_vec());
        }
    }
}

/// Content that says what it is, all through.
fn content(name: usize, version: usize, size: usize) -> Vec<u8> {
    format!("<{name}:{version}>").into_bytes().into_iter().cycle().take(size).collect()
}

#[track_caller]
fn is_one_of_its_versions(name: usize, bytes: &[u8]) {
    let head = std::str::from_utf8(&bytes[..bytes.len().min(30)]).unwrap();
    let version = head.split('>').next().unwrap().strip_prefix(&format!("<{name}:")).unwrap();
    assert!(*bytes == content(name, version.parse().unwrap(), bytes.len()), "{name}: torn");
    assert_eq!(bytes.len(), 100_000 + name * 1_000, "{name}: cut off");
}

fn put(address: SocketAddr, key: &NewKey, name: usize, version: usize) -> Answer {
    let body = content(name, version, 100_000 + name * 1_000);
    Request::new("PUT", format!("/larder/x/{name}"), body).send(address, key)
}

#[test]
fn fifty_readers_see_whole_objects_while_others_write_and_room_is_made() {
    // Room for about 25 of 40.
    let server = Server::with(|config| config.quota = Some(3_000_000));
    let key = server.key(&["*"]);
    let (done, found) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..50 {
            let (server, done, found) = (&server, &done, &found);
            scope.spawn(move || {
                let mut stream = TcpStream::connect(server.address).unwrap();
                let mut rng = fastrand::Rng::with_seed(reader);
                while !done.load(Ordering::Relaxed) {
                    let name = rng.usize(..40);
                    if let Some(bytes) = get(&mut stream, &format!("x/{name}")) {
                        is_one_of_its_versions(name, &bytes);
                        found.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (server, key) = (&server, &key);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(1_000 + writer);
                    for version in 0..60 {
                        // No two are the same, or one would be the other sent again.
                        let version = writer as usize * 1_000 + version;
                        put(server.address, key, rng.usize(..40), version).is(200);
                    }
                })
            })
            .collect();
        let larder = scope.spawn(|| {
            let service = open(server.address, &key);
            for seed in 0..5 {
                let stored = Stored::new(seed, 20, 10_000);
                stored.try_put(&service, &format!("r{seed}"), Overwrite::Everything).unwrap();
            }
        });
        let writers: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        let larder = larder.join();
        wait_until("something was read", || found.load(Ordering::Relaxed) > 100);
        done.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.unwrap();
        }
        larder.unwrap();
    });
    let stats = server.cache.stats();
    assert!(stats.removed > 0 && stats.used_bytes <= 3_000_000, "{stats:?}");
    // Of revisions that are left, all is left.
    let reader = service(server.address, None, "s3://larder");
    let reader = Service::open(&reader, Access::Read).unwrap();
    for seed in 0..5 {
        let stored = Stored::new(seed, 20, 10_000);
        let other = Stored::empty();
        if other.try_get(&reader, &[&format!("r{seed}")]).unwrap().is_some() {
            assert_eq!(other.verified(&stored.mappings), 20);
        }
    }
}

#[test]
fn killed_under_load_it_leaves_nothing_half_written() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("cache");
    let config = Config::new(&directory);
    let key = key(&config, &["*"]);
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..4 {
        let server = Process::start(&directory);
        assert_eq!(fs::read_dir(directory.join("incoming")).unwrap().count(), 0);
        let written = AtomicU64::new(0);
        let address = server.address;
        thread::scope(|scope| {
            for writer in 0..4 {
                let (key, written) = (&key, &written);
                let mut rng = rng.fork();
                scope.spawn(move || {
                    for version in 0.. {
                        let name = rng.usize(..20) * 4 + writer;
                        let body = content(name, round * 1_000 + version, 100_000 + name * 1_000);
                        let put = Request::new("PUT", format!("/larder/x/{name}"), body);
                        let Ok(mut stream) = TcpStream::connect(address) else { return };
                        if stream.write_all(&put.signed(address, key)).is_err() {
                            return;
                        }
                        let mut answer = Vec::new();
                        if stream.read_to_end(&mut answer).is_err() || answer.is_empty() {
                            return;
                        }
                        assert!(answer.starts_with(b"HTTP/1.1 200"));
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let enough = 5 + rng.u64(..40);
            wait_until("some are written", || written.load(Ordering::Relaxed) >= enough);
            server.kill();
        });
        // All that there is, is whole.
        let server = Process::start(&directory);
        let mut stream = TcpStream::connect(server.address).unwrap();
        let written = blame(&directory, &keys_of(&directory), None).unwrap();
        assert!(!written.is_empty());
        for object in &written {
            let name = object.name.strip_prefix("x/").unwrap().parse().unwrap();
            let bytes = get(&mut stream, &object.name).expect("it is there");
            is_one_of_its_versions(name, &bytes);
        }
        server.kill();
    }
}
