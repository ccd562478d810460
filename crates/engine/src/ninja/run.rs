//! One build of a graph: what is known of its files, and the jobs for what is not up to date.
//!
//! First all edges are looked at, needs first, on one thread: an edge whose inputs are known and whose record the stat
//! index vouches for is done, and costs no job. The others become jobs, and wait for each other as the edges do.

use std::{
    collections::{BTreeMap, HashMap},
    io,
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
use larder_trace::{BuildTrace, Content, ContentHash, MTime, Walk, describe_io};

use super::{CommandSettings, edge::chain, gate::Gate, roots::Roots, tools::Bases};
use crate::{
    action::Variable,
    artifact::Artifact,
    builds::ToolUse,
    context::Context,
    event::{Event, StepName},
    job::{Built, Failed, Flow, Job, settle},
    step::{Inputs, unique},
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
    fn share(&self) -> Self {
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

    fn know(&self, node: NodeId, fact: Fact) {
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

    /// Says which of `targets` is neither there nor made by anything.
    pub fn missing(&self, targets: &[NodeId]) -> Option<Diagnostic> {
        let gone = |node: &&NodeId| {
            self.graph.node(**node).made_by.is_none() && self.source(**node, None).is_err()
        };
        let node = targets.iter().find(gone)?;
        let path = &self.graph.node(*node).path;
        let message = format!("`{path}` is missing, and no rule makes it");
        Some(Diagnostic::new(message).failed())
    }

    /// Looks at a file that no edge makes.
    fn source(&self, node: NodeId, walk: Option<&mut Walk<'_>>) -> io::Result<Fact> {
        let path = self.cx.places.opened(&self.place, &self.graph.node(node).path);
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

    /// Looks at all edges, and returns those that are not known to be up to date.
    fn scan(&self, order: &[EdgeId]) -> Result<Vec<EdgeId>, Diagnostics> {
        let mut walk = self.cx.index.walk();
        let mut pending = Vec::new();
        let mut wrong = Vec::new();
        for &id in order {
            let edge = self.graph.edge(id);
            if edge.outputs.iter().all(|output| self.fact(*output).is_some()) {
                continue;
            }
            let mut ready = true;
            for &input in &edge.inputs {
                if self.fact(input).is_some() {
                    continue;
                }
                match self.graph.node(input).made_by {
                    Some(_) => ready = false,
                    None => match self.source(input, Some(&mut walk)) {
                        Ok(fact) => self.know(input, fact),
                        Err(error) => wrong.push(self.unreadable(input, id, &error)),
                    },
                }
            }
            if !wrong.is_empty() {
                continue;
            }
            let known = ready
                && match self.graph.is_phony(id) {
                    true => self.alias(id),
                    false => self.vouched(id, &mut walk)?,
                };
            if !known {
                pending.push(id);
            }
        }
        wrong.truncate(20);
        if wrong.is_empty() { Ok(pending) } else { Err(Diagnostics(wrong)) }
    }

    fn unreadable(&self, input: NodeId, id: EdgeId, error: &io::Error) -> Diagnostic {
        let path = &self.graph.node(input).path;
        let user = &self.graph.node(self.graph.edge(id).outputs[0]).path;
        let message = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("`{path}`, needed by `{user}`, is missing, and no rule makes it")
            }
            _ => format!("cannot read `{path}`, needed by `{user}`: {}", describe_io(error)),
        };
        Diagnostic::new(message).failed()
    }

    /// Finds out what an edge comes to that runs nothing, and whose inputs are known.
    fn alias(&self, id: EdgeId) -> bool {
        let edge = self.graph.edge(id);
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
    fn vouched(&self, id: EdgeId, walk: &mut Walk<'_>) -> Result<bool, Diagnostic> {
        let check = self.cx.options.check_traces || self.cx.wants_everything();
        let texts = self.texts(id)?;
        let outputs = self.outputs(id);
        let dep_hash = self.dep_hash(id, &texts, &outputs);
        let Some(first) = outputs.first() else { return Ok(false) };
        let trace_path = self.place.trace_path(first);
        let Some(vouched) = walk.vouch(trace_path.as_str(), dep_hash, check) else {
            return Ok(false);
        };
        if vouched.read_trace || !vouched.on_disk {
            return Ok(false);
        }
        let found: Vec<_> = vouched.outputs().collect();
        let edge = self.graph.edge(id);
        let single =
            if let ([_], [only]) = (&found[..], &edge.outputs[..]) { Some(*only) } else { None };
        for &node in &edge.outputs {
            let path = || self.place.build_path(&self.place.written(&self.graph.node(node).path));
            let hashed = match single {
                Some(_) => Some(found[0].1),
                None => {
                    let path = path();
                    found.iter().find(|(at, _)| *at == path.as_str()).map(|(_, hashed)| *hashed)
                }
            };
            let Some(hashed) = hashed else { return Ok(false) };
            self.know(node, self.output_fact(id, hashed.hash, hashed.stat.mtime, dep_hash));
        }
        Ok(true)
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
            self.know(node, self.output_fact(id, artifact.hash, artifact.mtime, dep_hash));
        }
        Ok(nothing())
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
        loop {
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
                return Ok(false);
            }
            let mut graph = (*self.graph).clone();
            for file in ready {
                graph.load_dyndep(file)?;
            }
            let mut facts = (*self.facts).clone();
            facts.resize_with(graph.node_count(), OnceLock::new);
            (self.graph, self.facts) = (Arc::new(graph), Arc::new(facts));
        }
    }
}

fn nothing() -> Built<()> {
    Built { value: (), trace: BuildTrace::nil("edge") }
}

impl Run {
    /// Takes the outputs of an edge for up to date that are there.
    pub(super) fn take_as_they_are(&self, id: EdgeId) {
        for &output in &self.graph.edge(id).outputs {
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
