//! One build of a graph: what is known of its files, and the jobs for what is not up to date.
//!
//! First all edges are looked at, needs first (`scan.rs`): an edge whose inputs are known and whose record the stat
//! index vouches for is done, and costs no job. The others become jobs, and wait for each other as the edges do.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{EdgeId, Graph, NodeId, Quoting},
    place::Place,
};
use larder_trace::{BuildTrace, ContentHash, MTime};

use super::{CommandSettings, gate::Gate, roots::Roots, tools::Bases};
use crate::{
    action::Variable,
    artifact::Artifact,
    builds::ToolUse,
    context::{Context, Mode},
    event::{Event, StepName},
    job::{Built, Failed, Flow, Job, settle},
    step::Inputs,
};

/// What is known of a node that is up to date.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// What counts for whatever is made from it.
    pub hash: ContentHash,
    /// The hash of its content.
    pub content: ContentHash,
    /// When it was last changed.
    pub mtime: MTime,
    /// Whether it is a file.
    pub is_file: bool,
}

/// A build of a graph.
pub struct Run {
    pub(super) cx: Arc<Context>,
    graph: Arc<Graph>,
    pub(super) place: Arc<Place>,
    pub(super) roots: Arc<Roots>,
    pub(super) bases: Arc<Bases>,
    pub(super) settings: CommandSettings,
    pub(super) environment: Arc<BTreeMap<String, Variable>>,
    pub(super) sh: ToolUse,
    /// The hash of an empty file.
    pub(super) empty: ContentHash,
    facts: Arc<Vec<OnceLock<Fact>>>,
    gates: Arc<HashMap<Box<str>, Arc<Gate>>>,
    running: Arc<AtomicUsize>,
    /// Edges that were not up to date, and did not become so.
    left: Arc<Mutex<Vec<EdgeId>>>,
}

impl Run {
    /// A build of `graph`.
    pub fn new(
        cx: &Arc<Context>,
        graph: Arc<Graph>,
        roots: &Arc<Roots>,
        settings: CommandSettings,
    ) -> Self {
        let environment = &cx.session.settings.environment;
        let variables = environment.iter().filter_map(|(name, value)| {
            let hash = ContentHash::of_bytes(value.as_encoded_bytes());
            Some((name.to_str()?.to_owned(), Variable::Passed(hash)))
        });
        let permitted =
            |name: &str| cx.sandbox.as_ref().is_none_or(|sandbox| sandbox.permits(name));
        let variables = variables.filter(|(name, _)| permitted(name));
        // Which shell it is counts where the programs do that it runs.
        let sh = ToolUse::new(PathBuf::from("/bin/sh"), &BuildTrace::text("shell", "sh"));
        let gates = graph.pools.iter().filter(|(_, depth)| **depth > 0);
        Self {
            place: Arc::new(roots.places().swap_remove(0)),
            roots: roots.clone(),
            bases: Arc::new(Bases::new(roots)),
            settings,
            environment: Arc::new(variables.collect()),
            sh,
            empty: ContentHash::of_bytes(b""),
            facts: Arc::new(graph.nodes().map(|_| OnceLock::new()).collect()),
            gates: Arc::new(gates.map(|(name, depth)| (name.clone(), Gate::new(*depth))).collect()),
            running: Arc::default(),
            left: Arc::default(),
            cx: cx.clone(),
            graph,
        }
    }

    /// Returns its graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Returns the same build, for the thread of a job.
    pub(super) fn share(&self) -> Self {
        Self {
            cx: self.cx.clone(),
            graph: self.graph.clone(),
            place: self.place.clone(),
            roots: self.roots.clone(),
            bases: self.bases.clone(),
            settings: self.settings,
            environment: self.environment.clone(),
            sh: self.sh.clone(),
            empty: self.empty,
            facts: self.facts.clone(),
            gates: self.gates.clone(),
            running: self.running.clone(),
            left: self.left.clone(),
        }
    }

    /// Returns what is known of a node; nothing before it is up to date.
    pub fn fact(&self, node: NodeId) -> Option<Fact> {
        self.facts.get(node.index())?.get().copied()
    }

    pub(super) fn know(&self, node: NodeId, fact: Fact) {
        // Known once, it stays.
        _ = self.facts[node.index()].set(fact);
    }

