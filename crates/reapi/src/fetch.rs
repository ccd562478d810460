//! Contents that are fetched, those of many actions in one message.
//!
//! A few messages are on their way at any time. What is wanted meanwhile waits, and goes with the next one that is free,
//! whoever wants it: the more actions are in flight, the more contents a message brings.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tonic::Code;

use crate::{
    blobs::ENVELOPE,
    client::Client,
    digest::Digest,
    error::Error,
    wire::re::{self, digest_function::Value as Function},
};

/// How many messages are on their way at once.
const AT_ONCE: usize = 4;

/// How often contents are asked for that came with other bytes, or not.
const ATTEMPTS: usize = 3;

/// Contents by their names.
pub type Contents = HashMap<Digest, Bytes>;

/// What waits for a message.
pub struct Waiting {
    queue: Mutex<VecDeque<Wanted>>,
    messages: Semaphore,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { queue: Mutex::default(), messages: Semaphore::new(AT_ONCE) }
    }
}

/// Contents that somebody wants, which fit into a message together.
struct Wanted {
    digests: Vec<Digest>,
    answer: oneshot::Sender<Result<Contents, Error>>,
}

impl Waiting {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Wanted>> {
        // Every change is a single insertion or removal.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what fits into a message of `most` bytes, first come, first served.
    fn take(&self, most: usize) -> Vec<Wanted> {
        let mut queue = self.queue();
        let (mut taken, mut room) = (Vec::new(), most);
        while let Some(next) = queue.front() {
            let needs = next.digests.iter().map(needs).sum();
            if room < needs && !taken.is_empty() {
                break;
            }
            room = room.saturating_sub(needs);
            taken.extend(queue.pop_front().filter(|wanted| !wanted.answer.is_closed()));
        }
        taken
    }
}

/// The bytes that a content takes in a message.
fn needs(digest: &Digest) -> usize {
    digest.size as usize + ENVELOPE
}

impl Client {
    /// Returns the contents of these names, whose bytes were seen to be theirs.
    ///
    /// # Errors
    /// The server does not answer, does not have some, or has sent other bytes.
    pub async fn fetch(&self, digests: &[Digest]) -> Result<Contents, Error> {
        let most = self.abilities().await?.message;
        let mut found = HashMap::new();
        let mut group = Vec::new();
        let mut room = most;
        for digest in digests {
            if digest.size == 0 {
                verified(*digest, Bytes::new(), &mut found)?;
            } else if needs(digest) > most {
                let bytes = self.read_stream(*digest).await?;
                verified(*digest, bytes.into(), &mut found)?;
            } else {
                if needs(digest) > room {
                    found.extend(self.fetch_with_others(std::mem::take(&mut group)).await?);
                    room = most;
                }
                group.push(*digest);
                room -= needs(digest);
            }
        }
        if !group.is_empty() {
            found.extend(self.fetch_with_others(group).await?);
        }
        Ok(found)
    }

    /// Writes a content into an empty file. What is there then was seen to be it.
    ///
    /// # Errors
    /// As [`Self::fetch`]; or the file cannot be written.
    pub async fn fetch_into(&self, digest: Digest, file: File) -> Result<io::Result<()>, Error> {
        self.read_stream_into(digest, file.into()).await
    }

    /// Waits for a message that brings these contents, and sends those that nobody else sends.
    async fn fetch_with_others(&self, digests: Vec<Digest>) -> Result<Contents, Error> {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting.queue().push_back(Wanted { digests: digests.clone(), answer });
            let came = loop {
                tokio::select! {
                    biased;
                    came = &mut answered => break came,
                    permit = self.waiting.messages.acquire() => {
                        let most = self.abilities().await?.message;
                        // What is taken may be all for others: the own part may be on its way already.
                        let taken = self.waiting.take(most);
                        if taken.is_empty() {
                            drop(permit);
                            break answered.await;
                        }
                        self.bring(taken).await;
                    }
                }
            };
            // Whoever sent the message may have been interrupted.
            if let Ok(came) = came {
                return came;
            }
        }
    }

    /// Fetches what some want in one message, and gives each their part.
    async fn bring(&self, taken: Vec<Wanted>) {
        let all = taken.iter().flat_map(|wanted| wanted.digests.iter().copied()).collect();
        let brought = self.fetch_batch(all).await;
        for Wanted { digests, answer } in taken {
            let part = brought.as_ref().map_err(Error::clone).and_then(|it| it.part(&digests));
            // Nobody may want it any more.
            let _ = answer.send(part);
        }
    }

    /// # Errors
    /// The server does not answer. What it does not have or sends wrongly is no error of all.
    async fn fetch_batch(&self, mut left: Vec<Digest>) -> Result<Brought, Error> {
        left.sort_unstable();
        left.dedup();
        let mut brought = Brought::default();
        for _ in 0..ATTEMPTS {
            let answer = self.breaker.ask("BatchReadBlobs", self.patience, async || {
                let request = re::BatchReadBlobsRequest {
                    instance_name: self.instance.clone(),
                    digests: left.iter().map(|digest| digest.to_wire()).collect(),
                    digest_function: Function::Sha256.into(),
                    ..Default::default()
                };
                self.contents().batch_read_blobs(request).await
            });
            for response in answer.await?.responses {
                let Some(digest) = response.digest.as_ref().and_then(Digest::parse) else {
                    continue;
                };
                match response.status.map_or(0, |status| status.code) {
                    // Wrong bytes may be right when they are asked for again.
                    0 => match verified(digest, response.data.into(), &mut brought.found) {
                        Ok(()) => _ = brought.troubles.remove(&digest),
                        Err(error) => _ = brought.troubles.insert(digest, error),
                    },
                    code if code == Code::NotFound as i32 => {
                        brought.troubles.insert(digest, Error::Missing(vec![digest]));
                    }
                    _ => {}
                }
            }
            left.retain(|digest| {
                let is_missing = matches!(brought.troubles.get(digest), Some(Error::Missing(_)));
                !is_missing && !brought.found.contains_key(digest)
            });
            if left.is_empty() {
                break;
            }
        }
        Ok(brought)
    }
}

/// What a message brought, and what is wrong with the rest.
#[derive(Default)]
struct Brought {
    found: Contents,
    troubles: HashMap<Digest, Error>,
}

impl Brought {
    fn part(&self, digests: &[Digest]) -> Result<Contents, Error> {
        let one = |digest: &Digest| match (self.found.get(digest), self.troubles.get(digest)) {
            (Some(bytes), _) => Ok((*digest, bytes.clone())),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(Error::Missing(vec![*digest])),
        };
        digests.iter().map(one).collect()
    }
}

/// Notes a content whose bytes are those of its name.
///
/// # Errors
/// They are not.
pub fn verified(digest: Digest, bytes: Bytes, found: &mut Contents) -> Result<(), Error> {
    if Digest::of_bytes(&bytes) != digest {
        return Err(Error::Corrupt(digest));
    }
    found.insert(digest, bytes);
    Ok(())
}
