//! A server that fails as it is told to, in this process, from the stubs of the API.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bazel_remote_apis::{
    build::bazel::remote::execution::v2::{
        self as re, ActionResult, action_cache_server::ActionCacheServer,
        capabilities_server::CapabilitiesServer,
        content_addressable_storage_server::ContentAddressableStorageServer,
        execution_server::ExecutionServer,
    },
    google::{
        bytestream::byte_stream_server::ByteStreamServer,
        longrunning::operations_server::OperationsServer,
    },
};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, runtime::Runtime, sync::Semaphore};
use tonic::{
    Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

use super::connection::connections;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Its only instance.
    pub instance: String,
    /// Whether it runs actions.
    pub executes: bool,
    /// Whether results may be written to its action cache.
    pub takes_results: bool,
    /// The most bytes of contents in a message, as it says: 0 where it says nothing.
    pub max_batch: i64,
    /// How long every answer is held up.
    pub latency: Duration,
    /// How many actions run at once.
    pub jobs: usize,
    /// A directory of programs that workers find before all others.
    pub programs: Option<PathBuf>,
    /// A header that requests must have.
    pub header: Option<(&'static str, &'static str)>,
    /// Shares of calls, from 0 to 1: those refused as `UNAVAILABLE`.
    pub unavailable: f64,
    /// Those refused as `RESOURCE_EXHAUSTED`.
    pub exhausted: f64,
    /// Those never answered.
    pub stalls: f64,
    /// Packets after which the connection is reset, with all calls that are on it.
    pub resets: f64,
    /// Streams that are cut off in the middle.
    pub cuts: f64,
    /// Contents of which it sends other bytes.
    pub wrong_bytes: f64,
    /// Contents that it says it does not have.
    pub lost: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            instance: String::new(),
            executes: true,
            takes_results: true,
            max_batch: 0,
            latency: Duration::ZERO,
            jobs: 4,
            programs: None,
            header: None,
            unavailable: 0.0,
            exhausted: 0.0,
            stalls: 0.0,
            resets: 0.0,
            cuts: 0.0,
            wrong_bytes: 0.0,
            lost: 0.0,
        }
    }
}

/// Something that is wrong with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// The command failed.
    ExitCode,
    /// An output is not there.
    MissingOutput,
    /// An output is another content that the server has.
    OtherContent,
    /// An output is a content that the server does not have.
    NoContent,
    /// An output has a digest that is none.
    NoDigest,
    /// The outputs lie outside of where they belong.
    LeadsOut,
    /// The outputs are symbolic links to a file outside.
    Links,
}

/// What was asked for so far.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Calls, by method.
    pub calls: HashMap<&'static str, usize>,
    /// Commands that ran.
    pub executed: usize,
    /// The most actions in flight at once.
    pub in_flight: usize,
}

impl Counts {
    /// All calls.
    pub fn all(&self) -> usize {
        self.calls.values().sum()
    }
}

/// The server; it ends with the test.
pub struct Faulty {
    address: SocketAddr,
    pub(super) state: Arc<State>,
    _runtime: Runtime,
}

/// What the server has and how it behaves.
pub(super) struct State {
    pub behaviour: Mutex<Behaviour>,
    pub blobs: Mutex<HashMap<String, Vec<u8>>>,
    /// Parts of contents, by the name of their upload.
    pub uploads: Mutex<HashMap<String, Vec<u8>>>,
    pub results: Mutex<HashMap<String, ActionResult>>,
    pub counts: Mutex<Counts>,
    pub running: Mutex<usize>,
    pub jobs: Semaphore,
    random: Mutex<fastrand::Rng>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// The name of a content.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn digest(bytes: &[u8]) -> re::Digest {
    re::Digest { hash: hash(bytes), size_bytes: bytes.len() as i64 }
}

impl State {
    pub fn behaviour(&self) -> Behaviour {
        lock(&self.behaviour).clone()
    }

    /// Whether something happens that happens to this share of cases.
    pub fn happens(&self, share: f64) -> bool {
        share > 0.0 && lock(&self.random).f64() < share
    }

    /// Counts a call, and holds it up or refuses it as the server behaves.
    pub async fn enter<T>(
        &self,
        method: &'static str,
        request: &tonic::Request<T>,
        instance: &str,
    ) -> Result<(), Status> {
        *lock(&self.counts).calls.entry(method).or_default() += 1;
        let behaviour = self.behaviour();
        tokio::time::sleep(behaviour.latency).await;
        if let Some((name, value)) = behaviour.header
            && request.metadata().get(name).is_none_or(|found| found != value)
        {
            return Err(Status::unauthenticated("who are you?"));
        }
        if instance != behaviour.instance {
            return Err(Status::invalid_argument("there is no such instance"));
        }
        if self.happens(behaviour.stalls) {
            std::future::pending::<()>().await;
        }
        if self.happens(behaviour.unavailable) {
            return Err(Status::unavailable("not now"));
        }
        if self.happens(behaviour.exhausted) {
            return Err(Status::resource_exhausted("too much"));
        }
        Ok(())
    }

