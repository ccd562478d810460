//! TOML that people write, read key by key, with every mistake found in one go.

use std::{
    num::NonZero,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    archive::{Algorithm, ArchiveHash},
    diagnostic::{Diagnostic, Located, SourceText, suggest},
    manifest::{Input, Template},
    name::{TargetName, is_name},
    parallel,
};

/// So many tables are too few for another thread.
const SHARE: usize = 128;

/// Parses `text`, which is that of `source`.
///
/// # Errors
/// Where it is no TOML.
pub(crate) fn parse<'t>(
    text: &'t str,
    source: &SourceText,
) -> Result<Spanned<DeTable<'t>>, Diagnostic> {
    DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Diagnostic::new(error.message().to_owned()).at(source, span)
    })
}

/// The mistakes found so far.
pub(crate) struct Errors<'s> {
    source: &'s SourceText,
    pub(crate) found: Vec<Diagnostic>,
}

impl<'s> Errors<'s> {
    pub(crate) fn new(source: &'s SourceText) -> Self {
        Self { source, found: Vec::new() }
    }

    /// The file that is read.
    pub(crate) fn source(&self) -> &'s SourceText {
        self.source
    }

    pub(crate) fn push(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let mut diagnostic = Diagnostic::new(message).at(self.source, span);
        diagnostic.help = help;
        self.found.push(diagnostic);
    }
}

impl Errors<'_> {
    /// For a value that may hold a secret: names the line without quoting it.
    pub(crate) fn push_secret(&mut self, span: Range<usize>, message: String) {
        let line = self.source.text.get(..span.start).unwrap_or("").matches('\n').count() + 1;
        let file = self.source.path.display();
        self.found.push(Diagnostic::new(format!("{file}:{line}: {message}")));
    }
}

/// A table whose keys are taken out one by one; what is left at the end is unknown.
pub(crate) struct Fields<'e, 's> {
    pub(crate) errors: &'e mut Errors<'s>,
    pub(crate) what: String,
    pub(crate) span: Range<usize>,
    pub(crate) entries: DeTable<'e>,
    known: Vec<&'static str>,
}

impl<'e, 's> Fields<'e, 's> {
    pub(crate) fn new(
        errors: &'e mut Errors<'s>,
        what: &str,
        span: Range<usize>,
        entries: DeTable<'e>,
    ) -> Self {
        Self { errors, what: what.to_owned(), span, entries, known: Vec::new() }
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'e>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    pub(crate) fn wrong(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.errors.push(value.span(), format!("expected {expected}, found {found}"), None);
    }

