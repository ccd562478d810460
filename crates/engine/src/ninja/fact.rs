//! What is known of outputs, and what of it counts for whatever is made from them.

use std::{fs::File, io::Read};

use larder_project::ninja::{EdgeId, NodeId};
use larder_trace::{ContentHash, MTime};

use super::{
    edge::chain,
    run::{Fact, Run},
};

/// How an archive begins that names its members instead of holding them.
const THIN: &[u8; 8] = b"!<thin>\n";

/// The ends of names of files that hold all that there is to be read: objects, and modules of Fortran.
const SELF_CONTAINED: &[&str] = &[".o", ".obj", ".mod", ".smod"];

impl Run {
    /// Returns what is known of an output: of an empty one, its content says nothing, so that what made it counts, or for
    /// a command that may leave it as it is, when it was written.
    pub(super) fn output_fact(
        &self,
        id: EdgeId,
        node: NodeId,
        content: ContentHash,
        mtime: MTime,
        dep_hash: ContentHash,
    ) -> Fact {
        let hash = match content == self.empty {
            false => content,
            true if self.graph().flag(id, "restat") => {
                ContentHash::of_bytes(&mtime.0.to_le_bytes())
            }
            true => chain(content, "made from", dep_hash),
        };
        let path = &*self.graph().node(node).path;
        let hash = match SELF_CONTAINED.iter().any(|end| path.ends_with(end)) {
            true => hash,
            false => self.read_through(id, path, hash),
        };
        Fact { hash, content, mtime, is_file: true }
    }

    /// Returns `hash` with those of files mixed in that are read with an output whenever that is read, though it may stay
    /// as it is when they change: the shared libraries that a program loads, the modules that a module of C++ was made
    /// from, the members of a thin archive.
    fn read_through(&self, id: EdgeId, path: &str, hash: ContentHash) -> ContentHash {
        let graph = self.graph();
        let edge = graph.edge(id);
        let inputs = edge.deciding_inputs();
        let declared = match path.ends_with(".a") && self.is_thin(path) {
            true => inputs.to_vec(),
            false => libraries(self, inputs),
        };
        let all = declared.iter().chain(edge.told_inputs()).filter_map(|node| self.fact(*node));
        all.fold(hash, |hash, fact| chain(hash, "read with it", fact.hash))
    }

    fn is_thin(&self, path: &str) -> bool {
        let file = self.cx.absolute(&self.cx.places.opened(&self.place, path));
        let mut begin = [0; THIN.len()];
        let read = File::open(file).and_then(|mut file| file.read_exact(&mut begin));
        read.is_ok() && begin == *THIN
    }
}

fn libraries(run: &Run, inputs: &[NodeId]) -> Vec<NodeId> {
    let is_library = |node: &&NodeId| is_shared_library(&run.graph().node(**node).path);
    inputs.iter().filter(is_library).copied().collect()
}

/// Whether a file is a shared library by its name: `libz.so`, `libz.so.1.3`, `libz.dylib`.
pub(super) fn is_shared_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so") || name.ends_with(".dylib") || name.contains(".so.")
}
