//! Names of objects, and which of them a key may write.

use std::{fmt, str::FromStr};

use larder_store::Scope as StoreScope;
use larder_store::published::paths::FILED_BY_SCOPE;
use serde::{Deserialize, Serialize};

/// How the name of a file that holds an object ends.
pub const ENDING: &str = ".object";

/// The longest name, in bytes, as S3 has it.
const LONGEST: usize = 1024;
/// The longest part of one: with [`ENDING`], what file systems can take.
const LONGEST_PART: usize = 240;

/// The name of an object: parts between `/`. None leads out of a directory, or is a name with which a tool
/// for files would go wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(String);

/// Why a name is refused, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or far too long.
    #[error("is empty, or longer than {LONGEST} bytes")]
    Length,
    /// A part is empty, `.`, `..` or too long.
    #[error("has a part that is empty, `.`, `..` or longer than {LONGEST_PART} bytes")]
    Part,
    /// It has characters that no name needs.
    #[error("has a control character, a backslash or a character that XML cannot carry")]
    Character,
    /// A directory is called like a file of the server.
    #[error("has a directory that ends in `{ENDING}`")]
    Reserved,
}

impl Name {
    /// Parses what a client asked for.
    ///
    /// # Errors
    /// Why nothing can be called that.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_bad = |c: char| c.is_control() || matches!(c, '\\' | '\u{fffe}' | '\u{ffff}');
        let is_bad_part = |part: &str| matches!(part, "" | "." | "..") || part.len() > LONGEST_PART;
        let (directories, _) = text.rsplit_once('/').unwrap_or_default();
        if text.is_empty() || text.len() > LONGEST {
            Err(NameError::Length)
        } else if text.split('/').any(is_bad_part) {
            Err(NameError::Part)
        } else if text.contains(is_bad) {
            Err(NameError::Character)
        } else if directories.split('/').any(|part| part.ends_with(ENDING)) {
            Err(NameError::Reserved)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key may write: everything, or what lies below a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything; written `*`.
    All,
    /// Objects below `PATH/`, and what larder files under `PATH`: `packs/PATH/…`, `recent/PATH.json` and the like.
    Below(String),
}

/// A text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a scope of a key: use `*`, or a path such as `zlib` or `team/zlib`, whose first part is \
     not one of packs, recent, revisions, snapshots and uploads"
)]
pub struct ScopeError(String);

impl Scope {
    /// Whether an object may be written.
    pub fn covers(&self, name: &Name) -> bool {
        let Self::Below(path) = self else { return true };
        let is_below =
            |name: &str| name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let name = name.as_str();
        // A service files by kind first, and then by scope.
        let mut parts: Vec<&str> = name.split('/').collect();
        let Some(at) = parts.iter().position(|part| FILED_BY_SCOPE.contains(part)) else {
            return is_below(name);
        };
        let kind = parts.remove(at);
        let filed = parts.join("/");
        is_below(name)
            || is_below(&filed)
            || kind == "recent" && filed.strip_suffix(".json") == Some(path)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text == "*" {
            return Ok(Self::All);
        }
        let wrong = || ScopeError(text.to_owned());
        let first = text.split('/').next().unwrap_or_default();
        let parsed = text.parse::<StoreScope>();
        if parsed.is_err() || FILED_BY_SCOPE.contains(&first) {
            return Err(wrong());
        }
        Ok(Self::Below(text.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(path) => f.write_str(path),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for good in ["a", "a/b.o", "a/..b", "a b", "ünï", "packs/zlib/x.pack", "x.object"] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        let long = "x".repeat(241);
        let deep = "x/".repeat(600);
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\0",
            "a\nb",
            "a\\b",
            "a\u{85}",
            "x.object/a",
            "\u{ffff}",
            &long,
            &deep,
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_covers_its_path_and_what_is_filed_under_it() {
        let covers = |scope: &str, name: &str| {
            scope.parse::<Scope>().unwrap().covers(&Name::parse(name).unwrap())
        };
        for name in [
            "zlib/a",
            "packs/zlib/x.pack",
            "packs/zlib/sub/x.pack",
            "revisions/zlib/main.jsonl",
            "snapshots/zlib/x.snap",
            "uploads/zlib/1.json",
            "recent/zlib.json",
            "recent/zlib/sub.json",
        ] {
            assert!(covers("zlib", name), "{name}");
            assert!(covers("*", name), "{name}");
        }
        for name in [
            "zlib",
            "zlib2/a",
            "packs/zlib2/x.pack",
            "packs/zlib",
            "recent/zlib2.json",
            "a/zlib/x",
            "a/packs/zlib/x.pack",
            "keys/zlib",
            "packs/other/packs/zlib/x.pack",
            "packs/zlib.json",
        ] {
            assert!(!covers("zlib", name), "{name}");
        }
        assert!(covers("team/zlib", "team/packs/zlib/x.pack"));
        assert!(covers("team", "team/packs/zlib/x.pack"));
        assert!(!covers("team/zlib", "team/packs/png/x.pack"));
        assert!(covers("keys", "keys/job-1"));
        for bad in ["", "/", "a/", "../a", "packs", "packs/zlib", "a b", "recent"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
