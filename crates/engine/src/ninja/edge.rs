//! Edges as steps: what each depends on, and what it runs.

use std::{borrow::Cow, sync::Arc};

use larder_project::{
    diagnostic::Diagnostic,
    ninja::{CONSOLE, EdgeId, NodeId, Quoting},
    path::BuildPath,
};
use larder_trace::{BuildTrace, ContentHash, MTime};

use super::{
    Sharing, Shell,
    known::{Known, Named, known},
    run::Run,
    tools::{Base, Last},
};
use crate::{
    action::{Output, Telling},
    artifact::{Artifact, Form},
    builds::{SearchPath, ToolUse},
    job::Built,
    step::{Step, Work},
};
use larder_trace::Content;

/// The texts that decide what an edge's command does.
#[derive(Clone, Default)]
pub struct Texts {
    pub command: String,
    pub response_file: Option<(String, String)>,
}

/// Has a linker list what it reads, where it has its temporary files.
const LIST_INPUTS: &str = " -Xlinker --dependency-file=\"$TMPDIR\"/.larder.d ";

/// Variables by which compilers and linkers find or write other files.
const DECIDING_VARIABLES: &[&str] = &[
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_EXEC_PREFIX",
    "GCC_COMPARE_DEBUG",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LD_RUN_PATH",
    "LIBRARY_PATH",
    "OBJC_INCLUDE_PATH",
    "SOURCE_DATE_EPOCH",
    "SUNPRO_DEPENDENCIES",
];

/// The name of the part of traces that has all inputs.
const INPUTS: &str = "inputs";

impl Run {
    /// Returns the texts of an edge.
    pub(super) fn texts(&self, id: EdgeId) -> Result<Texts, Diagnostic> {
        let graph = self.graph();
        let response_file = match graph.path_variable(id, "rspfile")? {
            None => None,
            Some(path) => Some((path, graph.variable(id, "rspfile_content", Quoting::Shell)?)),
        };
        Ok(Texts { command: graph.command(id)?, response_file })
    }

