//! Errors in files that people write, pointing at the place.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

/// A value from a manifest and where it stands there, as a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the manifest.
    pub span: Range<usize>,
}

impl<T> std::ops::Deref for Located<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A file that people write, kept to quote from.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

impl SourceText {
    /// The text of the file at `path`, which holds `bytes`.
    ///
    /// # Errors
    /// When they are not UTF-8.
    pub(crate) fn new(path: PathBuf, bytes: Vec<u8>) -> Result<Self, Diagnostic> {
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path, text: text.into() }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let message = format!("{} is not UTF-8 text (byte {at})", path.display());
                Err(Diagnostic::new(message).help("save it as UTF-8"))
            }
        }
    }
}

/// Something wrong in a manifest, or with what a manifest names.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The file and the range of bytes that are wrong, where they are known.
    pub place: Option<(SourceText, Range<usize>)>,
    /// The mistake or failure.
    pub message: String,
    /// The advice, where there is any.
    pub help: Option<String>,
    /// Whether something that was tried has failed, rather than that people wrote something wrong.
    pub failed: bool,
}

impl Diagnostic {
    /// A message without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), help: None, failed: false }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, as something that was tried and has failed.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    /// The same, pointing at a range of bytes of a file.
    #[must_use]
    pub fn at(mut self, source: &SourceText, span: Range<usize>) -> Self {
        self.place = Some((source.clone(), span));
        self
    }

    /// Line and column of the place, both counted from 1.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let (source, span) = self.place.as_ref()?;
        let before = source.text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }
}

/// `FILE:LINE:COLUMN: message`, the line quoted with the place marked, and what to do.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(((source, span), (line, column))) = self.place.as_ref().zip(self.line_column())
        else {
            write!(f, "{}", self.message)?;
            return self.help.iter().try_for_each(|help| write!(f, "\n  help: {help}"));
        };
        write!(f, "{}:{line}:{column}: {}", source.path.display(), self.message)?;
        let text = without_queries(source.text.lines().nth(line - 1).unwrap_or(""));
        let width = source.text.get(span.clone()).map_or(1, |marked| {
            marked.lines().next().map_or(1, |first| first.chars().count().max(1))
        });
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "\n {gutter} |\n {number} | {text}\n {gutter} | ")?;
        write!(f, "{}{}", " ".repeat(column - 1), "^".repeat(width))?;
        self.help.iter().try_for_each(|help| write!(f, "\n {gutter} = help: {help}"))
    }
}

impl std::error::Error for Diagnostic {}

/// A line in which nothing can be read of the queries of URLs, which may hold secrets. It stays as wide.
fn without_queries(line: &str) -> String {
    let mut query = false;
    let shown = line.char_indices().map(|(at, c)| {
        let is_end = c.is_whitespace() || matches!(c, '"' | '\'');
        query = !is_end && (query || (c == '?' && is_in_url(&line[..at])));
        if query && c != '?' { '…' } else { c }
    });
    shown.collect()
}

/// Whether a line that begins like this is in the middle of a URL.
fn is_in_url(before: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    word.take(1).any(|word| word.contains("://"))
}

/// Everything wrong with a workspace, found in one go. Never empty.
#[derive(Debug, Clone)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether nothing is wrong with what people wrote: something that was tried has failed.
    pub fn failed(&self) -> bool {
        self.0.iter().all(|diagnostic| diagnostic.failed)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, diagnostic) in self.0.iter().enumerate() {
            if count > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// The word of `known` that `word` was probably meant to be.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_not_shown() {
        for (line, shown) in [
            (
                "a = \"https://a.org/b?c=d\", e = \"f?g\"",
                "a = \"https://a.org/b?………\", e = \"f?g\"",
            ),
            ("url = 'http://x?ü' # ?", "url = 'http://x?…' # ?"),
            ("[[library]] # why?", "[[library]] # why?"),
        ] {
            assert_eq!(without_queries(line), shown);
        }
    }
}
