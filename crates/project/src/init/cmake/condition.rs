//! Conditions of CMake: yes, no, or nobody knows.

use super::{
    scope::Scope,
    syntax::{Argument, Form},
};

/// What a condition may ask besides variables.
pub trait World {
    /// Whether there is a target of this name; `None` where nobody knows.
    fn has_target(&self, name: &str) -> Option<bool>;
    /// Whether there is this file or directory, absolute; `None` where nobody knows.
    fn exists(&self, path: &str) -> Option<bool>;
    /// Whether there is a command of this name.
    fn has_command(&self, name: &str) -> Option<bool>;
}

/// Returns whether a condition holds; `None` where nobody knows.
pub fn holds(arguments: &[Argument], scope: &Scope, world: &dyn World) -> Option<bool> {
    let mut tokens = Vec::new();
    for argument in arguments {
        let is_quoted = argument.form != Form::Bare;
        for word in scope.expand(std::slice::from_ref(argument)) {
            tokens.push(Token { text: word.text, known: word.known, is_quoted });
        }
    }
    let mut reader = Reader { tokens, at: 0, depth: 0, scope, world };
    let found = reader.either();
    // A condition that is not understood is not decided.
    found.filter(|_| reader.at == reader.tokens.len())
}

/// A condition with more parentheses than these is not decided.
const DEEPEST: usize = 100;

#[derive(Clone)]
struct Token {
    text: String,
    known: bool,
    is_quoted: bool,
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    scope: &'a Scope,
    world: &'a dyn World,
}

