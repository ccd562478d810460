//! Making the build file anew, where something that it was made from has changed.

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{EdgeId, NodeId, canonical},
};
use larder_trace::{Content, ContentHash, Level, MTime};

use super::{edge::chain, run::Run};
use crate::event::Event;

/// How the build file stands.
pub enum Manifest {
    /// Nothing was to be done.
    UpToDate,
    /// It was made anew, and has to be read again.
    Remade,
    /// It could not be; that has been said.
    Failed,
}

/// The key under which the index keeps what the build file was made from.
const NOTE: &str = "ninja build file";

/// Brings the build file `file` up to date.
pub fn bring(run: &Run, file: &str) -> Result<Manifest, Diagnostics> {
    let graph = run.graph();
    let Some((node, id)) = maker(run, file) else { return Ok(Manifest::UpToDate) };
    let mut order = graph.closure(&[node])?;
    order.retain(|one| *one != id);
    // What only validates it may come later.
    order.retain(|one| !graph.edge(*one).inputs.contains(&node));
    if !run.bring(&order)? {
        return Ok(Manifest::Failed);
    }
    let inputs = looked_at(run, id)?;
    let made_from = made_from(run, &inputs);
    if is_current(run, id, &inputs, made_from) {
        run.cx.index.set_note_once(NOTE, &made_from.to_string());
        run.take_as_they_are(id);
        return Ok(Manifest::UpToDate);
    }
    if run.force(id)? {
        return Ok(Manifest::Remade);
    }
    if run.cx.session.processes.interrupted() {
        return Ok(Manifest::Failed);
    }
    let message = format!("{file} could not be made anew");
    Err(Diagnostic::new(message).failed().into())
}

/// Takes the build file `file` as it is: nothing is to be touched. Says where it would be made anew.
pub fn assume(run: &Run, file: &str) -> Result<(), Diagnostics> {
    let Some((node, id)) = maker(run, file) else { return Ok(()) };
    let mut order = run.graph().closure(&[node])?;
    order.retain(|one| *one != id && !run.graph().edge(*one).inputs.contains(&node));
    let stands = run.scan(&order)?.is_empty() && {
        let inputs = looked_at(run, id)?;
        is_current(run, id, &inputs, made_from(run, &inputs))
    };
    if !stands {
        let message = format!("{file} is out of date: a build makes it anew before all else");
        run.cx.report(&Event::Note { level: Level::Info, message: &message });
    }
    run.take_as_they_are(id);
    Ok(())
}

/// Returns what the build file is made from, as it is there.
fn looked_at(run: &Run, id: EdgeId) -> Result<Vec<NodeId>, Diagnostics> {
    let inputs: Vec<NodeId> = run.graph().edge(id).deciding_inputs().to_vec();
    for &node in inputs.iter().filter(|node| run.graph().node(**node).made_by.is_none()) {
        run.look(node, id)?;
    }
    Ok(inputs)
}

/// Returns the build file as a node, and the edge that makes it.
fn maker(run: &Run, file: &str) -> Option<(NodeId, EdgeId)> {
    let graph = run.graph();
    let node = graph.find(&canonical(file))?;
    let id = graph.node(node).made_by.filter(|id| !graph.is_phony(*id))?;
    Some((node, id))
}

/// Returns the hash of all that the build file is made from, by content.
fn made_from(run: &Run, inputs: &[NodeId]) -> ContentHash {
    let mut hash = ContentHash::from_bytes([0; 32]);
    for &node in inputs {
        if let Some(fact) = run.fact(node) {
            hash = chain(hash, &run.graph().node(node).path, fact.hash);
        }
    }
    hash
}

/// Whether the build file was made from these inputs. Nobody knows that of one that another tool has written, as
/// CMake does at first: then it has to be newer than all of them. What commands make for it counts by its time, too:
/// some of it is touched to say that it is to be made anew.
fn is_current(run: &Run, id: EdgeId, inputs: &[NodeId], made_from: ContentHash) -> bool {
    let graph = run.graph();
    let mut written = MTime(i64::MAX);
    for node in &graph.edge(id).outputs {
        let path = run.cx.places.opened(&run.place, &graph.node(*node).path);
        let Ok(found) = run.cx.index.file(path.as_str(), Content::Binary) else { return false };
        written = written.min(found.stat.mtime);
    }
    let known = run.cx.index.note(NOTE).is_some_and(|note| note == made_from.to_string());
    inputs.iter().all(|node| {
        let Some(fact) = run.fact(*node) else { return false };
        let maker = graph.node(*node).made_by;
        let made = maker.is_some_and(|maker| !graph.is_phony(maker));
        let gone = !fact.is_file && maker.is_some_and(|maker| graph.edge(maker).inputs.is_empty());
        !gone && (fact.mtime <= written || known && !made)
    })
}
