//! Headers that are compiled once for all sources of a target.

use toml::de::DeValue;

use crate::{diagnostic::Located, glob::is_pattern, plan::Language, table::Fields};

/// The key `precompiled-header`: a header that all sources of a language include before everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precompiled {
    /// For C.
    pub c: Option<Located<String>>,
    /// For C++.
    pub cxx: Option<Located<String>>,
}

impl Precompiled {
    /// Returns the header for sources of `language`.
    pub fn of(&self, language: Language) -> Option<&Located<String>> {
        match language {
            Language::C => self.c.as_ref(),
            Language::Cxx => self.cxx.as_ref(),
            Language::Assembly | Language::Plain | Language::Asm => None,
        }
    }

    /// Takes the key: a header, or one for each language.
    pub(super) fn decode(fields: &mut Fields<'_, '_>) -> Self {
        const KEY: &str = "precompiled-header";
        let found = match fields.entries.get(KEY).map(|value| value.get_ref()) {
            Some(DeValue::Table(_)) => {
                let Some(mut both) = fields.table(KEY) else { return Self::default() };
                let found = Self { c: both.string("c"), cxx: both.string("cxx") };
                both.finish();
                found
            }
            _ => {
                let header = fields.string(KEY);
                Self { c: header.clone(), cxx: header }
            }
        };
        for header in [&found.c, &found.cxx].into_iter().flatten() {
            if header.is_empty() || is_pattern(header) || header.contains(['{', '}']) {
                let message = format!("`{}` is no header of the package", **header);
                let help = "write one file, precompiled-header = \"src/all.h\", or one for each language: { c = \"src/all.h\", cxx = \"src/all.hpp\" }";
                fields.errors.push(header.span.clone(), message, Some(help.to_owned()));
                break;
            }
        }
        found
    }

    /// Adds what a table says that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.c = later.c.or(self.c.take());
        self.cxx = later.cxx.or(self.cxx.take());
    }
}
