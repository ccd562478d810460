//! Contents on the server: which are there, and sending those that are not.
//!
//! Small contents travel many in a message, large ones as streams. In one build nobody asks twice whether a content
//! is there: the first who needs it there claims it, and all others wait for that.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

use crate::{
    client::Client,
    digest::Digest,
    error::Error,
    wire::re::{self, batch_update_blobs_request, digest_function::Value as Function},
};

/// How many messages of one action are on their way at once.
const AT_ONCE: usize = 4;

/// How many digests are asked for in a message.
const DIGESTS: usize = 10_000;

/// The bytes that a content takes in a message besides its own.
pub const ENVELOPE: usize = 128;

/// A content that an action needs.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Where its bytes are here.
    pub source: Source,
}

/// Where the bytes of a content are.
#[derive(Debug, Clone)]
pub enum Source {
    /// Here.
    Bytes(Bytes),
    /// In this file, unless it changes.
    File(PathBuf),
}

impl Blob {
    /// A content of these bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of_bytes(&bytes), source: Source::Bytes(bytes.into()) }
    }

    /// Reads the content, and sees that it still has its name.
    ///
    /// # Errors
    /// The file is not what it was.
    pub async fn read(&self) -> Result<Bytes, Error> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes.clone()),
            Source::File(path) => {
                let read = tokio::fs::read(path).await;
                let same = read.ok().filter(|bytes| Digest::of_bytes(bytes) == self.digest);
                same.map(Bytes::from).ok_or_else(|| Error::Changed(path.clone()))
            }
        }
    }
}

/// What is known of contents on the server.
#[derive(Default)]
pub struct Known(Mutex<HashMap<Digest, Presence>>);

enum Presence {
    There,
    /// Somebody sees to it, for as long as the other end is there.
    Claimed(watch::Receiver<()>),
}

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Presence>> {
        // Every change is a single insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets that contents are there: the server says that they are not.
    pub fn forget(&self, digests: &[Digest]) {
        let mut all = self.all();
        digests.iter().for_each(|digest| _ = all.remove(digest));
    }
}

/// Contents that one action sees to. Those that it did not send are free again when it is dropped.
struct Claim<'k> {
    known: &'k Known,
    digests: Vec<Digest>,
    /// Whoever waits sees it go.
    _held: watch::Sender<()>,
}

impl Claim<'_> {
    fn kept(mut self) {
        let mut all = self.known.all();
        for digest in self.digests.drain(..) {
            all.insert(digest, Presence::There);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.known.forget(&self.digests);
    }
}

impl Client {
    /// Sees to it that contents are on the server.
    ///
    /// # Errors
    /// The server does not answer or does not take them, or a file has changed.
    pub async fn ensure(&self, known: &Known, blobs: &[Blob]) -> Result<(), Error> {
        loop {
            let Share { claim, mine, others } = share(known, blobs);
            if !mine.is_empty() {
                self.send_missing(&mine).await?;
                claim.kept();
            } else if others.is_empty() {
                return Ok(());
            }
            for mut other in others {
                // Its end is what is waited for; whether that was a success is seen in the next round.
                while other.changed().await.is_ok() {}
            }
        }
    }

    async fn send_missing(&self, blobs: &[&Blob]) -> Result<(), Error> {
        let by_digest: BTreeMap<Digest, &Blob> =
            blobs.iter().map(|blob| (blob.digest, *blob)).collect();
        let digests: Vec<Digest> = by_digest.keys().copied().collect();
        let mut missing = Vec::new();
        for digests in digests.chunks(DIGESTS) {
            missing.extend(self.missing(digests).await?);
        }
        let most = self.abilities().await?.message;
        let (small, large): (Vec<Digest>, Vec<Digest>) =
            missing.into_iter().partition(|digest| digest.size as usize + ENVELOPE <= most);
        let find = |digest: &Digest| by_digest.get(digest).copied();
        let batches: Vec<Vec<&Blob>> = packed(&small, most)
            .into_iter()
            .map(|some| some.iter().filter_map(find).collect())
            .collect();
        let sent = stream::iter(batches).map(|batch| self.send_batch(batch));
        sent.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let large: Vec<&Blob> = large.iter().filter_map(find).collect();
        let sent = stream::iter(large).map(|blob| self.send_stream(blob));
        sent.buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    /// Returns those of `digests` that the server does not have.
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let answer = self.breaker.ask("FindMissingBlobs", self.patience, async || {
            let request = re::FindMissingBlobsRequest {
                instance_name: self.instance.clone(),
                blob_digests: digests.iter().map(|digest| digest.to_wire()).collect(),
                digest_function: Function::Sha256.into(),
            };
            self.contents().find_missing_blobs(request).await
        });
        Ok(answer.await?.missing_blob_digests.iter().filter_map(Digest::parse).collect())
    }

