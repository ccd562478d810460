//! Which macros must be defined for a line of a text to count.
//!
//! Conditions are not worked out. But a branch that is there for another system, such as `#ifdef _WIN32`, counts only
//! where something may define that macro. Whatever is not understood needs nothing.

use std::{ops::Range, rc::Rc};

use crate::search::{
    comments::is_inside,
    requests::{begins_word, is_word, trimmed, word},
};

/// Of each list, one macro at least must be defined.
pub type Needs<'t> = Vec<Vec<&'t str>>;

/// The branches of a text.
pub struct Branches<'t> {
    /// Where each begins, with what it needs; none for the text before the first.
    starts: Vec<(usize, Rc<Needs<'t>>)>,
}

/// A group of branches that is open: what the branch needs, and what an `#else` of it would need.
#[derive(Default)]
struct Open<'t> {
    needs: Needs<'t>,
    otherwise: Needs<'t>,
}

impl<'t> Branches<'t> {
    /// The branches of `text`, whose comments and raw strings are `hidden`. In a text whose branches do not end as they
    /// should, nothing needs anything.
    pub fn of(text: &'t [u8], hidden: &[Range<usize>]) -> Self {
        let mut open: Vec<Open<'t>> = Vec::new();
        let mut starts = Vec::new();
        for at in memchr::memchr_iter(b'#', text).filter(|at| begins_line(text, hidden, *at)) {
            let (directive, rest) = word(trimmed(&text[at + 1..]));
            let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
            let end = text.len() - rest.len() + line.len();
            let condition = match directive {
                b"if" | b"elif" => Condition::parse(line),
                b"ifdef" | b"elifdef" => Condition::defined(line),
                b"ifndef" | b"elifndef" => Condition::defined(line).not(),
                _ => Condition::default(),
            };
            let is_known = match directive {
                b"if" | b"ifdef" | b"ifndef" => {
                    let Condition { holds, fails } = condition;
                    open.push(Open { needs: holds, otherwise: fails });
                    true
                }
                b"elif" | b"elifdef" | b"elifndef" | b"else" => {
                    open.last_mut().is_some_and(|last| {
                        // The condition itself is worked out wherever the group is.
                        last.needs = [&last.otherwise[..], &condition.holds].concat();
                        last.otherwise.extend(condition.fails);
                        true
                    })
                }
                b"endif" => open.pop().is_some(),
                _ => continue,
            };
            if !is_known {
                return Self { starts: Vec::new() };
            }
            // The line itself counts wherever the group does.
            let group = if directive == b"endif" { open.len() } else { open.len() - 1 };
            starts.push((at, needs_of(&open[..group])));
            starts.push((end, needs_of(&open)));
        }
        Self { starts: if open.is_empty() { starts } else { Vec::new() } }
    }

    /// What the line at a position needs.
    pub fn needs(&self, at: usize) -> Rc<Needs<'t>> {
        let before = self.starts.partition_point(|(start, _)| *start <= at);
        before.checked_sub(1).map_or_else(Rc::default, |last| self.starts[last].1.clone())
    }
}

fn needs_of<'t>(open: &[Open<'t>]) -> Rc<Needs<'t>> {
    Rc::new(open.iter().flat_map(|group| group.needs.iter().cloned()).collect())
}

/// Whether only blanks and comments are before a position on its line, and it is in none.
fn begins_line(text: &[u8], hidden: &[Range<usize>], at: usize) -> bool {
    if is_inside(hidden, at) {
        return false;
    }
    let mut before = at;
    while let Some(last) = before.checked_sub(1) {
        match text[last] {
            b'\n' => return true,
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => before = last,
            _ if is_inside(hidden, last) => {
                let comment = hidden.partition_point(|comment| comment.start <= last) - 1;
                before = hidden[comment].start;
            }
            _ => return false,
        }
    }
    true
}

/// What a condition needs to hold, and what it needs to fail.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Condition<'t> {
    holds: Needs<'t>,
    fails: Needs<'t>,
}

