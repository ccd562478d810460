//! Edges: how outputs are made from inputs, and what their variables come to.

use std::ops::Range;

use super::{Graph, NodeId, PHONY, Quoting, Rule, scope::push_quoted};
use crate::diagnostic::Diagnostic;

/// An edge of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub(super) u32);

impl EdgeId {
    /// Returns its position among the edges.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A `build` statement: outputs that one command makes from inputs.
#[derive(Debug, Clone)]
pub struct Edge {
    pub(super) rule: usize,
    pub(super) scope: usize,
    pub(super) bindings: Vec<(Box<str>, Box<str>)>,
    /// All outputs: explicit, then implicit ones.
    pub outputs: Vec<NodeId>,
    pub(super) explicit_outputs: usize,
    /// All inputs: explicit, then implicit, then order-only ones.
    pub inputs: Vec<NodeId>,
    pub(super) explicit_inputs: usize,
    pub(super) implicit_inputs: usize,
    /// Nodes to bring up to date with this one, which need not be there first.
    pub validations: Vec<NodeId>,
    /// The file that tells of further inputs and outputs, where there is one.
    pub dyndep: Option<NodeId>,
    /// Whether such a file says `restat`.
    pub(super) dyndep_restat: bool,
    /// The file that it stands in, by position, and where.
    pub(super) place: (usize, Range<usize>),
}

impl Edge {
    /// Returns the inputs that `$in` stands for.
    pub fn explicit_inputs(&self) -> &[NodeId] {
        &self.inputs[..self.explicit_inputs]
    }

    /// Returns the inputs that decide the outputs: explicit and implicit ones.
    pub fn deciding_inputs(&self) -> &[NodeId] {
        &self.inputs[..self.explicit_inputs + self.implicit_inputs]
    }

    /// Returns the inputs that only have to be there first.
    pub fn order_only_inputs(&self) -> &[NodeId] {
        &self.inputs[self.explicit_inputs + self.implicit_inputs..]
    }

    /// Returns the outputs that `$out` stands for.
    pub fn explicit_outputs(&self) -> &[NodeId] {
        &self.outputs[..self.explicit_outputs]
    }
}

impl Graph {
    /// Returns an edge.
    pub fn edge(&self, id: EdgeId) -> &Edge {
        &self.edges[id.index()]
    }

    /// Returns the rule of an edge.
    pub fn rule(&self, id: EdgeId) -> &Rule {
        &self.rules[self.edge(id).rule]
    }

    /// Whether an edge runs nothing.
    pub fn is_phony(&self, id: EdgeId) -> bool {
        // It is the first rule of every graph.
        self.edge(id).rule == 0 && &*self.rules[0].name == PHONY
    }

    /// Returns what the variable `name` of an edge comes to; empty where nothing binds it.
    ///
    /// # Errors
    /// Variables of its rule need each other.
    pub fn variable(&self, id: EdgeId, name: &str, quoting: Quoting) -> Result<String, Diagnostic> {
        let mut value = String::new();
        let mut path = Vec::new();
        self.push_variable(self.edge(id), name, quoting, &mut path, &mut value).map_err(
            |cycle| {
                let (file, span) = &self.edge(id).place;
                let rule = &self.rules[self.edge(id).rule].name;
                let message = format!("variables of the rule `{rule}` need each other: {cycle}");
                Diagnostic::new(message).at(&self.files[*file], span.clone())
            },
        )?;
        Ok(value)
    }

    /// Returns the command of an edge.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn command(&self, id: EdgeId) -> Result<String, Diagnostic> {
        self.variable(id, "command", Quoting::Shell)
    }

    /// Whether a variable of an edge is set to something.
    pub fn flag(&self, id: EdgeId, name: &str) -> bool {
        (name == "restat" && self.edge(id).dyndep_restat)
            || self.may_bind(id, name)
                && self.variable(id, name, Quoting::Shell).is_ok_and(|value| !value.is_empty())
    }

    /// Whether anything binds `name` for an edge.
    fn may_bind(&self, id: EdgeId, name: &str) -> bool {
        let edge = self.edge(id);
        self.rules[edge.rule].bindings.contains_key(name)
            || edge.bindings.iter().any(|(own, _)| &**own == name)
            || self.scopes.variable(edge.scope, name).is_some()
    }

    /// Returns a path that the variable `name` of an edge names; none where it is empty.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn path_variable(&self, id: EdgeId, name: &str) -> Result<Option<String>, Diagnostic> {
        if !self.may_bind(id, name) {
            return Ok(None);
        }
        let value = self.variable(id, name, Quoting::None)?;
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    fn push_variable<'g>(
        &'g self,
        edge: &'g Edge,
        name: &str,
        quoting: Quoting,
        path: &mut Vec<&'g str>,
        out: &mut String,
    ) -> Result<(), String> {
        let rule = &self.rules[edge.rule];
        let (paths, between) = match name {
            "in" => (edge.explicit_inputs(), " "),
            "in_newline" => (edge.explicit_inputs(), "\n"),
            "out" => (edge.explicit_outputs(), " "),
            _ => (&[][..], ""),
        };
        if !between.is_empty() {
            self.push_paths(paths, quoting, between, out);
            return Ok(());
        }
        if let Some((_, value)) = edge.bindings.iter().rev().find(|(own, _)| &**own == name) {
            out.push_str(value);
            return Ok(());
        }
        // An edge without variables of its own shares those of its file, which then come before the rule's.
        if edge.bindings.is_empty()
            && let Some(value) = self.scopes.0[edge.scope].variables.get(name)
        {
            out.push_str(value);
            return Ok(());
        }
        let Some((own, template)) = rule.bindings.get_key_value(name) else {
            out.push_str(self.scopes.variable(edge.scope, name).unwrap_or(""));
            return Ok(());
        };
        if let Some(at) = path.iter().position(|known| *known == name) {
            let mut names = path[at..].to_vec();
            names.push(own);
            return Err(names.join(" -> "));
        }
        path.push(own);
        template.evaluate(out, |name, out| self.push_variable(edge, name, quoting, path, out))?;
        path.pop();
        Ok(())
    }

    fn push_paths(&self, nodes: &[NodeId], quoting: Quoting, between: &str, out: &mut String) {
        for (position, &node) in nodes.iter().enumerate() {
            if position > 0 {
                out.push_str(between);
            }
            match quoting {
                Quoting::Shell => push_quoted(out, &self.node(node).path),
                Quoting::None => out.push_str(&self.node(node).path),
            }
        }
    }
}