impl Reader<'_> {
    fn is_next(&self, word: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|it| !it.is_quoted && it.text == word)
    }

    fn take(&mut self, word: &str) -> bool {
        let is_it = self.is_next(word);
        self.at += usize::from(is_it);
        is_it
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn either(&mut self) -> Option<bool> {
        let mut found = self.both();
        while self.take("OR") {
            let other = self.both();
            found = match (found, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        found
    }

    fn both(&mut self) -> Option<bool> {
        let mut found = self.not();
        while self.take("AND") {
            let other = self.not();
            found = match (found, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        found
    }

    fn not(&mut self) -> Option<bool> {
        let mut is_turned = false;
        while self.take("NOT") {
            is_turned = !is_turned;
        }
        self.one().map(|holds| holds != is_turned)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return None;
            }
            let found = self.either();
            return match self.take(")") {
                true => found,
                false => None,
            };
        }
        let unary = [
            "EXISTS",
            "IS_DIRECTORY",
            "DEFINED",
            "TARGET",
            "COMMAND",
            "POLICY",
            "TEST",
            "IS_ABSOLUTE",
        ];
        let is_last = self.at + 1 >= self.tokens.len();
        if let Some(word) = unary.into_iter().find(|word| !is_last && self.is_next(word)) {
            self.at += 1;
            let of = self.next()?;
            return match word {
                _ if !of.known => None,
                "EXISTS" | "IS_DIRECTORY" => self.world.exists(&of.text),
                "DEFINED" => {
                    self.scope.is_set(of.text.trim_start_matches("CACHE{").trim_end_matches('}'))
                }
                "TARGET" => self.world.has_target(&of.text),
                "COMMAND" => self.world.has_command(&of.text),
                "POLICY" => Some(true),
                "IS_ABSOLUTE" => Some(of.text.starts_with('/')),
                _ => None,
            };
        }
        let left = self.next()?;
        let operator =
            self.tokens.get(self.at).filter(|it| !it.is_quoted).map(|it| it.text.clone());
        match operator.as_deref().and_then(Operator::of) {
            None => self.truth(&left),
            Some(operator) => {
                self.at += 1;
                let right = self.next()?;
                self.compare(&left, operator, &right)
            }
        }
    }

    fn compare(&self, left: &Token, operator: Operator, right: &Token) -> Option<bool> {
        if let Operator::InList = operator {
            let list = self.scope.get(&right.text);
            let found = list.entries().any(|entry| entry.text == left.text);
            return (left.known && right.known && list.known).then_some(found);
        }
        let (left, right) = (self.value(left)?, self.value(right)?);
        Some(match operator {
            Operator::Text(wanted) => wanted(left.as_str().cmp(&right)),
            Operator::Number(wanted) => {
                wanted(left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)?)
            }
            Operator::Version(wanted) => wanted(version(&left).cmp(&version(&right))),
            Operator::Pattern | Operator::InList => return None,
        })
    }

    /// What stands for a side of a comparison: a variable's value, or the text.
    fn value(&self, token: &Token) -> Option<String> {
        let is_variable = !token.is_quoted && self.scope.is_set(&token.text) != Some(false);
        let value = match is_variable {
            true => Some(self.scope.get(&token.text)).filter(|it| it.known).map(|it| it.text),
            false => Some(token.text.clone()),
        };
        value.filter(|_| token.known)
    }

    /// Whether a constant or a variable is true.
    fn truth(&self, token: &Token) -> Option<bool> {
        if !token.known {
            return None;
        }
        if let Some(constant) = constant(&token.text) {
            return Some(constant);
        }
        if token.is_quoted {
            return Some(false);
        }
        let value = self.scope.get(&token.text);
        value.known.then(|| constant(&value.text).unwrap_or(true))
    }
}

#[derive(Clone, Copy)]
enum Operator {
    Text(fn(std::cmp::Ordering) -> bool),
    Number(fn(std::cmp::Ordering) -> bool),
    Version(fn(std::cmp::Ordering) -> bool),
    Pattern,
    InList,
}

impl Operator {
    fn of(word: &str) -> Option<Self> {
        use std::cmp::Ordering;
        let of = |end: &str| -> Option<fn(Ordering) -> bool> {
            Some(match end {
                "EQUAL" => Ordering::is_eq,
                "LESS" => Ordering::is_lt,
                "GREATER" => Ordering::is_gt,
                "LESS_EQUAL" => Ordering::is_le,
                "GREATER_EQUAL" => Ordering::is_ge,
                _ => return None,
            })
        };
        match word {
            "MATCHES" => Some(Self::Pattern),
            "IN_LIST" => Some(Self::InList),
            _ => match (word.strip_prefix("STR"), word.strip_prefix("VERSION_")) {
                (Some(end), _) => of(end).map(Self::Text),
                (_, Some(end)) => of(end).map(Self::Version),
                _ => of(word).map(Self::Number),
            },
        }
    }
}

fn version(text: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = text.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

/// What a text means by itself, where it means something.
pub(super) fn constant(text: &str) -> Option<bool> {
    let large = text.to_ascii_uppercase();
    match &*large {
        "1" | "ON" | "YES" | "TRUE" | "Y" => Some(true),
        "" | "0" | "OFF" | "NO" | "FALSE" | "N" | "IGNORE" | "NOTFOUND" => Some(false),
        _ if large.ends_with("-NOTFOUND") => Some(false),
        _ => text.parse::<f64>().ok().map(|number| number != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{scope::Word, syntax::commands};
    use super::*;

    struct Here;

    impl World for Here {
        fn has_target(&self, name: &str) -> Option<bool> {
            Some(name == "there")
        }
        fn exists(&self, _: &str) -> Option<bool> {
            Some(false)
        }
        fn has_command(&self, _: &str) -> Option<bool> {
            None
        }
    }

    #[test]
    fn conditions_hold_or_not_or_nobody_knows() {
        let mut scope = Scope::default();
        for (name, value) in
            [("ON_", "ON"), ("OFF_", "OFF"), ("V", "3.10"), ("L", "a;b"), ("N", "X-NOTFOUND")]
        {
            scope.set(name, Word::known(value));
        }
        scope.forget("U");
        let of = |text: &str| {
            let commands = commands(&format!("if({text})")).unwrap();
            holds(&commands[0].arguments, &scope, &Here)
        };
        for yes in [
            "ON_",
            "NOT OFF_",
            "ON_ AND NOT (OFF_ OR N)",
            "U OR ON_",
            "V VERSION_GREATER_EQUAL 3.9",
            "V VERSION_EQUAL 3.10.0",
            "a IN_LIST L",
            "\"${V}\" STREQUAL \"3.10\"",
            "V STREQUAL 3.10",
            "TARGET there",
            "DEFINED V",
            "NOT DEFINED X",
            "POLICY CMP0077",
            "2 LESS 10",
            "NOT EXISTS /x",
            "NOT \"text\"",
            "NOT UNSET",
        ] {
            assert_eq!(of(yes), Some(true), "{yes}");
        }
        for no in
            ["OFF_", "U AND OFF_", "TARGET gone", "V VERSION_LESS 3.9", "N", "", "c IN_LIST L"]
        {
            assert_eq!(of(no), if no.is_empty() { None } else { Some(false) }, "{no}");
        }
        for unknown in [
            "U",
            "NOT U",
            "U AND ON_",
            "V MATCHES x",
            "\"${U}\" STREQUAL x",
            "ON_ ODD",
            "COMMAND c",
            "DEFINED U",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
