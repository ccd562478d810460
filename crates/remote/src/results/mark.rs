//! The object that says that a result is there.

use std::fmt;

use larder_store::published::Signature;
use serde::{Deserialize, Serialize};

use super::{ResultKey, ResultState};
use crate::Statement;

/// The version of the format that this larder writes, and the only one it reads.
const VERSION: u64 = 1;

/// A larger object, in bytes, is no mark.
pub const SIZE_LIMIT: usize = 4096;

/// `{"key":"…","schemaVersion":1}`, and until when it counts, or that it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    /// In milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    key: String,
    schema_version: u64,
    /// A signature; whether it is one of this mark is not checked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    undone: bool,
}

impl Mark {
    /// The mark of a result that counts until `expires`.
    pub fn done(key: &ResultKey, expires: Option<u64>) -> Self {
        Self { expires, ..Self::of(key) }
    }

    /// The mark of a result that was taken back.
    pub fn undone(key: &ResultKey) -> Self {
        Self { undone: true, ..Self::of(key) }
    }

    fn of(key: &ResultKey) -> Self {
        let key = key.as_str().to_owned();
        Self { expires: None, key, schema_version: VERSION, signature: None, undone: false }
    }

    /// What is signed of it, being the mark of `key`.
    pub fn statement<'a>(&self, key: &'a ResultKey) -> Statement<'a> {
        Statement::Result { key, expires: self.expires }
    }

    /// Reads the mark of `key`.
    ///
    /// # Errors
    /// Why `bytes` are something else, in words that follow the object's name.
    pub fn parse(bytes: &[u8], key: &ResultKey) -> Result<Self, String> {
        let reason = match bytes.len() {
            0 => "it is empty".to_owned(),
            length if length > SIZE_LIMIT => format!("it is larger than {SIZE_LIMIT} bytes"),
            _ => match Self::decode(bytes) {
                Ok(mark) if mark.key == key.as_str() => return Ok(mark),
                Ok(_) => "it names another key".to_owned(),
                Err(reason) => reason,
            },
        };
        Err(format!("keys/{key} is no mark of this result: {reason}"))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            schema_version: u64,
        }
        let foreign = |_| "it is not what `larder ci done` writes".to_owned();
        let Version { schema_version } = serde_json::from_slice(bytes).map_err(foreign)?;
        if schema_version != VERSION {
            return Err(format!(
                "it has schema version {schema_version}, this larder knows {VERSION}"
            ));
        }
        serde_json::from_slice(bytes).map_err(foreign)
    }

    /// What it says at the time `now`, in milliseconds since 1970.
    pub fn state(&self, now: u64) -> ResultState {
        match self.expires {
            _ if self.undone => ResultState::Undone,
            Some(expires) if expires <= now => ResultState::Expired(expires),
            until => ResultState::Done { until },
        }
    }
}

/// The object's content.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers and strings always serialise.
        writeln!(f, "{}", serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ResultKey {
        "k1".parse().unwrap()
    }

    #[test]
    fn a_mark_says_its_key_and_how_long_it_counts() {
        let plain = Mark::done(&key(), None);
        assert_eq!(plain.to_string(), "{\"key\":\"k1\",\"schemaVersion\":1}\n");
        assert_eq!(plain.state(u64::MAX), ResultState::Done { until: None });
        let short = Mark::done(&key(), Some(7));
        assert_eq!(short.to_string(), "{\"expires\":7,\"key\":\"k1\",\"schemaVersion\":1}\n");
        assert_eq!(short.state(6), ResultState::Done { until: Some(7) });
        assert_eq!(short.state(7), ResultState::Expired(7));
        let undone = Mark::undone(&key());
        assert_eq!(undone.state(0), ResultState::Undone);
        for mark in [plain, short, undone] {
            assert_eq!(Mark::parse(mark.to_string().as_bytes(), &key()), Ok(mark));
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let long = format!("{}{}", Mark::done(&key(), None), " ".repeat(SIZE_LIMIT));
        for (content, words) in [
            ("", "empty"),
            ("<html>Log in</html>", "not what"),
            ("{}", "not what"),
            ("null", "not what"),
            ("[\"k1\",1]", "not what"),
            ("{\"key\":\"k1\"}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":\"1\"}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":1}{}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":1,\"unless\":1}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":1,\"expires\":\"never\"}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":1,\"expires\":-1}", "not what"),
            ("{\"key\":\"k1\",\"schemaVersion\":2,\"more\":1}", "schema version 2"),
            ("{\"key\":\"k2\",\"schemaVersion\":1}", "another key"),
            ("{\"key\":\"K1\",\"schemaVersion\":1}", "another key"),
            (&long, "larger"),
        ] {
            let reason = Mark::parse(content.as_bytes(), &key()).unwrap_err();
            assert!(reason.contains(words) && reason.contains("keys/k1"), "{content}: {reason}");
        }
        assert!(Mark::parse(b"\xff\xfe\0", &key()).is_err());
    }
}