impl<'t> Condition<'t> {
    /// The condition of an `#if`. One that is not understood needs nothing.
    fn parse(line: &'t [u8]) -> Self {
        let code = memchr::memmem::find(line, b"//").map_or(line, |end| &line[..end]);
        let code = match memchr::memmem::find(code, b"/*") {
            Some(start) if blank(code[start..].strip_suffix(b"*/").unwrap_or(b"")) => {
                &code[..start]
            }
            Some(_) => return Self::default(),
            None => code,
        };
        match memchr::memchr3(b'"', b'\'', b'?', code) {
            None => Self::any(code),
            Some(_) => Self::default(),
        }
    }

    /// `#ifdef` of what a line begins with.
    fn defined(line: &'t [u8]) -> Self {
        Self { holds: named(word(trimmed(line)).0), fails: Needs::new() }
    }

    fn not(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }

    /// Several of which one must hold.
    fn any(code: &'t [u8]) -> Self {
        let parts = split(code, b"||").into_iter().map(Self::all).map(|it| (it.holds, it.fails));
        let (holds, fails): (Vec<_>, Vec<_>) = parts.unzip();
        Self { holds: one_of(holds), fails: fails.concat() }
    }

    /// Several that must all hold.
    fn all(code: &'t [u8]) -> Self {
        let parts = split(code, b"&&").into_iter().map(Self::one).map(|it| (it.holds, it.fails));
        let (holds, fails): (Vec<_>, Vec<_>) = parts.unzip();
        Self { holds: holds.concat(), fails: one_of(fails) }
    }

    fn one(code: &'t [u8]) -> Self {
        let code = code.trim_ascii();
        if let Some(rest) = code.strip_prefix(b"!").filter(|rest| !rest.starts_with(b"=")) {
            // What it applies to is all there is, or nothing is known.
            let rest = rest.trim_ascii();
            let is_whole = enclosed(rest).is_some()
                || is_defined(rest).is_some()
                || rest.iter().all(|c| is_word(*c));
            return if is_whole { Self::one(rest).not() } else { Self::default() };
        }
        if let Some(inner) = enclosed(code) {
            return Self::any(inner);
        }
        if let Some(name) = is_defined(code) {
            return Self { holds: named(name), fails: Needs::new() };
        }
        let (name, rest) = word(code);
        match compared(rest.trim_ascii()) {
            true => Self { holds: named(name), fails: Needs::new() },
            false => Self::default(),
        }
    }
}

/// One of several needs: where there is one, that; else one of the first lists of each, where each has one.
fn one_of<'t>(parts: Vec<Needs<'t>>) -> Needs<'t> {
    match <[Needs<'t>; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => {
            let firsts: Option<Vec<_>> = parts.iter().map(|part| part.first().cloned()).collect();
            firsts.map(|firsts| vec![firsts.concat()]).unwrap_or_default()
        }
    }
}

/// The name of a macro, as what needs it. What compilers answer without a definition is none, nor is a literal.
fn named(name: &[u8]) -> Needs<'_> {
    const ANSWERED: [&str; 8] = [
        "true",
        "__has",
        "__is_",
        "__building",
        "__FILE",
        "__LINE",
        "__COUNTER__",
        "__INCLUDE_LEVEL__",
    ];
    let name =
        str::from_utf8(name).ok().filter(|name| name.bytes().next().is_some_and(begins_word));
    let name = name.filter(|name| !ANSWERED.iter().any(|start| name.starts_with(start)));
    name.map(|name| vec![vec![name]]).unwrap_or_default()
}

/// Whether a macro that is followed by `rest` must be defined for that to be true: undefined ones count as 0.
fn compared(rest: &[u8]) -> bool {
    let operators = [&b">="[..], b"==", b"!=", b">"];
    let Some(operator) = operators.into_iter().find(|it| rest.starts_with(it)) else {
        return rest.is_empty();
    };
    let number = rest[operator.len()..].trim_ascii();
    let digits = number.iter().take_while(|c| c.is_ascii_digit()).count();
    let is_number =
        digits > 0 && number[digits..].iter().all(|c| matches!(c, b'u' | b'U' | b'l' | b'L'));
    let is_zero = number[..digits].iter().all(|c| *c == b'0');
    is_number && (is_zero == matches!(operator, b">" | b"!=") || operator == b">")
}

