//! Commands as a shell reads them, as far as that is simple.

use std::str::Chars;

/// A command in words.
#[derive(Debug, Default)]
pub struct Simple {
    pub words: Vec<String>,
    /// Where its text ends.
    pub end: usize,
}

/// Returns the commands of `command`, where that is commands joined by `&&` with nothing in them that a shell
/// would replace, redirect or do by itself; `None` for any other.
pub fn simple(command: &str) -> Option<Vec<Simple>> {
    let mut commands = vec![Simple::default()];
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => end(&mut word, &mut commands),
            '&' if rest.as_str().starts_with('&') => {
                end(&mut word, &mut commands);
                if let Some(last) = commands.last_mut() {
                    last.end = command.len() - rest.as_str().len() - 1;
                }
                rest.next();
                commands.push(Simple::default());
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(rest.next().filter(|c| *c != '\n')?),
            '#' | '~' if word.is_none() => return None,
            '$' | '`' | '&' | '|' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '['
            | ']' | '!' | '\n' | '\r' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, &mut commands);
    if let Some(last) = commands.last_mut() {
        last.end = command.len();
    }
    commands.iter().all(|one| !one.words.is_empty()).then_some(commands)
}

/// Reads what stands in double quotes.
fn quoted(rest: &mut Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => {
                let next = rest.next()?;
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            '$' | '`' => return None,
            c => word.push(c),
        }
    }
}

fn end(word: &mut Option<String>, commands: &mut [Simple]) {
    if let (Some(word), Some(last)) = (word.take(), commands.last_mut()) {
        last.words.push(word);
    }
}

/// Returns the programs that `command` runs by name, as far as that is seen at a glance: the first word, and the
/// first after each `&&`, without variables that are set for them, and what a compiler cache runs.
pub fn programs(command: &str) -> impl Iterator<Item = &str> {
    // Most commands are one.
    let most = if memchr::memchr(b'&', command.as_bytes()).is_some() { usize::MAX } else { 1 };
    command.splitn(most, "&&").flat_map(|one| {
        let words = one.split([' ', '\t', '\n']).filter(|word| !word.is_empty());
        let mut words = words.skip_while(|word| word.contains('='));
        let first = words.next().filter(|word| *word != ":" && is_plain(word));
        let second = words.next().filter(|word| first.is_some_and(is_cache) && is_plain(word));
        [first, second].into_iter().flatten()
    })
}

fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-./:".contains(&byte))
}

/// Whether a program runs the compiler that is its first argument, and gives what that would give.
pub fn is_cache(program: &str) -> bool {
    program.rsplit('/').next() == Some("ccache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_commands_are_taken_apart() {
        let words = |command| {
            let commands = simple(command)?;
            Some(commands.iter().map(|one| one.words.join("|")).collect::<Vec<_>>())
        };
        let ends: Vec<usize> = simple("a b && c").unwrap().iter().map(|one| one.end).collect();
        assert_eq!(ends, [4, 8]);
        assert_eq!(
            words("cc -DX=\\\"a\\\" 'b c' \"d \\\"e\" ''").unwrap(),
            ["cc|-DX=\"a\"|b c|d \"e|"]
        );
        assert_eq!(words(": && ar qc a.a b.o && :").unwrap(), [":", "ar|qc|a.a|b.o", ":"]);
        for other in [
            "a | b", "a > b", "a; b", "a & b", "$X", "`a`", "a *.c", "(a)", "a 'b", "a \"$x\"",
            "a &&", "# x", "a [b]", "", "a\nb", "~/x", "a || b",
        ] {
            assert_eq!(words(other), None, "{other}");
        }
    }

    #[test]
    fn programs_are_first_words() {
        let found = |command| programs(command).collect::<Vec<_>>();
        assert_eq!(
            found("cd /b && X=1 /usr/bin/cmake -E touch x && : && a"),
            ["cd", "/usr/bin/cmake", "a"]
        );
        assert_eq!(found("\"a b\" c && $X"), [""; 0]);
        assert_eq!(found("/usr/bin/ccache cc -c"), ["/usr/bin/ccache", "cc"]);
    }
}
