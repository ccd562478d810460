//! Values of Meson, as far as they are known without running it.

use crate::init::Flags;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Boolean(bool),
    List(Vec<Value>),
    Dictionary(Vec<(String, Value)>),
    /// A file of the package, by its path in it.
    File(String),
    /// Directories of headers, and whether they are of others.
    Includes(Vec<String>, bool),
    /// A library or an executable.
    Target(String),
    Dependency(Box<Dependency>),
    /// A feature option: `enabled`, `disabled` or `auto`.
    Feature(String),
    /// The object `meson`.
    Meson,
    /// A machine.
    Machine,
    /// A compiler.
    Compiler,
    /// Nobody knows.
    Unknown,
}

/// What `dependency()` and `declare_dependency()` give.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// Whether it is there; `None` where nobody knows.
    pub found: Option<bool>,
    /// What it is called.
    pub name: String,
    /// Names for `pkg-config`.
    pub modules: Vec<String>,
    /// Libraries of the package.
    pub libraries: Vec<String>,
    /// Arguments for the linker.
    pub link_args: Vec<String>,
    /// How its users are compiled.
    pub flags: Flags,
    /// The framework for tests that it is.
    pub framework: Option<&'static str>,
}

impl Value {
    /// The value's text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::File(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is true; `None` where nobody knows.
    pub fn holds(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// All values in it, those of lists in lists, too.
    pub fn flat(&self) -> Vec<&Self> {
        match self {
            Self::List(entries) => entries.iter().flat_map(Self::flat).collect(),
            other => vec![other],
        }
    }

    /// All texts in it.
    pub fn texts(&self) -> Vec<String> {
        self.flat().into_iter().filter_map(Self::text).map(str::to_owned).collect()
    }

    /// Whether nobody knows part of it.
    pub fn is_unknown(&self) -> bool {
        self.flat().contains(&&Self::Unknown)
    }

    /// What an operator makes of two values.
    pub fn operated(&self, operator: &str, other: &Self) -> Self {
        match (self, operator, other) {
            (Self::List(one), "+", Self::List(other)) => {
                Self::List([one.clone(), other.clone()].concat())
            }
            (Self::List(one), "+", other) => {
                Self::List([one.clone(), vec![other.clone()]].concat())
            }
            (Self::Unknown, ..) | (_, _, Self::Unknown) => Self::Unknown,
            (Self::Text(one), "+", Self::Text(other)) => Self::Text(format!("{one}{other}")),
            (one, "/", Self::Text(other)) if one.text().is_some() => match other.starts_with('/') {
                true => Self::Text(other.clone()),
                false => Self::Text(format!("{}/{other}", one.text().unwrap_or_default())),
            },
            (Self::Dictionary(one), "+", Self::Dictionary(other)) => {
                let mut entries = one.clone();
                entries.retain(|(key, _)| !other.iter().any(|(known, _)| known == key));
                entries.extend(other.iter().cloned());
                Self::Dictionary(entries)
            }
            (Self::Number(one), "+", Self::Number(other)) => Self::Number(one.wrapping_add(*other)),
            (Self::Number(one), "-", Self::Number(other)) => Self::Number(one.wrapping_sub(*other)),
            (Self::Number(one), "<", Self::Number(other)) => Self::Boolean(one < other),
            (Self::Number(one), "<=", Self::Number(other)) => Self::Boolean(one <= other),
            (Self::Number(one), ">", Self::Number(other)) => Self::Boolean(one > other),
            (Self::Number(one), ">=", Self::Number(other)) => Self::Boolean(one >= other),
            (one, "==", other) => Self::Boolean(one == other),
            (one, "!=", other) => Self::Boolean(one != other),
            (one, "in" | "not in", Self::List(entries)) => match other.is_unknown() {
                true => Self::Unknown,
                false => Self::Boolean(entries.contains(one) == (operator == "in")),
            },
            (Self::Text(key), "in" | "not in", Self::Dictionary(entries)) => {
                let is_there = entries.iter().any(|(known, _)| known == key);
                Self::Boolean(is_there == (operator == "in"))
            }
            (Self::Text(part), "in" | "not in", Self::Text(whole)) => {
                Self::Boolean(whole.contains(part.as_str()) == (operator == "in"))
            }
            _ => Self::Unknown,
        }
    }

    /// What a method gives.
    pub fn method(&self, name: &str, arguments: &[Self]) -> Self {
        let first = arguments.first().and_then(Self::text);
        match (self, name, first) {
            (Self::Text(text), "strip", None) => Self::Text(text.trim().to_owned()),
            (Self::Text(text), "to_upper", _) => Self::Text(text.to_uppercase()),
            (Self::Text(text), "to_lower", _) => Self::Text(text.to_lowercase()),
            (Self::Text(text), "underscorify", _) => {
                let odd = |c: char| !c.is_ascii_alphanumeric();
                Self::Text(text.replace(odd, "_"))
            }
            (Self::Text(text), "startswith", Some(part)) => Self::Boolean(text.starts_with(part)),
            (Self::Text(text), "endswith", Some(part)) => Self::Boolean(text.ends_with(part)),
            (Self::Text(text), "contains", Some(part)) => Self::Boolean(text.contains(part)),
            (Self::Text(text), "split", _) => {
                let parts: Vec<&str> = match first {
                    Some(by) => text.split(by).collect(),
                    None => text.split_whitespace().collect(),
                };
                Self::List(parts.into_iter().map(|part| Self::Text(part.to_owned())).collect())
            }
            (Self::Text(by), "join", _) => {
                let texts: Vec<String> = arguments.iter().flat_map(Self::texts).collect();
                Self::Text(texts.join(by))
            }
            (Self::Text(text), "replace", Some(from)) => {
                match arguments.get(1).and_then(Self::text) {
                    Some(to) => Self::Text(text.replace(from, to)),
                    None => Self::Unknown,
                }
            }
            (Self::Text(text), "format", _) => {
                let mut whole = text.clone();
                for (at, argument) in arguments.iter().enumerate() {
                    let shown = match argument {
                        Self::Number(number) => number.to_string(),
                        other => match other.text() {
                            Some(text) => text.to_owned(),
                            None => return Self::Unknown,
                        },
                    };
                    whole = whole.replace(&format!("@{at}@"), &shown);
                }
                Self::Text(whole)
            }
            (Self::Number(number), "to_string", _) => Self::Text(number.to_string()),
            (Self::List(entries), "contains", _) => match (self.is_unknown(), arguments.first()) {
                (false, Some(wanted)) => Self::Boolean(entries.contains(wanted)),
                _ => Self::Unknown,
            },
            (Self::List(entries), "length", _) => {
                Self::Number(entries.len().try_into().unwrap_or(i64::MAX))
            }
            (Self::Dictionary(entries), "has_key", Some(key)) => {
                Self::Boolean(entries.iter().any(|(known, _)| known == key))
            }
            (Self::Dictionary(entries), "keys", _) => {
                Self::List(entries.iter().map(|(key, _)| Self::Text(key.clone())).collect())
            }
            (Self::Dictionary(_) | Self::List(_), "get", _) => match arguments {
                [at] => self.index(at),
                [at, otherwise] => match self.index(at) {
                    Self::Unknown => otherwise.clone(),
                    found => found,
                },
                _ => Self::Unknown,
            },
            (Self::Feature(value), "enabled", _) => Self::Boolean(value == "enabled"),
            (Self::Feature(value), "disabled", _) => Self::Boolean(value == "disabled"),
            (Self::Feature(value), "auto", _) => Self::Boolean(value == "auto"),
            (Self::Feature(value), "allowed", _) => Self::Boolean(value != "disabled"),
            (Self::Dependency(dependency), "found", _) => {
                dependency.found.map_or(Self::Unknown, Self::Boolean)
            }
            (Self::Dependency(_), "as_system" | "partial_dependency" | "as_link_whole", _) => {
                self.clone()
            }
            _ => Self::Unknown,
        }
    }

    /// The entry at a place or of a key.
    pub fn index(&self, at: &Self) -> Self {
        let found = match (self, at) {
            (Self::List(entries), Self::Number(at)) => {
                usize::try_from(*at).ok().and_then(|at| entries.get(at).cloned())
            }
            (Self::Dictionary(entries), Self::Text(key)) => {
                entries.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
            }
            _ => None,
        };
        found.unwrap_or(Self::Unknown)
    }
}
