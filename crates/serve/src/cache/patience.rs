//! A request's body, which has to arrive.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{self, Sleep};

/// How much has to arrive in each second, in bytes.
const SLOWEST: u64 = 1024;

/// A client was too slow.
#[derive(Debug, thiserror::Error)]
#[error("nothing, or next to nothing, arrived for too long")]
pub struct Stalled;

/// A body of which at least 1 KiB a second arrives, over each window of some length.
pub struct Patient {
    body: Body,
    window: Duration,
    /// When the window ends; begun by the first wait.
    end: Option<Pin<Box<Sleep>>>,
    /// What arrived in it.
    arrived: u64,
}

impl Patient {
    /// A body that is watched over windows of this length.
    pub fn new(body: Body, window: Duration) -> Self {
        Self { body, window, end: None, arrived: 0 }
    }
}

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let frame = frame.map(|frame| frame.map_err(Into::into));
            if let Some(Ok(frame)) = &frame {
                self.arrived += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame);
        }
        let window = self.window;
        loop {
            let end = self.end.get_or_insert_with(|| Box::pin(time::sleep(window)));
            if end.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if self.arrived < SLOWEST * window.as_secs().max(1) {
                return Poll::Ready(Some(Err(Stalled.into())));
            }
            self.arrived = 0;
            self.end = None;
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
