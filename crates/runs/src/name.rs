//! Names that come from outside and become file names: each follows a strict grammar, so none can
//! be a path, hide among temporary files (which start with a dot), or be taken for an option.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest name, in bytes; leaves room for suffixes within the 255 a file system allows.
const LONGEST: usize = 200;

/// A package as history names it: `<name>.<version>`.
///
/// The name is letters, digits, `_`, `+` and `-`; the version adds `.` and `~`. Both start with a
/// letter, a digit or `_`; dots stand alone and not at the end. So `ocaml-base-compiler.5.2.0~rc1` is one,
/// and `../x`, `a/b.1`, `.git`, `fmt` and `fmt..1` are not. At most 200 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

/// A package as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This version.
    Version(PackageName),
    /// Every version of this name.
    Name(String),
}

impl Named {
    /// Returns the package's name, without a version.
    pub fn name(&self) -> &str {
        match self {
            Named::Version(package) => package.name(),
            Named::Name(name) => name,
        }
    }

    /// Whether this names `package`.
    pub fn is(&self, package: &PackageName) -> bool {
        match self {
            Named::Version(wanted) => wanted == package,
            Named::Name(name) => name == package.name(),
        }
    }
}

impl FromStr for Named {
    type Err = Error;
    fn from_str(text: &str) -> Result<Named, Error> {
        match text.parse() {
            Ok(package) => Ok(Named::Version(package)),
            Err(error) => match format!("{text}.0").parse::<PackageName>() {
                Ok(package) if package.name() == text => Ok(Named::Name(text.to_owned())),
                _ => Err(error),
            },
        }
    }
}

/// As it was asked for.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Version(package) => package.fmt(f),
            Named::Name(name) => f.pad(name),
        }
    }
}

/// The hash that names a layer, a build or a documentation universe: letters, digits, `_` and `-`,
/// not starting with `-`, at most 200 bytes. What it hashes is the caller's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct HashName(String);

/// The id of a run: `YYYY-MM-DD-HHMMSS` in UTC, followed by `-2`, `-3`, … where runs share a second.
///
/// Ids compare in the order in which runs started: see [`run_order`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

macro_rules! name {
    ($type:ident, $what:literal, $check:ident) => {
        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $type {
            type Err = Error;
            fn from_str(name: &str) -> Result<Self, Error> {
                match $check(name) {
                    Ok(()) => Ok($type(name.to_owned())),
                    Err(reason) => Err(Error::Name { what: $what, name: name.to_owned(), reason }),
                }
            }
        }
        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(name: String) -> Result<Self, Error> {
                name.parse()
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(PackageName, "package name", check_package);
name!(HashName, "hash", check_hash);
name!(RunId, "run id", check_run);

impl PackageName {
    /// The name of a package that is not known, for entries that leave it to their directory.
    pub(crate) fn unknown() -> PackageName {
        PackageName("unknown.0".to_owned())
    }

    /// The part before the first dot.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(name, _)| name)
    }

    /// The part after the first dot.
    pub fn version(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, version)| version)
    }
}

impl PartialOrd for RunId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RunId {
    fn cmp(&self, other: &Self) -> Ordering {
        run_order(&self.0, &other.0)
    }
}

/// Compares run ids: as text, but with a suffix counted rather than spelled, so that `…-10` comes
/// after `…-9`. Total over any strings, because the ids in a history are data of other programs.
pub fn run_order(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a_second, a_count) = split_run(a);
    let (b_second, b_count) = split_run(b);
    a_second.cmp(b_second).then(a_count.cmp(&b_count)).then_with(|| a.cmp(b))
}

/// The length of `YYYY-MM-DD-HHMMSS`.
pub(crate) const SECOND: usize = 17;

fn split_run(id: &str) -> (&str, u64) {
    match (id.get(..SECOND), id.get(SECOND..).and_then(|rest| rest.strip_prefix('-'))) {
        (Some(second), Some(count)) => match count.parse() {
            Ok(count) => (second, count),
            Err(_) => (id, 1),
        },
        _ => (id, 1),
    }
}

/// Whether a name is a [`PackageName`].
pub(crate) fn is_package(name: &str) -> bool {
    check_package(name).is_ok()
}

