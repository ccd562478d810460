//! The keys that say what a shared library is called and what it offers.

use toml::de::DeValue;

use super::Template;
use crate::{diagnostic::Located, table::Fields};

/// A shared library, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// The version in its file's name, `libNAME.so.VERSION`, by which programs look for it.
    pub version: Option<String>,
    /// The symbols that it offers; all, when absent.
    pub exports: Option<Exports>,
}

/// The symbols that a shared library offers.
#[derive(Debug, Clone)]
pub enum Exports {
    /// As a version script says: a file of the package, or `{TARGET}`.
    Script(Located<Template>),
    /// These, and no others; `*` and `?` as in a version script.
    Symbols(Vec<Located<String>>),
}

/// The keys.
pub(super) const KEYS: [&str; 2] = ["soversion", "exports"];

impl Shared {
    pub(super) fn decode(fields: &mut Fields<'_, '_>) -> Self {
        Self { version: version(fields), exports: exports(fields) }
    }
}

fn version(fields: &mut Fields<'_, '_>) -> Option<String> {
    let version = fields.string("soversion")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if version.starts_with(|c: char| c.is_ascii_alphanumeric()) && version.chars().all(is_part) {
        return Some(version.value);
    }
    let message = format!("`{}` is no version of a shared library", *version);
    let help = "write what follows libNAME.so. in its name, such as \"1\"";
    fields.errors.push(version.span, message, Some(help.to_owned()));
    None
}

fn exports(fields: &mut Fields<'_, '_>) -> Option<Exports> {
    let value = fields.entries.get("exports")?;
    if matches!(value.get_ref(), DeValue::String(_)) {
        let text = fields.string("exports")?;
        let value = Template::parse(&text);
        return Some(Exports::Script(Located { value, span: text.span }));
    }
    let span = value.span();
    let symbols = fields.strings("exports")?;
    let is_name = |c: char| c.is_ascii_graphic() && !"{};\"'#/,\\".contains(c);
    for symbol in symbols.iter().filter(|name| name.is_empty() || !name.chars().all(is_name)) {
        let message = format!("`{}` cannot name a symbol", **symbol);
        let help = "write names of functions and variables, such as \"zlib_*\"";
        fields.errors.push(symbol.span.clone(), message, Some(help.to_owned()));
    }
    if symbols.is_empty() {
        let help = "name the symbols that it offers, or leave it out";
        fields.errors.push(span, "`exports` offers nothing", Some(help.to_owned()));
    }
    Some(Exports::Symbols(symbols))
}
