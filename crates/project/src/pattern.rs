//! Patterns of targets, as the command line has them: names with wildcards.

use std::{fmt, str::FromStr};

use fast_glob::glob_match;

use crate::{
    glob::is_pattern,
    name::{Facet, TargetName, is_name},
};

/// A pattern of targets: a name as [`TargetName`] has it, in which package and target may be globs, such
/// as `unit-*`, `@zlib/*` or `{a,b}:exe`. `@PACKAGE` alone stands for all of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern {
    /// As it was written.
    text: String,
    /// The packages; the root package, when absent.
    package: Option<String>,
    target: String,
    facet: Option<Facet>,
}

impl TargetPattern {
    /// Whether it matches a target of a package; `is_root` tells the root package from the others.
    pub fn matches(&self, package: (&str, bool), target: &str, facet: Option<Facet>) -> bool {
        let (package, is_root) = package;
        let package = match &self.package {
            None => is_root,
            Some(pattern) => glob_match(pattern, package),
        };
        package && glob_match(&self.target, target) && (self.facet.is_none() || self.facet == facet)
    }

    /// Returns the one name that it is, if it has no wildcards.
    pub fn as_name(&self) -> Option<TargetName> {
        self.text.parse().ok()
    }
}

impl FromStr for TargetPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(TargetName { package, target, facet }) = text.parse::<TargetName>() {
            let target = target.unwrap_or_else(|| "*".to_owned());
            return Ok(Self { text: text.to_owned(), package, target, facet });
        }
        // With something else for what is a wildcard, it has to be a name: so mistakes are said as of names.
        let plain: String = text.chars().map(|c| if is_wildcard(c) { '_' } else { c }).collect();
        let facet = plain.parse::<TargetName>()?.facet;
        let rest = text.rsplit_once(':').map_or(text, |(rest, _)| rest);
        let (package, target) = match rest.strip_prefix('@') {
            None => (None, rest),
            Some(rest) => {
                let (package, target) = rest.split_once('/').unwrap_or((rest, "*"));
                (Some(package), target)
            }
        };
        let is_whole = |part: &str| is_name(part) || is_pattern(part) && is_balanced(part);
        if !package.into_iter().chain([target]).all(is_whole) {
            return Err(format!("`{text}` is not a pattern of targets: a bracket is not closed"));
        }
        let (package, target) = (package.map(str::to_owned), target.to_owned());
        Ok(Self { text: text.to_owned(), package, target, facet })
    }
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '^' | ',')
}

fn is_balanced(pattern: &str) -> bool {
    let count = |c| pattern.matches(c).count();
    count('[') == count(']') && count('{') == count('}')
}

/// The pattern as it was written.
impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, package: (&str, bool), target: &str) -> bool {
        pattern.parse::<TargetPattern>().unwrap().matches(package, target, Some(Facet::Exe))
    }

    #[test]
    fn patterns_match_names() {
        let (root, other) = (("p", true), ("zlib", false));
        assert!(matches("unit-*", root, "unit-a") && !matches("unit-*", root, "x-unit-a"));
        assert!(!matches("unit-*", other, "unit-a"), "of the root package, without a package");
        assert!(matches("@zlib/*", other, "x") && matches("@zlib", other, "x"));
        assert!(matches("@*/x?", other, "x1") && matches("@*/x?", root, "x1"));
        assert!(matches("{a,b}:exe", root, "b") && !matches("{a,b}:o", root, "b"));
        assert!(matches("a.c", root, "a.c") && !matches("a.c", root, "abc"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "..", "a/b", "@", "a b", "[a", "{a", "x*:dll", "@p/../x*", "-*"] {
            assert!(text.parse::<TargetPattern>().is_err(), "{text:?}");
        }
    }
}
