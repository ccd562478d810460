//! A real S3 server over a socket.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
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

impl S3 {
    /// Starts one that wants [`KEY`].
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
