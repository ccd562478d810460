//! What is signed, as text.

use larder_store::{Ref, Revision, Scope};
use larder_trace::ContentHash;

use crate::ResultKey;

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
