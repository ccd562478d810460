//! What a service has, for `larder why --against`: its entries by the output that they are of.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use larder_project::path::RootPath;
use larder_store::{InputNode, Mappings, NodeTable};
use larder_trace::{BuildTrace, ContentHash, Outputs};

use crate::reason::{Difference, differences};

/// The mappings of a revision, to compare what would be built here with.
#[derive(Debug, Default)]
pub struct Uploads {
    mappings: Mappings,
    /// Dep hashes by the path of the first output.
    by_output: BTreeMap<String, Vec<ContentHash>>,
    /// The files that steps have made there, or here where nothing was uploaded.
    made: Mutex<HashMap<String, ContentHash>>,
    nodes: Mutex<NodeTable>,
}

/// An entry for the output of a step.
pub(crate) struct Entry<'a> {
    /// What the entry says.
    pub outputs: &'a Outputs,
    /// The named inputs that are not the same here; `None` where the entry does not tell its inputs.
    pub differences: Option<Vec<Difference>>,
}

impl Uploads {
    /// Those of a revision with these mappings.
    pub fn new(mappings: Mappings) -> Self {
        let mut by_output: BTreeMap<String, Vec<ContentHash>> = BTreeMap::new();
        for (dep_hash, outputs) in mappings.iter() {
            if let Some(first) = outputs.outputs.first() {
                by_output.entry(first.path.clone()).or_default().push(*dep_hash);
            }
        }
        Self { mappings, by_output, ..Self::default() }
    }

    /// The entry for the output `path`, whose trace is `trace` here: that of the same dep hash, where there is
    /// one, else the one that differs least.
    pub(crate) fn nearest(&self, path: &str, trace: &BuildTrace) -> Option<Entry<'_>> {
        if let Some(outputs) = self.mappings.get(&trace.hash()) {
            return Some(Entry { outputs, differences: Some(Vec::new()) });
        }
        let here = lock(&self.nodes).of_trace(trace.parts());
        let with = self.of_output(path).filter_map(|dep_hash| {
            let outputs = self.mappings.get(dep_hash)?;
            let there: Option<&[Arc<InputNode>]> = self.mappings.inputs(dep_hash).map(|it| &**it);
            Some(Entry { outputs, differences: there.map(|there| differences(there, &here)) })
        });
        with.min_by_key(|entry| entry.differences.as_ref().map_or(usize::MAX, Vec::len))
    }

    /// The dep hashes of entries whose first output is `path`, or in that directory.
    fn of_output(&self, path: &str) -> impl Iterator<Item = &ContentHash> {
        let directory = format!("{path}/");
        let inside = self.by_output.range(directory.clone()..);
        let inside = inside.take_while(move |(path, _)| path.starts_with(&directory));
        let itself = self.by_output.get(path);
        itself.into_iter().chain(inside.map(|(_, dep_hashes)| dep_hashes)).flatten()
    }

    /// Notes the content of an output that steps after this one are to take as an input.
    pub fn note(&self, path: &RootPath, hash: ContentHash) {
        lock(&self.made).insert(path.as_str().to_owned(), hash);
    }

    /// The content of a file that a step made.
    pub fn made(&self, path: &RootPath) -> Option<ContentHash> {
        lock(&self.made).get(path.as_str()).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
