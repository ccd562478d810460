//! Results known by a key alone, such as those of jobs of continuous integration.
//!
//! A service has a small object for each, `keys/<key>`. That it is there says everything; it is
//! written after the result, and never changed.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;

use crate::{RemoteError, Service, paths};

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

/// Whether `service` has the result of `key`. Asks for the object's length; downloads nothing.
///
/// # Errors
/// When the service does not say, or not within 15 seconds.
pub fn has_result(service: &Service, key: &ResultKey) -> Result<bool, RemoteError> {
    let object = paths::result(key);
    let late = || RemoteError::Request {
        service: service.name().to_owned(),
        action: "look up",
        object: object.clone(),
        reason: format!("no answer within {} seconds", PATIENCE.as_secs()),
    };
    let length = async { tokio::time::timeout(PATIENCE, service.length(&object)).await };
    Ok(service.block_on(length).unwrap_or_else(|_| Err(late()))?.is_some())
}

/// Records that the result of `key` is there. Returns whether it was not known before.
///
/// # Errors
/// When the service does not take it.
pub fn record_result(service: &Service, key: &ResultKey) -> Result<bool, RemoteError> {
    if has_result(service, key)? {
        return Ok(false);
    }
    let content = serde_json::json!({ "schemaVersion": 1, "key": key.as_str() });
    let content = Bytes::from(format!("{content}\n"));
    service.block_on(service.write(&paths::result(key), content, true)).map(|_| true)
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
}
