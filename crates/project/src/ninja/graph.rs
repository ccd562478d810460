//! The graph: files, and the edges between them.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

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
    by_path: HashMap<Arc<str>, NodeId>,
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
            by_path: HashMap::new(),
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
        self.files.push(source);
        Ok(self.files.len() - 1)
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
    pub fn edges(&self) -> impl Iterator<Item = EdgeId> + use<> {
        (0..self.edges.len() as u32).map(EdgeId)
    }

    /// Returns the node at `path`, which must be canonical, if there is one.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        self.by_path.get(path).copied()
    }

    /// Returns the node at `path`, which must be canonical; makes it if need be.
    pub fn intern(&mut self, path: &str) -> NodeId {
        if let Some(id) = self.find(path) {
            return id;
        }
        let (path, id): (Arc<str>, _) = (path.into(), NodeId(self.nodes.len() as u32));
        self.nodes.push(Node { path: path.clone(), made_by: None });
        self.by_path.insert(path, id);
        id
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
        for id in self.edges() {
            if let Some(pool) = self.path_variable(id, "pool")?
                && !self.pools.contains_key(&*pool)
            {
                let (file, span) = self.edge(id).place.clone();
                let wrong = Diagnostic::new(format!("there is no pool `{pool}`"));
                return Err(wrong.at(&self.files[file], span));
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
