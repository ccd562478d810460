//! Large contents, as streams that go on where they were cut off.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::stream;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};
use tonic::{Code, Status};

use crate::{
    blobs::{Blob, Source},
    client::Client,
    digest::{Digest, Running},
    error::{Error, Meaning, describe, meaning},
    retry::within,
    wire::bytestream::{QueryWriteStatusRequest, ReadRequest, WriteRequest},
};

/// The bytes of a stream's message.
const PIECE: usize = 512 << 10;

/// How often a stream may be cut off without having brought anything.
const CUTS: u32 = 5;

/// Tells the streams of this process apart from those of others.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (fastrand::u64(..), fastrand::u64(..) ^ next);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

impl Client {
    fn resource(&self, rest: String) -> String {
        match self.instance.as_str() {
            "" => rest,
            instance => format!("{instance}/{rest}"),
        }
    }

    /// Sends a content that is too large for a message.
    pub(crate) async fn send_stream(&self, blob: &Blob) -> Result<(), Error> {
        let digest = blob.digest;
        let name = self.resource(format!("uploads/{}/blobs/{digest}", unique()));
        let (mut offset, mut cuts) = (0, 0);
        loop {
            if let Some(reason) = self.breaker.given_up() {
                return Err(Error::GivenUp(reason));
            }
            let status = match self.write_from(&name, blob, offset).await {
                // Whole, or there already.
                Ok(committed) if committed as u64 == digest.size || committed == -1 => {
                    self.breaker.answered();
                    return Ok(());
                }
                Ok(_) => Status::unavailable("it did not take all of a content"),
                Err(Cut::Changed(error)) => return Err(error),
                Err(Cut::Status(status)) => status,
            };
            match meaning(&status) {
                Meaning::Final | Meaning::Absent => return Err(Error::Refused(describe(&status))),
                Meaning::Passing => {}
            }
            let request = QueryWriteStatusRequest { resource_name: name.clone() };
            let asked = self.breaker.ask("QueryWriteStatus", self.patience, async || {
                self.streams().query_write_status(request.clone()).await
            });
            let committed = match asked.await {
                Ok(answer) if answer.complete => return Ok(()),
                Ok(answer) => u64::try_from(answer.committed_size).unwrap_or(0).min(digest.size),
                Err(Error::Missing(_) | Error::Refused(_)) => 0,
                Err(error) => return Err(error),
            };
            cuts = if committed > offset { 0 } else { cuts + 1 };
            if cuts > CUTS {
                return Err(Error::Unavailable(describe(&status)));
            }
            offset = committed;
        }
    }

    /// Sends a content from `offset` on. Returns how much of it the server has.
    async fn write_from(&self, name: &str, blob: &Blob, offset: u64) -> Result<i64, Cut> {
        let reader = Reader::open(blob, offset).await.map_err(Cut::Changed)?;
        let state = (reader, Some(name.to_owned()), offset);
        let size = blob.digest.size;
        let requests = stream::unfold(state, move |(mut reader, name, offset)| async move {
            if offset >= size {
                return None;
            }
            // A file that ends too early ends the stream without its end: the server takes nothing.
            let data = reader.next().await.filter(|data| !data.is_empty())?;
            let end = offset + data.len() as u64;
            let request = WriteRequest {
                // Once is enough.
                resource_name: name.unwrap_or_default(),
                write_offset: offset as i64,
                finish_write: end >= size,
                data,
            };
            Some((request, (reader, None, end)))
        });
        // It goes on for as long as it takes; a server that takes nothing any more fails the connection's pings, or
        // is found out by its size.
        let longest = self.patience * u32::try_from(1 + size / (1 << 20)).unwrap_or(u32::MAX);
        match within(longest, self.streams().write(requests)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().committed_size),
            Ok(Err(status)) => Err(Cut::Status(status)),
            Err(_) => Err(Cut::Status(Status::deadline_exceeded("it takes nothing any more"))),
        }
    }

    /// Returns a content that is too large for a message. Nobody has looked yet whether it is what its name says.
    pub(crate) async fn read_stream(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(digest.size.min(64 << 20) as usize);
        self.read_into(digest, async |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .await?
        .map_err(|error| Error::Refused(error.to_string()))?;
        Ok(bytes)
    }

    /// Writes a content into an empty file, and sees that it is what its name says.
    pub(crate) async fn read_stream_into(
        &self,
        digest: Digest,
        mut file: File,
    ) -> Result<io::Result<()>, Error> {
        let mut running = Running::default();
        let written = self.read_into(digest, async |piece| {
            running.write_all(piece)?;
            file.write_all(piece).await
        });
        if let Err(error) = written.await? {
            return Ok(Err(error));
        }
        if running.finish() != digest {
            return Err(Error::Corrupt(digest));
        }
        Ok(file.flush().await)
    }

    /// Hands on the pieces of a content, each once and in order.
    async fn read_into(
        &self,
        digest: Digest,
        mut take: impl AsyncFnMut(&[u8]) -> io::Result<()>,
    ) -> Result<io::Result<()>, Error> {
        let resource_name = self.resource(format!("blobs/{digest}"));
        let (mut offset, mut cuts) = (0, 0);
        while offset < digest.size {
            if let Some(reason) = self.breaker.given_up() {
                return Err(Error::GivenUp(reason));
            }
            let before = offset;
            let request = ReadRequest {
                resource_name: resource_name.clone(),
                read_offset: offset as i64,
                read_limit: 0,
            };
            let mut pieces = self
                .breaker
                .ask("Read", self.patience, async || self.streams().read(request.clone()).await)
                .await
                .map_err(|error| match error {
                    Error::Missing(_) => Error::Missing(vec![digest]),
                    error => error,
                })?;
            let cut = loop {
                match within(self.patience, pieces.message()).await {
                    Ok(Ok(Some(piece))) => {
                        offset += piece.data.len() as u64;
                        if offset > digest.size {
                            return Err(Error::Corrupt(digest));
                        }
                        if let Err(error) = take(&piece.data).await {
                            return Ok(Err(error));
                        }
                    }
                    Ok(Ok(None)) => break Status::unavailable("it did not send all of a content"),
                    Ok(Err(status)) => break status,
                    Err(_) => break Status::deadline_exceeded("it sends nothing any more"),
                }
            };
            if cut.code() == Code::NotFound {
                return Err(Error::Missing(vec![digest]));
            }
            cuts = if offset > before { 0 } else { cuts + 1 };
            if cuts > CUTS {
                return Err(Error::Unavailable(describe(&cut)));
            }
        }
        Ok(Ok(()))
    }
}

/// Why a stream ended before its time.
enum Cut {
    Status(Status),
    Changed(Error),
}

/// The pieces of a content.
enum Reader {
    Bytes(Bytes),
    File(File),
}

impl Reader {
    async fn open(blob: &Blob, offset: u64) -> Result<Self, Error> {
        match &blob.source {
            Source::Bytes(bytes) => {
                Ok(Self::Bytes(bytes.slice(bytes.len().min(offset as usize)..)))
            }
            Source::File(path) => {
                let changed = |_| Error::Changed(path.clone());
                let mut file = File::open(path).await.map_err(changed)?;
                file.seek(io::SeekFrom::Start(offset)).await.map_err(changed)?;
                Ok(Self::File(file))
            }
        }
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes.split_to(bytes.len().min(PIECE)).to_vec()),
            Self::File(file) => {
                let mut piece = Vec::with_capacity(PIECE);
                file.take(PIECE as u64).read_to_end(&mut piece).await.ok()?;
                Some(piece)
            }
        }
    }
}
