//! Looking at a graph: what its files are, and which edges are up to date.

use std::{io, sync::Arc};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{EdgeId, NodeId},
};
use larder_trace::{BuildTrace, Content, ContentHash, MTime, Walk, describe_io};

use super::{
    edge::chain,
    run::{Fact, Run},
    tools::Last,
};
use crate::{
    job::{Built, Flow, Job, settle},
    step::unique,
};

/// What was seen of some edges.
#[derive(Debug, Default)]
struct Seen {
    /// Those that are not known to be up to date.
    pending: Vec<EdgeId>,
    /// Inputs that are neither there nor made by anything, and other mistakes.
    wrong: Vec<Diagnostic>,
}

impl Run {
    /// Says which of `targets` is neither there nor made by anything.
    pub fn missing(&self, targets: &[NodeId]) -> Option<Diagnostic> {
        let gone = |node: &&NodeId| {
            self.graph().node(**node).made_by.is_none() && self.source(**node, None).is_err()
        };
        let node = targets.iter().find(gone)?;
        let path = &self.graph().node(*node).path;
        let message = format!("`{path}` is missing, and no rule makes it");
        Some(Diagnostic::new(message).failed())
    }

    /// Looks at a file that no edge makes.
    pub(super) fn source(&self, node: NodeId, walk: Option<&mut Walk<'_>>) -> io::Result<Fact> {
        let path = self.cx.places.opened(&self.place, &self.graph().node(node).path);
        let index = &self.cx.index;
        let found = match walk {
            Some(walk) => walk.file(path.as_str(), Content::Binary),
            None => index.file(path.as_str(), Content::Binary),
        };
        let (hashed, is_file) = match found {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                (index.file(path.as_str(), Content::Names)?, false)
            }
            found => (found?, true),
        };
        let (hash, mtime) = (hashed.hash, hashed.stat.mtime);
        Ok(Fact { hash, content: hash, mtime, is_file })
    }

    /// Looks at all edges, and returns those that are not known to be up to date.
    ///
    /// An edge is looked at when all that it needs has been: level by level, those of a level in groups, on as many
    /// threads as there are.
    pub(super) fn scan(&self, order: &[EdgeId]) -> Result<Vec<EdgeId>, Diagnostics> {
        let mut pending = vec![false; self.graph().edges().len()];
        let mut wrong = Vec::new();
        for level in self.levels(order) {
            for seen in self.look_at(&level, wrong.is_empty())? {
                seen.value.pending.iter().for_each(|id| pending[id.index()] = true);
                wrong.extend(seen.value.wrong.iter().cloned());
            }
        }
        wrong.truncate(20);
        match wrong.is_empty() {
            true => Ok(order.iter().copied().filter(|id| pending[id.index()]).collect()),
            false => Err(Diagnostics(wrong)),
        }
    }

    /// Returns edges in levels: those that need none of `order`, then those that need only these, and so on.
    fn levels(&self, order: &[EdgeId]) -> Vec<Vec<EdgeId>> {
        let mut levels: Vec<Vec<EdgeId>> = Vec::new();
        let mut level_of = vec![0; self.graph().edges().len()];
        for &id in order {
            let makers = self.graph().edge(id).inputs.iter();
            let makers = makers.filter_map(|input| self.graph().node(*input).made_by);
            let level = makers.map(|maker| level_of[maker.index()]).max().unwrap_or(0);
            level_of[id.index()] = level + 1;
            if level == levels.len() {
                levels.push(Vec::new());
            }
            levels[level].push(id);
        }
        levels
    }

    /// Looks at edges that do not need each other. Only their sources are looked at where it is known that something is
    /// wrong.
    fn look_at(&self, level: &[EdgeId], right: bool) -> Result<Vec<Arc<Built<Seen>>>, Diagnostic> {
        /// Few enough for all threads to have something to look at, many enough to be worth a task.
        const TOGETHER: usize = 64;
        let built = |value| Built { value, trace: BuildTrace::nil("edges") };
        if level.len() <= TOGETHER {
            return Ok(vec![Arc::new(built(self.look_at_group(level, right)))]);
        }
        let scheduler = &self.cx.scheduler;
        let settled = scheduler.run(|| {
            let jobs = level.chunks(TOGETHER).map(|group| {
                let (run, group) = (self.share(), group.to_vec());
                Job::spawn(scheduler, move || {
                    Flow::Ended(Ok(built(run.look_at_group(&group, right))))
                })
            });
            Ok::<_, Diagnostic>(settle(scheduler, jobs))
        })?;
        let settled = settled.finished().and_then(Result::ok);
        let groups =
            settled.and_then(|all| all.value.iter().cloned().collect::<Result<_, _>>().ok());
        groups.ok_or_else(|| {
            let panics = scheduler.panics().join("; ");
            Diagnostic::new(format!("larder itself failed: {panics}; please report this")).failed()
        })
    }

    /// Looks at some edges that mostly lie beside each other.
    fn look_at_group(&self, group: &[EdgeId], right: bool) -> Seen {
        let (mut walk, mut last) = (self.cx.index.walk(), Last::default());
        let mut seen = Seen::default();
        for &id in group {
            let edge = self.graph().edge(id);
            if edge.outputs.iter().all(|output| self.fact(*output).is_some()) {
                continue;
            }
            let mut ready = true;
            for &input in &edge.inputs {
                if self.fact(input).is_some() {
                    continue;
                }
                match self.graph().node(input).made_by {
                    Some(_) => ready = false,
                    None => match self.source(input, Some(&mut walk)) {
                        Ok(fact) => self.know(input, fact),
                        Err(error) => seen.wrong.push(self.unreadable(input, id, &error)),
                    },
                }
            }
            if !right || !seen.wrong.is_empty() {
                continue;
            }
            let known = match self.graph().is_phony(id) {
                _ if !ready => Ok(false),
                true => Ok(self.alias(id)),
                false => self.vouched(id, &mut walk, &mut last),
            };
            match known {
                Ok(true) => {}
                Ok(false) => seen.pending.push(id),
                Err(error) => seen.wrong.push(error),
            }
        }
        seen
    }

    fn unreadable(&self, input: NodeId, id: EdgeId, error: &io::Error) -> Diagnostic {
        let path = &self.graph().node(input).path;
        let user = &self.graph().node(self.graph().edge(id).outputs[0]).path;
        let message = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("`{path}`, needed by `{user}`, is missing, and no rule makes it")
            }
            _ => format!("cannot read `{path}`, needed by `{user}`: {}", describe_io(error)),
        };
        Diagnostic::new(message).failed()
    }

    /// Finds out what an edge comes to that runs nothing, and whose inputs are known.
    pub(super) fn alias(&self, id: EdgeId) -> bool {
        let edge = self.graph().edge(id);
        for &output in &edge.outputs {
            let fact = match edge.inputs.is_empty() {
                // Where it is not there either, whatever needs it is made in each build.
                true => self.source(output, None).unwrap_or_else(|_| Fact {
                    hash: unique(),
                    content: self.empty,
                    mtime: MTime::NONE,
                    is_file: false,
                }),
                false => {
                    let facts = edge.deciding_inputs().iter().filter_map(|node| self.fact(*node));
                    let mut all = Fact {
                        hash: ContentHash::from_bytes([0; 32]),
                        content: self.empty,
                        mtime: MTime::NONE,
                        is_file: false,
                    };
                    for fact in facts {
                        all.hash = chain(all.hash, "", fact.hash);
                        all.mtime = all.mtime.max(fact.mtime);
                    }
                    all
                }
            };
            self.know(output, fact);
        }
        true
    }

    /// Whether the stat index knows an edge to be up to date, with nothing to tell of it.
    fn vouched(
        &self,
        id: EdgeId,
        walk: &mut Walk<'_>,
        last: &mut Last,
    ) -> Result<bool, Diagnostic> {
        let check = self.cx.options.check_traces || self.cx.wants_everything();
        let texts = self.texts(id)?;
        let outputs = self.outputs(id);
        let dep_hash = self.dep_hash(id, &texts, &outputs, last);
        let Some(first) = outputs.first() else { return Ok(false) };
        let trace_path = self.place.trace_path(first);
        let Some(vouched) = walk.vouch(trace_path.as_str(), dep_hash, check) else {
            return Ok(false);
        };
        if vouched.read_trace || !vouched.on_disk {
            return Ok(false);
        }
        let found: Vec<_> = vouched.outputs().collect();
        let edge = self.graph().edge(id);
        let single =
            if let ([_], [only]) = (&found[..], &edge.outputs[..]) { Some(*only) } else { None };
        for &node in &edge.outputs {
            let path = || self.place.build_path(&self.place.written(&self.graph().node(node).path));
            let hashed = match single {
                Some(_) => Some(found[0].1),
                None => {
                    let path = path();
                    found.iter().find(|(at, _)| *at == path.as_str()).map(|(_, hashed)| *hashed)
                }
            };
            let Some(hashed) = hashed else { return Ok(false) };
            let (hash, mtime) = (hashed.hash, hashed.stat.mtime);
            self.know(node, self.output_fact(id, node, hash, mtime, dep_hash));
        }
        Ok(true)
    }

    /// Takes the outputs of an edge for up to date that are there.
    pub(super) fn take_as_they_are(&self, id: EdgeId) {
        for &output in &self.graph().edge(id).outputs {
            if let Ok(fact) = self.source(output, None) {
                self.know(output, fact);
            }
        }
    }

    /// Looks at an input of an edge that nothing makes.
    pub(super) fn look(&self, node: NodeId, user: EdgeId) -> Result<(), Diagnostic> {
        let fact = self.source(node, None);
        let fact = fact.map_err(|error| self.unreadable(node, user, &error))?;
        self.know(node, fact);
        Ok(())
    }
}
