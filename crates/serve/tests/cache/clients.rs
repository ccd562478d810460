//! Clients that people use.

use std::{fs, path::Path, process::Command, sync::Arc};

use larder_remote::{Access, Recorded, ResultState, Retention, Service};
use larder_serve::cache::{NewKey, Reads};
use larder_testkit::{services::rclone, stores::Stored, tools::require};
use object_store::{
    GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion, aws::AmazonS3Builder, path::Path as Name,
};
use tempfile::TempDir;

use super::{
    server::{Server, open, service},
    signer::{hex, sha256},
};

#[test]
fn larder_puts_gets_and_collects() {
    let server = Server::start();
    let key = server.key(&["owner/pkg", "keys"]);
    let writer = open(server.address, &key);
    let mut stored = Stored::new(1, 40, 14_000);
    // One in a pack of its own, which goes up in parts.
    let large: Vec<u8> = (0..20 << 20).map(|_| fastrand::u8(..)).collect();
    stored.add("large.bin", &large);
    let report = stored.put(&writer, "r1");
    assert_eq!(report.sent, 41);
    stored.add("more.o", b"one more");
    assert_eq!(stored.put(&writer, "r2").sent, 1);

    let anonymous = service(server.address, None, "s3://larder");
    let reader = Service::open(&anonymous, Access::Read).unwrap();
    let other = Stored::empty();
    other.get(&reader, "r2");
    assert_eq!(other.verified(&stored.mappings), 42);
    assert!(other.try_get(&reader, &["r3"]).unwrap().is_none());

    let result = "job-1".parse().unwrap();
    let recorded = larder_remote::record_result(&writer, &result, None, None, 1).unwrap();
    assert_eq!(recorded, Recorded::New);
    let state = larder_remote::look_up_result(&reader, &result, 1).unwrap();
    assert_eq!(state, ResultState::Done { until: None });

    let scope = "owner/pkg".parse().unwrap();
    let retention = Retention { newest: 1, max_age: None };
    let report = larder_remote::collect(&writer, &scope, &stored.store, retention).unwrap();
    assert_eq!(report.revisions, 1);
    assert!(other.try_get(&reader, &["r1"]).unwrap().is_none());
    Stored::empty().get(&reader, "r2");
    let stats = server.cache.stats();
    assert!(stats.hits > 0 && stats.misses > 0 && stats.writes > 0, "{stats:?}");
}

#[test]
fn a_service_may_lie_below_a_directory_and_want_keys_for_reads() {
    let server = Server::with(|config| config.reads = Reads::ByKey);
    let key = server.key(&["team/owner/pkg"]);
    let config = service(server.address, Some(&key), "s3://larder/team");
    let writer = Service::open(&config, Access::Write).unwrap();
    let stored = Stored::new(1, 4, 1_000);
    stored.put(&writer, "r1");
    Stored::empty().get(&writer, "r1");
    let anonymous = service(server.address, None, "s3://larder/team");
    let reader = Service::open(&anonymous, Access::Read).unwrap();
    assert!(!matches!(Stored::empty().try_get(&reader, &["r1"]), Ok(Some(_))));
    // Without the directory, it is somebody else's service.
    let elsewhere = open(server.address, &key);
    let report = stored.try_put(&elsewhere, "r1", larder_remote::Overwrite::default());
    assert!(report.is_err() || !report.unwrap().is_complete());
}

fn bucket(server: &Server, key: &NewKey) -> Arc<dyn ObjectStore> {
    // An error says that it is there.
    _ = rustls::crypto::ring::default_provider().install_default();
    let builder = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", server.address))
        .with_allow_http(true)
        .with_bucket_name("larder")
        .with_region("us-east-1")
        .with_access_key_id(&key.id)
        .with_secret_access_key(&key.secret);
    Arc::new(builder.build().unwrap())
}

