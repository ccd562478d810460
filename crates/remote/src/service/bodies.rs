//! Bodies of requests and answers, watched for getting on.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequestBody, HttpResponseBody};
use tokio::time::{Instant, Sleep, sleep};

use super::transport::{TransportError, failure};
use crate::retry::Health;

/// The slowest that is waited for, in bytes a second.
pub const SLOWEST: u64 = 1024;

/// How many bytes of a request body are handed on at once.
const PIECE: usize = 64 << 10;

/// The body of a request, counted as it leaves.
pub struct Outgoing {
    body: HttpRequestBody,
    /// What of the body's current piece has not been handed on.
    rest: Bytes,
    sent: Arc<AtomicU64>,
}

impl Outgoing {
    /// `body`, and where it is counted.
    pub fn new(body: HttpRequestBody) -> (Self, Arc<AtomicU64>) {
        let sent = Arc::new(AtomicU64::new(0));
        (Self { body, rest: Bytes::new(), sent: sent.clone() }, sent)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        while self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let piece = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(piece);
        self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        SizeHint::with_exact(hint.lower() + self.rest.len() as u64)
    }
}

/// The body of an answer as it comes.
pub struct Received(pub reqwest::Body);

impl Body for Received {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.0).poll_frame(context);
        polled.map(|frame| frame.map(|frame| frame.map_err(transport_failed)))
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// An error of the HTTP client as one of object_store's.
pub fn transport_failed(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_timeout() => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error.without_url())
}

/// The body of an answer, given up when it comes too slowly. Only the time counts in which somebody waits
/// for it.
pub struct Incoming {
    body: HttpResponseBody,
    health: Health,
    window: Duration,
    /// The end of the window that runs, and what came in it.
    ends: Pin<Box<Sleep>>,
    came: u64,
    /// Since when nobody waits.
    taken: Option<Instant>,
}

impl Incoming {
    /// `body`, of which every `window` must bring a little.
    pub fn new(body: HttpResponseBody, window: Duration, health: Health) -> Self {
        Self { body, health, window, ends: Box::pin(sleep(window)), came: 0, taken: None }
    }

    /// Whether the window that just ended brought too little.
    fn is_late(&mut self) -> bool {
        let late = self.came < SLOWEST * self.window.as_secs();
        self.came = 0;
        let next = Instant::now() + self.window;
        self.ends.as_mut().reset(next);
        late
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Some(taken) = self.taken.take() {
            let ends = self.ends.deadline() + taken.elapsed();
            self.ends.as_mut().reset(ends);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(ready) = polled {
            self.taken = Some(Instant::now());
            if let Some(Ok(data)) = ready.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref))
            {
                self.came += data.map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(ready);
        }
        while self.ends.as_mut().poll(context).is_ready() {
            if self.is_late() {
                let late = TransportError::Stalled(self.window);
                self.health.late(self.window, &late.to_string());
                return Poll::Ready(Some(Err(failure(HttpErrorKind::Timeout, late))));
            }
        }
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