    /// Returns the names of an edge's outputs, each once: a build file may name one file by two paths.
    pub(super) fn outputs(&self, id: EdgeId) -> Vec<BuildPath> {
        let nodes = &self.graph().edge(id).outputs;
        let mut outputs: Vec<BuildPath> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let path = self.place.written(&self.graph().node(*node).path);
            if !outputs.contains(&path) {
                outputs.push(path);
            }
        }
        outputs
    }

    /// Returns the hash of all that an edge's outputs depend on; [`Self::prefix`] and [`Self::inputs`] in short.
    pub(super) fn dep_hash(
        &self,
        id: EdgeId,
        texts: &Texts,
        outputs: &[BuildPath],
        last: &mut Last,
    ) -> ContentHash {
        let texts = &*self.deciding(id, texts);
        let mut hash = last.of(&self.bases, &texts.command, &self.cx, self.graph()).trace.hash();
        let mut mix = |name: &str, part: ContentHash| hash = chain(hash, name, part);
        mix("command", ContentHash::of_bytes(texts.command.as_bytes()));
        if let Some((_, content)) = &texts.response_file {
            mix("response file", ContentHash::of_bytes(content.as_bytes()));
        }
        mix(
            "outputs",
            match outputs {
                [only] => ContentHash::of_bytes(only.as_str().as_bytes()),
                all => ContentHash::of_bytes(names(all).as_bytes()),
            },
        );
        let mut inputs = ContentHash::from_bytes([0; 32]);
        for &node in self.graph().edge(id).deciding_inputs() {
            let Some(fact) = self.fact(node) else { continue };
            let path = &self.graph().node(node).path;
            inputs = match path.starts_with('/') {
                true => chain(inputs, &self.roots.portable(path), fact.hash),
                false => chain(inputs, path, fact.hash),
            };
        }
        mix(INPUTS, inputs);
        hash
    }

    /// Returns the texts that decide an edge's outputs. With `generator`, none does: a build file is not made anew since
    /// the next would be made by another command.
    fn deciding<'t>(&self, id: EdgeId, texts: &'t Texts) -> Cow<'t, Texts> {
        match self.graph().flag(id, "generator") {
            true => Cow::Owned(Texts::default()),
            false => Cow::Borrowed(texts),
        }
    }

    /// Returns `base` with the texts of an edge mixed in.
    fn prefix(&self, base: &BuildTrace, texts: &Texts, outputs: &[BuildPath]) -> BuildTrace {
        let mut prefix = base.clone().mix(BuildTrace::text("command", &*texts.command));
        if let Some((_, content)) = &texts.response_file {
            prefix = prefix.mix(BuildTrace::text("response file", &**content));
        }
        prefix.mix(BuildTrace::text("outputs", names(outputs)))
    }

    /// Returns the trace of the inputs that decide an edge's outputs.
    fn inputs(&self, id: EdgeId) -> BuildTrace {
        let mut inputs = BuildTrace::nil(INPUTS);
        for &node in self.graph().edge(id).deciding_inputs() {
            let Some(fact) = self.fact(node) else { continue };
            let name = self.roots.portable(&self.graph().node(node).path);
            inputs = inputs.mix(BuildTrace::leaf(name, fact.hash, fact.mtime));
        }
        inputs
    }

    /// Returns the step that an edge is, with its inputs, of which all is known.
    pub(super) fn step(&self, id: EdgeId) -> Result<(Step, Built<Vec<Artifact>>), Diagnostic> {
        let texts = self.texts(id)?;
        let outputs = self.outputs(id);
        let deciding = self.deciding(id, &texts);
        let base = self.bases.of(&deciding.command, &self.cx, self.graph());
        let prefix = self.prefix(&base.trace, &deciding, &outputs);
        let inputs = self.inputs(id);
        let graph = self.graph();
        let target = match self.cx.options.mode {
            _ if self.cx.wants_everything() => texts.command.clone(),
            _ => graph.description(id)?,
        };
        let shell = self.shell(id, texts, &base, &outputs)?;
        let step = Step {
            place: self.place.clone(),
            target: target.into(),
            outputs: outputs.into_iter().map(Output::file).collect(),
            prefix: prefix.into(),
            prerequisites: Vec::new(),
            keep: true,
            always: false,
            work: Work::Shell(Box::new(shell)),
        };
        Ok((step, Built { value: self.artifacts(id), trace: inputs }))
    }

    fn shell(
        &self,
        id: EdgeId,
        texts: Texts,
        base: &Base,
        outputs: &[BuildPath],
    ) -> Result<Shell, Diagnostic> {
        let graph = self.graph();
        let depfile = graph.path_variable(id, "depfile")?;
        let deps = graph.variable(id, "deps", Quoting::Shell)?;
        let settings = &self.settings;
        let portable = |path: &str| {
            self.cx.places.portable(&self.place, &self.cx.places.opened(&self.place, path))
        };
        let telling = match (&*deps, depfile) {
            ("msvc", _) => {
                let beginning = graph.variable(id, "msvc_deps_prefix", Quoting::Shell)?;
                Telling::Printed(match beginning.is_empty() {
                    true => "Note: including file:".to_owned(),
                    false => beginning,
                })
            }
            ("gcc", None) => {
                let message = "`deps = gcc` without a `depfile` to read them from";
                return Err(Diagnostic::new(message));
            }
            ("" | "gcc", Some(path)) => Telling::Depfile {
                path: portable(&path),
                keep: deps.is_empty() || settings.keep_depfiles,
            },
            ("", None) => Telling::Nothing,
            (other, _) => {
                return Err(Diagnostic::new(format!("`deps = {other}` is neither gcc nor msvc")));
            }
        };
        let mut shell = Shell {
            must_tell: deps.is_empty(),
            command: texts.command,
            response_file: texts.response_file,
            keep_response_file: settings.keep_response_files,
            telling,
            terminal: graph.variable(id, "pool", Quoting::Shell)? == CONSOLE,
            generator: graph.flag(id, "generator"),
            shell: self.sh.clone(),
            environment: self.environment.clone(),
            roots: self.roots.clone(),
            search: None,
            includes: false,
            installation: None,
            believed: base.believed,
            confined: None,
            sharing: Sharing::Never,
        };
        if self.cx.sandbox.is_some() {
            shell.confined = Some(self.confined(id, &shell)?);
        }
        if !shell.terminal && !shell.generator {
            self.share_known(id, &mut shell, base, outputs);
        }
        Ok(shell)
    }

    /// Has the outputs of a command shared of which all is known.
    fn share_known(&self, id: EdgeId, shell: &mut Shell, base: &Base, outputs: &[BuildPath]) {
        let Some(compiler) = base.compiler.as_ref().filter(|_| base.complete) else {
            if base.complete && self.knows(id, shell).is_some() {
                self.seal(shell, base, outputs, false);
            }
            return;
        };
        let Some(known) = self.knows(id, shell) else { return };
        let name = |path: &str| {
            let path = self.cx.absolute(&self.cx.places.opened(&self.place, path));
            // With a slash at its end, the root of a tree has its name, too.
            let path = self.cx.places.of_absolute(&format!("{}/", path.display()));
            let name = self.cx.places.portable(&self.place, &path);
            name.as_str().trim_end_matches('/').to_owned()
        };
        self.seal(shell, base, outputs, known.hides_places);
        if let Some(found) = known.includes {
            let standard = match compiler.name.contains("++") {
                true => &compiler.include_directories.cxx,
                false => &compiler.include_directories.c,
            };
            let standard: Vec<String> =
                standard.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            shell.search = Some(SearchPath {
                own: Vec::new(),
                directories: found
                    .in_order(&crate::search::Typed::default(), &standard)
                    .iter()
                    .map(|path| name(path))
                    .collect(),
                system: if found.no_standard { Vec::new() } else { standard },
                names: found.names,
            });
            shell.includes = true;
        } else if let Some((found, end)) = known.link {
            if !compiler.linker.dependency_file {
                shell.sharing = Sharing::Never;
                return;
            }
            shell.command.insert_str(end, LIST_INPUTS);
            shell.telling = Telling::Linker;
            shell.search = Some(SearchPath {
                own: Vec::new(),
                names: found.names(),
                directories: found.directories.iter().map(|path| name(path)).collect(),
                system: Vec::new(),
            });
        }
        shell.installation =
            Some(ToolUse::new(compiler.path.clone(), &BuildTrace::nil("compiler")));
    }

    /// Returns what a command does, if all of it is known, and the environment has no part in it.
    fn knows(&self, id: EdgeId, shell: &Shell) -> Option<Known> {
        let graph = self.graph();
        let paths = |nodes: &[NodeId]| -> Vec<Arc<str>> {
            nodes.iter().map(|node| graph.node(*node).path.clone()).collect()
        };
        let (outputs, inputs) =
            (paths(&graph.edge(id).outputs), paths(graph.edge(id).deciding_inputs()));
        let depfile = graph.path_variable(id, "depfile").ok()?;
        let named = Named {
            outputs: outputs.iter().map(|path| &**path).collect(),
            inputs: inputs.iter().map(|path| &**path).collect(),
            depfile: depfile.as_deref(),
            response_file: shell.response_file.as_ref().map(|(path, text)| (&**path, &**text)),
        };
        let environment = &self.cx.session.settings.environment;
        let decided = DECIDING_VARIABLES.iter().any(|name| environment.get(name).is_some());
        known(&shell.command, &named).filter(|_| !decided)
    }

    /// Has the outputs of a command kept in the store. It sees nothing of the environment then.
    fn seal(&self, shell: &mut Shell, base: &Base, outputs: &[BuildPath], hides_places: bool) {
        let texts = Texts {
            command: self.roots.portable(&shell.command),
            response_file: shell
                .response_file
                .as_ref()
                .map(|(path, text)| (path.clone(), self.roots.portable(text))),
        };
        let portable = self.prefix(&base.portable, &texts, outputs);
        shell.environment = Arc::default();
        shell.sharing = Sharing::Known {
            portable: (!hides_places).then(|| Arc::new(portable)),
            places: self.roots.paths().map(Box::from).collect(),
        };
    }

    /// Returns the files that an edge's command reads, as far as the build file says, and that decide its outputs.
    fn artifacts(&self, id: EdgeId) -> Vec<Artifact> {
        let graph = self.graph();
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        let mut stack: Vec<_> = graph.edge(id).deciding_inputs().iter().rev().copied().collect();
        while let Some(node) = stack.pop() {
            if !seen.insert(node) {
                continue;
            }
            match graph.node(node).made_by {
                Some(maker) if graph.is_phony(maker) && !graph.edge(maker).inputs.is_empty() => {
                    stack.extend(graph.edge(maker).deciding_inputs().iter().rev());
                }
                _ => found.extend(self.fact(node).filter(|fact| fact.is_file).map(|fact| {
                    let path = self.cx.places.opened(&self.place, &graph.node(node).path);
                    let (hash, mtime) = (fact.content, fact.mtime);
                    let form = Form::File(Content::Binary);
                    Artifact { path, hash, mtime, form, elided: None }
                })),
            }
        }
        found
    }
}

/// Returns the hash of a trace that has `hash` and another part mixed in.
pub(super) fn chain(hash: ContentHash, name: &str, part: ContentHash) -> ContentHash {
    BuildTrace::leaf("", hash, MTime::NONE).hash_with_leaf(name, part)
}

fn names(outputs: &[BuildPath]) -> String {
    let names: Vec<&str> = outputs.iter().map(BuildPath::as_str).collect();
    names.join("\n")
}

impl Run {
    /// Returns a step that runs an edge whatever is there.
    pub(super) fn forced(
        &self,
        id: EdgeId,
    ) -> Result<(Arc<Step>, Built<Vec<Artifact>>), Diagnostic> {
        let (mut step, inputs) = self.step(id)?;
        step.always = true;
        Ok((Arc::new(step), inputs))
    }
}
