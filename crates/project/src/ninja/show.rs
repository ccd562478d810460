//! What the tools show: targets, rules, neighbours, commands.

use std::{collections::BTreeSet, fmt::Write};

use super::{EdgeId, Graph, NodeId, Quoting};
use crate::diagnostic::Diagnostic;

impl Graph {
    /// Returns `targets` and what they need, as a tree of so many levels. For 0, it has all there are, and what
    /// was shown before is shown again without what it needs.
    pub fn targets_by_depth(&self, targets: &[NodeId], depth: usize) -> String {
        let mut out = String::new();
        let mut stack: Vec<(NodeId, usize)> = targets.iter().rev().map(|&id| (id, 0)).collect();
        let mut shown = vec![false; self.node_count()];
        while let Some((id, level)) = stack.pop() {
            let path = &self.node(id).path;
            let indent = "  ".repeat(level);
            let Some(edge) = self.node(id).made_by else {
                let _ = writeln!(out, "{indent}{path}");
                continue;
            };
            let _ = writeln!(out, "{indent}{path}: {}", self.rule(edge).name);
            let again = std::mem::replace(&mut shown[id.index()], true);
            if level + 1 < depth || depth == 0 && !again {
                stack.extend(self.edge(edge).inputs.iter().rev().map(|&need| (need, level + 1)));
            }
        }
        out
    }

    /// Returns every output with its rule.
    pub fn all_targets(&self) -> String {
        let mut out = String::new();
        for id in self.edges() {
            for &output in &self.edge(id).outputs {
                let _ = writeln!(out, "{}: {}", self.node(output).path, self.rule(id).name);
            }
        }
        out
    }

    /// Returns the outputs of the edges of a rule, sorted; without a rule, the sources.
    pub fn targets_of_rule(&self, rule: Option<&str>) -> String {
        let mut found: BTreeSet<&NodeId> = BTreeSet::new();
        for id in self.edges() {
            let edge = self.edge(id);
            match rule {
                Some(rule) if rule == &*self.rule(id).name => found.extend(&edge.outputs),
                Some(_) => {}
                None => {
                    found.extend(edge.inputs.iter().filter(|id| self.node(**id).made_by.is_none()));
                }
            }
        }
        let paths: BTreeSet<&str> = found.into_iter().map(|id| &*self.node(*id).path).collect();
        paths.into_iter().map(|path| format!("{path}\n")).collect()
    }

    /// Returns the names of all rules, sorted; with what they say they do, where that is wanted.
    pub fn rule_names(&self, described: bool) -> String {
        let mut lines = BTreeSet::new();
        for rule in &self.rules {
            let description = described.then(|| rule.bindings.get("description")).flatten();
            lines.insert(match description {
                Some(text) => {
                    let mut said = String::new();
                    let _ = text.evaluate(&mut said, |name, out| {
                        let _ = write!(out, "${{{name}}}");
                        Ok::<_, ()>(())
                    });
                    format!("{}: {said}\n", rule.name)
                }
                None => format!("{}\n", rule.name),
            });
        }
        lines.into_iter().collect()
    }

    /// Returns what a node is made from, and what is made from it.
    pub fn neighbours(&self, id: NodeId) -> String {
        let mut out = format!("{}:\n", self.node(id).path);
        if let Some(made_by) = self.node(id).made_by {
            let edge = self.edge(made_by);
            let _ = writeln!(out, "  input: {}", self.rule(made_by).name);
            for (position, input) in edge.inputs.iter().enumerate() {
                let mark = match position {
                    _ if position < edge.explicit_inputs().len() => "",
                    _ if position < edge.deciding_inputs().len() => "| ",
                    _ => "|| ",
                };
                let _ = writeln!(out, "    {mark}{}", self.node(*input).path);
            }
            if !edge.validations.is_empty() {
                out.push_str("  validations:\n");
                for node in &edge.validations {
                    let _ = writeln!(out, "    {}", self.node(*node).path);
                }
            }
        }
        out.push_str("  outputs:\n");
        for user in self.edges().filter(|user| self.edge(*user).inputs.contains(&id)) {
            for output in &self.edge(user).outputs {
                let _ = writeln!(out, "    {}", self.node(*output).path);
            }
        }
        out
    }

    /// Returns the commands of `edges`, one a line.
    ///
    /// # Errors
    /// Variables of a rule need each other.
    pub fn commands(&self, edges: &[EdgeId]) -> Result<String, Diagnostic> {
        let mut out = String::new();
        for &id in edges.iter().filter(|id| !self.is_phony(**id)) {
            out.push_str(&self.command(id)?);
            out.push('\n');
        }
        Ok(out)
    }

    /// Returns all files that the commands of `edges` take, sorted, each as a shell takes it.
    pub fn inputs_of(&self, edges: &[EdgeId]) -> String {
        let mut found = BTreeSet::new();
        for &id in edges {
            let edge = self.edge(id);
            found.extend(edge.inputs.iter().filter(|input| {
                let made_by = self.node(**input).made_by;
                made_by.is_none_or(|maker| !self.is_phony(maker))
            }));
        }
        let mut paths = BTreeSet::new();
        for &id in found {
            let mut path = String::new();
            super::scope::push_quoted(&mut path, &self.node(id).path);
            paths.insert(path);
        }
        paths.into_iter().map(|path| format!("{path}\n")).collect()
    }

    /// Returns where the statement of an edge stands: `FILE:LINE`, from the build directory.
    pub fn statement(&self, id: EdgeId) -> String {
        let (file, span) = &self.edge(id).place;
        let source = &self.files[*file];
        let path = source.path.strip_prefix(&self.directory).unwrap_or(&source.path);
        let before = &source.text.as_bytes()[..span.start.min(source.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", path.display())
    }

    /// Returns what people are told when an edge is built: its description, else its command.
    ///
    /// # Errors
    /// Variables of its rule need each other.
    pub fn description(&self, id: EdgeId) -> Result<String, Diagnostic> {
        let said = self.variable(id, "description", Quoting::Shell)?;
        if said.is_empty() { self.command(id) } else { Ok(said) }
    }
}
