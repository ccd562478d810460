//! One service: an object store below a URL.

mod bodies;
mod check;
pub(crate) mod denial;
mod listed;
mod opener;
mod ranges;
pub(crate) mod transport;

use std::{
    fmt, fs,
    future::Future,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use larder_store::{Ref, published::Signature};
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig, WriteMultipart, path::Path,
};
use tokio::runtime::{Builder, Runtime};

pub use self::{
    check::{Check, Finding, check},
    listed::Listed,
};
use self::{
    opener::Opener,
    transport::{Dialect, is_other_range},
};
use crate::{
    ConfigError, RemoteError, ServiceConfig, SigningKey, Statement, Trust,
    retry::{Attempts, Health, Patience, describe, is_transient},
    throttle::Throttle,
};

/// From what size on an upload is sent in parts, and how large a part is, in bytes.
const PART: usize = 8 << 20;

/// The use that a service is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads; without credentials where the configuration says so.
    Read,
    /// Reads and writes.
    Write,
}

/// An open service. Its connections are reused; its requests share one view of whether the service
/// answers and when it wants to be asked again.
pub struct Service {
    name: String,
    prefix: Path,
    dialect: Option<Dialect>,
    /// See [`Credentials::withheld`](crate::Credentials).
    withheld: Option<String>,
    objects: Arc<dyn ObjectStore>,
    /// The same, for uploads in parts, whose parts it retries by itself.
    uploads: Arc<dyn ObjectStore>,
    runtime: Runtime,
    throttle: Throttle,
    trust: Arc<Trust>,
    signing_key: Option<SigningKey>,
    pub(crate) health: Health,
    pub(crate) connections: usize,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.name)
    }
}

impl Service {
    /// Opens the service of `config`, with the credentials that are there. Sends no request.
    pub fn open(config: &ServiceConfig, access: Access) -> Result<Self, RemoteError> {
        Self::open_with(config, access, Patience::Transfer)
    }

    /// The same, to be given up soon when it does not answer: for those who can do without.
    pub fn open_for_a_build(config: &ServiceConfig) -> Result<Self, RemoteError> {
        Self::open_with(config, Access::Read, Patience::Build)
    }

    /// The same for a question, whose answer tells that there was none.
    pub fn open_for_a_question(config: &ServiceConfig) -> Result<Self, RemoteError> {
        Self::open_with(config, Access::Read, Patience::Question)
    }

