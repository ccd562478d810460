//! The content of an object on its way out.
//!
//! What the kernel has in memory is read at once; for what it has not, a thread waits.

use std::{
    fs::File,
    future::Future,
    io::{self, IoSliceMut},
    ops::Range,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use rustix::io::{Errno, ReadWriteFlags};
use s3s::{
    StdError,
    stream::{ByteStream, RemainingLength},
};
use tokio::task::JoinHandle;

/// How much is read at once, in bytes: so much memory a client costs who reads nothing.
const CHUNK: u64 = 256 << 10;

/// A part of a file's content.
pub struct Content {
    file: Arc<File>,
    range: Range<u64>,
    /// A thread that reads what comes next.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// Memory that was read into, which is used again: new memory costs as much as reading into it.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// How many buffers are kept.
const KEPT: usize = 64;

/// Memory of [`CHUNK`] bytes, of which some are used.
struct Buffer {
    bytes: Vec<u8>,
    used: usize,
}

impl Buffer {
    fn new(used: u64) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { bytes: free.unwrap_or_else(|| vec![0; CHUNK as usize]), used: used as usize }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl Content {
    /// What lies at `range`.
    pub fn new(file: File, range: Range<u64>) -> Self {
        Self { file: Arc::new(file), range, reading: None }
    }

    fn pass(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, StdError>>> {
        self.range.start += bytes.len() as u64;
        Poll::Ready(Some(Ok(bytes)))
    }
}

fn chunk(range: &Range<u64>) -> Range<u64> {
    range.start..range.end.min(range.start + CHUNK)
}

fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let mut buffer = Buffer::new(range.end - range.start);
    let used = buffer.used;
    file.read_exact_at(&mut buffer.bytes[..used], range.start)?;
    Ok(Bytes::from_owner(buffer))
}

/// Reads what can be had without waiting; `None` where that is nothing.
fn read_now(file: &File, range: Range<u64>) -> Option<Bytes> {
    let mut buffer = Buffer::new(range.end - range.start);
    let used = buffer.used;
    let slices = &mut [IoSliceMut::new(&mut buffer.bytes[..used])];
    let read = loop {
        match rustix::io::preadv2(file, slices, range.start, ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            read => break read.ok().filter(|read| *read > 0)?,
        }
    };
    buffer.used = read;
    Some(Bytes::from_owner(buffer))
}

impl Stream for Content {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        let next = chunk(&self.range);
        if self.reading.is_none() {
            if let Some(bytes) = read_now(&self.file, next.clone()) {
                return self.pass(bytes);
            }
            let file = self.file.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || read(&file, next)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let done = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        match done {
            Ok(Ok(bytes)) => self.pass(bytes),
            Ok(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}

impl ByteStream for Content {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact((self.range.end - self.range.start) as usize)
    }
}
