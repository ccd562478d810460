//! Connections: how many there may be, how long a client may take, and how they end.
//!
//! A client that is slow costs one connection and no thread. Its request line and headers have to be there within
//! [`Limits::headers`]; an answer of which nothing is read for [`Limits::stall`] ends. Bodies are for those who ask
//! for one to limit.

mod stall;

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore, time};
use tower_service::Service;

use stall::Impatient;

/// What clients are allowed.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many connections there are at once; more wait.
    pub connections: usize,
    /// How long a request line and its headers may take.
    pub headers: Duration,
    /// How long a client may read nothing of its answer.
    pub stall: Duration,
    /// The size of a request line and its headers, in bytes.
    pub header_bytes: usize,
    /// How long requests that are under way may take when the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            headers: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            header_bytes: 32 << 10,
            drain: Duration::from_secs(10),
        }
    }
}

/// How long a server that cannot accept connections waits until it tries again, as when there are no more file
/// descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Answers requests until `end`, then finishes those that are under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    end: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(limits.header_bytes);
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = async {
            // Nobody closes it.
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::info!("cannot accept a connection: {error}");
                time::sleep(BREATH).await;
                continue;
            }
        };
        // It only makes small answers faster.
        _ = stream.set_nodelay(true);
        let router = router.clone();
        let answer =
            service_fn(move |request: Request<Incoming>| answer(router.clone(), request, peer));
        let stream = TokioIo::new(Impatient::new(stream, limits.stall));
        let connection = open.watch(http.serve_connection(stream, answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    if time::timeout(limits.drain, open.shutdown()).await.is_err() {
        tracing::info!("requests that were under way were cut off");
    }
}

/// Who is at the other end of the connection that a request came by; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Answers one request.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(Peer(peer));
    router.call(request.map(Body::new)).await
}
