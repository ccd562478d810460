//! The cache of a team: an endpoint that speaks S3, over a local directory.
//!
//! It believes nobody. A write is signed by a key that may write there; content is hashed before anyone can see it, and
//! what larder files under a hash is refused under another; a revision is refused while packs that it names are not here.
//! Readers open files and wait for nobody. `docs/cache-server.md` is for users.

mod blame;
mod check;
mod counts;
mod directory;
mod download;
mod keys;
mod list;
mod names;
mod parts;
mod patience;
mod record;
mod revisions;
mod room;
mod s3;
mod signed;
mod upload;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use larder_trace::describe_io;
use s3s::{
    S3Error, S3Result,
    config::{S3Config, StaticConfigProvider},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::sync::Semaphore;

pub use self::{
    blame::{Dependent, Revoked, Written, blame, keys_of, revoke},
    counts::Stats,
    keys::{KeyInfo, NewKey, init_key, list_keys},
    names::{Scope, ScopeError},
    revisions::{Revision, Served},
};
use self::{
    counts::Counts, directory::Directory, keys::Keys, patience::Patient, room::Room, signed::Signed,
};

/// Lists of objects and parts that clients send are no longer, in bytes.
const LONGEST_LIST: usize = 2 << 20;

/// The settings of a cache server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where objects lie.
    pub directory: PathBuf,
    /// What clients call all of it.
    pub bucket: String,
    /// The file of keys.
    pub keys: PathBuf,
    /// Who may read.
    pub reads: Reads,
    /// How many bytes may be used.
    pub quota: Option<u64>,
    /// The largest object, in bytes.
    pub largest: u64,
    /// Over how long an upload is watched: 1 KiB a second has to arrive.
    pub stall: Duration,
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// Everybody.
    Anonymous,
    /// Who has a key.
    #[default]
    ByKey,
}

impl Config {
    /// A server of `directory`, with the bucket `larder`, for those who have keys.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            keys: keys_of(&directory),
            directory,
            bucket: "larder".to_owned(),
            reads: Reads::default(),
            quota: None,
            largest: 64 << 30,
            stall: Duration::from_secs(30),
        }
    }
}

/// Why a cache server cannot be opened, or its keys not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory.
    #[error("cache server: {path}: {reason}")]
    Directory {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of keys.
    #[error("keys of the cache server: {path}: {reason}")]
    Keys {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The name of the bucket.
    #[error("{0:?} is no name for a bucket: use 3 to 63 small letters, digits, `.` and `-`")]
    Bucket(String),
}

impl Error {
    fn directory(path: &Path, reason: String) -> Self {
        Self::Directory { path: path.display().to_string(), reason }
    }

    fn keys(path: &Path, reason: String) -> Self {
        Self::Keys { path: path.display().to_string(), reason }
    }
}

/// A cache server. Its clones are the same one.
#[derive(Clone)]
pub struct CacheServer {
    shared: Arc<Shared>,
    service: S3Service,
}

impl std::fmt::Debug for CacheServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheServer").field("bucket", &self.shared.bucket).finish_non_exhaustive()
    }
}

struct Shared {
    bucket: String,
    reads: Reads,
    largest: u64,
    stall: Duration,
    quota: Option<u64>,
    directory: Arc<Directory>,
    keys: Keys,
    room: Room,
    replays: signed::Replays,
    counts: Counts,
    /// How many uploads are held against their names at once.
    checking: Semaphore,
    /// Says that nobody else serves the directory.
    _serving: File,
}

/// Marks a request whose signature was used before.
#[derive(Debug, Clone, Copy)]
struct Replayed;

impl CacheServer {
    /// Opens the server of `config`, and removes what one before left half done. Counts what is there, which takes
    /// some time where that is much.
    ///
    /// # Errors
    /// When the directory cannot be used, another server has it, or others can read the keys.
    pub fn open(config: &Config) -> Result<Self, Error> {
        if !s3s::path::check_bucket_name(&config.bucket) {
            return Err(Error::Bucket(config.bucket.clone()));
        }
        let failed = |error: io::Error| Error::directory(&config.directory, describe_io(&error));
        let directory = Arc::new(Directory::open(&config.directory).map_err(failed)?);
        let serving = directory.serve().map_err(failed)?.ok_or_else(|| {
            Error::directory(&config.directory, "another process serves it".to_owned())
        })?;
        let keys = Keys::open(&config.keys)?;
        directory.clear_incoming().map_err(failed)?;
        let room = Room::new(directory.clone(), config.quota);
        room.begin().map_err(failed)?;
        let shared = Arc::new(Shared {
            bucket: config.bucket.clone(),
            reads: config.reads,
            largest: config.quota.map_or(config.largest, |quota| quota.min(config.largest)),
            stall: config.stall,
            quota: config.quota,
            directory,
            keys,
            room,
            replays: signed::Replays::default(),
            counts: Counts::default(),
            checking: Semaphore::new(thread::available_parallelism().map_or(1, usize::from)),
            _serving: serving,
        });
        let mut limits = S3Config::default();
        limits.xml_max_body_size = LONGEST_LIST;
        limits.post_object_max_file_size = 0;
        limits.presigned_url_max_skew_time_secs = signed::SKEW.as_secs() as u32;
        let mut builder = S3ServiceBuilder::new(s3::Api(shared.clone()));
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
        builder.set_auth(s3::Api(shared.clone()));
        builder.set_access(s3::Api(shared.clone()));
        Ok(Self { shared, service: builder.build() })
    }

