//! The graph: files, and the edges between them.

use std::{
    collections::BTreeMap,
    fs,
    hash::Hasher,
    path::{Path, PathBuf},
    sync::Arc,
};

use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxHasher;

use super::{
    CONSOLE, Edge, EdgeId, PHONY, Rule,
    parse::Parser,
    scope::{Scopes, Template},
};
use crate::diagnostic::{Diagnostic, SourceText};
use larder_trace::describe_io;

/// A file of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Returns its position among the nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A file, or a name for some.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its path, relative to the build directory or absolute.
    pub path: Arc<str>,
    /// The edge that makes it; none of a source.
    pub made_by: Option<EdgeId>,
}

/// The graph of a `build.ninja` and all that it includes.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The directory that paths are relative to.
    pub directory: PathBuf,
    pub(super) files: Vec<SourceText>,
    pub(super) nodes: Vec<Node>,
    /// The nodes by the hashes of their paths.
    by_path: HashTable<NodeId>,
    pub(super) edges: Vec<Edge>,
    pub(super) rules: Vec<Rule>,
    pub(super) scopes: Scopes,
    /// Pools by name, and how many commands of each may run at once; no limit for 0.
    pub pools: BTreeMap<Box<str>, usize>,
    pub(super) defaults: Vec<NodeId>,
    /// Things that look wrong and do no harm.
    pub warnings: Vec<String>,
}

impl Graph {
    /// Reads the build file `file` of `directory`, and all that it includes.
    ///
    /// # Errors
    /// The first mistake in them, or why one cannot be read.
    pub fn load(directory: &Path, file: &str) -> Result<Self, Diagnostic> {
        let mut graph = Self::empty(directory);
        let source = graph.read(file, None)?;
        Parser::parse(&mut graph, source, 0)?;
        graph.check_edges()?;
        Ok(graph)
    }

    /// Reads a build file that is given as `text`, as if it stood in `build.ninja` of `directory`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_text(directory: &Path, text: &str) -> Result<Self, Diagnostic> {
        let mut graph = Self::empty(directory);
        graph.files.push(SourceText { path: "build.ninja".into(), text: text.into() });
        Parser::parse(&mut graph, 0, 0)?;
        graph.check_edges()?;
        Ok(graph)
    }

    fn empty(directory: &Path) -> Self {
        let mut scopes = Scopes::default();
        let top = scopes.add(None);
        scopes.0[top].rules.insert(PHONY.into(), 0);
        let phony = Rule { name: PHONY.into(), ..Rule::default() };
        Self {
            directory: directory.to_owned(),
            files: Vec::new(),
            nodes: Vec::new(),
            by_path: HashTable::new(),
            edges: Vec::new(),
            rules: vec![phony],
            scopes,
            pools: BTreeMap::from([(CONSOLE.into(), 1)]),
            defaults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads a file, and returns its position.
    pub(super) fn read(
        &mut self,
        file: &str,
        said: Option<&dyn Fn(Diagnostic) -> Diagnostic>,
    ) -> Result<usize, Diagnostic> {
        let read = || {
            let path = self.directory.join(file);
            let bytes = fs::read(&path).map_err(|error| {
                let why = describe_io(&error);
                Diagnostic::new(format!("cannot read {}: {why}", path.display()))
            })?;
            SourceText::new(path, bytes)
        };
        let source = read().map_err(|error| match said {
            Some(said) => said(error),
            None => error,
        })?;
        self.expect(source.text.len());
        self.files.push(source);
        Ok(self.files.len() - 1)
    }

    /// Makes room for what stands in a build file of so many bytes, more or less.
    fn expect(&mut self, bytes: usize) {
        let nodes = &self.nodes;
        self.by_path.reserve(bytes / 64, |id| hash(&nodes[id.index()].path));
        self.nodes.reserve(bytes / 64);
        self.edges.reserve(bytes / 96);
    }

    /// Returns the files that it was read from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Returns a node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Returns how many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeId(at as u32), node))
    }

    /// Returns all edges.
    pub fn edges(&self) -> impl ExactSizeIterator<Item = EdgeId> + use<> {
        (0..self.edges.len() as u32).map(EdgeId)
    }

    /// Returns the node at `path`, which must be canonical, if there is one.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let is_it = |id: &NodeId| *self.nodes[id.index()].path == *path;
        self.by_path.find(hash(path), is_it).copied()
    }

    /// Returns the node at `path`, which must be canonical; makes it if need be.
    pub fn intern(&mut self, path: &str) -> NodeId {
        let hash_of = |id: &NodeId| hash(&self.nodes[id.index()].path);
        let is_it = |id: &NodeId| *self.nodes[id.index()].path == *path;
        match self.by_path.entry(hash(path), is_it, hash_of) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let id = NodeId(self.nodes.len() as u32);
                place.insert(id);
                self.nodes.push(Node { path: path.into(), made_by: None });
                id
            }
        }
    }

    /// Whether some edge still waits for a file that tells of its inputs.
    pub fn has_dyndeps(&self) -> bool {
        self.edges.iter().any(|edge| edge.dyndep.is_some())
    }

    /// Returns the directory for what is kept between builds, where the file names one.
    pub fn builddir(&self) -> Option<&str> {
        self.scopes.variable(0, "builddir")
    }

    pub(super) fn add_rule(&mut self, scope: usize, name: &str, bindings: Vec<(&str, Template)>) {
        let bindings = bindings.into_iter().map(|(name, value)| (name.into(), value)).collect();
        self.scopes.0[scope].rules.insert(name.into(), self.rules.len());
        self.rules.push(Rule { name: name.into(), bindings });
    }

    /// Makes sure that edges name pools that are there, and that a file which tells of an edge's inputs is one of
    /// them.
    fn check_edges(&mut self) -> Result<(), Diagnostic> {
        let pools = self.binders("pool");
        let dyndeps = self.binders("dyndep");
        for id in self.edges() {
            if pools.may_bind(self.edge(id))
                && let Some(pool) = self.path_variable(id, "pool")?
                && !self.pools.contains_key(&*pool)
            {
                let (file, span) = self.edge(id).place.clone();
                let wrong = Diagnostic::new(format!("there is no pool `{pool}`"));
                return Err(wrong.at(&self.files[file], span));
            }
            if !dyndeps.may_bind(self.edge(id)) {
                continue;
            }
            let Some(path) = self.path_variable(id, "dyndep")? else { continue };
            let node = self.find(&super::canonical(&path));
            let node = node.filter(|node| self.edge(id).inputs.contains(node));
            let Some(node) = node else {
                let (file, span) = self.edge(id).place.clone();
                let message = format!("`dyndep` names `{path}`, which is not among the inputs");
                return Err(Diagnostic::new(message).at(&self.files[file], span));
            };
            self.edges[id.index()].dyndep = Some(node);
        }
        Ok(())
    }
}

/// Returns the hash of a path, as the table of nodes has it.
fn hash(path: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(path.as_bytes());
    hasher.finish()
}
