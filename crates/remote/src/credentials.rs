//! Credentials, from the environment only.

use std::{env, fmt};

/// The key in `LARDER_CACHE_KEY`: `id:secret`.
pub struct Key {
    /// The S3 access key id, or the Azure account.
    pub id: String,
    /// The secret that goes with it. Never printed.
    pub secret: String,
}

/// `LARDER_CACHE_KEY` has no colon. Says nothing of what it has.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedKey;

impl Key {
    /// The key in the environment, if there is one.
    pub fn from_env() -> Result<Option<Self>, MalformedKey> {
        match env::var("LARDER_CACHE_KEY") {
            Ok(value) if !value.is_empty() => Self::parse(value.trim()).map(Some),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(MalformedKey),
        }
    }

    fn parse(value: &str) -> Result<Self, MalformedKey> {
        match value.split_once(':') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
            }
            _ => Err(MalformedKey),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::parse("AKIDEXAMPLE:wJalr:secret").unwrap();
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("AKIDEXAMPLE", "wJalr:secret"));
        assert_eq!(format!("{key:?}"), "Key(…)");
        for bad in ["", "id", ":secret", "id:"] {
            assert_eq!(Key::parse(bad).err(), Some(MalformedKey));
        }
    }
}