    /// Whether a request is for this server: by its path, or because it is signed as only such requests are.
    pub fn is_for_cache(&self, request: &Request) -> bool {
        let path = request.uri().path();
        let rest = path.strip_prefix('/').and_then(|it| it.strip_prefix(&self.shared.bucket));
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return true;
        }
        let header = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let query = request.uri().query().unwrap_or_default();
        header.is_some_and(|it| it.starts_with(b"AWS4-HMAC-SHA256"))
            || query.split('&').any(|it| it.starts_with("X-Amz-Signature="))
    }

    /// A router that has this server and nothing else.
    pub fn router(&self) -> Router {
        let server = self.clone();
        Router::new().fallback(async move |request: Request| server.answer(request).await)
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let writes = !matches!(parts.method, Method::GET | Method::HEAD);
        let signature = match signed::examine(&parts, self.name_of(&parts)) {
            Ok(Signed::Header(signature)) if writes => Some(signature),
            Ok(_) => None,
            Err(error) => return self.refuse(error),
        };
        if signature.as_ref().is_some_and(|it| self.shared.replays.knows(it)) {
            parts.extensions.insert(Replayed);
        }
        let is_list = parts.method == Method::POST;
        if is_list && length_of(&parts).is_none_or(|length| length > LONGEST_LIST as u64) {
            let error =
                s3_error!(MaxMessageLengthExceeded, "a list is at most {LONGEST_LIST} bytes long");
            return self.refuse(error);
        }
        // Clients that send nothing need not say so: the signature says it.
        let signs = parts.headers.contains_key(header::AUTHORIZATION);
        if signs && matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE) {
            let payload = parts.headers.entry("x-amz-content-sha256");
            payload.or_insert(HeaderValue::from_static(signed::NOTHING));
        }
        let body = Patient::new(body, self.shared.stall);
        let request = Request::from_parts(parts, s3s::Body::http_body_unsync(body));
        let mut response = match self.service.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::warn!("cache server: {error:?}");
                return self.refuse(s3_error!(InternalError));
            }
        };
        // The crate's own words for a list that does not arrive, or is not what was signed.
        if is_list && response.status() == StatusCode::INTERNAL_SERVER_ERROR {
            let error = s3_error!(IncompleteBody, "the list broke off, or is not what was signed");
            return self.refuse(error);
        }
        if response.status().is_success() {
            if let Some(signature) = signature {
                self.shared.replays.remember(signature);
            }
        } else if response.status().is_client_error() && response.status() != StatusCode::NOT_FOUND
        {
            self.shared.counts.refusals.fetch_add(1, Ordering::Relaxed);
        }
        sandboxed(&mut response);
        response
    }

    /// What the server did, and what it has.
    pub fn stats(&self) -> Stats {
        let Shared { counts, room, quota, .. } = &*self.shared;
        counts.stats(room.used(), *quota)
    }

    /// The revisions that there are; none where not everybody may know.
    ///
    /// # Errors
    /// When the directory or the keys cannot be read.
    pub fn revisions(&self) -> Result<Option<Served>, Error> {
        let Shared { directory, keys, reads, .. } = &*self.shared;
        if *reads == Reads::ByKey {
            return Ok(None);
        }
        let failed = |error: io::Error| Error::directory(directory.root(), describe_io(&error));
        revisions::revisions(directory, &keys.list()?).map(Some).map_err(failed)
    }

    /// The name of the object that a request is about, as far as it is not encoded.
    fn name_of<'a>(&self, parts: &'a Parts) -> Option<&'a str> {
        parts.uri.path().strip_prefix('/')?.strip_prefix(&self.shared.bucket)?.strip_prefix('/')
    }

    fn refuse(&self, error: S3Error) -> Response {
        self.shared.counts.refusals.fetch_add(1, Ordering::Relaxed);
        let mut response = match error.to_http_response() {
            Ok(response) => response.map(Body::new),
            Err(_) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        sandboxed(&mut response);
        response
    }
}

/// How long a request says that its body is.
fn length_of(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a client wrote is shown by no browser as a page of this host.
fn sandboxed(response: &mut Response) {
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static("sandbox; default-src 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Does what may wait for a disk on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> S3Result<T> {
    waiting(work).await?.map_err(unavailable)
}

/// The same for work with errors of its own.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::warn!("cache server: {error}");
        s3_error!(ServiceUnavailable)
    })
}

/// What to answer when a file cannot be read or written. What exactly is wrong is not for clients.
fn unavailable(error: io::Error) -> S3Error {
    tracing::warn!("cache server: {}", describe_io(&error));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let mut error = s3_error!(ServiceUnavailable, "the server's disk is full");
            error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            error
        }
        _ => s3_error!(ServiceUnavailable),
    }
}
