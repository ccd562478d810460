//! Names from outside, parsed by strict grammars: scopes, revisions, artifact names, output paths.

use std::{collections::BTreeSet, fmt, str::FromStr};

use larder_trace::{ContentHash, Outputs};
use serde::{Deserialize, Serialize};

/// Why a name is refused. Says which grammar it breaks, with the name quoted and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// See [`Scope`].
    #[error(
        "{0:?} is not a scope: parts of letters, digits, `.`, `_`, `+` and `-`, separated by `/`, \
         none starting with `.` or `-` or ending in `.json` or `.jsonl`"
    )]
    Scope(String),
    /// See [`Revision`].
    #[error(
        "{0:?} is not a revision: letters, digits, `.`, `_`, `+` and `-`, at most 128 of them, \
         starting with a letter or digit"
    )]
    Revision(String),
    /// See [`Ref`].
    #[error(
        "{0:?} is not a ref: use printable ASCII without spaces, at most 255, not starting with `-`"
    )]
    Ref(String),
    /// See [`ArtifactName`].
    #[error(
        "{0:?} is not an artifact name: 64 lowercase hex digits, then at most one extension of \
         letters, digits, `_` and `-` with single dots between"
    )]
    Artifact(String),
    /// See [`check_path`].
    #[error("output path {path:?} {reason}")]
    Path {
        /// The refused path.
        path: String,
        /// Which rule it breaks, as the end of a sentence.
        reason: &'static str,
    },
}

/// Under which name a service and a store file mappings: `zlib`, or `owner/repo/tc/gcc-14`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

const MAX_SCOPE: usize = 512;
const MAX_NAME: usize = 128;

impl Scope {
    /// The scope as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope of a repository `owner/name`, split by toolchain and platform where the artifacts
    /// depend on them: `owner/name/tc/TOOLCHAIN/pt/PLATFORM`. `/` and `:` in the latter two become
    /// `--` and `---`, as elan spells toolchain directories.
    pub fn of_repo(
        repo: &str,
        toolchain: Option<&str>,
        platform: Option<&str>,
    ) -> Result<Self, NameError> {
        let mut scope = repo.strip_suffix(".git").unwrap_or(repo).to_owned();
        for (kind, value) in [("tc", toolchain), ("pt", platform)] {
            if let Some(value) = value {
                let flat = value.replace('/', "--").replace(':', "---");
                scope.push_str(&format!("/{kind}/{flat}"));
            }
        }
        scope.parse()
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = |part: &str| {
            is_plain_name(part)
                && !part.starts_with(['.', '-'])
                && ![".json", ".jsonl"].iter().any(|suffix| part.ends_with(suffix))
        };
        if text.len() <= MAX_SCOPE && text.split('/').all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Scope(text.to_owned()))
        }
    }
}

/// Which state of a project a mappings file describes: usually a Git commit, in full.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// The revision as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Revision {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_plain_name(text) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Revision(text.to_owned()))
        }
    }
}

fn is_plain_name(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'+' | b'-');
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(plain) && !text.contains("..")
}

/// The name of an artifact in a staging directory: `<hash>` or `<hash>.<ext>`, where `ext` is
/// letters, digits, `_` and `-`, with single dots between (`o`, `olean.server`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName {
    /// The hash of the content.
    pub hash: ContentHash,
    extension: Option<String>,
}

impl ArtifactName {
    /// The name of the artifact `hash` that a build left at `path`. The file name's extension,
    /// from its first dot on, is kept when it fits the grammar.
    pub fn of_output(hash: ContentHash, path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or(path);
        let extension = file
            .split_once('.')
            .map(|(_, extension)| extension)
            .filter(|extension| is_extension(extension))
            .map(str::to_owned);
        Self { hash, extension }
    }

    /// The extension, without the dot before it.
    pub fn extension(&self) -> Option<&str> {
        self.extension.as_deref()
    }
}

fn is_extension(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    text.len() <= MAX_NAME && text.split('.').all(|part| !part.is_empty() && part.bytes().all(fits))
}

impl FromStr for ArtifactName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::Artifact(text.to_owned());
        let (hash, extension) = match text.split_once('.') {
            Some((hash, extension)) if is_extension(extension) => (hash, Some(extension)),
            Some(_) => return Err(refused()),
            None => (text, None),
        };
        let hash = hash.parse().map_err(|_| refused())?;
        Ok(Self { hash, extension: extension.map(str::to_owned) })
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.extension {
            Some(extension) => write!(f, "{}.{extension}", self.hash),
            None => self.hash.fmt(f),
        }
    }
}

/// The name of what was built, such as a branch: `main`, `release/1.2`. Printable ASCII without spaces,
/// at most 255, not starting with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ref(String);

impl Ref {
    /// The ref as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ref {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = !text.is_empty()
            && text.len() <= 255
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned())).ok_or_else(|| NameError::Ref(text.to_owned()))
    }
}

macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )*};
}
text_conversions!(Scope, Revision, Ref);

/// Checks that `path` names something below a build directory, the same on every machine:
/// relative, `/`-separated, no empty, `.` or `..` part, no control character or backslash, at most
/// 255 bytes a part and 4,000 in all.
pub fn check_path(path: &str) -> Result<(), NameError> {
    let reason = if path.is_empty() {
        "is empty"
    } else if path.len() > 4000 {
        "is longer than 4000 bytes"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.contains('\0') {
        "contains a NUL"
    } else if path.chars().any(char::is_control) {
        "contains a control character"
    } else if path.contains('\\') {
        "contains a backslash"
    } else if path.split('/').any(|part| part == "..") {
        "leaves the build directory with `..`"
    } else if path.split('/').any(|part| matches!(part, "" | ".")) {
        "has an empty or `.` part"
    } else if path.split('/').any(|part| part.len() > 255) {
        "has a part longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(NameError::Path { path: path.to_owned(), reason })
}

/// Checks every path of `outputs`, and that no file stands twice or where a directory must be.
pub fn check_outputs(outputs: &Outputs) -> Result<(), NameError> {
    let refused = |path: &str, reason| Err(NameError::Path { path: path.to_owned(), reason });
    let mut files = BTreeSet::new();
    for file in &outputs.outputs {
        check_path(&file.path)?;
        if !files.insert(file.path.as_str()) {
            return refused(&file.path, "is listed twice");
        }
    }
    for directory in &outputs.directories {
        check_path(directory)?;
        if files.contains(directory.as_str()) {
            return refused(directory, "is both a file and a directory");
        }
    }
    if files.len() > 1 || !outputs.directories.is_empty() {
        let paths = files.iter().copied().chain(outputs.directories.iter().map(String::as_str));
        for path in paths {
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(file) = parents.find(|parent| files.contains(parent)) {
                return refused(file, "is both a file and a directory");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn artifact_names_follow_the_grammar() {
        for good in ["", ".o", ".olean.server", ".so-1_2", ".tar.gz"] {
            let name = format!("{HASH}{good}");
            assert_eq!(name.parse::<ArtifactName>().unwrap().to_string(), name);
        }
        for bad in [".", "..", ".a..b", ".a.", "/../x", ".a/b", ".a\0", ".é", " ", ".a b", "0"] {
            assert!(format!("{HASH}{bad}").parse::<ArtifactName>().is_err(), "{bad}");
        }
        assert!(HASH.to_uppercase().parse::<ArtifactName>().is_err());
        assert!("/proc/self/environ".parse::<ArtifactName>().is_err());
    }

    #[test]
    fn outputs_lend_artifacts_their_extension() {
        let hash = HASH.parse().unwrap();
        let name = |path| ArtifactName::of_output(hash, path).extension().map(str::to_owned);
        assert_eq!(name("lib/A.olean.server").as_deref(), Some("olean.server"));
        assert_eq!(name("a.b/tool"), None);
        assert_eq!(name("odd..name"), None);
        assert_eq!(name("odd.näme"), None);
    }

    #[test]
    fn scopes_revisions_and_refs_follow_their_grammar() {
        for good in ["zlib", "owner/repo", "a/b+c/v1.2_3-x"] {
            assert_eq!(good.parse::<Scope>().unwrap().as_str(), good);
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", ".a", "-a", "a b", "a/x.json", "a\0"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
        for bad in ["", "a/b", "..", "-x", ".x", "a..b", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<Revision>().is_err(), "{bad:?}");
        }
        for good in ["main", "release/1.2", "v1^{}", &"x".repeat(255)] {
            assert_eq!(good.parse::<Ref>().unwrap().as_str(), good);
        }
        for bad in ["", "-x", "a b", "a\nb", "ä", &"x".repeat(256)] {
            assert!(bad.parse::<Ref>().is_err(), "{bad:?}");
        }
        let scope = Scope::of_repo("o/r.git", Some("leanprover/lean4:v4.20.0"), Some("linux"));
        assert_eq!(scope.unwrap().as_str(), "o/r/tc/leanprover--lean4---v4.20.0/pt/linux");
    }

    #[test]
    fn paths_stay_in_the_build_directory() {
        for good in ["a", "a/b.o", "a/..b", "ünï", "a b"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a//b", "a/", "./a", "a/..", "../a", "a\0b", "a\nb", "a\\b"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn accepted_names_never_leave_a_directory(text in ".*") {
            let inside = |name: &str| !name.contains('\0') && !name.split('/').any(|p| p == ".." || p.is_empty());
            if let Ok(scope) = text.parse::<Scope>() { prop_assert!(inside(scope.as_str())); }
            if let Ok(rev) = text.parse::<Revision>() { prop_assert!(inside(rev.as_str())); }
            if check_path(&text).is_ok() { prop_assert!(inside(&text)); }
        }
    }
}
