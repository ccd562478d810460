//! Inputs that commands told of, that are made by others, and that the build file does not have made first.

use std::collections::HashSet;

use larder_project::{
    diagnostic::Diagnostics,
    ninja::{EdgeId, Graph, NodeId, canonical},
    path::PortablePath,
    place::{Place, Places},
};
use larder_trace::TraceFile;

use super::{
    roots::{BUILD, Roots},
    told::record,
};

/// An input that a command told of, though nothing has it made before that command runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// What the command makes.
    pub user: String,
    /// The input.
    pub input: String,
    /// The rule by which that is made.
    pub rule: String,
}

/// Returns what is missing among the inputs of `targets` and what they need, as the commands told when they were last
/// run, and how many commands were looked at.
///
/// # Errors
/// Targets need each other.
pub fn missing(graph: &Graph, targets: &[NodeId]) -> Result<(Vec<Missing>, usize), Diagnostics> {
    let mut graph = graph.clone();
    let files: HashSet<NodeId> = graph.edges().filter_map(|id| graph.edge(id).dyndep).collect();
    // One that is not there yet, or is wrong, tells of nothing.
    for file in files {
        let mut told = graph.clone();
        if told.load_dyndep(file).is_ok() {
            graph = told;
        }
    }
    let roots = Roots::find(&graph);
    let places = Places::new(graph.directory.clone(), roots.places());
    let place = Place::in_place(BUILD, &graph.directory);
    let mut found = Vec::new();
    let edges = graph.closure(targets)?;
    let edges: Vec<EdgeId> = edges.into_iter().filter(|id| !graph.is_phony(*id)).collect();
    for &id in &edges {
        let Some((user, TraceFile::Finished(record))) = record(&graph, &place, id) else {
            continue;
        };
        for told in record.outputs.discovered {
            let Ok(path) = places.find(&place, &PortablePath::recorded(&told.path)) else {
                continue;
            };
            let absolute = places.absolute(&path).to_string_lossy().into_owned();
            let node = graph.find(&canonical(path.as_str())).or_else(|| graph.find(&absolute));
            let maker = node.and_then(|node| graph.node(node).made_by);
            let Some(maker) = maker.filter(|maker| !graph.flag(*maker, "generator")) else {
                continue;
            };
            if maker != id && !needs(&graph, id, maker) {
                let (user, rule) = (user.to_owned(), graph.rule(maker).name.to_string());
                found.push(Missing { user, input: path.to_string(), rule });
            }
        }
    }
    Ok((found, edges.len()))
}

/// Whether an edge has another come before it.
fn needs(graph: &Graph, id: EdgeId, other: EdgeId) -> bool {
    let mut seen = HashSet::from([id]);
    let mut stack = vec![id];
    while let Some(id) = stack.pop() {
        if id == other {
            return true;
        }
        let makers = graph.edge(id).inputs.iter().filter_map(|node| graph.node(*node).made_by);
        stack.extend(makers.filter(|maker| seen.insert(*maker)));
    }
    false
}
