//! Keys, in minisign's format.

use std::{fmt, io::Cursor, str::FromStr};

use larder_store::{Ref, published::Signature};
use minisign::{KeyPair, SecretKeyBox, SignatureBox};
use serde::{Deserialize, Serialize};

use super::Statement;

/// The id of a key: 16 hex digits. A name, and no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

/// Why a key cannot be used. Says nothing of what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no key id.
    #[error(
        "{0:?} is neither a trusted key's name nor a key: keys are 16 hex digits or start with RW"
    )]
    Id(String),
    /// The text is no public key.
    #[error("not a public key as minisign writes them: 56 characters that start with RW")]
    Public,
    /// The text is no secret key, or the password is wrong.
    #[error(
        "LARDER_SIGNING_KEY is not a secret key as minisign writes them, or LARDER_SIGNING_PASSWORD is wrong"
    )]
    Secret,
    /// No key could be made.
    #[error("no key could be made: {0}")]
    Random(String),
    /// Nothing could be signed.
    #[error("nothing could be signed: {0}")]
    Sign(String),
}

impl KeyId {
    fn of(keynum: &[u8]) -> Option<Self> {
        Some(Self(keynum.try_into().ok()?))
    }

    /// The id of the key that is said to have made a signature.
    pub fn of_signature(signature: &Signature) -> Option<Self> {
        Self::of(SignatureBox::from_string(&signature.minisign).ok()?.keynum())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As minisign shows it.
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Ok(key) = text.parse::<PublicKey>() {
            return Ok(key.id());
        }
        let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        let number = number.ok_or_else(|| KeyError::Id(text.to_owned()))?;
        Ok(Self(number.to_le_bytes()))
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.keynum()).unwrap_or(KeyId([0; 8]))
    }

    /// Whether `signature` is this key's, of `text`.
    pub fn verifies(&self, text: &str, signature: &str) -> bool {
        SignatureBox::from_string(signature).is_ok_and(|signature| {
            minisign::verify(&self.0, &signature, Cursor::new(text), true, false, false).is_ok()
        })
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        minisign::PublicKey::from_base64(text.trim()).map(Self).map_err(|_| KeyError::Public)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

/// A secret key.
#[derive(Clone)]
pub struct SigningKey(minisign::SecretKey);

impl SigningKey {
    /// Makes a new key. Returns it, with the text of its file, and its public half.
    pub fn generate(comment: &str) -> Result<(Self, String, PublicKey), KeyError> {
        let random = |error: minisign::PError| KeyError::Random(error.to_string());
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().map_err(random)?;
        let text = sk.to_box(Some(comment)).map_err(random)?.into_string();
        Ok((Self(sk), text, PublicKey(pk)))
    }

    /// The key in the text of a file, which may need a password.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, KeyError> {
        // A variable may hold the second line alone.
        let text = match text.trim().lines().count() {
            1 => format!("untrusted comment: key\n{}\n", text.trim()),
            _ => text.to_owned(),
        };
        let key = SecretKeyBox::from_string(&text).and_then(|key| match password {
            Some(password) => key.into_secret_key(Some(password.to_owned())),
            None => key.into_unencrypted_secret_key(),
        });
        key.map(Self).map_err(|_| KeyError::Secret)
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.keynum()).unwrap_or(KeyId([0; 8]))
    }

    /// Whether `signature` is this key's, of `statement`.
    pub fn has_signed(&self, statement: &Statement<'_>, signature: &Signature) -> bool {
        minisign::PublicKey::from_secret_key(&self.0).is_ok_and(|key| {
            let text = statement.text(signature.reference.as_ref());
            PublicKey(key).verifies(&text, &signature.minisign)
        })
    }

    /// Signs `statement` about something built from `reference`.
    pub fn sign(
        &self,
        statement: &Statement<'_>,
        reference: Option<&Ref>,
    ) -> Result<Signature, KeyError> {
        let text = statement.text(reference);
        // The statement says all; a comment with the time would only make each signature another.
        let comments = (Some("larder"), Some("signed by larder"));
        let signed = minisign::sign(None, &self.0, Cursor::new(text), comments.0, comments.1);
        let signed = signed.map_err(|error| KeyError::Sign(error.to_string()))?;
        Ok(Signature { reference: reference.cloned(), minisign: signed.into_string() })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}
