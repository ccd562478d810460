//! What commands may reach in a sandbox: what their build statements declare.

use std::collections::HashSet;

use larder_project::{
    diagnostic::Diagnostic,
    ninja::{EdgeId, NodeId},
    path::PortablePath,
};

use super::{
    fact::is_shared_library,
    known::is_named,
    run::Run,
    shell::{Confined, Shell},
    tools::is_compiler,
    words::programs,
};
use crate::action::{Program, Reach, Reading, Telling, text};

/// Programs that read what they have written themselves, or write it with its name changed at the end.
const READING_BACK: &[&str] = &["ar", "cmake", "ld", "objcopy", "ranlib", "strip"];

impl Run {
    /// Returns what the command of an edge may reach besides its inputs.
    pub(super) fn confined(&self, id: EdgeId, shell: &Shell) -> Result<Confined, Diagnostic> {
        let graph = self.graph();
        let makes_build_files = graph.flag(id, "generator");
        let reading = match shell.telling {
            _ if makes_build_files => Reading::Trees,
            Telling::Nothing if programs(&shell.command).any(reads_back) => Reading::Written,
            Telling::Nothing => Reading::Nothing,
            _ => Reading::Trees,
        };
        let mut directories = match makes_build_files {
            true => vec![self.portable(".")],
            false => Vec::new(),
        };
        let outputs = graph.edge(id).outputs.iter().map(|node| graph.node(*node).path.to_string());
        let depfile = graph.path_variable(id, "depfile")?;
        for path in outputs.chain(depfile) {
            let directory = path.rsplit_once('/').map_or(".", |(directory, _)| directory);
            let directory = self.portable(directory);
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        let tools = programs(&shell.command)
            .filter(|name| name.starts_with('/') && self.roots.portable(name) == **name);
        Ok(Confined {
            tools: tools.map(|name| Program::Path(text(name))).collect(),
            reach: Reach {
                statement: graph.statement(id),
                beside: self.beside(id),
                directories,
                reading,
            },
        })
    }

    /// Returns all that an edge declares as its inputs, and the libraries that programs among these load.
    fn beside(&self, id: EdgeId) -> Vec<PortablePath> {
        let graph = self.graph();
        let mut seen: HashSet<NodeId> = HashSet::new();
        let mut stack: Vec<NodeId> = graph.edge(id).inputs.clone();
        let mut found = Vec::new();
        while let Some(node) = stack.pop() {
            if !seen.insert(node) {
                continue;
            }
            let maker = graph.node(node).made_by;
            match maker.filter(|maker| graph.is_phony(*maker)) {
                Some(alias) => stack.extend(&graph.edge(alias).inputs),
                None => found.push(self.portable(&graph.node(node).path)),
            }
            let inputs = maker.map_or(&[][..], |maker| graph.edge(maker).deciding_inputs());
            stack.extend(inputs.iter().filter(|it| is_shared_library(&graph.node(**it).path)));
        }
        found
    }

    /// Returns the name of a file that the build file has a path for.
    fn portable(&self, path: &str) -> PortablePath {
        self.cx.places.portable(&self.place, &self.cx.places.opened(&self.place, path))
    }
}

fn reads_back(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    is_compiler(program) || READING_BACK.iter().any(|known| is_named(name, known))
}