/// What is in the parentheses around all of `code`.
fn enclosed(code: &[u8]) -> Option<&[u8]> {
    let inner = code.strip_prefix(b"(")?.strip_suffix(b")")?;
    let mut depth = 0_usize;
    for c in inner {
        match c {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    (depth == 0).then_some(inner)
}

/// The name in `defined NAME` and `defined(NAME)`, where that is all.
fn is_defined(code: &[u8]) -> Option<&[u8]> {
    let rest = code.strip_prefix(b"defined")?;
    let spaced = rest.first().is_some_and(|c| !is_word(*c));
    let rest = rest.trim_ascii();
    let name = enclosed(rest).unwrap_or(rest).trim_ascii();
    (spaced && !name.is_empty() && name.iter().all(|c| is_word(*c))).then_some(name)
}

/// The parts of `code` between operators that are in no parentheses.
fn split<'t>(code: &'t [u8], operator: &[u8; 2]) -> Vec<&'t [u8]> {
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0_usize, 0, 0);
    while at < code.len() {
        match code[at] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && code[at..].starts_with(operator) => {
                parts.push(&code[start..at]);
                at += 1;
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&code[start.min(code.len())..]);
    parts
}

fn blank(comment: &[u8]) -> bool {
    // The comment is all that is left of the line.
    !comment.is_empty() && memchr::memmem::find(comment, b"*/").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> (String, String) {
        let Condition { holds, fails } = Condition::parse(text.as_bytes());
        let shown = |needs: Needs<'_>| {
            needs.iter().map(|any| any.join("|")).collect::<Vec<_>>().join(" & ")
        };
        (shown(holds), shown(fails))
    }

    #[test]
    fn conditions_need_macros() {
        for (text, holds, fails) in [
            (" defined(A) && defined B", "A & B", ""),
            (" defined(A) || (defined B && C)", "A|B", ""),
            (" !defined(A)", "", "A"),
            (" !defined(A) || !B", "", "A & B"),
            (" !(defined(A) && X)", "", "A & X"),
            (" A >= 1 && B > 0 && C == 2L && D != 0", "A & B & C & D", ""),
            (" A >= 0 && B == 0 && C < 1 && D != 1", "", ""),
            (" A && __has_include(<x.h>) && true", "A", ""),
            (" A(1) + B", "", ""),
            (" A ? B : C", "", ""),
            (" A /* why */", "A", ""),
            (" A /* why */ || B", "", ""),
            (" A /* why", "", ""),
            (" A // why || B", "A", ""),
            (" A == B", "", ""),
            (" 1", "", ""),
            (" !A == 0", "", ""),
        ] {
            assert_eq!(condition(text), (holds.to_owned(), fails.to_owned()), "{text}");
        }
    }

    #[test]
    fn lines_need_what_their_branches_need() {
        let text = "0\n#ifdef A\n1\n# if !defined(B)\n2\n# elif C\n3\n# else\n4\n# endif\n5\n#else\n6\n#endif\n7\n";
        let found = Branches::of(text.as_bytes(), &[]);
        let needs = |at: &str| {
            let needs = found.needs(text.find(at).unwrap());
            needs.iter().map(|any| any.join("|")).collect::<Vec<_>>().join(" & ")
        };
        let lines = ["0", "1", "2", "3", "4", "5", "6", "7"].map(needs);
        assert_eq!(lines, ["", "A", "A", "A & B & C", "A & B", "A", "", ""]);
        assert_eq!(needs("# elif"), "A");
        let broken = Branches::of(b"#ifdef A\n1\n", &[]);
        assert!(broken.needs(9).is_empty());
    }
}