    pub(crate) fn expect_string(&mut self, value: Spanned<DeValue<'_>>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) if text.contains('\0') => {
                self.errors.push(value.span(), "a NUL byte cannot stand in a string here", None);
                None
            }
            DeValue::String(text) => Some(Located { value: text.to_string(), span: value.span() }),
            _ => {
                self.wrong(&value, "a string");
                None
            }
        }
    }

    pub(crate) fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let value = self.take(key)?;
        self.expect_string(value)
    }

    /// A string that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<Located<String>> {
        if !self.entries.contains_key(key) {
            let message = format!("{} has no `{key}`", self.what);
            self.errors.push(self.span.clone(), message, Some(format!("add {key} = \"…\"")));
        }
        self.string(key)
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong(&value, "true or false");
        }
        boolean
    }

    /// A whole number from 0 to `most`.
    pub(crate) fn number(&mut self, key: &'static str, most: u32) -> Option<u32> {
        let value = self.take(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(text) => u32::from_str_radix(text.as_str(), text.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            let message = format!("expected a whole number from 0 to {most}");
            self.errors.push(value.span(), message, None);
        }
        number
    }

    /// The hashes of an archive, each under the name of its function.
    pub(crate) fn hashes(&mut self) -> Vec<ArchiveHash> {
        let mut found = Vec::new();
        for algorithm in Algorithm::ALL {
            let Some(digits) = self.string(algorithm.name()) else { continue };
            let hash = ArchiveHash::new(algorithm, &digits);
            if hash.is_none() {
                let message = format!("`{}` is no hash by {}", *digits, algorithm.name());
                let help = "a hash is 64 hex digits".to_owned();
                self.errors.push(digits.span, message, Some(help));
            }
            found.extend(hash);
        }
        found
    }

    /// An array of strings.
    pub(crate) fn strings(&mut self, key: &'static str) -> Option<Vec<Located<String>>> {
        let value = self.take(key)?;
        self.expect_strings(value)
    }

    pub(crate) fn expect_strings(
        &mut self,
        value: Spanned<DeValue<'_>>,
    ) -> Option<Vec<Located<String>>> {
        if !matches!(value.get_ref(), DeValue::Array(_)) {
            self.wrong(&value, "an array of strings");
            return None;
        }
        let DeValue::Array(array) = value.into_inner() else { return None };
        Some(array.into_iter().filter_map(|value| self.expect_string(value)).collect())
    }

    /// An array of arrays of strings.
    pub(crate) fn string_lists(&mut self, key: &'static str) -> Vec<Located<Vec<String>>> {
        let mut found = Vec::new();
        for value in self.array(key, "an array of arrays of strings") {
            let span = value.span();
            match value.get_ref() {
                DeValue::Array(_) => {}
                _ => {
                    self.wrong(&value, "an array of strings");
                    continue;
                }
            }
            let DeValue::Array(array) = value.into_inner() else { continue };
            let strings = array.into_iter().filter_map(|value| self.expect_string(value));
            found.push(Located { value: strings.map(|text| text.value).collect(), span });
        }
        found
    }

    /// An array of paths, each a string or `{ path = "…", text = true }`.
    pub(crate) fn inputs(&mut self, key: &'static str) -> Vec<Input> {
        let mut found = Vec::new();
        for value in self.array(key, "an array of paths") {
            let span = value.span();
            let (path, text) = match value.get_ref() {
                DeValue::Table(_) => {
                    let DeValue::Table(table) = value.into_inner() else { continue };
                    let mut fields = Fields::new(self.errors, "an input", span, table);
                    let path = fields.required("path");
                    let text = fields.boolean("text").unwrap_or(false);
                    fields.finish();
                    (path, text)
                }
                DeValue::String(_) => (self.expect_string(value), false),
                _ => {
                    self.wrong(&value, "a path or { path = \"…\", text = true }");
                    (None, false)
                }
            };
            if let Some(path) = path {
                let path = Located { value: Template::parse(&path), span: path.span };
                found.push(Input { path, text });
            }
        }
        found
    }

    /// The entries of an array; none, with an error, where there is something else.
    pub(crate) fn array(&mut self, key: &'static str, expected: &str) -> Vec<Spanned<DeValue<'e>>> {
        match self.take(key) {
            None => Vec::new(),
            Some(value) if !matches!(value.get_ref(), DeValue::Array(_)) => {
                self.wrong(&value, expected);
                Vec::new()
            }
            Some(value) => match value.into_inner() {
                DeValue::Array(array) => array.into_iter().collect(),
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn plain_strings(&mut self, key: &'static str) -> Vec<String> {
        self.strings(key).into_iter().flatten().map(|text| text.value).collect()
    }

    pub(crate) fn templates(&mut self, key: &'static str) -> Vec<Located<Template>> {
        let strings = self.strings(key).into_iter().flatten();
        strings.map(|text| Located { value: Template::parse(&text), span: text.span }).collect()
    }

    pub(crate) fn parsed(&mut self, key: &'static str) -> Option<Vec<Located<TargetName>>> {
        let strings = self.strings(key)?;
        let parse = |text: Located<String>| match text.parse() {
            Ok(value) => Some(Located { value, span: text.span }),
            Err(error) => {
                self.errors.push(text.span, error, None);
                None
            }
        };
        Some(strings.into_iter().filter_map(parse).collect())
    }

    /// The required key `name`.
    pub(crate) fn name(&mut self) -> Option<Located<String>> {
        if !self.entries.contains_key("name") {
            let message = format!("{} has no name", self.what);
            self.errors.push(self.span.clone(), message, Some("add name = \"…\"".into()));
            return None;
        }
        let name = self.string("name")?;
        if is_name(&name) {
            return Some(name);
        }
        let message = format!("`{}` is not a name", *name);
        let help =
            "names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit";
        self.errors.push(name.span, message, Some(help.into()));
        None
    }

    pub(crate) fn table(&mut self, key: &'static str) -> Option<Fields<'_, 's>> {
        self.table_like(key, "")
    }

    /// A table, of which there is an `example` for whoever writes something else.
    pub(crate) fn table_like(
        &mut self,
        key: &'static str,
        example: &str,
    ) -> Option<Fields<'_, 's>> {
        let value = self.take(key)?;
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            let such_as = if example.is_empty() { "" } else { " such as " };
            self.wrong(&value, &format!("a table{such_as}{example}"));
            return None;
        }
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else { return None };
        // The entries borrow from the manifest's text, which outlives every table.
        Some(Fields::new(self.errors, &format!("[{key}]"), span, table))
    }

    /// All entries, each of which must be a table, by name.
    pub(crate) fn for_each_table<T>(
        &mut self,
        what: &str,
        mut decode: impl FnMut(Located<String>, Fields<'_, 's>) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for (name, value) in std::mem::take(&mut self.entries) {
            let name = Located { span: name.span(), value: name.into_inner().into_owned() };
            if !matches!(value.get_ref(), DeValue::Table(_)) {
                self.wrong(&value, "a table");
                continue;
            }
            let span = value.span();
            let DeValue::Table(table) = value.into_inner() else { continue };
            found.extend(decode(name, Fields::new(self.errors, what, span, table)));
        }
        found
    }

    /// The same as [`Self::for_each_table`], on all processors where there are many.
    pub(crate) fn for_each_of_many_tables<T: Send>(
        mut self,
        what: &str,
        decode: impl Fn(Located<String>, Fields<'_, 's>) -> Option<T> + Sync,
    ) -> Vec<T> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let share = self.entries.len().div_ceil(threads).max(SHARE);
        let mut entries = std::mem::take(&mut self.entries).into_iter();
        let shares = std::iter::from_fn(|| {
            let share: DeTable<'e> = entries.by_ref().take(share).collect();
            (!share.is_empty()).then(|| Mutex::new(share))
        });
        let shares: Vec<Mutex<DeTable<'e>>> = shares.collect();
        let (source, span) = (self.errors.source, &self.span);
        let decoded = parallel::map(&shares, threads, |share| {
            let entries =
                std::mem::take(&mut *share.lock().unwrap_or_else(PoisonError::into_inner));
            let mut errors = Errors::new(source);
            let mut fields = Fields::new(&mut errors, what, span.clone(), entries);
            let found = fields.for_each_table(what, &decode);
            (found, errors.found)
        });
        let mut all = Vec::new();
        for (found, errors) in decoded {
            all.extend(found);
            self.errors.found.extend(errors);
        }
        all
    }

    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        mut decode: impl FnMut(Fields<'_, 's>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        if !matches!(value.get_ref(), DeValue::Array(_)) {
            self.wrong(&value, &format!("[[{key}]] tables"));
            return Vec::new();
        }
        let DeValue::Array(array) = value.into_inner() else { return Vec::new() };
        let mut found = Vec::new();
        for value in array {
            if !matches!(value.get_ref(), DeValue::Table(_)) {
                self.wrong(&value, &format!("a [[{key}]] table"));
                continue;
            }
            let span = value.span();
            let DeValue::Table(table) = value.into_inner() else { continue };
            found.extend(decode(Fields::new(self.errors, key, span, table)));
        }
        found
    }

    pub(crate) fn finish(self) {
        for (key, _) in &self.entries {
            let name = key.get_ref();
            let message = format!("unknown key `{name}` in {}", self.what);
            let meant = meant(name).filter(|key| self.known.contains(key));
            let help = match meant.or_else(|| suggest(name, self.known.iter().copied())) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys are {}", self.known.join(", ")),
            };
            self.errors.push(key.span(), message, Some(help));
        }
    }
}

/// The key that does what other build systems have `key` for.
fn meant(key: &str) -> Option<&'static str> {
    Some(match key {
        "cxxflags" | "cxx-flags" => "cxx-args",
        "cflags" | "c-flags" | "cppflags" | "args" | "copts" | "flags" | "compile-args"
        | "compile-options" => "trace-args",
        "ldflags" | "link-flags" | "linkopts" | "link-options" => "link-args",
        "srcs" | "src" | "files" => "sources",
        "include-dirs" | "include-directories" | "includedirs" => "includes",
        "definitions" | "macros" => "defines",
        "deps" | "link-libraries" | "libs" => "libraries",
        "pkg-config" | "pkgconfig" => "system",
        "cmd" | "command" => "run",
        _ => return None,
    })
}