fn with(mode: PutMode) -> PutOptions {
    PutOptions { mode, ..PutOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn object_store_has_all_that_it_does() {
    use futures_util::TryStreamExt;
    let server = tokio::task::block_in_place(Server::start);
    let key = server.key(&["mine"]);
    let store = bucket(&server, &key);
    let name = |name: &str| Name::parse(name).unwrap();
    let content = |text: &'static str| PutPayload::from_static(text.as_bytes());

    let a = name("mine/a b/ü.txt");
    let put = store.put(&a, content("0123456789")).await.unwrap();
    assert_eq!(store.get(&a).await.unwrap().bytes().await.unwrap(), "0123456789");
    assert_eq!(store.get_range(&a, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_ranges(&a, &[0..1, 8..10]).await.unwrap(), ["0", "89"]);
    let head = store.head(&a).await.unwrap();
    assert_eq!((head.size, &head.e_tag), (10, &put.e_tag));
    let same = GetOptions { if_none_match: put.e_tag.clone(), ..GetOptions::default() };
    let error = store.get_opts(&a, same).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotModified { .. }), "{error:?}");
    let other = GetOptions { if_match: Some("\"no\"".to_owned()), ..GetOptions::default() };
    let error = store.get_opts(&a, other).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Precondition { .. }), "{error:?}");

    let error = store.put_opts(&a, content("b"), with(PutMode::Create)).await.unwrap_err();
    assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
    let version = UpdateVersion { e_tag: put.e_tag.clone(), version: None };
    let update = with(PutMode::Update(version.clone()));
    store.put_opts(&a, content("changed"), update).await.unwrap();
    let update = with(PutMode::Update(version));
    let error = store.put_opts(&a, content("again"), update).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Precondition { .. }), "{error:?}");

    let b = name("mine/parts");
    let mut upload = store.put_multipart(&b).await.unwrap();
    let part = |byte: u8| PutPayload::from(vec![byte; 5 << 20]);
    upload.put_part(part(1)).await.unwrap();
    upload.put_part(part(2)).await.unwrap();
    upload.put_part(content("end")).await.unwrap();
    upload.complete().await.unwrap();
    let bytes = store.get(&b).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len(), (10 << 20) + 3);
    assert!(bytes.starts_with(&[1; 5 << 20]) && bytes.ends_with(b"end"));
    let mut given_up = store.put_multipart(&name("mine/given-up")).await.unwrap();
    given_up.put_part(part(3)).await.unwrap();
    given_up.abort().await.unwrap();
    assert_eq!(fs::read_dir(server.directory().join("parts")).unwrap().count(), 0);

    store.copy(&a, &name("mine/c")).await.unwrap();
    assert_eq!(store.get(&name("mine/c")).await.unwrap().bytes().await.unwrap(), "changed");
    for n in 0..30 {
        store.put(&name(&format!("mine/many/{}/{n}", n % 3)), content("x")).await.unwrap();
    }
    let all: Vec<_> = store.list(Some(&name("mine"))).try_collect().await.unwrap();
    assert_eq!(all.len(), 33);
    let listed = store.list_with_delimiter(Some(&name("mine/many"))).await.unwrap();
    assert_eq!((listed.objects.len(), listed.common_prefixes.len()), (0, 3));
    let all = futures_util::stream::iter(all.into_iter().map(|it| Ok(it.location)));
    let deleted: Vec<_> = store.delete_stream(Box::pin(all)).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 33);
    assert_eq!(fs::read_dir(server.directory().join("objects")).unwrap().count(), 0);
    tokio::task::block_in_place(|| drop(server));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rclone_keeps_a_directory() {
    let server = Server::start();
    let key = server.key(&["site"]);
    let work = TempDir::new().unwrap();
    let Some(_) = rclone(work.path()) else { return };
    let rclone = |arguments: &[&str]| {
        let mut command = rclone(work.path()).unwrap();
        for (name, value) in [
            ("TYPE", "s3"),
            ("PROVIDER", "Other"),
            ("ENDPOINT", &format!("http://{}", server.address)),
            ("ACCESS_KEY_ID", &key.id),
            ("SECRET_ACCESS_KEY", &key.secret),
            ("UPLOAD_CUTOFF", "6M"),
            ("CHUNK_SIZE", "5M"),
        ] {
            command.env(format!("RCLONE_CONFIG_TEAM_{name}"), value);
        }
        command.args(arguments).args(["--retries", "1"]);
        run(&mut command)
    };
    let tree = work.path().join("tree");
    fs::create_dir_all(tree.join("a/b c")).unwrap();
    fs::write(tree.join("a/b c/ü.txt"), "text").unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    let large: Vec<u8> = (0..17 << 20).map(|n: u32| (n >> 7) as u8).collect();
    fs::write(tree.join("large"), &large).unwrap();
    let tree = tree.to_str().unwrap();

    assert_eq!(rclone(&["lsd", "team:"]).split_whitespace().last(), Some("larder"));
    rclone(&["sync", tree, "team:larder/site"]);
    rclone(&["check", "--download", tree, "team:larder/site"]);
    rclone(&["check", tree, "team:larder/site"]);
    assert_eq!(rclone(&["lsf", "-R", "--files-only", "team:larder/site"]).lines().count(), 3);
    // Nothing is sent again; a time alone is changed by a copy onto itself.
    rclone(&["sync", "--immutable", tree, "team:larder/site"]);
    rclone(&["touch", "-t", "2020-01-01T00:00:00", "team:larder/site/empty"]);
    let listed = rclone(&["lsf", "--format", "t", "team:larder/site/empty"]);
    assert!(listed.starts_with("2020-01-01"), "{listed}");
    rclone(&["moveto", "team:larder/site/large", "team:larder/site/moved"]);
    let back = work.path().join("back");
    rclone(&["copy", "team:larder/site", back.to_str().unwrap()]);
    assert_eq!(fs::read(back.join("moved")).unwrap(), large);
    assert_eq!(fs::read(back.join("a/b c/ü.txt")).unwrap(), b"text");
    let linked = rclone(&["link", "team:larder/site/a/b c/ü.txt"]);
    assert_eq!(run(Command::new("curl").args(["-sSf", linked.trim()])), "text");
    rclone(&["purge", "team:larder/site"]);
    assert_eq!(fs::read_dir(server.directory().join("objects")).unwrap().count(), 0);
}

