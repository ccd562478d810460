//! Results known by a key alone, such as those of jobs of continuous integration.
//!
//! A service has a small object for each, `keys/<key>`, written after the result. It says its own
//! key, so nothing else that a server may answer passes for it.

mod mark;

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use larder_store::Ref;

use self::mark::{Mark, SIZE_LIMIT};
use crate::{Distrust, RemoteError, Service};

/// After how long without an answer nobody can tell whether a result is there.
const PATIENCE: Duration = Duration::from_secs(15);

/// The key of a result: what can be the tag of a container image, `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultKey(String);

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a key: use letters, digits, `.`, `_` and `-`, at most 128 of them, starting with a \
     letter, a digit or `_`"
)]
pub struct ParseKeyError(String);

impl ResultKey {
    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The job in the key of a job, which is `JOB-ENVIRONMENT-HASH`.
    pub fn job(&self) -> Option<&str> {
        let mut parts = self.0.rsplitn(3, '-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let is_hex = part.len() == digits && part.chars().all(|c| c.is_ascii_hexdigit());
            is_hex.then_some(())
        };
        hex(64)?;
        hex(16)?;
        parts.next().filter(|job| !job.is_empty())
    }
}

impl fmt::Display for ResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ResultKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let good = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && text.len() <= 128;
        good.then(|| Self(text.to_owned())).ok_or_else(|| ParseKeyError(text.to_owned()))
    }
}

/// What a service says of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultState {
    /// It is there.
    Done {
        /// Until when that counts, in milliseconds since 1970.
        until: Option<u64>,
    },
    /// It is not.
    Absent,
    /// It was there until then, in milliseconds since 1970.
    Expired(u64),
    /// It was taken back.
    Undone,
    /// Somebody says that it is there whose word does not count.
    Untrusted(Distrust),
    /// What the service has under that name is no mark of this result; why.
    Unclear(String),
}

/// How a result became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was not known before.
    New,
    /// It was known, and nothing was written.
    Already,
    /// It was known until another time.
    Renewed,
    /// Something else was in its place; why that was no mark of it.
    Repaired(String),
}

/// How a result was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    /// The service had nothing to take back.
    NotKnown,
    /// Its mark was deleted.
    Deleted,
    /// The service deletes nothing, so its mark now says that it does not count.
    Marked,
}

/// Returns what `service` says of the result of `key` at the time `now`, in milliseconds since 1970.
/// Reads at most a few kilobytes.
///
/// # Errors
/// When the service does not say, or not within 15 seconds.
pub fn look_up_result(
    service: &Service,
    key: &ResultKey,
    now: u64,
) -> Result<ResultState, RemoteError> {
    look_up(service, key, now).map(|(state, _)| state)
}

/// [`look_up_result`], with the mark that is there.
fn look_up(
    service: &Service,
    key: &ResultKey,
    now: u64,
) -> Result<(ResultState, Option<Mark>), RemoteError> {
    let object = object(key);
    let read =
        async { tokio::time::timeout(PATIENCE, service.read_at_most(&object, SIZE_LIMIT)).await };
    let late = || failed(service, "read", key, format!("no answer within {PATIENCE:?}"));
    match service.block_on(read).unwrap_or_else(|_| Err(late()))? {
        None => Ok((ResultState::Absent, None)),
        Some(bytes) => Ok(match Mark::parse(&bytes, key) {
            Ok(mark) => {
                let trust = service.trust();
                match (mark.state(now), trust.check(&mark.statement(key), mark.signature.as_ref()))
                {
                    (ResultState::Done { .. }, Err(distrust)) => {
                        (ResultState::Untrusted(distrust), Some(mark))
                    }
                    (state, _) => (state, Some(mark)),
                }
            }
            Err(reason) => (ResultState::Unclear(reason), None),
        }),
    }
}

/// Records that the result of `key` is there, and counts until `until` where that is given: signed
/// by the key of the service, if it has one, as of something built from `reference`. The last record
/// of a key is the one that counts.
///
/// # Errors
/// When the service does not take it.
pub fn record_result(
    service: &Service,
    key: &ResultKey,
    until: Option<u64>,
    reference: Option<&Ref>,
    now: u64,
) -> Result<Recorded, RemoteError> {
    let (before, there) = look_up(service, key, now)?;
    let done = ResultState::Done { until };
    let mut mark = Mark::done(key, until);
    let signature = there.as_ref().and_then(|there| there.signature.as_ref());
    if before == done && service.is_signed(&mark.statement(key), signature, reference) {
        return Ok(Recorded::Already);
    }
    mark.signature = service.sign(&mark.statement(key), reference)?;
    write(service, key, &mark)?;
    match before {
        ResultState::Done { .. } => Ok(Recorded::Renewed),
        ResultState::Absent
        | ResultState::Expired(_)
        | ResultState::Undone
        | ResultState::Untrusted(_) => Ok(Recorded::New),
        // Who answers with anything may take anything, and keep nothing.
        ResultState::Unclear(reason) => match look_up_result(service, key, now)? {
            state if state == done => Ok(Recorded::Repaired(reason)),
            _ => Err(failed(service, "write", key, format!("after it was written, {reason}"))),
        },
    }
}

/// Takes back that the result of `key` is there: deletes its mark, or where the service does not
/// delete, replaces it with one that does not count.
///
/// # Errors
/// When the service does neither.
pub fn take_back_result(
    service: &Service,
    key: &ResultKey,
    now: u64,
) -> Result<TakenBack, RemoteError> {
    match look_up_result(service, key, now)? {
        ResultState::Absent | ResultState::Expired(_) | ResultState::Undone => {
            return Ok(TakenBack::NotKnown);
        }
        ResultState::Done { .. } | ResultState::Untrusted(_) | ResultState::Unclear(_) => {}
    }
    let deleted = service.block_on(service.delete(&object(key)));
    // A server may say that it deleted and do no such thing.
    if deleted.is_ok() && look_up_result(service, key, now)? == ResultState::Absent {
        return Ok(TakenBack::Deleted);
    }
    write(service, key, &Mark::undone(key)).map_err(|error| deleted.err().unwrap_or(error))?;
    match look_up_result(service, key, now)? {
        ResultState::Absent | ResultState::Undone => Ok(TakenBack::Marked),
        _ => Err(failed(service, "take back", key, "the service still has it".to_owned())),
    }
}

/// The object with the mark of a result.
fn object(key: &ResultKey) -> String {
    format!("keys/{key}")
}

fn write(service: &Service, key: &ResultKey, mark: &Mark) -> Result<(), RemoteError> {
    let content = Bytes::from(mark.to_string());
    service.block_on(service.write(&object(key), content, true)).map(drop)
}

fn failed(service: &Service, action: &'static str, key: &ResultKey, reason: String) -> RemoteError {
    let (service, object) = (service.name().to_owned(), object(key));
    RemoteError::Request { service, action, object, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tags() {
        for good in ["a", "_", "0", "a.b_c-d", &"a".repeat(128)] {
            assert!(good.parse::<ResultKey>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "../x", "a b", "é", "a\n", &"a".repeat(129)] {
            assert!(bad.parse::<ResultKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_key_of_a_job_names_it() {
        let (environment, hash) = ("0a".repeat(8), "0b".repeat(32));
        let job = |text: &str| text.parse::<ResultKey>().unwrap().job().map(str::to_owned);
        assert_eq!(job(&format!("a-b-{environment}-{hash}")).as_deref(), Some("a-b"));
        for none in [hash.clone(), format!("a-{hash}"), format!("a-{environment}-{environment}")] {
            assert_eq!(job(&none), None, "{none}");
        }
    }
}