/// Whether a text is a [`RunId`].
pub(crate) fn is_run(id: &str) -> bool {
    check_run(id).is_ok()
}

fn check_length(name: &str) -> Result<(), &'static str> {
    match name.len() {
        0 => Err("it is empty"),
        1..=LONGEST => Ok(()),
        _ => Err("it is longer than 200 bytes"),
    }
}

fn check_package(name: &str) -> Result<(), &'static str> {
    check_length(name)?;
    let Some((name, version)) = name.split_once('.') else {
        return Err("a package is <name>.<version>, such as zlib.1.3.1");
    };
    let first = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !first(name) {
        return Err("its name must start with a letter, a digit or `_`");
    }
    if !first(version) {
        return Err("its version must start with a letter, a digit or `_`");
    }
    if !name.chars().all(is_name) {
        return Err("its name may hold only letters, digits, `_`, `+` and `-`");
    }
    if !version.chars().all(|c| is_name(c) || c == '.' || c == '~') {
        return Err("its version may hold only letters, digits, `_`, `+`, `-`, `.` and `~`");
    }
    if version.contains("..") || version.ends_with('.') {
        return Err("dots in its version must stand alone and not at the end");
    }
    Ok(())
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-')
}

fn check_hash(name: &str) -> Result<(), &'static str> {
    check_length(name)?;
    if name.starts_with('-') {
        return Err("it starts with `-`");
    }
    match name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        true => Ok(()),
        false => Err("it may hold only letters, digits, `_` and `-`"),
    }
}

fn check_run(id: &str) -> Result<(), &'static str> {
    const REASON: &str = "a run id is YYYY-MM-DD-HHMMSS, with -2, -3, … where runs share a second";
    let shape = b"dddd-dd-dd-dddddd";
    let bytes = id.as_bytes();
    let dated = bytes.len() >= SECOND
        && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            _ => byte == shape,
        });
    let counted = match bytes.get(SECOND..) {
        Some([]) => true,
        Some([b'-', b'1'..=b'9', rest @ ..]) => {
            rest.len() < 9 && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if dated && counted { Ok(()) } else { Err(REASON) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_are_never_paths() {
        for good in
            ["zlib.1.3.1", "ocaml-base-compiler.5.2.0~rc1", "0install.2.18", "conf-g++.1.0", "a._x"]
        {
            assert!(good.parse::<PackageName>().is_ok(), "{good}");
        }
        let long = format!("a.{}", "1".repeat(LONGEST));
        for bad in [
            "",
            ".",
            "..",
            "../etc/passwd",
            "a/b.1",
            "a.1/../../x",
            "fmt",
            ".git",
            "a.",
            "a..1",
            "a.1.",
            "a.1..2",
            "-rf.1",
            "a.-1",
            "a.1\n",
            "a.1\0",
            "a b.1",
            "a.1 ",
            "ä.1",
            "a\\b.1",
            "C:.1",
            "a.~1",
            &long,
        ] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_rule() {
        let error = "../x.1".parse::<PackageName>().unwrap_err().to_string();
        insta::assert_snapshot!(error, @r#"package name "../x.1" is refused: its name must start with a letter, a digit or `_`"#);
        let error = "latest".parse::<RunId>().unwrap_err().to_string();
        insta::assert_snapshot!(error, @r#"run id "latest" is refused: a run id is YYYY-MM-DD-HHMMSS, with -2, -3, … where runs share a second"#);
    }

    #[test]
    fn run_ids_compare_by_count() {
        let order = [
            "2026-03-01-120000",
            "2026-03-01-120000-2",
            "2026-03-01-120000-10",
            "2026-03-01-120001",
        ];
        for pair in order.windows(2) {
            assert!(pair[0].parse::<RunId>().unwrap() < pair[1].parse::<RunId>().unwrap());
        }
        for bad in [
            "2026-03-01-120000-",
            "2026-03-01-120000-0",
            "2026-03-01-120000-x",
            "2026-03-01",
            "2026-03-01-120000/..",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert_eq!(run_order("a", "b"), Ordering::Less);
    }
}
