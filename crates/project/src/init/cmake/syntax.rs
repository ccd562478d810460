//! The text of a `CMakeLists.txt` as commands and blocks.

use std::iter::Peekable;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name, in small letters.
    pub name: String,
    /// Its arguments, nothing replaced.
    pub arguments: Vec<Argument>,
    /// The line where it begins, from 1.
    pub line: usize,
}

/// An argument as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The text between the quotes or brackets, if any.
    pub text: String,
    /// How it is written.
    pub form: Form,
}

/// How an argument is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `word`: a list becomes several arguments.
    Bare,
    /// `"…"`: one argument.
    Quoted,
    /// `[[…]]`: one argument, and nothing in it means anything.
    Bracket,
}

/// A command, or several in a block.
#[derive(Debug, Clone)]
pub enum Node {
    /// A command.
    Command(Command),
    /// `if`, with each `elseif`; the commands of the first that holds are run, or else the last ones.
    If { branches: Vec<(Command, Vec<Node>)>, otherwise: Vec<Node> },
    /// `foreach`.
    Foreach { header: Command, body: Vec<Node> },
    /// `while`, which nobody decides here.
    While { body: Vec<Node> },
    /// `function` or `macro`.
    Definition { header: Command, body: Vec<Node> },
}

/// Returns what is in a file.
///
/// # Errors
/// Where it is no file of CMake.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut commands = commands(text)?.into_iter().peekable();
    // What ends a block that nothing began is a command like any other, which does nothing.
    block(&mut commands, &[], 0)
}

/// More blocks in each other than this are refused.
const DEEPEST: usize = 200;

/// The nodes up to one of the commands `ends`, which stays.
fn block(
    commands: &mut Peekable<impl Iterator<Item = Command>>,
    ends: &[&str],
    depth: usize,
) -> Result<Vec<Node>, String> {
    if depth > DEEPEST {
        return Err("blocks are too deep in each other".to_owned());
    }
    let mut nodes = Vec::new();
    while let Some(command) = commands.next_if(|next| !ends.contains(&next.name.as_str())) {
        nodes.push(match &*command.name {
            "if" => {
                let mut branches = Vec::new();
                let mut otherwise = Vec::new();
                let mut condition = Some(command);
                loop {
                    let body = block(commands, &["elseif", "else", "endif"], depth + 1)?;
                    match condition.take() {
                        Some(condition) => branches.push((condition, body)),
                        None => otherwise = body,
                    }
                    match commands.next() {
                        Some(next) if next.name == "elseif" => condition = Some(next),
                        Some(next) if next.name == "else" => {}
                        _ => break,
                    }
                }
                Node::If { branches, otherwise }
            }
            "foreach" => {
                let body = block(commands, &["endforeach"], depth + 1)?;
                commands.next();
                Node::Foreach { header: command, body }
            }
            "while" => {
                let body = block(commands, &["endwhile"], depth + 1)?;
                commands.next();
                Node::While { body }
            }
            "function" | "macro" => {
                let body = block(commands, &["endfunction", "endmacro"], depth + 1)?;
                commands.next();
                Node::Definition { header: command, body }
            }
            _ => Node::Command(command),
        });
    }
    Ok(nodes)
}

