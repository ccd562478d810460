//! Colours in what commands print: which bytes are text, and which set colours.

use std::{borrow::Cow, ops::Range};

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'l> {
    Text(&'l str),
    /// A sequence that sets colours.
    Colour(&'l str),
    /// Any other sequence of the kind, such as the one that clears to the end of the line.
    Other,
}

/// Returns the pieces of a line, in order.
fn pieces(line: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, length) = match control_sequence(rest) {
            Some(length) if rest[..length].ends_with('m') => {
                (Piece::Colour(&rest[..length]), length)
            }
            Some(length) => (Piece::Other, length),
            None => {
                // A lone escape is text; the sanitiser of whoever shows it takes care of it.
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let next = rest[first..].find('\x1b').map_or(rest.len(), |at| first + at);
                (Piece::Text(&rest[..next]), next)
            }
        };
        rest = &rest[length..];
        Some(piece)
    })
}

/// Returns the length of the control sequence that `text` begins with.
fn control_sequence(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("\x1b[")?;
    let end = inside.bytes().position(|byte| !(b' '..=b'?').contains(&byte))?;
    (b'@'..=b'~').contains(&inside.as_bytes()[end]).then_some(2 + end + 1)
}

/// Returns a line with its colours and without other control sequences.
pub(super) fn only_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return line.into();
    }
    let kept = pieces(line).map(|piece| match piece {
        Piece::Text(text) | Piece::Colour(text) => text,
        Piece::Other => "",
    });
    kept.collect::<String>().into()
}

/// Returns a line without colours.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return line.into();
    }
    let kept = pieces(line).map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Colour(_) | Piece::Other => "",
    });
    kept.collect::<String>().into()
}

/// Returns `line` with other text at some places. These are ranges of its plain form, in order.
pub(super) fn replace(line: &str, changes: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    let mut changes = changes.iter().peekable();
    for piece in pieces(line) {
        let text = match piece {
            Piece::Text(text) => text,
            Piece::Colour(colour) => {
                out += colour;
                continue;
            }
            Piece::Other => continue,
        };
        let mut from = 0;
        while let Some((range, new)) = changes.peek() {
            if range.start >= at + text.len() {
                break;
            }
            if range.start >= at + from {
                out += &text[from..range.start - at];
                out += new;
            }
            from = (range.end - at).min(text.len());
            if range.end > at + text.len() {
                break;
            }
            changes.next();
        }
        out += &text[from..];
        at += text.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "In \x1b[01m\x1b[Ksrc/a.c:1:\x1b[m\x1b[K \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[Kno";

    #[test]
    fn colours_are_told_from_text() {
        assert_eq!(plain(LINE), "In src/a.c:1: warning: no");
        assert_eq!(only_colours(LINE), LINE.replace("\x1b[K", ""));
        assert_eq!(plain("a\x1bb\x1b[3"), "a\x1bb\x1b[3");
    }

    #[test]
    fn text_is_replaced_between_colours() {
        let colours = LINE.replace("\x1b[K", "");
        let changed = replace(LINE, &[(3..10, "@x/b.c".to_owned()), (23..25, "yes".to_owned())]);
        assert_eq!(changed, colours.replace("src/a.c", "@x/b.c").replace("no", "yes"));
        // A colour within what is replaced stays.
        assert_eq!(replace("a\x1b[1mb\x1b[0mc", &[(0..2, "x".to_owned())]), "x\x1b[1m\x1b[0mc");
    }
}
