//! A server for a test.

use std::{
    env,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use larder_remote::{Access, Key, Service, ServiceConfig};
use larder_serve::{
    cache::{CacheServer, Config, NewKey, Reads, init_key},
    server::{Limits, serve},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

/// A server in this process, with a directory of its own.
pub struct Server {
    pub address: SocketAddr,
    pub cache: CacheServer,
    pub config: Config,
    _root: TempDir,
    _runtime: Runtime,
    _end: oneshot::Sender<()>,
}

impl Server {
    /// One that everybody may read.
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    /// One with other settings.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let root = TempDir::new().unwrap();
        let mut config = Config::new(root.path().join("cache"));
        config.reads = Reads::Anonymous;
        change(&mut config);
        let cache = CacheServer::open(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let router = cache.router();
        runtime.spawn(async move {
            let end = async { _ = ended.await };
            serve(listener, router, &Limits::default(), end).await;
        });
        Self { address, cache, config, _root: root, _runtime: runtime, _end: end }
    }

    /// A new key for these scopes.
    pub fn key(&self, scopes: &[&str]) -> NewKey {
        key(&self.config, scopes)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.config.directory
    }
}

pub fn key(config: &Config, scopes: &[&str]) -> NewKey {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    init_key(&config.keys, None, &scopes).unwrap()
}

/// The server as larder knows it.
pub fn service(address: SocketAddr, key: Option<&NewKey>, url: &str) -> ServiceConfig {
    let mut config = ServiceConfig {
        endpoint: Some(format!("http://{address}")),
        timeout_seconds: Some(300),
        anonymous_reads: key.is_none(),
        ..ServiceConfig::new("team", url)
    };
    if let Some(key) = key {
        let key = Key { id: key.id.clone(), secret: key.secret.clone() };
        config.credentials = Arc::new(key.into());
    }
    config
}

/// Opens the server for larder, to write to.
pub fn open(address: SocketAddr, key: &NewKey) -> Service {
    Service::open(&service(address, Some(key), "s3://larder"), Access::Write).unwrap()
}

/// The server in a process of its own, which can be killed.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

const DIRECTORY: &str = "LARDER_TEST_CACHE_DIRECTORY";

impl Process {
    /// Starts one that serves `directory`.
    pub fn start(directory: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "server::serves_for_another_process", "--nocapture"]);
        command.env(DIRECTORY, directory).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let said = output.lines().map_while(Result::ok);
        let mut said = said.filter_map(|line| Some(line.split_once("serves at ")?.1.to_owned()));
        let address = said.next().expect("the server starts").trim().parse().unwrap();
        Self { child, address }
    }

    /// Kills it, so that it can do nothing about that.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Not a test, unless [`Process`] runs it.
#[test]
fn serves_for_another_process() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let mut config = Config::new(directory);
    config.reads = Reads::Anonymous;
    let cache = CacheServer::open(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        println!("serves at {}", listener.local_addr().unwrap());
        // Nobody lives so long, should nobody kill it.
        let end = tokio::time::sleep(Duration::from_secs(600));
        serve(listener, cache.router(), &Limits::default(), end).await;
    });
}
