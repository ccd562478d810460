//! The keys that say what is linked besides objects and libraries of packages.

use std::fmt;

use super::{Template, arguments};
use crate::{diagnostic::Located, table::Fields};

/// Arguments for the linker, and libraries of the system.
#[derive(Debug, Clone, Default)]
pub struct Linking {
    /// Arguments, traced. Those of a library reach whoever links it.
    pub link_args: Vec<Located<Template>>,
    /// Arguments for its own link only, traced.
    pub private_link_args: Vec<Located<Template>>,
    /// Arguments for its own link only, not traced.
    pub weak_link_args: Vec<Located<Template>>,
    /// Libraries of the system, as `pkg-config` knows them. Those of a library reach whoever links it.
    pub system: Vec<Located<Module>>,
}

/// A library of the system, such as `openssl >= 3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Module {
    /// Its name for `pkg-config`.
    pub name: String,
    /// The versions that will do: an operator and a version; all, when absent.
    pub version: Option<(&'static str, String)>,
}

/// The operators that `pkg-config` knows, longer ones first.
const OPERATORS: [&str; 6] = ["<=", ">=", "!=", "=", "<", ">"];

impl Linking {
    /// Takes the keys that may stand in `[defaults]` and in everything that inherits from it.
    pub(super) fn common(fields: &mut Fields<'_, '_>) -> Self {
        let mut arguments = |key| {
            let arguments = fields.templates(key);
            arguments::check_link(fields, &arguments);
            arguments
        };
        Self {
            link_args: arguments("link-args"),
            private_link_args: arguments("private-link-args"),
            weak_link_args: arguments("weak-link-args"),
            system: Vec::new(),
        }
    }

    /// Adds what a table says that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.link_args.extend(later.link_args);
        self.private_link_args.extend(later.private_link_args);
        self.weak_link_args.extend(later.weak_link_args);
        self.system.extend(later.system);
    }
}

/// The key `system`.
pub(super) fn modules(fields: &mut Fields<'_, '_>) -> Vec<Located<Module>> {
    let texts = fields.strings("system").unwrap_or_default();
    let module = |text: Located<String>| match Module::parse(&text) {
        Some(value) => Some(Located { value, span: text.span }),
        None => {
            let message = format!("`{}` names no library of the system", *text);
            let help = "write a module of pkg-config, such as \"zlib\", or one with a version: \"openssl >= 3\"";
            fields.errors.push(text.span, message, Some(help.to_owned()));
            None
        }
    };
    texts.into_iter().filter_map(module).collect()
}

impl Module {
    fn parse(text: &str) -> Option<Self> {
        let word = |text: &str| {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "_.+-~:".contains(c);
            let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            (begins && text.chars().all(is_word)).then(|| text.to_owned())
        };
        let Some(at) = text.find(['<', '>', '=', '!']) else {
            return Some(Self { name: word(text.trim())?, version: None });
        };
        let operator = OPERATORS.into_iter().find(|operator| text[at..].starts_with(operator))?;
        let (name, version) = (&text[..at], &text[at + operator.len()..]);
        Some(Self { name: word(name.trim())?, version: Some((operator, word(version.trim())?)) })
    }
}

/// As `pkg-config` takes it.
impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some((operator, version)) => write!(f, " {operator} {version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_a_name_and_perhaps_a_version() {
        for (text, expected) in [
            ("zlib", "zlib"),
            ("gtk+-3.0", "gtk+-3.0"),
            ("openssl>=3", "openssl >= 3"),
            (" a  !=  1.2~rc1 ", "a != 1.2~rc1"),
            ("a < 2", "a < 2"),
            ("a = 1", "a = 1"),
        ] {
            assert_eq!(Module::parse(text).unwrap().to_string(), expected);
        }
        for bad in [
            "",
            " ",
            ">= 3",
            "a >=",
            "a >= 1 2",
            "a b",
            "a => 1",
            "-lz",
            "--libs",
            "a >= 1, b",
            "a/b",
        ] {
            assert_eq!(Module::parse(bad), None, "{bad:?}");
        }
    }
}
