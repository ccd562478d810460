//! Finding out what a service can do for who asks, one thing at a time.

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Service, transport::Dialect};
use crate::{paths, retry::describe};

/// The outcome of one thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It works.
    Works,
    /// It was not tried, for this reason.
    Untried(&'static str),
    /// It does not work: why, and what it takes.
    Fails {
        /// The reason.
        reason: String,
        /// The permission, or ability of the server, that it takes.
        takes: &'static str,
    },
}

/// The things that a service can do for who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether objects can be read, and that one that is missing is missing.
    pub read: Finding,
    /// Whether parts of objects can be read.
    pub ranges: Finding,
    /// Whether objects can be listed. Only `cache gc --service` needs it.
    pub list: Finding,
    /// Whether objects can be written and deleted.
    pub write: Finding,
}

/// Where the objects lie that are written to try it.
const PROBES: &str = "probes";

impl Service {
    /// Tries what the service can do. With `write`, an object is written to it, read, and deleted;
    /// without, ranges are not tried, for want of an object that is sure to be there.
    pub fn check(&self, write: bool) -> Check {
        self.block_on(self.check_all(write))
    }

    async fn check_all(&self, write: bool) -> Check {
        // A name that nothing has.
        let name = format!("{PROBES}/{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let read = match self.read(&name).await {
            Ok(None) => Finding::Works,
            Ok(Some(_)) => Finding::Fails {
                reason: "an object that cannot be there was answered with something".to_owned(),
                takes: "a server that answers 404 for what is missing",
            },
            Err(error) => self.fails(&error, "s3:GetObject", "GET"),
        };
        if self.health.is_hopeless() {
            let untried = Finding::Untried("the service does not answer");
            return Check { read, ranges: untried.clone(), list: untried.clone(), write: untried };
        }
        let list = match self.list("revisions").await {
            Ok(_) => Finding::Works,
            Err(error) => self.fails(&error, "s3:ListBucket", "PROPFIND"),
        };
        let (write, ranges) = match write {
            true => self.try_writing(&name).await,
            false => {
                let untried = Finding::Untried("--write tries it");
                (untried.clone(), untried)
            }
        };
        Check { read, ranges, list, write }
    }

    /// Writes an object, reads a part of it, and deletes it.
    async fn try_writing(&self, name: &str) -> (Finding, Finding) {
        const CONTENT: &[u8] = b"written by `larder cache services --check --write`";
        let path = paths::below(&self.prefix, name);
        let payload = PutPayload::from_static(CONTENT);
        if let Err(error) = self.retried(|| self.objects.put(&path, payload.clone())).await {
            let written = Finding::Fails {
                reason: describe(&error),
                takes: self.takes("s3:PutObject", "PUT, and MKCOL where collections are missing"),
            };
            return (written, Finding::Untried("nothing could be written to read it from"));
        }
        let ranges = match self.part(name).await {
            Ok(part) if part == CONTENT[8..18] => Finding::Works,
            Ok(_) => Finding::Fails {
                reason: "other bytes came than were written".to_owned(),
                takes: "a server that keeps what is put",
            },
            Err(reason) => {
                Finding::Fails { reason, takes: self.takes("s3:GetObject", "GET with Range") }
            }
        };
        let deleted = self.retried(|| self.objects.delete(&path)).await;
        let written = match deleted {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Finding::Works,
            Err(error) => Finding::Fails {
                reason: format!("{name} was written, but not deleted: {}", describe(&error)),
                takes: self.takes("s3:DeleteObject, for `cache gc --service` only", "DELETE"),
            },
        };
        (written, ranges)
    }

    async fn part(&self, name: &str) -> Result<Bytes, String> {
        let mut stream = self.stream(name, 8..18).await.map_err(|error| describe(&error))?;
        let mut part = Vec::new();
        while part.len() < 10
            && let Some(more) = stream.next().await
        {
            part.extend_from_slice(&more.map_err(|error| describe(&error))?);
        }
        part.truncate(10);
        Ok(part.into())
    }

    fn takes(&self, s3: &'static str, http: &'static str) -> &'static str {
        match self.dialect {
            Some(Dialect::S3) => s3,
            Some(Dialect::Http) => http,
            Some(Dialect::Azure) => "the role Storage Blob Data Contributor, to read: Reader",
            None => "the permission in the file system",
        }
    }

    fn fails(&self, error: &crate::RemoteError, s3: &'static str, http: &'static str) -> Finding {
        let reason = match error {
            crate::RemoteError::Request { reason, .. } => reason.clone(),
            error => error.to_string(),
        };
        Finding::Fails { reason, takes: self.takes(s3, http) }
    }
}