    async fn send_batch(&self, blobs: Vec<&Blob>) -> Result<(), Error> {
        let mut left = Vec::with_capacity(blobs.len());
        for blob in blobs {
            left.push((blob.digest, blob.read().await?));
        }
        // Contents are refused one by one; those are sent again.
        for _ in 0..3 {
            let answer = self.breaker.ask("BatchUpdateBlobs", self.patience, async || {
                let requests =
                    left.iter().map(|(digest, bytes)| batch_update_blobs_request::Request {
                        digest: Some(digest.to_wire()),
                        data: bytes.to_vec(),
                        ..Default::default()
                    });
                let request = re::BatchUpdateBlobsRequest {
                    instance_name: self.instance.clone(),
                    requests: requests.collect(),
                    digest_function: Function::Sha256.into(),
                };
                self.contents().batch_update_blobs(request).await
            });
            let taken: Vec<Digest> = answer
                .await?
                .responses
                .into_iter()
                .filter(|response| response.status.as_ref().is_none_or(|status| status.code == 0))
                .filter_map(|response| Digest::parse(&response.digest?))
                .collect();
            left.retain(|(digest, _)| !taken.contains(digest));
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Unavailable("it does not take all contents".to_owned()))
    }
}

/// Some contents, by who sees to them.
struct Share<'k, 'b> {
    claim: Claim<'k>,
    mine: Vec<&'b Blob>,
    others: Vec<watch::Receiver<()>>,
}

/// Claims those of some contents that nobody has seen to yet.
fn share<'k, 'b>(known: &'k Known, blobs: &'b [Blob]) -> Share<'k, 'b> {
    let (held, holds) = watch::channel(());
    let (mut digests, mut mine, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = known.all();
    for blob in blobs {
        match all.get(&blob.digest) {
            Some(Presence::There) => {}
            // It may be named twice here.
            Some(Presence::Claimed(other)) if other.same_channel(&holds) => {}
            Some(Presence::Claimed(other)) => others.push(other.clone()),
            None => {
                all.insert(blob.digest, Presence::Claimed(holds.clone()));
                digests.push(blob.digest);
                mine.push(blob);
            }
        }
    }
    drop(all);
    Share { claim: Claim { known, digests, _held: held }, mine, others }
}

/// Returns contents in groups, each of which fits into a message.
fn packed(digests: &[Digest], most: usize) -> Vec<Vec<Digest>> {
    let mut groups: Vec<Vec<Digest>> = Vec::new();
    let mut room = 0;
    for digest in digests {
        let needs = digest.size as usize + ENVELOPE;
        match groups.last_mut().filter(|_| needs <= room) {
            Some(group) => group.push(*digest),
            None => {
                groups.push(vec![*digest]);
                room = most;
            }
        }
        room = room.saturating_sub(needs);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fit_into_messages() {
        let of_size = |size: usize| Digest::of_bytes(&vec![0; size]);
        let digests = [of_size(300), of_size(500), of_size(10), of_size(900), of_size(1)];
        let groups = packed(&digests, 1100);
        let sizes: Vec<Vec<u64>> =
            groups.iter().map(|group| group.iter().map(|it| it.size).collect()).collect();
        assert_eq!(sizes, [vec![300, 500], vec![10], vec![900], vec![1]]);
        assert!(packed(&[], 10).is_empty());
    }
}
