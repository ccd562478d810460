//! The keys that say what a shared library is called and what it offers.

use toml::de::DeValue;

use super::Template;
use crate::{diagnostic::Located, table::Fields};

/// A shared library, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// The version in its file's name, `libNAME.so.VERSION`, by which programs look for it.
    pub version: Option<String>,
    /// The version in the name of its installed file, to which the other name is a link then.
    pub file_version: Option<String>,
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
pub(super) const KEYS: [&str; 3] = ["soversion", "file-version", "exports"];

impl Shared {
    pub(super) fn decode(fields: &mut Fields<'_, '_>) -> Self {
        let has_soversion = fields.entries.contains_key("soversion");
        let version = version_of(fields, "soversion");
        let file_version = version_of(fields, "file-version");
        if let Some(alone) = file_version.as_ref().filter(|_| !has_soversion) {
            let help = "add soversion = \"…\", the version in the name that programs look for";
            let message = "`file-version` without `soversion`";
            fields.errors.push(alone.span.clone(), message, Some(help.to_owned()));
        }
        let [version, file_version] = [version, file_version].map(|it| Some(it?.value));
        Self { version, file_version, exports: exports(fields) }
    }
}

fn version_of(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Located<String>> {
    let version = fields.string(key)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if version.starts_with(|c: char| c.is_ascii_alphanumeric()) && version.chars().all(is_part) {
        return Some(version);
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
