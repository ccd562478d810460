//! Variables and rules, and where their names hold.

use rustc_hash::FxHashMap;

use super::lexer::Piece;

/// A text with variables in it, kept to be evaluated later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Kept>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Text(Box<str>),
    Variable(Box<str>),
}

impl Template {
    pub fn new(pieces: &[Piece<'_>]) -> Self {
        let keep = |piece: &Piece<'_>| match *piece {
            Piece::Text(text) => Kept::Text(text.into()),
            Piece::Variable(name) => Kept::Variable(name.into()),
        };
        Self(pieces.iter().map(keep).collect())
    }

    /// Adds what it comes to, to `out`; `variable` adds the value of a variable.
    pub fn evaluate<E>(
        &self,
        out: &mut String,
        mut variable: impl FnMut(&str, &mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        for piece in &self.0 {
            match piece {
                Kept::Text(text) => out.push_str(text),
                Kept::Variable(name) => variable(name, out)?,
            }
        }
        Ok(())
    }
}

/// A rule: how outputs are made, with variables to be filled in for each edge.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    pub(super) bindings: FxHashMap<Box<str>, Template>,
}

impl Rule {
    /// The names of variables that rules may bind.
    pub(super) const BINDINGS: &[&str] = &[
        "command",
        "depfile",
        "deps",
        "description",
        "dyndep",
        "generator",
        "msvc_deps_prefix",
        "pool",
        "restat",
        "rspfile",
        "rspfile_content",
    ];
}

/// How the names of files are written where `$in` and `$out` stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// For a shell.
    Shell,
    /// As they are.
    None,
}

/// The variables and rules of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The file that has it as `subninja`.
    pub parent: Option<usize>,
    pub variables: FxHashMap<Box<str>, Box<str>>,
    pub rules: FxHashMap<Box<str>, usize>,
}

/// All scopes of a graph, by position.
#[derive(Debug, Clone, Default)]
pub(super) struct Scopes(pub Vec<Scope>);

impl Scopes {
    /// Makes a scope inside `parent`.
    pub fn add(&mut self, parent: Option<usize>) -> usize {
        self.0.push(Scope { parent, ..Scope::default() });
        self.0.len() - 1
    }

    fn chain(&self, scope: usize) -> impl Iterator<Item = &Scope> {
        let mut next = Some(scope);
        std::iter::from_fn(move || {
            let scope = self.0.get(next?)?;
            next = scope.parent;
            Some(scope)
        })
    }

    /// Returns a variable's value in `scope`.
    pub fn variable(&self, scope: usize, name: &str) -> Option<&str> {
        self.chain(scope).find_map(|scope| scope.variables.get(name)).map(|value| &**value)
    }

    /// Returns the position of the rule that `name` is in `scope`.
    pub fn rule(&self, scope: usize, name: &str) -> Option<usize> {
        self.chain(scope).find_map(|scope| scope.rules.get(name)).copied()
    }

    /// Returns the names of the rules of `scope`.
    pub fn rule_names(&self, scope: usize) -> impl Iterator<Item = &str> {
        self.chain(scope).flat_map(|scope| scope.rules.keys()).map(|name| &**name)
    }

    /// Adds what `pieces` come to in `scope`.
    pub fn evaluate(&self, scope: usize, pieces: &[Piece<'_>], out: &mut String) {
        for piece in pieces {
            match *piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => out.push_str(self.variable(scope, name).unwrap_or("")),
            }
        }
    }
}

/// Adds `path` as one word for a shell.
pub(super) fn push_quoted(out: &mut String, path: &str) {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_+-./".contains(&c);
    if path.bytes().all(plain) {
        out.push_str(path);
        return;
    }
    out.push('\'');
    for c in path.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            c => out.push(c),
        }
    }
    out.push('\'');
}