    fn open_with(
        config: &ServiceConfig,
        access: Access,
        patience: Patience,
    ) -> Result<Self, RemoteError> {
        let wrong = |reason: String| ConfigError::Service { name: config.name.clone(), reason };
        let signing_key = match access {
            Access::Write => config.credentials.signing_key()?,
            Access::Read => None,
        };
        install_tls_provider();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("larder-remote")
            .build()
            .map_err(|source| RemoteError::Local { action: "start threads".to_owned(), source })?;
        let throttle = Throttle::default();
        let health = Health::new(&config.name, &config.outlook, patience);
        let opener = Opener::new(config, access, &throttle, &health).map_err(wrong)?;
        let never = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let often = RetryConfig { max_retries: 10, backoff: backoff(), ..RetryConfig::default() };
        // Some of the builders look for the runtime.
        let _entered = runtime.enter();
        let (objects, prefix) = opener.build(never).map_err(wrong)?;
        let (uploads, _) = match access {
            Access::Write => opener.build(often).map_err(wrong)?,
            Access::Read => (Arc::clone(&objects), Path::default()),
        };
        drop(_entered);
        Ok(Self {
            name: config.name.clone(),
            prefix,
            dialect: opener.dialect(),
            withheld: config.credentials.withheld().map(str::to_owned),
            objects,
            uploads,
            runtime,
            throttle,
            trust: config.trust.clone(),
            signing_key,
            health,
            connections: config.connections(),
        })
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose revisions and results count on it.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether `statement` is signed as it would be if it were written now: by our key, or, without
    /// one, in any way.
    pub(crate) fn is_signed(
        &self,
        statement: &Statement<'_>,
        signature: Option<&Signature>,
        reference: Option<&Ref>,
    ) -> bool {
        let Some(key) = &self.signing_key else { return true };
        signature
            .is_some_and(|it| it.reference.as_ref() == reference && key.has_signed(statement, it))
    }

    /// Signs `statement`, where there is a key for that.
    pub(crate) fn sign(
        &self,
        statement: &Statement<'_>,
        reference: Option<&Ref>,
    ) -> Result<Option<Signature>, RemoteError> {
        let key = self.signing_key.as_ref();
        Ok(key.map(|key| key.sign(statement, reference)).transpose()?)
    }

    /// How many HTTP requests have been sent so far.
    pub fn requests(&self) -> u64 {
        self.throttle.requests()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Reads a whole object; `None` where there is none.
    pub(crate) async fn read(&self, object: &str) -> Result<Option<Bytes>, RemoteError> {
        let path = below(&self.prefix, object);
        let read = || async { self.objects.get(&path).await?.bytes().await };
        self.absent_as_none("read", object, self.retried(read).await)
    }

    /// Reads an object of at most `limit` bytes; of a longer one, somewhat more than that.
    pub(crate) async fn read_at_most(
        &self,
        object: &str,
        limit: usize,
    ) -> Result<Option<Bytes>, RemoteError> {
        let path = below(&self.prefix, object);
        let read = || async {
            let mut content = self.objects.get(&path).await?.into_stream();
            let mut found = BytesMut::new();
            while found.len() <= limit
                && let Some(bytes) = content.next().await
            {
                found.extend_from_slice(&bytes?);
            }
            Ok(found.freeze())
        };
        self.absent_as_none("read", object, self.retried(read).await)
    }

    /// An object's size and age; `None` where there is none.
    pub(crate) async fn look_up(&self, object: &str) -> Result<Option<Listed>, RemoteError> {
        let path = below(&self.prefix, object);
        let head = || async {
            match self.objects.head(&path).await {
                // Why, only the answer to a `GET` says, and then that is remembered.
                Err(object_store::Error::PermissionDenied { .. })
                    if self.dialect == Some(Dialect::S3) =>
                {
                    Ok(Listed::of(&self.objects.get(&path).await?.meta))
                }
                head => Ok(Listed::of(&head?)),
            }
        };
        Ok(self.absent_as_none("look up", object, self.retried(head).await)?.flatten())
    }

    /// The object's length in bytes; `None` where there is none.
    pub(crate) async fn length(&self, object: &str) -> Result<Option<u64>, RemoteError> {
        Ok(self.look_up(object).await?.map(|there| there.size))
    }

    /// Deletes an object. One that is not there is no error.
    pub(crate) async fn delete(&self, object: &str) -> Result<(), RemoteError> {
        let path = below(&self.prefix, object);
        let delete = || async { self.objects.delete(&path).await };
        self.absent_as_none("delete", object, self.retried(delete).await).map(|_| ())
    }

    /// Streams `range` of an object. One attempt: the caller knows how to go on from where it broke.
    pub(crate) async fn stream(
        &self,
        object: &str,
        range: Range<u64>,
    ) -> object_store::Result<BoxStream<'static, object_store::Result<Bytes>>> {
        let path = below(&self.prefix, object);
        let options =
            GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        match self.objects.get_opts(&path, options).await {
            // Ranges that cannot be read as they come may yet be read out of the whole.
            Err(error) if is_other_range(&error) => {
                let whole = self.objects.get(&path).await?.into_stream();
                Ok(skip(whole, range.start).boxed())
            }
            got => Ok(got?.into_stream()),
        }
    }

    /// All objects below `directory`, those in directories of it included.
    pub(crate) async fn list(&self, directory: &str) -> Result<Vec<Listed>, RemoteError> {
        let path = below(&self.prefix, directory);
        let list = || async { self.objects.list(Some(&path)).try_collect::<Vec<_>>().await };
        let listed = self.absent_as_none("list", directory, self.retried(list).await)?;
        let below = path.as_ref().len() + 1;
        let listed = listed.unwrap_or_default();
        Ok(listed.iter().filter_map(|object| Listed::below(object, below)).collect())
    }

    /// Writes a small object whole. With `replace` unset, one that is there is left alone, and the
    /// answer is false.
    pub(crate) async fn write(
        &self,
        object: &str,
        content: Bytes,
        replace: bool,
    ) -> Result<bool, RemoteError> {
        let path = below(&self.prefix, object);
        let put = |mode: PutMode| {
            let payload = PutPayload::from_bytes(content.clone());
            let options = PutOptions { mode, ..PutOptions::default() };
            let path = &path;
            async move { self.objects.put_opts(path, payload, options).await.map(|_| ()) }
        };
        if !replace {
            match self.retried(|| put(PutMode::Create)).await {
                Ok(()) => return Ok(true),
                Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) => return Ok(false),
                // A store without conditional writes. That it was not there a moment ago must do.
                Err(object_store::Error::NotImplemented { .. }) => {}
                Err(error) => return Err(self.failed("write", object, &error)),
            }
        }
        let written = self.retried(|| put(PutMode::Overwrite)).await;
        written.map(|()| true).map_err(|error| match (&error, self.dialect) {
            (object_store::Error::AlreadyExists { .. }, Some(Dialect::Http)) => self.error(
                "write",
                object,
                "the collection is missing and the server cannot make one (MKCOL)".to_owned(),
            ),
            _ => self.failed("write", object, &error),
        })
    }

