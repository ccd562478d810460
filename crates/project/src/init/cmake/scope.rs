//! Variables of CMake, as far as they are known without running it.

use std::collections::HashMap;

use super::syntax::{Argument, Form};

/// A text, and whether all of it is known. What is not known stands in it as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Whether nothing in it is a guess.
    pub known: bool,
}

impl Word {
    /// A text that is known.
    pub fn known(text: impl Into<String>) -> Self {
        Self { text: text.into(), known: true }
    }

    /// The value of a variable that nobody knows.
    fn unknown(reference: &str) -> Self {
        Self { text: reference.to_owned(), known: false }
    }

    /// The entries of a list.
    pub fn entries(&self) -> impl Iterator<Item = Self> + '_ {
        let parts = split(&self.text);
        parts.into_iter().map(|text| Self { known: self.known || !text.contains("${"), text })
    }
}

/// The entries of a list that is written with `;`, those in generator expressions left together.
fn split(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let (mut depth, mut before) = (0_usize, ' ');
    for c in text.chars() {
        match c {
            '<' if before == '$' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match found.last_mut() {
            Some(last) if c != ';' || depth > 0 => last.push(c),
            _ => found.push(String::new()),
        }
        before = c;
    }
    found.retain(|text| !text.is_empty());
    found
}

/// References in each other beyond this stand for themselves.
const DEEPEST: usize = 50;

/// The variables that are there at one place.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// `None` is the value of one that something set, nobody knows to what.
    variables: HashMap<String, Option<Word>>,
    /// Beginnings of names that a package that was looked for may have set.
    prefixes: Vec<String>,
}

impl Scope {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: Word) {
        self.variables.insert(name.to_owned(), Some(value));
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Notes that nobody knows what a variable is.
    pub fn forget(&mut self, name: &str) {
        self.variables.insert(name.to_owned(), None);
    }

    /// Notes that nobody knows the variables that begin so, where they are not set.
    pub fn forget_all(&mut self, prefix: &str) {
        self.prefixes.push(prefix.to_owned());
    }

    /// Returns whether a variable is set; `None` where nobody knows.
    pub fn is_set(&self, name: &str) -> Option<bool> {
        match self.variables.get(name) {
            Some(value) => value.as_ref().map(|_| true),
            None if self.is_foreign(name) => None,
            None => Some(false),
        }
    }

    /// Returns a variable's value: empty where it is not set.
    pub fn get(&self, name: &str) -> Word {
        match self.variables.get(name) {
            Some(Some(value)) => value.clone(),
            None if !self.is_foreign(name) => Word::known(""),
            _ => Word::unknown(&format!("${{{name}}}")),
        }
    }

    fn is_foreign(&self, name: &str) -> bool {
        // What a regular expression matched is not looked for.
        let outside = ["ENV{", "CMAKE_MATCH_"];
        outside.iter().any(|it| name.starts_with(it))
            || self.prefixes.iter().any(|it| name.starts_with(it.as_str()))
    }

    /// The version of the project as its usual variables say, or nothing.
    pub fn version(&self) -> String {
        let known = |name: String| {
            let word = self.get(&name);
            (word.known && !word.text.is_empty()).then_some(word.text)
        };
        let project = self.get("PROJECT_NAME").text;
        let upper = project.to_ascii_uppercase();
        let versions = ["PROJECT", &project, &upper, "PACKAGE"].into_iter().filter_map(|prefix| {
            let part = |part: &str| known(format!("{prefix}_VERSION{part}"));
            part("").or_else(|| {
                let whole = format!("{}.{}", part("_MAJOR")?, part("_MINOR")?);
                Some(part("_PATCH").map_or(whole.clone(), |patch| format!("{whole}.{patch}")))
            })
        });
        let is_version = |text: &String| {
            text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains([' ', ';'])
        };
        versions.into_iter().find(is_version).unwrap_or_default()
    }

    /// Returns what arguments stand for.
    pub fn expand(&self, arguments: &[Argument]) -> Vec<Word> {
        let mut found = Vec::new();
        for argument in arguments {
            match argument.form {
                Form::Bracket => found.push(Word::known(argument.text.clone())),
                Form::Quoted => found.push(self.replaced(&argument.text)),
                Form::Bare => found.extend(self.replaced(&argument.text).entries()),
            }
        }
        found
    }

    /// Returns `text` with its variables replaced and its escapes taken away.
    pub fn replaced(&self, text: &str) -> Word {
        self.replaced_below(text, 0)
    }

    fn replaced_below(&self, text: &str, depth: usize) -> Word {
        let mut whole = Word::known("");
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(escaped) = rest.strip_prefix('\\') {
                let next = escaped.chars().next();
                match next {
                    Some('n') => whole.text.push('\n'),
                    Some('t') => whole.text.push('\t'),
                    Some('r') => whole.text.push('\r'),
                    other => whole.text.extend(other),
                }
                rest = &escaped[next.map_or(0, char::len_utf8)..];
                continue;
            }
            let reference = [("${", ""), ("$ENV{", "ENV{"), ("$CACHE{", "")];
            let found = reference.iter().filter(|_| depth < DEEPEST).find_map(|(start, of)| {
                let inner = rest.strip_prefix(start)?;
                Some((inner, of, closing(inner)?))
            });
            if let Some((inner, of, end)) = found {
                let name = self.replaced_below(&inner[..end], depth + 1);
                let value = match name.known {
                    true => self.get(&format!("{of}{}", name.text)),
                    false => Word::unknown(&format!("${{{}}}", name.text)),
                };
                whole.text += &value.text;
                whole.known &= value.known;
                rest = &inner[end + 1..];
            } else {
                whole.text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        whole
    }
}

/// Where the `}` is that closes a reference whose inside begins here.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_far_as_they_are_known() {
        let mut scope = Scope::default();
        scope.set("A", Word::known("x;y"));
        scope.set("N", Word::known("A"));
        scope.forget("U");
        scope.forget_all("ZLIB_");
        let bare = |text: &str| {
            let argument = Argument { text: text.to_owned(), form: Form::Bare };
            let words = scope.expand(&[argument]).into_iter();
            words.map(|it| (it.text, it.known)).collect::<Vec<_>>()
        };
        let known = |texts: &[&str]| {
            texts.iter().map(|text| ((*text).to_owned(), true)).collect::<Vec<_>>()
        };
        assert_eq!(bare("${A}"), known(&["x", "y"]));
        assert_eq!(bare("a${${N}}b\\;\\\"${NOT_SET}"), known(&["ax", "yb", "\""]));
        assert_eq!(bare("$<X:a;b>;c"), known(&["$<X:a;b>", "c"]));
        assert_eq!(bare("p/${U}"), [("p/${U}".to_owned(), false)]);
        assert_eq!(bare("${ZLIB_X}${"), [("${ZLIB_X}${".to_owned(), false)]);
        assert_eq!(bare("${A};${U}")[1..], [("y".to_owned(), true), ("${U}".to_owned(), false)]);
        assert_eq!(
            (scope.is_set("A"), scope.is_set("U"), scope.is_set("B")),
            (Some(true), None, Some(false))
        );
    }
}
