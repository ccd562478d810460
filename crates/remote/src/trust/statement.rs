//! What is signed, as text.

use std::{fmt, str::FromStr};

use larder_store::{Revision, Scope};
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use crate::ResultKey;

/// The name of what was built, such as a branch: `main`, `release/1.2`. Printable ASCII without spaces,
/// at most 255, not starting with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ref(String);

/// Why a text is no ref.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a ref: use printable ASCII without spaces, at most 255, not starting with `-`"
)]
pub struct ParseRefError(String);

impl Ref {
    /// The ref as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ref {
    type Err = ParseRefError;

    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let good = !text.is_empty()
            && text.len() <= 255
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned())).ok_or_else(|| ParseRefError(text.to_owned()))
    }
}

impl TryFrom<String> for Ref {
    type Error = ParseRefError;

    fn try_from(text: String) -> Result<Self, ParseRefError> {
        text.parse()
    }
}

impl From<Ref> for String {
    fn from(reference: Ref) -> Self {
        reference.0
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that can be signed.
#[derive(Debug, Clone, Copy)]
pub enum Statement<'a> {
    /// A revision says this.
    Revision {
        /// Under which scope it is filed.
        scope: &'a Scope,
        /// Its name.
        revision: &'a Revision,
        /// The hash of its section, which names the snapshot that it leans on by its hash.
        section: ContentHash,
    },
    /// The result of a key is known.
    Result {
        /// The key.
        key: &'a ResultKey,
        /// Until when, in milliseconds since 1970; for ever, when absent.
        expires: Option<u64>,
    },
}

impl Statement<'_> {
    /// The text that is signed. None of the values has a line break, so no two statements share a
    /// text.
    pub fn text(&self, reference: Option<&Ref>) -> String {
        let reference = reference.map_or("-", Ref::as_str);
        match self {
            Self::Revision { scope, revision, section } => format!(
                "larder revision 1\nscope {scope}\nref {reference}\nrevision {revision}\nsection {section}\n"
            ),
            Self::Result { key, expires } => {
                let expires = expires.map_or("-".to_owned(), |until| until.to_string());
                format!("larder result 1\nkey {key}\nref {reference}\nexpires {expires}\n")
            }
        }
    }

    /// The scope that it is about, where it is about one.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Revision { scope, .. } => Some(scope),
            Self::Result { .. } => None,
        }
    }
}
