//! Build files, statement by statement.

use std::ops::Range;

use super::{
    Edge, Graph, NodeId, Rule, VERSION,
    edge::{Binding, EdgeId},
    lexer::{Lexer, Mistake, Piece, Token},
    path::canonical,
    scope::Template,
};
use crate::diagnostic::{Diagnostic, SourceText, suggest};

/// Files may include each other so deep.
const DEEPEST: usize = 100;

/// Reads one file into a graph.
pub(super) struct Parser<'t, 'g> {
    graph: &'g mut Graph,
    source: &'t SourceText,
    file: usize,
    scope: usize,
    depth: usize,
    lexer: Lexer<'t>,
    /// The pieces of texts that are being read.
    pieces: Vec<Piece<'t>>,
    /// The paths among them.
    reads: Vec<Read>,
    /// A text that is being put together.
    text: String,
}

/// A path that has been read and not evaluated: its pieces, and where it stands.
type Read = (Range<usize>, Range<usize>);

type Parsed<T = ()> = Result<T, Diagnostic>;

impl Parser<'_, '_> {
    /// Reads the file at a position of `graph` into one of its scopes.
    pub fn parse(graph: &mut Graph, file: usize, scope: usize) -> Parsed {
        Self::parse_at(graph, file, scope, 0)
    }

    fn parse_at(graph: &mut Graph, file: usize, scope: usize, depth: usize) -> Parsed {
        let source = graph.files[file].clone();
        let lexer = Lexer::new(&source.text);
        let source = &source;
        let (pieces, reads, text) = (Vec::new(), Vec::new(), String::new());
        Parser { graph, source, file, scope, depth, lexer, pieces, reads, text }.statements()
    }
}

