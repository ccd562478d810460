//! A real S3 server over a socket.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use async_trait::async_trait;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use reqwest::Method;
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    s3_error,
    service::S3ServiceBuilder,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{files::walk, machine::KEY};

/// An S3 server on a port of its own, with one bucket, `bucket`.
pub struct S3 {
    /// Where it listens.
    pub address: SocketAddr,
    root: TempDir,
    _runtime: Runtime,
}

/// The things that the holder of [`KEY`] may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everything.
    All,
    /// Read, write and delete objects, but not list them. So what is missing is refused, as AWS does.
    MayNotList,
    /// Read and list.
    MayOnlyRead,
}

/// Decides what may be done with the files below a directory.
struct Rights {
    root: PathBuf,
    policy: Policy,
}

#[async_trait]
impl S3Access for Rights {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied));
        }
        let object = context.s3_path().as_object();
        let exists = object.is_none_or(|(bucket, key)| self.root.join(bucket).join(key).is_file());
        let reads = matches!(*context.method(), Method::GET | Method::HEAD);
        let may = match self.policy {
            Policy::All => true,
            // Objects are deleted by a POST to their bucket.
            Policy::MayNotList if object.is_none() => *context.method() == Method::POST,
            Policy::MayNotList => exists || !reads,
            Policy::MayOnlyRead => reads,
        };
        if may { Ok(()) } else { Err(s3_error!(AccessDenied)) }
    }
}

impl S3 {
    /// Starts one that wants [`KEY`].
    pub fn start() -> Self {
        Self::with(Policy::All)
    }

    /// Starts one at which the holder of [`KEY`] may do so much.
    pub fn with(policy: Policy) -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("bucket")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
        service.set_access(Rights { root: root.path().to_owned(), policy });
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

    /// Every object, by key.
    pub fn objects(&self) -> BTreeMap<String, PathBuf> {
        let bucket = self.root.path().join("bucket");
        let mut objects = BTreeMap::new();
        walk(&bucket, &mut |key, path| _ = objects.insert(key.to_owned(), path.to_owned()));
        objects
    }

    /// The objects whose keys end like this.
    pub fn objects_ending(&self, ending: &str) -> Vec<PathBuf> {
        let objects = self.objects().into_iter();
        objects.filter(|(key, _)| key.ends_with(ending)).map(|(_, path)| path).collect()
    }
}
