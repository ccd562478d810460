//! Versions of packages, and what others require of them.

use std::{fmt, str::FromStr};

use semver::{Version, VersionReq};

/// A requirement such as `1.2`, `^1.2`, `~1.2.3`, `>=1, <2`, `=1.2.3` or `*`. A bare version means the same
/// with `^`: that one or a later one with the same first number that is not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    text: String,
    parsed: VersionReq,
}

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no version requirement: {reason}")]
pub struct ParseRequirementError {
    text: String,
    reason: String,
}

impl ParseRequirementError {
    /// The advice for whoever wrote it.
    pub const HELP: &str = "write \"1.2\", \"^1.2\", \"~1.2.3\", \">=1, <2\", \"=1.2.3\" or \"*\"";
}

impl FromStr for Requirement {
    type Err = ParseRequirementError;

    fn from_str(text: &str) -> Result<Self, ParseRequirementError> {
        match VersionReq::parse(text) {
            Ok(parsed) => Ok(Self { text: text.to_owned(), parsed }),
            Err(error) => {
                let reason = error.to_string();
                Err(ParseRequirementError { text: text.to_owned(), reason })
            }
        }
    }
}

/// As it was written.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The answer to whether a version is one that is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Satisfied,
    /// It is not.
    Missed,
    /// It is none that could be compared.
    Incomparable,
}

impl Requirement {
    /// Whether `version`, as a package's manifest has it, is one that is required. Numbers that it lacks are 0.
    pub fn admits(&self, version: &str) -> Answer {
        if self.parsed == VersionReq::STAR {
            return Answer::Satisfied;
        }
        let end = version.find(['-', '+']).unwrap_or(version.len());
        let (numbers, rest) = version.split_at(end);
        let missing = 2_usize.saturating_sub(numbers.matches('.').count());
        match Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))) {
            Err(_) => Answer::Incomparable,
            Ok(version) if self.parsed.matches(&version) => Answer::Satisfied,
            Ok(_) => Answer::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_satisfy_requirements() {
        use Answer::{Incomparable, Missed, Satisfied};
        for (requirement, version, answer) in [
            ("1.2", "1.2", Satisfied),
            ("1.2", "1.3.1", Satisfied),
            ("^1.2", "1.1.9", Missed),
            ("1.2", "2", Missed),
            ("~1.2.3", "1.2.9", Satisfied),
            ("~1.2.3", "1.3", Missed),
            (">=1, <2", "1.9.9", Satisfied),
            (">=1,<2", "2.0", Missed),
            ("=1.2.3", "1.2.3", Satisfied),
            ("=1.2.3", "1.2.4", Missed),
            ("1.*", "1.7", Satisfied),
            (">=20240101", "20240722", Satisfied),
            ("1.2", "1.2.0-rc1", Missed),
            ("=1.2.0-rc1", "1.2-rc1", Satisfied),
            ("1", "1.0.2k", Incomparable),
            ("1", "", Incomparable),
            ("1", "1.2.3.4", Incomparable),
            ("*", "1.0.2k", Satisfied),
            ("*", "", Satisfied),
        ] {
            let parsed: Requirement = requirement.parse().unwrap();
            assert_eq!(parsed.admits(version), answer, "{requirement} {version}");
        }
        for bad in ["", "1.2.x.y", ">= 1 < 2", "latest", "v1", "1.2.3.4", "=>1", "^"] {
            assert!(bad.parse::<Requirement>().is_err(), "{bad}");
        }
    }
}
