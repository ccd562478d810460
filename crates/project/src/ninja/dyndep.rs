//! Files that tell of the inputs and outputs of edges when these are built, such as those of C++ modules.

use std::ops::Range;

use super::{
    EdgeId, Graph, NodeId,
    lexer::{Lexer, Mistake, Piece, Token},
    path::canonical,
};
use crate::diagnostic::{Diagnostic, SourceText};

/// What such a file says of one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyndep {
    /// An output of the edge.
    pub output: String,
    /// Where that stands.
    span: Range<usize>,
    /// Further outputs.
    pub outputs: Vec<String>,
    /// Further inputs.
    pub inputs: Vec<String>,
    /// Whether outputs may stay as they are.
    pub restat: bool,
}

impl Dyndep {
    /// Reads such a file.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(source: &SourceText) -> Result<Vec<Self>, Diagnostic> {
        read(&source.text).map_err(|Mistake { span, message }| {
            let end = source.text.len();
            Diagnostic::new(message).at(source, span.start.min(end)..span.end.min(end))
        })
    }
}

fn read(text: &str) -> Result<Vec<Dyndep>, Mistake> {
    let mut lexer = Lexer::new(text);
    let mut found: Vec<Dyndep> = Vec::new();
    let mut versioned = false;
    loop {
        match lexer.next() {
            Token::Newline => {}
            Token::End if versioned => return Ok(found),
            Token::Build if versioned => found.push(edge(&mut lexer)?),
            Token::Name if !versioned => {
                lexer.back();
                version(&mut lexer)?;
                versioned = true;
            }
            _ if !versioned => {
                return Err(lexer.mistake("expected `ninja_dyndep_version = 1`"));
            }
            token => {
                return Err(lexer.mistake(format!("expected `build`, found {}", token.name())));
            }
        }
    }
}

fn version(lexer: &mut Lexer<'_>) -> Result<(), Mistake> {
    let name = lexer.name("`ninja_dyndep_version`")?;
    let mistake = lexer.mistake("expected `ninja_dyndep_version = 1`");
    lexer.expect(Token::Equals)?;
    let value = plain(lexer, |lexer, pieces| lexer.value(pieces))?;
    let number = |part: Option<&str>| {
        let digits = part.unwrap_or("0").split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let mut parts = value.splitn(2, '.');
    let version = (number(parts.next()), number(parts.next()));
    match name == "ninja_dyndep_version" && version == (Some(1), Some(0)) {
        true => Ok(()),
        false => Err(mistake),
    }
}

/// Reads a text in which there are no variables: nothing is bound in such a file.
fn plain<'t>(
    lexer: &mut Lexer<'t>,
    read: impl FnOnce(&mut Lexer<'t>, &mut Vec<Piece<'t>>) -> Result<(), Mistake>,
) -> Result<String, Mistake> {
    let mut pieces = Vec::new();
    read(lexer, &mut pieces)?;
    let text = |piece: &Piece<'t>| match *piece {
        Piece::Text(text) => text,
        Piece::Variable(_) => "",
    };
    Ok(pieces.iter().map(text).collect())
}

fn paths(lexer: &mut Lexer<'_>) -> Result<Vec<String>, Mistake> {
    let mut found = Vec::new();
    loop {
        let path = plain(lexer, |lexer, pieces| lexer.path(pieces))?;
        if path.is_empty() {
            return Ok(found);
        }
        found.push(canonical(&path).into_owned());
    }
}

fn edge(lexer: &mut Lexer<'_>) -> Result<Dyndep, Mistake> {
    let begin = lexer.position();
    let mut explicit = paths(lexer)?;
    let span = begin..lexer.position().max(begin + 1);
    let [output] = &mut explicit[..] else {
        let message = "expected one output".to_owned();
        return Err(Mistake { span, message });
    };
    let output = std::mem::take(output);
    let outputs = if lexer.takes(Token::Pipe) { paths(lexer)? } else { Vec::new() };
    lexer.expect(Token::Colon)?;
    if lexer.name("`dyndep`")? != "dyndep" {
        return Err(lexer.mistake("expected `dyndep`"));
    }
    if !paths(lexer)?.is_empty() {
        return Err(lexer.mistake("explicit inputs have no place here"));
    }
    let inputs = if lexer.takes(Token::Pipe) { paths(lexer)? } else { Vec::new() };
    if lexer.takes(Token::PipePipe) {
        return Err(lexer.mistake("order-only inputs have no place here"));
    }
    lexer.expect(Token::Newline)?;
    let mut restat = false;
    if lexer.takes(Token::Indent) {
        let name = lexer.name("`restat`")?;
        let mistake = lexer.mistake(format!("expected `restat`, found `{name}`"));
        lexer.expect(Token::Equals)?;
        let value = plain(lexer, |lexer, pieces| lexer.value(pieces))?;
        if name != "restat" {
            return Err(mistake);
        }
        restat = !value.is_empty();
    }
    Ok(Dyndep { output, span, outputs, inputs, restat })
}

impl Graph {
    /// Adds to the edges that are to be told of by the file `node` what it says of them.
    ///
    /// # Errors
    /// It cannot be read, or does not speak of just those edges.
    pub fn load_dyndep(&mut self, node: NodeId) -> Result<(), Diagnostic> {
        let path = self.node(node).path.clone();
        let file = self.read(&path, None)?;
        let source = self.files[file].clone();
        let waiting: Vec<EdgeId> =
            self.edges().filter(|&id| self.edge(id).dyndep == Some(node)).collect();
        let mut told = Vec::with_capacity(waiting.len());
        for dyndep in Dyndep::parse(&source)? {
            let wrong = |message: String| Diagnostic::new(message).at(&source, dyndep.span.clone());
            let made_by = self.find(&dyndep.output).and_then(|output| self.node(output).made_by);
            let Some(id) = made_by.filter(|id| waiting.contains(id)) else {
                let message =
                    format!("`{}` does not take its inputs from this file", dyndep.output);
                return Err(wrong(message));
            };
            if told.contains(&id) {
                return Err(wrong(format!("`{}` is told of twice", dyndep.output)));
            }
            told.push(id);
            self.add_dyndep(id, &dyndep).map_err(wrong)?;
        }
        if let Some(id) = waiting.iter().find(|id| !told.contains(id)) {
            let output = &self.node(self.edge(*id).outputs[0]).path;
            let message =
                format!("{path} does not tell of `{output}`, which takes its inputs from it");
            return Err(Diagnostic::new(message));
        }
        waiting.iter().for_each(|id| self.edges[id.index()].dyndep = None);
        Ok(())
    }

    fn add_dyndep(&mut self, id: EdgeId, dyndep: &Dyndep) -> Result<(), String> {
        for output in &dyndep.outputs {
            let output = self.intern(output);
            let node = &mut self.nodes[output.index()];
            if node.made_by.replace(id).is_some_and(|other| other != id) {
                return Err(format!("`{}` is made twice", node.path));
            }
            let edge = &mut self.edges[id.index()];
            if !edge.outputs.contains(&output) {
                edge.outputs.push(output);
            }
        }
        for input in &dyndep.inputs {
            let input = self.intern(input);
            let edge = &mut self.edges[id.index()];
            edge.inputs.insert(edge.explicit_inputs + edge.implicit_inputs, input);
            edge.implicit_inputs += 1;
            edge.told_inputs += 1;
        }
        self.edges[id.index()].dyndep_restat |= dyndep.restat;
        Ok(())
    }
}
