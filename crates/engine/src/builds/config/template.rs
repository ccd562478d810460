//! Templates: texts with lines and words that stand for values.

use std::{borrow::Cow, collections::BTreeMap};

use larder_project::manifest::config::{TemplateSyntax, Value};

use super::{
    Notation,
    header::{defined, not_defined},
};

/// Values by name.
type Values<'v> = BTreeMap<&'v str, Value>;

/// Returns `text` with everything in it replaced that stands for one of `values`.
///
/// # Errors
/// A line with a name that nothing is known of, or with half a directive.
pub fn filled(text: &str, notation: &Notation, values: &Values<'_>) -> Result<String, String> {
    let syntax = match notation.syntax {
        TemplateSyntax::Recognised => recognised(text),
        syntax => syntax,
    };
    let braces = notation.braces.unwrap_or(syntax == TemplateSyntax::CMake);
    let mut filled = String::with_capacity(text.len() + text.len() / 4);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => match line.strip_suffix('\r') {
                Some(line) => (line, "\r\n"),
                None => (line, "\n"),
            },
            None => (line, ""),
        };
        let replaced = filled_line(line, syntax, braces, values)
            .map_err(|wrong| format!("{}:{}: {wrong}", notation.name, number + 1))?;
        filled.push_str(&replaced);
        filled.push_str(end);
    }
    Ok(filled)
}

/// The syntax that a text's lines show.
fn recognised(text: &str) -> TemplateSyntax {
    let mut found = TemplateSyntax::Recognised;
    for line in text.lines() {
        match directive(line).map(|(_, word, _)| word) {
            Some("cmakedefine" | "cmakedefine01") => return TemplateSyntax::CMake,
            Some("mesondefine") => return TemplateSyntax::Meson,
            Some("undef") => found = TemplateSyntax::Autoconf,
            _ => {}
        }
    }
    found
}

/// The parts of a line such as `#  undef NAME`: all that comes before the word, the word, the rest.
fn directive(line: &str) -> Option<(&str, &str, &str)> {
    let after = line.trim_start().strip_prefix('#')?.trim_start();
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    let before = &line[..line.len() - after.len()];
    Some((before, &after[..end], after[end..].trim()))
}

fn filled_line<'l>(
    line: &'l str,
    syntax: TemplateSyntax,
    braces: bool,
    values: &Values<'_>,
) -> Result<Cow<'l, str>, String> {
    let Some((before, word, rest)) = directive(line) else {
        return words(line, braces, values);
    };
    let (name, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let known = values.get(name);
    let named = || match name.is_empty() {
        true => Err(format!("#{word} without a name")),
        false => Ok(()),
    };
    // What stands before `#` and behind it is kept.
    let kept = |line: String| match line.strip_prefix('#') {
        Some(rest) => format!("{before}{rest}"),
        None => format!("{}{line}", &before[..before.len() - before.trim_start().len()]),
    };
    Ok(match (syntax, word) {
        (TemplateSyntax::CMake, "cmakedefine") => {
            named()?;
            match known.is_some_and(holds) {
                false => kept(not_defined(name)).into(),
                true if value.is_empty() => kept(format!("#define {name}")).into(),
                true => kept(format!("#define {name} {}", words(value, braces, values)?)).into(),
            }
        }
        (TemplateSyntax::CMake, "cmakedefine01") => {
            named()?;
            let value = u8::from(known.is_some_and(holds));
            kept(format!("#define {name} {value}")).into()
        }
        (TemplateSyntax::Meson, "mesondefine") => {
            named()?;
            match known {
                Some(Value::Boolean(false)) => kept(format!("#undef {name}")).into(),
                Some(value) => kept(defined(name, value)).into(),
                None => kept(format!("/* undef {name} */")).into(),
            }
        }
        // With more on the line it is no line of a template.
        (TemplateSyntax::Autoconf, "undef") if !name.is_empty() && value.is_empty() => {
            let line = known.map_or_else(|| not_defined(name), |value| defined(name, value));
            kept(line).into()
        }
        _ => words(line, braces, values)?,
    })
}

