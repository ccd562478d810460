//! A real S3 server over a socket, and a proxy that delays, breaks and forges what passes.
#![allow(dead_code, reason = "each test file uses its part")]

mod files;
mod proxy;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use larder_remote::{
    Access, Destination, Get, GetReport, Key, Overwrite, PutReport, RemoteError, Service,
    ServiceConfig,
};
use larder_store::{Mappings, Revision, Scope, Store};
use larder_trace::{ContentHash, OutputFile, Outputs};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

#[allow(unused_imports, reason = "not every test file wants one")]
pub use files::FileServer;
pub use proxy::{Faults, Proxy};

/// The key that [`S3`] wants.
pub const KEY: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI-secret");

/// An S3 server on a port of its own, with one bucket, `bucket`.
pub struct S3 {
    pub address: SocketAddr,
    root: TempDir,
    _runtime: Runtime,
}

impl S3 {
    pub fn start() -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("bucket")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
        let service = service.build();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                _ = socket.set_nodelay(true);
                let service = service.clone();
                tokio::spawn(async move {
                    let connection = Builder::new(TokioExecutor::new())
                        .http1_only()
                        .serve_connection(TokioIo::new(socket), service)
                        .into_owned();
                    _ = connection.await;
                });
            }
        });
        Self { address, root, _runtime: runtime }
    }

    pub fn config(&self) -> ServiceConfig {
        config_at(self.address)
    }

    /// Every object, by key.
    pub fn objects(&self) -> BTreeMap<String, PathBuf> {
        let bucket = self.root.path().join("bucket");
        let mut objects = BTreeMap::new();
        collect(&bucket, &bucket, &mut objects);
        objects
    }

    pub fn objects_ending(&self, ending: &str) -> Vec<PathBuf> {
        let objects = self.objects().into_iter();
        objects.filter(|(key, _)| key.ends_with(ending)).map(|(_, path)| path).collect()
    }
}

fn collect(root: &Path, directory: &Path, objects: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, objects);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            objects.insert(key, path);
        }
    }
}

/// The configuration of the bucket as seen through `address`.
pub fn config_at(address: SocketAddr) -> ServiceConfig {
    ServiceConfig {
        name: "team".to_owned(),
        url: "s3://bucket/some/prefix".to_owned(),
        endpoint: Some(format!("http://{address}")),
        region: Some("us-east-1".to_owned()),
        anonymous_reads: false,
        ca_certificates: None,
        timeout_seconds: Some(1),
        connections: None,
    }
}

pub fn open(config: &ServiceConfig, access: Access) -> Service {
    let key = Key { id: KEY.0.to_owned(), secret: KEY.1.to_owned() };
    Service::open_with(config, access, Some(key)).unwrap()
}

pub fn hash(content: &[u8]) -> ContentHash {
    ContentHash::of_bytes(content)
}

pub fn scope() -> Scope {
    "owner/pkg".parse().unwrap()
}

pub fn revision(name: &str) -> Revision {
    name.parse().unwrap()
}

/// A store with the outputs of some targets.
pub struct Built {
    pub dir: TempDir,
    pub store: Store,
    pub mappings: Mappings,
}

impl Built {
    pub fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        Self { dir, store, mappings: Mappings::default() }
    }

    /// `count` objects of about `size` bytes, the same for the same `seed`.
    pub fn new(seed: u64, count: usize, size: usize) -> Self {
        let mut built = Self::empty();
        for n in 0..count {
            built.add(&format!("o/{seed}-{n}.o"), &object(seed, n, size));
        }
        built
    }

    /// The output of one more target.
    pub fn add(&mut self, path: &str, content: &[u8]) {
        let file = OutputFile {
            path: path.to_owned(),
            hash: hash(content),
            size: content.len() as u64,
            executable: path.ends_with(".sh"),
        };
        assert!(self.store.import(&file.hash, file.size, file.executable, content).unwrap());
        let dep_hash = hash(format!("dep {path} {}", file.hash).as_bytes());
        let outputs = Outputs { outputs: vec![file], ..Outputs::default() };
        self.store.record(&scope(), &dep_hash, &outputs).unwrap();
        self.mappings.insert(dep_hash, outputs);
    }

    pub fn try_put(
        &self,
        service: &Service,
        rev: &str,
        overwrite: Overwrite,
    ) -> Result<PutReport, RemoteError> {
        let (scope, revision) = (scope(), revision(rev));
        let to = Destination {
            service,
            scope: &scope,
            revision: &revision,
            overwrite,
            progress: &|_| (),
        };
        larder_remote::put_stored(&to, &self.store, &self.mappings)
    }

    pub fn put(&self, service: &Service, rev: &str) -> PutReport {
        let report = self.try_put(service, rev, Overwrite::default()).unwrap();
        assert!(report.missing.is_empty(), "{:?}", report.missing);
        report
    }

    pub fn try_get(
        &self,
        service: &Service,
        revs: &[&str],
    ) -> Result<Option<GetReport>, RemoteError> {
        let revisions: Vec<_> = revs.iter().map(|rev| revision(rev)).collect();
        larder_remote::get(&self.request(service), &revisions)
    }

    pub fn request<'a>(&'a self, service: &'a Service) -> Get<'a> {
        static SCOPE: std::sync::LazyLock<Scope> = std::sync::LazyLock::new(scope);
        Get {
            service,
            store: &self.store,
            scope: &SCOPE,
            local_scope: &SCOPE,
            mappings_only: false,
            force: false,
            progress: &|_| (),
        }
    }

    pub fn get(&self, service: &Service, rev: &str) -> GetReport {
        self.try_get(service, &[rev]).unwrap().expect("the service has the revision")
    }

    /// How many artifacts of `other` are here, all of them right; whatever is here is right.
    pub fn verified(&self, other: &Mappings) -> usize {
        let report = larder_store::verify::verify(&self.store).unwrap();
        assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
        other.artifacts().keys().filter(|hash| self.store.holds(hash)).count()
    }
}

/// Content that compresses somewhat, as object code does.
pub fn object(seed: u64, n: usize, size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(n as u64));
    let mut content = format!("object {seed}/{n}\n").into_bytes();
    while content.len() < size {
        let byte = rng.u8(..);
        content.extend(std::iter::repeat_n(byte, rng.usize(1..4)));
    }
    content
}
