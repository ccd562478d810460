//! Finding out what a service can do for who asks, one thing at a time.

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Access, Service, below, transport::Dialect};
use crate::{
    RemoteError, ServiceConfig,
    retry::{describe, is_answer, is_without_bucket},
};

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
    /// Whether it answers at all.
    pub reach: Finding,
    /// Whether objects can be read, and one that is missing is known to be.
    pub read: Finding,
    /// Whether parts of objects can be read.
    pub ranges: Finding,
    /// Whether objects can be listed. Few commands need it.
    pub list: Finding,
    /// Whether objects can be written and deleted.
    pub write: Finding,
}

/// Where the objects lie that are written to try it.
const PROBES: &str = "probes";

/// Tries what the service of `config` can do, each thing once. With `write`, an object is written to it,
/// read, and deleted; without, ranges are not tried, for want of an object that is sure to be there.
///
/// # Errors
/// When the service cannot be opened.
pub fn check(config: &ServiceConfig, write: bool) -> Result<Check, RemoteError> {
    let reader = Service::open(config, Access::Read)?;
    // A name that nothing has.
    let name = format!("{PROBES}/{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let (reach, read) = reader.block_on(reader.try_reading(&name));
    if reach != Finding::Works {
        let untried = Finding::Untried("the service does not answer");
        let [ranges, list, write] = [untried.clone(), untried.clone(), untried];
        return Ok(Check { reach, read, ranges, list, write });
    }
    let list = reader.block_on(reader.try_listing());
    let (write, ranges) = if write {
        let writer = Service::open(config, Access::Write)?;
        writer.block_on(writer.try_writing(&name))
    } else {
        let untried = Finding::Untried("--write tries it");
        (untried.clone(), untried)
    };
    Ok(Check { reach, read, ranges, list, write })
}

impl Service {
    /// Reads an object that is not there. Returns whether there was any answer, and whether a good one.
    async fn try_reading(&self, name: &str) -> (Finding, Finding) {
        let path = below(&self.prefix, name);
        match self.objects.get(&path).await {
            Err(error) if is_without_bucket(&error) => {
                let takes = "a bucket of this name";
                (Finding::Works, Finding::Fails { reason: describe(&error), takes })
            }
            Err(object_store::Error::NotFound { .. }) => (Finding::Works, Finding::Works),
            Ok(_) => {
                let reason = "an object that cannot be there was answered with something";
                let takes = "a server that answers 404 for what is missing";
                (Finding::Works, Finding::Fails { reason: reason.to_owned(), takes })
            }
            Err(error) if is_answer(&error) => {
                (Finding::Works, self.fails(&error, "s3:GetObject", "GET"))
            }
            Err(error) => {
                let reason = describe(&error);
                let takes = "a server that can be reached, within answer-seconds";
                let untried = Finding::Untried("the service does not answer");
                (Finding::Fails { reason, takes }, untried)
            }
        }
    }

    async fn try_listing(&self) -> Finding {
        let path = below(&self.prefix, PROBES);
        match self.objects.list_with_delimiter(Some(&path)).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Finding::Works,
            Err(error) => self.fails(&error, "s3:ListBucket", "PROPFIND"),
        }
    }

    /// Writes an object, reads a part of it, and deletes it.
    async fn try_writing(&self, name: &str) -> (Finding, Finding) {
        const CONTENT: &[u8] = b"written by `larder cache services --check --write`";
        let path = below(&self.prefix, name);
        let payload = PutPayload::from_static(CONTENT);
        if let Err(error) = self.retried(|| self.objects.put(&path, payload.clone())).await {
            let http = "PUT, and MKCOL where collections are missing";
            let written = self.fails(&error, "s3:PutObject", http);
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
                takes: self.takes("s3:DeleteObject", "DELETE"),
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

    fn fails(&self, error: &object_store::Error, s3: &'static str, http: &'static str) -> Finding {
        Finding::Fails { reason: self.reason(error), takes: self.takes(s3, http) }
    }
}
