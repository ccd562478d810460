//! The graph in Graphviz's language.

use std::fmt::Write;

use super::{Graph, NodeId};
use crate::diagnostic::Diagnostic;

impl Graph {
    /// Returns everything that `targets` need, for Graphviz.
    ///
    /// # Errors
    /// Some of it needs each other.
    pub fn dot(&self, targets: &[NodeId]) -> Result<String, Diagnostic> {
        let mut out = String::from(
            "digraph ninja {\nrankdir=\"LR\"\nnode [fontsize=10, shape=box, height=0.25]\nedge [fontsize=10]\n",
        );
        let mut shown = vec![false; self.node_count()];
        // Writing to a string cannot fail.
        for id in self.closure(targets)? {
            let (edge, rule) = (self.edge(id), &self.rule(id).name);
            for &node in edge.inputs.iter().chain(&edge.outputs) {
                if !std::mem::replace(&mut shown[node.index()], true) {
                    let path = quoted(&self.node(node).path);
                    let _ = writeln!(out, "\"n{}\" [label={path}]", node.index());
                }
            }
            if let ([input], [output]) = (&edge.inputs[..], &edge.outputs[..]) {
                let (from, to) = (input.index(), output.index());
                let _ = writeln!(out, "\"n{from}\" -> \"n{to}\" [label={}]", quoted(rule));
                continue;
            }
            let own = id.index();
            let _ = writeln!(out, "\"e{own}\" [label={}, shape=ellipse]", quoted(rule));
            for output in &edge.outputs {
                let _ = writeln!(out, "\"e{own}\" -> \"n{}\"", output.index());
            }
            let deciding = edge.deciding_inputs().len();
            for (position, input) in edge.inputs.iter().enumerate() {
                let style = if position < deciding { "" } else { " style=dotted" };
                let _ =
                    writeln!(out, "\"n{}\" -> \"e{own}\" [arrowhead=none{style}]", input.index());
            }
        }
        out.push_str("}\n");
        Ok(out)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
