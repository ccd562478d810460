//! Depfiles: the list of files a compiler read, in Make's syntax.

/// The prerequisites of every rule in a depfile, in order. What a compiler could not have written
/// gives whatever words are there.
pub fn parse(text: &str) -> Vec<String> {
    let mut found = Vec::new();
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
        match (c, rest.peek()) {
            ('\\', Some('\n')) => {
                rest.next();
                end_word(&mut word, in_prerequisites);
            }
            ('\\', Some('\r')) => {
                rest.next();
                rest.next_if_eq(&'\n');
                end_word(&mut word, in_prerequisites);
            }
            ('\\', Some(' ' | '#' | ':')) => word.extend(rest.next()),
            ('$', Some('$')) => {
                rest.next();
                word.push('$');
            }
            (':', next) if !in_prerequisites && next.is_none_or(|c| c.is_whitespace()) => {
                word.clear();
                in_prerequisites = true;
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
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_compilers_write() {
        assert_eq!(parse("a.o: a.c b.h \\\n c.h\n"), ["a.c", "b.h", "c.h"]);
        assert_eq!(parse("a.o: a.c b.h\nb.h:\n"), ["a.c", "b.h"]);
        assert_eq!(parse("a.o: my\\ file.c a\\#b.h $$x.h"), ["my file.c", "a#b.h", "$x.h"]);
        assert_eq!(parse("C:/a.o: a.c \\\r\n b.h\r\n"), ["a.c", "b.h"]);
        assert_eq!(parse("a.o b.o : dir\\back.c"), ["dir\\back.c"]);
        assert_eq!(parse(""), [""; 0]);
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
