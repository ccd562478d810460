//! Reading what a text asks of the preprocessor.

use std::borrow::Cow;

use memchr::memmem;

/// A name as it stands after `#include` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'t> {
    /// In quotes: it is looked for beside the text first.
    Quoted(&'t str),
    /// In angle brackets.
    Angled(&'t str),
    /// A macro stands for it.
    Macro(&'t str),
    /// Something else that only a compiler can work out.
    Computed,
}

/// A request of a text. What comments and conditions hide is asked for too, as these are not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'t> {
    /// `#include`, `#import` or `#embed` of it.
    Include(Name<'t>),
    /// `#include_next` of it.
    IncludeNext(Name<'t>),
    /// Whether it is there: `__has_include`, `__has_include_next`, `__has_embed`.
    Probe(Name<'t>),
    /// The macro stands for it. Macros that cannot stand for a name, and those with parameters, are
    /// left out.
    Define(&'t str, Name<'t>),
}

/// Returns the requests of `text`, a source or header of C, C++ or preprocessed assembly without
/// [line splices](without_splices), each with where it stands.
pub fn requests(text: &[u8]) -> impl Iterator<Item = (usize, Request<'_>)> {
    let probes = memmem::find_iter(text, b"__has_")
        .filter_map(|at| Some((at, Request::Probe(probe(&text[at + "__has_".len()..])?))));
    let directives =
        memchr::memchr_iter(b'#', text).filter_map(|at| Some((at, directive(&text[at + 1..])?)));
    probes.chain(directives)
}

/// Returns the names that conditions and definitions of `text` give to macros, which may ask whether these are there,
/// each with where its line begins.
pub fn arguments(text: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    memchr::memchr_iter(b'#', text).flat_map(|at| {
        let line = condition(&text[at + 1..]);
        let opened = memchr::memchr_iter(b'(', line).map(|open| trimmed(&line[open + 1..]));
        let names = opened.filter_map(|operand| match literal(operand)? {
            Name::Quoted(name) | Name::Angled(name) => Some(name),
            Name::Macro(_) | Name::Computed => None,
        });
        names.filter(|name| !name.contains([' ', '%', '('])).map(move |name| (at, name))
    })
}

/// Returns the macros that `text` defines, whatever they are.
pub fn defined(text: &[u8]) -> impl Iterator<Item = &str> {
    let directives = memchr::memchr_iter(b'#', text).map(|at| word(trimmed(&text[at + 1..])));
    let defines = directives.filter(|(directive, _)| *directive == b"define");
    let names = defines.filter_map(|(_, rest)| str::from_utf8(word(trimmed(rest)).0).ok());
    names.filter(|name| !name.is_empty())
}

/// The rest of the line after an `#if`, `#elif` or `#define`; nothing after others.
fn condition(text: &[u8]) -> &[u8] {
    let (directive, rest) = word(trimmed(text));
    match directive {
        b"if" | b"elif" | b"define" => &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())],
        _ => &[],
    }
}

/// The name that is asked for by what follows `__has_`.
fn probe(text: &[u8]) -> Option<Name<'_>> {
    let rest = [&b"include"[..], b"embed"].iter().find_map(|word| text.strip_prefix(*word))?;
    let (_, rest) = word(rest);
    Some(name(trimmed(trimmed(rest).strip_prefix(b"(")?)))
}

/// The directive that follows a `#`.
fn directive(text: &[u8]) -> Option<Request<'_>> {
    let (directive, rest) = word(trimmed(text));
    let operand = trimmed(rest);
    match directive {
        b"include" | b"import" | b"embed" => Some(Request::Include(name(operand))),
        b"include_next" => Some(Request::IncludeNext(name(operand))),
        b"define" => define(operand),
        _ => None,
    }
}

fn define(text: &[u8]) -> Option<Request<'_>> {
    let (defined, rest) = word(text);
    let value = trimmed(rest);
    let may_name = value.first().is_some_and(|c| matches!(c, b'"' | b'<') || begins_word(*c));
    let defined = str::from_utf8(defined).ok().filter(|_| may_name && !rest.starts_with(b"("))?;
    Some(Request::Define(defined, name(value)))
}

