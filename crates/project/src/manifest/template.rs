//! Text with `{placeholders}`.

use std::fmt;

/// A text with placeholders, such as `{out}` or `{@zlib/z:static}`.
///
/// A brace that does not enclose a name stands for itself, so `awk '{print $1}'` needs no escaping;
/// where it would enclose one, `{{` and `}}` stand for single braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The text as written: what is traced.
    pub text: String,
    /// Its parts in order.
    pub pieces: Vec<Piece>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself.
    Literal(String),
    /// Stands for what it names.
    Hole(String),
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Template {
    /// Takes a text apart. Every text is a template.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some((name, after)) = hole(rest) {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Hole(name.to_owned()));
                rest = after;
            } else {
                literal.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self { text: text.to_owned(), pieces }
    }

    /// The text, when it has no placeholder.
    pub fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholder, when there is nothing else.
    pub fn as_hole(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Hole(name)] => Some(name),
            _ => None,
        }
    }

    /// `PATH` of `{build}/PATH`: an output of whichever target declares it.
    pub fn as_built(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Hole(name), Piece::Literal(path)] if name == "build" => path.strip_prefix('/'),
            _ => None,
        }
    }

    /// The names of all placeholders.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }
}

/// The name between the brace that `text` starts with and the next, and what follows.
fn hole(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '@')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "@_.+:/-".contains(c));
    is_name.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => format!("[{text}]"),
            Piece::Hole(name) => format!("<{name}>"),
        };
        Template::parse(text).pieces.iter().map(piece).collect()
    }

    #[test]
    fn placeholders_and_literal_braces() {
        assert_eq!(shown("{out}"), "<out>");
        assert_eq!(shown("-o{out}.x"), "[-o]<out>[.x]");
        assert_eq!(shown("{@zlib/z:static}"), "<@zlib/z:static>");
        assert_eq!(shown("awk '{print $1}'"), "[awk '{print $1}']");
        assert_eq!(shown("${{HOME}} {}"), "[${HOME} {}]");
        assert_eq!(shown("{unclosed"), "[{unclosed]");
        assert_eq!(shown(""), "[]");
    }

    proptest! {
        #[test]
        fn doubled_braces_are_literal(text in "[a{} ]{0,12}") {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            let parsed = Template::parse(&escaped);
            prop_assert_eq!(parsed.as_literal(), Some(text.as_str()));
        }
    }
}