    pub fn content(&self, hash: &str) -> Option<Vec<u8>> {
        let behaviour = self.behaviour();
        if self.happens(behaviour.lost) {
            return None;
        }
        let mut bytes = lock(&self.blobs).get(hash).cloned()?;
        if self.happens(behaviour.wrong_bytes) {
            match bytes.first_mut() {
                Some(first) => *first ^= 1,
                None => bytes.push(0),
            }
        }
        Some(bytes)
    }

    pub fn put(&self, bytes: Vec<u8>) -> re::Digest {
        let digest = digest(&bytes);
        lock(&self.blobs).insert(digest.hash.clone(), bytes);
        digest
    }
}

impl Faulty {
    /// Starts a server.
    pub fn start(behaviour: Behaviour) -> Self {
        Self::begin(behaviour, Server::builder())
    }

    /// Starts a server that shows a certificate and wants to see one. Gives the certificates as files in `directory`: the
    /// one to trust, and a certificate and key that it trusts.
    pub fn with_tls(behaviour: Behaviour, directory: &Path) -> (Self, [PathBuf; 3]) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&certificate, &key))
            .client_ca_root(Certificate::from_pem(&certificate));
        let server = Self::begin(behaviour, Server::builder().tls_config(tls).unwrap());
        let files = ["ca.pem", "client.pem", "client.key"].map(|name| directory.join(name));
        for (file, text) in files.iter().zip([&certificate, &certificate, &key]) {
            fs::write(file, text).unwrap();
        }
        (server, files)
    }

    fn begin(behaviour: Behaviour, mut server: Server) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            jobs: Semaphore::new(behaviour.jobs),
            behaviour: Mutex::new(behaviour),
            blobs: Mutex::default(),
            uploads: Mutex::default(),
            results: Mutex::default(),
            counts: Mutex::default(),
            running: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(7)),
        });
        // The empty content is there without having been sent.
        state.put(Vec::new());
        let service = super::calls::Service(state.clone());
        let server = server
            .add_service(CapabilitiesServer::new(service.clone()))
            .add_service(ContentAddressableStorageServer::new(service.clone()))
            .add_service(ByteStreamServer::new(service.clone()))
            .add_service(ActionCacheServer::new(service.clone()))
            .add_service(ExecutionServer::new(service.clone()))
            .add_service(OperationsServer::new(service));
        let incoming = connections(listener, state.clone());
        runtime.spawn(server.serve_with_incoming(incoming));
        Self { address, state, _runtime: runtime }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// Its address, where it has a certificate.
    pub fn tls_url(&self) -> String {
        format!("grpcs://localhost:{}", self.address.port())
    }

    /// From now on it behaves so.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.state.behaviour) = behaviour;
    }

    /// What was asked for since the last call.
    pub fn counts(&self) -> Counts {
        std::mem::take(&mut lock(&self.state.counts))
    }

    /// How many actions are in flight.
    pub fn running(&self) -> usize {
        *lock(&self.state.running)
    }

    /// Changes a byte of every content, at this share of its length. Their names stay.
    pub fn damage(&self, share: f64) {
        for bytes in lock(&self.state.blobs).values_mut().filter(|bytes| !bytes.is_empty()) {
            let at = (bytes.len() - 1) as f64 * share;
            bytes[at as usize] ^= 0x40;
        }
    }

    /// Forgets all contents.
    pub fn forget_contents(&self) {
        lock(&self.state.blobs).clear();
    }

    /// Makes every result that it knows wrong. Returns how many there are.
    pub fn poison(&self, how: Poison) -> usize {
        let other = self.state.put(b"int main(void) { return 7; }".to_vec());
        let mut results = lock(&self.state.results);
        for result in results.values_mut() {
            match how {
                Poison::ExitCode => result.exit_code = 1,
                Poison::MissingOutput => _ = result.output_files.pop(),
                Poison::OtherContent => {
                    result.output_files.iter_mut().for_each(|it| it.digest = Some(other.clone()));
                }
                Poison::NoContent => {
                    let none = digest(b"nobody has this");
                    result.output_files.iter_mut().for_each(|it| it.digest = Some(none.clone()));
                }
                Poison::NoDigest => {
                    result.output_files.iter_mut().for_each(|it| it.digest = None);
                }
                Poison::LeadsOut => result
                    .output_files
                    .iter_mut()
                    .for_each(|it| it.path = format!("../../{}", it.path)),
                Poison::Links => {
                    let links = std::mem::take(&mut result.output_files);
                    result.output_symlinks = links
                        .into_iter()
                        .map(|file| re::OutputSymlink {
                            path: file.path,
                            target: "/etc/passwd".to_owned(),
                            ..Default::default()
                        })
                        .collect();
                }
            }
        }
        results.len()
    }
}