    /// Returns the edges that are not up to date.
    pub fn left(&self) -> Vec<EdgeId> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner).clone();
        left.sort();
        left.dedup();
        left
    }

    /// Brings edges up to date, which come after all that they need. Returns whether all of them are.
    ///
    /// # Errors
    /// An input is neither there nor made by anything, or variables of a rule need each other.
    pub fn bring(&self, order: &[EdgeId]) -> Result<bool, Diagnostics> {
        let pending = self.scan(order)?;
        if pending.is_empty() {
            return Ok(true);
        }
        let real = |id: &&EdgeId| !self.graph.is_phony(**id);
        self.cx.expect(pending.iter().filter(real).count());
        let everything = self.cx.scheduler.run(|| {
            let jobs = self.jobs(&pending);
            Ok::<_, Diagnostics>(settle(&self.cx.scheduler, jobs))
        })?;
        for panic in self.cx.scheduler.panics() {
            let message = format!("larder itself failed: {panic}; please report this");
            self.cx.report(&Event::Note { level: larder_trace::Level::Error, message: &message });
        }
        let ended = everything.finished().and_then(Result::ok);
        let Some(ended) = ended else { return Ok(false) };
        let failed = pending.iter().zip(&ended.value).filter(|(_, ended)| ended.is_err());
        let failed: Vec<EdgeId> = failed.map(|(id, _)| *id).collect();
        let all = failed.is_empty();
        self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(failed);
        Ok(all)
    }

    /// Returns the jobs that bring `pending` edges up to date.
    fn jobs(&self, pending: &[EdgeId]) -> Vec<Job<()>> {
        let scheduler = &self.cx.scheduler;
        let mut jobs: HashMap<EdgeId, Job<()>> = HashMap::with_capacity(pending.len());
        let mut all = Vec::with_capacity(pending.len());
        for &id in pending {
            let mut needs: Vec<EdgeId> = Vec::new();
            for &input in &self.graph.edge(id).inputs {
                if let Some(maker) = self.graph.node(input).made_by
                    && jobs.contains_key(&maker)
                    && !needs.contains(&maker)
                {
                    needs.push(maker);
                }
            }
            let run = self.share();
            let job = match needs.is_empty() {
                true => Job::spawn(scheduler, move || run.start(id)),
                false => {
                    let needs = needs.iter().map(|need| jobs[need].clone());
                    settle(scheduler, needs).flow(move |ended| {
                        match ended.value.iter().all(Result::is_ok) {
                            true => run.start(id),
                            false => Flow::Ended(Err(Failed)),
                        }
                    })
                }
            };
            jobs.insert(id, job.clone());
            all.push(job);
        }
        all
    }

    /// Brings an edge up to date whose inputs are.
    fn start(self, id: EdgeId) -> Flow<()> {
        if self.graph.is_phony(id) {
            self.alias(id);
            return Flow::Ended(Ok(nothing()));
        }
        let pool = self.graph.variable(id, "pool", Quoting::Shell).unwrap_or_default();
        match self.gates.get(&*pool).cloned() {
            None => self.work(id),
            Some(gate) => {
                let scheduler = self.cx.scheduler.clone();
                Flow::Continued(gate.pass(&scheduler, move || self.work(id)))
            }
        }
    }

    fn work(self, id: EdgeId) -> Flow<()> {
        let (step, inputs) = match self.step(id) {
            Ok(step) => step,
            Err(error) => {
                let output = &self.graph.node(self.graph.edge(id).outputs[0]).path;
                let step = StepName { target: output, output };
                self.cx.failed(step, &error.to_string());
                return Flow::Ended(Err(Failed));
            }
        };
        self.wait_for_load();
        self.running.fetch_add(1, Ordering::Relaxed);
        let dep_hash = step.dep_hash(Inputs::from(&inputs));
        let cx = self.cx.clone();
        match Arc::new(step).start(&cx, (&inputs).into()) {
            Flow::Ended(ended) => {
                Flow::Ended(self.made(id, dep_hash, ended.as_ref().map_err(|f| *f)))
            }
            Flow::Continued(job) => {
                let job = settle(&cx.scheduler, [job]);
                Flow::Continued(job.map(move |ended| {
                    let ended = ended.value.first().ok_or(Failed)?;
                    self.made(id, dep_hash, ended.as_deref().map_err(|failed| *failed))
                }))
            }
        }
    }

    /// Takes note of the outputs of an edge.
    fn made(
        &self,
        id: EdgeId,
        dep_hash: ContentHash,
        ended: Result<&Built<Vec<Artifact>>, Failed>,
    ) -> Result<Built<()>, Failed> {
        self.running.fetch_sub(1, Ordering::Relaxed);
        let built = ended?;
        for &node in &self.graph.edge(id).outputs {
            let path = self.place.build_path(&self.place.written(&self.graph.node(node).path));
            let artifact = built.value.iter().find(|artifact| artifact.path == path);
            let artifact = artifact.ok_or(Failed)?;
            let fact = match artifact.mtime {
                MTime::NONE => self.unfinished_fact(id, node, artifact.hash),
                mtime => self.output_fact(id, node, artifact.hash, mtime, dep_hash),
            };
            self.know(node, fact);
        }
        Ok(nothing())
    }

    /// Returns what is known of an output where a command has not made all of them: `hash`, which no other has. A command
    /// that may leave its outputs as they are may leave them away as well.
    fn unfinished_fact(&self, id: EdgeId, node: NodeId, hash: ContentHash) -> Fact {
        let found = self.source(node, None);
        match self.graph.flag(id, "restat") {
            true => found.unwrap_or(Fact {
                hash: self.empty,
                content: self.empty,
                mtime: MTime::NONE,
                is_file: false,
            }),
            false => Fact { hash, content: hash, mtime: MTime::NONE, is_file: found.is_ok() },
        }
    }

    /// Waits until the load of the system allows another command, or none of this build runs.
    fn wait_for_load(&self) {
        let Some(most) = self.settings.load else { return };
        let load = || {
            let text = std::fs::read_to_string("/proc/loadavg").ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        };
        while self.running.load(Ordering::Relaxed) > 0
            && !self.cx.stopped()
            && load().is_some_and(|load| load > most)
        {
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs one edge whose inputs are known, whatever is there. Returns whether it succeeded.
    pub fn force(&self, id: EdgeId) -> Result<bool, Diagnostic> {
        let (step, inputs) = self.forced(id)?;
        self.cx.expect(1);
        let cx = self.cx.clone();
        let job = self.cx.scheduler.run(|| {
            Ok::<_, Diagnostic>(Job::spawn(&self.cx.scheduler, move || {
                step.start(&cx, (&inputs).into())
            }))
        })?;
        Ok(matches!(job.finished(), Some(Ok(_))))
    }

    /// Reads the files that tell of inputs and outputs of edges which `targets` need, as soon as they are up to date.
    /// Returns whether all of them could be.
    ///
    /// # Errors
    /// One of them is wrong, or cannot be up to date before it is needed.
    pub fn load_dyndeps(&mut self, targets: &[NodeId]) -> Result<bool, Diagnostics> {
        while self.graph.has_dyndeps() {
            let waiting = |graph: &Graph, order: &[EdgeId]| {
                let mut files: Vec<NodeId> =
                    order.iter().filter_map(|id| graph.edge(*id).dyndep).collect();
                files.sort();
                files.dedup();
                files
            };
            let files = waiting(&self.graph, &self.graph.closure(targets)?);
            if files.is_empty() {
                return Ok(true);
            }
            let mut ready = Vec::new();
            for &file in &files {
                if waiting(&self.graph, &self.graph.closure(&[file])?).is_empty() {
                    ready.push(file);
                }
            }
            if ready.is_empty() {
                let path = &self.graph.node(files[0]).path;
                let message = format!("`{path}` tells of inputs of what it is made from itself");
                return Err(Diagnostic::new(message).into());
            }
            if !self.bring(&self.graph.closure(&ready)?)? {
                // A dry run makes none, and goes on with what is known.
                return Ok(self.cx.options.mode == Mode::DryRun);
            }
            // Of those that came along, too: one may tell what makes an input of which another tells.
            let all: Vec<EdgeId> = self.graph.edges().collect();
            let is_there = |file: &NodeId| ready.contains(file) || self.fact(*file).is_some();
            let mut graph = (*self.graph).clone();
            for file in waiting(&self.graph, &all).into_iter().filter(is_there) {
                graph.load_dyndep(file)?;
            }
            let mut facts = (*self.facts).clone();
            facts.resize_with(graph.node_count(), OnceLock::new);
            (self.graph, self.facts) = (Arc::new(graph), Arc::new(facts));
        }
        Ok(true)
    }
}

fn nothing() -> Built<()> {
    Built { value: (), trace: BuildTrace::nil("edge") }
}
