//! What tells one result of a job from another: the values of its matrix, and build arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    str::FromStr,
};

use larder_trace::{BuildTrace, ContentHash, MTime};

/// The values of a matrix, by name, such as `os` and `ubuntu-24.04`.
pub type Matrix = BTreeMap<String, String>;

/// Why a text is no `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePairError {
    /// There is no value.
    #[error("`{0}` has no value: write NAME=VALUE")]
    NoValue(String),
    /// The name cannot be one.
    #[error("`{0}` is not a name: use letters, digits, `_` and `-`, starting with a letter or `_`")]
    Name(String),
    /// The value has control characters.
    #[error("the value of `{0}` has control characters in it")]
    Value(String),
}

/// One value of a matrix, as `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// Its value: not empty, and without control characters.
    pub value: String,
}

impl FromStr for Pair {
    type Err = ParsePairError;

    fn from_str(text: &str) -> Result<Self, ParsePairError> {
        match text.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                check(name, value)?;
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(ParsePairError::NoValue(text.trim_end_matches('=').to_owned())),
        }
    }
}

/// A build argument of an image as an option: `NAME=VALUE`, or `NAME` for the environment's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildArgument {
    /// Its name.
    pub name: String,
    /// Its value, where that is given.
    pub value: Option<String>,
}

impl FromStr for BuildArgument {
    type Err = ParsePairError;

    fn from_str(text: &str) -> Result<Self, ParsePairError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        check(name, value.unwrap_or_default())?;
        Ok(Self { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

fn check(name: &str, value: &str) -> Result<(), ParsePairError> {
    match is_variable(name) {
        false => Err(ParsePairError::Name(name.to_owned())),
        true if value.contains(char::is_control) => Err(ParsePairError::Value(name.to_owned())),
        true => Ok(()),
    }
}

/// Whether `name` is letters, digits, `_` and `-`, and starts with a letter or `_`.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// The value of a build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentValue {
    /// It was written down, and is shown.
    Given(String),
    /// It is the environment's, where that has one, and is never shown.
    Taken(Option<OsString>),
}

/// The trace of build arguments. The same value counts the same, wherever it comes from.
pub(super) fn arguments_trace(arguments: &BTreeMap<String, ArgumentValue>) -> BuildTrace {
    let part = |(name, value): (&String, &ArgumentValue)| match value {
        ArgumentValue::Given(value) => BuildTrace::text(name.clone(), value.as_str()),
        ArgumentValue::Taken(Some(value)) => {
            let hash = ContentHash::of_bytes(value.as_encoded_bytes());
            BuildTrace::leaf(name.clone(), hash, MTime::NONE)
        }
        ArgumentValue::Taken(None) => BuildTrace::nil(name.clone()),
    };
    BuildTrace::nil("build-args").mix_all(arguments.iter().map(part))
}

/// The trace of a matrix's values.
pub(super) fn matrix_trace(matrix: &Matrix) -> BuildTrace {
    let parts = matrix.iter().map(|(name, value)| BuildTrace::text(name.clone(), value.as_str()));
    BuildTrace::nil("matrix").mix_all(parts)
}

/// Every choice of one value a name from `values`, with those that `given` already has.
pub(super) fn combinations<'v>(
    values: impl IntoIterator<Item = (&'v str, Vec<&'v str>)>,
    given: &Matrix,
) -> BTreeSet<Matrix> {
    let mut found = BTreeSet::from([given.clone()]);
    for (name, values) in values {
        let open = |matrix: Matrix| match matrix.contains_key(name) {
            true => vec![matrix],
            false => values
                .iter()
                .map(|value| {
                    let mut matrix = matrix.clone();
                    matrix.insert(name.to_owned(), (*value).to_owned());
                    matrix
                })
                .collect(),
        };
        found = found.into_iter().flat_map(open).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_a_name_and_a_value() {
        let pair: Pair = "os=ubuntu=24".parse().unwrap();
        assert_eq!((pair.name.as_str(), pair.value.as_str()), ("os", "ubuntu=24"));
        for bad in ["", "os", "os=", "=x", "a b=x", "1=x", "os=a\nb", "os=\u{1b}[0m"] {
            assert!(bad.parse::<Pair>().is_err(), "{bad:?}");
        }
        assert_eq!("A=".parse::<BuildArgument>().unwrap().value.as_deref(), Some(""));
        assert_eq!("A".parse::<BuildArgument>().unwrap().value, None);
        assert!("=".parse::<BuildArgument>().is_err());
    }

    #[test]
    fn combinations_leave_what_is_given() {
        let values = || [("a", vec!["1", "2"]), ("b", vec!["3", "4"])];
        assert_eq!(combinations(values(), &Matrix::new()).len(), 4);
        let given = Matrix::from([("a".to_owned(), "2".to_owned())]);
        let found = combinations(values(), &given);
        assert!(found.len() == 2 && found.iter().all(|matrix| matrix["a"] == "2"), "{found:?}");
    }
}