#[test]
fn signed_curl_reads_and_writes() {
    if !require("curl") {
        return;
    }
    let server = Server::with(|config| config.reads = Reads::ByKey);
    let key = server.key(&["mine"]);
    let work = TempDir::new().unwrap();
    let file = work.path().join("file");
    fs::write(&file, vec![7; 3 << 20]).unwrap();
    let curl = |arguments: &[&str], target: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--aws-sigv4", "aws:amz:us-east-1:s3", "-w", "%{http_code}"]);
        command.arg("--user").arg(format!("{}:{}", key.id, key.secret)).args(arguments);
        run(command.arg(format!("http://{}{target}", server.address)))
    };
    let hash = format!("x-amz-content-sha256: {}", hex(&sha256(&fs::read(&file).unwrap())));
    let upload = |payload, target| curl(&["-T", file.to_str().unwrap(), "-H", payload], target);
    assert_eq!(upload(&hash, "/larder/mine/a"), "200");
    // Content that is not signed is taken from this machine.
    assert_eq!(upload("x-amz-content-sha256: UNSIGNED-PAYLOAD", "/larder/mine/b"), "200");
    for name in ["a", "b"] {
        let got = work.path().join("got");
        let got = got.to_str().unwrap();
        assert_eq!(curl(&["-o", got], &format!("/larder/mine/{name}")), "200");
        assert!(fs::read(Path::new(got)).unwrap() == fs::read(&file).unwrap());
        assert_eq!(curl(&["-o", got, "-r", "5-9"], &format!("/larder/mine/{name}")), "206");
        assert_eq!(fs::read(got).unwrap(), [7; 5]);
    }
    assert!(curl(&[], "/").contains("<Name>larder</Name>"));
    assert!(curl(&[], "/larder?list-type=2&prefix=mine%2F").contains("<Key>mine/b</Key>"));
    assert_eq!(curl(&["-X", "DELETE"], "/larder/mine/a"), "204");
    assert!(curl(&[], "/larder/mine/a").ends_with("404"));
    assert!(upload(&hash, "/larder/other/b").ends_with("403"));
}
