//! Where the comments and raw strings of a text are: what looks like a directive there is none.

use std::ops::Range;

/// Returns the comments and raw strings of `text`, C, C++ or assembly without line splices, in order. What may be none
/// is none: an apostrophe in a text that no compiler reads hides a comment at most to the end of its line.
pub fn comments(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = memchr::memchr3(b'/', b'"', b'\'', &text[at..]) {
        let start = at + next;
        at = match (text[start], text.get(start + 1)) {
            (b'/', Some(b'*')) => {
                let end = after(text, start + 2, b"*/");
                found.push(start..end);
                end
            }
            (b'/', Some(b'/')) => {
                let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n);
                found.push(start..end);
                end
            }
            (b'/', _) => start + 1,
            (b'"', _) => match raw_string(text, start) {
                Some(end) => {
                    found.push(start..end);
                    end
                }
                None => literal(text, start),
            },
            _ => literal(text, start),
        };
    }
    found
}

/// Whether a position is in one of some comments.
pub fn is_inside(comments: &[Range<usize>], at: usize) -> bool {
    let before = comments.partition_point(|comment| comment.start <= at);
    before > 0 && at < comments[before - 1].end
}

/// The end of a string or character that begins at `start`: its closing quote, or the end of the line.
fn literal(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(next) = memchr::memchr3(text[start], b'\\', b'\n', &text[at..]) {
        match text[at + next] {
            b'\\' => at = (at + next + 2).min(text.len()),
            _ => return at + next + 1,
        }
    }
    text.len()
}

/// The end of a raw string of C++ whose quote is at `start`; none where there is another string.
fn raw_string(text: &[u8], start: usize) -> Option<usize> {
    /// No delimiter is longer.
    const LONGEST: usize = 16;
    let before =
        text[..start].iter().rev().take_while(|c| c.is_ascii_alphanumeric() || **c == b'_');
    let prefix = &text[start - before.count()..start];
    [&b"R"[..], b"LR", b"uR", b"UR", b"u8R"].contains(&prefix).then_some(())?;
    let rest = &text[start + 1..];
    let open = rest.iter().take(LONGEST + 1).position(|c| *c == b'(')?;
    let close = [b")", &rest[..open], b"\""].concat();
    Some(after(text, start + 1 + open, &close))
}

/// The end of the next `words` from `at` on, or of the text.
fn after(text: &[u8], at: usize, words: &[u8]) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    memchr::memmem::find(rest, words).map_or(text.len(), |n| at + n + words.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<&str> {
        comments(text.as_bytes()).into_iter().map(|it| &text[it]).collect()
    }

    #[test]
    fn comments_are_told_from_text() {
        let text = "a /* b\n' */ \"/*\" '\"' // c /*\n1'000 /* no\n*/ R\"x(/* \" )\" )x\" /* d */ '\\'' /* e";
        assert_eq!(of(text), ["/* b\n' */", "// c /*", "\"x(/* \" )\" )x\"", "/* d */", "/* e"]);
        assert_eq!(of("FOUR\"(\" /* a */"), ["/* a */"]);
        let found = comments(b"a/* b */c");
        let inside: Vec<bool> = (0..9).map(|at| is_inside(&found, at)).collect();
        assert_eq!(inside, [false, true, true, true, true, true, true, true, false]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"(/\*|\*/|//|"|'|\\|R"x\(|\)x"|a|\n){0,20}"#) {
            of(&text);
        }
    }
}
