//! The graph of targets, for people and for Graphviz.

use std::fmt::Write;

use crate::{
    name::Facet,
    plan::{Declared, Plan, Target, TargetId},
};

/// Indentation beyond this many levels helps nobody, and of a chain as long as a manifest it would be
/// most of the text.
const DEEPEST: usize = 40;

/// Everything that `roots` need, as an indented tree. A target that was shown before is named again
/// without what it needs, with `(*)`. What is very deep is not indented further but numbered.
pub fn text(plan: &Plan, roots: &[TargetId]) -> String {
    let mut out = String::new();
    let mut shown = vec![false; plan.targets.len()];
    // On a stack of its own: a chain may be as long as a manifest.
    let mut stack: Vec<(TargetId, usize)> = roots.iter().rev().map(|&id| (id, 0)).collect();
    while let Some((id, depth)) = stack.pop() {
        let target = plan.target(id);
        let again = std::mem::replace(&mut shown[id.index()], true) && !target.needs().is_empty();
        // Writing to a string cannot fail.
        let mark = if again { " (*)" } else { "" };
        let _ = match depth {
            0..=DEEPEST => writeln!(out, "{}{}{mark}", "  ".repeat(depth), target.label),
            _ => writeln!(out, "{}[{depth}] {}{mark}", "  ".repeat(DEEPEST), target.label),
        };
        if !again {
            stack.extend(target.needs().into_iter().rev().map(|need| (need, depth + 1)));
        }
    }
    out
}

/// Everything that `roots` need, in Graphviz's language: an arrow from each target to what needs it.
pub fn dot(plan: &Plan, roots: &[TargetId]) -> String {
    let mut out =
        String::from("digraph larder {\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n");
    let order = plan.closure(roots);
    for &id in &order {
        let target = plan.target(id);
        let _ = writeln!(out, "    \"{}\" [shape={}];", target.label, shape(target));
    }
    for &id in &order {
        let target = plan.target(id);
        for need in target.needs() {
            let _ = writeln!(out, "    \"{}\" -> \"{}\";", plan.target(need).label, target.label);
        }
    }
    out.push_str("}\n");
    out
}

fn shape(target: &Target) -> &'static str {
    match (target.declared, target.facet()) {
        (Declared::Command(_) | Declared::Config(_), _) => "diamond",
        (_, Some(Facet::O)) => "note",
        (_, Some(Facet::Exe)) => "box",
        _ => "component",
    }
}