    /// Writes a file's content, in parts where it is large.
    pub(crate) async fn upload(
        &self,
        object: &str,
        mut file: fs::File,
        length: u64,
    ) -> Result<(), RemoteError> {
        use std::io::Read;
        let local = |source| RemoteError::Local { action: "read a pack".to_owned(), source };
        // Plain HTTP has no uploads in parts.
        if length <= PART as u64 || self.dialect == Some(Dialect::Http) {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(local)?;
            return self.write(object, content.into(), true).await.map(|_| ());
        }
        let path = below(&self.prefix, object);
        let failed = |error| self.failed("write", object, &error);
        let upload = self.uploads.put_multipart(&path).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        loop {
            let mut part = Vec::with_capacity(PART);
            if file.by_ref().take(PART as u64).read_to_end(&mut part).map_err(local)? == 0 {
                break;
            }
            upload.wait_for_capacity(3).await.map_err(failed)?;
            upload.put(part.into());
        }
        upload.finish().await.map(|_| ()).map_err(failed)
    }

    /// Retries `request` while the failure may pass.
    async fn retried<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        request: impl Fn() -> F,
    ) -> object_store::Result<T> {
        let mut attempts = Attempts::default();
        loop {
            match request().await {
                Ok(done) => {
                    attempts.succeeded(&self.health);
                    return Ok(done);
                }
                Err(error) if is_transient(&error) && attempts.failed(&self.health).await => {
                    tracing::debug!(service = self.name, error = describe(&error), "retrying");
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn absent_as_none<T>(
        &self,
        action: &'static str,
        object: &str,
        result: object_store::Result<T>,
    ) -> Result<Option<T>, RemoteError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(action, object, &error)),
        }
    }

    fn failed(
        &self,
        action: &'static str,
        object: &str,
        error: &object_store::Error,
    ) -> RemoteError {
        self.error(action, object, self.reason(error))
    }

    /// The error in a few words.
    fn reason(&self, error: &object_store::Error) -> String {
        match (error, &self.withheld) {
            (object_store::Error::Unauthenticated { .. }, Some(variable)) => format!(
                "not authenticated; the configuration has services on several hosts, so a key \
                 without a name is not sent here: set {variable}"
            ),
            _ => describe(error),
        }
    }

    fn error(&self, action: &'static str, object: &str, reason: String) -> RemoteError {
        let (service, object) = (self.name.clone(), object.to_owned());
        RemoteError::Request { service, action, object, reason }
    }
}

/// The object at `relative` below `prefix`.
fn below(prefix: &Path, relative: &str) -> Path {
    relative.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

/// Leaves out the first `unwanted` bytes of a stream.
fn skip(
    content: BoxStream<'static, object_store::Result<Bytes>>,
    unwanted: u64,
) -> impl Stream<Item = object_store::Result<Bytes>> {
    let mut unwanted = unwanted;
    content.map(move |bytes| {
        bytes.map(|bytes| {
            let dropped = unwanted.min(bytes.len() as u64);
            unwanted -= dropped;
            // At most the length of what is at hand.
            bytes.slice(dropped as usize..)
        })
    })
}

fn backoff() -> BackoffConfig {
    use std::time::Duration;
    BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(10),
        base: 2.0,
    }
}

/// reqwest is built without a TLS provider of its own; the process has one.
pub(crate) fn install_tls_provider() {
    static ONCE: OnceLock<()> = OnceLock::new();
    // An error says that the program has chosen one already, which is as good.
    ONCE.get_or_init(|| _ = rustls::crypto::ring::default_provider().install_default());
}
