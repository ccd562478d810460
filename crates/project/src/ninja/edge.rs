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
    pub(super) bindings: Vec<Binding>,
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
    /// How many of the implicit inputs, the last of them, such a file told of.
    pub(super) told_inputs: usize,
    /// Whether such a file says `restat`.
    pub(super) dyndep_restat: bool,
    /// The file that it stands in, by position, and where.
    pub(super) place: (usize, Range<usize>),
}

/// A variable of an edge.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    /// Its name, and its value after that.
    text: Box<str>,
    name: usize,
}

impl Binding {
    /// The variable whose name is the first `name` bytes of `text`, and whose value is the rest.
    pub fn new(text: &str, name: usize) -> Self {
        Self { text: text.into(), name }
    }

    pub fn is(&self, name: &str) -> bool {
        self.text[..self.name] == *name
    }

    pub fn value(&self) -> &str {
        &self.text[self.name..]
    }
}

/// The rules and scopes that bind a variable.
pub(super) struct Binders {
    name: &'static str,
    rules: Vec<bool>,
    scopes: Vec<bool>,
}

impl Binders {
    /// Whether anything binds it for `edge`.
    pub fn may_bind(&self, edge: &Edge) -> bool {
        self.rules[edge.rule]
            || self.scopes[edge.scope]
            || edge.bindings.iter().any(|own| own.is(self.name))
    }
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

    /// Returns those of them that a `dyndep` file told of.
    pub fn told_inputs(&self) -> &[NodeId] {
        let deciding = self.deciding_inputs();
        &deciding[deciding.len() - self.told_inputs..]
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

/// The variables of a rule that are being evaluated, each within the next.
struct Way<'w> {
    name: &'w str,
    within: Option<&'w Way<'w>>,
}

impl Way<'_> {
    /// Returns the names on the way back to `name`, if it is on the way.
    fn cycle(way: Option<&Self>, name: &str) -> Option<String> {
        let mut names = vec![];
        let mut next = way;
        while let Some(here) = next {
            names.push(here.name);
            if here.name == name {
                names.reverse();
                names.push(name);
                return Some(names.join(" -> "));
            }
            next = here.within;
        }
        None
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
        self.add_variable(id, name, quoting, &mut value)?;
        Ok(value)
    }

    /// Adds what the variable `name` of an edge comes to, to `out`.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn add_variable(
        &self,
        id: EdgeId,
        name: &str,
        quoting: Quoting,
        out: &mut String,
    ) -> Result<(), Diagnostic> {
        self.push_variable(self.edge(id), name, quoting, None, out).map_err(|cycle| {
            let (file, span) = &self.edge(id).place;
            let rule = &self.rules[self.edge(id).rule].name;
            let message = format!("variables of the rule `{rule}` need each other: {cycle}");
            Diagnostic::new(message).at(&self.files[*file], span.clone())
        })
    }

    /// Returns the command of an edge.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn command(&self, id: EdgeId) -> Result<String, Diagnostic> {
        // Long enough for most.
        let mut command = String::with_capacity(256);
        self.add_variable(id, "command", Quoting::Shell, &mut command)?;
        Ok(command)
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
            || edge.bindings.iter().any(|own| own.is(name))
            || self.scopes.variable(edge.scope, name).is_some()
    }

    /// Returns which rules and scopes bind a variable: for whoever asks of many edges.
    pub(super) fn binders(&self, name: &'static str) -> Binders {
        let scopes = 0..self.scopes.0.len();
        Binders {
            name,
            rules: self.rules.iter().map(|rule| rule.bindings.contains_key(name)).collect(),
            scopes: scopes.map(|scope| self.scopes.variable(scope, name).is_some()).collect(),
        }
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

    fn push_variable(
        &self,
        edge: &Edge,
        name: &str,
        quoting: Quoting,
        within: Option<&Way<'_>>,
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
        if let Some(own) = edge.bindings.iter().rev().find(|own| own.is(name)) {
            out.push_str(own.value());
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
        if let Some(cycle) = Way::cycle(within, name) {
            return Err(cycle);
        }
        let way = Way { name: own, within };
        template.evaluate(out, |name, out| self.push_variable(edge, name, quoting, Some(&way), out))
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
