//! Words of build files.

use std::ops::Range;

/// A word of a build file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Build,
    Colon,
    Default,
    Equals,
    Include,
    Indent,
    Name,
    Newline,
    Pipe,
    PipePipe,
    PipeAt,
    Pool,
    Rule,
    Subninja,
    End,
    /// A character that begins no word.
    Other,
}

impl Token {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "`build`",
            Self::Colon => "`:`",
            Self::Default => "`default`",
            Self::Equals => "`=`",
            Self::Include => "`include`",
            Self::Indent => "an indented line",
            Self::Name => "a name",
            Self::Newline => "the end of the line",
            Self::Pipe => "`|`",
            Self::PipePipe => "`||`",
            Self::PipeAt => "`|@`",
            Self::Pool => "`pool`",
            Self::Rule => "`rule`",
            Self::Subninja => "`subninja`",
            Self::End => "the end of the file",
            Self::Other => "this",
        }
    }
}

/// A piece of a text with variables in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// A mistake: where, and which.
#[derive(Debug)]
pub(super) struct Mistake {
    pub span: Range<usize>,
    pub message: String,
}

/// Reads a build file from its start to its end.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Where the last word began.
    start: usize,
}

/// Whether a character may be in the name of a variable, rule or pool.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Whether it may be in the name of a variable that stands without braces.
fn in_simple_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, start: 0 }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(text.as_bytes())
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// Where the next word begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The span of the last word.
    pub fn last(&self) -> Range<usize> {
        self.start..self.at.max(self.start)
    }

    /// Goes back to before the last word.
    pub fn back(&mut self) {
        self.at = self.start;
    }

    /// A mistake at the last word.
    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { span: self.start..self.word_end(), message: message.into() }
    }

    /// The last word without the blanks after it.
    fn word_end(&self) -> usize {
        let word = &self.text[self.start..self.at.max(self.start)];
        self.start + word.trim_end().len()
    }

    /// Reads the next word.
    pub fn next(&mut self) -> Token {
        loop {
            self.start = self.at;
            self.skip_while(|byte| byte == b' ');
            if self.byte(0) == Some(b'#') {
                self.skip_while(|byte| byte != b'\n');
                self.at = (self.at + 1).min(self.text.len());
                continue;
            }
            if self.newline() {
                return Token::Newline;
            }
            if self.at > self.start && self.byte(0).is_some() {
                return Token::Indent;
            }
            break;
        }
        let token = self.word();
        if token != Token::End {
            self.skip_blanks();
        }
        token
    }

    fn word(&mut self) -> Token {
        let one = |token| (1, token);
        let (length, token) = match self.byte(0) {
            None => (0, Token::End),
            Some(b':') => one(Token::Colon),
            Some(b'=') => one(Token::Equals),
            Some(b'|') if self.starts_with("||") => (2, Token::PipePipe),
            Some(b'|') if self.starts_with("|@") => (2, Token::PipeAt),
            Some(b'|') => one(Token::Pipe),
            Some(byte) if in_name(byte) => {
                let rest = &self.text.as_bytes()[self.at..];
                let length = rest.iter().take_while(|byte| in_name(**byte)).count();
                let token = match &rest[..length] {
                    b"build" => Token::Build,
                    b"default" => Token::Default,
                    b"include" => Token::Include,
                    b"pool" => Token::Pool,
                    b"rule" => Token::Rule,
                    b"subninja" => Token::Subninja,
                    _ => Token::Name,
                };
                (length, token)
            }
            Some(_) => {
                (self.text[self.at..].chars().next().map_or(1, char::len_utf8), Token::Other)
            }
        };
        self.at += length;
        token
    }

    fn newline(&mut self) -> bool {
        let length = match (self.byte(0), self.byte(1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\r'), Some(b'\n')) => 2,
            _ => return false,
        };
        self.at += length;
        true
    }

    /// Skips blanks and line ends that `$` takes away.
    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(|byte| byte == b' ');
            match (self.byte(0), self.byte(1), self.byte(2)) {
                (Some(b'$'), Some(b'\n'), _) => self.at += 2,
                (Some(b'$'), Some(b'\r'), Some(b'\n')) => self.at += 3,
                _ => return,
            }
        }
    }

    /// Whether `token` comes next; then it is read.
    pub fn takes(&mut self, token: Token) -> bool {
        let before = self.at;
        let found = self.next() == token;
        if !found {
            self.at = before;
        }
        found
    }

    /// Refuses a line that is indented by a tab, which looks as if it belonged to the last.
    pub fn refuse_tab(&self) -> Result<(), Mistake> {
        let blanks = self.text.as_bytes()[self.at..].iter().take_while(|byte| **byte == b' ');
        let tab = self.at + blanks.count();
        match self.text.as_bytes().get(tab) {
            Some(b'\t') => {
                let message = "a tab; lines are indented by blanks".to_owned();
                Err(Mistake { span: tab..tab + 1, message })
            }
            _ => Ok(()),
        }
    }

    /// Reads `token`.
    pub fn expect(&mut self, token: Token) -> Result<(), Mistake> {
        let found = self.next();
        if found == token {
            return Ok(());
        }
        let hint = if token == Token::Colon { " (`$:` is a colon in a path)" } else { "" };
        let message = format!("expected {}, found {}{hint}", token.name(), found.name());
        Err(self.mistake(message))
    }

    /// Reads a name; `wanted` says in messages what it is the name of.
    pub fn name(&mut self, wanted: &str) -> Result<&'t str, Mistake> {
        self.start = self.at;
        self.skip_while(in_name);
        let name = &self.text[self.start..self.at];
        if name.is_empty() {
            self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
            return Err(self.mistake(format!("expected {wanted}")));
        }
        self.skip_blanks();
        Ok(name)
    }

    /// Adds the rest of the line to `pieces`, and reads the line's end.
    pub fn value(&mut self, pieces: &mut Vec<Piece<'t>>) -> Result<(), Mistake> {
        self.pieces(false, pieces)
    }

    /// Adds a path to `pieces`, up to what ends it; nothing, when there is none.
    pub fn path(&mut self, pieces: &mut Vec<Piece<'t>>) -> Result<(), Mistake> {
        self.pieces(true, pieces)?;
        self.skip_blanks();
        Ok(())
    }

    fn pieces(&mut self, path: bool, pieces: &mut Vec<Piece<'t>>) -> Result<(), Mistake> {
        self.start = self.at;
        loop {
            let begin = self.at;
            self.skip_while(|byte| match byte {
                b'$' | b'\n' | b'\r' | 0 => false,
                b' ' | b':' | b'|' => !path,
                _ => true,
            });
            if self.at > begin {
                pieces.push(Piece::Text(&self.text[begin..self.at]));
            }
            match self.byte(0) {
                Some(b'$') => self.escape(pieces)?,
                Some(b'\n' | b'\r') if path && self.peeks_newline() => return Ok(()),
                Some(b'\n' | b'\r') if self.newline() => return Ok(()),
                Some(b' ' | b':' | b'|') => return Ok(()),
                None if path => return Ok(()),
                None => {
                    return Err(self.here(0, "the file ends in mid-line; end it with a newline"));
                }
                Some(b'\r') => {
                    return Err(self.here(1, "a carriage return without a newline after it"));
                }
                Some(_) => return Err(self.here(1, "a NUL byte")),
            }
        }
    }

    fn peeks_newline(&self) -> bool {
        matches!((self.byte(0), self.byte(1)), (Some(b'\n'), _) | (Some(b'\r'), Some(b'\n')))
    }

    fn here(&self, length: usize, message: &str) -> Mistake {
        Mistake { span: self.at..self.at + length, message: message.to_owned() }
    }

    /// Reads what begins with `$`.
    fn escape(&mut self, pieces: &mut Vec<Piece<'t>>) -> Result<(), Mistake> {
        let bad = || "bad escape: a dollar sign is written `$$`";
        let dollar = self.at;
        match self.byte(1) {
            Some(b'$' | b' ' | b':') => {
                pieces.push(Piece::Text(&self.text[dollar + 1..dollar + 2]));
                self.at += 2;
            }
            Some(b'\n') => {
                self.at += 2;
                self.skip_while(|byte| byte == b' ');
            }
            Some(b'\r') if self.byte(2) == Some(b'\n') => {
                self.at += 3;
                self.skip_while(|byte| byte == b' ');
            }
            Some(b'{') => {
                self.at += 2;
                let begin = self.at;
                self.skip_while(in_name);
                let name = &self.text[begin..self.at];
                if name.is_empty() || self.byte(0) != Some(b'}') {
                    self.at = dollar;
                    return Err(self.here(2, "expected a variable's name and `}` after `${`"));
                }
                self.at += 1;
                pieces.push(Piece::Variable(name));
            }
            Some(byte) if in_simple_name(byte) => {
                self.at += 1;
                let begin = self.at;
                self.skip_while(in_simple_name);
                pieces.push(Piece::Variable(&self.text[begin..self.at]));
            }
            Some(byte) => return Err(self.here(if byte.is_ascii() { 2 } else { 1 }, bad())),
            None => return Err(self.here(1, bad())),
        }
        Ok(())
    }
}
