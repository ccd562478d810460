//! Removing what was built.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    diagnostic::Diagnostics,
    ninja::{EdgeId, Graph, NodeId, Quoting},
    place::Place,
};
use larder_trace::{TraceFile, read_trace_file};

use super::roots::BUILD;

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files, by the paths that the build file has for them.
    pub files: Vec<String>,
}

/// Removes what the edges of a graph made: those that `targets` need, those of `rules`, or all but what makes build
/// files. With `dry`, says only what it would remove.
///
/// # Errors
/// Targets need each other.
pub fn clean(
    graph: &Graph,
    targets: Option<&[NodeId]>,
    rules: &[String],
    generators: bool,
    dry: bool,
) -> Result<Removed, Diagnostics> {
    let of_rule = |id: &EdgeId| rules.iter().any(|rule| **rule == *graph.rule(*id).name);
    let edges: Vec<EdgeId> = match targets {
        Some(targets) => graph.closure(targets)?,
        None if !rules.is_empty() => graph.edges().filter(of_rule).collect(),
        None => graph.edges().filter(|id| generators || !graph.flag(*id, "generator")).collect(),
    };
    let mut paths = Vec::new();
    for id in edges.into_iter().filter(|id| !graph.is_phony(*id)) {
        paths.extend(graph.edge(id).outputs.iter().map(|node| graph.node(*node).path.to_string()));
        for name in ["depfile", "rspfile"] {
            paths.extend(graph.variable(id, name, Quoting::None).ok().filter(|it| !it.is_empty()));
        }
    }
    Ok(remove(&graph.directory, paths, dry))
}

/// Removes what earlier builds made and no edge of the graph makes any more.
/// No lock is taken: CMake has targets that call this in the midst of a build, and what is gone is made again.
pub fn clean_dead(graph: &Graph, dry: bool) -> Removed {
    let place = Place::in_place(BUILD, &graph.directory);
    let made: HashSet<String> = graph
        .edges()
        .flat_map(|id| &graph.edge(id).outputs)
        .map(|node| place.written(&graph.node(*node).path).to_string())
        .collect();
    // Sources may have been outputs once.
    let sources: HashSet<String> =
        graph.nodes().map(|(_, node)| place.written(&node.path).to_string()).collect();
    let mut dead = Vec::new();
    let mut stack = vec![graph.directory.join(".larder/traces")];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                stack.push(path);
                continue;
            }
            let TraceFile::Finished(record) = read_trace_file(&path) else { continue };
            let outputs: Vec<String> =
                record.outputs.outputs.into_iter().map(|file| file.path).collect();
            let inside = |path: &String| {
                larder_project::path::BuildPath::new(path).is_ok_and(|it| it.is_inside())
            };
            if outputs.iter().all(|output| !made.contains(output)) {
                let gone = |path: &String| inside(path) && !sources.contains(path);
                dead.extend(outputs.into_iter().filter(gone));
                if !dry {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
    dead.sort();
    remove(&graph.directory, dead, dry)
}

fn remove(directory: &Path, paths: Vec<String>, dry: bool) -> Removed {
    let mut removed = Removed::default();
    let mut seen: HashSet<PathBuf> = HashSet::new();
    for path in paths {
        let file = directory.join(&path);
        if !seen.insert(file.clone()) {
            continue;
        }
        let gone = match dry {
            true => file.symlink_metadata().is_ok(),
            false => fs::remove_file(&file).is_ok(),
        };
        if gone {
            removed.files.push(path);
        }
    }
    removed
}
