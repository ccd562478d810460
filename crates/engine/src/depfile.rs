//! Depfiles: the list of files a compiler or a linker read, in Make's syntax.

/// The prerequisites of every rule in a depfile, in order.
pub fn parse(text: &str) -> Vec<String> {
    parse_rules(text).unwrap_or_default()
}

/// The same; `None` where there is a text and no rule in it.
pub fn parse_rules(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rules = 0;
    let mut word = String::new();
    let mut in_prerequisites = false;
    let mut rest = text.chars().peekable();
    let mut end_word = |word: &mut String, in_prerequisites: bool| {
        if !word.is_empty() {
            let word = std::mem::take(word);
            if in_prerequisites {
                found.push(word);
            }
        }
    };
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('\\', Some('\n')) => {
                rest.next();
                end_word(&mut word, in_prerequisites);
            }
            ('\\', Some('\r')) => {
                rest.next();
                rest.next_if_eq(&'\n');
                end_word(&mut word, in_prerequisites);
            }
            // A backslash before the colon of a rule is one at the end of a name.
            ('\\', Some(':')) if rest.clone().nth(1).is_none_or(char::is_whitespace) => {
                word.push(c)
            }
            ('\\', Some(' ' | '#' | ':')) => word.extend(rest.next()),
            ('$', Some('$')) => {
                rest.next();
                word.push('$');
            }
            (':', next) if !in_prerequisites && next.is_none_or(char::is_whitespace) => {
                word.clear();
                in_prerequisites = true;
                rules += 1;
            }
            ('\n', _) => {
                end_word(&mut word, in_prerequisites);
                in_prerequisites = false;
            }
            (c, _) if c.is_whitespace() => end_word(&mut word, in_prerequisites),
            (c, _) => word.push(c),
        }
    }
    end_word(&mut word, in_prerequisites);
    (rules > 0 || text.trim().is_empty()).then_some(found)
}

/// The files that a linker's dependency file lists, sorted.
///
/// All but LLVM's linker write names as they are, so a name with a blank cannot be told from two. But
/// all of them end with an empty rule for each file, on a line of its own, and those are read here.
pub fn parse_linker(text: &str) -> Vec<String> {
    let rules = text.lines().filter_map(|line| line.strip_suffix(':'));
    let mut found: Vec<String> = rules.filter(|name| !name.is_empty()).map(unescaped).collect();
    if found.is_empty() {
        found = parse(text);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A name without the backslashes and doubled dollars that LLVM's linker adds.
fn unescaped(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(' ' | '#')) | ('$', Some('$')) => plain.extend(rest.next()),
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_that_compilers_write() {
        assert_eq!(parse("a.o: a.c b.h \\\n c.h\n"), ["a.c", "b.h", "c.h"]);
        assert_eq!(parse("a.o: a.c b.h\nb.h:\n"), ["a.c", "b.h"]);
        assert_eq!(parse("a.o: my\\ file.c a\\#b.h $$x.h"), ["my file.c", "a#b.h", "$x.h"]);
        assert_eq!(parse("C:/a.o: a.c \\\r\n b.h\r\n"), ["a.c", "b.h"]);
        assert_eq!(parse("a.o b.o : dir\\back.c"), ["dir\\back.c"]);
        assert_eq!(parse("dir\\a\\: x\ndir\\b\\:y.o: z\n"), ["x", "z"]);
        assert_eq!(parse(""), [""; 0]);
        assert_eq!(parse_rules(" \n"), Some(vec![]));
        assert_eq!(parse_rules("no rule\n"), None);
    }

    #[test]
    fn lists_that_linkers_write() {
        let gnu = "out: \\\n  v.map \\\n  m.o \\\n  m.o \\\n  a b/s#1$x.o\n\nv.map:\n\nm.o:\n\nm.o:\n\na b/s#1$x.o:\n";
        assert_eq!(parse_linker(gnu), ["a b/s#1$x.o", "m.o", "v.map"]);
        let llvm = "out: \\\n m.o \\\n a\\ b/s\\#1$$x.o\n\nm.o:\n\na\\ b/s\\#1$$x.o:\n";
        assert_eq!(parse_linker(llvm), ["a b/s#1$x.o", "m.o"]);
        assert_eq!(parse_linker("out: a.o b.o\n"), ["a.o", "b.o"]);
        assert_eq!(parse_linker("out: \\\n\n"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            parse(&text);
        }

        #[test]
        fn escaped_names_come_back(names in prop::collection::vec("[a-z #$.]*[a-z]", 1..5)) {
            let escape = |name: &String| {
                name.replace('$', "$$").replace('#', "\\#").replace(' ', "\\ ")
            };
            let list: Vec<String> = names.iter().map(escape).collect();
            prop_assert_eq!(parse(&format!("x.o: {}\n", list.join(" \\\n "))), names);
        }
    }
}
