//! Looking at a graph: what its files are, and which edges are up to date.

use std::io;

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{EdgeId, NodeId},
};
use larder_trace::{Content, ContentHash, MTime, Walk, describe_io};

use super::{
    edge::chain,
    run::{Fact, Run},
};
use crate::step::unique;

impl Run {
    /// Says which of `targets` is neither there nor made by anything.
    pub fn missing(&self, targets: &[NodeId]) -> Option<Diagnostic> {
        let gone = |node: &&NodeId| {
            self.graph().node(**node).made_by.is_none() && self.source(**node, None).is_err()
        };
        let node = targets.iter().find(gone)?;
        let path = &self.graph().node(*node).path;
        let message = format!("`{path}` is missing, and no rule makes it");
        Some(Diagnostic::new(message).failed())
    }

    /// Looks at a file that no edge makes.
    pub(super) fn source(&self, node: NodeId, walk: Option<&mut Walk<'_>>) -> io::Result<Fact> {
        let path = self.cx.places.opened(&self.place, &self.graph().node(node).path);
        let index = &self.cx.index;
        let found = match walk {
            Some(walk) => walk.file(path.as_str(), Content::Binary),
            None => index.file(path.as_str(), Content::Binary),
        };
        let (hashed, is_file) = match found {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                (index.file(path.as_str(), Content::Names)?, false)
            }
            found => (found?, true),
        };
        let (hash, mtime) = (hashed.hash, hashed.stat.mtime);
        Ok(Fact { hash, content: hash, mtime, is_file })
    }

    /// Looks at all edges, and returns those that are not known to be up to date.
    pub(super) fn scan(&self, order: &[EdgeId]) -> Result<Vec<EdgeId>, Diagnostics> {
        let mut walk = self.cx.index.walk();
        let mut pending = Vec::new();
        let mut wrong = Vec::new();
        for &id in order {
            let edge = self.graph().edge(id);
            if edge.outputs.iter().all(|output| self.fact(*output).is_some()) {
                continue;
            }
            let mut ready = true;
            for &input in &edge.inputs {
                if self.fact(input).is_some() {
                    continue;
                }
                match self.graph().node(input).made_by {
                    Some(_) => ready = false,
                    None => match self.source(input, Some(&mut walk)) {
                        Ok(fact) => self.know(input, fact),
                        Err(error) => wrong.push(self.unreadable(input, id, &error)),
                    },
                }
            }
            if !wrong.is_empty() {
                continue;
            }
            let known = ready
                && match self.graph().is_phony(id) {
                    true => self.alias(id),
                    false => self.vouched(id, &mut walk)?,
                };
            if !known {
                pending.push(id);
            }
        }
        wrong.truncate(20);
        if wrong.is_empty() { Ok(pending) } else { Err(Diagnostics(wrong)) }
    }

    fn unreadable(&self, input: NodeId, id: EdgeId, error: &io::Error) -> Diagnostic {
        let path = &self.graph().node(input).path;
        let user = &self.graph().node(self.graph().edge(id).outputs[0]).path;
        let message = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("`{path}`, needed by `{user}`, is missing, and no rule makes it")
            }
            _ => format!("cannot read `{path}`, needed by `{user}`: {}", describe_io(error)),
        };
        Diagnostic::new(message).failed()
    }

    /// Finds out what an edge comes to that runs nothing, and whose inputs are known.
    pub(super) fn alias(&self, id: EdgeId) -> bool {
        let edge = self.graph().edge(id);
        for &output in &edge.outputs {
            let fact = match edge.inputs.is_empty() {
                // Where it is not there either, whatever needs it is made in each build.
                true => self.source(output, None).unwrap_or_else(|_| Fact {
                    hash: unique(),
                    content: self.empty,
                    mtime: MTime::NONE,
                    is_file: false,
                }),
                false => {
                    let facts = edge.deciding_inputs().iter().filter_map(|node| self.fact(*node));
                    let mut all = Fact {
                        hash: ContentHash::from_bytes([0; 32]),
                        content: self.empty,
                        mtime: MTime::NONE,
                        is_file: false,
                    };
                    for fact in facts {
                        all.hash = chain(all.hash, "", fact.hash);
                        all.mtime = all.mtime.max(fact.mtime);
                    }
                    all
                }
            };
            self.know(output, fact);
        }
        true
    }

    /// Whether the stat index knows an edge to be up to date, with nothing to tell of it.
    fn vouched(&self, id: EdgeId, walk: &mut Walk<'_>) -> Result<bool, Diagnostic> {
        let check = self.cx.options.check_traces || self.cx.wants_everything();
        let texts = self.texts(id)?;
        let outputs = self.outputs(id);
        let dep_hash = self.dep_hash(id, &texts, &outputs);
        let Some(first) = outputs.first() else { return Ok(false) };
        let trace_path = self.place.trace_path(first);
        let Some(vouched) = walk.vouch(trace_path.as_str(), dep_hash, check) else {
            return Ok(false);
        };
        if vouched.read_trace || !vouched.on_disk {
            return Ok(false);
        }
        let found: Vec<_> = vouched.outputs().collect();
        let edge = self.graph().edge(id);
        let single =
            if let ([_], [only]) = (&found[..], &edge.outputs[..]) { Some(*only) } else { None };
        for &node in &edge.outputs {
            let path = || self.place.build_path(&self.place.written(&self.graph().node(node).path));
            let hashed = match single {
                Some(_) => Some(found[0].1),
                None => {
                    let path = path();
                    found.iter().find(|(at, _)| *at == path.as_str()).map(|(_, hashed)| *hashed)
                }
            };
            let Some(hashed) = hashed else { return Ok(false) };
            self.know(node, self.output_fact(id, hashed.hash, hashed.stat.mtime, dep_hash));
        }
        Ok(true)
    }

    /// Takes the outputs of an edge for up to date that are there.
    pub(super) fn take_as_they_are(&self, id: EdgeId) {
        for &output in &self.graph().edge(id).outputs {
            if let Ok(fact) = self.source(output, None) {
                self.know(output, fact);
            }
        }
    }

    /// Looks at an input of an edge that nothing makes.
    pub(super) fn look(&self, node: NodeId, user: EdgeId) -> Result<(), Diagnostic> {
        let fact = self.source(node, None);
        let fact = fact.map_err(|error| self.unreadable(node, user, &error))?;
        self.know(node, fact);
        Ok(())
    }
}