/// The name that `text` begins with.
fn name(text: &[u8]) -> Name<'_> {
    if let Some(name) = literal(text) {
        return name;
    }
    let (word, rest) = word(text);
    // With something in parentheses, or with more than one word, it is put together.
    let rest = trimmed(rest);
    let is_alone = matches!(rest.first(), None | Some(b'\n' | b'\r' | b')'))
        || rest.starts_with(b"//")
        || rest.starts_with(b"/*");
    match str::from_utf8(word) {
        Ok(word) if is_alone && word.bytes().next().is_some_and(begins_word) => Name::Macro(word),
        _ => Name::Computed,
    }
}

/// The name in quotes or angle brackets that `text` begins with.
fn literal(text: &[u8]) -> Option<Name<'_>> {
    let close = match text.first()? {
        b'"' => b'"',
        b'<' => b'>',
        _ => return None,
    };
    let end = memchr::memchr2(close, b'\n', &text[1..])?;
    let name = &text[1..=end];
    let name =
        str::from_utf8(name).ok().filter(|name| text[end + 1] == close && !name.is_empty())?;
    Some(if close == b'"' { Name::Quoted(name) } else { Name::Angled(name) })
}

/// Returns the text with lines joined that a backslash continues.
pub fn without_splices(text: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(text, b"\\\n").is_none() && memmem::find(text, b"\\\r\n").is_none() {
        return text.into();
    }
    let mut joined = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        joined.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        let next = after.strip_prefix(b"\n").or_else(|| after.strip_prefix(b"\r\n"));
        rest = next.unwrap_or_else(|| {
            joined.push(b'\\');
            after
        });
    }
    joined.extend_from_slice(rest);
    joined.into()
}

/// `text` without the blanks and comments of one line that it begins with.
pub(super) fn trimmed(mut text: &[u8]) -> &[u8] {
    loop {
        let blanks = text.iter().take_while(|c| matches!(c, b' ' | b'\t' | 0x0b | 0x0c)).count();
        text = &text[blanks..];
        let comment = text
            .strip_prefix(b"/*")
            .and_then(|rest| memmem::find(rest, b"*/").map(|end| &rest[end + 2..]));
        match comment {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// The word that `text` begins with, and the rest.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&c| !is_word(c)).unwrap_or(text.len()))
}

pub(super) fn is_word(c: u8) -> bool {
    c == b'_' || c.is_ascii_alphanumeric()
}

pub(super) fn begins_word(c: u8) -> bool {
    is_word(c) && !c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_how_they_are_written() {
        let text = "#include <stdio.h>\n # import /* why */ \"a/b.h\" // so\n#include MACRO // x\n\
            #include STR(x)\n#include_next <n.h>\n#if __has_include ( <x.h> ) || __has_embed(E) || !HAS(\"y.h\")\n\
            #define N \"n.h\"\n#define M N\n#define F(a) <f.h>\n#define G(a) a\n#define ONE 1\n#define EMPTY\n#define P (x)\n";
        let (quoted, angled, named) = (Name::Quoted, Name::Angled, Name::Macro);
        let define = Request::Define;
        let expected = [
            Request::Probe(angled("x.h")),
            Request::Probe(named("E")),
            Request::Include(angled("stdio.h")),
            Request::Include(quoted("a/b.h")),
            Request::Include(named("MACRO")),
            Request::Include(Name::Computed),
            Request::IncludeNext(angled("n.h")),
            define("N", quoted("n.h")),
            define("M", named("N")),
        ];
        let found: Vec<Request<'_>> =
            requests(text.as_bytes()).map(|(_, request)| request).collect();
        assert_eq!(found, expected);
        let given: Vec<&str> = arguments(text.as_bytes()).map(|(_, name)| name).collect();
        assert_eq!(given, ["x.h", "y.h"]);
    }
}
