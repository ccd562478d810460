//! Names of packages and targets.

use std::{fmt, str::FromStr};

/// Whether `name` can name a package or a target: letters, digits, `_`, `-`, `+` and `.`, starting
/// with a letter, a digit or `_`. So a name is one component of a path, and never `.` or `..`.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c))
}

/// Which of a target's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    /// The static library.
    Static,
    /// The shared library.
    Shared,
    /// The executable.
    Exe,
    /// The object files.
    O,
}

impl Facet {
    /// As written after the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Shared => "shared",
            Self::Exe => "exe",
            Self::O => "o",
        }
    }
}

/// `[@PACKAGE/]TARGET[:FACET]`. `@PACKAGE` alone names all targets of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName {
    /// The package; that of the manifest where the name stands, when absent.
    pub package: Option<String>,
    /// The target; all of them, when absent.
    pub target: Option<String>,
    /// Which of its outputs; all of them, when absent.
    pub facet: Option<Facet>,
}

impl FromStr for TargetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a target: {why}; targets are written [@PACKAGE/]TARGET[:FACET]"
            )
        };
        let (rest, facet) = match text.split_once(':') {
            None => (text, None),
            Some((rest, "static")) => (rest, Some(Facet::Static)),
            Some((rest, "shared")) => (rest, Some(Facet::Shared)),
            Some((rest, "exe")) => (rest, Some(Facet::Exe)),
            Some((rest, "o")) => (rest, Some(Facet::O)),
            Some((_, facet)) => {
                return Err(wrong(&format!(
                    "`{facet}` is none of the facets static, shared, exe, o"
                )));
            }
        };
        let (package, target) = match rest.strip_prefix('@') {
            None => (None, Some(rest)),
            Some(rest) => match rest.split_once('/') {
                Some((package, target)) => (Some(package), Some(target)),
                None => (Some(rest), None),
            },
        };
        for name in package.iter().chain(&target) {
            if !is_name(name) {
                return Err(wrong(&format!("`{name}` is not a name")));
            }
        }
        Ok(Self { package: package.map(str::to_owned), target: target.map(str::to_owned), facet })
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.package, &self.target) {
            (Some(package), Some(target)) => write!(f, "@{package}/{target}")?,
            (Some(package), None) => write!(f, "@{package}")?,
            (None, target) => f.write_str(target.as_deref().unwrap_or_default())?,
        }
        self.facet.map_or(Ok(()), |facet| write!(f, ":{}", facet.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["lua", "lua:o", "@zlib/z:static", "@zlib", "a+b.c-d_e:shared", "@p/x:exe"] {
            assert_eq!(text.parse::<TargetName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for text in ["", "..", "a/b", "@", "@/x", "@p/", "x:dll", "a b", "@../x", "-x", "é"] {
            assert!(text.parse::<TargetName>().is_err(), "{text:?}");
        }
    }
}
