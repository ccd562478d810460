//! Loops and functions of CMake.

use std::rc::Rc;

use super::{
    run::{DEEPEST, End, Reader},
    scope::Word,
    syntax::{Command, Node},
};

/// A function or macro of the project.
pub struct Definition {
    is_macro: bool,
    parameters: Vec<String>,
    body: Vec<Node>,
}

impl Reader<'_> {
    pub(super) fn repeat(&mut self, header: &Command, body: &[Node]) -> End {
        let words = self.scope().expand(&header.arguments);
        let Some((variable, rest)) = words.split_first() else { return End::Whole };
        let texts: Vec<&str> = rest.iter().map(|word| word.text.as_str()).collect();
        let values: Vec<Word> = match texts.as_slice() {
            ["RANGE", numbers @ ..] => {
                let numbers: Option<Vec<usize>> =
                    numbers.iter().map(|it| it.parse().ok()).collect();
                let range = match numbers.as_deref() {
                    Some([last]) => 0..=*last,
                    Some([first, last]) => *first..=*last,
                    _ => {
                        return {
                            self.forget_in(body);
                            End::Whole
                        };
                    }
                };
                range.take(1000).map(|number| Word::known(number.to_string())).collect()
            }
            ["IN", ..] => {
                let mut is_list = false;
                let mut values = Vec::new();
                for word in &rest[1..] {
                    match &*word.text {
                        "LISTS" => is_list = true,
                        "ITEMS" => is_list = false,
                        name if is_list => values.extend(self.scope().get(name).entries()),
                        _ => values.push(word.clone()),
                    }
                }
                values
            }
            _ => rest.to_vec(),
        };
        let variable = variable.text.clone();
        for value in values {
            self.scope_mut().set(&variable, value);
            match self.run(body) {
                End::Whole => {}
                End::Broken => break,
                End::Returned => return End::Returned,
            }
        }
        self.scope_mut().unset(&variable);
        End::Whole
    }

    pub(super) fn define(&mut self, header: &Command, body: &[Node]) {
        let mut words = self.scope().expand(&header.arguments).into_iter().map(|word| word.text);
        let Some(name) = words.next() else { return };
        let definition = Definition {
            is_macro: header.name == "macro",
            parameters: words.collect(),
            body: body.to_vec(),
        };
        self.definitions.insert(name.to_ascii_lowercase(), Rc::new(definition));
    }

    pub(super) fn call(&mut self, definition: &Definition, command: &Command) -> End {
        if self.depth >= DEEPEST {
            return End::Whole;
        }
        let words = self.scope().expand(&command.arguments);
        let list = |words: &[Word]| Word {
            text: words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(";"),
            known: words.iter().all(|word| word.known),
        };
        let mut scope = self.scope().clone();
        scope.set("ARGC", Word::known(words.len().to_string()));
        scope.set("ARGV", list(&words));
        scope.set("ARGN", list(words.get(definition.parameters.len()..).unwrap_or_default()));
        for (at, word) in words.iter().enumerate() {
            scope.set(&format!("ARGV{at}"), word.clone());
        }
        for (at, parameter) in definition.parameters.iter().enumerate() {
            scope.set(parameter, words.get(at).cloned().unwrap_or_else(|| Word::known("")));
        }
        self.depth += 1;
        match definition.is_macro {
            // A macro has no variables of its own; its parameters are texts, which is the same but for odd cases.
            true => *self.scope_mut() = scope,
            false => self.scopes.push(scope),
        }
        let end = self.run(&definition.body);
        if !definition.is_macro {
            self.scopes.pop();
        }
        self.depth -= 1;
        match (definition.is_macro, end) {
            (true, End::Returned) => End::Returned,
            _ => End::Whole,
        }
    }
}