/// Returns all commands of a file, one after the other.
///
/// # Errors
/// Where it is no file of CMake.
pub fn commands(text: &str) -> Result<Vec<Command>, String> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    let mut found = Vec::new();
    loop {
        lexer.blanks();
        let line = lexer.line;
        let name = lexer.take(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() {
            return match lexer.peek() {
                None => Ok(found),
                Some(odd) => Err(format!("line {line}: `{odd}` begins no command")),
            };
        }
        lexer.blanks();
        if lexer.peek() != Some('(') {
            return Err(format!("line {line}: `{name}` has no arguments in parentheses"));
        }
        lexer.next();
        let name = name.to_ascii_lowercase();
        found.push(Command { name, arguments: lexer.arguments()?, line });
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&is_part) {
            self.next();
        }
        &self.text[start..self.at]
    }

    /// Leaves blanks and comments behind.
    fn blanks(&mut self) {
        loop {
            self.take(|c| c.is_whitespace() || c == '\u{feff}');
            if self.peek() != Some('#') {
                return;
            }
            self.next();
            if self.bracket().is_none() {
                self.take(|c| c != '\n');
            }
        }
    }

    /// A text in brackets, such as `[=[…]=]`.
    fn bracket(&mut self) -> Option<&'t str> {
        let rest = self.rest().strip_prefix('[')?;
        let level = rest.len() - rest.trim_start_matches('=').len();
        let inner = rest[level..].strip_prefix('[')?;
        let close = format!("]{}]", "=".repeat(level));
        let end = inner.find(&close)?;
        let whole = level + 2 + end + close.len();
        self.line += self.rest()[..whole].matches('\n').count();
        self.at += whole;
        Some(inner[..end].strip_prefix('\n').unwrap_or(&inner[..end]))
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, String> {
        let begin = self.line;
        let mut found = Vec::new();
        let mut depth = 0;
        loop {
            self.blanks();
            let Some(c) = self.peek() else {
                return Err(format!("line {begin}: a parenthesis is not closed"));
            };
            let (text, form) = if let Some(text) = self.bracket() {
                (text.to_owned(), Form::Bracket)
            } else if c == '"' {
                self.next();
                let text = self.escaped(|c| c == '"');
                self.next();
                (text, Form::Quoted)
            } else if matches!(c, '(' | ')') {
                self.next();
                if c == ')' && depth == 0 {
                    return Ok(found);
                }
                depth = if c == '(' { depth + 1 } else { depth - 1 };
                (c.to_string(), Form::Bare)
            } else {
                (self.bare(), Form::Bare)
            };
            found.push(Argument { text, form });
        }
    }

    /// A bare argument; in it, quotes and `$(…)` may be.
    fn bare(&mut self) -> String {
        let mut text = String::new();
        loop {
            text += &self.escaped(|c| c.is_whitespace() || "()#\"".contains(c));
            match self.peek() {
                Some('"') => {
                    text.extend(self.next());
                    text += &self.escaped(|c| c == '"');
                    text.extend(self.next());
                }
                _ => return text,
            }
        }
    }

    /// The text up to what `ends` it, with its escapes.
    fn escaped(&mut self, ends: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while let Some(c) = self.peek().filter(|c| !ends(*c)) {
            self.next();
            if c == '\\' {
                self.next();
            }
        }
        self.text[start..self.at].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart() {
        let text = "\u{feff}# c (\nSet(A \"x \\\" # y\" # no\n  [[raw ${A}\n]] b\\ c)\n#[[ long\n ]] if ( (X) AND\tY )\n\
                    else()\nendif()\nfoo(-DA=\"b c\")";
        let found = commands(text).unwrap();
        let shown: Vec<(usize, String)> = found
            .iter()
            .map(|it| {
                let words: Vec<&str> = it.arguments.iter().map(|it| it.text.as_str()).collect();
                (it.line, format!("{} {}", it.name, words.join("|")))
            })
            .collect();
        let wanted = [
            (2, "set A|x \\\" # y|raw ${A}\n|b\\ c"),
            (5, "if (|X|)|AND|Y"),
            (7, "else "),
            (8, "endif "),
            (9, "foo -DA=\"b c\""),
        ];
        let plain: Vec<(usize, &str)> = shown.iter().map(|(line, it)| (*line, &**it)).collect();
        // A comment in brackets is two lines.
        assert_eq!(plain.iter().map(|it| it.1).collect::<Vec<_>>(), wanted.map(|it| it.1));
        assert_eq!(plain[0].0, 2);
    }

    #[test]
    fn what_is_no_file_of_cmake_is_said() {
        for (text, said) in [
            ("set(A", "line 1: a parenthesis is not closed"),
            ("\nset A", "line 2: `set` has no arguments"),
            ("$x", "line 1: `$` begins no command"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(parse(&"if(A)\n".repeat(10_000)).unwrap_err().contains("too deep"));
        assert!(matches!(&parse("if(A)\nx()\nelse()\ny()").unwrap()[..], [Node::If { .. }]));
    }
}
