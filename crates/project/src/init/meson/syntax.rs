//! The text of a `meson.build` as statements.

use super::lexer::{Token, tokens};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A text; one with `f` before it has `@names@` in it.
    Text {
        text: String,
        is_format: bool,
    },
    Number(i64),
    Boolean(bool),
    Name(String),
    List(Vec<Expression>),
    Dictionary(Vec<(Expression, Expression)>),
    Call(Call),
    Method(Box<Expression>, Call),
    Index(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Binary(Box<Expression>, String, Box<Expression>),
    Choice(Box<[Expression; 3]>),
}

/// A call of a function or method.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The name.
    pub name: String,
    /// Arguments by their places.
    pub arguments: Vec<Expression>,
    /// Arguments by their names.
    pub named: Vec<(String, Expression)>,
    /// The line, from 1.
    pub line: usize,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Expression(Expression),
    /// `name = value`, or `name += value`.
    Assign {
        name: String,
        adds: bool,
        value: Expression,
    },
    If {
        branches: Vec<(Expression, Vec<Statement>)>,
        otherwise: Vec<Statement>,
        line: usize,
    },
    Foreach {
        names: Vec<String>,
        of: Expression,
        body: Vec<Statement>,
    },
    /// `break` or `continue`.
    Jump,
}

/// Returns the statements of a file.
///
/// # Errors
/// Where it is no file of Meson.
pub fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let statements = parser.block(&[])?;
    match parser.at < parser.tokens.len() {
        true => Err(parser.odd()),
        false => Ok(statements),
    }
}

