//! Reading which headers a text asks for.

use std::{borrow::Cow, collections::BTreeSet};

use memchr::memmem;

/// Stands for names that only the compiler could compute, such as `__has_include(NAME)`: then every new
/// name in a searched directory counts.
pub const ANY: &str = "*";

/// The names that texts ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Names that decide something whether or not a header is found by them: from `__has_include`,
    /// `__has_include_next`, `__has_embed` and `#include_next`, and names with a `..` part. [`ANY`]
    /// where one is computed.
    pub probed: BTreeSet<String>,
    /// All other names after `#include` and `#embed`.
    pub included: BTreeSet<String>,
}

impl Asked {
    /// Adds what `text`, a source or header of C, C++ or preprocessed assembly, asks for. Comments and
    /// conditions are not understood: what they hide is asked for too.
    pub fn scan(&mut self, text: &[u8]) {
        let text = without_splices(text);
        let mut computed = false;
        for at in memmem::find_iter(&text, b"__has_") {
            let rest = &text[at + "__has_".len()..];
            let Some(rest) = [&b"include"[..], b"embed"].iter().find_map(|w| rest.strip_prefix(*w))
            else {
                continue;
            };
            let end = rest.iter().position(|&c| !is_word(c)).unwrap_or(rest.len());
            let Some(operand) = trimmed(&rest[end..]).strip_prefix(b"(") else { continue };
            match literal(trimmed(operand)) {
                Some(name) => _ = self.probed.insert(name),
                None => computed = true,
            }
        }
        for at in memchr::memchr_iter(b'#', &text) {
            let rest = trimmed(&text[at + 1..]);
            let end = rest.iter().position(|&c| !is_word(c)).unwrap_or(rest.len());
            let operand = trimmed(&rest[end..]);
            match &rest[..end] {
                b"include" | b"import" | b"embed" => self.include(operand),
                b"include_next" => match literal(operand) {
                    Some(name) => _ = self.probed.insert(name),
                    None => computed = true,
                },
                // A computed name may come to this.
                b"define" => self.define(operand),
                _ => {}
            }
        }
        if computed {
            self.probed.insert(ANY.to_owned());
        }
    }

    fn include(&mut self, operand: &[u8]) {
        let Some(name) = literal(operand) else { return };
        match name.split('/').any(|part| part == "..") {
            true => self.probed.insert(name),
            false => self.included.insert(name),
        };
    }

    fn define(&mut self, operand: &[u8]) {
        let end = operand.iter().position(|&c| !is_word(c)).unwrap_or(operand.len());
        if let Some(name) = literal(trimmed(&operand[end..])) {
            self.included.insert(name);
        }
    }
}

/// The text with lines joined that a backslash continues.
fn without_splices(text: &[u8]) -> Cow<'_, [u8]> {
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
fn trimmed(mut text: &[u8]) -> &[u8] {
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

/// The name in quotes or angle brackets that `text` begins with.
fn literal(text: &[u8]) -> Option<String> {
    let close = match text.first()? {
        b'"' => b'"',
        b'<' => b'>',
        _ => return None,
    };
    let end = memchr::memchr2(close, b'\n', &text[1..])?;
    let name = &text[1..=end];
    (text[end + 1] == close && !name.is_empty())
        .then(|| String::from_utf8(name.to_vec()).ok())
        .flatten()
}

fn is_word(c: u8) -> bool {
    c == b'_' || c.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> (Vec<String>, Vec<String>) {
        let mut asked = Asked::default();
        asked.scan(text.as_bytes());
        (asked.probed.into_iter().collect(), asked.included.into_iter().collect())
    }

    #[test]
    fn names_that_are_asked_for() {
        let (probed, included) = scan(
            "#include <stdio.h>\n # include /* why */ \"a/b.h\"\n#include MACRO\n\
             #if defined(__has_include) && __has_include ( <x.h> ) || __has_inc\\\nlude(\"y.h\")\n\
             #include_next <n.h>\n#include \"../up.h\"\n#if __has_embed(\"e.bin\" limit(1))\n\
             #define NAME \"named.h\"\n#define SUM(a) <b>\n",
        );
        assert_eq!(probed, ["../up.h", "e.bin", "n.h", "x.h", "y.h"]);
        assert_eq!(included, ["a/b.h", "named.h", "stdio.h"]);
    }

    #[test]
    fn computed_names_stand_for_any() {
        assert_eq!(scan("#if __has_include(NAME)").0, [ANY]);
        assert_eq!(scan("#define HAS(x) __has_include_next(x)").0, [ANY]);
        assert_eq!(scan("#include_next NAME").0, [ANY]);
        assert_eq!(scan("#ifdef __has_include\n#include NAME").0, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"(#|include|__has_include|__has_embed|\(|"|<|>|a|\\|/\*|\n| ){0,30}"#) {
            scan(&text);
        }
    }
}