/// Whether a value makes `#cmakedefine` define something.
fn holds(value: &Value) -> bool {
    match value {
        Value::Boolean(value) => *value,
        Value::Number(value) => *value != 0,
        Value::Text(value) => !matches!(value.as_str(), "" | "0"),
    }
}

/// Returns `text` with each `@NAME@`, and with `braces` each `${NAME}`, replaced by its value.
fn words<'t>(text: &'t str, braces: bool, values: &Values<'_>) -> Result<Cow<'t, str>, String> {
    let mut replaced = String::new();
    let (mut rest, mut changed) = (text, false);
    while let Some(at) = rest.find(['@', '$']) {
        let (before, from) = rest.split_at(at);
        replaced.push_str(before);
        let found = match braces && from.starts_with("${") {
            true => enclosed(&from[2..], '}').map(|(name, after)| (name, after, "${", "}")),
            false if from.starts_with('@') => {
                enclosed(&from[1..], '@').map(|(name, after)| (name, after, "@", "@"))
            }
            false => None,
        };
        match found {
            Some((name, after, open, close)) => {
                let value = values.get(name).ok_or_else(|| {
                    let or = if open == "${" { ", or braces = false" } else { "" };
                    format!("nothing says what {open}{name}{close} is; add it to `values`{or}")
                })?;
                match value {
                    Value::Boolean(value) => replaced.push(if *value { '1' } else { '0' }),
                    Value::Number(value) => replaced.push_str(&value.to_string()),
                    Value::Text(value) => replaced.push_str(value),
                }
                changed = true;
                rest = after;
            }
            None => {
                replaced.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
    if !changed {
        return Ok(text.into());
    }
    replaced.push_str(rest);
    Ok(replaced.into())
}

/// The name that `text` begins with and that ends before `close`, and what comes after.
fn enclosed(text: &str, close: char) -> Option<(&str, &str)> {
    let (name, after) = text.split_once(close)?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill_as(
        syntax: TemplateSyntax,
        braces: impl Into<Option<bool>>,
        text: &str,
    ) -> Result<String, String> {
        let values = [
            ("YES", Value::Boolean(true)),
            ("NO", Value::Boolean(false)),
            ("SIZE", Value::Number(8)),
            ("ZERO", Value::Number(0)),
            ("TEXT", Value::Text("\"a b\"".to_owned())),
            ("EMPTY", Value::Text(String::new())),
        ];
        let notation = Notation { name: "t.in".to_owned(), syntax, braces: braces.into() };
        filled(text, &notation, &values.into_iter().collect())
    }

    fn fill(text: &str) -> String {
        fill_as(TemplateSyntax::Recognised, false, text).unwrap()
    }

    #[test]
    fn cmake() {
        assert_eq!(
            fill(
                "#cmakedefine YES\n#cmakedefine NO\n# cmakedefine SIZE @SIZE@\n#cmakedefine ZERO 1\n\
                 #cmakedefine01 YES\n  #  cmakedefine01 OTHER\n#cmakedefine TEXT @TEXT@ /* t */\n\
                 #cmakedefine OTHER\n#undef YES\n#cmakedefine EMPTY"
            ),
            "#define YES\n/* #undef NO */\n# define SIZE 8\n/* #undef ZERO */\n#define YES 1\n  \
             #  define OTHER 0\n#define TEXT \"a b\" /* t */\n/* #undef OTHER */\n#undef YES\n\
             /* #undef EMPTY */"
        );
    }

    #[test]
    fn autoconf() {
        assert_eq!(
            fill(
                "/* a */\n#undef YES\n# undef NO\n#undef SIZE\r\n#undef TEXT\n#undef OTHER\n#undef YES x\n"
            ),
            "/* a */\n#define YES 1\n/* #undef NO */\n#define SIZE 8\r\n#define TEXT \"a b\"\n\
             /* #undef OTHER */\n#undef YES x\n"
        );
    }

    #[test]
    fn meson() {
        assert_eq!(
            fill(
                "#mesondefine YES\n#mesondefine NO\n#mesondefine SIZE\n#mesondefine OTHER\n#undef YES\n"
            ),
            "#define YES 1\n#undef NO\n#define SIZE 8\n/* undef OTHER */\n#undef YES\n"
        );
    }

    #[test]
    fn words_in_any_text() {
        assert_eq!(
            fill("a@b.c @TEXT@@SIZE@ $@ ${YES} @ NO@ @"),
            "a@b.c \"a b\"8 $@ ${YES} @ NO@ @"
        );
        assert_eq!(fill("@YES@@NO@@EMPTY@."), "10.");
        let braces = |text| fill_as(TemplateSyntax::Recognised, true, text);
        assert_eq!(braces("${SIZE}$${1}${TEXT"), Ok("8$${1}${TEXT".to_owned()));
        assert!(braces("${OTHER}").unwrap_err().contains("t.in:1: nothing says what ${OTHER} is"));
    }

    #[test]
    fn braces_stand_for_values_where_cmake_has_them_so() {
        let fill = |syntax, text| fill_as(syntax, None, text);
        let recognised = |text| fill(TemplateSyntax::Recognised, text);
        assert_eq!(recognised("#cmakedefine YES\n${SIZE}").unwrap(), "#define YES\n8");
        assert_eq!(recognised("#cmakedefine SIZE ${SIZE}").unwrap(), "#define SIZE 8");
        assert_eq!(fill(TemplateSyntax::CMake, "${SIZE} @SIZE@").unwrap(), "8 8");
        for syntax in [TemplateSyntax::Recognised, TemplateSyntax::Autoconf, TemplateSyntax::Meson]
        {
            assert_eq!(fill(syntax, "${SIZE} @SIZE@").unwrap(), "${SIZE} 8");
        }
        let kept = fill_as(TemplateSyntax::CMake, false, "${SIZE}");
        assert_eq!(kept.unwrap(), "${SIZE}");
        let unknown = fill(TemplateSyntax::CMake, "${prefix}/lib").unwrap_err();
        assert!(unknown.ends_with("add it to `values`, or braces = false"), "{unknown}");
    }

    #[test]
    fn what_is_not_known_is_told_with_its_line() {
        let wrong = |text| fill_as(TemplateSyntax::Recognised, false, text).unwrap_err();
        assert!(wrong("a\nb @OTHER@\n").starts_with("t.in:2: nothing says what @OTHER@ is"));
        assert_eq!(wrong("#cmakedefine\n"), "t.in:1: #cmakedefine without a name");
        assert!(wrong("#cmakedefine YES @OTHER@").starts_with("t.in:1: "));
    }

    #[test]
    fn a_syntax_that_is_named_counts() {
        let autoconf = |text| fill_as(TemplateSyntax::Autoconf, false, text).unwrap();
        assert_eq!(autoconf("#cmakedefine YES\n#undef YES"), "#cmakedefine YES\n#define YES 1");
        assert_eq!(fill_as(TemplateSyntax::CMake, false, "#undef YES").unwrap(), "#undef YES");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"(#|cmakedefine|undef|mesondefine|YES|@|\$|\{|\}| |\n|\r\n|é){0,20}"#) {
            for braces in [false, true] {
                let _ = fill_as(TemplateSyntax::Recognised, braces, &text);
            }
        }

        #[test]
        fn text_without_marks_stays(text in "[a-z #{}\n\r]{0,40}") {
            prop_assert_eq!(fill_as(TemplateSyntax::CMake, true, &text), Ok(text));
        }
    }
}