impl<'t> Parser<'t, '_> {
    fn said(&self, mistake: Mistake) -> Diagnostic {
        self.wrong(mistake.span, mistake.message)
    }

    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        // What is missing may be missing at the end of the file.
        let end = self.source.text.len();
        Diagnostic::new(message).at(self.source, span.start.min(end)..span.end.min(end))
    }

    fn expect(&mut self, token: Token) -> Parsed {
        self.lexer.expect(token).map_err(|mistake| self.said(mistake))
    }

    fn name(&mut self, wanted: &str) -> Parsed<(&'t str, Range<usize>)> {
        let name = self.lexer.name(wanted).map_err(|mistake| self.said(mistake))?;
        let start = self.lexer.last().start;
        Ok((name, start..start + name.len()))
    }

    fn statements(mut self) -> Parsed {
        loop {
            match self.lexer.next() {
                Token::Build => self.edge()?,
                Token::Rule => self.rule()?,
                Token::Pool => self.pool()?,
                Token::Default => self.default()?,
                Token::Include => self.include(false)?,
                Token::Subninja => self.include(true)?,
                Token::Name => {
                    self.lexer.back();
                    let (name, value, span) = self.binding()?;
                    if name == "ninja_required_version" {
                        self.check_version(&value, span)?;
                    }
                    self.graph.scopes.0[self.scope].variables.insert(name.into(), value.into());
                }
                Token::Newline => {}
                Token::End => return Ok(()),
                token => {
                    let span = self.lexer.last();
                    let message = match self.source.text.get(span.clone()) {
                        Some(text) if text.starts_with('\t') => {
                            "a tab where a statement should begin; lines are indented by blanks"
                                .to_owned()
                        }
                        _ => format!("expected a statement, found {}", token.name()),
                    };
                    return Err(self.said(self.lexer.mistake(message)));
                }
            }
        }
    }

    /// Reads `NAME = VALUE`; the value is evaluated in this file's scope.
    fn binding(&mut self) -> Parsed<(&'t str, String, Range<usize>)> {
        let (name, _) = self.name("a variable's name")?;
        self.expect(Token::Equals)?;
        let begin = self.lexer.position();
        self.value()?;
        let mut value = String::new();
        self.graph.scopes.evaluate(self.scope, &self.pieces, &mut value);
        Ok((name, value, begin..begin + 1))
    }

    fn value(&mut self) -> Parsed {
        self.pieces.clear();
        self.lexer.value(&mut self.pieces).map_err(|mistake| self.said(mistake))
    }

    fn check_version(&mut self, wanted: &str, span: Range<usize>) -> Parsed {
        let numbers = |version: &str| {
            let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
        };
        if numbers(wanted) <= numbers(VERSION) {
            return Ok(());
        }
        let message =
            format!("this file needs ninja {wanted}, and what is understood is that of {VERSION}");
        Err(self.wrong(span, message))
    }

    fn rule(&mut self) -> Parsed {
        let (name, span) = self.name("a rule's name")?;
        self.expect(Token::Newline)?;
        if self.graph.scopes.0[self.scope].rules.contains_key(name) {
            return Err(self.wrong(span, format!("there is a rule `{name}` already")));
        }
        let mut bindings: Vec<(&str, Template)> = Vec::new();
        while self.lexer.takes(Token::Indent) {
            let (key, place) = self.name("a variable's name")?;
            self.expect(Token::Equals)?;
            self.value()?;
            if !Rule::BINDINGS.contains(&key) {
                let wrong = self.wrong(place, format!("rules have no variable `{key}`"));
                let known = Rule::BINDINGS.iter().copied();
                return Err(match suggest(key, known) {
                    Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
                    None => wrong.help("variables of other names belong into the file or an edge"),
                });
            }
            bindings.push((key, Template::new(&self.pieces)));
        }
        let has = |key: &str| bindings.iter().any(|(known, _)| *known == key);
        self.lexer.refuse_tab().map_err(|mistake| self.said(mistake))?;
        if !has("command") {
            return Err(self.wrong(span, format!("the rule `{name}` has no `command`")));
        }
        if has("rspfile") != has("rspfile_content") {
            let message = "`rspfile` and `rspfile_content` are given together, or neither is";
            return Err(self.wrong(span, message));
        }
        self.graph.add_rule(self.scope, name, bindings);
        Ok(())
    }

    fn pool(&mut self) -> Parsed {
        let (name, span) = self.name("a pool's name")?;
        self.expect(Token::Newline)?;
        if self.graph.pools.contains_key(name) {
            return Err(self.wrong(span, format!("there is a pool `{name}` already")));
        }
        let mut depth = None;
        while self.lexer.takes(Token::Indent) {
            let (key, value, place) = self.binding()?;
            if key != "depth" {
                return Err(self.wrong(place, format!("pools have no variable `{key}`")));
            }
            let Ok(number) = value.trim().parse::<usize>() else {
                return Err(self.wrong(place, format!("`{value}` is no depth of a pool")));
            };
            depth = Some(number);
        }
        let Some(depth) = depth else {
            return Err(self.wrong(span, format!("the pool `{name}` has no `depth`")));
        };
        self.graph.pools.insert(name.into(), depth);
        Ok(())
    }

    fn default(&mut self) -> Parsed {
        self.begin();
        let paths = self.paths()?;
        if paths.is_empty() {
            let here = self.lexer.position();
            return Err(self.wrong(here..here + 1, "expected the name of a target"));
        }
        for (pieces, span) in std::mem::take(&mut self.reads) {
            self.evaluate(&pieces, &span, &[])?;
            let path = canonical(&self.text);
            let Some(node) = self.graph.find(&path) else {
                return Err(self.wrong(span, format!("there is no target `{path}`")));
            };
            self.graph.defaults.push(node);
        }
        self.expect(Token::Newline)
    }

    fn include(&mut self, own_scope: bool) -> Parsed {
        let Some(path) = self.path()? else {
            let here = self.lexer.position();
            return Err(self.wrong(here..here + 1, "expected the path of a build file"));
        };
        let span = path.1.clone();
        let mut file = String::new();
        self.graph.scopes.evaluate(self.scope, &self.pieces[path.0], &mut file);
        self.pieces.clear();
        self.expect(Token::Newline)?;
        if self.depth >= DEEPEST {
            return Err(self.wrong(span, "build files include each other without an end"));
        }
        let source = self.source;
        let at_place = move |error: Diagnostic| match error.place {
            None => error.at(source, span.clone()),
            Some(_) => error,
        };
        let read = self.graph.read(&file, Some(&at_place))?;
        let scope = if own_scope { self.graph.scopes.add(Some(self.scope)) } else { self.scope };
        Parser::parse_at(self.graph, read, scope, self.depth + 1)
    }

    /// Reads a path; none, where there is none.
    fn path(&mut self) -> Parsed<Option<Read>> {
        let (begin, first) = (self.lexer.position(), self.pieces.len());
        self.lexer.path(&mut self.pieces).map_err(|mistake| self.said(mistake))?;
        let text = &self.source.text[begin..self.lexer.position()];
        let span = begin..begin + text.trim_end().len();
        Ok((self.pieces.len() > first).then_some((first..self.pieces.len(), span)))
    }

    /// Forgets the paths that were read.
    fn begin(&mut self) {
        self.pieces.clear();
        self.reads.clear();
    }

    /// Reads paths, and returns where they are among those that were read.
    fn paths(&mut self) -> Parsed<Range<usize>> {
        let first = self.reads.len();
        while let Some(path) = self.path()? {
            self.reads.push(path);
        }
        Ok(first..self.reads.len())
    }

    fn paths_after(&mut self, token: Token) -> Parsed<Range<usize>> {
        let none = self.reads.len()..self.reads.len();
        if self.lexer.takes(token) { self.paths() } else { Ok(none) }
    }

    /// Puts together the path of these pieces, as an edge with these variables has it.
    fn evaluate(
        &mut self,
        pieces: &Range<usize>,
        span: &Range<usize>,
        bindings: &[Binding],
    ) -> Parsed {
        self.text.clear();
        for piece in &self.pieces[pieces.clone()] {
            match *piece {
                Piece::Text(text) => self.text.push_str(text),
                Piece::Variable(name) => {
                    let own = bindings.iter().rev().find(|own| own.is(name));
                    let file = || self.graph.scopes.variable(self.scope, name);
                    self.text.push_str(own.map(Binding::value).or_else(file).unwrap_or(""));
                }
            }
        }
        match self.text.is_empty() {
            true => Err(self.wrong(span.clone(), "an empty path")),
            false => Ok(()),
        }
    }

    /// Returns the nodes of paths that were read.
    fn nodes(&mut self, read: &Range<usize>, bindings: &[Binding]) -> Parsed<Vec<NodeId>> {
        let mut nodes = Vec::with_capacity(read.len());
        for at in read.clone() {
            let (pieces, span) = self.reads[at].clone();
            // Most paths are one piece.
            let node = match self.pieces[pieces.clone()] {
                [Piece::Text(text)] if !text.is_empty() => self.graph.intern(&canonical(text)),
                _ => {
                    self.evaluate(&pieces, &span, bindings)?;
                    self.graph.intern(&canonical(&self.text))
                }
            };
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn edge(&mut self) -> Parsed {
        let statement = self.lexer.last().start;
        self.begin();
        let explicit = self.paths()?;
        let implicit = self.paths_after(Token::Pipe)?;
        if explicit.is_empty() && implicit.is_empty() {
            let here = self.lexer.position();
            return Err(self.wrong(here..here + 1, "expected the path of an output"));
        }
        self.expect(Token::Colon)?;
        let (rule_name, rule_span) = self.name("the name of a rule")?;
        let Some(rule) = self.graph.scopes.rule(self.scope, rule_name) else {
            let wrong = self.wrong(rule_span, format!("there is no rule `{rule_name}`"));
            return Err(match suggest(rule_name, self.graph.scopes.rule_names(self.scope)) {
                Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
                None => wrong,
            });
        };
        let inputs = self.paths()?;
        let implicit_inputs = self.paths_after(Token::Pipe)?;
        let order_only = self.paths_after(Token::PipePipe)?;
        let validations = self.paths_after(Token::PipeAt)?;
        self.expect(Token::Newline)?;
        let place = (self.file, statement..rule_span.end);
        let bindings = self.edge_bindings()?;
        // They stand beside each other, outputs before inputs.
        let edge = Edge {
            rule,
            scope: self.scope,
            outputs: self.nodes(&(explicit.start..implicit.end), &bindings)?,
            explicit_outputs: explicit.len(),
            inputs: self.nodes(&(inputs.start..order_only.end), &bindings)?,
            explicit_inputs: inputs.len(),
            implicit_inputs: implicit_inputs.len(),
            validations: self.nodes(&validations, &bindings)?,
            dyndep: None,
            told_inputs: 0,
            dyndep_restat: false,
            place,
            bindings,
        };
        self.add(edge)
    }

    fn edge_bindings(&mut self) -> Parsed<Vec<Binding>> {
        let mut bindings: Vec<Binding> = Vec::new();
        let read = self.pieces.len();
        while self.lexer.takes(Token::Indent) {
            let (name, _) = self.name("a variable's name")?;
            self.expect(Token::Equals)?;
            self.pieces.truncate(read);
            let begin = self.lexer.position();
            self.lexer.value(&mut self.pieces).map_err(|mistake| self.said(mistake))?;
            self.text.clear();
            self.text.push_str(name);
            self.graph.scopes.evaluate(self.scope, &self.pieces[read..], &mut self.text);
            let binding = Binding::new(&self.text, name.len());
            let value = binding.value();
            if name == "pool" && !value.is_empty() && !self.graph.pools.contains_key(value) {
                let message = format!("there is no pool `{value}`");
                return Err(self.wrong(begin..begin + value.len().max(1), message));
            }
            bindings.push(binding);
        }
        self.pieces.truncate(read);
        Ok(bindings)
    }

    /// Adds an edge, whose outputs were the first paths to be read.
    fn add(&mut self, mut edge: Edge) -> Parsed {
        let id = EdgeId(self.graph.edges.len() as u32);
        for (&output, (_, span)) in edge.outputs.iter().zip(&self.reads) {
            let node = &mut self.graph.nodes[output.index()];
            if node.made_by.replace(id).is_some() {
                let message = format!("`{}` is made twice", node.path);
                return Err(self.wrong(span.clone(), message));
            }
        }
        // Old versions of CMake write such.
        if edge.rule == 0
            && let [output] = edge.outputs[..]
            && edge.implicit_inputs == 0
            && edge.inputs.contains(&output)
        {
            let is_it = |input: &&NodeId| **input == output;
            edge.explicit_inputs -= edge.explicit_inputs().iter().filter(is_it).count();
            edge.inputs.retain(|input| *input != output);
            let path = &self.graph.nodes[output.index()].path;
            self.graph.warnings.push(format!("`{path}` names itself as an input; that is ignored"));
        }
        self.graph.edges.push(edge);
        Ok(())
    }
}
