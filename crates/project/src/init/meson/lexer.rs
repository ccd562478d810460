//! The words of a `meson.build`.

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Word(String),
    Number(i64),
    Text { text: String, is_format: bool },
    Mark(&'static str),
    End,
}

const MARKS: &[&str] = &[
    "==", "!=", "<=", ">=", "+=", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "<", ">", "+",
    "-", "*", "/", "%", "?",
];

/// Returns the words of a file, with their lines.
///
/// # Errors
/// Where something is no word.
pub fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut found: Vec<(Token, usize)> = Vec::new();
    let (mut rest, mut line, mut depth) = (text.trim_start_matches('\u{feff}'), 1, 0_usize);
    while let Some(c) = rest.chars().next() {
        let (token, length) = if c == '\n' {
            (Some(Token::End).filter(|_| depth == 0), 1)
        } else if c.is_whitespace() {
            (None, c.len_utf8())
        } else if rest.starts_with("\\\n") {
            (None, 2)
        } else if c == '#' {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if c == '\'' || rest.starts_with("f'") {
            let is_format = c == 'f';
            let from = usize::from(is_format);
            let (text, length) = string(&rest[from..])
                .ok_or_else(|| format!("line {line}: a string is not closed"))?;
            (Some(Token::Text { text, is_format }), from + length)
        } else if c.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let digits = &rest[..length];
            let number = match digits.get(..2) {
                Some("0x") => i64::from_str_radix(&digits[2..], 16),
                Some("0o") => i64::from_str_radix(&digits[2..], 8),
                Some("0b") => i64::from_str_radix(&digits[2..], 2),
                _ => digits.parse(),
            };
            (Some(Token::Number(number.unwrap_or_default())), length)
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Some(Token::Word(rest[..length].to_owned())), length)
        } else {
            let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
            let mark = mark.ok_or_else(|| format!("line {line}: `{c}` means nothing"))?;
            match *mark {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            (Some(Token::Mark(mark)), mark.len())
        };
        found.extend(token.map(|token| (token, line)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found.push((Token::End, line));
    Ok(found)
}

/// The text of a string that begins here, and how long it is in the file.
fn string(rest: &str) -> Option<(String, usize)> {
    if let Some(inner) = rest.strip_prefix("'''") {
        let end = inner.find("'''")?;
        return Some((inner[..end].to_owned(), end + 6));
    }
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Some((text, at + 1)),
            '\n' => return None,
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                c @ ('\\' | '\'') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
    None
}
