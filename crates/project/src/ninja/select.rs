//! Targets: which nodes the command line means, and everything that they need.

use super::{EdgeId, Graph, NodeId, canonical};
use crate::diagnostic::{Diagnostic, suggest};

/// How far an edge is on its way into an order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

impl Graph {
    /// Returns the node that a target on the command line means: a path, or `SOURCE^` for the first output
    /// that is made from it.
    ///
    /// # Errors
    /// There is none.
    pub fn target(&self, name: &str) -> Result<NodeId, Diagnostic> {
        if name.is_empty() {
            return Err(Diagnostic::new("an empty name is no target"));
        }
        let (path, of_source) = match name.strip_suffix('^') {
            Some(path) => (path, true),
            None => (name, false),
        };
        let path = canonical(path);
        let Some(node) = self.find(&path) else {
            let unknown = Diagnostic::new(format!("there is no target `{path}`"));
            return Err(
                match (&*path, suggest(&path, self.nodes.iter().map(|node| &*node.path))) {
                    ("clean", _) => unknown.help("did you mean `-t clean`?"),
                    ("help", _) => unknown.help("did you mean `-h`?"),
                    (_, Some(meant)) => unknown.help(format!("did you mean `{meant}`?")),
                    (_, None) => unknown,
                },
            );
        };
        if !of_source {
            return Ok(node);
        }
        let uses = |id: &EdgeId| self.edge(*id).inputs.contains(&node);
        let first = self.edges().find(uses).and_then(|id| self.edge(id).outputs.first());
        first.copied().ok_or_else(|| Diagnostic::new(format!("nothing is made from `{path}`")))
    }

    /// Returns what is built where nothing is asked for: the file's defaults, else all that nothing else
    /// needs.
    ///
    /// # Errors
    /// There is no such thing, since all edges need each other.
    pub fn default_targets(&self) -> Result<Vec<NodeId>, Diagnostic> {
        if !self.defaults.is_empty() {
            return Ok(self.defaults.clone());
        }
        let mut needed = vec![false; self.nodes.len()];
        for edge in &self.edges {
            edge.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
        let outputs = self.edges.iter().flat_map(|edge| &edge.outputs);
        let roots: Vec<NodeId> =
            outputs.filter(|output| !needed[output.index()]).copied().collect();
        if roots.is_empty() && !self.edges.is_empty() {
            return Err(Diagnostic::new("every output is needed by another: there is no target"));
        }
        Ok(roots)
    }

    /// Returns the edges that `targets` and their validations need, needs first.
    ///
    /// # Errors
    /// Some of them need each other.
    pub fn closure(&self, targets: &[NodeId]) -> Result<Vec<EdgeId>, Diagnostic> {
        let mut marks = vec![Mark::New; self.edges.len()];
        let mut order = Vec::new();
        let mut waiting: Vec<NodeId> = targets.iter().rev().copied().collect();
        while let Some(target) = waiting.pop() {
            let known = order.len();
            self.visit(target, &mut marks, &mut order)?;
            // A validation may need what it validates, so it comes after.
            for id in &order[known..] {
                waiting.extend(self.edge(*id).validations.iter().rev());
            }
        }
        Ok(order)
    }

    fn visit(
        &self,
        target: NodeId,
        marks: &mut [Mark],
        order: &mut Vec<EdgeId>,
    ) -> Result<(), Diagnostic> {
        // On a stack of its own: a chain may be as long as a build file.
        let mut stack: Vec<(EdgeId, NodeId, usize)> = Vec::new();
        let mut next = Some(target);
        loop {
            if let Some(node) = next.take()
                && let Some(id) = self.node(node).made_by
            {
                match marks[id.index()] {
                    Mark::Done => {}
                    Mark::Open => return Err(self.cycle(&stack, id, node)),
                    Mark::New => {
                        marks[id.index()] = Mark::Open;
                        stack.push((id, node, 0));
                    }
                }
            }
            let Some((id, _, position)) = stack.last_mut() else { return Ok(()) };
            let edge = self.edge(*id);
            next = edge.inputs.get(*position).copied();
            *position += 1;
            if next.is_none() {
                marks[id.index()] = Mark::Done;
                order.push(*id);
                stack.pop();
            }
        }
    }

    fn cycle(&self, stack: &[(EdgeId, NodeId, usize)], id: EdgeId, node: NodeId) -> Diagnostic {
        let first = stack.iter().position(|(open, ..)| *open == id).unwrap_or(0);
        let on_way = stack[first + 1..].iter().map(|(_, node, _)| *node);
        // It is the same edge, though it may be another of its outputs.
        let names = [node].into_iter().chain(on_way).chain([node]);
        let names: Vec<&str> = names.map(|node| &*self.node(node).path).collect();
        Diagnostic::new(format!("a cycle: {}", names.join(" -> ")))
    }
}
