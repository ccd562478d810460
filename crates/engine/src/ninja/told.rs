//! What records tell of commands that were run.

use larder_project::{
    diagnostic::Diagnostics,
    ninja::{EdgeId, Graph, NodeId},
    path::PortablePath,
    place::{Place, Places},
};
use larder_trace::{LogEntry, TraceFile, read_trace_file};

use super::roots::{BUILD, Roots};

/// Returns the inputs that the commands which make `targets`, or anything, told of when they were last run.
pub fn told(graph: &Graph, targets: &[NodeId]) -> String {
    let roots = Roots::find(graph);
    let places = Places::new(graph.directory.clone(), roots.places());
    let place = Place::in_place(BUILD, &graph.directory);
    let edges: Vec<EdgeId> = match targets {
        [] => graph.edges().filter(|id| !graph.is_phony(*id)).collect(),
        targets => targets.iter().filter_map(|id| graph.node(*id).made_by).collect(),
    };
    let mut out = String::new();
    for id in edges {
        let Some((path, record)) = record(graph, &place, id) else { continue };
        let TraceFile::Finished(record) = record else {
            if !targets.is_empty() {
                out += &format!("{path}: deps not found\n");
            }
            continue;
        };
        let found = record.outputs.discovered;
        out += &format!("{path}: #deps {}\n", found.len());
        for input in found {
            let file = places.find(&place, &PortablePath::recorded(&input.path));
            out += &format!("    {}\n", file.map_or(input.path, |file| file.to_string()));
        }
        out.push('\n');
    }
    out
}

/// Returns what the commands printed that made `targets` and what these need: each with the path of its first output.
///
/// # Errors
/// Targets need each other.
pub fn logs(
    graph: &Graph,
    targets: &[NodeId],
) -> Result<Vec<(String, Vec<LogEntry>)>, Diagnostics> {
    let place = Place::in_place(BUILD, &graph.directory);
    let mut logs = Vec::new();
    for id in graph.closure(targets)? {
        if let Some((path, TraceFile::Finished(record))) = record(graph, &place, id)
            && !record.outputs.log.is_empty()
        {
            logs.push((path.to_owned(), record.outputs.log));
        }
    }
    Ok(logs)
}

/// Returns the first output of an edge, and the record of how it was made.
pub(super) fn record<'g>(
    graph: &'g Graph,
    place: &Place,
    id: EdgeId,
) -> Option<(&'g str, TraceFile)> {
    let first = graph.edge(id).outputs.first().filter(|_| !graph.is_phony(id))?;
    let path = &*graph.node(*first).path;
    let trace = graph.directory.join(place.trace_path(&place.written(path)).as_str());
    Some((path, read_trace_file(&trace)))
}