/// More expressions in each other than this are refused.
const DEEPEST: usize = 60;

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(_, line)| *line)
    }

    fn odd(&self) -> String {
        format!("line {}: this is not understood", self.line())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = self.is_word(word);
        self.at += usize::from(is_it);
        is_it
    }

    fn take(&mut self, mark: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Mark(found)) if *found == mark);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        match self.take(mark) {
            true => Ok(()),
            false => Err(self.odd()),
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.peek().cloned() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.odd()),
        }
    }

    /// The statements up to one of the words `ends`, which stays.
    fn block(&mut self, ends: &[&str]) -> Result<Vec<Statement>, String> {
        let mut found = Vec::new();
        loop {
            while self.peek() == Some(&Token::End) {
                self.at += 1;
            }
            if self.peek().is_none() && ends.is_empty() || ends.iter().any(|end| self.is_word(end))
            {
                return Ok(found);
            }
            found.push(self.statement()?);
        }
    }

    fn statement(&mut self) -> Result<Statement, String> {
        self.expression_below(Self::statement_here)
    }

    fn statement_here(&mut self) -> Result<Statement, String> {
        let line = self.line();
        if self.take_word("if") {
            let mut branches = vec![(self.expression()?, self.block(&["elif", "else", "endif"])?)];
            while self.take_word("elif") {
                branches.push((self.expression()?, self.block(&["elif", "else", "endif"])?));
            }
            let otherwise =
                if self.take_word("else") { self.block(&["endif"])? } else { Vec::new() };
            self.take_word("endif");
            return Ok(Statement::If { branches, otherwise, line });
        }
        if self.take_word("foreach") {
            let mut names = vec![self.word()?];
            while self.take(",") {
                names.push(self.word()?);
            }
            self.expect(":")?;
            let of = self.expression()?;
            let body = self.block(&["endforeach"])?;
            self.take_word("endforeach");
            return Ok(Statement::Foreach { names, of, body });
        }
        if self.take_word("break") || self.take_word("continue") {
            return Ok(Statement::Jump);
        }
        let expression = self.expression()?;
        if let Expression::Name(name) = &expression {
            let adds = self.take("+=");
            if adds || self.take("=") {
                return Ok(Statement::Assign {
                    name: name.clone(),
                    adds,
                    value: self.expression()?,
                });
            }
        }
        match self.peek() {
            None | Some(Token::End) => Ok(Statement::Expression(expression)),
            _ => Err(self.odd()),
        }
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.expression_below(|parser| {
            let condition = parser.binary(0)?;
            if !parser.take("?") {
                return Ok(condition);
            }
            let yes = parser.expression()?;
            parser.expect(":")?;
            Ok(Expression::Choice(Box::new([condition, yes, parser.expression()?])))
        })
    }

    /// What is one deeper.
    fn expression_below<T>(
        &mut self,
        of: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("line {}: this is too deep", self.line()));
        }
        let found = of(self);
        self.depth -= 1;
        found
    }

    /// An expression of operators that bind at least as the one at `level`.
    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        const LEVELS: &[&[&str]] = &[
            &["or"],
            &["and"],
            &["==", "!=", "<", "<=", ">", ">=", "in", "not in"],
            &["+", "-"],
            &["*", "/", "%"],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|it| self.take_operator(it)) {
            let right = self.binary(level + 1)?;
            left = Expression::Binary(Box::new(left), (*operator).to_owned(), Box::new(right));
        }
        Ok(left)
    }

    fn take_operator(&mut self, operator: &str) -> bool {
        if operator == "not in" {
            let next = self.tokens.get(self.at + 1).map(|(token, _)| token);
            let is_it =
                self.is_word("not") && matches!(next, Some(Token::Word(word)) if word == "in");
            self.at += 2 * usize::from(is_it);
            return is_it;
        }
        self.take(operator) || self.take_word(operator)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        if self.take_word("not") {
            return Ok(Expression::Not(Box::new(self.expression_below(Self::unary)?)));
        }
        if self.take("-") {
            let zero = Box::new(Expression::Number(0));
            let of = Box::new(self.expression_below(Self::unary)?);
            return Ok(Expression::Binary(zero, "-".to_owned(), of));
        }
        let mut whole = self.primary()?;
        loop {
            if self.take(".") {
                let line = self.line();
                let name = self.word()?;
                self.expect("(")?;
                whole = Expression::Method(Box::new(whole), self.call(name, line)?);
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                whole = Expression::Index(Box::new(whole), Box::new(index));
            } else {
                return Ok(whole);
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let line = self.line();
        let token = self.peek().cloned();
        self.at += 1;
        Ok(match token {
            Some(Token::Text { text, is_format }) => Expression::Text { text, is_format },
            Some(Token::Number(number)) => Expression::Number(number),
            Some(Token::Word(word)) => match &*word {
                "true" | "false" => Expression::Boolean(word == "true"),
                _ if self.take("(") => Expression::Call(self.call(word, line)?),
                _ => Expression::Name(word),
            },
            Some(Token::Mark("(")) => {
                let inner = self.expression()?;
                self.expect(")")?;
                inner
            }
            Some(Token::Mark("[")) => {
                let mut entries = Vec::new();
                while !self.take("]") {
                    entries.push(self.expression()?);
                    if !self.take(",") {
                        self.expect("]")?;
                        break;
                    }
                }
                Expression::List(entries)
            }
            Some(Token::Mark("{")) => {
                let mut entries = Vec::new();
                while !self.take("}") {
                    let key = self.expression()?;
                    self.expect(":")?;
                    entries.push((key, self.expression()?));
                    if !self.take(",") {
                        self.expect("}")?;
                        break;
                    }
                }
                Expression::Dictionary(entries)
            }
            _ => {
                self.at -= 1;
                return Err(self.odd());
            }
        })
    }

    /// The arguments of a call, whose parenthesis is open.
    fn call(&mut self, name: String, line: usize) -> Result<Call, String> {
        let mut call = Call { name, arguments: Vec::new(), named: Vec::new(), line };
        while !self.take(")") {
            let argument = self.expression()?;
            match argument {
                Expression::Name(name) if self.take(":") => {
                    call.named.push((name, self.expression()?));
                }
                other => call.arguments.push(other),
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        let text = "project('x', 'c', # comment\n  version: '1.2')\na = ['b', \\\n f'@c@'] + d[0]\n\
                    if not x.found() and a != 'it\\'s'\n  a += '''raw\n'''\nelif y\nelse\n break\nendif\n\
                    foreach k, v : {'a': 1, 'b': b ? 2 : -3,}\n f(v)\nendforeach\n";
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 4);
        let Statement::Expression(Expression::Call(call)) = &found[0] else { panic!("{found:?}") };
        assert_eq!((call.arguments.len(), &*call.named[0].0, call.line), (2, "version", 1));
        let Statement::If { branches, otherwise, line } = &found[2] else { panic!("{found:?}") };
        assert_eq!((branches.len(), &otherwise[..], *line), (2, &[Statement::Jump][..], 5));
        assert!(matches!(&found[3], Statement::Foreach { names, .. } if names.len() == 2));
    }

    #[test]
    fn what_is_no_file_of_meson_is_said() {
        for (text, line) in
            [("x = 'a", 1), ("\nf(", 2), ("if x\nf()", 2), ("a b", 1), ("`", 1), ("f(]", 1)]
        {
            let error = parse(text).map(|found| format!("{found:?}")).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{text}: {error}");
        }
        for deep in ["(", "not ", "- ", "if x\n", "[", "f("] {
            assert!(parse(&deep.repeat(10_000)).unwrap_err().contains("too deep"), "{deep}");
        }
    }
}
