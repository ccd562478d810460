//! Commands as a shell reads them, as far as that is simple.

/// Returns the words of each command of `command`, where that is commands joined by `&&` with nothing in them
/// that a shell would replace, redirect or do by itself; `None` for any other.
pub fn simple(command: &str) -> Option<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut rest = command.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => end(&mut word, &mut commands),
            '&' if rest.next_if_eq(&'&').is_some() => {
                end(&mut word, &mut commands);
                commands.push(Vec::new());
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
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
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
            '\\' => word.get_or_insert_default().push(rest.next().filter(|c| *c != '\n')?),
            '#' | '~' if word.is_none() => return None,
            '$' | '`' | '&' | '|' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '['
            | ']' | '!' | '\n' | '\r' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, &mut commands);
    commands.iter().all(|words| !words.is_empty()).then_some(commands)
}

fn end(word: &mut Option<String>, commands: &mut [Vec<String>]) {
    if let (Some(word), Some(last)) = (word.take(), commands.last_mut()) {
        last.push(word);
    }
}

/// Returns the programs that `command` runs by name, as far as that is seen at a glance: the first word, and the
/// first after each `&&`, without variables that are set for them.
pub fn programs(command: &str) -> impl Iterator<Item = &str> {
    command.split("&&").filter_map(|one| {
        let mut words = one.split([' ', '\t', '\n']).filter(|word| !word.is_empty());
        let word = words.find(|word| !word.contains('='))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-./:".contains(&byte);
        (word != ":" && word.bytes().all(plain)).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_commands_are_taken_apart() {
        let words = |command| {
            let commands = simple(command)?;
            Some(commands.iter().map(|words| words.join("|")).collect::<Vec<_>>())
        };
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
    }
}
